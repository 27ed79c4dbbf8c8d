"""Questions to a masking: what does it answer when only these segments are present?

Presence is made batch by batch from the rows that say which segments to keep, so that memory does not grow
with the number of samples. A batch that does not fit into memory is halved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..engine.precision import LIMIT, noise
from ..errors import InputError
from ..maskings.base import Masking
from ..segments import presence_of

__all__ = ["Answers", "Query", "answering", "in_batches"]

T = TypeVar("T")

Floats = npt.NDArray[np.float64]


class Answers(NamedTuple):
    """What a masking answered.

    Attributes:
        probabilities: float64 `(M, T)`.
        batch_size: The batch size that fitted into memory.
    """

    probabilities: Floats
    batch_size: int


@contextmanager
def answering(device: torch.device, autocast: bool) -> Iterator[None]:
    """Run forward passes without gradients.

    Args:
        device: Where they run.
        autocast: Whether they run in bfloat16 wherever torch finds that safe.

    Example:
        >>> with answering(torch.device("cpu"), autocast=True):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        yield


def in_batches(
    ask: Callable[[npt.NDArray[np.bool_]], T], keep: npt.NDArray[np.bool_], batch_size: int, device: torch.device
) -> Iterator[tuple[T, int]]:
    """Ask for row after row, in batches that are halved whenever they do not fit into memory.

    Args:
        ask: The question: from rows `(m, K)` to their answer.
        keep: Bool `(M, K)`: which segments are present.
        batch_size: How many rows come at once, as long as memory suffices.
        device: Where the question is answered.

    Yields:
        The answer to a batch, and the batch size that fits.

    Example:
        >>> def ask(rows):
        ...     if len(rows) > 2:
        ...         raise MemoryError
        ...     return len(rows)
        >>> list(in_batches(ask, np.ones((5, 3), bool), 4, torch.device("cpu")))
        [(2, 2), (2, 2), (1, 2)]
    """
    start = 0
    while start < len(keep):
        rows = keep[start : start + batch_size]
        try:
            found = [ask(rows)]
        except (RuntimeError, MemoryError) as error:
            if len(rows) == 1 or not _is_out_of_memory(error):
                raise
            found = []  # go on outside: the error's traceback would keep the failed batch in memory
        if found:
            start += len(rows)
            yield found.pop(), batch_size
            continue
        batch_size = len(rows) // 2
        if device.type == "cuda":
            torch.cuda.empty_cache()


class Query:
    """A masking with a picture and its segments: from the segments to keep to probabilities.

    Args:
        masking: The masking to ask.
        image: `(1, 3, H, W)`, normalised, where the model is.
        segments: int64 `(H, W)`, ids 0..K-1.
        autocast: Whether forward passes run in bfloat16 wherever torch finds that safe. As an attribute it also says
            what [`settle`][xai_layermask.explain.predictor.Query.settle] decided.

    Example:
        >>> from xai_layermask import LayerMask
        >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> halves = np.array([[0, 0, 1, 1]] * 4)
        >>> query = Query(LayerMask(model), torch.ones(1, 3, 4, 4), halves)
        >>> query.answers(np.array([[True, False], [False, True]]), [0], 16, lambda done: None).probabilities.round(3)
        array([[0.333],
               [0.333]])
    """

    def __init__(
        self, masking: Masking, image: Tensor, segments: npt.NDArray[np.int64], autocast: bool = False
    ) -> None:
        self._bound = masking.bind(image)
        self._segments = segments
        self._device = image.device
        self.autocast = autocast

    def whole(self) -> Floats:
        """The model's probabilities for the whole picture, float64 `(classes,)`.

        Raises:
            InputError: If the model answers with anything but finite logits `(1, classes)`.
        """
        with answering(self._device, self.autocast):
            found: Floats = _probabilities(self._bound.masking(self._bound.image), 1)[0]
            return found

    def answers(
        self,
        keep: npt.NDArray[np.bool_],
        targets: Sequence[int],
        batch_size: int,
        advance: Callable[[int], object],
    ) -> Answers:
        """Ask for every row.

        Args:
            keep: Bool `(M, K)`: which segments are present.
            targets: T class indices.
            batch_size: How many rows go through the model at once, as long as memory suffices.
            advance: Is told how many rows more are done, after every batch.

        Returns:
            Probabilities float64 `(M, T)`, and the batch size that fitted.

        Raises:
            InputError: If the model answers with anything but finite logits `(N, classes)`.
        """
        values = np.empty((len(keep), len(targets)))
        start = 0
        with answering(self._device, self.autocast):
            for found, fitting in in_batches(self._ask, keep, batch_size, self._device):
                batch_size = fitting
                values[start : start + len(found)] = found[:, targets]
                start += len(found)
                advance(len(found))
        return Answers(values, batch_size)

    def settle(
        self,
        keep: npt.NDArray[np.bool_],
        targets: Sequence[int],
        batch_size: int,
        advance: Callable[[int], object],
    ) -> Answers:
        """Ask in float32 and in bfloat16, and go on in bfloat16 if that hardly changes the answers.

        It does not where the error is at most [`LIMIT`][xai_layermask.engine.precision.LIMIT] of the answers' spread.

        Args:
            keep: Bool `(M, K)`: the rows to ask for.
            targets: T class indices.
            batch_size: As for `answers`.
            advance: As for `answers`.

        Returns:
            The answers in float32. What was decided is `autocast`.
        """
        self.autocast = True
        rough = self.answers(keep, targets, batch_size, lambda done: None)
        self.autocast = False
        exact = self.answers(keep, targets, rough.batch_size, advance)
        self.autocast = noise(exact.probabilities, rough.probabilities) <= LIMIT
        return exact

    def _ask(self, rows: npt.NDArray[np.bool_]) -> Floats:
        presence = presence_of(self._segments, torch.from_numpy(rows).to(self._device))
        return _probabilities(self._bound(presence), len(rows))


def _probabilities(logits: Any, count: int) -> Floats:
    if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[0] != count or logits.shape[1] < 2:
        came = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"model must answer {count} images with logits ({count}, classes) of at least 2 classes, but "
            f"{came} came: wrap it in a module that returns them."
        )
    # On the processor, since not every accelerator has float64.
    values: Floats = logits.cpu().double().softmax(1).numpy()
    if not np.isfinite(values).all():
        raise InputError(
            "model must answer with finite logits, but NaN or infinity came: "
            "check its weights, and that the preprocessing is the model's own."
        )
    return values


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error)
    return "out of memory" in words.lower() or "DefaultCPUAllocator" in words
