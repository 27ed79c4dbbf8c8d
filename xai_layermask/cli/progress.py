"""What goes on, on stderr, for as long as it does: only on a terminal, and never with --quiet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["bar", "doing", "shown"]


def shown(args: argparse.Namespace) -> bool:
    """Whether somebody looks.

    Args:
        args: With `quiet`, where the command has it.
    """
    return sys.stderr.isatty() and not getattr(args, "quiet", False)


@contextmanager
def doing(what: str, args: argparse.Namespace) -> Iterator[Callable[[str], object]]:
    """Say what is done, and wipe it away in the end.

    Args:
        what: Such as "loading lite0".
        args: With `quiet`.

    Yields:
        A function that says something else instead.
    """
    if not shown(args):
        yield lambda more: None
        return

    def say(more: str) -> None:
        sys.stderr.write(f"\r\x1b[K{more} ..." if more else "\r\x1b[K")
        sys.stderr.flush()

    say(what)
    try:
        yield say
    finally:
        say("")


@contextmanager
def bar(total: int, what: str, args: argparse.Namespace) -> Iterator[Callable[[], object]]:
    """Show a bar that is wiped away in the end.

    Args:
        total: How many steps there are.
        what: What they are.
        args: With `quiet`.

    Yields:
        A function to call after each step.
    """
    from tqdm import tqdm

    with tqdm(total=total, desc=what, leave=False, file=sys.stderr, disable=not shown(args)) as steps:
        yield lambda: steps.update(1)
