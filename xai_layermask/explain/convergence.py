"""When enough samples were asked: the standard error of scores, and whether it is small.

Samples are asked in rounds. After each the scores' standard errors are estimated from what the surrogate
leaves unexplained. They are small enough where the scores differ from each other by more than they differ
from those of a long run, four times over: the two then correlate by .97.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .surrogate import Regression

__all__ = ["CAP", "ROUNDS", "SMALL", "settled", "standard_errors"]

Floats = npt.NDArray[np.float64]

#: The most samples that are asked where nobody says how many.
CAP = 2000
#: Which part of the spread of the scores their standard error may be.
SMALL = 0.25
#: After how many samples it is estimated. Each round asks a quarter more, so that fits cost little.
ROUNDS = (200, 300, 400, 500, 625, 781, 976, 1220, 1525, 1906, CAP)


def standard_errors(problem: Regression, keep: npt.NDArray[np.bool_]) -> Floats:
    """How far scores are from those of a long run, by the sandwich estimate with pairs as clusters.

    The network answers without noise, and what varies are the samples drawn. A linear surrogate misses part
    of each answer, so that its residuals, which need neither be normal nor vary equally, say how much another
    draw would change the scores. A sample and its complement go together, since what they miss cancels or
    adds up. Residuals are smaller the more segments there are to fit, and are made larger by their leverage
    (Bell and McCaffrey's CR2), which matters with few samples for each segment.

    Args:
        problem: The regression of M samples.
        keep: Bool `(M, K)`: its samples.

    Returns:
        float64 `(T, K)`; infinite where there are no more samples, or pairs, than it takes to tell segments
        apart.

    Example:
        >>> from .sampling import lime_samples
        >>> from .surrogate import ridge_regression
        >>> samples = lime_samples(4, 400, np.random.default_rng(0))
        >>> answers = samples.keep[:, :1] * 1.0 + np.random.default_rng(1).normal(size=(400, 1))
        >>> standard_errors(ridge_regression(samples, answers), samples.keep).round(1)
        array([[0.1, 0.1, 0.1, 0.1]])
    """
    rows, values, rest, penalty = problem
    size, axes = np.linalg.eigh(rows.T @ rows + penalty * np.eye(rows.shape[1]))
    found = size > 1e-10 * size[-1]
    one, other = _pairs(keep)
    # What tells segments apart in a pair is one equation, and samples that weigh nothing are none.
    counting = np.count_nonzero(np.abs(rest[one]).max(axis=1, initial=0.0) > 1e-12)
    if counting - rest.shape[1] <= np.count_nonzero(found):
        return np.full((values.shape[1], rows.shape[1]), np.inf)
    inverse = (axes[:, found] / size[found]) @ axes[:, found].T
    # A row of zeros at the end is the partner of those that have none.
    rows, values, rest = (np.pad(part, ((0, 1), (0, 0))) for part in (rows, values, rest))
    shares = rows @ inverse
    missed = values - shares @ (rows.T @ values)
    # What residuals keep of the error within each pair, [[a, b], [b, d]], and its inverse square root.
    a, d, b = (
        same - (shares[i] * rows[j]).sum(axis=1) - (rest[i] * rest[j]).sum(axis=1)
        for i, j, same in ((one, one, 1.0), (other, other, 1.0), (one, other, 0.0))
    )
    volume = np.sqrt(np.maximum(a * d - b * b, 1e-12))
    scale = volume * np.sqrt(a + d + 2 * volume)
    errors = []
    for residual in missed.T:
        first = ((d + volume) * residual[one] - b * residual[other]) / scale
        second = ((a + volume) * residual[other] - b * residual[one]) / scale
        pulls = shares[one] * first[:, None] + shares[other] * second[:, None]
        errors.append(np.sqrt((pulls**2).sum(axis=0)))
    return np.array(errors)


def settled(scores: Floats, errors: Floats) -> bool:
    """Whether the scores of each target differ among themselves by much more than they may be wrong.

    Args:
        scores: float64 `(T, K)`.
        errors: float64 `(T, K)`, their standard errors.

    Example:
        >>> settled(np.array([[0.0, 1.0]]), np.array([[0.1, 0.1]]))
        True
        >>> settled(np.array([[0.0, 1.0]]), np.array([[0.4, 0.4]]))
        False
    """
    noise = (errors**2).mean(axis=1)
    # Errors are part of the spread that is seen; what rounding makes of equal answers is none.
    spread = scores.var(axis=1) - noise
    return bool(((noise <= SMALL**2 * spread) | (noise <= 1e-24)).all())


def _pairs(keep: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each row with its complement, or with `len(keep)` where there is none; every row is in one pair."""
    flipped = keep ^ keep[:, :1]  # the same for a row and its complement
    _, kind = np.unique(np.packbits(flipped, axis=1), axis=0, return_inverse=True)
    side = keep[:, 0].astype(np.int64)
    order = np.lexsort((np.arange(len(keep)), side, kind))
    # Which time the same row comes: the first goes with the first of its complement.
    starts = np.flatnonzero(np.diff(np.stack([kind[order], side[order]]), axis=1, prepend=-1).any(axis=0))
    lengths = np.diff(starts, append=len(keep))
    time = np.empty(len(keep), dtype=np.int64)
    time[order] = np.arange(len(keep)) - np.repeat(starts, lengths)
    order = np.lexsort((side, time, kind))
    together = np.stack([kind[order], time[order]])
    same = (together[:, 1:] == together[:, :-1]).all(axis=0)
    one = order[np.flatnonzero(~np.concatenate([[False], same]))]
    partner = np.full(len(keep), len(keep))
    partner[order[:-1][same]] = order[1:][same]
    return one, partner[one]
