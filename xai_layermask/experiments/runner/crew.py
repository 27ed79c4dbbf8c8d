"""`Crew`: the workers, processes of this machine or a Dask cluster, and what happens when one of them dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...errors import InputError, reason
from .worker import Lost, Outcome, Task, work

if TYPE_CHECKING:
    from joblib.parallel import ParallelBackendBase

__all__ = ["Crew"]

# Dask's workers come and go. joblib never has more tasks under way than it began with, so begin with many.
_AHEAD = 256
_PATIENCE = 15


class Crew:
    """Workers that do tasks.

    Args:
        jobs: How many processes of this machine; 1 works in this very process. They share its processors.
        scheduler: The address of a Dask scheduler, such as "tcp://host:8786", in place of processes here.

    Raises:
        InputError: If `jobs` is below 1, the package is missing, or no scheduler or no worker answers.

    Example:
        >>> with Crew(jobs=4) as crew:
        ...     crew.size
        4
    """

    def __init__(self, jobs: int = 1, scheduler: str | None = None) -> None:
        if jobs < 1:
            raise InputError(f"jobs must be a number of processes, but {jobs} came: give at least 1.")
        self._jobs = jobs
        self._client = None if scheduler is None else _client(scheduler)

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Part from a cluster, which goes on without us."""
        if self._client is not None:
            self._client.close()

    @property
    def in_process(self) -> bool:
        """Whether this very process does the work."""
        return self._client is None and self._jobs == 1

    @property
    def size(self) -> int:
        """How many workers there are."""
        return self._jobs if self._client is None else len(self._client.ncores())

    @property
    def parent(self) -> int | None:
        """The process that workers end with; None on a cluster."""
        return os.getpid() if self._client is None else None

    def answers(self, tasks: Iterator[Task], alone: bool = False) -> Iterator[list[Outcome] | Lost]:
        """Do tasks.

        Args:
            tasks: What to do, taken when a worker is about to be free, possibly in another thread.
            alone: Whether only one at a time is done, so that it is known who did it when a worker dies.

        Yields:
            What came of tasks, in the order in which they were done. If processes of this machine die, all of them
            are gone, and it ends early, with every task that was under way as `Lost`.

        Raises:
            InputError: If a worker cannot do any task of a model, or the cluster is gone.
        """
        import joblib
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        under_way: dict[tuple[str, ...], Task] = {}

        def taken(some: Iterator[Task]) -> Iterator[Any]:
            for task in some:
                under_way[_name(task)] = task
                yield joblib.delayed(work)(task)

        options = {"backend": "loky", "n_jobs": self._jobs} if self._client is None else self._dask()
        # joblib hands out a task before we hear of the last one, so that only a call of its own is alone.
        for some in ((iter([task]) for task in tasks) if alone else [tasks]):
            with joblib.parallel_config(**options):
                # Tasks are large enough, and a batch of them would be lost at once.
                parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=self._ahead)
            try:
                for answer in parallel(taken(some)):
                    under_way.pop(_name(answer.task if isinstance(answer, Lost) else answer), None)
                    yield answer
            except TerminatedWorkerError:
                # Nobody knows whose fault it was.
                yield from [Lost(task, 1) for task in list(under_way.values())]
                return

    @property
    def _ahead(self) -> int:
        return 2 * self._jobs if self._client is None else _AHEAD

    def _dask(self) -> dict[str, Any]:
        from .cluster import Cluster

        backend: ParallelBackendBase = Cluster(client=self._client)
        return {"backend": backend, "n_jobs": -1}


def _name(done: Task | list[Outcome]) -> tuple[str, ...]:
    units = done.units if isinstance(done, Task) else [outcome.unit for outcome in done]
    return tuple(unit.key for unit in units)


def _client(address: str) -> Any:
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            f"a scheduler needs the package distributed, but it cannot be imported ({reason(error)}): "
            "install it with pip install 'xai-layermask[distributed]'."
        ) from error
    connect: Any = distributed.Client
    try:
        client = connect(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"scheduler must be the address of a Dask scheduler, but none answers at {address!r} ({reason(error)}): "
            "start one with dask scheduler, and give what it prints, such as tcp://host:8786."
        ) from error
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError as error:
        client.close()
        raise InputError(
            f"the scheduler must have workers, but {address!r} has none: start some with dask worker {address}."
        ) from error
    return client
