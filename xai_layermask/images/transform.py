"""`Transform`: any callable from a picture to a tensor as a preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import InputError, reason
from .checks import as_colour
from .depth import Depth
from .frame import Frame
from .prepare import Prepared, Shown, without_absent
from .preprocess import Preprocess
from .raster import as_valid, split_absent
from .read import Picture, read_picture

__all__ = ["Transform", "as_preprocess"]

_TOLERANCE = 0.02  # as a share of the range from black to white; the error of a ramp of 8 bits is 0.002


class _Colours(NamedTuple):
    """The model's input as a linear function of colours: `matrix @ rgb + black`, with rgb from 0 to 1."""

    matrix: Tensor
    black: Tensor


class Transform:
    """A preprocessing made of any callable from a picture to a tensor.

    The callable may be a `Compose` of torchvision, a transform of timm, an image processor of transformers or any other
    function. It is called on flat colours and on ramps of the picture's size, which tell what part of the picture it
    shows and how it scales colours. It must be deterministic.

    Args:
        function: Maps a PIL image, RGB, to a tensor or array `(C, h, w)` or `(1, C, h, w)`, or to a mapping with one
            as "pixel_values". A function that does not take PIL images is given a tensor `(3, H, W)` in [0, 1].
        shown: Maps the PIL image to the picture that the model sees, `(h, w, 3)`; required if the function does more
            than resize, crop and scale.

    Example:
        >>> def halves(image):
        ...     pixels = np.asarray(image.crop((4, 0, 12, 8)), np.float32).transpose(2, 0, 1)
        ...     return torch.from_numpy(pixels) / 255 - 0.5
        >>> picture = np.random.default_rng(0).integers(0, 256, (8, 16, 3), np.uint8)
        >>> shown = Transform(halves).prepare(picture)
        >>> bool((shown.picture == picture[:, 4:12]).all()), shown.frame.box
        (True, (0.0, 4.0, 8.0, 12.0))
    """

    def __init__(self, function: Callable[..., Any], shown: Callable[..., Any] | None = None) -> None:
        if not callable(function):
            raise InputError.expected("a Preprocess or a callable for preprocess", type(function).__name__)
        self.function, self.shown = function, shown
        self._colours: _Colours | None = None

    def __repr__(self) -> str:
        return f"Transform({' '.join(repr(self.function).split())})"

    def __call__(self, img: object) -> Prepared:
        """Preprocess one picture, as `prepare` does."""
        shown = self.prepare(img)
        if shown.present is not None:
            raise InputError.expected("a picture without missing pixels in image", "NaN or masked pixels")
        return Prepared(shown.tensor, shown.picture)

    def prepare(self, img: object, valid: npt.ArrayLike | None = None) -> Shown:
        """Preprocess one picture, and find out what part of it the model sees.

        Args:
            img: Anything that `read_image` takes.
            valid: Which pixels are valid, `(H, W)`, bool or 0/1; all if None.

        Raises:
            InputError: If `img` is not a picture, the function fails or is random, or what it shows cannot be told.
        """
        depth = Depth()
        filled, present = split_absent(img, (1, 3, 4))
        picture = read_picture(filled, depth)
        height, width = picture.shape[:2]
        present = as_valid(present, valid, (height, width))
        tensor = self._tensor(picture)
        if not torch.equal(tensor, self._tensor(picture)):
            raise InputError.expected(
                "a deterministic preprocess", "one that differs from call to call", "use the transform for evaluation"
            )
        try:
            self._colours = self._find_colours(height, width)
            frame: Frame | None = self._find_frame(height, width, *tensor.shape[2:])
        except _Unclear as unclear:
            if self.shown is None:
                raise InputError.expected(
                    "a preprocess that resizes, crops and scales colours", str(unclear),
                    "pass Transform(function, shown=...), with a function from the PIL image to the picture that the "
                    "model sees",
                ) from unclear  # fmt: skip
            frame = None
        seen = self._seen(picture, tensor, frame)
        if present is None:
            return Shown(tensor, seen, None, frame, depth.note)
        if frame is None:
            raise InputError.expected("a preprocess whose crop can be told, for missing pixels", "one with shown=")
        kept = frame.cropped(present, *tensor.shape[2:])
        white = np.where(kept[..., None], seen, 255).astype(np.uint8)
        return Shown(without_absent(tensor, kept), white, kept, frame, depth.note)

    def normalize(self, picture: Picture) -> Tensor:
        """Convert a cropped picture, uint8 `(h, w, 3)`, to the model's input, without resizing or cropping.

        Raises:
            InputError: If the function does not scale colours linearly.
        """
        matrix, black = self._linear()
        values = torch.from_numpy(np.ascontiguousarray(picture)).float() / 255
        return ((values @ matrix.T) + black).permute(2, 0, 1)[None].contiguous()

    def color(self, rgb: Sequence[float]) -> Tensor:
        """Convert a colour, 0 to 255, to the model's input `(1, C, 1, 1)`.

        Raises:
            InputError: If it is not a colour, or the function does not scale colours linearly.
        """
        matrix, black = self._linear()
        return (matrix @ (torch.tensor(as_colour(rgb)) / 255) + black).view(1, -1, 1, 1)

    def _linear(self) -> _Colours:
        if self._colours is None:
            try:
                self._colours = self._find_colours(256, 256)
            except _Unclear as unclear:
                raise InputError.expected("a preprocess that scales colours linearly", str(unclear)) from unclear
        return self._colours

    def _tensor(self, picture: Picture) -> Tensor:
        """The function's output, float32 `(1, C, h, w)`."""
        from PIL import Image

        try:
            made = self.function(Image.fromarray(picture))
        except Exception as error:
            try:
                made = self.function(torch.from_numpy(picture).permute(2, 0, 1).float() / 255)
            except Exception:
                raise InputError.expected(
                    "a preprocess that takes a PIL image or a tensor (3, H, W)",
                    f"{type(error).__name__} ({reason(error)})",
                ) from error
        if isinstance(made, Mapping) and "pixel_values" in made:
            made = made["pixel_values"]
        try:
            tensor = made if isinstance(made, Tensor) else torch.from_numpy(np.asarray(made))
        except (TypeError, ValueError):
            raise InputError.expected("a tensor from preprocess", type(made).__name__) from None
        tensor = tensor[None] if tensor.dim() == 3 else tensor
        if tensor.dim() != 4 or len(tensor) != 1 or not tensor.is_floating_point():
            got = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise InputError.expected("a float tensor (C, h, w) from preprocess", got)
        return tensor.detach().cpu().float()

    def _find_colours(self, height: int, width: int) -> _Colours:
        def flat(*rgb: int) -> Tensor:
            made = self._tensor(np.full((height, width, 3), rgb, np.uint8))
            mean = made.mean((0, 2, 3))
            if (made - mean.view(1, -1, 1, 1)).abs().max() > 1e-3 * max(1.0, float(mean.abs().max())):
                raise _Unclear("one that adds a border or a pattern")
            return mean

        black, white = flat(0, 0, 0), flat(255, 255, 255)
        matrix = torch.stack([flat(*(255 * (i == k) for i in range(3))) - black for k in range(3)], dim=1)
        spread = (white - black).abs()
        if spread.min() == 0 or ((matrix.sum(1) + black - white).abs() > _TOLERANCE * spread).any():
            raise _Unclear("one that does not scale colours linearly")
        half = flat(128, 128, 128)
        if ((matrix.sum(1) * (128 / 255) + black - half).abs() > _TOLERANCE * spread).any():
            raise _Unclear("one that does not scale colours linearly")
        return _Colours(matrix, black)

    def _find_frame(self, height: int, width: int, tall: int, wide: int) -> Frame:
        down = np.broadcast_to(np.linspace(0, 255, height)[:, None, None], (height, width, 3))
        along = np.broadcast_to(np.linspace(0, 255, width)[None, :, None], (height, width, 3))
        top, bottom = self._ends(down, 0, height, tall)
        left, right = self._ends(along, 1, width, wide)
        return Frame((height, width), (top, left, bottom, right))

    def _ends(self, ramp: npt.NDArray[np.float64], axis: int, size: int, count: int) -> tuple[float, float]:
        """Where the first and the last pixel of the output begin and end along one side of the photograph."""
        matrix, black = self._linear()
        made = self._tensor(np.rint(ramp).astype(np.uint8))[0]
        brightness = ((made - black.view(-1, 1, 1)) / matrix.sum(1).view(-1, 1, 1)).mean(0).double().numpy()
        if np.ptp(brightness, axis=1 - axis).max() > _TOLERANCE:
            raise _Unclear("one that turns or distorts the picture")
        profile = brightness.mean(axis=1 - axis)
        inner = slice(count // 10, count - count // 10)  # filters do not reach over the border
        places = np.arange(count)[inner]
        if len(places) < 2 or size < 2:
            return 0.0, float(size)
        slope, start = np.polyfit(places, profile[inner], 1)
        if slope <= 0 or np.abs(start + slope * places - profile[inner]).max() > _TOLERANCE:
            raise _Unclear("one that flips or distorts the picture")
        first = (start - 0.5 * slope) * (size - 1) + 0.5
        last = (start + (count - 0.5) * slope) * (size - 1) + 0.5
        return _snapped(first, size), _snapped(last, size)

    def _seen(self, picture: Picture, tensor: Tensor, frame: Frame | None) -> Picture:
        from PIL import Image

        height, width = tensor.shape[2:]
        if self.shown is not None:
            array = np.asarray(self.shown(Image.fromarray(picture)))
            if array.dtype != np.uint8 or array.shape != (height, width, 3):
                raise InputError.expected(
                    f"a uint8 picture ({height}, {width}, 3), as large as the model's input, from shown",
                    f"{array.dtype} {array.shape}",
                )
            return array
        matrix, black = self._linear()
        values = tensor[0].permute(1, 2, 0).double() - black.double()
        if matrix.shape[0] == 3 and float(torch.linalg.matrix_rank(matrix)) == 3:
            colours = values @ torch.linalg.inv(matrix.double()).T
        elif matrix.shape[0] == 1:
            colours = (values / matrix.double().sum()).expand(-1, -1, 3)
        else:
            box = None if frame is None else (frame.box[1], frame.box[0], frame.box[3], frame.box[2])
            return np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR, box))
        return np.ascontiguousarray((colours.clamp(0, 1) * 255).round().numpy().astype(np.uint8))


class _Unclear(Exception):
    """The reason why the effect of the function cannot be determined."""


def _snapped(place: float, size: int) -> float:
    """A place that is a whole pixel, or the border, up to the accuracy of a ramp of 8 bits; inside the photograph."""
    for border in (0, size):
        if abs(place - border) < max(0.1, 0.004 * size):
            return float(border)
    whole = round(place)
    return float(min(max(whole if abs(place - whole) < max(0.1, 0.001 * size) else place, 0), size))


def as_preprocess(preprocess: object) -> Preprocess | Transform:
    """A preprocessing as it is, any other callable as a [`Transform`][].

    Raises:
        InputError: If it is neither.
    """
    if isinstance(preprocess, Preprocess | Transform):
        return preprocess
    if not callable(preprocess):
        raise InputError.expected("a Preprocess or a callable for preprocess", type(preprocess).__name__)
    return Transform(preprocess)
