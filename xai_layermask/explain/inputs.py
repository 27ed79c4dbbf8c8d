"""What goes into an explanation: segments in any coordinates, missing pixels, further inputs of the model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..images import Frame, Shown
from ..maskings import as_extras
from ..segments import Segments, centroids, segment
from .spatial import Kernel, kernels

__all__ = ["Players", "as_inputs", "cut_to_crop", "find_players"]


class Players(NamedTuple):
    """The segments of a picture, and those that take part.

    Attributes:
        segments: int64 `(H, W)`, ids 0..K-1; missing pixels are the last segment.
        played: int64 `(H, W)`, ids 0..number-1: the same, with any id at missing pixels.
        number: Number of segments that take part.
    """

    segments: Segments
    played: Segments
    number: int

    def kernels(self) -> list[Kernel]:
        """The spatial priors of the segments that take part."""
        found, count = kernels(self.segments), self.number
        return [
            one if one.covariance is None else one._replace(covariance=one.covariance[:count, :count]) for one in found
        ]

    def centres(self) -> tuple[npt.NDArray[np.float64], tuple[int, int]]:
        """The centroids `(number, 2)` of the segments that take part, and the size of the picture."""
        return centroids(self.segments)[: self.number], (self.segments.shape[0], self.segments.shape[1])

    def all_scores(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Scores, or their errors, of all segments: 0 for missing pixels."""
        missing = int(self.segments.max()) + 1 - self.number
        return np.pad(scores, ((0, 0), (0, missing)))


def find_players(shown: Shown, how: Any) -> Players:
    """Segment a picture.

    Args:
        shown: The picture, as the model sees it.
        how: As [`segment`][xai_layermask.segments.segment] takes it; a map may also cover the whole photograph.

    Raises:
        InputError: If the segmentation is unknown, or a map fits neither the picture nor the photograph.

    Example:
        >>> picture, present = np.zeros((2, 4, 3), np.uint8), np.array([[True] * 3 + [False]] * 2)
        >>> players = find_players(Shown(torch.zeros(1, 3, 2, 4), picture, present), np.array([[4, 7, 9, 9]] * 2))
        >>> players.segments[0].tolist(), players.played[0].tolist(), players.number
        ([0, 1, 2, 3], [0, 1, 2, 0], 3)
    """
    whole = how if isinstance(how, str) or callable(how) else cut_to_crop(how, shown.picture.shape[:2], shown.frame)
    segments = segment(shown.picture, whole)
    if shown.present is None:
        return Players(segments, segments, int(segments.max()) + 1)
    kept, ids = np.unique(segments[shown.present], return_inverse=True)
    split, played = np.full_like(segments, len(kept)), np.zeros_like(segments)
    split[shown.present] = played[shown.present] = ids
    return Players(split, played, len(kept))


def cut_to_crop(values: Any, size: tuple[int, ...], frame: Frame | None) -> Any:
    """Cut a map over the whole photograph to the part that the model sees; any other map is returned as it is."""
    array = values.detach().cpu() if isinstance(values, Tensor) else values
    shape = tuple(np.shape(array))
    if frame is None or shape == tuple(size) or shape != frame.size:
        return values
    return frame.cropped(array, *size)


def as_inputs(additional: Any, device: torch.device, dtype: torch.dtype) -> tuple[Any, ...]:
    """Further inputs on the model's device, floating-point ones in its dtype; arrays become tensors."""

    def moved(one: Any) -> Any:
        if isinstance(one, np.ndarray):
            one = torch.from_numpy(one)
        if not isinstance(one, Tensor):
            return one
        return one.to(device, dtype if one.is_floating_point() else None)

    found: tuple[Any, ...] = torch.utils._pytree.tree_map(moved, as_extras(additional))
    return found
