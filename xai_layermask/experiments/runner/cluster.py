"""`Cluster`: joblib's backend for Dask, which also tells of tasks that never come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from distributed import KilledWorker
from joblib._dask import DaskDistributedBackend

from ...errors import InputError, reason
from .worker import Lost

__all__ = ["Cluster"]

# Workers that died are back after seconds; those that a queue of jobs starts may take minutes.
_PATIENCE = 300.0


class Cluster(DaskDistributedBackend):  # type: ignore[misc]
    """joblib's backend for Dask, with three changes.

    joblib's own calls nobody back for a task that Dask gives up, since every worker that took it died: whoever waits
    for it waits forever (joblib 1.6). Here it comes back as [`Lost`][]. It waits as long where the scheduler or all
    workers are gone for good; here that is an error. And with a single worker of one thread it would do everything in
    the process that asks.
    """

    def effective_n_jobs(self, n_jobs: int) -> int:
        return max(2, sum(map(int, self.client.ncores().values())))

    def start_call(self) -> None:
        super().start_call()
        self._over = threading.Event()
        self._waiting: dict[Future[Any], Callable[[Any], None]] = {}
        threading.Thread(target=self._watch, args=(self._over,), daemon=True).start()

    def stop_call(self) -> None:
        self._over.set()
        super().stop_call()

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Future[Any]:
        future: Future[Any] = super().submit(func, callback)
        if callback is not None:
            self._waiting[future] = callback
            future.add_done_callback(lambda done: self._tell(done, func))
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        if isinstance(out, CancelledError):
            raise _gone(reason(out))
        return super().retrieve_result_callback(out)

    def _tell(self, done: Future[Any], func: Any) -> None:
        callback = self._waiting.pop(done, None)
        error = done.exception()
        if error is None or callback is None:
            return
        if isinstance(error, KilledWorker):
            # Dask has tried it with four workers. Two deaths may still be others' fault, whom it shared a worker with.
            callback([Lost(args[0], 2) for _, args, _ in func.items])
        else:
            callback(_gone(reason(error)))

    def _watch(self, over: threading.Event) -> None:
        seen = time.monotonic()
        while not over.wait(1.0):
            try:
                here = self.client.status == "running" and bool(self.client.ncores())
            except Exception:
                # Whatever comes of asking a scheduler that is just going.
                here = False
            if here:
                seen = time.monotonic()
            elif self.client.status in ("closed", "closing") or time.monotonic() - seen > _PATIENCE:
                for callback in list(self._waiting.values())[:1]:  # one error ends it all
                    callback(_gone("its scheduler or all of its workers are gone"))
                return


def _gone(why: str) -> InputError:
    return InputError(f"the cluster must stay until the end, but it did not ({why}): start it, and then this, again.")
