"""`explain_folder`: explain the pictures that are not finished yet, and write each result when it is available."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import InputError
from ...maskings.registry import pin
from ...version import __version__
from ..runner import LostTask, WorkerPool, forget_models, load_model
from ..trial import Trial
from .pictures import digest_file
from .recipe import Recipe
from .results import NotWritten, ResultFolder
from .task import FolderTask, PictureResult

__all__ = ["Summary", "explain_folder"]

# Pictures in a task for a worker: few, since a killed run loses those in progress. In this process, results arrive one
# by one.
_PER_TASK = 4
_SECONDS = 30.0  # between two updates of the table and the index


@dataclass(frozen=True)
class Summary:
    """The outcome.

    Attributes:
        written: Pictures that were explained.
        skipped: Pictures that an earlier run had explained.
        problems: For each picture that was left out, why.
    """

    written: int
    skipped: int
    problems: Mapping[str, str]


def explain_folder(
    pictures: Mapping[str, Path],
    out: str | os.PathLike[str],
    recipe: Recipe,
    pool: WorkerPool,
    device: str = "auto",
    strict: bool = False,
    advance: Callable[[int, int], object] = lambda done, total: None,
    title: str = "Explanations",
) -> Summary:
    """Explain pictures into a folder. What an earlier run with the same recipe finished is skipped.

    Args:
        pictures: Paths by name, such as from [`list_pictures`][].
        out: The folder of the results: a new or empty one, or that of an earlier run.
        recipe: How they are explained.
        pool: The workers.
        device: "auto" or a device, for each worker.
        strict: Whether a picture that cannot be explained is an error. Otherwise it is left out and reported.
        advance: Called after each picture with the number of finished ones and of all.
        title: Heading of the index.

    Raises:
        InputError: If the folder cannot be used, no picture can be explained, or `strict` and one cannot.
    """
    results = ResultFolder(out)
    try:
        pinned = replace(recipe, masking=pin(recipe.masking))
        return _Run(results, pinned, pool, device, strict, advance, title).all(pictures)
    finally:
        results.close()


class _Run:
    def __init__(
        self, results: ResultFolder, recipe: Recipe, pool: WorkerPool, device: str, strict: bool,
        advance: Callable[[int, int], object], title: str,
    ) -> None:
        self._results, self._recipe, self._pool, self._device = results, recipe, pool, device
        self._strict, self._advance, self._title = strict, advance, title
        self._trials: dict[str, Trial] = {}
        self._problems: dict[str, str] = {}
        self._written, self._updated = 0, time.monotonic()

    def all(self, pictures: Mapping[str, Path]) -> Summary:
        classifier, digest = load_model(self._recipe.model)
        explainer = self._recipe.explainer(classifier)  # options that do not fit the model fail here
        # The digest of the model does not cover the names of its classes, which select targets and are in the results.
        self._recipe = replace(self._recipe, labels=explainer.labels or None)
        for name, path in pictures.items():
            try:
                self._results.check(name)
                self._trials[name] = self._trial(name, digest_file(path), digest)
            except InputError as error:
                self._fail(name, str(error))
        finished = self._results.finished(self._trials.values())
        todo = [(name, pictures[name]) for name in self._trials if name not in finished]
        total = len(todo)
        if not self._pool.in_process:
            forget_models()  # workers load their own
        size = max(1, total) if self._pool.in_process else _PER_TASK
        lost: list[tuple[str, Path]] = []
        for again in (False, True):
            # A picture whose worker died runs once more, alone.
            parts = [[one] for one in lost] if again else [todo[i : i + size] for i in range(0, total, size)]
            lost = []
            for answer in self._pool.run(self._tasks(parts, digest), again):
                if isinstance(answer, LostTask):
                    lost += answer.task.pictures
                    continue
                for result in answer:
                    self._take(result)
                    self._advance(self._written + len(self._problems), total)
        for name, _ in lost:
            self._fail(name, "its worker died twice: check the memory")
        self._results.summarise(list(self._trials.values()), self._problems, self._title)
        if self._problems and not (self._written or finished):
            name, problem = next(iter(self._problems.items()))
            got = f"{len(self._problems)} others, such as {name!r}: {problem}"
            raise InputError.expected("at least one picture that can be explained", got)
        return Summary(self._written, len(finished), self._problems)

    def _tasks(self, parts: Sequence[Sequence[tuple[str, Path]]], digest: str) -> Iterator[FolderTask]:
        for part in parts:
            yield FolderTask(self._recipe, tuple((name, path.absolute()) for name, path in part), digest, self._device)

    def _trial(self, name: str, picture: str, model: str) -> Trial:
        recipe = self._recipe
        return Trial(
            "explain", recipe.settings(), recipe.model.name, model, recipe.masking, recipe.segments, name, picture,
            recipe.seed, recipe.precision, __version__,
        )  # fmt: skip

    def _take(self, result: PictureResult) -> None:
        if result.problem:
            self._fail(result.name, result.problem)
            return
        try:
            self._results.write(result, self._trials[result.name])
        except NotWritten as error:
            self._fail(result.name, str(error))
            return
        self._written += 1
        if time.monotonic() > self._updated + _SECONDS:
            self._results.summarise(list(self._trials.values()), self._problems, self._title)
            self._updated = time.monotonic()

    def _fail(self, name: str, problem: str) -> None:
        if self._strict:
            raise InputError(f"{name}: {problem}")
        self._problems[name] = problem
