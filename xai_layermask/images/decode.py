"""Pictures from the bytes of a file: the one place where Pillow decodes files, which may be damaged or hostile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, reason

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "FORMATS",
    "ORIENTATION",
    "drops_bands",
    "has_inks",
    "loses_bits",
    "open_picture",
    "upright",
    "upright_numbers",
]

#: Formats that are read, by Pillow's names. Others, such as EPS, which Pillow passes to Ghostscript, are refused.
FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP")

#: The tag of EXIF and TIFF.
ORIENTATION = 0x0112
# Tags of TIFF: the bits of each sample, the meaning of samples (0 is a scale from white to black), and their number.
_BITS, _PHOTOMETRIC, _SAMPLES = 258, 262, 277


@contextmanager
def open_picture(source: bytes | Path, name: str) -> Iterator[Image.Image]:
    """Open a picture file. Whatever a decoder raises inside the block becomes an `InputError`.

    Args:
        source: The bytes of the file, or its path.
        name: Name of the file, for error messages.

    Yields:
        The image of Pillow, whose pixels are not decoded yet.

    Raises:
        InputError: If the bytes are not a picture in one of `FORMATS`, or are damaged.

    Example:
        >>> with open_picture(b"no picture", "x.png"):
        ...     pass
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected a picture in one of the formats AVIF, BMP, GIF, HEIF, JPEG, \
JPEG2000, MPO, PNG, PPM, TGA, TIFF, WEBP for image, got the file 'x.png': convert it to PNG or JPEG
    """
    from PIL import Image, UnidentifiedImageError

    if not source:
        raise InputError.expected("a picture for image", f"the empty file {name!r}")
    Image.init()
    try:
        file = source if isinstance(source, Path) else io.BytesIO(source)
        with Image.open(file, formats=[one for one in FORMATS if one in Image.OPEN]) as image:
            yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError.expected(
            f"a picture in one of the formats {', '.join(FORMATS)} for image", f"the file {name!r}",
            "convert it to PNG or JPEG",
        ) from error  # fmt: skip
    except Exception as error:  # decoders raise OSError, ValueError, RuntimeError, SyntaxError, zlib.error ...
        raise InputError.expected("a readable picture for image", f"the file {name!r} ({reason(error)})") from error


def loses_bits(image: Image.Image) -> bool:
    """Whether Pillow reduces the colours of a file that is not loaded yet from 16 bits to 8."""
    if image.mode.startswith(("I", "F")):
        return False
    bits = getattr(image, "tag_v2", {}).get(_BITS, 0) if image.format == "TIFF" else 0
    deep = max(bits) > 8 if isinstance(bits, tuple) else bits > 8
    return deep or _has_deep_tiles(image)


def drops_bands(image: Image.Image) -> bool:
    """Whether Pillow leaves out samples of a TIFF, such as an infrared band beside red, green and blue."""
    return image.format == "TIFF" and getattr(image, "tag_v2", {}).get(_SAMPLES, 1) > len(image.getbands())


def has_inks(image: Image.Image) -> bool:
    """Whether the four samples of a pixel are inks of 16 bits that Pillow converts to colours."""
    return image.mode == "CMYK" and _has_deep_tiles(image)


def _has_deep_tiles(image: Image.Image) -> bool:
    return any(";16" in tile for tile in map(str, getattr(image, "tile", ())))


def upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says. Damaged EXIF data are ignored, since the pixels are intact."""
    from PIL import Image

    image.load()  # some decoders turn the image as they load it, and say so only then
    turn = Image.Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE,
        6: turn.ROTATE_270, 7: turn.TRANSVERSE, 8: turn.ROTATE_90,
    }  # fmt: skip
    try:
        method = turns.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # whatever Pillow raises while it parses EXIF or XMP
        method = None
    return image if method is None else image.transpose(method)


def upright_numbers(image: Image.Image) -> npt.NDArray[Any]:
    """The numbers of an image of more than 8 bits, turned by its EXIF orientation, with 0 for black."""
    tags = getattr(image, "tag_v2", {})
    white_is_zero = image.format == "TIFF" and image.mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == 0
    values = np.asarray(upright(image))
    # Pillow inverts such greys of 8 bits alone.
    return np.asarray(65535 - values, np.uint16) if white_is_zero else values
