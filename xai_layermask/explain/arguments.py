"""Arguments of the explainer, and its progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from .. import progress
from ..errors import InputError, check_integer
from ..images import Preprocess, Transform
from ..maskings import Masking, make

__all__ = ["as_masking", "auto_or_integer", "fitting_labels", "function_name", "progress_bar"]

_MOST = 1_000_000  # samples: a limit of memory


def auto_or_integer(value: int | str, what: str, least: int) -> int | str:
    """"auto", or an integer of at least `least`."""
    if value == "auto":
        return value
    number = check_integer(value, what, least, otherwise="'auto'")
    return number if number <= _MOST else check_integer(number, what, least, _MOST, "'auto'")


def function_name(function: object) -> str:
    """The name of a function, or of the class of a callable."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def as_masking(masking: object, network: nn.Module, preprocess: Preprocess | Transform) -> Masking:
    """A masking of the network by name, or by a function."""
    if isinstance(masking, str):
        return make(masking, network, preprocess)
    made = masking(network) if callable(masking) else masking
    if not isinstance(made, Masking) or made.model is not network:
        raise InputError.expected(
            "a name, a masking of the model, or a function from the model to one for masking", type(made).__name__
        )
    return made


def fitting_labels(labels: tuple[str, ...], whole: Tensor) -> tuple[str, ...]:
    """The labels, if they fit the output for the whole picture."""
    outputs = whole.shape[1] if whole.dim() > 1 else 1
    if outputs == 1 and len(labels) == 2:
        return labels[1:]  # a binary classifier, whose output belongs to the second class
    if labels and len(labels) != outputs:
        raise InputError.expected(
            f"one label for each of the model's {outputs} outputs for labels",
            str(len(labels)),
            "pass labels=[...] in their order",
        )
    return labels


@contextmanager
def progress_bar(
    total: int | None, shown: bool | Callable[[int, int], object], unit: str = "sample"
) -> Iterator[Callable[[int], object]]:
    """A progress bar on stderr, or a function that counts; yields what to call with the number of new ones."""
    if callable(shown):
        yield _Count(total or 0, shown).update
        return
    with progress.progress_bar(total, "explaining", shown, unit) as bar:
        yield bar.update


class _Count:
    """Tells a function how many samples are done, and how many there are in total."""

    def __init__(self, total: int, report: Callable[[int, int], object]) -> None:
        self._total, self._report, self._done = total, report, 0
        report(0, total)

    def update(self, more: int) -> None:
        """Count more samples."""
        self._done += more
        self._report(self._done, self._total)
