"""Pictures from files, arrays, tensors and PIL images: uint8 `(H, W, 3)` in RGB, upright and opaque."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import InputError, reason, refuse_masked
from .decode import has_inks, loses_bits, open_picture, upright, upright_numbers
from .deep import deep_png
from .depth import Depth
from .tiff import tiff_numbers

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "decode_image",
    "from_pil",
    "read_file",
    "read_image",
    "read_picture",
    "sample_name",
    "sample_photograph",
    "unusual_tensor",
]

Picture = npt.NDArray[np.uint8]

sample_name = "coffee"

# Tolerance around [0, 1], for interpolation and float16; well under half a grey level.
_SLACK = 1e-3


def sample_photograph() -> Picture:
    """A photograph from scikit-image, without a download: an espresso on a table, by Rachel Michetti (CC0).

    Returns:
        uint8 `(400, 600, 3)`.

    Example:
        >>> sample_photograph().shape
        (400, 600, 3)
    """
    import skimage.data

    return read_image(skimage.data.coffee())  # type: ignore[no-untyped-call]


def read_image(img: object, bits: int | None = None) -> Picture:
    """Read a picture.

    Transparent pixels are composited on white, EXIF rotation is applied, and the first frame is read. 16 bits are
    reduced to 8, by the bits that are used: cameras and scanners store 10, 12 or 14 bits in 16.

    Args:
        img: A path; a PIL image of any mode; an array `(H, W)`, `(H, W, C)` or `(C, H, W)` with C of 1, 3 or 4 (taken
            as last where both are possible), uint8, uint16 or float in [0, 1]; or a tensor `(C, H, W)` or
            `(1, C, H, W)` of the same types.
        bits: The number of bits of white in 16-bit data; if None, the smallest of 8, 10, 12, 14 and 16 that holds
            the brightest pixel.

    Returns:
        uint8 `(H, W, 3)`, RGB, a copy.

    Raises:
        InputError: If it is not a picture.

    Example:
        >>> read_image(torch.ones(3, 2, 4)).shape
        (2, 4, 3)
        >>> read_image(np.full((2, 4), 128, np.uint8))[0, 0].tolist()
        [128, 128, 128]
        >>> read_image("missing.jpg")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected an existing file for image, got 'missing.jpg'
    """
    return read_picture(img, Depth(bits))


def read_picture(img: object, depth: Depth) -> Picture:
    """Read a picture as [`read_image`][] does; `depth.note` says afterwards how 16 bits were reduced."""
    if isinstance(img, (str, os.PathLike)):
        name = os.fsdecode(os.fspath(img))
        return decode_image(read_file(name), name, depth)
    if isinstance(img, torch.Tensor):
        return _from_tensor(img, depth)
    if isinstance(img, np.ndarray):
        refuse_masked(img, "image")
        return _from_array(img, depth)
    from PIL import Image

    if isinstance(img, Image.Image):
        return from_pil(img, "the PIL image", depth)
    raise InputError.expected("a path, a PIL image, an array or a tensor for image", type(img).__name__)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Read the content of a picture file, for [`decode_image`][].

    Raises:
        InputError: If there is no such file, or it cannot be read.
    """
    name = os.fspath(path)
    if not os.path.exists(name):
        raise InputError.expected("an existing file for image", repr(name))
    if not os.path.isfile(name):
        kind = "folder" if os.path.isdir(name) else "device or pipe"
        raise InputError.expected("a file for image", f"the {kind} {name!r}")
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise InputError.expected("a readable file for image", f"{name!r} ({reason(error)})") from error


def decode_image(content: bytes, name: str, depth: Depth | None = None) -> Picture:
    """Decode the content of a picture file as [`read_image`][] does.

    Args:
        content: The bytes of the file.
        name: Name of the file, for error messages.
        depth: How 16 bits are reduced.

    Returns:
        uint8 `(H, W, 3)`, RGB.

    Raises:
        InputError: If the bytes are not a picture.
    """
    depth = depth or Depth()
    with open_picture(content, name) as image:
        if image.format == "PNG" and loses_bits(image):
            deep = deep_png(content)
            if deep is not None:
                return _from_deep(deep, depth)
            depth.note = "8 of 16 bits read: install torchvision for all"
        if image.format == "TIFF" and loses_bits(image) and not has_inks(image):
            numbers = tiff_numbers(content, bands=False)
            if numbers is None:
                raise InputError.expected("a TIFF of 16 bits that tifffile can read for image", f"the file {name!r}")
            return _from_array(numbers, depth)
        return from_pil(image, f"the file {name!r}", depth)


def from_pil(image: Image.Image, what: str, depth: Depth) -> Picture:
    """Convert an image of Pillow as [`read_image`][] does; `what` names it in error messages."""
    from PIL import Image

    if 0 in image.size:
        raise InputError.expected("at least one pixel in image", f"{what} of {image.width} x {image.height}")
    try:
        if not (image.mode == "F" or image.mode.startswith("I")):
            image = upright(image)
            if image.has_transparency_data:
                transparent = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", transparent.size, "white"), transparent)
            return np.array(image.convert("RGB"))
        values = upright_numbers(image)
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error ...
        raise InputError.expected(
            "a complete picture for image", f"{what} that cannot be decoded ({reason(error)})",
            "it may be truncated or damaged",
        ) from error  # fmt: skip
    if image.mode == "I":
        # Pillow may store 16-bit greys as 32-bit integers; a conversion from 8 bits leaves 0 to 255.
        if values.min() < 0 or values.max() > 65535:
            raise InputError.expected(
                "greys from 0 to 65535 in image", f"values from {values.min()} to {values.max()}", "rescale it"
            )
        values = values.astype(np.uint16 if values.max() > 255 else np.uint8)
    return _from_array(values, depth)


