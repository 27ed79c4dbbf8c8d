"""What a worker does with a task: load the model once, measure a picture, and say what came of it."""

from __future__ import annotations

import functools
import multiprocessing
import os
import platform
import re
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ... import __version__
from ...engine.runtime import find_device
from ...errors import InputError, reason
from ..store import Unit
from .source import Source, digest

if TYPE_CHECKING:
    from ...dataset import Item
    from ..protocols import Protocol, Row
    from ..protocols.asker import Asker

__all__ = ["Lost", "Outcome", "Task", "device_of", "work"]


@dataclass(frozen=True)
class Task:
    """Units of one model and one picture, to be done by one worker.

    Attributes:
        protocol: The experiment.
        source: The model.
        item: The picture.
        units: What to measure, at least one.
        device: "auto" or a device.
        batch_size: How many pictures go through the model at once; None for what suits it.
        parent: The process on this machine that the worker works for, and ends with; None elsewhere.
    """

    protocol: Protocol
    source: Source
    item: Item
    units: tuple[Unit, ...]
    device: str
    batch_size: int | None
    parent: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a unit.

    Attributes:
        unit: The unit.
        rows: What was measured; None if it failed.
        seconds: How long it took.
        worker: Who did it: machine, process and device.
        problem: Why it failed, as a sentence.
    """

    unit: Unit
    rows: list[Row] | None
    seconds: float
    worker: str
    problem: str = ""


@dataclass(frozen=True)
class Lost:
    """A task that did not come back, since a worker died.

    Attributes:
        task: The task.
        suspicion: How many deaths speak against each of its units.
    """

    task: Task
    suspicion: int


# Threads of a Dask worker take turns: each unit may use all of their processors, and a model is loaded once.
_TURN = threading.Lock()


def work(task: Task) -> list[Outcome]:
    """Do a task.

    Args:
        task: The task.

    Returns:
        An outcome for each unit. What is wrong with a picture is in there, and harms no other.

    Raises:
        InputError: If this worker cannot do any task of this model, for its weights or its code are not those of
            the process that sent the task.
    """
    with _TURN:
        _settle(task.parent)
        first = task.units[0]
        device = device_of(task.device, "" if task.parent == os.getpid() else _worker_name())
        who = f"{platform.node()}/{os.getpid()}/{device}"
        if first.version != __version__:
            raise InputError(
                f"every worker must have version {first.version} of this package, but {who} has {__version__}: "
                "install the same."
            )
        asker, found = _asker(task.source, device, first.precision, task.batch_size)
        if found != first.model_digest:
            raise InputError(
                f"model {task.source.name!r} must be the same for every worker and all the time, but {who} has other "
                "weights or another structure: give all the same files, and start again."
            )
        changed = _changed(task)
        return [_measured(task, unit, asker, who, changed) for unit in task.units]


def device_of(name: str, worker: str) -> str:
    """The device for a worker: where a machine has several of a kind, each worker has one.

    Args:
        name: "auto", or a device; one with a number, such as "cuda:1", is for all.
        worker: The worker's name, such as "LokyProcess-3"; its number says which device. "" is no worker.

    Returns:
        A device, as torch names it.

    Example:
        >>> device_of("cpu", "LokyProcess-3")
        'cpu'
    """
    if name == "auto":
        name = str(find_device())
    number = re.search(r"[0-9]+$", worker)
    if number is None or name not in ("cuda", "xpu"):
        return name
    count = torch.accelerator.device_count()
    return f"{name}:{int(number[0]) % count}" if count > 1 else name


def _changed(task: Task) -> str:
    """What is wrong with a picture that is not the one that its units are about any more; "" if nothing is."""
    try:
        found = task.item.digest()
    except InputError as error:
        return str(error)
    if found == task.units[0].picture_digest:
        return ""
    return f"{task.item.name!r} must stay as it is while it is measured, but it has changed: start again."


def _measured(task: Task, unit: Unit, asker: Asker, who: str, problem: str) -> Outcome:
    start = time.perf_counter()
    rows = None
    if not problem:
        try:
            rows = list(task.protocol.rows(asker, task.item, unit.masking, unit.segments, unit.seed))
        except InputError as error:
            problem = str(error)
        except Exception as error:
            # One picture that trips something over must not end days of work: it is named, and not stored.
            problem = f"{type(error).__name__} came up ({reason(error)})"
    if problem and repr(task.item.name) not in problem:
        problem = f"{task.item.name!r} with {unit.model}, {unit.masking} {unit.segments}".rstrip() + f": {problem}"
    return Outcome(unit, rows, time.perf_counter() - start, who, problem)


@functools.lru_cache(maxsize=2)  # tasks come model by model
def _asker(source: Source, device: str, precision: str, batch_size: int | None) -> tuple[Asker, str]:
    """The model, ready to be asked, and its fingerprint."""
    from ..protocols.asker import Asker

    classifier = source.load(device)
    return Asker(classifier, precision, batch_size), digest(classifier)


def _worker_name() -> str:
    name = getattr(_dask_worker(), "name", None)
    return multiprocessing.current_process().name if name is None else str(name)


def _dask_worker() -> object | None:
    if "distributed" not in sys.modules:
        return None
    try:
        found: object = sys.modules["distributed"].get_worker()
    except ValueError:  # this process is none
        return None
    return found


@functools.cache  # once in a process
def _settle(parent: int | None) -> None:
    """Take the share of processors that is this worker's, and end with the process that it works for."""
    threads = getattr(getattr(_dask_worker(), "state", None), "nthreads", None)
    if threads:
        torch.set_num_threads(threads)
    if parent is not None and os.getppid() == parent:
        # A killed run would leave workers behind that compute to the end, and keep their memory for minutes.
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)
