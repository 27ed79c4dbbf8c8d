"""What a worker does, and what it refuses."""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch
from faked import SOURCE, Fake, dataset

from xai_layermask.errors import InputError
from xai_layermask.experiments.runner import agenda
from xai_layermask.experiments.runner.worker import Task, device_of, work


@pytest.fixture
def task(tmp_path):
    protocol = Fake(str(tmp_path))
    entries = agenda(protocol, dataset(tmp_path, "a.png"), [SOURCE]).entries
    units = tuple(entry.unit for entry in entries)
    return Task(protocol, SOURCE, entries[0].item, units, "cpu", None, os.getpid())


def test_units_come_back_in_order_with_who_did_them(task):
    threads = torch.get_num_threads()
    outcomes = work(task)
    assert [outcome.unit for outcome in outcomes] == list(task.units)
    assert all(outcome.problem == "" and len(outcome.rows) == 4 and outcome.seconds > 0 for outcome in outcomes)
    assert {outcome.worker.split("/", 1)[1] for outcome in outcomes} == {f"{os.getpid()}/cpu"}
    assert torch.get_num_threads() == threads


def test_another_version_is_refused(task):
    units = tuple(dataclasses.replace(unit, version="0.0.9") for unit in task.units)
    with pytest.raises(InputError, match=r"every worker must have version 0\.0\.9 of this package, but .*/cpu has"):
        work(dataclasses.replace(task, units=units))


def test_other_weights_are_refused(task):
    units = tuple(dataclasses.replace(unit, model_digest="0" * 16) for unit in task.units)
    with pytest.raises(InputError, match=r"model 'faked:tiny' must be the same for every worker .* has other weights"):
        work(dataclasses.replace(task, units=units))


def test_a_lost_picture_is_an_outcome(task):
    task.item.path.unlink()
    for outcome in work(task):
        assert outcome.rows is None
        assert outcome.problem.startswith("expected readable files for 'a.png'")


@pytest.mark.parametrize(
    ("name", "worker", "count", "device"),
    [
        ("cuda", "LokyProcess-1", 4, "cuda:1"),
        ("cuda", "LokyProcess-4", 4, "cuda:0"),
        ("cuda", "LokyProcess-7", 4, "cuda:3"),
        ("cuda", "2", 4, "cuda:2"),
        ("cuda", "", 4, "cuda"),
        ("cuda", "MainProcess", 4, "cuda"),
        ("cuda", "LokyProcess-3", 1, "cuda"),
        ("cuda:2", "LokyProcess-3", 4, "cuda:2"),
        ("auto", "LokyProcess-3", 2, "cuda:1"),
        ("cpu", "LokyProcess-3", 4, "cpu"),
        ("mps", "LokyProcess-3", 4, "mps"),
    ],
)
def test_every_worker_has_its_device(monkeypatch, name, worker, count, device):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    assert device_of(name, worker) == device


def test_auto_is_the_processor_where_there_is_nothing_else(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert device_of("auto", "LokyProcess-3") == "cpu"
