"""Captions of explanation figures: how the scores were computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..catalog import title

__all__ = ["HasMethod", "caption"]


class HasMethod(Protocol):
    """The settings of an explanation that captions show."""

    @property
    def method(self) -> str: ...
    @property
    def masking(self) -> str: ...
    @property
    def n_samples(self) -> int: ...
    @property
    def note(self) -> str: ...


def caption(settings: Sequence[HasMethod], segments: int, notes: Sequence[str] = ()) -> str:
    """One line about the explanations of a figure: the settings that all of them share.

    Args:
        settings: The settings of each explanation.
        segments: Number of segments.
        notes: Text to append.

    Example:
        >>> from types import SimpleNamespace
        >>> caption([SimpleNamespace(method="lime", masking="layer", n_samples=500)], 178)
        'LIME, layer masking; 178 segments; 500 samples'
    """
    methods = {title(one.method) for one in settings}
    maskings = {title(one.masking) for one in settings}
    samples = {f"{one.n_samples} samples" for one in settings}
    how = ", ".join(one.pop() for one in (methods, maskings) if len(one) == 1)
    return "; ".join([part for part in (how, f"{segments} segments", *(samples if len(samples) == 1 else ())) if part]
                     + list(notes))  # fmt: skip
