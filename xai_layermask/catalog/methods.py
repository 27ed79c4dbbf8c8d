"""Methods of explanation by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import choose
from .words import ALIASES

__all__ = ["ESTIMATORS", "METHODS", "SAMPLINGS", "MethodEntry", "check_estimator", "check_sampling"]


@dataclass(frozen=True)
class MethodEntry:
    """A method of explanation.

    Attributes:
        title: What figures call it.
        samplings: How its samples may depend on each other.
        auto: The sampling that "auto" stands for: the one whose scores converge first.
        estimators: What may be fitted to the predictions; the published one last.
    """

    title: str
    samplings: tuple[str, ...]
    auto: str
    estimators: tuple[str, ...]


METHODS: Mapping[str, MethodEntry] = MappingProxyType({
    "lime": MethodEntry("LIME", ("plain", "paired", "stratified", "orthogonal"), "orthogonal",
                        ("spatial", "ridge")),
    "shap": MethodEntry("KernelSHAP", ("plain", "paired", "stratified"), "stratified",
                        ("spatial", "least_squares")),
})
SAMPLINGS = ("auto", *METHODS["lime"].samplings)
ESTIMATORS = ("spatial", "ridge", "least_squares")


def check_sampling(sampling: object, method: str, what: str = "") -> str:
    """Return the sampling that a method uses: `sampling`, or its own choice for "auto".

    Args:
        sampling: One of the method's samplings, or "auto".
        method: One of `METHODS`.
        what: The argument's name for the message; by default that of the method's sampling.

    Raises:
        InputError: If the method has no such sampling.

    Example:
        >>> check_sampling("auto", "shap")
        'stratified'
    """
    entry = METHODS[method]
    chosen = choose(sampling, ("auto", *entry.samplings), what or f"sampling of method {method!r}", ALIASES)
    return entry.auto if chosen == "auto" else chosen


def check_estimator(estimator: object, method: str, what: str = "") -> str:
    """Return the estimator if a method has it.

    Args:
        estimator: "spatial", or the method's published one.
        method: One of `METHODS`.
        what: The argument's name for the message; by default that of the method's estimator.

    Raises:
        InputError: If the method has no such estimator.

    Example:
        >>> check_estimator("ridge", "lime")
        'ridge'
    """
    return choose(estimator, METHODS[method].estimators, what or f"estimator of method {method!r}")
