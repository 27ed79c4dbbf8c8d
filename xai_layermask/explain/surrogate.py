"""Surrogates: linear models over segments that imitate what the network answers.

Both take the same things, samples and the network's answers, and give one score for each segment and target.
"""

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

# Answers may bend with the number of segments kept as a polynomial of this degree does; each needs some rows.
_DEGREE, _ROWS_EACH = 7, 16


class Fit(NamedTuple):
    """A linear surrogate for each of T targets.

    Attributes:
        scores: float64 `(T, K)`: what each segment adds, in units of the answers.
        intercept: float64 `(T,)`: the answer where no segment is present.
        r2: float64 `(T,)`: weighted coefficient of determination on the samples; nan where answers do not
            vary.
    """

    scores: Floats
    intercept: Floats
    r2: Floats


class Regression(NamedTuple):
    """The least squares problem behind a surrogate, weights and everything that is no segment taken out.

    Its solution is `(rows' rows + penalty)^-1 rows' values`.

    Attributes:
        rows: float64 `(M, K)`: segments.
        values: float64 `(M, T)`: answers.
        rest: float64 `(M, R)`: an orthonormal basis of what was fitted beside the segments and taken out of both.
        penalty: Strength of the ridge penalty.
    """

    rows: Floats
    values: Floats
    rest: Floats
    penalty: float


def ridge(samples: Samples, answers: Floats, alpha: float = 1.0) -> Fit:
    """LIME's surrogate: weighted ridge regression, with an intercept that is not penalised.

    Args:
        samples: M samples of K segments.
        answers: float64 `(M, T)`: what the network answers for each sample, T targets.
        alpha: Strength of the penalty.

    Returns:
        The fit.

    Example:
        >>> from .sampling import lime_samples
        >>> samples = lime_samples(3, 200, np.random.default_rng(0))
        >>> answers = samples.keep @ np.array([[0.5], [0.0], [-0.25]]) + 0.3
        >>> ridge(samples, answers, alpha=1e-9).scores.round(3) + 0.0
        array([[ 0.5 ,  0.  , -0.25]])
    """
    from sklearn.linear_model import Ridge

    keep = samples.keep.astype(np.float64)
    model = Ridge(alpha=alpha).fit(keep, answers, sample_weight=samples.weights)
    scores, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    return Fit(scores, intercept, r_squared(answers, keep @ scores.T + intercept, samples.weights))


def kernel_shap(samples: Samples, answers: Floats) -> Fit:
    """KernelSHAP: weighted least squares whose scores add up from the empty picture to the whole one.

    With fewer samples than it takes to tell the segments apart, what they say nothing about is shared out
    evenly.

    What answers owe to the mere number of segments kept, however it bends, says nothing about one segment
    against another. It is fitted as a polynomial and taken out first: the scores mean the same, and settle
    with a third of the samples.

    Args:
        samples: M samples of K segments, which contain the row with everything and the row with nothing.
        answers: float64 `(M, T)`: what the network answers for each sample, T targets.

    Returns:
        The fit; exact Shapley values where the samples are all `2^K` choices, weighted by the Shapley kernel.

    Example:
        >>> from .sampling import shap_samples
        >>> samples = shap_samples(3, 8, np.random.default_rng(0))
        >>> answers = np.logical_and(samples.keep[:, :1], samples.keep[:, 1:2]).astype(float)
        >>> kernel_shap(samples, answers).scores.round(6) + 0.0
        array([[0.5, 0.5, 0. ]])
    """
    even, nothing = _even(samples, answers)
    problem = shap_regression(samples, answers)
    uneven = np.linalg.lstsq(problem.rows, problem.values, rcond=1e-10)[0]
    scores = (even + uneven - uneven.mean(axis=0)).T
    return Fit(scores, nothing.copy(), r_squared(answers, samples.keep @ scores.T + nothing, samples.weights))


def ridge_regression(samples: Samples, answers: Floats, alpha: float = 1.0) -> Regression:
    """The problem that [`ridge`][] solves.

    Args:
        samples: M samples of K segments.
        answers: float64 `(M, T)`.
        alpha: Strength of the penalty.

    Example:
        >>> samples = Samples(np.array([[True, True], [True, False]]), np.ones(2))
        >>> ridge_regression(samples, np.ones((2, 1))).rows.round(9) + 0.0
        array([[ 0. ,  0.5],
               [ 0. , -0.5]])
    """
    return _taken_out(samples.keep.astype(np.float64), answers, np.ones((len(answers), 1)), samples.weights, alpha)


