"""Run an agenda: hand tasks to the workers, write what comes back, and outlive workers that die."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from ...errors import InputError
from ..store import Store
from .agenda import Agenda, Entry
from .crew import Crew
from .worker import Lost, Outcome, Task

__all__ = ["Outline", "Progress", "evaluate"]

# A unit that ends so many workers is given up; one death before that it runs alone, so that no other is blamed.
_DEATHS = 3
# So many units given up in a row, and nothing done in between: it is not the pictures' fault.
_HOPELESS = 5
# What a task takes. Longer ones save little, since workers keep their models, and more is lost with a worker.
_SECONDS = 20.0


class Progress(NamedTuple):
    """How far an evaluation is.

    Attributes:
        units: Units that are done or given up.
        of_units: Those to be done; what another run did meanwhile is taken off.
        passes: Forward passes done, about.
        of_passes: Those to be done.
        seconds: Since the beginning.
    """

    units: int
    of_units: int
    passes: int
    of_passes: int
    seconds: float

    @property
    def left(self) -> float | None:
        """Seconds to the end at the speed so far; None before anything is done.

        Example:
            >>> Progress(1, 4, 100, 400, 10.0).left
            30.0
        """
        return self.seconds * (self.of_passes - self.passes) / self.passes if self.passes else None


@dataclass(frozen=True)
class Outline:
    """What an evaluation came to.

    Attributes:
        written: How many units were written to the store.
        elsewhere: How many another run wrote meanwhile.
        problems: A sentence for each unit that failed.
    """

    written: int
    elsewhere: int
    problems: tuple[str, ...]


def evaluate(
    agenda: Agenda,
    store: Store,
    crew: Crew,
    device: str = "auto",
    batch_size: int | None = None,
    strict: bool = False,
    advance: Callable[[Progress], object] = lambda progress: None,
) -> Outline:
    """Do what is on an agenda.

    Every unit is written as soon as it comes back, so that whatever ends this process, what was written is whole,
    and the next run goes on from there.

    Args:
        agenda: What is to be done.
        store: Where the results go.
        crew: Who does it.
        device: "auto" or a device, for each worker.
        batch_size: How many pictures go through a model at once; None for what suits it.
        strict: Whether a unit that fails is an error; otherwise it is left out and named.
        advance: Is told how far it is, after every task.

    Returns:
        What it came to.

    Raises:
        InputError: If the store cannot be written, a worker cannot do its tasks, every single unit fails, or
            `strict` and one does.
    """
    run = _Run(agenda, store, crew, device, batch_size, strict, advance)
    run.all()
    if run.problems and not (run.written or run.elsewhere or agenda.done):
        raise InputError(f"at least one unit must succeed, but all {len(run.problems)} failed: {run.problems[0]}")
    return Outline(run.written, run.elsewhere, tuple(run.problems))


class _Run:
    def __init__(
        self,
        agenda: Agenda,
        store: Store,
        crew: Crew,
        device: str,
        batch_size: int | None,
        strict: bool,
        advance: Callable[[Progress], object],
    ) -> None:
        self._protocol, self._store, self._crew, self._advance = agenda.protocol, store, crew, advance
        self._device, self._batch_size, self._strict = device, batch_size, strict
        # Two runs into one store begin at different places: when one comes to what the other has done, it goes on.
        groups = [list(group) for _, group in groupby(agenda.entries, lambda entry: (entry.source, entry.item.name))]
        start = random.SystemRandom().randrange(len(groups)) if groups else 0
        self._open = {entry.unit.key: entry for group in groups[start:] + groups[:start] for entry in group}
        self._found: deque[str] = deque()  # keys that another run has written meanwhile
        self._deaths: Counter[str] = Counter()
        self._given_up = 0
        self._start = time.perf_counter()
        self._work = 0.0  # seconds that workers took for the passes that are done
        self._of_passes, self._passes, self._units, self._of_units = agenda.passes, 0, 0, len(agenda.entries)
        self.written, self.elsewhere = 0, 0
        self.problems: list[str] = []

    def all(self) -> None:
        """Round after round, until nothing is open. A round ends early when workers die."""
        while self._open:
            before = len(self._open), sum(self._deaths.values())
            calm = [entry for key, entry in self._open.items() if self._deaths[key] < _DEATHS - 1]
            alone = not calm
            for answer in self._crew.answers(self._tasks(calm or list(self._open.values())), alone):
                self._forget_found()
                if isinstance(answer, Lost):
                    self._mourn(answer, alone)
                else:
                    for outcome in answer:
                        self._take(outcome)
                self._advance(self._progress())
            self._forget_found()
            if before == (len(self._open), sum(self._deaths.values())):
                raise InputError("workers must take tasks, but they died without one: check this machine's memory.")
        self._advance(self._progress())

    def _tasks(self, entries: Sequence[Entry]) -> Iterator[Task]:
        """Tasks in the order of the entries; units that may have ended a worker come last, each in its own task."""
        calm = [entry for entry in entries if not self._deaths[entry.unit.key]]
        suspects = [[entry] for entry in entries if self._deaths[entry.unit.key]]
        yield from map(self._task, self._unfinished(self._parts(calm)))
        yield from map(self._task, self._unfinished(suspects))

    def _parts(self, entries: Sequence[Entry]) -> Iterator[list[Entry]]:
        """Entries of the same model and picture, in parts that take about as long as a task may."""
        for _, group in groupby(entries, lambda entry: (entry.source, entry.item.name)):
            part: list[Entry] = []
            passes = 0
            for entry in group:
                if part and passes + entry.passes > self._most():
                    yield part
                    part, passes = [], 0
                part.append(entry)
                passes += entry.passes
            yield part

    def _most(self) -> float:
        """Forward passes in a task; none, which means one unit, as long as nothing is known of their speed."""
        if self._crew.in_process or not self._work:
            return 0.0
        return _SECONDS * self._passes / self._work

    def _unfinished(self, parts: Iterator[list[Entry]] | list[list[Entry]]) -> Iterator[list[Entry]]:
        """Leave out what another run has done since the agenda was made."""
        for part in parts:
            done = self._store.done(entry.unit.key for entry in part)
            self._found.extend(done)
            rest = [entry for entry in part if entry.unit.key not in done]
            if rest:
                yield rest

    def _task(self, part: list[Entry]) -> Task:
        units = tuple(entry.unit for entry in part)
        first = part[0]
        return Task(
            self._protocol, first.source, first.item, units, self._device, self._batch_size, self._crew.parent
        )

    def _forget_found(self) -> None:
        while self._found:
            entry = self._open.pop(self._found.popleft(), None)
            if entry is not None:
                self.elsewhere += 1
                self._of_units -= 1
                self._of_passes -= entry.passes

    def _take(self, outcome: Outcome) -> None:
        entry = self._open.pop(outcome.unit.key, None)
        if entry is None:  # a task that was taken for lost came back
            return
        self._units += 1
        self._given_up = 0
        if outcome.rows is None:
            self._of_passes -= entry.passes
            self._fail(outcome.problem)
            return
        self._passes += entry.passes
        self._work += outcome.seconds
        if self._store.put(outcome.unit, outcome.rows, outcome.seconds, outcome.worker):
            self.written += 1
        else:
            self.elsewhere += 1

    def _mourn(self, lost: Lost, alone: bool) -> None:
        for unit in lost.task.units:
            entry = self._open.get(unit.key)
            if entry is None:
                continue
            deaths = self._deaths[unit.key]
            # Only who was alone when a worker died has surely done it.
            self._deaths[unit.key] = deaths + 1 if alone else min(deaths + lost.suspicion, _DEATHS - 1)
            if self._deaths[unit.key] < _DEATHS:
                continue
            del self._open[unit.key]
            self._units += 1
            self._of_passes -= entry.passes
            self._given_up += 1
            sentence = (
                f"{unit.picture!r} with {unit.model}, {unit.masking} {unit.segments}".rstrip()
                + ": its workers died again and again, so it was given up; look at their memory."
            )
            self._fail(sentence)
            if self._given_up >= _HOPELESS:
                raise InputError(f"workers must live, but died of {_HOPELESS} units in a row; the last: {sentence}")

    def _fail(self, sentence: str) -> None:
        if self._strict:
            raise InputError(sentence)
        self.problems.append(sentence)

    def _progress(self) -> Progress:
        return Progress(
            self._units, self._of_units, self._passes, self._of_passes, time.perf_counter() - self._start
        )
