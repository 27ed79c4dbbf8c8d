"""Evaluations: whatever is killed, and whenever, every unit is in the store once in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import faked
import joblib
import psutil
import pytest
from faked import SOURCE, Fake, dataset, given_up, results, run, traces

from xai_layermask.errors import InputError
from xai_layermask.experiments.runner import Crew, Progress, Source, agenda, evaluate
from xai_layermask.experiments.runner.worker import Lost
from xai_layermask.experiments.store import Store

NAMES = tuple(f"a{number}.png" for number in range(6))


def started(folder, names, pause, jobs):
    """An evaluation in a process of its own."""
    here = os.path.dirname(faked.__file__)
    command = [sys.executable, faked.__file__, str(folder), str(pause), str(jobs), "", *names]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": here})


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The results of an evaluation that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    outline = run(folder, NAMES)
    assert outline == type(outline)(12, 0, ())
    return results(folder)


def test_every_unit_is_measured_once(tmp_path, expected):
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
    # What was in the store was not done again. Lost is the unit that this process was at, or for each worker the task
    # of two units that it was at and one that was on its way to the store.
    assert sum(traces(tmp_path).values()) <= 12 + (1 if jobs == 1 else 4 * jobs)
    for picture, masking in before:
        assert traces(tmp_path)[f"{picture}.{masking}.0.trace"] == 1


def test_two_runs_into_one_store_at_once(tmp_path, expected):
    processes = [started(tmp_path, NAMES, 0.1, 1) for _ in range(2)]
    for process in processes:
        assert process.wait() == 0
    assert results(tmp_path) == expected


def test_what_another_run_has_done_is_not_done_again(tmp_path, expected):
    with Store(tmp_path / "results.db") as store, Crew() as crew:
        mine = agenda(Fake(str(tmp_path)), dataset(tmp_path, *NAMES), [SOURCE], store=store)
        assert run(tmp_path, NAMES[:4]).written == 8
        seen = []
        outline = evaluate(mine, store, crew, "cpu", advance=seen.append)
    assert (outline.written, outline.elsewhere) == (4, 8)
    assert (seen[-1].units, seen[-1].of_units, seen[-1].passes, seen[-1].of_passes) == (4, 4, 12, 12)
    assert set(traces(tmp_path).values()) == {1}
    assert results(tmp_path) == expected


def test_a_changed_setting_never_mixes_with_old_rows(tmp_path):
    with Store(tmp_path / "results.db") as store, Crew() as crew:
        pictures = dataset(tmp_path, "a.png")

        def todo(pause=0.0, source=SOURCE, masking="black", cut="patches:8", **options):
            return agenda(Fake(str(tmp_path), pause), pictures, [source], [masking], [cut], store=store, **options)

        evaluate(todo(), store, crew, "cpu")
        assert todo().entries == ()
        assert todo().done == 1
        changed = [
            todo(pause=0.001),
            todo(seed=1),
            todo(precision="float64"),
            todo(source=Source("faked:tiny", preprocess="half")),
            todo(source=Source("faked:other")),
            todo(masking="grey"),
            todo(cut="patches:4"),
        ]
        assert [len(one.entries) for one in changed] == [1] * 7
        (tmp_path / "a.png").write_bytes((dataset(tmp_path, "b.png", "c.png").items[1]).path.read_bytes())
        assert len(todo().entries) == 1
        keys = {one.entries[0].unit.key for one in [*changed, todo()]}
        assert len(keys) == 8
        evaluate(todo(), store, crew, "cpu")
        assert len(store) == 2


def test_workers_that_die_are_survived_and_blame_no_other_unit(tmp_path, expected):
    names = ("mortal.png", "deadly.png", *NAMES)
    outline = run(tmp_path, names, 0.01, ["layer"], jobs=2)
    assert outline.problems == (given_up("deadly.png", "layer"),)
    assert outline.written == 7
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
    assert threads == {int(os.environ.get("OMP_NUM_THREADS", max(1, joblib.cpu_count() // 2)))}


def test_it_ends_if_workers_die_of_everything(tmp_path, monkeypatch):
    todo = []

    class Dying(Crew):
        in_process = False

        def answers(self, tasks, alone=False):
            for task in tasks:
                todo.append(task)
                yield Lost(task, 1)

    monkeypatch.setattr(faked, "Crew", Dying)
    with pytest.raises(InputError, match=r"workers must live, but died of 5 units in a row; the last: 'a.*given up"):
        run(tmp_path, NAMES)
    assert results(tmp_path) == {}
    assert [len(task.units) for task in todo] == [1] * len(todo)


def test_a_picture_that_fails_is_named_and_not_results(tmp_path):
    seen = []
    outline = run(tmp_path, ("wrong.png", "a.png", "buggy.png"), advance=seen.append)
    assert outline.written == 2
    assert {key[0] for key in results(tmp_path)} == {"a.png"}
    assert sorted(outline.problems) == [
        "'buggy.png' with faked:tiny, black patches:8: ZeroDivisionError came up (division by zero)",
        "'buggy.png' with faked:tiny, layer patches:8: ZeroDivisionError came up (division by zero)",
        "'wrong.png' must be right, but it is wrong: mend it.",
        "'wrong.png' must be right, but it is wrong: mend it.",
    ]
    assert seen[-1][:4] == (6, 6, 6, 6)


def test_strict_ends_at_the_first_picture_that_fails(tmp_path):
    with pytest.raises(InputError, match=r"'wrong.png' must be right, but it is wrong: mend it"):
        run(tmp_path, ("wrong.png",), strict=True)


def test_what_another_run_has_done_meanwhile_is_no_failure(tmp_path):
    with Store(tmp_path / "results.db") as store, Crew() as crew:
        todo = agenda(Fake(str(tmp_path)), dataset(tmp_path, "a.png", "wrong.png"), [SOURCE], ["black"], store=store)
        run(tmp_path, ("a.png",), maskings=["black"])
        outline = evaluate(todo, store, crew, "cpu")
    assert (outline.written, outline.elsewhere, len(outline.problems)) == (0, 1, 1)


def test_it_is_told_if_every_unit_fails(tmp_path):
    with pytest.raises(InputError, match=r"at least one unit must succeed, but all 2 failed: 'wrong.png' must be"):
        run(tmp_path, ("wrong.png",))


def test_a_picture_that_changes_meanwhile_fails(tmp_path):
    with Store(tmp_path / "results.db") as store, Crew() as crew:
        todo = agenda(Fake(str(tmp_path)), dataset(tmp_path, "a.png", "b.png"), [SOURCE], store=store)
        (tmp_path / "a.png").write_bytes((tmp_path / "b.png").read_bytes())
        outline = evaluate(todo, store, crew, "cpu")
    problem = "'a.png' must stay as it is while it is measured, but it has changed: start again."
    assert outline.problems == (problem, problem)
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
        if progress.units == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, NAMES, advance=stop)
    assert len(results(tmp_path)) == 3
    assert run(tmp_path, NAMES).written == 9
    assert results(tmp_path) == expected
    assert set(traces(tmp_path).values()) == {1}
