"""The part of a picture that a model sees, the same for pictures and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["LARGEST_SIDE", "Size", "framed", "placed", "resized"]

#: The longest side in pixels to which pictures are resized or cropped: a bound on memory.
LARGEST_SIDE = 8192

_MUCH = 1 << 24  # pixels; larger intermediate pictures are not made

#: The length of a side in pixels, or `(height, width)`.
Size = int | tuple[int, int]


def resized(height: int, width: int, resize: Size | None, crop: Size | None) -> tuple[int, int]:
    """The size `(height, width)` to which a picture is resized before cropping, at least that of the crop.

    Args:
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
        resize: Length of the shorter side, or `(height, width)` regardless of aspect ratio; None keeps the size.
        crop: Side of the square at the centre, or its `(height, width)`; None keeps everything.

    Example:
        >>> resized(300, 400, 256, 224)
        (256, 341)
    """
    size = resize if isinstance(resize, tuple) else (height, width)
    if isinstance(resize, int):
        long = int(resize * max(size) / min(size))  # rounded down, as torchvision does
        size = (resize, long) if height <= width else (long, resize)
    least = _pair(crop) if crop is not None else (1, 1)
    grow = max(1.0, least[0] / size[0], least[1] / size[1])
    return max(least[0], round(size[0] * grow)), max(least[1], round(size[1] * grow))


def framed(image: Image.Image, resize: Size | None, crop: Size | None, interpolation: str) -> Image.Image:
    """Resize a picture, and crop it at the centre.

    Args:
        image: A picture of any mode.
        resize: As for [`resized`][].
        crop: As for [`resized`][].
        interpolation: The name of a filter of Pillow, such as "bilinear".

    Raises:
        InputError: If the result would be enlarged beyond `LARGEST_SIDE` x `LARGEST_SIDE` pixels.

    Example:
        >>> from PIL import Image
        >>> framed(Image.new("RGB", (400, 300)), 256, 224, "bilinear").size
        (224, 224)
    """
    from PIL import Image

    height, width = resized(image.height, image.width, resize, crop)
    method = Image.Resampling[interpolation.upper()]
    if crop is None:
        if width * height > max(LARGEST_SIDE**2, image.width * image.height):
            raise InputError.expected(
                f"a picture of at most {LARGEST_SIDE**2} pixels after resizing", f"{width} x {height}",
                "crop the picture, or use a smaller resize",
            )  # fmt: skip
        return image if (width, height) == image.size else image.resize((width, height), method)
    top, left, bottom, right = placed(height, width, crop)
    if width * height > max(_MUCH, image.width * image.height):
        # Of a long thin picture the whole would take gigabytes. The box is in pixels of the picture.
        x, y = image.width / width, image.height / height
        box = (left * x, top * y, min(image.width, right * x), min(image.height, bottom * y))
        return image.resize((right - left, bottom - top), method, box)
    if (width, height) != image.size:
        image = image.resize((width, height), method)
    return image.crop((left, top, right, bottom))


def placed(height: int, width: int, crop: Size | None) -> tuple[int, int, int, int]:
    """The place `(top, left, bottom, right)` of the crop in a resized picture.

    Example:
        >>> placed(256, 341, 224)
        (16, 58, 240, 282)
    """
    crop_height, crop_width = (height, width) if crop is None else _pair(crop)
    top, left = round((height - crop_height) / 2), round((width - crop_width) / 2)
    return top, left, top + crop_height, left + crop_width


def _pair(size: Size) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)
