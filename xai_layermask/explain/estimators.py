"""Estimators: coefficients of a regression, their standard errors, and how well left-out samples are predicted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .regression import Regression, clusters
from .sampling import Samples

__all__ = ["Estimate", "cross_validated", "least_squares", "standard_errors"]

Floats = npt.NDArray[np.float64]

# Singular values below this share of the largest one are rounding errors.
_RANK = 1e-7


class Estimate(NamedTuple):
    """Coefficients for each of T targets.

    Attributes:
        coefficients: float64 `(T, K)`.
        standard_errors: float64 `(T, K)`; infinite where the samples cannot tell the segments apart.
        reliability: float64 `(T,)` from 0 to 1: expected correlation of the coefficients with those of infinitely many
            samples; 0 for coefficients that are all equal.
        leverage: float64 `(M, T)`: the weight of each sample in its own fitted value, nuisance terms included.
    """

    coefficients: Floats
    standard_errors: Floats
    reliability: Floats
    leverage: Floats


def least_squares(problem: Regression, samples: Samples, alpha: float = 0.0) -> Estimate:
    """Ridge regression, or the least squares solution of minimum norm if `alpha` is 0.

    Args:
        problem: The regression of M samples.
        samples: The same samples.
        alpha: Strength of the penalty; 1 in LIME's published code.

    Example:
        >>> from .regression import lime_regression
        >>> from .sampling import lime_samples
        >>> samples = lime_samples(3, 200, np.random.default_rng(0))
        >>> predictions = samples.coalitions @ np.array([[0.5], [0.0], [-0.25]]) + 0.3
        >>> least_squares(lime_regression(samples, predictions), samples).coefficients.round(3) + 0.0
        array([[ 0.5 ,  0.  , -0.25]])
    """
    left, size, right = np.linalg.svd(problem.features, full_matrices=False)
    known = size > _RANK * size.max(initial=0.0)
    left, size, right = left[:, known], size[known], right[known]
    coefficients = ((left.T @ problem.values) * (size / (size**2 + alpha))[:, None]).T @ right
    leverage = (problem.nuisance**2).sum(axis=1) + (left**2) @ (size**2 / (size**2 + alpha))
    errors = standard_errors(problem, samples, (right.T / (size**2 + alpha)) @ right, len(size))
    leverages = np.repeat(leverage[:, None], len(coefficients), axis=1)
    # The variance of unbiased coefficients is the sum of those of the true coefficients and of the errors.
    spread, noise = coefficients.var(axis=1), (errors**2).mean(axis=1)
    varies = spread > (1e-9 * np.abs(coefficients).max(axis=1)) ** 2
    reliability = np.sqrt(np.clip(1 - noise / np.where(varies, spread, 1.0), 0, 1)) * varies
    return Estimate(coefficients, errors, reliability, leverages)


def cross_validated(problem: Regression, estimate: Estimate) -> Floats:
    """Leave-one-out R2: how much better left-out samples are predicted with the segments than without them.

    Both predictions use the nuisance terms. Computed in closed form from the leverages; the settings of a prior are not
    fitted again for each sample.

    Args:
        problem: The regression.
        estimate: Its coefficients.

    Returns:
        float64 `(T,)`: 1 for a linear function, about 0 or less for noise; nan for constant predictions, or if a
        sample alone determines its own prediction.

    Example:
        >>> from .regression import lime_regression
        >>> from .sampling import lime_samples
        >>> samples = lime_samples(4, 40, np.random.default_rng(0))
        >>> problem = lime_regression(samples, samples.coalitions @ np.array([[1.0], [2.0], [0.0], [0.0]]))
        >>> cross_validated(problem, least_squares(problem, samples)).round(6)
        array([1.])
    """
    residuals = problem.values - problem.features @ estimate.coefficients.T
    fixed = (problem.nuisance**2).sum(axis=1)
    counted = problem.features.any(axis=1) | (fixed > 1e-24)
    left_out = 1 - estimate.leverage[counted]
    missed = (residuals[counted] / np.maximum(left_out, 1e-12)) ** 2
    without = (problem.values[counted] / np.maximum(1 - fixed[counted], 1e-12)[:, None]) ** 2
    rest, total = missed.sum(axis=0) + problem.even, without.sum(axis=0) + problem.even
    known = (total > 0) & (left_out > 1e-9).all(axis=0)
    return np.where(known, 1 - rest / np.where(total > 0, total, 1.0), np.nan)


def standard_errors(problem: Regression, samples: Samples, inverse: Floats, rank: int) -> Floats:
    """Standard errors of least squares: the cluster-robust sandwich estimate with the pairs of a scheme as clusters.

    The network is deterministic; what varies is the draw of coalitions. A linear surrogate misses part of each
    prediction, and its residuals, which need be neither normal nor of equal variance, show how much another draw
    would change the scores. A sample and the complement drawn with it form one cluster, since both vary together.
    Residuals are adjusted for leverage (Bell and McCaffrey's CR2), which matters with few samples per segment.

    Args:
        problem: The regression of M samples.
        samples: The same samples.
        inverse: float64 `(K, K)`: pseudo-inverse of the normal matrix, penalty included.
        rank: The rank of the features.

    Returns:
        float64 `(T, K)`; infinite unless there are more samples, or pairs, than it takes to tell the segments apart.

    Example:
        >>> from .regression import lime_regression
        >>> from .sampling import lime_samples
        >>> samples = lime_samples(4, 400, np.random.default_rng(0))
        >>> noise = np.random.default_rng(1).normal(size=(400, 1))
        >>> problem = lime_regression(samples, samples.coalitions[:, :1] + noise)
        >>> inverse = np.linalg.inv(problem.features.T @ problem.features)
        >>> standard_errors(problem, samples, inverse, rank=4).round(1)
        array([[0.1, 0.1, 0.1, 0.1]])
    """
    features, values, nuisance = problem.features, problem.values, problem.nuisance
    first, second = clusters(samples)
    # A pair counts as one equation for the segments, and samples of weight 0 do not count.
    equations = np.count_nonzero(np.abs(nuisance[first]).max(axis=1, initial=0.0) > 1e-12)
    if equations - nuisance.shape[1] <= rank or rank < features.shape[1] - problem.centred:
        return np.full((values.shape[1], features.shape[1]), np.inf)
    # The appended row of zeros is the partner of samples without one.
    features, values, nuisance = (np.pad(part, ((0, 1), (0, 0))) for part in (features, values, nuisance))
    influence = features @ inverse
    residuals = values - influence @ (features.T @ values)
    # The block [[a, b], [b, d]] of the residual maker for each pair, and its inverse square root.
    a, d, b = (
        identity - (influence[i] * features[j]).sum(axis=1) - (nuisance[i] * nuisance[j]).sum(axis=1)
        for i, j, identity in ((first, first, 1.0), (second, second, 1.0), (first, second, 0.0))
    )
    volume = np.sqrt(np.maximum(a * d - b * b, 1e-12))
    scale = volume * np.sqrt(a + d + 2 * volume)
    errors = []
    for residual in residuals.T:
        one = ((d + volume) * residual[first] - b * residual[second]) / scale
        other = ((a + volume) * residual[second] - b * residual[first]) / scale
        effects = influence[first] * one[:, None] + influence[second] * other[:, None]
        errors.append(np.sqrt((effects**2).sum(axis=0)))
    return np.array(errors)
