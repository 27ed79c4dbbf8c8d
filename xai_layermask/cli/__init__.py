"""The command line, `xai-layermask COMMAND`. The only part of the package that prints.

Results go to stdout; with `--json` they are a single JSON document. Errors, omitted pictures and progress go to stderr;
progress shows on a terminal only. With `--quiet` only errors are printed. The exit code is 0 on success, 2 for invalid
usage or input, 1 for an internal error, and 130 after Ctrl-C.

Heavy modules are imported when a command runs, so that help, completion and errors in options need no torch.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress

from ..errors import CaptureError, InputError, UnsupportedOperator, reason
from .output import complain
from .parser import parse

__all__ = ["main"]

_SUCCESS, _INTERNAL_ERROR, _INVALID, _INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name; those of this process if None.

    Returns:
        The exit code: 0 on success, 2 for invalid usage or input, 130 after Ctrl-C, 1 for an internal error. An error
        is one sentence on stderr.

    Example:
        >>> main(["--version"])
        xai-layermask 0.1.0
        0
    """
    if not sys.warnoptions:  # -W and PYTHONWARNINGS show the warnings of libraries
        warnings.simplefilter("ignore")
    _accept_all_characters()
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        code = _run(args) if args.run else _SUCCESS
        _flush()
        return code
    except KeyboardInterrupt:
        return _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        _discard_stdout()  # the reader, such as `head`, has exited
        return _SUCCESS
    except Exception as error:
        sentence, code = _worded(error)
        if code == _INTERNAL_ERROR and os.environ.get("XAI_LAYERMASK_TRACEBACK"):
            raise
        return _fail(sentence, code)


def _worded(error: Exception) -> tuple[str, int]:
    """The sentence about an error, and the exit code."""
    if isinstance(error, (InputError, CaptureError, UnsupportedOperator)):
        return str(error), _INVALID
    if isinstance(error, OSError) and error.filename is None and error.errno == errno.ENOSPC:
        _discard_stdout()
        return "expected free space for the output, got a full disk: make room", _INVALID
    if isinstance(error, (OSError, MemoryError)):
        return reason(error), _INVALID
    if type(error).__name__ == "OutOfMemoryError":  # torch's; importing torch to catch it would be slow
        return "out of accelerator memory: use a smaller --batch-size, or --device cpu", _INVALID
    sentence = (
        f"internal error, {type(error).__name__} ({reason(error)}): please report it with the traceback "
        "that XAI_LAYERMASK_TRACEBACK=1 shows"
    )
    return sentence, _INTERNAL_ERROR


def _accept_all_characters() -> None:
    """Write characters that the terminal's encoding lacks, as in names and labels, as escape sequences."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(args: argparse.Namespace) -> int:
    """Run the command. With `--json`, what the user's model prints goes to stderr: stdout has one document."""
    if getattr(args, "json", False) is not True:
        return int(args.run(args))
    args.stdout = sys.stdout
    with redirect_stdout(sys.stderr if sys.stderr is not None else io.StringIO()):
        return int(args.run(args))


def _fail(sentence: str, code: int) -> int:
    _flush()  # so that a printed table precedes the error where both streams go to one place
    with suppress(OSError):  # stderr may be full or closed
        complain(f"xai-layermask: {' '.join(sentence.split())}")
    return code


def _flush() -> None:
    if sys.stdout is not None:  # None if the process was started without it, as by `>&-`
        sys.stdout.flush()


def _discard_stdout() -> None:
    """Send the rest of stdout nowhere. Otherwise the interpreter would report the error again at exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
