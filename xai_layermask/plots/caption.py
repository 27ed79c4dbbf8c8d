"""What stands below figures of explanations: how the scores were computed, and how far to trust them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..catalog import title

__all__ = ["HasMethod", "caption"]


class HasMethod(Protocol):
    """How scores were computed."""

    @property
    def method(self) -> str: ...
    @property
    def masking(self) -> str: ...
    @property
    def n_samples(self) -> int: ...
    @property
    def note(self) -> str: ...


def caption(settings: Sequence[HasMethod], segments: int, notes: Sequence[str] = ()) -> str:
    """One line about the explanations of a figure; what they do not share is left out.

    Args:
        settings: Of each explanation.
        segments: Number of segments.
        notes: Further parts.

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
