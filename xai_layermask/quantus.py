"""Quantus' faithfulness metrics with layer masking instead of a baseline.

Requires `pip install xai-layermask[quantus]`. Quantus perturbs arrays of pixels. [`remove_pixels`][] marks the pixels
that it would replace as NaN, and [`AbsentNaN`][] shows the network the image without them. The mark travels in the
array itself, so nothing is shared between calls, batches or threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from .errors import InputError
from .maskings import Masking

__all__ = ["AbsentNaN", "remove_pixels", "restore_pixels"]

Floats = npt.NDArray[np.floating[Any]]


class AbsentNaN(nn.Module):
    """A masking called with the image alone, whose NaN pixels are absent: the `model` of Quantus' metrics.

    A pixel is absent if it is NaN in any channel. An image without NaN is predicted as the network itself does, so
    that explanations by gradients can be computed with the same object.

    Args:
        masking: `LayerMask(model)`, or a `Fill` whose fill is not computed from absent pixels.

    Raises:
        InputError: If it is something else.

    Example:
        >>> import quantus
        >>> from xai_layermask import LayerMask
        >>> model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> metric = quantus.Selectivity(patch_size=4, perturb_func=remove_pixels, disable_warnings=True)
        >>> generator = np.random.default_rng(0)
        >>> images, attributions = generator.random((2, 3, 8, 8)), generator.random((2, 1, 8, 8))
        >>> np.shape(metric(AbsentNaN(LayerMask(model)), images, np.array([0, 1]), attributions))
        (2, 4)
    """

    def __init__(self, masking: Masking) -> None:
        super().__init__()
        if not isinstance(masking, Masking):
            raise InputError.expected("a masking", type(masking).__name__, "pass LayerMask(model)")
        if masking.sees_absent:
            raise InputError.expected(
                "a masking that does not see absent pixels", masking.name, "use Quantus' own function for this fill"
            )
        self.masking = masking
        self.training = False  # Quantus refuses a model in training mode

    def forward(self, image: Tensor) -> Tensor:
        """Predict from the pixels that are not NaN.

        Args:
            image: `(N, C, H, W)`, normalised as the model wants it.

        Returns:
            The model's own logits, `(N, K)`.

        Raises:
            InputError: If it is not a batch of images, or a present pixel is infinite.
        """
        absent = image.isnan().any(1, keepdim=True)
        answer: Tensor = self.masking(image, ~absent if bool(absent.any()) else None)
        return answer


def remove_pixels(
    arr: Floats,
    indices: npt.NDArray[np.integer[Any]] | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
    perturb_baseline: object = None,
    noise: object = None,
) -> Floats:
    """Mark pixels as absent: the `perturb_func` of Quantus' metrics.

    Args:
        arr: Images as a metric passes them: flat, `(N, F)`; or, with a mask or one image, of any shape.
        indices: Places to remove: `(N, I)` for flat images, `(I,)` in the order of memory for one image.
        mask: What to remove, bool, broadcastable to `arr`.
        perturb_baseline: Passed by most metrics. It has no effect, since absent pixels have no value.
        noise: Passed by `ROAD`. It has no effect.

    Returns:
        A copy with NaN in these places.

    Raises:
        InputError: If not exactly one of `indices` and `mask` is given.

    Example:
        >>> remove_pixels(np.zeros((2, 3)), indices=np.array([[0], [2]]))
        array([[nan,  0.,  0.],
               [ 0.,  0., nan]])
    """
    if (indices is None) == (mask is None):
        raise InputError.expected("either indices or mask", "neither" if mask is None else "both")
    if mask is not None:
        removed: Floats = np.where(mask, np.nan, arr).astype(arr.dtype, copy=False)
        return removed
    places = np.asarray(indices)
    changed = arr.copy()
    if places.ndim == 2:
        np.put_along_axis(changed, places, np.nan, axis=1)
    else:
        changed.reshape(-1)[places] = np.nan
    return changed


def restore_pixels(
    arr: Floats, indices: npt.NDArray[np.integer[Any]], images: Floats, perturb_baseline: object = None
) -> Floats:
    """Make absent pixels present again: the `perturb_func` of `quantus.Monotonicity`.

    That metric starts from an image without pixels and adds them. It does not pass the image to its function, so pass
    it yourself: `Monotonicity(perturb_func=restore_pixels, perturb_baseline=float("nan"),
    perturb_func_kwargs={"images": images})`, and evaluate all images in one batch.

    Args:
        arr: Flat images `(N, F)`, NaN where absent.
        indices: Places to restore, `(N, I)`.
        images: The whole images, `(N, C, H, W)` or `(N, F)`.
        perturb_baseline: Passed by the metric, which starts from it. It has no effect here.

    Returns:
        A copy with the images' values in these places.

    Raises:
        InputError: If `arr` does not hold the same number of images of this size.

    Example:
        >>> restore_pixels(np.full((1, 3), np.nan), np.array([[1]]), np.array([[5.0, 6.0, 7.0]]))
        array([[nan,  6., nan]])
    """
    whole = np.asarray(images).reshape(len(images), -1)
    if whole.shape != arr.shape:
        raise InputError.expected(
            f"flat images {whole.shape}, as many values as images has, for arr",
            arr.shape,
            "call the metric with batch_size=len(images)",
        )
    changed = arr.copy()
    np.put_along_axis(changed, indices, np.take_along_axis(whole, indices, axis=1), axis=1)
    return changed
