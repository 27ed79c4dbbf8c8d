"""Regressions: the weighted least squares problem behind the scores of each method."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .sampling import Samples

__all__ = ["Regression", "lime_regression", "shap_regression"]

Floats = npt.NDArray[np.float64]

# Degree of the polynomial in the coalition size that KernelSHAP projects out, and the samples it takes per degree.
_DEGREE, _SAMPLES_PER_DEGREE = 7, 16


class Regression(NamedTuple):
    """A weighted least squares problem with its nuisance terms projected out.

    The scores are `base` plus the coefficients that best map `features` to `values`.

    Attributes:
        features: float64 `(M, K)`: one column for each segment.
        values: float64 `(M, T)`: the predictions for T targets.
        nuisance: float64 `(M, R)`: orthonormal basis of the terms that were projected out, such as the intercept.
        base: float64 `(T,)`: the score of every segment if the coefficients are 0.
        centred: Whether the coefficients sum to 0, so that the scores add up to the grand coalition's prediction.
    """

    features: Floats
    values: Floats
    nuisance: Floats
    base: Floats
    centred: bool


def lime_regression(samples: Samples, predictions: Floats) -> Regression:
    """LIME's problem: predictions on presence, weighted by the cosine kernel; the intercept is projected out.

    Args:
        samples: M samples of K segments.
        predictions: float64 `(M, T)`: the network's predictions for T targets.

    Example:
        >>> samples = Samples(np.array([[True, True], [True, False]]), np.ones(2))
        >>> lime_regression(samples, np.ones((2, 1))).features.round(9) + 0.0
        array([[ 0. ,  0.5],
               [ 0. , -0.5]])
    """
    intercept = np.ones((len(predictions), 1))
    parts = _projected(samples.coalitions.astype(np.float64), predictions, intercept, samples.weights)
    return Regression(*parts, np.zeros(predictions.shape[1]), centred=False)


def shap_regression(samples: Samples, predictions: Floats) -> Regression:
    """KernelSHAP's problem for the difference of each score from an even share.

    The part of the predictions that depends on the coalition size alone says nothing about one segment against
    another. It is fitted by a polynomial and projected out, which leaves the meaning of the scores unchanged and
    lets them converge with a third of the samples.

    Args:
        samples: M samples of K segments, among them the empty and the grand coalition.
        predictions: float64 `(M, T)`: the network's predictions for T targets.

    Example:
        >>> from .sampling import shap_samples
        >>> samples = shap_samples(3, 8, np.random.default_rng(0))
        >>> shap_regression(samples, samples.coalitions.sum(axis=1, keepdims=True) / 3).values.round(9).any().item()
        False
    """
    count = samples.coalitions.shape[1]
    grand = predictions[samples.coalitions.all(axis=1)][0]
    empty = predictions[~samples.coalitions.any(axis=1)][0]
    even = (grand - empty) / count
    sizes = samples.coalitions.sum(axis=1, keepdims=True)
    # Even shares meet the constraint, so the difference sums to 0 over the segments. Centred rows are orthogonal to
    # a constant, so that the minimum norm solution meets the constraint by itself. Over all coalitions, centred rows
    # are orthogonal to every function of the size.
    weights = samples.weights / (samples.weights.max() or 1.0)
    degree = min(_DEGREE, int((weights > 0).sum()) // _SAMPLES_PER_DEGREE)
    polynomials = np.polynomial.legendre.legvander(2 * sizes[:, 0] / count - 1, degree)
    features, values = samples.coalitions - sizes / count, predictions - empty - sizes * even
    return Regression(*_projected(features, values, polynomials, weights), even, centred=True)


def _projected(
    features: Floats, values: Floats, nuisance: Floats, weights: Floats
) -> tuple[Floats, Floats, Floats]:
    """Apply the weights, and project the nuisance terms out of features and values."""
    root = np.sqrt(weights)[:, None]
    basis, size, _ = np.linalg.svd(root * nuisance, full_matrices=False)
    basis = basis[:, size > 1e-10 * (size[0] or 1.0)]  # with few sizes the polynomials are linearly dependent
    left, right = root * features, root * values
    remaining, rest = (part - basis @ (basis.T @ part) for part in (left, right))
    # If all rows are equal, only rounding errors remain: do not fit those.
    remaining[np.abs(remaining) <= 1e-12 * np.abs(left).max()] = 0.0
    rest[:, np.abs(rest).max(axis=0) <= 1e-12 * np.abs(right).max(axis=0)] = 0.0
    return remaining, rest, basis
