"""What a word of the command line must look like, and what it means: types for `argparse`.

Where a word does not do, the error goes on where the parser has named the option: "--samples must be ...".
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches

from ..errors import InputError, check_integer, choose
from .names import ALIASES, DEVICES, LITE, MASKINGS, MODELS, SEGMENTS, TORCHVISION

__all__ = [
    "auto_or_count", "count", "device", "listed", "masking", "model", "one_of", "pair", "samples", "segmentation",
    "shape", "whole", "words",
]  # fmt: skip

_PATTERNS = ("layer-until:MODULE", "layer-threshold:T", "(r,g,b)")


def whole(word: str) -> int:
    """A whole number of at least 0.

    Example:
        >>> whole("0")
        0
    """
    return _number(word, 0)


def count(word: str) -> int:
    """A whole number of at least 1.

    Example:
        >>> count("12")
        12
    """
    return _number(word, 1)


def auto_or_count(word: str) -> int | str:
    """The word auto, or a whole number of at least 1."""
    return word if word == "auto" else _number(word, 1, "auto")


def samples(word: str) -> int | str:
    """The word auto, or a whole number of at least 2: the whole picture, and something to compare it with."""
    return word if word == "auto" else _number(word, 2, "auto")


def _number(word: str, least: int, otherwise: str = "") -> int:
    number = int(word) if re.fullmatch(r"[0-9]+", word) else word
    try:
        return check_integer(number, "", least, otherwise=otherwise)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def words(word: str) -> list[str]:
    """Several words: split at commas outside parentheses, since a colour such as (255,0,0) is one word.

    Example:
        >>> words("grey,(255,0,0), layer")
        ['grey', '(255,0,0)', 'layer']
    """
    return [part.strip() for part in re.split(r",(?![^(]*\))", word) if part.strip()]


def pair(word: str) -> tuple[str, str]:
    """A name and its value.

    Example:
        >>> pair("samples=300")
        ('samples', '300')
    """
    name, equals, value = (part.strip() for part in word.partition("="))
    if not name or not equals or not value:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, but {word!r} came: write it so.")
    return name, value


def listed(kind: Callable[[str], str]) -> Callable[[str], list[str]]:
    """A type of several words from the type of one.

    Args:
        kind: The type of one word.

    Returns:
        The type of one or more of them with commas in between; one that comes again counts once.

    Example:
        >>> listed(masking)("black,layer")
        ['black', 'layer']
    """

    def several(word: str) -> list[str]:
        found = list(dict.fromkeys(kind(part) for part in words(word)))
        if not found:
            raise argparse.ArgumentTypeError("must be one or more names with commas in between, but none came")
        return found

    return several


def one_of(options: Iterable[str]) -> Callable[[str], str]:
    """The type of a word that must be one of several.

    Args:
        options: These.

    Returns:
        The type.

    Example:
        >>> one_of(("lime", "shap"))("lime")
        'lime'
    """
    return lambda word: _chosen(word, options)


def shape(word: str) -> tuple[int, ...]:
    """Four sizes of at least 1.

    Example:
        >>> shape("1,3,224,224")
        (1, 3, 224, 224)
    """
    sizes = tuple(int(part) for part in re.split(r"[,x]", word) if part.isdigit())
    if not re.fullmatch(r"[0-9]+([,x][0-9]+){3}", word) or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"must be four numbers N,C,H,W of at least 1, but {word!r} came")
    return sizes


def masking(word: str) -> str:
    """The name of a masking.

    Example:
        >>> masking("layer-threshold:0.3")
        'layer-threshold:0.3'
    """
    name, colon, value = word.partition(":")
    if name == "layer-until" and value:
        return word
    if name == "layer-threshold" and colon:
        if not re.fullmatch(r"[0-9]*\.?[0-9]+", value) or float(value) > 1:
            raise argparse.ArgumentTypeError(
                f"must be layer-threshold:T with T from 0 to 1, but {word!r} came: for example layer-threshold:0.3."
            )
        return word
    if re.match(r"[(0-9]", word):
        parts = word.strip("()").split(",")
        numbers = [float(one) for one in parts if re.fullmatch(r"\s*[0-9]+(\.[0-9]*)?\s*", one)]
        if word[0] + word[-1] != "()" or not len(parts) == len(numbers) == 3 or max(numbers) > 255:
            raise argparse.ArgumentTypeError(
                f"must be a colour (r,g,b) from 0 to 255, but {word!r} came: for example '(255,0,0)'."
            )
        return word
    return _chosen(word, (*MASKINGS, *_PATTERNS))


def segmentation(word: str) -> str:
    """The name of a way to cut pictures.

    Example:
        >>> segmentation("patches:16")
        'patches:16'
    """
    name, colon, number = word.partition(":")
    _chosen(name, SEGMENTS)
    if colon and name not in ("patches", "slic"):
        raise argparse.ArgumentTypeError(f"must be {name} without a number, but {word!r} came: leave {number!r} out.")
    if colon and not (number.isdecimal() and int(number)):
        raise argparse.ArgumentTypeError(
            f"must be {name}:N with a whole number of at least 1, but {word!r} came: for example {name}:16."
        )
    return word


def model(word: str) -> str:
    """The name of a model, as far as that can be told without asking a library for its models.

    Example:
        >>> model("torchvision:resnet50")
        'torchvision:resnet50'
    """
    kind, colon, name = word.partition(":")
    if colon and kind and name:
        near = get_close_matches(kind.lower(), ("torchvision", "timm"), n=1, cutoff=0.7)
        if near and kind not in near and not _is_module(kind):
            raise argparse.ArgumentTypeError(
                f"expected one of {', '.join(MODELS)}, got {word!r}, and there is no module {kind!r}: "
                f"did you mean '{near[0]}:{name}'?"
            )
        return word
    if word.isidentifier() and not get_close_matches(word.lower(), LITE, n=1, cutoff=0.6):
        near = [] if word in TORCHVISION else get_close_matches(word.lower(), TORCHVISION, n=1, cutoff=0.8)
        meant = f"'torchvision:{near[0]}'" if near else f"'torchvision:{word}' or 'timm:{word}'"
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(MODELS)}, got {word!r}: did you mean {meant}?"
        )
    return _chosen(word, MODELS)


def device(word: str) -> str:
    """The name of a device; whether there is such a one here shows when it is used.

    Example:
        >>> device("cuda:1")
        'cuda:1'
    """
    name, colon, number = word.partition(":")
    if colon and name in DEVICES[1:] and number.isdecimal():
        return word
    return _chosen(name if colon and name not in DEVICES else word, DEVICES)


def _chosen(word: str, options: Iterable[str]) -> str:
    known = tuple(options)
    alias = ALIASES.get(word.lower())
    if alias in known:  # by its letters it may be nearer to another one
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(known)}, got {word!r}: did you mean {alias!r}?"
        )
    try:
        return choose(word, known, "")
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _is_module(name: str) -> bool:
    top = name.partition(".")[0]
    if os.path.exists(top) or os.path.exists(f"{top}.py"):  # in the folder that the command was called in
        return True
    return top.isidentifier() and importlib.util.find_spec(top) is not None
