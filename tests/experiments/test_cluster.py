"""Workers of a real Dask cluster of processes, and the errors where there is none."""

from __future__ import annotations

import os
import signal
import sys

import dask
import distributed
import pytest
from faked import given_up, results, run, traces

from xai_layermask.errors import InputError
from xai_layermask.experiments import Store
from xai_layermask.experiments.runner import WorkerPool

NAMES = tuple(f"a{number}.png" for number in range(8))


@pytest.fixture(scope="module")
def cluster():
    settings = {
        # LocalCluster, unlike other clusters, dismisses a worker 15 seconds after it has been killed and restarted.
        "distributed.deploy.lost-worker-timeout": "1 hour",
        "distributed.scheduler.allowed-failures": 1,  # 3 takes longer
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=None
        ) as found,
    ):
        yield found


def test_an_evaluation_survives_a_killed_worker(tmp_path, cluster):
    """One worker is killed from outside; one trial kills its worker once; the rows are those of this process."""
    alone = tmp_path / "alone"
    alone.mkdir()
    run(alone, NAMES)
    killed = []

    def kill(progress):
        if not killed:
            killed.append(cluster.workers[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    folder = tmp_path / "cluster"
    folder.mkdir()
    outline = run(folder, ("mortal.png", *NAMES), 0.1, scheduler=cluster.scheduler_address, advance=kill)
    assert killed
    assert outline.problems == ()
    found = results(folder)
    assert found.pop(("mortal.png", "black"))
    assert found.pop(("mortal.png", "layer"))
    assert found == results(alone)
    pids = {pid for path in folder.glob("*.trace") for pid in path.read_text().split()}
    assert str(os.getpid()) not in pids
    assert len(pids) >= 3
    assert run(folder, ("mortal.png", *NAMES), 0.1, scheduler=cluster.scheduler_address).written == 0


def test_a_trial_that_kills_every_worker_is_given_up(tmp_path, cluster):
    """Dask gives a task up after two workers. Then it runs again, alone."""
    outline = run(tmp_path, ("deadly.png", *NAMES), 0.01, ["black"], scheduler=cluster.scheduler_address)
    assert outline.problems == (given_up("deadly.png", "black"),)
    assert set(results(tmp_path)) == {(name, "black") for name in NAMES}
    assert traces(tmp_path)["deadly.png.black.0.trace"] == 4


def test_a_single_worker_of_one_thread_runs_the_tasks(tmp_path):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=None
    ) as cluster:
        assert run(tmp_path, NAMES[:1], scheduler=cluster.scheduler_address).written == 2
    assert str(os.getpid()) not in {pid for path in tmp_path.glob("*.trace") for pid in path.read_text().split()}


def test_a_worker_of_two_threads_uses_both_for_each_trial(tmp_path):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=True, dashboard_address=":0", memory_limit=None
    ) as cluster:
        assert run(tmp_path, NAMES[:3], scheduler=cluster.scheduler_address).written == 6
    with Store(tmp_path / "results.db") as store:
        assert {row["threads"] for _, rows in store.rows() for row in rows} == {2}


def test_a_scheduler_that_goes_is_told(tmp_path):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=None
    ) as cluster:

        def end(progress):
            if progress.trials == 1:
                cluster.close()

        with pytest.raises(InputError, match=r"expected a cluster that runs until the end, got"):
            run(tmp_path, NAMES, 0.1, scheduler=cluster.scheduler_address, advance=end)
    assert results(tmp_path)


def test_no_scheduler_is_told(monkeypatch):
    monkeypatch.setattr("xai_layermask.experiments.runner.cluster._CONNECT", 1)
    with pytest.raises(InputError, match=r"expected the address of a running Dask scheduler for scheduler, got 'tcp"):
        WorkerPool(scheduler="tcp://127.0.0.1:1")


def test_a_scheduler_without_workers_is_told(monkeypatch):
    monkeypatch.setattr("xai_layermask.experiments.runner.cluster._CONNECT", 1)
    with (
        distributed.LocalCluster(n_workers=0, processes=True, dashboard_address=":0") as cluster,
        pytest.raises(InputError, match=r"expected workers of the scheduler 'tcp.*', got none: start some with dask"),
    ):
        WorkerPool(scheduler=cluster.scheduler_address)


def test_the_missing_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = r"expected the package distributed for scheduler, .* 'xai-layermask\[distributed\]'"
    with pytest.raises(InputError, match=words):
        WorkerPool(scheduler="tcp://127.0.0.1:1")


def test_jobs_are_counted_from_one():
    with pytest.raises(InputError, match="expected an integer of at least 1 for jobs, got 0"):
        WorkerPool(jobs=0)
