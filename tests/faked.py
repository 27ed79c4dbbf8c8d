"""A small protocol and a small model for tests of evaluations, importable by workers."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from xai_layermask import Preprocess
from xai_layermask.dataset import Dataset, Item
from xai_layermask.errors import InputError
from xai_layermask.experiments import Store
from xai_layermask.experiments.protocols import Protocol
from xai_layermask.experiments.runner import ModelSpec, WorkerPool, evaluate, work_plan
from xai_layermask.models import Classifier

MODEL = ModelSpec("faked:tiny")


def tiny(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    return Classifier(model, Preprocess(16, 16), (), "tiny")


def other():
    return tiny(1)


@dataclass(frozen=True)
class Fake(Protocol):
    """Predicts once for every picture, leaves a trace each time, and does what the picture's name says."""

    name: ClassVar[str] = "fake"
    maskings: ClassVar[tuple[str, ...]] = ("black", "layer")
    segments: ClassVar[tuple[str, ...]] = ("patches:8",)
    folder: str = "."
    pause: float = 0.0

    def passes(self, height, width, segments):
        return 3

    def rows(self, classifier, item, masking, segments, seed):
        with open(Path(self.folder, f"{item.name}.{masking}.{seed}.trace"), "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(self.pause)
        deed = item.name.partition(".")[0].rstrip("0123456789")
        once = Path(self.folder, f"{item.name}.once")
        if deed == "deadly" or (deed == "mortal" and not once.exists()):
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == "wrong":
            raise InputError(f"{item.name!r} must be right, but it is wrong: mend it.")
        if deed == "buggy":
            raise ZeroDivisionError("division by zero")
        if deed == "infinite":
            yield {"size": float("inf")}
        ids = classifier.segments(item, segments)
        coalitions = np.array([[True, False, True, True]])
        # Sums come out in another order with other numbers of threads; with one, rows are the same to the last bit.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            values = classifier.predictions(item, masking, ids, coalitions)[0]
        finally:
            torch.set_num_threads(threads)
        for value in values:
            yield {"value": float(value), "seed": seed, "threads": threads}


def dataset(folder, *names):
    """A dataset of small pictures in a folder."""
    items = []
    for number, name in enumerate(names):
        path = Path(folder, name)
        if not path.exists():
            generator = np.random.default_rng(list(name.encode()))
            Image.fromarray(generator.integers(0, 255, (20, 20, 3), np.uint8)).save(path)
        items.append(Item(name, path, number % 4))
    return Dataset("fakes", tuple(items))


def given_up(picture, masking):
    """The problem of a trial that kills every worker."""
    trial = f"{picture!r} with faked:tiny, {masking} patches:8"
    return f"{trial}: given up, since its workers died 3 times: check their memory"


def traces(folder):
    """How many times each trial has been started."""
    return Counter({path.name: len(path.read_text().split()) for path in Path(folder).glob("*.trace")})


def results(folder):
    """The values in `folder/results.db`, by picture and masking."""
    path = Path(folder, "results.db")
    if not path.exists():
        return {}
    with Store(path, create=False) as store:
        return {(trial.picture, trial.masking): [row["value"] for row in rows] for trial, rows in store.rows()}


def run(folder, names, pause=0.0, maskings=(), jobs=1, scheduler=None, **options):
    """Evaluate into `folder/results.db`."""
    protocol = Fake(str(folder), pause)
    with Store(Path(folder, "results.db")) as store, WorkerPool(jobs, scheduler) as pool:
        plan = work_plan(protocol, dataset(folder, *names), [MODEL], maskings, store=store)
        return evaluate(plan, store, pool, "cpu", **options)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[5:], float(sys.argv[2]), jobs=int(sys.argv[3]), scheduler=sys.argv[4] or None)
