"""Surrogates: linear models over segments, fitted to the network's predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .sampling import Samples, lime_samples, shap_samples

__all__ = [
    "METHODS",
    "Fit",
    "Method",
    "Regression",
    "kernel_shap",
    "r_squared",
    "ridge",
    "ridge_regression",
    "shap_regression",
]

Floats = npt.NDArray[np.float64]

# Degree of the polynomial in the coalition size that KernelSHAP projects out, and the samples it takes per degree.
_DEGREE, _SAMPLES_PER_DEGREE = 7, 16


class Fit(NamedTuple):
    """A linear surrogate for each of T targets.

    Attributes:
        scores: float64 `(T, K)`: the contribution of each segment, in units of the predictions.
        intercept: float64 `(T,)`: the surrogate's value of the empty coalition.
        r2: float64 `(T,)`: weighted coefficient of determination on the samples; nan for constant predictions.
    """

    scores: Floats
    intercept: Floats
    r2: Floats


class Regression(NamedTuple):
    """The weighted least squares problem of a surrogate, with its nuisance terms projected out.

    The solution is `(features' features + penalty)^-1 features' values`.

    Attributes:
        features: float64 `(M, K)`: one column for each segment.
        values: float64 `(M, T)`: the predictions.
        nuisance: float64 `(M, R)`: orthonormal basis of the terms that were projected out, such as the intercept.
        penalty: Strength of the ridge penalty.
    """

    features: Floats
    values: Floats
    nuisance: Floats
    penalty: float


def ridge(samples: Samples, predictions: Floats, alpha: float = 1.0) -> Fit:
    """LIME's surrogate: weighted ridge regression with an unpenalised intercept.

    Args:
        samples: M samples of K segments.
        predictions: float64 `(M, T)`: the network's predictions for T targets.
        alpha: Strength of the penalty.

    Example:
        >>> from .sampling import lime_samples
        >>> samples = lime_samples(3, 200, np.random.default_rng(0))
        >>> predictions = samples.coalitions @ np.array([[0.5], [0.0], [-0.25]]) + 0.3
        >>> ridge(samples, predictions, alpha=1e-9).scores.round(3) + 0.0
        array([[ 0.5 ,  0.  , -0.25]])
    """
    from sklearn.linear_model import Ridge

    coalitions = samples.coalitions.astype(np.float64)
    model = Ridge(alpha=alpha).fit(coalitions, predictions, sample_weight=samples.weights)
    scores, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    return Fit(scores, intercept, r_squared(predictions, coalitions @ scores.T + intercept, samples.weights))


def kernel_shap(samples: Samples, predictions: Floats) -> Fit:
    """KernelSHAP: weighted least squares, constrained to sum from the empty coalition to the grand one.

    If there are fewer samples than it takes to tell the segments apart, the undetermined part is shared out evenly.

    The part of the predictions that depends on the coalition size alone says nothing about one segment against
    another. It is fitted by a polynomial and projected out, which leaves the meaning of the scores unchanged and
    lets them converge with a third of the samples.

    Args:
        samples: M samples of K segments, among them the empty and the grand coalition.
        predictions: float64 `(M, T)`: the network's predictions for T targets.

    Returns:
        The fit. With all `2^K` coalitions, weighted by the Shapley kernel, its scores are the exact Shapley values.

    Example:
        >>> from .sampling import shap_samples
        >>> samples = shap_samples(3, 8, np.random.default_rng(0))
        >>> predictions = samples.coalitions[:, :2].all(axis=1, keepdims=True).astype(float)
        >>> kernel_shap(samples, predictions).scores.round(6) + 0.0
        array([[0.5, 0.5, 0. ]])
    """
    even, empty = _even_shares(samples, predictions)
    problem = shap_regression(samples, predictions)
    uneven = np.linalg.lstsq(problem.features, problem.values, rcond=1e-10)[0]
    scores = (even + uneven - uneven.mean(axis=0)).T
    fitted = samples.coalitions @ scores.T + empty
    return Fit(scores, empty.copy(), r_squared(predictions, fitted, samples.weights))


def ridge_regression(samples: Samples, predictions: Floats, alpha: float = 1.0) -> Regression:
    """The least squares problem that [`ridge`][] solves; the intercept is projected out.

    Example:
        >>> samples = Samples(np.array([[True, True], [True, False]]), np.ones(2))
        >>> ridge_regression(samples, np.ones((2, 1))).features.round(9) + 0.0
        array([[ 0. ,  0.5],
               [ 0. , -0.5]])
    """
    intercept = np.ones((len(predictions), 1))
    return _projected(samples.coalitions.astype(np.float64), predictions, intercept, samples.weights, alpha)


def shap_regression(samples: Samples, predictions: Floats) -> Regression:
    """The least squares problem that [`kernel_shap`][] solves for the difference of each score from an even share.

    Example:
        >>> from .sampling import shap_samples
        >>> samples = shap_samples(3, 8, np.random.default_rng(0))
        >>> shap_regression(samples, samples.coalitions.sum(axis=1, keepdims=True) / 3).values.round(9).any().item()
        False
    """
    even, empty = _even_shares(samples, predictions)
    sizes = samples.coalitions.sum(axis=1, keepdims=True)
    # Even shares meet the constraint, so the difference sums to 0 over the segments. Centred rows are orthogonal to
    # a constant, so that the minimum norm solution meets the constraint by itself. Over all coalitions, centred rows
    # are orthogonal to every function of the size.
    count = samples.coalitions.shape[1]
    weights = samples.weights / (samples.weights.max() or 1.0)
    degree = min(_DEGREE, int((weights > 0).sum()) // _SAMPLES_PER_DEGREE)
    polynomials = np.polynomial.legendre.legvander(2 * sizes[:, 0] / count - 1, degree)
    features, values = samples.coalitions - sizes / count, predictions - empty - sizes * even
    return _projected(features, values, polynomials, weights, 0.0)


def _even_shares(samples: Samples, predictions: Floats) -> tuple[Floats, Floats]:
    """The score of each segment if all were equal, and the prediction of the empty coalition, both `(T,)`."""
    grand = predictions[samples.coalitions.all(axis=1)][0]
    empty = predictions[~samples.coalitions.any(axis=1)][0]
    return (grand - empty) / samples.coalitions.shape[1], empty


def _projected(features: Floats, values: Floats, nuisance: Floats, weights: Floats, penalty: float) -> Regression:
    """Apply the weights, and project the nuisance terms out of features and values."""
    root = np.sqrt(weights)[:, None]
    basis, size, _ = np.linalg.svd(root * nuisance, full_matrices=False)
    basis = basis[:, size > 1e-10 * (size[0] or 1.0)]  # with few sizes the polynomials are linearly dependent
    left, right = root * features, root * values
    remaining = left - basis @ (basis.T @ left)
    # If all rows are equal, only rounding errors remain: do not fit those.
    remaining[np.abs(remaining) <= 1e-12 * np.abs(left).max()] = 0.0
    return Regression(remaining, right - basis @ (basis.T @ right), basis, penalty)


def r_squared(predictions: Floats, fitted: Floats, weights: Floats) -> Floats:
    """Weighted coefficient of determination of each target.

    Args:
        predictions: float64 `(M, T)`.
        fitted: float64 `(M, T)`: the surrogate's values.
        weights: float64 `(M,)`.

    Returns:
        float64 `(T,)`; nan for constant predictions, or if all weights are 0.

    Example:
        >>> r_squared(np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 1.0]]), np.ones(2))
        array([ 1., nan])
    """
    total = weights.sum()
    if total == 0:
        return np.full(predictions.shape[1], np.nan)
    share = weights / total
    variance = share @ (predictions - share @ predictions) ** 2
    unexplained = share @ (predictions - fitted) ** 2
    # Rounding errors of constant predictions are no variance.
    varies = variance > (1e-12 * np.abs(predictions).max(axis=0)) ** 2
    return np.where(varies, 1.0 - unexplained / np.where(varies, variance, 1.0), np.nan)


class Method(NamedTuple):
    """A way to explain: how to sample coalitions, and what to fit to the predictions.

    Attributes:
        draw: From the number of segments, the number of samples, a generator and the name of a scheme to samples.
        fit: From samples and predictions `(M, T)` to the surrogate.
        regression: From the same to the least squares problem that the fit solves.
    """

    draw: Callable[[int, int, np.random.Generator, str], Samples]
    fit: Callable[[Samples, Floats], Fit]
    regression: Callable[[Samples, Floats], Regression]


#: The methods by name.
METHODS: dict[str, Method] = {
    "lime": Method(lime_samples, ridge, ridge_regression),
    "shap": Method(shap_samples, kernel_shap, shap_regression),
}
