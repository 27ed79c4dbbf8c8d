"""Convergence: standard errors of scores, and whether they are small enough to stop sampling.

Samples are evaluated in rounds. After each round the standard errors of the scores are estimated from the residuals of
the surrogate. Sampling stops when the spread of the scores is four times their standard error: the scores then
correlate with those of a long run by 0.97.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .surrogate import Regression

__all__ = ["MAX_SAMPLES", "ROUNDS", "TOLERANCE", "has_converged", "standard_errors"]

Floats = npt.NDArray[np.float64]

#: The most samples evaluated for `n_samples="auto"`.
MAX_SAMPLES = 2000
#: Largest standard error of converged scores, relative to their spread.
TOLERANCE = 0.25
#: Sample counts after which convergence is tested. Each round adds at least a quarter, so that fits stay cheap.
ROUNDS = (200, 300, 400, 500, 625, 781, 976, 1220, 1525, 1906, MAX_SAMPLES)


def standard_errors(problem: Regression, coalitions: npt.NDArray[np.bool_]) -> Floats:
    """Standard errors of the scores: the cluster-robust sandwich estimate with complementary pairs as clusters.

    The network is deterministic; what varies is the draw of coalitions. A linear surrogate misses part of each
    prediction, and its residuals, which need be neither normal nor of equal variance, show how much another draw
    would change the scores. A sample and its complement form one cluster, since their residuals are correlated.
    Residuals are adjusted for leverage (Bell and McCaffrey's CR2), which matters with few samples per segment.

    Args:
        problem: The regression of M samples.
        coalitions: Bool `(M, K)`, of the same samples.

    Returns:
        float64 `(T, K)`; infinite unless there are more samples, or pairs, than it takes to tell the segments apart.

    Example:
        >>> from .sampling import lime_samples
        >>> from .surrogate import ridge_regression
        >>> samples = lime_samples(4, 400, np.random.default_rng(0))
        >>> noise = np.random.default_rng(1).normal(size=(400, 1))
        >>> standard_errors(ridge_regression(samples, samples.coalitions[:, :1] + noise), samples.coalitions).round(1)
        array([[0.1, 0.1, 0.1, 0.1]])
    """
    features, values, nuisance, penalty = problem
    size, axes = np.linalg.eigh(features.T @ features + penalty * np.eye(features.shape[1]))
    found = size > 1e-10 * size[-1]
    first, second = _pairs(coalitions)
    # A pair is one equation for the segments, and samples of weight 0 are none.
    equations = np.count_nonzero(np.abs(nuisance[first]).max(axis=1, initial=0.0) > 1e-12)
    if equations - nuisance.shape[1] <= np.count_nonzero(found):
        return np.full((values.shape[1], features.shape[1]), np.inf)
    inverse = (axes[:, found] / size[found]) @ axes[:, found].T
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


def has_converged(scores: Floats, errors: Floats) -> bool:
    """Whether the standard errors of each target are small against the spread of its scores.

    Args:
        scores: float64 `(T, K)`.
        errors: float64 `(T, K)`, their standard errors.

    Example:
        >>> has_converged(np.array([[0.0, 1.0]]), np.array([[0.1, 0.1]]))
        True
        >>> has_converged(np.array([[0.0, 1.0]]), np.array([[0.4, 0.4]]))
        False
    """
    noise = (errors**2).mean(axis=1)
    spread = scores.var(axis=1) - noise  # the observed variance includes that of the errors
    return bool(((noise <= TOLERANCE**2 * spread) | (noise <= 1e-24)).all())


def _pairs(coalitions: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each row with its complement, or with index M if there is none; every row is in exactly one pair."""
    flipped = coalitions ^ coalitions[:, :1]  # equal for a row and its complement
    _, kind = np.unique(np.packbits(flipped, axis=1), axis=0, return_inverse=True)
    side = coalitions[:, 0].astype(np.int64)
    order = np.lexsort((np.arange(len(coalitions)), side, kind))
    # Repeated rows are numbered: the n-th occurrence is paired with the n-th of its complement.
    starts = np.flatnonzero(np.diff(np.stack([kind[order], side[order]]), axis=1, prepend=-1).any(axis=0))
    lengths = np.diff(starts, append=len(coalitions))
    occurrence = np.empty(len(coalitions), dtype=np.int64)
    occurrence[order] = np.arange(len(coalitions)) - np.repeat(starts, lengths)
    order = np.lexsort((side, occurrence, kind))
    keys = np.stack([kind[order], occurrence[order]])
    same = (keys[:, 1:] == keys[:, :-1]).all(axis=0)
    first = order[np.flatnonzero(~np.concatenate([[False], same]))]
    partner = np.full(len(coalitions), len(coalitions))
    partner[order[:-1][same]] = order[1:][same]
    return first, partner[first]
