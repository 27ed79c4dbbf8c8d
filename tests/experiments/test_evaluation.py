"""Evaluations: whatever is killed, and whenever, every trial is in the store exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import faked
import psutil
import pytest
import tiny
import torch
from faked import MODEL, Fake, dataset, given_up, results, run, traces

from xai_layermask.dataset import Dataset
from xai_layermask.errors import InputError
from xai_layermask.experiments import Store
from xai_layermask.experiments.protocols import Robustness
from xai_layermask.experiments.runner import ModelSpec, Progress, WorkerPool, evaluate, model_spec, work_plan
from xai_layermask.experiments.runner.worker import LostTask

NAMES = tuple(f"a{number}.png" for number in range(6))


def started(folder, names, pause, jobs):
    """An evaluation in a process of its own."""
    here = os.path.dirname(faked.__file__)
    paths = os.pathsep.join([os.path.dirname(here), here])
    command = [sys.executable, faked.__file__, str(folder), str(pause), str(jobs), "", *names]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The results of an evaluation that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    summary = run(folder, NAMES)
    assert summary == type(summary)(12, 0, ())
    return results(folder)


def test_every_trial_is_measured_once(tmp_path, expected):
    assert set(expected) == {(name, masking) for name in NAMES for masking in ("black", "layer")}
    assert all(len(values) == 4 and abs(sum(values) - 1) < 1e-6 for values in expected.values())
    assert run(tmp_path, NAMES[:2]).written == 4
    assert set(traces(tmp_path).values()) == {1}


def test_the_second_run_does_only_what_is_missing(tmp_path, expected):
    assert run(tmp_path, NAMES[:4]).written == 8
    assert run(tmp_path, NAMES).written == 4
    assert run(tmp_path, NAMES).written == 0
    assert set(traces(tmp_path).values()) == {1}
    assert results(tmp_path) == expected


@pytest.mark.parametrize("jobs", [1, 2])
def test_kill_9_loses_only_what_is_under_way_and_the_next_run_goes_on(tmp_path, expected, jobs):
    process = started(tmp_path, NAMES, 0.15, jobs)
    wait_for(lambda: len(results(tmp_path)) >= 3)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(workers, timeout=10)
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
    before = results(tmp_path)
    assert 3 <= len(before) < 12
    assert before.items() <= expected.items()
    assert run(tmp_path, NAMES, 0.15).written == 12 - len(before)
    assert results(tmp_path) == expected
    # What was in the store was not done again. Lost is the trial that this process ran, or for each worker the task
    # of two trials that it ran and one that was on its way to the store.
    assert sum(traces(tmp_path).values()) <= 12 + (1 if jobs == 1 else 4 * jobs)
    for picture, masking in before:
        assert traces(tmp_path)[f"{picture}.{masking}.0.trace"] == 1


_watched: list[list[str]] = []


def _note_opened_file(event: str, args: tuple[object, ...]) -> None:
    if event == "open" and _watched and isinstance(args[0], (str, os.PathLike)):
        _watched[-1].append(os.path.basename(os.fspath(args[0])))


sys.addaudithook(_note_opened_file)  # cannot be removed, so it notes nothing unless a test watches


@pytest.fixture
def opened():
    """The names of all files that this process opens, in order."""
    _watched.append([])
    yield _watched[-1]
    _watched.pop()


def test_files_are_opened_and_models_loaded_once_for_all_maskings(tmp_path, monkeypatch, opened):
    """Once to plan, which needs the digests of all pictures, and once to measure."""
    loads, digests = [], []
    load, digest = model_spec.load, model_spec.model_digest
    monkeypatch.setattr(model_spec, "load", lambda *args: loads.append(args) or load(*args))
    monkeypatch.setattr(model_spec, "model_digest", lambda one: digests.append(one) or digest(one))
    torch.save(tiny.classifier().model.state_dict(), tmp_path / "tiny.pt")
    data = Dataset("x", (tiny.item(tmp_path, "a.png"), tiny.item(tmp_path, "b.png", seed=1)))
    spec = ModelSpec("tiny:classifier", str(tmp_path / "tiny.pt"))
    protocol = Robustness(orders=("random", "salient"), fractions=(0.0, 0.5))
    with Store(tmp_path / "results.db") as store, WorkerPool() as pool:
        opened.clear()
        plan = work_plan(protocol, data, [spec], ["black", "grey", "layer"], ["patches:8"], store)
        counts = Counter(opened)
        assert [counts[name] for name in ("a.png", "a_mask.png", "b.png", "b_mask.png")] == [1, 1, 1, 1]
        opened.clear()
        assert evaluate(plan, store, pool, "cpu").written == 6
    counts = Counter(opened)
    assert [counts[name] for name in ("a.png", "a_mask.png", "b.png", "b_mask.png")] == [1, 1, 1, 1]
    assert counts["tiny.pt"] == 0
    assert len(loads) == len(digests) == 1


def test_two_runs_into_one_store_at_once(tmp_path, expected):
    processes = [started(tmp_path, NAMES, 0.1, 1) for _ in range(2)]
    for process in processes:
        assert process.wait() == 0
    assert results(tmp_path) == expected


def test_what_another_run_has_done_is_not_done_again(tmp_path, expected):
    with Store(tmp_path / "results.db") as store, WorkerPool() as pool:
        mine = work_plan(Fake(str(tmp_path)), dataset(tmp_path, *NAMES), [MODEL], store=store)
        assert run(tmp_path, NAMES[:4]).written == 8
        seen = []
        summary = evaluate(mine, store, pool, "cpu", advance=seen.append)
    assert (summary.written, summary.elsewhere) == (4, 8)
    assert (seen[-1].trials, seen[-1].of_trials, seen[-1].passes, seen[-1].of_passes) == (4, 4, 12, 12)
    assert set(traces(tmp_path).values()) == {1}
    assert results(tmp_path) == expected


def test_a_changed_setting_never_mixes_with_old_rows(tmp_path):
    with Store(tmp_path / "results.db") as store, WorkerPool() as pool:
        pictures = dataset(tmp_path, "a.png")

        def plan(pause=0.0, model=MODEL, masking="black", cut="patches:8", **options):
            return work_plan(Fake(str(tmp_path), pause), pictures, [model], [masking], [cut], store=store, **options)

        evaluate(plan(), store, pool, "cpu")
        assert plan().planned == ()
        assert plan().done == 1
        changed = [
            plan(pause=0.001),
            plan(seed=1),
            plan(precision="float64"),
            plan(model=ModelSpec("faked:tiny", preprocess="half")),
            plan(model=ModelSpec("faked:other")),
            plan(masking="grey"),
            plan(cut="patches:4"),
        ]
        assert [len(one.planned) for one in changed] == [1] * 7
        (tmp_path / "a.png").write_bytes((dataset(tmp_path, "b.png", "c.png").items[1]).path.read_bytes())
        assert len(plan().planned) == 1
        keys = {one.planned[0].trial.key for one in [*changed, plan()]}
        assert len(keys) == 8
        evaluate(plan(), store, pool, "cpu")
        assert len(store) == 2


def test_an_evaluation_survives_dying_workers_and_blames_no_other_trial(tmp_path, expected):
    names = ("mortal.png", "deadly.png", *NAMES)
    summary = run(tmp_path, names, 0.01, ["layer"], jobs=2)
    assert summary.problems == (given_up("deadly.png", "layer"),)
    assert summary.written == 7
    found = results(tmp_path)
    assert found.pop(("mortal.png", "layer"))
    assert found == {key: values for key, values in expected.items() if key[1] == "layer"}
    assert traces(tmp_path)["mortal.png.layer.0.trace"] >= 2
    pids = {pid for path in tmp_path.glob("*.trace") for pid in path.read_text().split()}
    assert len(pids) >= 4
    assert str(os.getpid()) not in pids
    # They share the processors, unless the user has said something else.
    with Store(tmp_path / "results.db") as store:
        threads = {row["threads"] for _, rows in store.rows() for row in rows}
    assert threads == {int(os.environ.get("OMP_NUM_THREADS", max(1, torch.get_num_threads() // 2)))}


def test_it_ends_if_workers_die_of_everything(tmp_path, monkeypatch):
    plan = []

    class Dying(WorkerPool):
        in_process = False

        def run(self, tasks, alone=False):
            for task in tasks:
                plan.append(task)
                yield LostTask(task, 1)

    monkeypatch.setattr(faked, "WorkerPool", Dying)
    words = r"expected workers that survive, got deaths in 5 trials in a row, the last one 'a.*: given up"
    with pytest.raises(InputError, match=words):
        run(tmp_path, NAMES)
    assert results(tmp_path) == {}
    assert [len(task.trials) for task in plan] == [1] * len(plan)


def test_a_picture_that_fails_is_named_and_not_results(tmp_path):
    seen = []
    summary = run(tmp_path, ("wrong.png", "a.png", "buggy.png"), advance=seen.append)
    assert summary.written == 2
    assert {key[0] for key in results(tmp_path)} == {"a.png"}
    assert sorted(summary.problems) == [
        "'buggy.png' with faked:tiny, black patches:8: ZeroDivisionError: division by zero",
        "'buggy.png' with faked:tiny, layer patches:8: ZeroDivisionError: division by zero",
        "'wrong.png' must be right, but it is wrong: mend it.",
        "'wrong.png' must be right, but it is wrong: mend it.",
    ]
    assert seen[-1][:4] == (6, 6, 6, 6)


def test_strict_ends_at_the_first_picture_that_fails(tmp_path):
    with pytest.raises(InputError, match=r"'wrong.png' must be right, but it is wrong: mend it"):
        run(tmp_path, ("wrong.png",), strict=True)


def test_what_another_run_has_done_meanwhile_is_no_failure(tmp_path):
    with Store(tmp_path / "results.db") as store, WorkerPool() as pool:
        plan = work_plan(Fake(str(tmp_path)), dataset(tmp_path, "a.png", "wrong.png"), [MODEL], ["black"], store=store)
        run(tmp_path, ("a.png",), maskings=["black"])
        summary = evaluate(plan, store, pool, "cpu")
    assert (summary.written, summary.elsewhere, len(summary.problems)) == (0, 1, 1)


def test_it_is_told_if_every_trial_fails(tmp_path):
    words = r"expected at least one trial that succeeds, got 2 failed ones, such as 'wrong.png' must be"
    with pytest.raises(InputError, match=words):
        run(tmp_path, ("wrong.png",))


def test_a_picture_that_changes_meanwhile_fails(tmp_path):
    with Store(tmp_path / "results.db") as store, WorkerPool() as pool:
        plan = work_plan(Fake(str(tmp_path)), dataset(tmp_path, "a.png", "b.png"), [MODEL], store=store)
        (tmp_path / "a.png").write_bytes((tmp_path / "b.png").read_bytes())
        summary = evaluate(plan, store, pool, "cpu")
    problem = "'a.png' has changed since the evaluation was planned: start again"
    assert summary.problems == (problem, problem)
    assert {key[0] for key in results(tmp_path)} == {"b.png"}


def test_time_left_counts_only_passes_that_ran(tmp_path):
    run(tmp_path, NAMES[:3])
    seen = []
    run(tmp_path, NAMES, advance=seen.append)
    assert [one.passes for one in seen] == [3, 6, 9, 12, 15, 18, 18]
    assert {one.of_passes for one in seen} == {18}
    for one in seen:
        assert one.left == pytest.approx(one.seconds / one.passes * (18 - one.passes))
    assert Progress(0, 6, 0, 18, 5.0).left is None


def test_ctrl_c_leaves_a_whole_store(tmp_path, expected):
    def stop(progress):
        if progress.trials == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, NAMES, advance=stop)
    assert len(results(tmp_path)) == 3
    assert run(tmp_path, NAMES).written == 9
    assert results(tmp_path) == expected
    assert set(traces(tmp_path).values()) == {1}


def test_two_runs_at_once_while_a_report_reads(tmp_path, expected):
    """Every report that is made meanwhile holds whole trials with the values of an undisturbed run."""
    run(tmp_path, NAMES[:1])
    processes = [started(tmp_path, NAMES, 0.1, 1) for _ in range(2)]
    sizes = []
    while any(process.poll() is None for process in processes):
        found = results(tmp_path)
        sizes.append(len(found))
        assert found.items() <= expected.items()
        time.sleep(0.05)
    assert [process.returncode for process in processes] == [0, 0]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 2
    assert results(tmp_path) == expected


@pytest.mark.parametrize("jobs", [1, 2])
def test_pictures_that_change_while_a_run_is_under_way(tmp_path, expected, jobs):
    """Neither another picture nor half of one is measured under the old digest."""
    dataset(tmp_path, *NAMES)
    process = started(tmp_path, NAMES, 0.3, jobs)
    wait_for(lambda: len(results(tmp_path)) >= 1)
    # A run begins at a random picture and goes on in this order, so these two come later.
    first = NAMES.index(next(name for name, _ in results(tmp_path)))
    cut, replaced = (NAMES[(first + later) % len(NAMES)] for later in (3, 4))
    whole = (tmp_path / cut).read_bytes()
    (tmp_path / cut).write_bytes(whole[: len(whole) // 2])
    (tmp_path / replaced).write_bytes((tmp_path / NAMES[first]).read_bytes())
    assert process.wait() == 0
    found = results(tmp_path)
    assert found.items() <= expected.items()
    assert {name for name, _ in found} == set(NAMES) - {cut, replaced}
