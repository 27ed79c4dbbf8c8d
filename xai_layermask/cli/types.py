"""Types of option values for `argparse`.

A type raises `ArgumentTypeError`, and the parser inserts the option's name: "expected an integer for --seed, got 'x'".
"""

from __future__ import annotations

import argparse
import functools
import math
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from ..catalog import ALIASES, DEVICES, check_model, parse_masking, parse_segmentation
from ..errors import InputError, check_integer, choose

__all__ = [
    "auto_or_positive", "auto_or_segmentation", "comma_separated", "device", "dots", "masking", "model", "natural",
    "one_of",
    "pair", "positive", "samples", "segmentation", "shape", "split", "window",
]  # fmt: skip

T = TypeVar("T")

_MOST = 1_000_000  # samples: a limit of memory
_MOST_DOTS = 600
_MOST_PIXELS = 1 << 28  # numbers in an input


def _option_type(check: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse report the message of an `InputError`; of a `ValueError` it reports only the type's name."""

    @functools.wraps(check)
    def convert(word: str) -> T:
        try:
            return check(word)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


@_option_type
def natural(word: str) -> int:
    """An integer of at least 0, within the 63 bits that a store keeps.

    Example:
        >>> natural("0")
        0
    """
    return _integer(word, 0)


@_option_type
def positive(word: str) -> int:
    """An integer of at least 1.

    Example:
        >>> positive("12")
        12
    """
    return _integer(word, 1)


@_option_type
def auto_or_positive(word: str) -> int | str:
    """The word auto, or an integer of at least 1."""
    return word if word == "auto" else _integer(word, 1, "auto")


@_option_type
def samples(word: str) -> int | str:
    """The word auto, or an integer of at least 2: a surrogate cannot be fitted to a single sample."""
    return word if word == "auto" else _integer(word, 2, "auto", _MOST)


@_option_type
def window(word: str) -> int | str:
    """The word auto, or the side of a window, an integer of at least 2."""
    return word if word == "auto" else _integer(word, 2, "auto", _MOST)


@_option_type
def dots(word: str) -> int:
    """Pixels per inch, few enough for a figure of several panels to fit into memory."""
    return _integer(word, 1, most=_MOST_DOTS)


def _integer(word: str, least: int, otherwise: str = "", most: int | None = None) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", word):  # fits into 63 bits
        limit = f"at most {most if most is not None else 10**18 - 1}" if word.isdecimal() else ""
        wanted = f"an integer of at least {least}" + (f" and {limit}" if limit else "")
        got = f"a number of {len(word)} digits" if limit else repr(word)
        raise InputError.expected(wanted + (f" or {otherwise}" if otherwise else ""), got)
    return check_integer(int(word), "", least, most, otherwise)


def split(word: str) -> list[str]:
    """Split at commas outside parentheses: a colour such as (255,0,0) is one value.

    Example:
        >>> split("grey,(255,0,0), layer")
        ['grey', '(255,0,0)', 'layer']
    """
    return [part.strip() for part in re.split(r",(?![^(]*\))", word) if part.strip()]


@_option_type
def pair(word: str) -> tuple[str, str]:
    """A name and its value.

    Example:
        >>> pair("samples=300")
        ('samples', '300')
    """
    name, equals, value = (part.strip() for part in word.partition("="))
    if not name or not equals or not value:
        raise InputError.expected("NAME=VALUE", repr(word))
    return name, value


def comma_separated(kind: Callable[[str], str]) -> Callable[[str], list[str]]:
    """The type of one or more comma-separated values of a type; duplicates are dropped.

    Example:
        >>> comma_separated(masking)("black,layer")
        ['black', 'layer']
    """

    @_option_type
    def several(word: str) -> list[str]:
        values = list(dict.fromkeys(kind(part) for part in split(word)))
        if not values:
            raise InputError.expected("one or more names, separated by commas", repr(word))
        return values

    return several


def one_of(options: Iterable[str]) -> Callable[[str], str]:
    """The type of one of several words.

    Example:
        >>> one_of(("lime", "shap"))("lime")
        'lime'
    """
    return _option_type(lambda word: choose(word, options, "", ALIASES))


@_option_type
def shape(word: str) -> tuple[int, ...]:
    """Four integers of at least 1.

    Example:
        >>> shape("1,3,224,224")
        (1, 3, 224, 224)
    """
    if not re.fullmatch(r"[0-9]{1,9}([,x][0-9]{1,9}){3}", word):
        raise InputError.expected("four integers N,C,H,W of at least 1", repr(word))
    sizes = tuple(int(part) for part in re.split(r"[,x]", word))
    if not 1 <= math.prod(sizes) <= _MOST_PIXELS:
        raise InputError.expected(f"four integers N,C,H,W of at least 1 and a product of at most {_MOST_PIXELS}", word)
    return sizes


@_option_type
def masking(word: str) -> str:
    """The name of a masking.

    Example:
        >>> masking("layer-threshold:0.3")
        'layer-threshold:0.3'
    """
    parse_masking(word, "")
    return word


@_option_type
def segmentation(word: str) -> str:
    """The name of a segmentation.

    Example:
        >>> segmentation("patches:16")
        'patches:16'
    """
    parse_segmentation(word, "")
    return word


@_option_type
def auto_or_segmentation(word: str) -> str:
    """The word auto, or the name of a segmentation."""
    return word if word == "auto" else segmentation(word)


@_option_type
def model(word: str) -> str:
    """The name of a model. Whether a library has it is checked when it is loaded.

    Example:
        >>> model("torchvision:resnet50")
        'torchvision:resnet50'
    """
    return check_model(word, "")


@_option_type
def device(word: str) -> str:
    """The name of a device. Whether it is available is checked when it is used.

    Example:
        >>> device("cuda:1")
        'cuda:1'
    """
    name, colon, number = word.partition(":")
    if colon and name in DEVICES[1:] and number.isdecimal():
        return word
    return choose(name if colon and name not in DEVICES else word, DEVICES, "", ALIASES)
