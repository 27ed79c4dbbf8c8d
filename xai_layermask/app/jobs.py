"""Work in the background: short questions and long explanations, each with one thread and a bounded queue.

The web server's loop never waits for a model. Questions do not wait for explanations.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = ["Busy", "Cancelled", "Explanations", "Job", "Progress", "Questions", "Superseded"]

T = TypeVar("T")
#: Called with the number of samples done, and their total.
Progress = Callable[[int, int], object]
_STOPPING = "expected a running server, got one that stops: start it again"


class Busy(Exception):
    """The queue is full."""


class Superseded(Exception):
    """The same session has asked a newer question."""


class Cancelled(Exception):
    """The user has cancelled the explanation."""


class Questions:
    """Answers questions one after another.

    Args:
        most: How many may wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting = 0
        self._stopping = False
        self._pool = ThreadPoolExecutor(1, "question")

    async def ask(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread of questions.

        Raises:
            Busy: If too many wait, or the server stops.
        """
        if self._stopping:
            raise Busy(_STOPPING)
        if self._waiting >= self._most:
            raise Busy("expected a place in the queue, got a busy server: try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except asyncio.CancelledError:
            if self._stopping:
                raise Busy(_STOPPING) from None
            raise
        finally:
            self._waiting -= 1

    def stop(self) -> None:
        """Drop the questions that wait. The one that is being answered is still answered."""
        self._stopping = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Drop the questions that wait, and end the thread."""
        self.stop()
        self._pool.shutdown(wait=True)


@dataclass
class Job:
    """An explanation: waiting, running or finished.

    Attributes:
        state: "waiting", "running", "done", "failed" or "cancelled".
        done: Number of samples done.
        total: Number of samples to do, or its maximum; 0 before the first one.
        error: Why it failed.
        result: What `work` returned.
        work: What it runs, which may hold a photograph; None once it has run or is cancelled.
        id: For the address of the result; cannot be guessed.
    """

    state: str = "waiting"
    done: int = 0
    total: int = 0
    error: str = ""
    result: Any = None
    work: Callable[[Job], object] | None = field(default=None, repr=False)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    stop: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Cancel the explanation; it ends after the batch that is being predicted."""
        self.stop.set()
        self.work = None
        if self.state == "waiting":
            self.state = "cancelled"

    def progress(self, done: int, total: int) -> None:
        """Count samples.

        Raises:
            Cancelled: If it was cancelled.
        """
        if self.stop.is_set():
            raise Cancelled
        self.done, self.total = done, total


class Explanations:
    """Runs explanations one after another.

    Args:
        most: How many may wait.
        worded: Maps an exception to the message for the page.
    """

    def __init__(self, most: int, worded: Callable[[Exception], str]) -> None:
        self._most = most
        self._worded = worded
        self._open: list[Job] = []
        self._lock = threading.Lock()  # guards `_open` and `_draining`
        self._draining = False
        self._pool = ThreadPoolExecutor(1, "explanation")

    def submit(self, work: Callable[[Job], object]) -> Job:
        """Put an explanation at the end of the queue.

        Args:
            work: Called with the job, whose `progress` it reports to.

        Raises:
            Busy: If too many wait.
        """
        job = Job(work=work)
        with self._lock:
            self._open = [one for one in self._open if one.state in ("waiting", "running")]
            if len(self._open) > self._most:
                raise Busy(f"expected at most {self._most} waiting explanations, got one more: try again in a minute")
            self._open.append(job)
            if not self._draining:
                self._draining = True
                self._pool.submit(self._drain)
        return job

    def ahead(self, job: Job) -> int:
        """How many explanations come before a waiting one."""
        active = [one for one in self._open if one.state in ("waiting", "running")]
        return active.index(job) if job in active else 0

    def _drain(self) -> None:
        """Run the explanations that wait. Cancelled ones have left the queue."""
        while True:
            with self._lock:
                job = next((one for one in self._open if one.state == "waiting"), None)
                if job is None:
                    self._draining = False
                    return
            self._run(job)

    def _run(self, job: Job) -> None:
        work, job.work = job.work, None
        if work is None or job.stop.is_set():
            job.state = "cancelled"
            return
        job.state = "running"
        try:
            result = work(job)
            job.result, job.state = result, "done"
        except Cancelled:
            job.state = "cancelled"
        except Exception as error:
            job.error, job.state = self._worded(error), "failed"

    def close(self) -> None:
        """Cancel all, and end the thread."""
        for job in self._open:
            job.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)
