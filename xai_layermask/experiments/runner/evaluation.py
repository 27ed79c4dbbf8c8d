"""`evaluate`: run a work plan on a pool of workers and store the results, even if workers die."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from ...errors import InputError
from ..store import Store
from .model_spec import forget_models
from .plan import PlannedTrial, WorkPlan
from .pool import WorkerPool
from .worker import LostTask, Task, TrialResult

__all__ = ["Progress", "Summary", "evaluate"]

# A trial is given up after this many worker deaths. In its last attempt it runs alone.
_MOST_DEATHS = 3
# With this many trials given up in a row, the machine is at fault, not the pictures.
_MOST_GIVEN_UP = 5
# Target duration of a task. Longer ones save little, since workers keep their models, and a dead worker loses more.
_TASK_SECONDS = 20.0


class Progress(NamedTuple):
    """How far an evaluation is.

    Attributes:
        trials: Trials that are done or given up.
        of_trials: Trials to run, without those that another run did meanwhile.
        passes: Forward passes done, approximately.
        of_passes: Forward passes to run.
        seconds: Time since the start.
    """

    trials: int
    of_trials: int
    passes: int
    of_passes: int
    seconds: float

    @property
    def left(self) -> float | None:
        """Seconds left at the speed so far; None before anything is done.

        Example:
            >>> Progress(1, 4, 100, 400, 10.0).left
            30.0
        """
        return self.seconds * (self.of_passes - self.passes) / self.passes if self.passes else None


@dataclass(frozen=True)
class Summary:
    """The outcome of an evaluation.

    Attributes:
        written: Trials written to the store.
        elsewhere: Trials that another run wrote meanwhile.
        problems: For each trial that failed, why.
    """

    written: int
    elsewhere: int
    problems: tuple[str, ...]


def evaluate(
    plan: WorkPlan,
    store: Store,
    pool: WorkerPool,
    device: str = "auto",
    batch_size: int | None = None,
    strict: bool = False,
    advance: Callable[[Progress], object] = lambda progress: None,
) -> Summary:
    """Run the trials of a plan.

    Each result is stored as soon as it arrives. If this process ends, the next run continues from there.

    Args:
        plan: The trials.
        store: Where results are stored.
        pool: The workers.
        device: "auto" or a device, for each worker.
        batch_size: Pictures in a forward pass; None for a default that suits their size.
        strict: Whether a failed trial is an error. Otherwise it is left out and reported.
        advance: Called after every task.

    Raises:
        InputError: If the store cannot be written, a worker cannot run its tasks, every trial fails, or `strict` and
            one fails.
    """
    run = _Run(plan, store, pool, device, batch_size, strict, advance)
    run.all()
    if run.problems and not (run.written or run.elsewhere or plan.done):
        raise InputError.expected(
            "at least one trial that succeeds", f"{len(run.problems)} failed ones, such as {run.problems[0]}"
        )
    return Summary(run.written, run.elsewhere, tuple(run.problems))


class _Run:
    def __init__(
        self,
        plan: WorkPlan,
        store: Store,
        pool: WorkerPool,
        device: str,
        batch_size: int | None,
        strict: bool,
        advance: Callable[[Progress], object],
    ) -> None:
        self._protocol, self._store, self._pool, self._advance = plan.protocol, store, pool, advance
        self._device, self._batch_size, self._strict = device, batch_size, strict
        # Two runs with one store start at different places, and each skips what the other has done.
        groups = [list(group) for _, group in groupby(plan.planned, _model_and_picture)]
        start = random.SystemRandom().randrange(len(groups)) if groups else 0
        self._open = {one.trial.key: one for group in groups[start:] + groups[:start] for one in group}
        self._deaths: Counter[str] = Counter()
        self._given_up = 0
        self._start = time.perf_counter()
        self._work = 0.0  # seconds that workers took for the passes that are done
        self._of_passes, self._passes, self._trials, self._of_trials = plan.passes, 0, 0, len(plan.planned)
        self.written, self.elsewhere = 0, 0
        self.problems: list[str] = []

    def all(self) -> None:
        if not self._pool.in_process:
            forget_models()  # workers load their own
        while self._open:
            before = len(self._open), sum(self._deaths.values())
            # Trials that may kill their worker once more run last, and one at a time.
            safe = [one for key, one in self._open.items() if self._deaths[key] < _MOST_DEATHS - 1]
            alone = not safe
            for answer in self._pool.run(self._tasks(safe or list(self._open.values())), alone):
                if isinstance(answer, LostTask):
                    self._count_deaths(answer, alone)
                else:
                    for result in answer:
                        self._take(result)
                self._advance(self._progress())
            if before == (len(self._open), sum(self._deaths.values())):
                raise InputError.expected("workers that take tasks", "workers that end immediately", "check the memory")
        self._advance(self._progress())

    def _tasks(self, planned: Sequence[PlannedTrial]) -> Iterator[Task]:
        """Tasks in the order of the plan; trials that may have killed a worker come last, each in its own task."""
        safe = [one for one in planned if not self._deaths[one.trial.key]]
        suspects = [[one] for one in planned if self._deaths[one.trial.key]]
        for parts in (self._parts(safe), suspects):
            for part in parts:
                part = self._without_done(part)
                if part:
                    first, trials = part[0], tuple(one.trial for one in part)
                    yield Task(self._protocol, first.model, first.item, trials, self._device, self._batch_size)

    def _parts(self, planned: Sequence[PlannedTrial]) -> Iterator[list[PlannedTrial]]:
        """Trials of the same model and picture, in parts of `_TASK_SECONDS`."""
        for _, group in groupby(planned, _model_and_picture):
            part: list[PlannedTrial] = []
            passes = 0
            for one in group:
                if part and passes + one.passes > self._passes_per_task():
                    yield part
                    part, passes = [], 0
                part.append(one)
                passes += one.passes
            yield part

    def _passes_per_task(self) -> float:
        """Forward passes in a task; 0, which means one trial, until the speed is known."""
        if self._pool.in_process:
            return float("inf")
        return _TASK_SECONDS * self._passes / self._work if self._work else 0.0

    def _without_done(self, part: Iterable[PlannedTrial]) -> list[PlannedTrial]:
        """Without the trials that another run has stored since the plan was made."""
        rest = []
        done = self._store.done(one.trial.key for one in part)
        for one in part:
            if one.trial.key not in done:
                rest.append(one)
            elif self._open.pop(one.trial.key, None) is not None:
                self.elsewhere += 1
                self._of_trials -= 1
                self._of_passes -= one.passes
        return rest

    def _take(self, result: TrialResult) -> None:
        planned = self._open.pop(result.trial.key, None)
        if planned is None:  # the task was believed lost, but its result arrived
            return
        self._trials += 1
        self._given_up = 0
        if result.rows is None:
            self._of_passes -= planned.passes
            self._fail(result.problem)
            return
        self._passes += planned.passes
        self._work += result.seconds
        if self._store.put(result.trial, result.rows, result.seconds, result.worker):
            self.written += 1
        else:
            self.elsewhere += 1

    def _count_deaths(self, lost: LostTask, alone: bool) -> None:
        for trial in lost.task.trials:
            planned = self._open.get(trial.key)
            if planned is None:
                continue
            deaths = self._deaths[trial.key]
            # Blame a trial only if it ran alone.
            self._deaths[trial.key] = deaths + 1 if alone else min(deaths + lost.deaths, _MOST_DEATHS - 1)
            if self._deaths[trial.key] < _MOST_DEATHS:
                continue
            del self._open[trial.key]
            self._trials += 1
            self._of_passes -= planned.passes
            self._given_up += 1
            problem = f"{trial}: given up, since its workers died {_MOST_DEATHS} times: check their memory"
            self._fail(problem)
            if self._given_up >= _MOST_GIVEN_UP:
                raise InputError.expected(
                    "workers that survive", f"deaths in {_MOST_GIVEN_UP} trials in a row, the last one {problem}"
                )

    def _fail(self, problem: str) -> None:
        if self._strict:
            raise InputError(problem)
        self.problems.append(problem)

    def _progress(self) -> Progress:
        seconds = time.perf_counter() - self._start
        return Progress(self._trials, self._of_trials, self._passes, self._of_passes, seconds)


def _model_and_picture(planned: PlannedTrial) -> tuple[object, str]:
    return planned.model, planned.item.name
