"""The paper's experiments: protocols, the store of results, the runner, reports and the benchmark."""

from __future__ import annotations

from .store import Store
from .trial import Trial

__all__ = ["Store", "Trial"]
