"""Regressions: the weighted least squares problem behind the scores of each method."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .sampling import Samples

__all__ = ["Regression", "clusters", "complements", "lime_regression", "shap_regression"]

Floats = npt.NDArray[np.float64]

# The highest degree of the polynomial in the coalition size that KernelSHAP projects out, and the number of samples
# that each degree requires.
_DEGREE, _SAMPLES_PER_DEGREE = 7, 16
# Variance of the interactions of even order, which are equal in a sample and its complement, over that of the other
# interactions, as measured on three networks (docs/sampling.md). It sets the weight of a sample without a complement.
_EVEN = 2.0


class Regression(NamedTuple):
    """A weighted least squares problem with its nuisance terms projected out.

    The scores are `base` plus the coefficients that best map `features` to `values`.

    Attributes:
        features: float64 `(M, K)`: one column for each segment.
        values: float64 `(M, T)`: the predictions for T targets.
        nuisance: float64 `(M, R)`: orthonormal basis of the terms that were projected out, such as the intercept.
        base: float64 `(T,)`: the score of every segment if the coefficients are 0.
        centred: Whether the coefficients sum to 0, so that the scores add up to the difference between the predictions
            for the grand and the empty coalition.
        even: float64 `(T,)`: sum of squares of the sums of complements, which carry no information about single
            segments.
        efficiency: Kish's effective number of rows over their number: 1 for equal weights, less for others.
    """

    features: Floats
    values: Floats
    nuisance: Floats
    base: Floats
    centred: bool
    even: Floats | float = 0.0
    efficiency: float = 1.0


def lime_regression(samples: Samples, predictions: Floats, paired: bool = False) -> Regression:
    """LIME's problem: regress predictions on presence, weighted by the cosine kernel; projects out the intercept.

    Args:
        samples: M samples of K segments.
        predictions: float64 `(M, T)`: the network's predictions for T targets.
        paired: Whether a sample and its complement become one row, their difference. Interactions of an even number
            of segments are equal in both and cancel, which leaves less noise than two rows.

    Example:
        >>> samples = Samples(np.array([[True, True], [True, False]]), np.ones(2))
        >>> lime_regression(samples, np.ones((2, 1))).features.round(9) + 0.0
        array([[ 0. ,  0.5],
               [ 0. , -0.5]])
    """
    intercept = np.ones((len(predictions), 1))
    terms = samples.coalitions.astype(np.float64), predictions, intercept
    terms, weights, even = _differences(terms, samples) if paired else (terms, samples.weights, 0.0)
    return Regression(*_projected(*terms, weights), np.zeros(predictions.shape[1]), False, even, _efficiency(weights))


def shap_regression(samples: Samples, predictions: Floats, paired: bool = False) -> Regression:
    """KernelSHAP's problem, solved for the difference of each score from an equal share.

    The part of the predictions that depends on the coalition size alone does not distinguish between segments. It is
    fitted by a polynomial and projected out. This does not change what the scores estimate, and they converge with
    fewer samples.

    Args:
        samples: M samples of K segments, among them the empty and the grand coalition.
        predictions: float64 `(M, T)`: the network's predictions for T targets.
        paired: As in [`lime_regression`][].

    Example:
        >>> from .sampling import shap_samples
        >>> samples = shap_samples(3, 8, np.random.default_rng(0))
        >>> shap_regression(samples, samples.coalitions.sum(axis=1, keepdims=True) / 3).values.round(9).any().item()
        False
    """
    count = samples.coalitions.shape[1]
    grand = predictions[samples.coalitions.all(axis=1)][0]
    empty = predictions[~samples.coalitions.any(axis=1)][0]
    share = (grand - empty) / count
    sizes = samples.coalitions.sum(axis=1, keepdims=True)
    # Equal shares satisfy the constraint, so the differences sum to 0 over the segments. Rows are centred and therefore
    # orthogonal to a constant, so the minimum norm solution satisfies the constraint by itself. Over all coalitions,
    # centred rows are orthogonal to every function of the size.
    weights = samples.weights / (samples.weights.max() or 1.0)
    degree = min(_DEGREE, int((weights > 0).sum()) // _SAMPLES_PER_DEGREE)
    polynomials = np.polynomial.legendre.legvander(2 * sizes[:, 0] / count - 1, degree)
    terms = samples.coalitions - sizes / count, predictions - empty - sizes * share, polynomials
    even: Floats | float = 0.0
    if paired:
        terms, weights, even = _differences(terms, Samples(samples.coalitions, weights))
    return Regression(*_projected(*terms, weights), share, True, even, _efficiency(weights))


def _differences(
    terms: tuple[Floats, Floats, Floats], samples: Samples
) -> tuple[tuple[Floats, Floats, Floats], Floats, Floats]:
    """Features, values and nuisance of the differences of complements, their weights, and the sums' squares."""
    first, second = complements(samples.coalitions)
    alone = first[second == len(samples.coalitions)]
    first, second = (rows[second < len(samples.coalitions)] for rows in (first, second))
    weights = (samples.weights[first] + samples.weights[second]) / 2
    apart = [np.concatenate([(part[first] - part[second]) / np.sqrt(2), part[alone]]) for part in terms]
    _, values, nuisance = ((part[first] + part[second]) / np.sqrt(2) for part in terms)
    _, sums, _ = _projected(np.zeros((len(first), 1)), values, nuisance, weights)
    both = np.concatenate([weights, samples.weights[alone] * 2 / (1 + _EVEN)])
    return (apart[0], apart[1], apart[2]), both, (sums**2).sum(axis=0)


