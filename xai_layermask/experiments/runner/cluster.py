"""`Cluster`: the workers of a Dask scheduler."""

from __future__ import annotations

import time
from typing import Any

from ...errors import InputError, reason
from .worker import Answer, LostTask, Work, cannot_run, run_task

__all__ = ["Cluster"]

_CONNECT = 15  # seconds
# Workers that died are back after seconds; those that a job queue starts may take minutes.
_PATIENCE = 300.0
_INTERVAL = 1.0
_TASKS_PER_THREAD = 8
# Dask blames every task that a dead worker had queued, so its verdict proves nothing.
_DEATHS = 2


class Cluster:
    """Workers of a Dask cluster, which may come and go.

    Args:
        address: Address of the scheduler.

    Raises:
        InputError: If the package distributed is missing, or no scheduler or worker answers.
    """

    def __init__(self, address: str) -> None:
        self._client = _connect(address)
        self._pending: set[Any] = set()
        self._threads = 0
        self._checked = self._seen = time.monotonic()

    @property
    def size(self) -> int:
        return len(self._client.nthreads())

    @property
    def capacity(self) -> int:
        """Several tasks for each thread, so that many short ones can be collected at once."""
        if time.monotonic() > self._checked + _INTERVAL or not self._threads:
            self.check()
        return _TASKS_PER_THREAD * max(1, self._threads)

    def submit(self, task: Work) -> Any:
        future = self._client.submit(run_task, task, pure=False)
        self._pending.add(future)
        return future

    def answers(self, done: dict[Any, Work]) -> list[Answer]:
        self._pending.difference_update(done)
        try:
            # One call for all, since each takes some 10 ms. It waits for results that are computed again because their
            # worker died.
            found: list[list[Any]] = self._client.gather(list(done), errors="skip")
        except Exception as error:
            raise _gone(reason(error)) from error
        lost = [self._lost(future, task) for future, task in done.items() if future.status in ("error", "cancelled")]
        return [*found, *lost]

    def _lost(self, future: Any, task: Work) -> LostTask:
        from distributed import KilledWorker

        if future.status == "cancelled":
            raise _gone("it cancelled a task")
        error = future.exception()
        if isinstance(error, KilledWorker):
            return LostTask(task, _DEATHS)
        raise error if isinstance(error, InputError) else cannot_run(error) from error

    def check(self) -> None:
        """Count the workers, and raise if the scheduler or all workers are gone for good."""
        self._checked = time.monotonic()
        try:
            running = self._client.status == "running"
            self._threads = sum(self._client.nthreads().values()) if running else 0
        except Exception:
            # A scheduler that is shutting down raises all kinds of errors.
            self._threads = 0
        if self._threads:
            self._seen = self._checked
        elif self._client.status in ("closed", "closing") or self._checked - self._seen > _PATIENCE:
            raise _gone("its scheduler or all of its workers are gone")

    def drop(self) -> None:
        self._client.cancel(list(self._pending))
        self._pending.clear()

    def close(self) -> None:
        self._client.close()


def _gone(why: str) -> InputError:
    return InputError.expected("a cluster that runs until the end", why, "start it, and then this, again")


def _connect(address: str) -> Any:
    try:
        import distributed
    except ImportError as error:
        raise InputError.expected(
            "the package distributed for scheduler", reason(error), "pip install 'xai-layermask[distributed]'"
        ) from error
    connect: Any = distributed.Client
    try:
        client = connect(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError.expected(
            "the address of a running Dask scheduler for scheduler", f"{address!r} ({reason(error)})",
            "start one with dask scheduler, and give the address that it prints, such as tcp://host:8786",
        ) from error  # fmt: skip
    try:
        client.wait_for_workers(1, timeout=_CONNECT)
    except distributed.TimeoutError as error:
        client.close()
        raise InputError.expected(
            f"workers of the scheduler {address!r}", "none", f"start some with dask worker {address}"
        ) from error
    return client
