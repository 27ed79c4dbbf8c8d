"""What can go wrong, in words that say what was expected, what came and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["CaptureError", "InputError", "UnsupportedOperator", "choose", "reason"]


_SHOWN = 24  # of the words that would do; a model has hundreds of modules


class InputError(ValueError):
    """A value that the caller can mend, described in one sentence."""


class CaptureError(RuntimeError):
    """The model could not be captured as a graph of operators."""


class UnsupportedOperator(NotImplementedError):
    """The model applies an operator without a masked form to masked activations."""


def choose(value: object, options: Iterable[str], what: str) -> str:
    """Return `value` if it is one of `options`.

    Args:
        value: What the caller gave.
        options: The words that are understood.
        what: The noun for the message, such as "padding".

    Returns:
        The value, now known to be one of the options.

    Raises:
        InputError: If it is none of them; the message names the nearest one.

    Example:
        >>> choose("zero", ("neighbor", "zero"), "padding")
        'zero'
        >>> choose("neighbour", ("neighbor", "zero"), "padding")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: padding must be one of 'neighbor', 'zero', but 'neighbour' came: \
did you mean 'neighbor'?
    """
    words = tuple(options)
    if isinstance(value, str) and value in words:
        return value
    folded = {word.casefold(): word for word in words}
    near = difflib.get_close_matches(str(value).casefold(), folded, n=1, cutoff=0.4)
    hint = f"did you mean {folded[near[0]]!r}?" if near else "choose one of these."
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    raise InputError(f"{what} must be one of {', '.join(map(repr, words[:_SHOWN]))}{more}, but {value!r} came: {hint}")


def reason(error: BaseException) -> str:
    r"""Shorten an error to something that can stand inside a sentence.

    Args:
        error: Any error.

    Returns:
        The first line of its message without the full stop, or its class where it says nothing.

    Example:
        >>> reason(ValueError("bad magic number.\nTraceback ..."))
        'bad magic number'
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(". :")
