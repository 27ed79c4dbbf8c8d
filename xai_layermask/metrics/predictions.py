"""Predictions of a model when segments are removed (section 4.1 and appendix 7.1 of the paper)."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .inputs import Array, Floats, as_array, as_classes, as_vector, shape_of

__all__ = ["class_entropy", "linearity", "unchanged_predictions"]


def class_entropy(predictions: Array) -> float:
    r"""Entropy of the predicted classes over a set of pictures.

    With $q_c$ the share of the pictures with predicted class $c$,

    $$H = -\sum_c q_c \ln q_c \quad \text{(nats; } 0 \ln 0 = 0 \text{)}.$$

    A masking that looks like the same object in every picture (black squares may look like a crossword puzzle) drives
    it to 0. It is at most the logarithm of the number of pictures, so compare sets of equal size.

    Args:
        predictions: The predicted class of each picture, integers `(N,)`.

    Returns:
        The entropy in nats, from 0 to ln N.

    Raises:
        InputError: If there are no predictions, or they are not class indices.

    Example:
        >>> class_entropy([3, 3, 3])
        0.0
        >>> round(class_entropy([0, 1, 2, 3]), 4)  # ln 4
        1.3863
    """
    _, counts = np.unique(as_classes(predictions, "predictions"), return_counts=True)
    share = counts / counts.sum()
    return max(0.0, float(-(share * np.log(share)).sum()))


def unchanged_predictions(before: Array, after: Array) -> float:
    """Share of the pictures whose predicted class stays the same when segments are removed, in [0, 1].

    Args:
        before: Predicted classes of the whole pictures, integers `(N,)`.
        after: Those of the same pictures with segments removed, integers `(N,)`.

    Raises:
        InputError: If they are not class indices, or differ in number.

    Example:
        >>> unchanged_predictions([1, 2, 3, 4], [1, 2, 0, 0])
        0.5
    """
    whole, masked = as_classes(before, "before"), as_classes(after, "after")
    if whole.size != masked.size:
        raise InputError.expected("before and after of the same pictures", f"{whole.size} and {masked.size} classes")
    return float((whole == masked).mean())


def linearity(whole: Array, parts: Array) -> float:
    r"""Linearity of a model: the cosine between the features of the whole and the sum of those of its parts.

    With $f(x)$ the features of the whole picture and $f_m(x, S_i)$ those of segment $i$ alone,

    $$\frac{\langle f(x), \sum_i f_m(x, S_i) \rangle}
    {\lVert f(x) \rVert \, \lVert \sum_i f_m(x, S_i) \rVert}.$$

    A surrogate such as LIME's is linear in the segments, so a masking of high linearity suits it. The paper takes the
    features before the last layer and patches that tile the picture; logits or any other vector work as well.

    Args:
        whole: Features of the whole picture, `(D,)`.
        parts: Features with one segment present at a time, `(n, D)`.

    Returns:
        A number in [-1, 1]; nan if the whole or the sum is zero.

    Raises:
        InputError: If they are not finite numbers of these shapes.

    Example:
        >>> round(linearity([1.0, 1.0], [[2.0, 0.0], [0.0, 2.0]]), 6)
        1.0
        >>> linearity([1.0, 1.0], [[1.0, 0.0], [-1.0, 0.0]])
        nan
    """
    vector = as_vector(whole, "whole")
    rows = as_array(parts, "parts")
    if rows.ndim != 2 or rows.shape[0] == 0 or rows.shape[1] != vector.size:
        raise InputError.expected(f"one row of features for each part, (n, {vector.size}), for parts", shape_of(rows))
    total = as_vector(rows.ravel(), "parts").reshape(rows.shape).sum(axis=0)
    return _cosine(vector, total)


def _cosine(one: Floats, other: Floats) -> float:
    sizes = np.abs(one).max(), np.abs(other).max()
    if not all(sizes):
        return float("nan")
    one, other = one / sizes[0], other / sizes[1]
    return min(1.0, max(-1.0, float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))))
