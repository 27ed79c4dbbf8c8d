"""The spatial estimator: Bayesian linear regression whose prior says that nearby segments score alike.

The prior covariance of the scores is a mixture of a squared-exponential kernel over the distance of the segments'
centres and of independent scores. The length of the kernel, the share of the mixture and the signal-to-noise ratio are
averaged over a grid, weighted by their marginal likelihood: where neighbours do not score alike, or there is no signal,
the samples outweigh the prior. The posterior variance is the squared standard error.

BayLIME (Zhao et al., UAI 2021) is a related method without a spatial prior. On Gaussian processes in this form, see
Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), chapters 2 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..segments import centroids
from .estimators import Estimate
from .regression import Regression

__all__ = ["MAX_SEGMENTS", "Kernel", "Strength", "kernels", "spatial"]

Floats = npt.NDArray[np.float64]

#: With more segments the prior is that of independent scores, since a covariance of all pairs takes too much memory.
MAX_SEGMENTS = 4096

_LENGTHS, _SHARES = (0.05, 0.1, 0.15, 0.25), (0.4, 0.8)
# Prior variance of the surrogate over that of the noise.
_SIGNALS = 10.0 ** np.arange(-3, 6.01, 0.25)
# Points of the grid that are less likely than the best one by this factor do not count.
_NEGLIGIBLE = 1e-3


class Kernel(NamedTuple):
    """A prior covariance of the scores, up to its scale.

    Attributes:
        length: Length of the squared-exponential kernel, as a share of the picture's longer side; 0 if there is none.
        share: Share of the prior variance that neighbours have in common.
        covariance: float64 `(K, K)` with ones on the diagonal; None stands for the identity.
    """

    length: float
    share: float
    covariance: Floats | None


class Strength(NamedTuple):
    """What the samples imply about the prior, averaged over its settings.

    Attributes:
        length: Length of the kernel, as a share of the picture's longer side; 0 if scores are independent.
        share: Share of the prior variance that neighbours have in common, from 0 to 1.
        signal: Share of the predictions' variance that the surrogate is expected to explain, from 0 to 1.
    """

    length: float
    share: float
    signal: float


def kernels(segments: npt.NDArray[np.int64]) -> list[Kernel]:
    """The kernels over which [`spatial`][] averages.

    Args:
        segments: int64 `(H, W)`, ids 0..K-1.

    Example:
        >>> [(one.length, one.share) for one in kernels(np.array([[0, 1], [2, 3]]))][:3]
        [(0.0, 0.0), (0.05, 0.4), (0.05, 0.8)]
    """
    count = int(segments.max()) + 1
    found = [Kernel(0.0, 0.0, None)]
    if count > MAX_SEGMENTS:
        return found
    centres = centroids(segments).T / max(segments.shape)
    squared = sum((centre[:, None] - centre) ** 2 for centre in centres)
    for length in _LENGTHS:
        near = np.exp(-squared / (2 * length**2))
        found += [Kernel(length, share, share * near + (1 - share) * np.eye(count)) for share in _SHARES]
    return found


def spatial(problem: Regression, priors: Sequence[Kernel]) -> tuple[Estimate, list[Strength]]:
    """Posterior mean and standard deviation of the coefficients under a spatial prior.

    Args:
        problem: The regression of M samples.
        priors: From [`kernels`][].

    Returns:
        The estimate, and the strength of the prior for each target.

    Example:
        >>> from .regression import lime_regression
        >>> from .sampling import lime_samples
        >>> segments = np.arange(16).reshape(4, 4)
        >>> samples = lime_samples(16, 200, np.random.default_rng(0))
        >>> truth = (segments.ravel() % 4 > 1).astype(float)
        >>> problem = lime_regression(samples, samples.coalitions @ truth[:, None])
        >>> spatial(problem, kernels(segments))[0].coefficients.round(2).reshape(4, 4)[0] + 0.0
        array([0., 0., 1., 1.])
    """
    posteriors = [_Posterior(problem, kernel) for kernel in priors]
    targets = [_averaged(problem, posteriors, target) for target in range(problem.values.shape[1])]
    columns = zip(*(parts for parts, _ in targets), strict=True)
    coefficients, errors, reliability, leverage = (np.stack(column) for column in columns)
    return Estimate(coefficients, errors, reliability, leverage.T), [strength for _, strength in targets]


class _Posterior:
    """The eigenvectors of one kernel's regression, in which every signal-to-noise ratio is diagonal.

    A coefficient is `basis @ weights` for weights that depend on the ratio alone; features are scaled so that a ratio
    of 1 gives the surrogate's values the variance of the noise.
    """

    def __init__(self, problem: Regression, kernel: Kernel) -> None:
        self.kernel = kernel
        covariance = kernel.covariance
        # The jitter keeps segments with a common centre apart.
        root = None if covariance is None else np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance)))
        white = problem.features if root is None else problem.features @ root
        scale = np.sqrt((white**2).sum() / len(white)) or 1.0
        rows, columns = white.shape
        values, vectors = np.linalg.eigh(white.T @ white if columns <= rows else white @ white.T)
        kept = values > 1e-12 * max(values[-1], 1e-300)
        values, vectors = values[kept], vectors[:, kept]
        self.left = white @ vectors / np.sqrt(values) if columns <= rows else vectors
        right = vectors if columns <= rows else white.T @ vectors / np.sqrt(values)
        basis = (right if root is None else root @ right) / scale
        self.squared = values / scale**2
        self.projections = self.left.T @ problem.values
        # The prior variance of each coefficient, as they are and apart from a shift of all of them.
        means = np.full(columns, 1 / columns) if covariance is None else covariance.mean(axis=1)
        self.apart, self.apart_variance = basis - basis.mean(axis=0), (1 - 2 * means + means.mean()) / scale**2
        self.basis: Floats = self.apart if problem.centred else basis
        self.variance: Floats = self.apart_variance if problem.centred else np.full(columns, 1 / scale**2)

    def evidence(self, energy: float, target: int, freedom: float) -> tuple[Floats, Floats]:
        """Logarithm of the marginal likelihood and variance of the noise for each signal-to-noise ratio."""
        explained = _SIGNALS[:, None] * self.squared
        quadratic = energy - (explained / (1 + explained)) @ self.projections[:, target] ** 2
        noise = np.maximum(quadratic, 1e-14 * energy) / freedom
        return -0.5 * freedom * np.log(noise) - 0.5 * np.log1p(explained).sum(axis=1), noise


def _averaged(
    problem: Regression, posteriors: Sequence[_Posterior], target: int
) -> tuple[tuple[Floats, Floats, np.float64, Floats], Strength]:
    """Average the posteriors of one target over kernels and ratios: coefficients, errors, reliability and leverage."""
    nuisance, columns = problem.nuisance, problem.features.shape[1]
    fixed, none = (nuisance**2).sum(axis=1), np.zeros(columns)
    energy = float(problem.values[:, target] @ problem.values[:, target])
    if energy == 0:
        # Constant predictions have exact scores of 0; without information about segments, errors are infinite.
        errors = none if problem.features.any() else np.full(columns, np.inf)
        return (none, errors, np.float64(0), fixed), Strength(0.0, 0.0, 0.0)
    rows = np.count_nonzero(problem.features.any(axis=1) | (fixed > 1e-24))
    freedom = max(problem.efficiency * rows - nuisance.shape[1], 1.0)
    found = [one.evidence(energy, target, freedom) for one in posteriors]
    best = max(logarithm.max() for logarithm, _ in found)
    likelihood = np.exp(np.stack([logarithm for logarithm, _ in found]) - best)
    likelihood[likelihood < _NEGLIGIBLE] = 0
    likelihood /= likelihood.sum()
    moments = np.zeros((4, columns))  # coefficients, their second moment, and both apart from a shift
    leverage = fixed
    for one, chances, (_, noise) in zip(posteriors, likelihood, found, strict=True):
        used = chances > 0
        chances, signal, scale = chances[used], _SIGNALS[used], noise[used] * _SIGNALS[used]
        explained = signal[:, None] * one.squared
        explained /= 1 + explained
        weights = explained / np.sqrt(one.squared) * one.projections[:, target]
        for place, basis, prior in ((0, one.basis, one.variance), (2, one.apart, one.apart_variance)):
            means = basis @ weights.T
            variances = scale * (prior[:, None] - (basis**2) @ explained.T)
            moments[place] += means @ chances
            moments[place + 1] += (means**2 + variances) @ chances
        leverage = leverage + (one.left**2) @ (chances @ explained)
    variances, noise = (np.maximum(moments[i + 1] - moments[i] ** 2, 0) for i in (0, 2))
    # The true scores are the posterior means plus independent errors.
    spread = moments[0].var()
    reliability = np.sqrt(spread / (spread + noise.mean())) if spread > 0 else np.float64(0)
    by_kernel = likelihood.sum(axis=1)
    strength = Strength(
        float(by_kernel @ [one.kernel.length for one in posteriors]),
        float(by_kernel @ [one.kernel.share for one in posteriors]),
        float(likelihood.sum(axis=0) @ (_SIGNALS / (1 + _SIGNALS))),
    )
    return (moments[0], np.sqrt(variances), reliability, leverage), strength
