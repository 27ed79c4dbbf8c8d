"""What commands print: tables and JSON numbers on stdout, progress on stderr.

Progress shows on a terminal only, never with `--quiet`, and is erased at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

__all__ = ["complain", "number", "print_json", "progress_bar", "shows_progress", "status", "table"]


def shows_progress(args: argparse.Namespace) -> bool:
    """Whether stderr is a terminal and `--quiet` was not given."""
    return sys.stderr is not None and sys.stderr.isatty() and not getattr(args, "quiet", False)


def complain(sentence: str) -> None:
    """Print on stderr, unless the process was started without it, as by `2>&-`: `print` would use stdout instead."""
    if sys.stderr is not None:
        print(sentence, file=sys.stderr)


def print_json(document: object, args: argparse.Namespace) -> None:
    """Print the one JSON document of a command.

    Args:
        document: What JSON can hold.
        args: Parsed options. `stdout` is the stream for the document, where `sys.stdout` is for what models print.
    """
    stream = getattr(args, "stdout", sys.stdout)
    if stream is not None:
        print(json.dumps(document, indent=2), file=stream)


@contextmanager
def status(message: str, args: argparse.Namespace) -> Iterator[Callable[[str], object]]:
    """Show a status line. What libraries and the user's modules print meanwhile goes to stderr, not among the results.

    Args:
        message: The first status, such as "loading lite0".
        args: Parsed options; `quiet` is read where the command has it.

    Yields:
        A function that replaces the message; an empty one clears the line.
    """
    with redirect_stdout(sys.stderr):
        yield from _status(message, args)


def _status(message: str, args: argparse.Namespace) -> Iterator[Callable[[str], object]]:
    if not shows_progress(args):
        yield lambda message: None
        return

    def show(message: str) -> None:
        sys.stderr.write(f"\r\x1b[K{message} ..." if message else "\r\x1b[K")
        sys.stderr.flush()

    show(message)
    try:
        yield show
    finally:
        show("")


@contextmanager
def progress_bar(total: int, description: str, args: argparse.Namespace) -> Iterator[Callable[[], object]]:
    """Show a progress bar.

    Args:
        total: Number of steps.
        description: What the steps are.
        args: Parsed options; `quiet` is read where the command has it.

    Yields:
        A function to call after each step.
    """
    from tqdm import tqdm

    hidden = not shows_progress(args)
    bar = tqdm(total=total, desc=description, leave=False, file=sys.stderr, disable=hidden)
    with redirect_stdout(sys.stderr), bar:
        yield lambda: bar.update(1)


def number(value: float) -> float | None:
    """Convert to a number that JSON can hold: NaN becomes None.

    Example:
        >>> number(float("nan")) is None, number(0.5)
        (True, 0.5)
    """
    return None if math.isnan(value) else float(value)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a plain-text table.

    Floats get three decimals. A column is right-aligned if all its cells are numbers.

    Args:
        header: Column names.
        rows: Cells, one per column.

    Returns:
        Lines without trailing spaces.

    Example:
        >>> print(table(("class", "p"), [("tabby", 0.25), ("Egyptian cat", 0.5)]))
        class             p
        tabby         0.250
        Egyptian cat  0.500
    """
    cells = [list(row) for row in rows]
    texts = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in (header, *cells)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    numeric = [all(isinstance(row[column], (int, float)) for row in cells) for column in range(len(header))]
    lines = (
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in texts
    )
    return "\n".join(lines)
