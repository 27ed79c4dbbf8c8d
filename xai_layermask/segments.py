"""Segments: the interpretable features of a picture, as an integer map.

Every function returns an `(H, W)` map whose ids are 0..n-1 without gaps, whatever scikit-image or the caller
made: a gap would silently shift the scores of all later segments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .catalog import parse_segmentation
from .errors import InputError, check_integer, check_number

__all__ = ["check_segments", "felzenszwalb", "patches", "presence_of", "quickshift", "segment", "slic"]

Segments = npt.NDArray[np.int64]
Picture = npt.NDArray[np.uint8]


def _check_picture(image: object) -> None:
    if not isinstance(image, np.ndarray):
        came = type(image).__name__
    elif image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        came = f"{image.dtype} {image.shape}"
    else:
        return
    raise InputError(f"image must be a uint8 array (H, W, 3), but {came} came: read it by read_image first.")


def _contiguous(ids: npt.NDArray[np.integer[Any]]) -> Segments:
    inverse: Segments = np.unique(ids, return_inverse=True)[1].astype(np.int64)
    return inverse.reshape(ids.shape)


def patches(image: Picture, size: int = 16) -> Segments:
    """Cut the picture into square patches, row by row.

    Args:
        image: uint8 `(H, W, 3)`.
        size: Side of a patch in pixels; where it does not divide, the last of a row or column are smaller.

    Returns:
        int64 `(H, W)`, ids 0..n-1.

    Raises:
        InputError: If the image is no such array, or the size is no whole number of at least 1.

    Example:
        >>> patches(np.zeros((4, 5, 3), np.uint8), size=2)
        array([[0, 0, 1, 1, 2],
               [0, 0, 1, 1, 2],
               [3, 3, 4, 4, 5],
               [3, 3, 4, 4, 5]])
    """
    _check_picture(image)
    check_integer(size, "size", least=1)
    height, width = image.shape[:2]
    columns = -(-width // size)
    ids: Segments = np.arange(height)[:, None] // size * columns + np.arange(width) // size
    return ids.astype(np.int64)  # numpy counts in 32 bits on some systems


def slic(image: Picture, n_segments: int = 196, compactness: float = 20.0) -> Segments:
    """Superpixels by SLIC: k-means over colour and place.

    Args:
        image: uint8 `(H, W, 3)`.
        n_segments: About how many segments; joining stray pixels to their neighbours usually leaves fewer.
        compactness: Weight of place against colour; larger makes squarer segments, nearer to `n_segments`:
            on 224 x 224 photographs 196 become about 180 with 20, and 150 with scikit-image's own 10.

    Returns:
        int64 `(H, W)`, ids 0..n-1.

    Raises:
        InputError: If the image is no such array, or a number is too small.

    Example:
        >>> from xai_layermask.images import sample_photograph
        >>> int(slic(sample_photograph()[:112, :112], n_segments=49).max()) in range(30, 60)
        True
    """
    from skimage.segmentation import slic as skimage_slic

    _check_picture(image)
    check_integer(n_segments, "n_segments", least=1)
    check_number(compactness, "compactness", above=0)
    return _contiguous(skimage_slic(image, n_segments=n_segments, compactness=compactness, start_label=0))


def quickshift(image: Picture, kernel_size: float = 2, max_dist: float = 200, ratio: float = 0.2) -> Segments:
    """Superpixels by quickshift: mode seeking in colour and place, with the paper's settings for LIME.

    Args:
        image: uint8 `(H, W, 3)`.
        kernel_size: Width of the density estimate in pixels; larger makes fewer segments.
        max_dist: Longest link in the tree of modes; larger makes fewer segments.
        ratio: Weight of colour against place, 0 to 1.

    Returns:
        int64 `(H, W)`, ids 0..n-1; the same for the same picture, since ties are broken with a fixed seed.

    Raises:
        InputError: If the image is no such array, or a number is out of range.

    Example:
        >>> from xai_layermask.images import sample_photograph
        >>> int(quickshift(sample_photograph()[:64, :64]).max()) > 4
        True
    """
    from skimage.segmentation import quickshift as skimage_quickshift

    _check_picture(image)
    check_number(kernel_size, "kernel_size", least=1)
    check_number(max_dist, "max_dist", above=0)
    check_number(ratio, "ratio", least=0, most=1)
    options = {"kernel_size": kernel_size, "max_dist": max_dist, "ratio": ratio}
    return _contiguous(skimage_quickshift(image, **options, rng=0))  # type: ignore[no-untyped-call]


def felzenszwalb(image: Picture, scale: float = 100.0, sigma: float = 0.8, min_size: int = 50) -> Segments:
    """Segments by Felzenszwalb and Huttenlocher's graph cut; their sizes differ widely.

    Args:
        image: uint8 `(H, W, 3)`.
        scale: Larger makes fewer and larger segments.
        sigma: Width of the smoothing beforehand in pixels.
        min_size: Smallest segment in pixels.

    Returns:
        int64 `(H, W)`, ids 0..n-1.

    Raises:
        InputError: If the image is no such array, or a number is too small.

    Example:
        >>> from xai_layermask.images import sample_photograph
        >>> int(felzenszwalb(sample_photograph()[80:180, 100:200]).max()) > 4
        True
    """
    from skimage.segmentation import felzenszwalb as skimage_felzenszwalb

    _check_picture(image)
    check_number(scale, "scale", above=0)
    check_number(sigma, "sigma", least=0)
    check_integer(min_size, "min_size", least=1)
    return _contiguous(skimage_felzenszwalb(image, scale=scale, sigma=sigma, min_size=min_size))


def check_segments(segments: object, shape: tuple[int, int]) -> Segments:
    """Check that a segment map covers a picture, and number its segments from 0 without gaps.

    Args:
        segments: Integers `(H, W)` of at least 0, as an array, a tensor or nested lists; gaps are allowed.
        shape: `(H, W)` of the picture, after cropping.

    Returns:
        int64 `(H, W)`, ids 0..n-1 in the order of the ids that came.

    Raises:
        InputError: If the shape or the type is another, an id is negative, or there is only one segment.

    Example:
        >>> check_segments([[7, 7], [3, 9]], (2, 2))
        array([[1, 1],
               [0, 2]])
        >>> check_segments(np.ones((2, 2)), (2, 2))
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: segments must be integers, but float64 came: \
convert them with segments.astype(int).
    """
    try:
        ids = np.asarray(segments.detach().cpu() if isinstance(segments, torch.Tensor) else segments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"segments must be an integer array {shape}, but {type(segments).__name__} came that is none: "
            "give one id for each pixel."
        ) from error
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(
            f"segments must be integers, but {ids.dtype} came: convert them with segments.astype(int)."
        )
    if ids.shape != shape:
        raise InputError(
            f"segments must have the shape of the cropped picture, {shape}, but {ids.shape} came: "
            "give one id for each of its pixels."
        )
    if ids.min() < 0:
        raise InputError(
            f"segments must cover the whole picture, but {int((ids < 0).sum())} pixels have a negative id: "
            "give the background an id of its own."
        )
    result = _contiguous(ids)
    if result.max() == 0:
        raise InputError(
            "segments must be at least two, but only one came: "
            "use smaller segments, since a single one can be compared with nothing."
        )
    return result


def _named(image: Picture, how: str) -> Segments:
    functions: dict[str, Callable[..., Segments]] = {
        one.__name__: one for one in (patches, slic, quickshift, felzenszwalb)
    }
    name, options = parse_segmentation(how)
    return functions[name](image, **options)


def segment(image: Picture, how: str | npt.ArrayLike | Callable[[Picture], object]) -> Segments:
    """Cut a picture into segments in any of the ways that a caller may ask for.

    Args:
        image: uint8 `(H, W, 3)`.
        how: A name: "patches" or "patches:8" (side in pixels), "slic" or "slic:100" (number of segments),
            "quickshift", "felzenszwalb"; or an integer map `(H, W)`; or a function from image to such a map.

    Returns:
        int64 `(H, W)`, ids 0..n-1, with n at least 2.

    Raises:
        InputError: If the name is unknown, or the map does not fit the picture.

    Example:
        >>> int(segment(np.zeros((32, 32, 3), np.uint8), "patches:8").max())
        15
        >>> segment(np.zeros((32, 32, 3), np.uint8), "slick")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected one of patches, slic, quickshift, felzenszwalb for segments, \
