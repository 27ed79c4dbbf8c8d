"""Segments: the interpretable features of a picture, as an integer map.

Ids are always 0..n-1 without gaps: a gap would silently shift the scores of all later segments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .catalog import parse_segmentation
from .errors import InputError, check_integer, check_number, refuse_masked

__all__ = [
    "centroids",
    "check_segments",
    "felzenszwalb",
    "patches",
    "presence_at",
    "presence_of",
    "quickshift",
    "segment",
    "slic",
]

Segments = npt.NDArray[np.int64]
Picture = npt.NDArray[np.uint8]


def _check_picture(image: object) -> None:
    if not isinstance(image, np.ndarray):
        got = type(image).__name__
    elif image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        got = f"{image.dtype} {image.shape}"
    else:
        return
    raise InputError.expected("a uint8 array (H, W, 3) for image", got, "read it with read_image")


def _contiguous(ids: npt.NDArray[np.integer[Any]]) -> Segments:
    inverse: Segments = np.unique(ids, return_inverse=True)[1].astype(np.int64)
    return inverse.reshape(ids.shape)


def patches(image: Picture, size: int = 16) -> Segments:
    """Square patches, row by row.

    Args:
        image: uint8 `(H, W, 3)`.
        size: Side of a patch in pixels; the last ones of a row or column may be smaller.

    Returns:
        int64 `(H, W)`, ids 0..n-1.

    Raises:
        InputError: If the image is something else, or the size is not an integer of at least 1.

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
    return ids.astype(np.int64)  # some systems have 32-bit integers


def slic(image: Picture, n_segments: int = 196, compactness: float = 20.0) -> Segments:
    """Superpixels by SLIC: k-means over colour and position.

    Args:
        image: uint8 `(H, W, 3)`.
        n_segments: Approximate number of segments; there are usually fewer, since stray pixels are merged.
        compactness: Weight of position against colour. Larger values give squarer segments, closer to `n_segments`:
            on 224 x 224 photographs 196 become about 180 with 20, and 150 with scikit-image's default of 10.

    Returns:
        int64 `(H, W)`, ids 0..n-1.

    Raises:
        InputError: If the image is something else, or a number is out of range.

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
    """Superpixels by quickshift: mode seeking in colour and position, with the paper's settings for LIME.

    Args:
        image: uint8 `(H, W, 3)`.
        kernel_size: Width of the density estimate in pixels; larger values give fewer segments.
        max_dist: Longest link in the tree of modes; larger values give fewer segments.
        ratio: Weight of colour against position, 0 to 1.

    Returns:
        int64 `(H, W)`, ids 0..n-1; deterministic, since ties are broken with a fixed seed.

    Raises:
        InputError: If the image is something else, or a number is out of range.

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
    """Segments by Felzenszwalb and Huttenlocher's graph cut, which vary widely in size.

    Args:
        image: uint8 `(H, W, 3)`.
        scale: Larger values give fewer and larger segments.
        sigma: Width of the preceding smoothing in pixels.
        min_size: Smallest segment in pixels.

    Returns:
        int64 `(H, W)`, ids 0..n-1.

    Raises:
        InputError: If the image is something else, or a number is out of range.

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
    """Check a segment map, and renumber its segments from 0 without gaps.

    Args:
        segments: Integers `(H, W)` of at least 0, as an array, a tensor or nested lists; gaps are allowed. Booleans
            are two segments: the rest, and a region of interest.
        shape: `(H, W)` of the picture, after cropping.

    Returns:
        int64 `(H, W)`, ids 0..n-1 in the order of the given ids.

    Raises:
        InputError: If the shape or dtype is wrong, an id is negative, or there is only one segment.

    Example:
        >>> check_segments([[7, 7], [3, 9]], (2, 2))
        array([[1, 1],
               [0, 2]])
        >>> check_segments(np.ones((2, 2)), (2, 2))
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected integers for segments, got float64: use segments.astype(int)
    """
    refuse_masked(segments, "segments")
    try:
        ids = np.asarray(segments.detach().cpu() if isinstance(segments, torch.Tensor) else segments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError.expected(f"an integer array {shape} for segments", type(segments).__name__) from error
    ids = ids.astype(np.int64) if ids.dtype == bool else ids
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError.expected("integers for segments", ids.dtype, "use segments.astype(int)")
    if ids.shape != shape:
        raise InputError.expected(f"the shape of the cropped picture, {shape}, for segments", ids.shape)
    if ids.min() < 0:
        negative = f"a negative id for {int((ids < 0).sum())} pixels"
        raise InputError.expected("ids of at least 0 in segments", negative, "give the background its own id")
    result = _contiguous(ids)
    if result.max() == 0:
        raise InputError.expected("at least two segments", "one", "use smaller segments")
    return result


def _named(image: Picture, how: str) -> Segments:
    functions: dict[str, Callable[..., Segments]] = {
        one.__name__: one for one in (patches, slic, quickshift, felzenszwalb)
    }
    name, options = parse_segmentation(how)
    return functions[name](image, **options)


def segment(image: Picture, how: str | npt.ArrayLike | Callable[[Picture], object]) -> Segments:
    """Segment a picture by name, by a given map, or by a function.

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
        found = how(image.copy())  # the function may modify its argument
    return check_segments(found, (image.shape[0], image.shape[1]))


