"""Pictures from the bytes of a file: the one place where Pillow decodes files, which may be damaged or hostile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, reason

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["FORMATS", "loses_bits", "open_picture", "upright"]

#: Formats that are read, by Pillow's names. Others, such as EPS, which Pillow passes to Ghostscript, are refused.
FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP")

_ORIENTATION = 0x0112  # the EXIF tag


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
    tiles = map(str, getattr(image, "tile", ()))
    return not image.mode.startswith(("I", "F")) and any(";16" in tile for tile in tiles)


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
        method = turns.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # whatever Pillow raises while it parses EXIF or XMP
        method = None
    return image if method is None else image.transpose(method)