got 'slick': did you mean 'slic'?
    """
    _check_picture(image)
    found: object = how
    if isinstance(how, str):
        found = _named(image, how)
    elif callable(how):
        found = how(image.copy())  # a copy: what a function draws on its picture must not show in ours
    return check_segments(found, (image.shape[0], image.shape[1]))


def presence_of(segments: Segments, keep: npt.ArrayLike | torch.Tensor) -> torch.Tensor:
    """Turn choices of segments into presence masks.

    Args:
        segments: int64 `(H, W)`, ids 0..K-1.
        keep: Bool or 0/1 `(M, K)`: which segments are present in each of M masks.

    Returns:
        Bool `(M, 1, H, W)`, on the device of `keep`.

    Raises:
        InputError: If `keep` is not of that shape, or holds anything but 0 and 1.

    Example:
        >>> presence_of(np.array([[0, 0, 1]]), [[True, False], [False, True]]).int()
        tensor([[[[1, 1, 0]]],
        <BLANKLINE>
        <BLANKLINE>
                [[[0, 0, 1]]]], dtype=torch.int32)
    """
    ids = torch.from_numpy(np.array(segments))  # a copy: the segments of an explanation are read-only
    count = int(ids.max()) + 1
    chosen = torch.as_tensor(keep)
    if chosen.dim() != 2 or chosen.shape[1] != count:
        raise InputError(
            f"keep must have the shape (masks, {count}), but {tuple(chosen.shape)} came: "
            "give one choice for each segment."
        )
    if not bool(((chosen == 0) | (chosen == 1)).all()):
        raise InputError("keep must hold only 0 and 1, but other numbers came: threshold it first.")
    places = ids.flatten().to(chosen.device).expand(len(chosen), -1)
    return chosen.bool().gather(1, places).view(len(chosen), 1, *ids.shape)
