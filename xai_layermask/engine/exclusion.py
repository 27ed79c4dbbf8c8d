"""One capture at a time, and none while a model runs.

`torch.export` switches off oneDNN, cuDNN and NNPACK for the whole process while it traces. A model that runs in another
thread meanwhile computes its convolutions with other kernels, which round differently. So captures and forward passes
exclude each other; forward passes run side by side.

A backward pass belongs to the caller and is not excluded. During a capture in another thread its kernels may change as
well, and its gradients by their rounding: a backward kernel reads nothing that depends on the forward one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["EXCLUSION", "Exclusion"]


class Exclusion:
    """Lets many threads run models, or one thread capture one.

    A thread that captures inside a run of its own suspends this run, so two such threads do not wait for each other.
    A fork waits for a capture that is under way: the child would inherit torch in the middle of it.

    Attributes:
        lock: Held during a capture, and released while waiting; it also guards the caches of maskings.

    Example:
        >>> exclusion = Exclusion()
        >>> with exclusion.running(), exclusion.running(), exclusion.capturing():
        ...     pass
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._runs = 0
        self._waiting = 0
        self._own = _Own()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self.lock.acquire, after_in_parent=self.lock.release, after_in_child=self._continue_alone
            )

    def _continue_alone(self) -> None:
        """Reset the counts in a forked child, where only the thread that forked exists."""
        self._changed = threading.Condition(self.lock)
        self._runs, self._waiting = self._own.runs, 0
        self.lock.release()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run a model, after the captures that are under way or waiting."""
        with self.lock:
            while self._waiting and not self._own.depth:
                self._changed.wait()
            self._count(1)
            self._own.depth += 1
        try:
            yield
        finally:
            with self.lock:
                self._own.depth -= 1
                self._count(-1)

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """Capture a model, after the captures and forward passes of other threads."""
        with self.lock:
            suspended = self._own.runs
            self._count(-suspended)
            self._waiting += 1
            try:
                while self._runs:
                    self._changed.wait()
            except BaseException:  # an interrupt from the keyboard
                self._count(suspended)
                raise
            finally:
                self._waiting -= 1
                self._changed.notify_all()
            self._own.depth += 1
            try:
                yield
            finally:
                self._own.depth -= 1
                self._count(suspended)

    def _count(self, runs: int) -> None:
        self._own.runs += runs
        self._runs += runs
        self._changed.notify_all()


class _Own(threading.local):
    """Of one thread: its runs that captures wait for, and the depth of its nested runs and captures."""

    runs = 0
    depth = 0


#: The one of this process, as torch has one set of switches.
EXCLUSION = Exclusion()
