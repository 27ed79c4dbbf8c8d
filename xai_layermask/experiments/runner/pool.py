"""`WorkerPool`: runs tasks in this process, in local processes, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from ...errors import check_integer
from .processes import Processes
from .worker import Answer, Work

__all__ = ["WorkerPool"]

_INTERVAL = 1.0  # seconds between two checks of the workers


class _Executor(Protocol):
    """Workers that run tasks as futures."""

    @property
    def size(self) -> int:
        """How many workers there are."""

    @property
    def capacity(self) -> int:
        """How many tasks to submit at once."""

    def submit(self, task: Work) -> Any:
        """Start a task; returns a future."""

    def answers(self, done: dict[Any, Work]) -> list[Answer]:
        """The results of the futures that are done, or their lost tasks."""

    def check(self) -> None:
        """Raise if the workers are gone for good."""

    def drop(self) -> None:
        """Abandon all submitted tasks."""

    def close(self) -> None:
        """Release the workers."""


class WorkerPool:
    """Workers that run tasks.

    Args:
        jobs: Number of processes on this machine, which share its cores; 1 runs tasks in this process.
        scheduler: Address of a Dask scheduler, such as "tcp://host:8786", whose workers run the tasks instead.

    Raises:
        InputError: If `jobs` is less than 1, the package distributed is missing, or no scheduler or worker answers.

    Example:
        >>> with WorkerPool(jobs=4) as pool:
        ...     pool.size
        4
    """

    def __init__(self, jobs: int = 1, scheduler: str | None = None) -> None:
        check_integer(jobs, "jobs", least=1)
        self._executor: _Executor | None = None
        if scheduler is not None:
            from .cluster import Cluster

            self._executor = Cluster(scheduler)
        elif jobs > 1:
            self._executor = Processes(jobs)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End local processes, or disconnect from a cluster, which keeps running."""
        if self._executor is not None:
            self._executor.close()

    @property
    def in_process(self) -> bool:
        """Whether tasks run in this process."""
        return self._executor is None

    @property
    def size(self) -> int:
        """Number of workers."""
        return 1 if self._executor is None else self._executor.size

    def run(self, tasks: Iterator[Work], alone: bool = False) -> Iterator[Answer]:
        """Run tasks.

        Args:
            tasks: The tasks, taken one by one as workers become free.
            alone: Whether to run one task at a time.

        Yields:
            Results in the order in which they arrive, or the task itself if its worker died. In this process, each
            result is yielded as soon as it is available.

        Raises:
            InputError: If a worker cannot run the tasks, or the cluster is gone.
        """
        executor = self._executor
        if executor is None:
            for task in tasks:
                yield from ([result] for result in task.results())
            return
        finished: SimpleQueue[Any] = SimpleQueue()
        pending: dict[Any, Work] = {}
        try:
            while True:
                while len(pending) < (1 if alone else executor.capacity):
                    following = next(tasks, None)
                    if following is None:
                        break
                    future = executor.submit(following)
                    pending[future] = following
                    future.add_done_callback(finished.put)
                if not pending:
                    return
                try:
                    done = [finished.get(timeout=_INTERVAL)]
                except Empty:
                    executor.check()
                    continue
                while not finished.empty():
                    done.append(finished.get())
                yield from executor.answers({future: pending.pop(future) for future in done})
        finally:
            if pending:
                executor.drop()
