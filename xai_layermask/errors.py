"""Exceptions, and the checks that word them: "expected X for NAME, got Y: do Z"."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from numbers import Integral, Real

__all__ = [
    "CaptureError",
    "InputError",
    "UnsupportedOperator",
    "check_integer",
    "check_number",
    "choose",
    "reason",
    "refuse_masked",
]

_LISTED = 24  # options that a message lists; a model has hundreds of modules
_SHOWN = 80  # characters of a value that a message shows
_UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # all but line breaks
_LONGEST = 1200  # characters of a message, or of what was passed, such as a name of 5000 letters


class InputError(ValueError):
    """An argument that the caller can correct."""

    @classmethod
    def expected(cls, wanted: str, got: object, remedy: str = "", what: str = "") -> InputError:
        """Word the error as "expected X for NAME, got Y: do Z".

        Args:
            wanted: What was expected, such as "a tensor (N, C, H, W) for image".
            got: What was passed, as text.
            remedy: What to do, where that is not obvious.
            what: The argument's name, where `wanted` does not say it.

        Example:
            >>> raise InputError.expected("a tensor (N, C, H, W) for image", "3x8x8", "add a batch dimension")
            Traceback (most recent call last):
            ...
            xai_layermask.errors.InputError: expected a tensor (N, C, H, W) for image, got 3x8x8: add a batch dimension
        """
        name = f" for {what}" if what else ""
        return cls(
            _shortened(f"expected {wanted}{name}, got {_shortened(str(got))}" + (f": {remedy}" if remedy else ""))
        )


class CaptureError(RuntimeError):
    """The model raises an exception for an image, or cannot be captured as a graph of operators."""


class UnsupportedOperator(NotImplementedError):
    """The model applies an unsupported operator to masked activations."""


def choose(
    value: object, options: Iterable[str], what: str, aliases: Mapping[str, str] | None = None, cutoff: float = 0.4
) -> str:
    """Return `value` if it is one of `options`.

    Args:
        value: The argument.
        options: The accepted values.
        what: The argument's name; "" leaves it out.
        aliases: Other words for options, in lower case, which are suggested but not accepted.
        cutoff: How similar a word must be to be suggested, from 0 to 1.

    Raises:
        InputError: If it is not; the message suggests the closest option.

    Example:
        >>> choose("zero", ("neighbor", "zero"), "padding")
        'zero'
        >>> choose("neighbour", ("neighbor", "zero"), "padding")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected one of neighbor, zero for padding, got 'neighbour': did you mean \
'neighbor'?
    """
    words = tuple(options)
    if isinstance(value, str) and value in words:
        return value
    asked = str(value).casefold()
    meant = (aliases or {}).get(asked)
    if meant not in words:
        folded = {word.casefold(): word for word in words}
        meant = next((folded[near] for near in difflib.get_close_matches(asked, folded, n=1, cutoff=cutoff)), None)
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    wanted = f"one of {', '.join(words[:_LISTED])}{more}"
    raise InputError.expected(wanted, _shown(value), f"did you mean {meant!r}?" if meant else "", what)


def check_integer(
    value: object, what: str, least: int | None = None, most: int | None = None, otherwise: str = ""
) -> int:
    """Return `value` as an int if it is an integer within bounds. Booleans and floats are not integers.

    Args:
        value: The argument.
        what: Its name; "" leaves it out.
        least: The smallest accepted value.
        most: The largest accepted value.
        otherwise: What else the argument may be, for the message, such as "'auto'".

    Raises:
        InputError: If it is not.

    Example:
        >>> check_integer(20, "k", least=1)
        20
        >>> check_integer(0.5, "batch_size", least=1, otherwise="'auto'")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected an integer of at least 1 or 'auto' for batch_size, got 0.5
    """
    if not isinstance(value, bool) and isinstance(value, Integral):
        number = int(value)
        if (least is None or number >= least) and (most is None or number <= most):
            return number
    wanted = f"an integer{_range(least, most)}" + (f" or {otherwise}" if otherwise else "")
    raise InputError.expected(wanted, _shown(value), what=what)


def check_number(
    value: object, what: str, least: float | None = None, most: float | None = None, above: float | None = None
) -> float:
    """Return `value` as a float if it is a finite number within bounds. Booleans are not numbers.

    Args:
        value: The argument.
        what: Its name; "" leaves it out.
        least: The smallest accepted value.
        most: The largest accepted value.
        above: Accepted values are greater than this.

    Raises:
        InputError: If it is not.

    Example:
        >>> check_number(1, "ratio", least=0, most=1)
        1.0
        >>> check_number(0, "kernel_width", above=0)
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected a number above 0 for kernel_width, got 0
    """
    number = _as_float(value)
    if number is not None:
        low = (least is None or number >= least) and (above is None or number > above)
        if low and (most is None or number <= most):
            return number
    bounds = _range(least, most) if above is None else f" above {above:g}" + (f", at most {most:g}" if most else "")
    raise InputError.expected(f"a number{bounds}", _shown(value), what=what)


def reason(error: BaseException) -> str:
    r"""The first line of an error's message without its full stop, or its class if the message is empty.

    Example:
        >>> reason(ValueError("bad magic number.\nTraceback ..."))
        'bad magic number'
    """
    try:
        text = str(error)
    except Exception:  # an exception of the caller's whose `__str__` fails
        text = ""
    lines = text.strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(". :")


def refuse_masked(value: object, what: str) -> None:
    """Raise if `value` is a masked array of numpy with masked elements: a conversion would use what is behind the mask.

    Args:
        value: The argument.
        what: Its name.

    Raises:
        InputError: If it is.

    Example:
        >>> import numpy as np
        >>> refuse_masked(np.ma.masked_equal([0.5, 9.0], 9.0), "scores")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected an array without masked elements for scores, got 1 masked ones: \
replace them with filled(value)
    """
    mask = getattr(value, "mask", None)
    if mask is not None and type(value).__module__.startswith("numpy.ma") and bool(mask.any()):
        raise InputError.expected(
            "an array without masked elements",
            f"{int(mask.sum())} masked ones",
            "replace them with filled(value)",
            what,
        )


def _as_float(value: object) -> float | None:
    """A finite real number as a float; None for anything else, and for integers beyond the range of floats."""
    try:
        if isinstance(value, bool) or not isinstance(value, Real):
            return None
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _range(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" of at least {least}"
    return "" if most is None else f" of at most {most}"


def _shown(value: object) -> str:
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an integer of more digits than Python prints
        return f"an {type(value).__name__} that is too large"
    return text if len(text) <= _SHOWN else type(value).__name__


def _shortened(text: str) -> str:
    """The text without its middle if it is too long, and with the codes of control characters and lone surrogates."""
    text = _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 8 :]}"
