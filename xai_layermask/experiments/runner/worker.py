"""What a worker does: load a model once, run trials on a picture, and report their results."""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from typing import Protocol as Protocol_

import torch

from ... import __version__
from ...engine.runtime import find_device
from ...errors import CaptureError, InputError, UnsupportedOperator, reason
from ..rows import encode_rows
from ..trial import Trial
from .model_spec import ModelSpec, take_same_model

if TYPE_CHECKING:
    from ...dataset import Item
    from ..protocols import MaskedClassifier, Protocol, Row

__all__ = [
    "Answer",
    "LostTask",
    "Task",
    "TrialResult",
    "Work",
    "cannot_run",
    "device_of_worker",
    "number_worker",
    "run_task",
    "run_trials",
    "start_worker",
]


@dataclass(frozen=True)
class Task:
    """Trials of one model on one picture, for one worker.

    Attributes:
        protocol: The protocol.
        model: The model.
        item: The picture.
        trials: At least one trial.
        device: "auto" or a device.
        batch_size: Pictures in a forward pass; None for a default that suits their size.
    """

    protocol: Protocol
    model: ModelSpec
    item: Item
    trials: tuple[Trial, ...]
    device: str
    batch_size: int | None

    def results(self) -> Iterator[TrialResult]:
        """Run the trials; see [`run_trials`][]."""
        return run_trials(self)


class Work(Protocol_):
    """What workers run: it is pickled, and yields its results one by one."""

    def results(self) -> Iterator[Any]:
        """Do it."""


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial.

    Attributes:
        trial: The trial.
        rows: Its measurements; None if it failed.
        seconds: How long it took.
        worker: Machine, process and device.
        problem: Why it failed.
    """

    trial: Trial
    rows: list[Row] | None
    seconds: float
    worker: str
    problem: str = ""


@dataclass(frozen=True)
class LostTask:
    """A task whose worker died.

    Attributes:
        task: The task.
        deaths: How many workers died while they had it.
    """

    task: Any
    deaths: int


#: The outcome of a task.
Answer: TypeAlias = list[Any] | LostTask

# The threads of a Dask worker take turns: each trial may use all of its cores, and a model is loaded once.
_TURN = threading.Lock()
_number: int | None = None  # number of this process among the local workers


def number_worker(number: int) -> None:
    """Number this process among the local workers."""
    global _number
    _number = number


def run_task(task: Work) -> list[Any]:
    """Run a task, and return all of its results."""
    with _TURN:
        return list(task.results())


def start_worker(device: str, version: str) -> str:
    """Give PyTorch the threads of this worker, and choose its device.

    Raises:
        InputError: If the version is not that of this worker's package.
    """
    _use_all_threads()
    chosen = device_of_worker(device, _worker_number())
    if version != __version__:
        wanted = f"version {version} of this package on every worker"
        raise InputError.expected(wanted, f"{__version__} on {platform.node()}/{os.getpid()}/{chosen}")
    return chosen


def run_trials(task: Task) -> Iterator[TrialResult]:
    """Run the trials of a task. A trial that fails does not stop the others.

    Yields:
        The result of each trial.

    Raises:
        InputError: If this worker has another version of this package, or other weights or code of the model, than the
            process that planned the task.
    """
    first = task.trials[0]
    device = start_worker(task.device, first.version)
    worker = f"{platform.node()}/{os.getpid()}/{device}"
    classifier = _classifier(task.model, device, first.precision, task.batch_size, first.model_digest)
    problem = _load_item(classifier, task)
    for trial in task.trials:
        yield _result(task, trial, classifier, worker, problem)


def cannot_run(error: BaseException) -> InputError:
    """Word an unexpected error of a worker, which would repeat with every task."""
    return InputError.expected(
        "workers that can run tasks", f"{type(error).__name__} ({reason(error)})",
        "install the same packages for all of them",
    )  # fmt: skip


def device_of_worker(name: str, number: int | None) -> str:
    """Choose the device of a worker: workers of a machine with several accelerators take one each.

    Args:
        name: "auto" or a device. A device with an index, such as "cuda:1", is for all workers.
        number: Number of the worker; None for a single one.

    Example:
        >>> device_of_worker("cpu", 3)
        'cpu'
    """
    if name == "auto":
        name = find_device().type
    if number is None or name not in ("cuda", "xpu"):
        return name
    count = torch.accelerator.device_count()
    return f"{name}:{number % count}" if count > 1 else name


def _load_item(classifier: MaskedClassifier, task: Task) -> str:
    """Read the picture. Returns what is wrong with it, or ""."""
    try:
        digest = classifier.open(task.item).digest
    except InputError as error:
        return str(error)
    if digest == task.trials[0].picture_digest:
        return ""
    return f"{task.item.name!r} has changed since the evaluation was planned: start again"


def _result(task: Task, trial: Trial, classifier: MaskedClassifier, worker: str, problem: str) -> TrialResult:
    start = time.perf_counter()
    rows = None
    if not problem:
        try:
            measured = list(task.protocol.rows(classifier, task.item, trial.masking, trial.segments, trial.seed))
            encode_rows(measured, trial.protocol)  # rows that the store would refuse fail this trial only
            rows = measured
        except (InputError, CaptureError, UnsupportedOperator) as error:
            problem = str(error)
        except Exception as error:
            # One picture that breaks something must not end days of work: it is reported, and not stored.
            problem = f"{type(error).__name__}: {reason(error)}"
    if problem and repr(task.item.name) not in problem:
        problem = f"{trial}: {problem}"
    return TrialResult(trial, rows, time.perf_counter() - start, worker, problem)


@functools.lru_cache(maxsize=2)  # tasks are ordered by model
def _classifier(
    model: ModelSpec, device: str, precision: str, batch_size: int | None, digest: str
) -> MaskedClassifier:
    from ..protocols import MaskedClassifier

    return MaskedClassifier(take_same_model(model, device, digest), precision, batch_size)


def _worker_number() -> int | None:
    """The number of this process among local workers, or the one at the end of a Dask worker's name."""
    worker = _dask_worker()
    if worker is None:
        return _number
    found = re.search(r"[0-9]+$", str(getattr(worker, "name", "")))
    return None if found is None else int(found[0])


def _dask_worker() -> object | None:
    if "distributed" not in sys.modules:
        return None
    try:
        found: object = sys.modules["distributed"].get_worker()
    except ValueError:  # not in a worker
        return None
    return found


@functools.cache  # once in a process
def _use_all_threads() -> None:
    """Give PyTorch the threads of a Dask worker."""
    threads = getattr(getattr(_dask_worker(), "state", None), "nthreads", None)
    if threads:
        torch.set_num_threads(threads)
