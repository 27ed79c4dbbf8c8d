"""Surrogates: linear models over segments, fitted to the network's predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .estimators import cross_validated, least_squares
from .regression import Regression, lime_regression, shap_regression
from .sampling import Samples, lime_samples, shap_samples
from .spatial import Kernel, Strength, spatial

__all__ = ["METHODS", "Fit", "Method", "fit"]

Floats = npt.NDArray[np.float64]


class Fit(NamedTuple):
    """A linear surrogate for each of T targets.

    Attributes:
        scores: float64 `(T, K)`: the contribution of each segment, in units of the predictions.
        standard_errors: float64 `(T, K)`: what another draw of the samples would change; infinite if unknown.
        reliability: float64 `(T,)`: expected correlation of the scores with those of infinitely many samples.
        intercept: float64 `(T,)`: the surrogate's value of the empty coalition.
        r2: float64 `(T,)`: leave-one-out R2, the share of the predictions' variance that the surrogate explains for
            samples that it has not seen; negative if it predicts worse than their mean, nan for constant predictions.
        prior: What the samples imply about the spatial prior, for each target; None for other estimators.
    """

    scores: Floats
    standard_errors: Floats
    reliability: Floats
    intercept: Floats
    r2: Floats
    prior: tuple[Strength, ...] | None = None


class Method(NamedTuple):
    """A way to explain: how to sample coalitions, and which regression the scores solve.

    Attributes:
        draw: Maps the number of segments, the number of samples, a generator and the name of a scheme to samples.
        regression: Maps samples, predictions `(M, T)` and whether complements form one row to the regression.
        alpha: Strength of the published ridge penalty; 0 for none.
    """

    draw: Callable[[int, int, np.random.Generator, str], Samples]
    regression: Callable[[Samples, Floats, bool], Regression]
    alpha: float


#: The methods by name.
METHODS: dict[str, Method] = {
    "lime": Method(lime_samples, lime_regression, 1.0),
    "shap": Method(shap_samples, shap_regression, 0.0),
}


def fit(method: str, samples: Samples, predictions: Floats, priors: Sequence[Kernel] | None = None) -> Fit:
    """Fit the surrogate of a method.

    KernelSHAP's scores sum from the empty coalition to the grand one. With all `2^K` coalitions, weighted by the
    Shapley kernel, they are the exact Shapley values, whatever the prior.

    Args:
        method: "lime" or "shap".
        samples: M samples of K segments; for KernelSHAP the empty and the grand coalition are among them.
        predictions: float64 `(M, T)`: the network's predictions for T targets.
        priors: Kernels of the spatial estimator. None for least squares as published: ridge regression for LIME, the
            solution of minimum norm for KernelSHAP.

    Example:
        >>> samples = shap_samples(3, 8, np.random.default_rng(0))
        >>> predictions = samples.coalitions[:, :2].all(axis=1, keepdims=True).astype(float)
        >>> fit("shap", samples, predictions).scores.round(6) + 0.0
        array([[0.5, 0.5, 0. ]])
    """
    chosen = METHODS[method]
    coalitions = samples.coalitions
    exact = method == "shap" and len(coalitions) == 2 ** coalitions.shape[1]
    strength = None
    if priors is None or exact:
        problem = chosen.regression(samples, predictions, False)
        estimate = least_squares(problem, samples, chosen.alpha)
        if exact:
            varies = np.ptp(estimate.coefficients, axis=1) > 0
            none = np.zeros_like(estimate.standard_errors)
            estimate = estimate._replace(standard_errors=none, reliability=varies.astype(np.float64))
    else:
        problem = chosen.regression(samples, predictions, True)
        estimate, found = spatial(problem, priors)
        strength = tuple(found)
    scores = problem.base[:, None] + estimate.coefficients
    rest = predictions - coalitions @ scores.T
    if problem.centred:
        intercept = predictions[~coalitions.any(axis=1)][0]
    else:
        intercept = samples.weights @ rest / samples.weights.sum()
    return Fit(
        scores,
        estimate.standard_errors,
        estimate.reliability,
        intercept,
        cross_validated(problem, estimate),
        strength,
    )
