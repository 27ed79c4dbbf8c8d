"""Many pictures: their coalitions share the batches of the forward passes."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..engine.batching import batched_predict
from ..errors import CaptureError, InputError
from .explanation import Explanation
from .pending import Pending
from .predictor import Coalitions, Floats, predict_jointly

__all__ = ["Explained", "explain_together"]

_LOG = logging.getLogger(__name__)
_MOST_OPEN = 64  # pictures that share a batch, to bound their memory


@dataclass(frozen=True, eq=False)
class Explained:
    """The outcome for one of many pictures.

    Attributes:
        index: Its place among the pictures, from 0.
        source: Its path, if it is one; otherwise its place as text.
        explanation: The explanation; None if there is none.
        problem: Why there is none; empty if there is one.
    """

    index: int
    source: str
    explanation: Explanation | None
    problem: str = ""


@dataclass
class _Open:
    """A picture that takes part in batches, or that failed."""

    index: int
    source: str
    pending: Pending | None
    problem: str = ""

    @property
    def wanted(self) -> Coalitions:
        if self.pending is None:
            return np.empty((0, 0), bool)
        return self.pending.estimation.wanted

    def fail(self, error: Exception) -> None:
        self.pending, self.problem = None, str(error)
        _LOG.warning("%s is left out: %s", self.source, error)


def explain_together(
    pictures: Iterable[tuple[str, object]],
    opened: Callable[[object], Pending],
    closed: Callable[[Pending], Explanation],
) -> Iterator[Explained]:
    """Explain pictures in their order. A batch that one picture does not fill is filled up with the next ones.

    Args:
        pictures: Sources and pictures.
        opened: Begins a picture.
        closed: Makes the explanation of a picture whose predictions are complete.
    """
    rest, queue = enumerate(pictures), deque[_Open]()
    ended = False
    while True:
        while queue and not len(queue[0].wanted):
            yield _result(queue.popleft(), closed)
        size = next((one.pending.batch_size for one in queue if one.pending is not None), 1)
        # The next picture is only begun if those before it do not fill the batch.
        while not ended and len(queue) < _MOST_OPEN and sum(len(one.wanted) for one in queue) < size:
            following = next(rest, None)
            if following is None:
                ended = True
                break
            queue.append(_begun(*following, opened))
            size = max(size, queue[-1].pending.batch_size if queue[-1].pending is not None else 1)
        if queue and len(queue[0].wanted):
            _advance(queue, size)
        elif not queue and ended:
            return


def _begun(index: int, picture: tuple[str, object], opened: Callable[[object], Pending]) -> _Open:
    source, content = picture
    one = _Open(index, source, None)
    try:
        one.pending = opened(content)
    except (InputError, CaptureError) as error:
        one.fail(error)
    return one


def _result(one: _Open, closed: Callable[[Pending], Explanation]) -> Explained:
    explanation = None
    if one.pending is not None:
        try:
            explanation = closed(one.pending)
        except InputError as error:
            one.fail(error)
    return Explained(one.index, one.source, explanation, one.problem)


def _advance(queue: Iterable[_Open], size: int) -> None:
    """Fill one batch, from the first picture on, with pictures that go together with it, and predict it."""
    batch: list[tuple[_Open, Pending, Coalitions]] = []
    left, kind = size, None
    for one in queue:
        pending = one.pending
        if pending is None or not left:
            continue
        kind = kind or pending.predictor.kind
        rows = one.wanted[:left]
        if len(rows) and pending.predictor.kind == kind:
            batch.append((one, pending, rows))
            left -= len(rows)
    try:
        values, fitted = _predicted([(pending, rows) for _, pending, rows in batch], size)
    except InputError as error:
        if len(batch) == 1:
            batch[0][0].fail(error)
            return
        for one, pending, rows in batch:  # one of them is at fault
            try:
                values, fitted = _predicted([(pending, rows)], size)
            except InputError as own:
                one.fail(own)
            else:
                pending.estimation.add(values[0])
        return
    for (_, pending, _), found in zip(batch, values, strict=True):
        pending.batch_size = min(pending.batch_size, fitted)
        pending.estimation.add(found)


def _predicted(batch: list[tuple[Pending, Coalitions]], size: int) -> tuple[list[Floats], int]:
    """The predictions of each picture's rows, and the batch size that fitted into memory."""
    if len(batch) == 1:
        pending, rows = batch[0]
        alone = pending.predictor.predict(rows, pending.targets, size)
        return [alone.values], alone.batch_size
    owners = np.repeat(np.arange(len(batch)), [len(rows) for _, rows in batch])
    places = np.concatenate([np.arange(len(rows)) for _, rows in batch])
    found: list[list[Floats]] = [[] for _ in batch]

    def predict(part: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Floats:
        some = [(i, batch[i][0], batch[i][1][places[part[owners[part] == i]]]) for i in np.unique(owners[part])]
        answers = predict_jointly([(pending.predictor, rows, pending.targets) for _, pending, rows in some])
        for (i, _, _), answer in zip(some, answers, strict=True):
            found[i].append(answer)
        return np.zeros(len(part))

    _, fitted = batched_predict(predict, np.arange(len(owners)), size)
    return [np.concatenate(parts) for parts in found], fitted
