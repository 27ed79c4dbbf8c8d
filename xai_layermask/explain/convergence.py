"""Convergence: how many samples are enough.

Samples are evaluated in rounds, and the surrogate is fitted after each. Sampling stops when the scores of every target
are reliable: when they are expected to correlate with those of infinitely many samples by `RELIABLE`.
"""

from __future__ import annotations

from .surrogate import Fit

__all__ = ["MAX_SAMPLES", "RELIABLE", "ROUNDS", "has_converged"]

#: The most samples evaluated for `n_samples="auto"`.
MAX_SAMPLES = 1000
#: The expected correlation at which sampling stops.
RELIABLE = 0.95
#: Sample counts after which convergence is tested. Each round adds at least a quarter, so that fits stay cheap.
ROUNDS = (100, 150, 200, 300, 400, 500, 625, 800, MAX_SAMPLES)


def has_converged(fit: Fit) -> bool:
    """Whether the scores of every target are reliable, or exactly known.

    Args:
        fit: The surrogate.

    Example:
        >>> import numpy as np
        >>> from .sampling import lime_samples
        >>> from .surrogate import fit
        >>> samples = lime_samples(4, 100, np.random.default_rng(0))
        >>> has_converged(fit("lime", samples, samples.coalitions[:, :1] + 0.0))
        True
        >>> noise = np.random.default_rng(0).normal(size=(100, 1))
        >>> has_converged(fit("lime", samples, samples.coalitions[:, :1] + 5 * noise))
        False
    """
    known = (fit.standard_errors == 0).all(axis=1)
    return bool(((fit.reliability >= RELIABLE) | known).all())
