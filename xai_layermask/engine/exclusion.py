"""One capture at a time, and none while a model runs.

`torch.export` switches off oneDNN, cuDNN and NNPACK for the whole process while it traces. A model that runs in another
thread meanwhile computes its convolutions with other kernels, which round differently. So captures and forward passes
exclude each other; forward passes run side by side.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["EXCLUSION", "Exclusion"]


class Exclusion:
    """Lets many threads run models, or one thread capture one.

    A fork waits for a capture that is under way: the child would inherit torch in the middle of it, and a lock that
    nobody releases.

    Attributes:
        lock: Held during a capture; it also guards what maskings remember.

    Example:
        >>> exclusion = Exclusion()
        >>> with exclusion.running(), exclusion.running():
        ...     pass
        >>> with exclusion.capturing():
        ...     pass
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition()
        self._runs = 0
        self._captures = 0
        self._own = threading.local()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self.lock.acquire, after_in_parent=self.lock.release, after_in_child=self._continue_alone
            )

    def _continue_alone(self) -> None:
        """In a forked child, of all threads the one that forked is left."""
        self._changed = threading.Condition()
        self._runs = getattr(self._own, "depth", 0)
        self.lock.release()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run a model, after the captures that are under way or waiting."""
        with self._nested() as nested:
            with self._changed:
                while self._captures and not nested:
                    self._changed.wait()
                self._runs += 1
            try:
                yield
            finally:
                with self._changed:
                    self._runs -= 1
                    self._changed.notify_all()

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """Capture a model, after the captures and forward passes of other threads."""
        with self.lock, self._nested() as nested:
            with self._changed:
                self._captures += 1
                while self._runs and not nested:
                    self._changed.wait()
            try:
                yield
            finally:
                with self._changed:
                    self._captures -= 1
                    self._changed.notify_all()

    @contextmanager
    def _nested(self) -> Iterator[bool]:
        """Whether this thread runs or captures a model already; it must not wait for itself."""
        depth = getattr(self._own, "depth", 0)
        self._own.depth = depth + 1
        try:
            yield depth > 0
        finally:
            self._own.depth = depth


#: The one of this process, as torch has one set of switches.
EXCLUSION = Exclusion()
