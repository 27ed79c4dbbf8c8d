"""From anything that is a picture or a raster, with or without missing pixels, to a model's input."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import InputError
from .checks import as_bands
from .depth import Depth, windowed
from .frame import Frame
from .raster import SUFFIXES, as_layers, as_valid, read_raw, split_absent
from .read import Picture, read_picture

if TYPE_CHECKING:
    from .preprocess import Preprocess

__all__ = ["Prepared", "Shown", "prepare", "without_absent"]

_DARKEST, _BRIGHTEST = 2, 98  # percentiles between which a band is displayed


class Prepared(NamedTuple):
    """A picture as the model sees it, as a tensor and for display.

    Attributes:
        tensor: float32 `(1, C, h, w)`, normalised as the model wants it.
        picture: uint8 `(h, w, 3)`, the part of the picture that the model sees.
    """

    tensor: Tensor
    picture: Picture


@dataclass(frozen=True)
class Shown:
    """A picture as the model sees it, and where it comes from.

    Attributes:
        tensor: float32 `(1, C, h, w)`, normalised as the model wants it; absent pixels hold the mean of the others.
        picture: uint8 `(h, w, 3)`, the part of the picture that the model sees; absent pixels are white.
        present: Bool `(h, w)`: which pixels are present; None for all.
        frame: The part of the photograph that the model sees; None if unknown.
        note: A remark about the data, such as which bands are displayed; may be empty.
    """

    tensor: Tensor
    picture: Picture
    present: npt.NDArray[np.bool_] | None = None
    frame: Frame | None = None
    note: str = ""


def prepare(preprocess: Preprocess, img: object, valid: npt.ArrayLike | None) -> Shown:
    """The method [`prepare`][xai_layermask.images.preprocess.Preprocess.prepare] of a preprocessing."""
    if preprocess.is_raster:
        return _raster(preprocess, img, valid)
    depth = Depth(preprocess.bits)
    numbers = isinstance(img, str | os.PathLike) and os.fsdecode(os.fspath(img)).lower().endswith(SUFFIXES)
    raw = read_raw(img) if numbers else img
    filled, present = split_absent(raw, (1, 3, 4))
    picture = read_picture(filled, depth)
    size = (picture.shape[0], picture.shape[1])
    present = as_valid(present, valid, size)
    frame = Frame.of(*size, preprocess.resize, preprocess.crop)
    if present is None:
        seen: Picture = preprocess.framed(picture)
        return Shown(preprocess.normalize(seen), seen, None, frame, depth.note)
    values, present = _framed(preprocess, picture.astype(np.float32), present)
    seen = np.rint(values.clip(0, 255)).astype(np.uint8)
    tensor = without_absent(preprocess.normalize(seen), present)
    return Shown(tensor, np.where(present[..., None], seen, 255).astype(np.uint8), present, frame, depth.note)


def _raster(preprocess: Preprocess, img: object, valid: npt.ArrayLike | None) -> Shown:
    count = preprocess.count
    filled, present = split_absent(read_raw(img, bands=True), (count,) if preprocess.window is None else (1, count))
    layers = as_layers(filled, (count,) if preprocess.window is None else (1, count))
    present = as_valid(present, valid, layers.shape[:2])
    values, note = layers, ""
    if preprocess.window is not None:
        values = windowed(layers, preprocess.window)
        note = "window of {:g} to {:g}".format(*_ends(preprocess.window))
    elif preprocess.bits is not None:
        highest = (layers if present is None else layers[present]).max()
        if highest >= 2**preprocess.bits:
            raise InputError.expected(f"values below {2**preprocess.bits} in image for bits={preprocess.bits}", highest)
        values = layers / float(2**preprocess.bits - 1)
    frame = Frame.of(layers.shape[0], layers.shape[1], preprocess.resize, preprocess.crop)
    values, present = _framed(preprocess, values.astype(np.float32), present)
    tensor = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]
    if values.shape[2] == 1 and (count > 1 or isinstance(preprocess.channels, str)):
        tensor = tensor.expand(-1, 3 if isinstance(preprocess.channels, str) else count, -1, -1)
    shown = as_bands(preprocess.bands, values.shape[2]) if values.shape[2] == count else (0,)
    fixed = preprocess.window is not None or preprocess.bits is not None
    picture = _display(values[..., list(shown)], present, fixed)
    notes = [note, _bands_note(shown, values.shape[2], fixed)]
    scaled = preprocess.scaled(tensor)
    if present is not None:
        scaled = without_absent(scaled, present)
    return Shown(scaled, picture, present, frame, ", ".join(filter(None, notes)))


def _framed(
    preprocess: Preprocess, values: npt.NDArray[np.float32], present: npt.NDArray[np.bool_] | None
) -> tuple[npt.NDArray[np.float32], Any]:
    """Resize and crop channels `(H, W, C)`; at an edge of absence each pixel is the mean of what is present there."""
    layers = [np.ascontiguousarray(values[..., i]) for i in range(values.shape[2])]
    if present is None:
        return np.stack([preprocess.framed(layer) for layer in layers], axis=2), None
    share = preprocess.framed(present.astype(np.float32))
    kept = share > 0.5
    sums = np.stack([preprocess.framed(np.where(present, layer, 0).astype(np.float32)) for layer in layers], axis=2)
    if not kept.any():
        raise InputError.expected("at least one valid pixel in the part that the model sees", "none")
    mean: npt.NDArray[np.float32] = (sums / np.where(kept, share, 1)[..., None]).astype(np.float32)
    return mean, kept


def without_absent(tensor: Tensor, present: npt.NDArray[np.bool_]) -> Tensor:
    """The tensor with the mean of present pixels, per channel, at the absent ones: no fill is computed from garbage."""
    mask = torch.from_numpy(present)
    means = tensor[..., mask].mean(-1)[..., None, None]
    return torch.where(mask, tensor, means)


def _display(values: npt.NDArray[np.float32], present: Any, fixed: bool) -> Picture:
    """One band in grey or three in colours, uint8 `(h, w, 3)`; absent pixels are white."""
    inside = values.reshape(-1, values.shape[2]) if present is None else values[present]
    if not fixed:
        low, high = np.percentile(inside, (_DARKEST, _BRIGHTEST), axis=0)
        values = (values - low) / np.where(high > low, high - low, 1)
    levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    picture: Picture = np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))
    return picture if present is None else np.where(present[..., None], picture, 255).astype(np.uint8)


def _bands_note(shown: tuple[int, ...], count: int, fixed: bool) -> str:
    words = []
    if count > 1:
        numbers = ", ".join(map(str, shown))
        words.append(f"bands {numbers} of {count} shown" if len(shown) > 1 else f"band {numbers} of {count} shown")
    if not fixed:
        words.append(f"display stretched from percentile {_DARKEST} to {_BRIGHTEST}")
    return ", ".join(words)


def _ends(window: tuple[float, float]) -> tuple[float, float]:
    centre, width = window
    return centre - width / 2, centre + width / 2
