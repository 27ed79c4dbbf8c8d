"""The `shap` package with layer masking instead of blurring or inpainting.

Requires `pip install xai-layermask[shap]`. The model to explain is `LayerMask(model).predict_proba`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shap
from shap.maskers import Masker

from .errors import InputError
from .segments import Segments, check_segments

__all__ = ["SegmentMasker"]


class SegmentMasker(Masker):  # type: ignore[misc]
    """A masker for shap's model-agnostic explainers, whose players are the segments of a picture.

    It passes the picture and its presence to the model, a masking's `predict_proba`. There is one attribution per
    segment; [`paint`][xai_layermask.shap.SegmentMasker.paint] spreads them over the pixels for `shap.image_plot`.

    Args:
        segments: Integers `(H, W)`; players are the segments in ascending order of their ids.
        hierarchy: Whether to cluster neighbouring segments hierarchically by their centres. `PartitionExplainer`
            requires it and computes Owen values; without it, `PermutationExplainer` computes Shapley values.

    Attributes:
        segments: int64 `(H, W)`, ids 0..K-1.
        shape: `(1, K)`: one masked picture for each sample of K players.
        clustering: The hierarchy as SciPy's linkage `(K-1, 4)`, or None.

    Raises:
        InputError: If the segments are invalid.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xai_layermask import LayerMask
        >>> model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
        >>> masker = SegmentMasker(np.arange(64).reshape(8, 8) // 16)
        >>> explainer = shap.PartitionExplainer(LayerMask(model).predict_proba, masker)
        >>> values = explainer(picture[None], max_evals=20, silent=True)
        >>> values.shape, masker.paint(values).shape
        ((1, 4, 2), (1, 8, 8, 1, 2))
    """

    #: Tells shap that a call does not write to the outputs of the previous one.
    immutable_outputs = True
    #: Samples per forward pass, unless the caller sets it.
    default_batch_size = 32

    def __init__(self, segments: npt.ArrayLike, hierarchy: bool = True) -> None:
        self.segments = _as_segments(segments)
        self.shape = (1, int(self.segments.max()) + 1)
        self.clustering = self._tree() if hierarchy else None

    def __call__(self, mask: npt.NDArray[np.bool_] | bool, picture: npt.NDArray[Any]) -> tuple[Any, Any]:
        """Remove the players that are not in a coalition.

        Args:
            mask: Bool `(K,)`, the coalition; True for all players, False for none.
            picture: `(H, W, 3)` or `(H, W, 4)`.

        Returns:
            The picture unchanged, `(1, H, W, 3)`, and its presence, bool `(1, 1, H, W)`.

        Raises:
            InputError: If the picture does not fit the segments.
        """
        if np.ndim(picture) != 3 or picture.shape[:2] != self.segments.shape:
            raise InputError.expected(
                f"a picture of the segments' size {self.segments.shape}",
                str(np.shape(picture)),
                "explain a batch (N, H, W, 3) of pictures",
            )
        coalition = self._standardize_mask(mask, picture)
        return np.asarray(picture)[None], coalition[self.segments][None, None]

    def mask_shapes(self, _picture: npt.NDArray[Any]) -> list[tuple[int, ...]]:
        """The shape of the attributions of a picture, for shap: one for each player."""
        return [(self.shape[1],)]

    def feature_names(self, _picture: npt.NDArray[Any]) -> list[list[str]]:
        """The names of the players in shap's plots."""
        return [[f"segment {i}" for i in range(self.shape[1])]]

    def paint(self, explanation: shap.Explanation) -> shap.Explanation:
        """Give each pixel the attribution of its segment, for `shap.image_plot`.

        Args:
            explanation: From an explainer with this masker, not indexed: values `(N, K)` or `(N, K, outputs)` with
                the N pictures as data.

        Returns:
            The same with values `(N, H, W, 1)` or `(N, H, W, 1, outputs)`. Their sum over pixels has no meaning, since
            each pixel holds the attribution of its whole segment.

        Raises:
            InputError: If the explanation has other players, or is indexed.
        """
        values, data = np.asarray(explanation.values), np.asarray(explanation.data)
        if values.ndim not in (2, 3) or values.shape[1] != self.shape[1]:
            raise InputError.expected(
                f"values (N, {self.shape[1]}, ...) in explanation",
                str(values.shape),
                "paint the result of an explainer with this masker",
            )
        # Indexing drops the same dimension of values and data: with as many players as outputs, the values of one
        # picture look like those of several.
        if data.ndim != 4 or data.shape[:3] != (len(values), *self.segments.shape):
            raise InputError.expected(
                f"{len(values)} pictures {self.segments.shape} in explanation.data",
                str(data.shape),
                "paint the whole explanation, then index the result",
            )
        return shap.Explanation(
            values=values[:, self.segments][:, :, :, None],
            base_values=explanation.base_values,
            data=data,
            output_names=explanation.output_names,
        )

    def _tree(self) -> npt.NDArray[np.float64]:
        from scipy.cluster.hierarchy import linkage

        rows, columns = np.indices(self.segments.shape)
        ids = self.segments.ravel()
        area = np.bincount(ids)
        centres = [np.bincount(ids, weights=axis.ravel()) / area for axis in (rows, columns)]
        tree: npt.NDArray[np.float64] = linkage(np.stack(centres, axis=1), method="ward")
        return tree


def _as_segments(segments: npt.ArrayLike) -> Segments:
    try:
        size = tuple(np.shape(segments))
    except ValueError:  # rows of different lengths
        size = ()
    if len(size) != 2 or 0 in size:
        raise InputError.expected("integers (H, W) for segments", f"shape {size}" if size else type(segments).__name__)
    return check_segments(segments, (size[0], size[1]))