def _from_tensor(tensor: torch.Tensor, depth: Depth) -> Picture:
    unusual = unusual_tensor(tensor)
    if unusual:
        raise InputError.expected("a dense tensor of numbers for image", *unusual)
    shape = tuple(tensor.shape)
    if tensor.dim() == 4 and shape[0] == 1:
        tensor = tensor[0]
    if tensor.dim() == 4:
        raise InputError.expected("one picture for image", f"a tensor {shape}", "pass one at a time, such as batch[0]")
    if tensor.dim() != 3 or tensor.shape[0] not in (1, 3, 4):
        raise InputError.expected("a tensor (C, H, W) with 1, 3 or 4 channels for image", shape, _remedies(shape))
    tensor = tensor.detach().cpu().permute(1, 2, 0)
    if tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.float32, torch.float64):
        tensor = tensor.float()  # numpy has neither bfloat16 nor 8 bits
    return _opaque(_to_uint8(tensor.resolve_conj().resolve_neg().numpy(), depth))


def unusual_tensor(tensor: torch.Tensor) -> tuple[str, str] | None:
    """The kind of a tensor whose values numpy cannot read, and the remedy."""
    if tensor.device.type == "meta":
        return "a tensor without values (on the meta device)", ""
    if tensor.is_nested:
        return "a nested tensor", "pass one picture of it, such as tensor[0]"
    if tensor.layout != torch.strided:
        return f"a tensor of layout {str(tensor.layout).removeprefix('torch.')}", "use tensor.to_dense()"
    return ("a quantised tensor", "use tensor.dequantize()") if tensor.is_quantized else None


def _remedies(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return "add the channels with tensor[None]"
    return "move the channels to the front with permute(2, 0, 1)" if shape[2:] in ((1,), (3,), (4,)) else ""


def _from_array(array: npt.NDArray[Any], depth: Depth) -> Picture:
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise InputError.expected("an array (H, W), (H, W, C) or (C, H, W) for image", array.shape)
    if array.shape[2] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.shape[2] not in (1, 3, 4):
        raise InputError.expected(
            "1, 3 or 4 channels in image", f"an array {array.shape}",
            "select red, green and blue, or use Preprocess(channels=C, ...) for a network of C bands"
        )
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype != np.uint16 or array.shape[2] != 4 or not array.size:
        return _opaque(_to_uint8(array, depth))
    # Alpha may have more bits than the colours, as where 12 bits of a camera are stored with an opaque alpha of 65535.
    alpha = _to_uint8(array, Depth())[..., 3:]
    return _opaque(np.concatenate([_to_uint8(array[..., :3], depth), alpha], axis=2))


def _from_deep(array: npt.NDArray[np.uint16], depth: Depth) -> Picture:
    """uint16 `(H, W, 1 | 2 | 3 | 4)`; an even number of channels ends in alpha, which has 16 bits in any case."""
    colours = array[..., : array.shape[2] - 1 + array.shape[2] % 2]
    seen = np.broadcast_to(_to_uint8(colours, depth), (*array.shape[:2], 3))
    alpha = [] if colours.shape == array.shape else [(array[..., -1:] >> 8).astype(np.uint8)]
    return _opaque(np.concatenate([seen, *alpha], axis=2))


def _to_uint8(array: npt.NDArray[Any], depth: Depth) -> Picture:
    if array.size == 0:
        raise InputError.expected("at least one pixel in image", f"an array {array.shape}")
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return np.rint(depth.fractions(array) * 255.0).astype(np.uint8)
    if not np.issubdtype(array.dtype, np.floating):
        remedy = "use astype('uint8') if its values are from 0 to 255" if array.dtype.kind in "iu" else ""
        raise InputError.expected(
            "uint8, uint16 or floating-point numbers in image", array.dtype,
            "use astype('uint8') * 255" if array.dtype == bool else remedy,
        )  # fmt: skip
    if not np.isfinite(array).all():
        raise InputError.expected("finite numbers in image", "NaN or infinity")
    low, high = float(array.min()), float(array.max())
    if low < -_SLACK or high > 1 + _SLACK:
        raise InputError.expected(
            "floats from 0 to 1 in image", f"values from {low:g} to {high:g}",
            "divide by 255, or undo the normalisation",
        )  # fmt: skip
    return np.rint(np.clip(array.astype(np.float64), 0.0, 1.0) * 255.0).astype(np.uint8)


def _opaque(array: Picture) -> Picture:
    """uint8 `(H, W, 1 | 3 | 4)` -> uint8 `(H, W, 3)`, always a copy."""
    if array.shape[2] == 4:
        from PIL import Image

        return from_pil(Image.fromarray(np.ascontiguousarray(array)), "the array", Depth())
    return np.array(np.broadcast_to(array, (*array.shape[:2], 3)), order="C")
