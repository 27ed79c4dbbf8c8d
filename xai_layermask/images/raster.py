"""Rasters: arrays of numbers of any type and number of channels, from files, arrays and tensors."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import InputError, reason
from .decode import drops_bands, has_inks, loses_bits, open_picture, upright_numbers
from .deep import deep_png
from .depth import Depth
from .read import from_pil, read_file, unusual_tensor
from .tiff import tiff_numbers

__all__ = ["SUFFIXES", "as_layers", "as_valid", "read_raw", "split_absent"]

Mask = npt.NDArray[np.bool_]

#: Suffixes of files that may hold other numbers than colours.
SUFFIXES = (".npy", ".tif", ".tiff")


def read_raw(img: object, bands: bool = False) -> Any:
    """Read a picture or raster without changing its numbers.

    Args:
        img: A path of a picture, a .npy file, or a .tif file with any number of bands; a PIL image; an array, masked
            or not; or a tensor.
        bands: Whether the frames of a .tif file are the bands of a raster; otherwise the first frame is read.

    Returns:
        Numbers `(H, W)`, `(H, W, C)` or `(C, H, W)`. Pictures of 8 bits are `(H, W)` grey or `(H, W, 3)` RGB.

    Raises:
        InputError: If there is no such file, or it holds something else.
    """
    if isinstance(img, str | os.PathLike):
        path = Path(os.fsdecode(os.fspath(img)))
        return _loaded(path) if path.suffix.lower() == ".npy" else _decoded(path, bands)
    if isinstance(img, torch.Tensor):
        unusual = unusual_tensor(img)
        if unusual:
            raise InputError.expected("a dense tensor of numbers for image", *unusual)
        tensor = img.detach().cpu().resolve_conj().resolve_neg()
        tensor = tensor[0] if tensor.dim() == 4 and len(tensor) == 1 else tensor
        return (tensor.float() if tensor.is_floating_point() and tensor.itemsize < 4 else tensor).numpy()
    if isinstance(img, np.ndarray):
        return img
    from PIL import Image

    if isinstance(img, Image.Image):
        return _from_pil(img)
    raise InputError.expected("a path, a PIL image, an array or a tensor for image", type(img).__name__)


def _loaded(path: Path) -> npt.NDArray[Any]:
    try:
        array = np.load(io.BytesIO(read_file(path)), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError.expected("a .npy file of numbers for image", f"{str(path)!r} ({reason(error)})") from error
    return np.asarray(array)


def _decoded(path: Path, bands: bool) -> npt.NDArray[Any]:
    content, tiff = read_file(path), path.suffix.lower() in (".tif", ".tiff")
    try:
        with open_picture(content, str(path)) as image:
            deep = deep_png(content) if image.format == "PNG" and loses_bits(image) else None
            if deep is not None and deep.shape[2] == 3:
                return deep
            deeper = loses_bits(image) and (bands or not has_inks(image))
            if not (tiff and (deeper or (bands and (getattr(image, "n_frames", 1) > 1 or drops_bands(image))))):
                return _from_pil(image, f"the file {str(path)!r}")
    except InputError as error:
        bomb = type(error.__cause__).__name__.startswith("DecompressionBomb")
        found = tiff_numbers(content, bands) if tiff and not bomb else None
        if found is None:
            raise
        return found
    found = tiff_numbers(content, bands)
    if found is None:
        raise InputError.expected("a TIFF of bands that tifffile can read for image", f"the file {str(path)!r}")
    return found


def _from_pil(image: Any, what: str = "the PIL image") -> npt.NDArray[Any]:
    if image.mode == "F" or image.mode.startswith("I"):
        try:
            values = upright_numbers(image)
        except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error ...
            raise InputError.expected(
                "a complete picture for image", f"{what} that cannot be decoded ({reason(error)})",
                "it may be truncated or damaged",
            ) from error  # fmt: skip
        narrow = image.mode == "I" and values.size and values.min() >= 0 and values.max() <= 65535
        return values.astype(np.uint16 if values.max() > 255 else np.uint8) if narrow else values
    colours = from_pil(image, what, Depth())
    return colours[..., 0] if image.mode in ("1", "L") else colours


def as_layers(array: npt.NDArray[Any], counts: Sequence[int]) -> npt.NDArray[Any]:
    """Bring a raster to `(H, W, C)`.

    Args:
        array: `(H, W)`, `(H, W, C)` or `(C, H, W)`; taken as last where both are possible.
        counts: The numbers of channels that are possible.

    Raises:
        InputError: If it has another number of channels, or holds no real numbers.

    Example:
        >>> as_layers(np.zeros((13, 4, 5)), (13,)).shape
        (4, 5, 13)
    """
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim == 3 and array.shape[2] not in counts and array.shape[0] in counts:
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and 1 in counts and array.shape[2] == 3 and (array == array[..., :1]).all():
        array = array[..., :1]  # a grey picture that was read as colours
    if array.ndim != 3 or array.shape[2] not in counts or 0 in array.shape:
        numbers = ", ".join(str(count) for count in dict.fromkeys(counts))
        wanted = f"{numbers} channel{'' if numbers == '1' else 's'}"
        remedy = "use Preprocess(channels=C, mean=..., std=...) for a network of C bands"
        if array.ndim == 3 and array.shape[2] == 3:
            remedy = "use Preprocess(channels='L', ...), which converts colours to grey" if 1 in counts else ""
        raise InputError.expected(f"an array (H, W, C) or (C, H, W) of {wanted} for image", array.shape, remedy)
    if array.dtype.kind not in "biuf":
        raise InputError.expected("real numbers in image", array.dtype)
    return array


def split_absent(img: Any, counts: Sequence[int]) -> tuple[Any, Mask | None]:
    """Separate missing pixels from a picture: those that are NaN, or masked in a masked array, in any channel.

    Args:
        img: A picture in any form.
        counts: The numbers of channels that are possible.

    Returns:
        The picture, with zeros at missing pixels, and which pixels are present, `(H, W)`; None for all.

    Example:
        >>> filled, present = split_absent(np.array([[0.5, np.nan]]), (1,))
        >>> filled.tolist(), present.tolist()
        ([[0.5, 0.0]], [[True, False]])
    """
    array = img
    if isinstance(img, torch.Tensor) and unusual_tensor(img) is None and img.is_floating_point():
        array = read_raw(img) if bool(img.detach().float().isnan().any()) else img
        if isinstance(array, np.ndarray) and array.ndim == 3 and array.shape[0] in counts:
            array = array.transpose(1, 2, 0)  # a narrow picture would look like one with channels last
    if isinstance(array, np.ma.MaskedArray):
        missing, array = np.ma.getmaskarray(array), array.filled(0)
    elif isinstance(array, np.ndarray) and array.dtype.kind == "f":
        missing = np.zeros(array.shape, bool)
    else:
        return img, None
    if array.dtype.kind == "f":
        missing = missing | np.isnan(array)
    if not missing.any():
        return (array if isinstance(img, np.ma.MaskedArray) else img), None
    absent = np.asarray(as_layers(missing, tuple(counts)).any(axis=2))
    return np.where(missing, np.zeros((), array.dtype), array), ~absent


def as_valid(present: Mask | None, valid: npt.ArrayLike | None, size: tuple[int, int]) -> Mask | None:
    """Combine the pixels that are present in a picture with those that the caller marks as valid.

    Raises:
        InputError: If `valid` is not bool or 0/1 of the picture's size, or no pixel is valid.

    Example:
        >>> as_valid(None, [[1, 0]], (1, 2))
        array([[ True, False]])
    """
    if valid is not None:
        array = np.asarray(valid.detach().cpu().double() if isinstance(valid, torch.Tensor) else valid)
        array = array.reshape(array.shape[-2:]) if array.ndim in (3, 4) and array.size == size[0] * size[1] else array
        if array.shape != tuple(size) or array.dtype.kind not in "biuf" or not ((array == 0) | (array == 1)).all():
            got = array.shape if array.shape != tuple(size) else "other numbers"
            raise InputError.expected(f"bool or 0/1 of the photograph's size {tuple(size)} for valid", got)
        present = array.astype(bool) if present is None else present & array.astype(bool)
    if present is None or present.all():
        return None
    if not present.any():
        raise InputError.expected("at least one valid pixel in image", "none")
    return present