def shap_regression(samples: Samples, answers: Floats) -> Regression:
    """The problem that [`kernel_shap`][] solves: how far each segment's score is from an even share.

    Args:
        samples: M samples of K segments, which contain the row with everything and the row with nothing.
        answers: float64 `(M, T)`.

    Example:
        >>> from .sampling import shap_samples
        >>> samples = shap_samples(3, 8, np.random.default_rng(0))
        >>> shap_regression(samples, samples.keep.sum(axis=1, keepdims=True) / 3).values.round(9).any()
        np.False_
    """
    even, nothing = _even(samples, answers)
    sizes = samples.keep.sum(axis=1, keepdims=True)
    # Even shares obey the constraint; what is left to find adds up to 0 over the segments. Centred rows
    # cannot see any other part of it, so that the shortest least squares solution obeys the constraint by
    # itself. Among all choices they are orthogonal to everything that depends on sizes alone.
    count = samples.keep.shape[1]
    weights = samples.weights / (samples.weights.max() or 1.0)
    degree = min(_DEGREE, int((weights > 0).sum()) // _ROWS_EACH)
    curves = np.polynomial.legendre.legvander(2 * sizes[:, 0] / count - 1, degree)
    return _taken_out(samples.keep - sizes / count, answers - nothing - sizes * even, curves, weights, 0.0)


def _even(samples: Samples, answers: Floats) -> tuple[Floats, Floats]:
    """What each segment gets if all get the same, and the answer to nothing, both `(T,)`."""
    whole, nothing = answers[samples.keep.all(axis=1)][0], answers[~samples.keep.any(axis=1)][0]
    return (whole - nothing) / samples.keep.shape[1], nothing


def _taken_out(rows: Floats, values: Floats, rest: Floats, weights: Floats, penalty: float) -> Regression:
    """Weigh, and take `rest` out of rows and values."""
    root = np.sqrt(weights)[:, None]
    basis, size, _ = np.linalg.svd(root * rest, full_matrices=False)
    basis = basis[:, size > 1e-10 * (size[0] or 1.0)]  # with few sizes some curves are the same
    left, right = root * rows, root * values
    uneven = left - basis @ (basis.T @ left)
    # Where all rows are the same, only rounding is left of them, and the fit would be one to rounding.
    uneven[np.abs(uneven) <= 1e-12 * np.abs(left).max()] = 0.0
    return Regression(uneven, right - basis @ (basis.T @ right), basis, penalty)


def r_squared(answers: Floats, imitation: Floats, weights: Floats) -> Floats:
    """How much of the variance of the answers the surrogate explains.

    Args:
        answers: float64 `(M, T)`.
        imitation: float64 `(M, T)`, what the surrogate says instead.
        weights: float64 `(M,)`, how much each sample counts.

    Returns:
        float64 `(T,)`: 1 for a perfect imitation, 0 for one that is no better than the mean; nan where the
        answers do not vary, or nothing counts.

    Example:
        >>> r_squared(np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 1.0]]), np.ones(2))
        array([ 1., nan])
    """
    total = weights.sum()
    if total == 0:
        return np.full(answers.shape[1], np.nan)
    share = weights / total
    spread = share @ (answers - share @ answers) ** 2
    missed = share @ (answers - imitation) ** 2
    # What rounding alone makes of equal answers is no variance.
    varies = spread > (1e-12 * np.abs(answers).max(axis=0)) ** 2
    return np.where(varies, 1.0 - missed / np.where(varies, spread, 1.0), np.nan)


class Method(NamedTuple):
    """A way to explain: how to sample, and what to make of the answers.

    Attributes:
        draw: From the number of segments, the number of samples, a generator and the name of a scheme to samples.
        fit: From samples and answers `(M, T)` to the surrogate.
        regression: From the same to the problem that the fit solves.
    """

    draw: Callable[[int, int, np.random.Generator, str], Samples]
    fit: Callable[[Samples, Floats], Fit]
    regression: Callable[[Samples, Floats], Regression]


#: The methods by name.
METHODS: dict[str, Method] = {
    "lime": Method(lime_samples, ridge, ridge_regression),
    "shap": Method(shap_samples, kernel_shap, shap_regression),
}
