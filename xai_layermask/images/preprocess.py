"""`Preprocess`: from a picture to the input of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import InputError, check_number, choose, refuse_masked
from .read import read_image
from .resize import LARGEST_SIDE, Size, framed

__all__ = ["Prepared", "Preprocess"]

Picture = npt.NDArray[np.uint8]

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


class Prepared(NamedTuple):
    """A picture as the model sees it, as a tensor and for display.

    Attributes:
        tensor: float32 `(1, 3, h, w)`, normalised as the model wants it.
        picture: uint8 `(h, w, 3)`, the part of the picture that the model sees.
    """

    tensor: Tensor
    picture: Picture


@dataclass(frozen=True)
class Preprocess:
    """Resize, crop at the centre and normalise a picture, as torchvision and timm do for ImageNet.

    A picture smaller than the crop is enlarged, with its aspect ratio, until it covers the crop: a padded border would
    be explained as if it were part of the photograph.

    Attributes:
        resize: Length of the shorter side in pixels, or `(height, width)` regardless of aspect ratio; None keeps the
            size.
        crop: Side in pixels of the square at the centre, or its `(height, width)`; None keeps everything.
        mean: Subtracted per channel, in the model's order of channels and in units of `scale`.
        std: The divisor per channel.
        channels: The model's order of channels, "RGB" or "BGR".
        scale: The value of white before the mean is subtracted: 1 for most models, 255 for Caffe's.
        interpolation: "nearest", "bilinear", "bicubic" or "lanczos", with antialiasing.

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
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    channels: str = "RGB"
    scale: float = 1.0
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        for field in ("resize", "crop"):
            object.__setattr__(self, field, _as_size(getattr(self, field), field))
        for field in ("mean", "std"):
            object.__setattr__(self, field, _as_triple(getattr(self, field), field))
        if min(self.std) <= 0:
            raise InputError.expected("numbers above 0 for std", self.std, "use 1 to leave a channel unscaled")
        check_number(self.scale, "scale", above=0)
        choose(self.channels, ("RGB", "BGR"), "channels")
        choose(self.interpolation, _INTERPOLATIONS, "interpolation")

    def __call__(self, img: object) -> Prepared:
        """Read, resize, crop and normalise one picture.

        Args:
            img: Anything that `read_image` takes: a path, a PIL image, an array or a tensor in [0, 1].

        Returns:
            The tensor float32 `(1, 3, h, w)` and the cropped picture uint8 `(h, w, 3)`.

        Raises:
            InputError: If `img` is not a picture.
        """
        picture: Picture = self._framed(read_image(img))
        return Prepared(self.normalize(picture), picture)

    def mask(self, mask: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Resize and crop an object mask like its picture.

        Args:
            mask: `(H, W)` over the whole picture, bool or from 0 to 1.

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
        values = np.asarray(mask, dtype=np.float32)
        if values.ndim != 2 or values.size == 0 or not (values.min() >= 0 and values.max() <= 1):
            got = f"shape {values.shape}" if values.ndim != 2 or values.size == 0 else "other numbers"
            raise InputError.expected("numbers from 0 to 1 of shape (H, W) for mask", got, "divide 8 bits by 255")
        seen: npt.NDArray[np.float64] = self._framed(values).astype(np.float64)
        return seen.clip(0, 1)  # bicubic overshoots

    def normalize(self, picture: Picture) -> Tensor:
        """Convert a cropped picture to the model's input.

        Args:
            picture: uint8 `(h, w, 3)`, RGB.

        Returns:
            float32 `(1, 3, h, w)`.

        Raises:
            InputError: If the picture is something else.
        """
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape[2:] != (3,):
            got = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
            raise InputError.expected("a uint8 array (h, w, 3) for picture", got, "read it with read_image")
        channels_first = np.ascontiguousarray(picture.transpose(2, 0, 1))
        return self._to_model(torch.from_numpy(channels_first)[None].float() / 255)

    def denormalize(self, tensor: Tensor) -> Tensor:
        """Convert the model's input back to colours.

        Args:
            tensor: `(N, 3, h, w)`, as `normalize` returns it.

        Returns:
            `(N, 3, h, w)`, RGB, clipped to [0, 1].

        Raises:
            InputError: If the tensor has another shape.

        Example:
            >>> grey = Preprocess().denormalize(torch.zeros(1, 3, 1, 1))
            >>> [round(value, 3) for value in grey.flatten().tolist()]
            [0.485, 0.456, 0.406]
        """
        if tensor.dim() != 4 or tensor.shape[1] != 3:
            raise InputError.expected("a tensor (N, 3, h, w)", tuple(tensor.shape))
        mean, std = (tensor.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        colours = (tensor * std + mean) / self.scale
        return (colours.flip(1) if self.channels == "BGR" else colours).clamp(0, 1)

    def color(self, rgb: Sequence[float]) -> Tensor:
        """Convert a colour to the model's input.

        Args:
            rgb: Red, green and blue, 0 to 255.

        Returns:
            float32 `(1, 3, 1, 1)`.

        Raises:
            InputError: If they are not three numbers from 0 to 255.

        Example:
            >>> Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).color((0, 255, 127.5)).flatten()
            tensor([-1.,  1.,  0.])
        """
        triple = _as_triple(rgb, "colour")
        if min(triple) < 0 or max(triple) > 255:
            raise InputError.expected("red, green and blue from 0 to 255 for colour", tuple(rgb))
        return self._to_model(torch.tensor(triple).view(1, 3, 1, 1) / 255)

    @classmethod
    def from_torchvision(cls, weights: Any) -> Preprocess:
        """The preprocessing of torchvision's weights.

        Args:
            weights: A member of a weights enum, such as `torchvision.models.ResNet50_Weights.DEFAULT`.

        Raises:
            InputError: If they are not weights of a classifier.
        """
        transform: Any = weights.transforms() if hasattr(weights, "transforms") else None
        if not hasattr(transform, "crop_size"):
            raise InputError.expected(
                "weights of a torchvision classifier", repr(weights),
                "for example torchvision.models.ResNet50_Weights.DEFAULT",
            )  # fmt: skip
        return cls(
            resize=_short(transform.resize_size),
            crop=_short(transform.crop_size),
            mean=transform.mean,
            std=transform.std,
            interpolation=transform.interpolation.value,
        )

    @classmethod
    def from_timm(cls, data_config: Mapping[str, Any]) -> Preprocess:
        """The preprocessing of a timm model.

        Args:
            data_config: What `timm.data.resolve_model_data_config(model)` returns.

        Raises:
            InputError: If an entry is missing or not supported.

        Example:
            >>> config = dict(input_size=(3, 192, 192), crop_pct=0.75, interpolation="bicubic",
            ...               mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), crop_mode="center")
            >>> preprocess = Preprocess.from_timm(config)
            >>> preprocess.resize, preprocess.crop, preprocess.interpolation
            (256, 192, 'bicubic')
        """
        needed = ("input_size", "crop_pct", "interpolation", "mean", "std")
        missing = [key for key in needed if key not in data_config]
        if missing:
            raise InputError.expected(
                f"{', '.join(needed)} in data_config", f"none of {', '.join(missing)}",
                "pass timm.data.resolve_model_data_config(model)",
            )  # fmt: skip
        channels, height, width = data_config["input_size"]
        if channels != 3:
            raise InputError.expected("a model with 3 input channels", channels)
        mode = choose(data_config.get("crop_mode") or "center", ("center", "squash"), "crop_mode")
        if mode == "center" and height != width:
            raise InputError.expected("a square for crop_mode 'center'", f"{height} x {width}", "use 'squash'")
        sides = (math.floor(height / data_config["crop_pct"]), math.floor(width / data_config["crop_pct"]))
        return cls(
            resize=sides if mode == "squash" else sides[0],
            crop=(height, width) if height != width else height,
            mean=data_config["mean"],
            std=data_config["std"],
            interpolation=data_config["interpolation"],
        )

    def _to_model(self, colours: Tensor) -> Tensor:
        """Convert RGB in [0, 1], `(N, 3, h, w)`, to the model's input."""
        ordered = colours.flip(1) if self.channels == "BGR" else colours
        mean, std = (ordered.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (ordered * self.scale - mean) / std

    def _framed(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        from PIL import Image

        return np.array(framed(Image.fromarray(values), self.resize, self.crop, self.interpolation))


def _short(size: Sequence[int]) -> Size:
    """One side for a list of one."""
    return size[0] if len(size) == 1 else (size[0], size[1])


def _as_size(size: object, what: str) -> Size | None:
    if size is None:
        return None
    sides: Sequence[Any] = size if isinstance(size, (tuple, list)) and len(size) == 2 else (size,)
    if not all(isinstance(side, int) and not isinstance(side, bool) and 0 < side <= LARGEST_SIDE for side in sides):
        raise InputError.expected(f"1 to {LARGEST_SIDE} pixels, (height, width) or None for {what}", repr(size))
    return (sides[0], sides[1]) if len(sides) == 2 else sides[0]


def _as_triple(values: Any, what: str) -> tuple[float, float, float]:
    try:
        triple = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        triple = ()
    if len(triple) != 3 or not all(map(math.isfinite, triple)):
        raise InputError.expected(f"three numbers for {what}", repr(values))
    return triple
