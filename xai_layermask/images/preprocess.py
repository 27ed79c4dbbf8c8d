"""`Preprocess`: from a picture to the input of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import InputError, check_integer, check_number, choose, refuse_masked
from .checks import as_bands, as_colour, as_numbers, as_size, as_window, count_channels
from .prepare import Prepared, Shown, prepare
from .recipes import Recipes
from .resize import Size, framed

__all__ = ["Prepared", "Preprocess"]

Picture = npt.NDArray[np.uint8]

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


@dataclass(frozen=True)
class Preprocess(Recipes):
    """Resize, crop at the centre and normalise a picture, as torchvision and timm do for ImageNet.

    A picture smaller than the crop is enlarged, with its aspect ratio, until it covers the crop: a padded border would
    be explained as if it were part of the photograph.

    Attributes:
        resize: Length of the shorter side in pixels, or `(height, width)` regardless of aspect ratio; None keeps the
            size.
        crop: Side in pixels of the square at the centre, or its `(height, width)`; None keeps everything.
        mean: Subtracted per channel, in the model's order of channels and in units of `scale`. A single number stands
            for all channels unless they are colours.
        std: The divisor per channel.
        channels: The model's order of channels, "RGB" or "BGR"; "L" for one grey channel (ITU-R 601), to which colours
            are converted; or the number of channels of a raster, such as 13 bands, whose numbers are taken as they are.
        scale: The value of white before the mean is subtracted: 1 for most models, 255 for Caffe's. Numbers of a raster
            are multiplied by it.
        interpolation: "nearest", "bilinear", "bicubic" or "lanczos", with antialiasing.
        window: Centre and width of the values that are scaled to 0..1, as radiologists do; None for all.
        bits: The number of bits of white in 16-bit data; None for those that are used, or a raster's own numbers.
        bands: The channels of a raster that are displayed: one, or three as red, green and blue; by default the first
            three, or the first of fewer.

    Raises:
        InputError: If one of them is out of range.

    Example:
        >>> from xai_layermask.images import sample_photograph
        >>> tensor, picture = Preprocess()(sample_photograph())
        >>> tensor.shape, picture.shape
        (torch.Size([1, 3, 224, 224]), (224, 224, 3))
        >>> caffe = Preprocess(crop=227, mean=(104, 117, 123), std=(1, 1, 1), channels="BGR", scale=255)
        >>> caffe.color((255, 255, 255)).flatten()
        tensor([151., 138., 132.])
    """

    resize: Size | None = 256
    crop: Size | None = 224
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channels: str | int = "RGB"
    scale: float = 1.0
    interpolation: str = "bilinear"
    window: tuple[float, float] | None = None
    bits: int | None = None
    bands: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        count = count_channels(self.channels)
        for field in ("resize", "crop"):
            object.__setattr__(self, field, as_size(getattr(self, field), field))
        for field in ("mean", "std"):
            numbers = getattr(self, field)
            if isinstance(numbers, int | float) and self.channels not in ("RGB", "BGR"):
                numbers = (numbers,) * count
            object.__setattr__(self, field, as_numbers(numbers, count, field))
        if min(self.std) <= 0:
            raise InputError.expected("numbers above 0 for std", self.std, "use 1 to leave a channel unscaled")
        check_number(self.scale, "scale", above=0)
        choose(self.interpolation, _INTERPOLATIONS, "interpolation")
        object.__setattr__(self, "window", as_window(self.window))
        if self.bits is not None:
            check_integer(self.bits, "bits", 1, 16)
        if self.bands is not None:
            object.__setattr__(self, "bands", as_bands(self.bands, count))

    @property
    def count(self) -> int:
        """The number of channels of the model's input."""
        return len(self.mean)

    @property
    def is_raster(self) -> bool:
        """Whether pictures are numbers rather than colours (a raster of bands, or values with a window)."""
        return not isinstance(self.channels, str) or self.window is not None

    def prepare(self, img: object, valid: npt.ArrayLike | None = None) -> Shown:
        """Read, resize, crop and normalise one picture, which may lack pixels.

        Args:
            img: As `__call__` takes it; for a raster an array `(H, W, C)` or `(C, H, W)` of any numbers, `(H, W)` for
                one channel, or a .npy or .tif file of one. Pixels that are NaN, or masked in a masked array, are
                absent.
            valid: Which pixels are valid, `(H, W)`, bool or 0/1; all if None.

        Returns:
            The model's input, the picture to show, and which of its pixels are present.

        Raises:
            InputError: If `img` is not a picture, or `valid` does not fit it.

        Example:
            >>> preprocess = Preprocess(None, None, mean=0, std=1, channels=5, bands=(2, 1, 0))
            >>> bands = np.arange(2.0 * 3 * 5).reshape(2, 3, 5)
            >>> bands[0, 0] = np.nan
            >>> shown = preprocess.prepare(bands)
            >>> shown.tensor.shape, shown.picture.shape, shown.present.tolist()
            (torch.Size([1, 5, 2, 3]), (2, 3, 3), [[False, True, True], [True, True, True]])
        """
        return prepare(self, img, valid)

    def __call__(self, img: object) -> Prepared:
        """Read, resize, crop and normalise one picture.

        Args:
            img: Anything that `read_image` takes: a path, a PIL image, an array or a tensor in [0, 1].

        Returns:
            The tensor float32 `(1, 3, h, w)` and the cropped picture uint8 `(h, w, 3)`.

        Raises:
            InputError: If `img` is not a picture.
        """
        shown = self.prepare(img)
        if shown.present is not None:
            raise InputError.expected(
                "a picture without missing pixels in image", "NaN or masked pixels",
                "use prepare(img), which tells where they are",
            )  # fmt: skip
        return Prepared(shown.tensor, shown.picture)

    def mask(self, mask: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Resize and crop an object mask like its picture.

        Args:
            mask: `(H, W)` over the whole picture, bool, integers 0 and 1 or 0 and 255, or from 0 to 1.

        Returns:
            float64 `(h, w)` over the cropped picture, from 0 to 1.

        Raises:
            InputError: If it is something else.

        Example:
            >>> Preprocess(resize=4, crop=2).mask(np.eye(4)).round(1)
            array([[1., 0.],
                   [0., 1.]])
        """
        refuse_masked(mask, "mask")
        array = np.asarray(mask)
        if array.dtype.kind in "iu" and ((array == 0) | (array == 255)).all():
            array = array != 0
        values = np.asarray(array, dtype=np.float32)
        if values.ndim != 2 or values.size == 0 or not (values.min() >= 0 and values.max() <= 1):
            got = f"shape {values.shape}" if values.ndim != 2 or values.size == 0 else "other numbers"
            raise InputError.expected("numbers from 0 to 1 of shape (H, W) for mask", got, "divide 8 bits by 255")
        seen: npt.NDArray[np.float64] = self.framed(values).astype(np.float64)
        return seen.clip(0, 1)  # bicubic overshoots

    def normalize(self, picture: Picture) -> Tensor:
        """Convert a cropped picture to the model's input.

        Args:
            picture: uint8 `(h, w, 3)`, RGB.

        Returns:
            float32 `(1, C, h, w)`.

        Raises:
            InputError: If the picture is something else.
        """
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape[2:] != (3,):
            got = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
            raise InputError.expected("a uint8 array (h, w, 3) for picture", got, "read it with read_image")
        channels_first = np.ascontiguousarray(picture.transpose(2, 0, 1))
        return self.scaled(torch.from_numpy(channels_first)[None].float() / 255)

    def denormalize(self, tensor: Tensor) -> Tensor:
        """Convert the model's input back to colours.

        Args:
            tensor: `(N, C, h, w)`, as `normalize` returns it.

        Returns:
            `(N, C, h, w)`, RGB or grey, clipped to [0, 1].

        Raises:
            InputError: If the tensor has another shape.

        Example:
            >>> grey = Preprocess().denormalize(torch.zeros(1, 3, 1, 1))
            >>> [round(value, 3) for value in grey.flatten().tolist()]
            [0.485, 0.456, 0.406]
        """
        if tensor.dim() != 4 or tensor.shape[1] != self.count:
            raise InputError.expected(f"a tensor (N, {self.count}, h, w)", tuple(tensor.shape))
        mean, std = (tensor.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        colours = (tensor * std + mean) / self.scale
        return (colours.flip(1) if self.channels == "BGR" else colours).clamp(0, 1)

    def color(self, rgb: Sequence[float]) -> Tensor:
        """Convert a colour to the model's input.

        Args:
            rgb: Red, green and blue, 0 to 255.

        Returns:
            float32 `(1, C, 1, 1)`.

        Raises:
            InputError: If they are not three numbers from 0 to 255, or the model's input has no such colour.

        Example:
            >>> Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).color((0, 255, 127.5)).flatten()
            tensor([-1.,  1.,  0.])
        """
        triple = as_colour(rgb)
        if isinstance(self.channels, str) or self.window is not None:
            return self.scaled(torch.tensor(triple).view(1, 3, 1, 1) / 255)
        if any(triple):
            raise InputError.expected(
                f"black for the colour of a raster of {self.count} channels", tuple(rgb),
                "its other values have no colour: use masking 'layer', 'black', 'mean', 'blur' or 'neighbor'",
            )  # fmt: skip
        return self.scaled(torch.zeros(1, self.count, 1, 1))

    def scaled(self, values: Tensor) -> Tensor:
        """Convert colours in [0, 1], `(N, 3, h, w)`, or the channels of a raster, to the model's input."""
        if isinstance(self.channels, int):
            grey = values.shape[1] == 3 != self.count and self.window is not None
            values = (values * _luma(values)).sum(1, keepdim=True).expand(-1, self.count, -1, -1) if grey else values
        elif self.channels == "L":
            values = (values * _luma(values)).sum(1, keepdim=True)
        elif self.channels == "BGR":
            values = values.flip(1)
        mean, std = (values.new_tensor(numbers).view(1, -1, 1, 1) for numbers in (self.mean, self.std))
        return (values * self.scale - mean) / std

    def framed(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Resize and crop an array that Pillow takes."""
        from PIL import Image

        return np.array(framed(Image.fromarray(values), self.resize, self.crop, self.interpolation))


def _luma(like: Tensor) -> Tensor:
    """The weights of red, green and blue in grey (ITU-R 601)."""
    return like.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
