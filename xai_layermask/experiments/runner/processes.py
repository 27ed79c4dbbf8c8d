"""`Processes`: worker processes of this machine."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import torch

from ...errors import InputError
from .worker import Answer, LostTask, Work, cannot_run, number_worker, run_task

__all__ = ["Processes"]


class Processes:
    """Processes of this machine, each with its own executor, so that a death identifies the task that was running."""

    def __init__(self, jobs: int) -> None:
        # Children inherit OMP_NUM_THREADS, which PyTorch obeys.
        threads = None if "OMP_NUM_THREADS" in os.environ else max(1, torch.get_num_threads() // jobs)
        self._idle = [_Process(number, threads) for number in range(jobs)]
        self._busy: dict[Future[list[Any]], _Process] = {}
        self.size = self.capacity = jobs

    def submit(self, task: Work) -> Future[list[Any]]:
        process = self._idle.pop()
        future = process.submit(task)
        self._busy[future] = process
        return future

    def answers(self, done: dict[Future[list[Any]], Work]) -> list[Answer]:
        return [self._answer(future, task) for future, task in done.items()]

    def _answer(self, future: Future[list[Any]], task: Work) -> Answer:
        process = self._busy.pop(future)
        self._idle.append(process)
        try:
            return future.result()
        except BrokenProcessPool:
            process.stop()
            return LostTask(task, 1)
        except InputError:
            raise
        except Exception as error:
            raise cannot_run(error) from error

    def check(self) -> None:
        """Dead processes are noticed by their futures."""

    def drop(self) -> None:
        for process in self._busy.values():
            process.stop()
        self._idle += self._busy.values()
        self._busy = {}

    def close(self) -> None:
        for process in [*self._idle, *self._busy.values()]:
            process.stop()


class _Process:
    """A worker process, started with its first task and again after it has ended."""

    def __init__(self, number: int, threads: int | None) -> None:
        self._number, self._threads = number, threads
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, task: Work) -> Future[list[Any]]:
        if self._executor is None:
            context = get_context("spawn")
            # Only this process holds the other end: it closes when this process ends, however it ends.
            watched, self._lifeline = context.Pipe(duplex=False)
            arguments = (watched, self._number, self._threads)
            self._executor = ProcessPoolExecutor(1, context, _start_worker, arguments)
        return self._executor.submit(run_task, task)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._executor is not None:
            self._lifeline.close()
            self._executor.shutdown(cancel_futures=True)
            self._executor = None


def _start_worker(lifeline: Connection, number: int, threads: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    sys.stdout = sys.stderr  # what a model prints must not end up among the parent's results
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    number_worker(number)
    if threads is not None:
        torch.set_num_threads(threads)


def _end_with(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()
    finally:  # the other end is closed
        os._exit(1)
