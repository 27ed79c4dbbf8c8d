"""Methods of explanation by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType

from ..errors import InputError, check_integer, choose
from .words import ALIASES

__all__ = ["ESTIMATORS", "METHODS", "SAMPLINGS", "MethodEntry", "check_estimator", "check_fit", "check_sampling"]


@dataclass(frozen=True)
class MethodEntry:
    """A method of explanation.

    Attributes:
        title: What figures call it.
        samplings: How its samples may depend on each other.
        auto: The sampling that "auto" stands for: the one whose scores converge fastest.
        estimators: What may be fitted to the predictions, the default first; the published one last.
        segments: The segmentation that "auto" stands for.
        fixed: Why the number of samples cannot be chosen; empty if it can.
        window: Whether segments are removed in windows of a given side.
        least: The smallest number of samples.
    """

    title: str
    samplings: tuple[str, ...]
    auto: str
    estimators: tuple[str, ...]
    segments: str = "slic:64"
    fixed: str = ""
    window: bool = False
    least: int = 2


METHODS: Mapping[str, MethodEntry] = MappingProxyType({
    "lime": MethodEntry("LIME", ("plain", "paired", "stratified", "orthogonal"), "orthogonal", ("spatial", "ridge")),
    "shap": MethodEntry(
        "KernelSHAP", ("plain", "paired", "stratified", "leverage"), "stratified", ("spatial", "least_squares")
    ),
    "rise": MethodEntry("RISE", ("plain", "paired"), "plain", ("mean",), "patches:8", window=True, least=4),
    "occlusion": MethodEntry("occlusion", ("all",), "all", ("mean",), "patches:16", "visits each window once", True),
    "ablation": MethodEntry("ablation", ("all",), "all", ("mean",), fixed="removes each segment once"),
})
SAMPLINGS = ("auto", *METHODS["lime"].samplings, "leverage", "all")
ESTIMATORS = ("auto", "spatial", "ridge", "least_squares", "mean")


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
    """Return the estimator that a method uses: `estimator`, or its default for "auto".

    Args:
        estimator: One of the method's estimators, or "auto".
        method: One of `METHODS`.
        what: The argument's name for the message; by default that of the method's estimator.

    Raises:
        InputError: If the method has no such estimator.

    Example:
        >>> check_estimator("auto", "lime")
        'spatial'
    """
    entry = METHODS[method]
    chosen = choose(estimator, ("auto", *entry.estimators), what or f"estimator of method {method!r}")
    return entry.estimators[0] if chosen == "auto" else chosen


def check_fit(method: str, n_samples: object, window: object, samples: str = "n_samples", side: str = "window") -> None:
    """Check that a method has a number of samples, and windows, to choose, and that the samples are enough.

    Args:
        method: One of `METHODS`.
        n_samples: "auto", or a number of samples.
        window: "auto", or the side of a window.
        samples: The first argument's name for the message.
        side: The second argument's name for the message.

    Raises:
        InputError: If a number is given to a method that has no use for it, or is too small.

    Example:
        >>> check_fit("ablation", 500, "auto")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected 'auto' for n_samples of method 'ablation', got 500: it removes each \
segment once
    """
    entry = METHODS[method]
    if entry.fixed and n_samples != "auto":
        wanted = f"'auto' for {samples} of method {method!r}"
        raise InputError.expected(wanted, repr(n_samples), f"it {entry.fixed}")
    if isinstance(n_samples, Integral):
        check_integer(n_samples, f"{samples} of method {method!r}", entry.least, otherwise="'auto'")
    if not entry.window and window != "auto":
        with_windows = " and ".join(name for name, one in METHODS.items() if one.window)
        wanted = f"'auto' for {side} of method {method!r}"
        raise InputError.expected(wanted, repr(window), f"only {with_windows} remove windows")