def centroids(segments: Segments) -> npt.NDArray[np.float64]:
    """The centroids of segments.

    Args:
        segments: int64 `(H, W)`, ids 0..K-1.

    Returns:
        float64 `(K, 2)`: row and column in pixels; the centre of the first pixel is (0, 0).

    Example:
        >>> centroids(np.array([[0, 0, 0, 1], [0, 0, 0, 1]]))
        array([[0.5, 1. ],
               [0.5, 3. ]])
    """
    flat = segments.ravel()
    areas = np.bincount(flat)
    return np.stack([np.bincount(flat, axis.ravel()) / areas for axis in np.indices(segments.shape)], axis=1)


def presence_of(segments: Segments, coalitions: npt.ArrayLike | torch.Tensor) -> torch.Tensor:
    """The presence masks of coalitions of segments.

    Args:
        segments: int64 `(H, W)`, ids 0..K-1; or `(C, H, W)`, with one map per channel.
        coalitions: Bool or 0/1 `(M, K)`: which segments are present in each of M masks.

    Returns:
        Bool `(M, 1, H, W)`, or `(M, C, H, W)` by channel, on the device of `coalitions`.

    Raises:
        InputError: If `coalitions` has another shape, or values other than 0 and 1.

    Example:
        >>> presence_of(np.array([[0, 0, 1]]), [[True, False], [False, True]]).int()
        tensor([[[[1, 1, 0]]],
        <BLANKLINE>
        <BLANKLINE>
                [[[0, 0, 1]]]], dtype=torch.int32)
    """
    ids = torch.from_numpy(np.array(segments))  # a copy: the segments of an explanation are read-only
    count = int(ids.max()) + 1
    kept = coalitions if isinstance(coalitions, torch.Tensor) else torch.from_numpy(np.array(coalitions))
    if kept.dim() != 2 or kept.shape[1] != count:
        raise InputError.expected(f"the shape (M, {count}) for coalitions", tuple(kept.shape))
    if kept.dtype != torch.bool and not bool(((kept == 0) | (kept == 1)).all()):
        raise InputError.expected("only 0 and 1 in coalitions", "other numbers")
    return presence_at(ids.to(kept.device), kept.bool())


def presence_at(ids: torch.Tensor, coalitions: torch.Tensor) -> torch.Tensor:
    """[`presence_of`][] for tensors on one device that are known to fit, which reads nothing back."""
    places = ids.flatten().expand(len(coalitions), -1)
    return coalitions.gather(1, places).view(len(coalitions), *(1, *ids.shape)[-3:])
