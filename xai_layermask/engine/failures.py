"""What a model raises for an image, as a sentence that names the line of the model and the remedy."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from ..errors import CaptureError, InputError, UnsupportedOperator, reason
from .additional import check_inputs
from .batching import is_out_of_memory

__all__ = ["model_failure", "user_line", "worded_failures"]


@contextmanager
def worded_failures(model: nn.Module, shape: Sequence[int], additional: int = 0) -> Iterator[None]:
    """Word what a model raises when it is run on an image of a shape; lack of memory is not its fault.

    Args:
        model: The model.
        shape: The shape of the image.
        additional: How many further inputs it is given.

    Raises:
        InputError: If it takes more or fewer inputs.
        CaptureError: If it raises anything else.
    """
    try:
        yield
    except (InputError, CaptureError, UnsupportedOperator):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        if isinstance(error, TypeError):
            check_inputs(model, additional)
        raise CaptureError(model_failure(error, shape)) from error


def model_failure(error: Exception, shape: Sequence[int]) -> str:
    """What was expected of a model, what it raised and where, and what to do.

    Example:
        >>> model_failure(RuntimeError("expected 3 channels"), (1, 4, 8, 8))
        'expected a model that takes an image of shape (1, 4, 8, 8), got RuntimeError (expected 3 channels): check \
size, channels and number type of its input.'
    """
    return (
        f"expected a model that takes an image of shape {tuple(shape)}, got {type(error).__name__} ({reason(error)})"
        f"{user_line(error)}: check size, channels and number type of its input."
    )


def user_line(error: BaseException) -> str:
    """The deepest line outside of torch and this package, as ` in FILE, line N (CODE)`."""
    own = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith((*own, "<string"))
    ]
    if not frames:
        return ""
    last = frames[-1]
    return f" in {Path(last.filename).name}, line {last.lineno}" + (f" ({last.line})" if last.line else "")
