"""What a worker does, and what it refuses."""

from __future__ import annotations

import dataclasses
import os
import sys
import types

import pytest
import torch
from faked import MODEL, Fake, dataset

from xai_layermask.errors import InputError
from xai_layermask.experiments.runner import work_plan
from xai_layermask.experiments.runner.worker import Task, _worker_number, device_of_worker, run_task


@pytest.fixture
def task(tmp_path):
    protocol = Fake(str(tmp_path))
    planned = work_plan(protocol, dataset(tmp_path, "a.png"), [MODEL]).planned
    trials = tuple(one.trial for one in planned)
    return Task(protocol, MODEL, planned[0].item, trials, "cpu", None)


def test_results_come_back_in_order_with_who_did_them(task):
    threads = torch.get_num_threads()
    results = run_task(task)
    assert [result.trial for result in results] == list(task.trials)
    assert all(result.problem == "" and len(result.rows) == 4 and result.seconds > 0 for result in results)
    assert {result.worker.split("/", 1)[1] for result in results} == {f"{os.getpid()}/cpu"}
    assert torch.get_num_threads() == threads


def test_another_version_is_refused(task):
    trials = tuple(dataclasses.replace(trial, version="0.0.9") for trial in task.trials)
    with pytest.raises(InputError, match=r"expected version 0\.0\.9 of this package on every worker, got .* on .*/cpu"):
        run_task(dataclasses.replace(task, trials=trials))


def test_other_weights_are_refused(task):
    trials = tuple(dataclasses.replace(trial, model_digest="0" * 16) for trial in task.trials)
    with pytest.raises(InputError, match=r"expected the same model 'faked:tiny' on every worker .*, got other weights"):
        run_task(dataclasses.replace(task, trials=trials))


def test_rows_that_no_store_takes_fail_their_trial(tmp_path):
    protocol = Fake(str(tmp_path))
    planned = work_plan(protocol, dataset(tmp_path, "infinite.png"), [MODEL]).planned
    task = Task(protocol, MODEL, planned[0].item, tuple(one.trial for one in planned), "cpu", None)
    for result in run_task(task):
        assert result.rows is None
        assert "expected a finite number, a string, bool or None for 'size' of fake, got inf" in result.problem


def test_a_lost_picture_is_an_result(task):
    task.item.path.unlink()
    for result in run_task(task):
        assert result.rows is None
        assert result.problem.startswith("expected readable files for 'a.png'")


@pytest.mark.parametrize(
    ("name", "number", "count", "device"),
    [
        ("cuda", 1, 4, "cuda:1"),
        ("cuda", 4, 4, "cuda:0"),
        ("cuda", 7, 4, "cuda:3"),
        ("cuda", None, 4, "cuda"),
        ("cuda", 3, 1, "cuda"),
        ("cuda:2", 3, 4, "cuda:2"),
        ("auto", 3, 2, "cuda:1"),
        ("cpu", 3, 4, "cpu"),
        ("mps", 3, 4, "mps"),
    ],
)
def test_every_worker_has_its_device(monkeypatch, name, number, count, device):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    assert device_of_worker(name, number) == device


def test_auto_is_the_processor_where_there_is_nothing_else(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert device_of_worker("auto", 3) == "cpu"


@pytest.mark.parametrize(("name", "number"), [("gpu-2", 2), (3, 3), ("tcp://10.0.0.1:", None)])
def test_a_dask_worker_has_the_number_at_the_end_of_its_name(monkeypatch, name, number):
    worker = types.SimpleNamespace(name=name)
    monkeypatch.setitem(sys.modules, "distributed", types.SimpleNamespace(get_worker=lambda: worker))
    assert _worker_number() == number