def _efficiency(weights: Floats) -> float:
    """Residuals vary as much in rows of small weight, so that weighted rows count less than equal ones (Kish, 1965)."""
    used = weights[weights > 0]
    return float(used.sum() ** 2 / (len(used) * used @ used)) if len(used) else 1.0


def _projected(features: Floats, values: Floats, nuisance: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Apply the weights, and project the nuisance terms out of features and values."""
    root = np.sqrt(weights)[:, None]
    basis, size, _ = np.linalg.svd(root * nuisance, full_matrices=False)
    # With few distinct sizes the polynomials are linearly dependent, and those of even degree cancel in differences.
    basis = basis[:, size > 1e-10 * np.sqrt(weights.sum())]
    left, right = root * features, root * values
    remaining, rest = (part - basis @ (basis.T @ part) for part in (left, right))
    # If all rows are equal, only rounding errors remain, which must not be fitted.
    remaining[np.abs(remaining) <= 1e-12 * np.abs(left).max(initial=0.0)] = 0.0
    rest[:, np.abs(rest).max(axis=0, initial=0.0) <= 1e-12 * np.abs(right).max(axis=0, initial=0.0)] = 0.0
    return remaining, rest, basis


def clusters(samples: Samples) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The units that were drawn independently, pairs or single samples, as indices like those of [`complements`][].

    Example:
        >>> clusters(Samples(np.array([[True, False], [False, True]]), np.ones(2)))
        (array([0, 1]), array([2, 2]))
        >>> clusters(Samples(np.array([[True, False], [False, True]]), np.ones(2), paired=True))
        (array([1]), array([0]))
    """
    if samples.paired:
        return complements(samples.coalitions)
    count = len(samples.coalitions)
    return np.arange(count), np.full(count, count)


def complements(coalitions: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pair each row with its complement.

    Args:
        coalitions: Bool `(M, K)`.

    Returns:
        Two int64 arrays of row indices, one entry for each pair; each row is in exactly one. The second index is M
        where a row has no complement.

    Example:
        >>> complements(np.array([[True, False], [True, True], [False, True]]))
        (array([1, 2]), array([3, 0]))
    """
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
