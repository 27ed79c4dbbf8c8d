"""Whether the host may read masks while a model runs; this chooses between the two ways to fill absent cells.

On the CPU, [`padding`][xai_layermask.engine.padding] lists the absent cells, which is fastest there. On any other
device, reading a mask would wait until everything before it is computed, so [`dense`][xai_layermask.engine.dense] takes
the number of rings from the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

__all__ = ["may_wait", "never_waiting"]

_NEVER = ContextVar("_NEVER", default=False)


def may_wait(device: torch.device) -> bool:
    """Whether the host may read masks that are on a device.

    Example:
        >>> may_wait(torch.device("cpu")), may_wait(torch.device("cuda"))
        (True, False)
    """
    return device.type == "cpu" and not _NEVER.get()


@contextmanager
def never_waiting() -> Iterator[None]:
    """Run models on the CPU as on an accelerator, to test and count what they do there."""
    token = _NEVER.set(True)
    try:
        yield
    finally:
        _NEVER.reset(token)
