"""The command line, `xai-layermask COMMAND`. The only part of the package that prints.

Results go to stdout; with `--json` they are a single JSON document. Errors, omitted pictures and progress go to stderr;
progress shows on a terminal only. With `--quiet` only errors are printed. The exit code is 0 on success, 2 for invalid
usage or input, 1 for an internal error, and 130 after Ctrl-C.

Heavy modules are imported when a command runs, so that help, completion and errors in options need no torch.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from ..errors import CaptureError, InputError, UnsupportedOperator, reason
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
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        code = int(args.run(args)) if args.run else _SUCCESS
        _flush()
        return code
    except (InputError, CaptureError, UnsupportedOperator) as error:
        return _fail(str(error), _INVALID)
    except KeyboardInterrupt:
        return _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        # The reader, such as `head`, has exited. Without this the interpreter would report it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SUCCESS
    except (OSError, MemoryError) as error:
        return _fail(reason(error), _INVALID)
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's; importing torch to catch it would be slow
            return _fail("out of accelerator memory: use a smaller --batch-size, or --device cpu", _INVALID)
        if os.environ.get("XAI_LAYERMASK_TRACEBACK"):
            raise
        return _fail(
            f"internal error, {type(error).__name__} ({reason(error)}): please report it with the traceback "
            "that XAI_LAYERMASK_TRACEBACK=1 shows",
            _INTERNAL_ERROR,
        )


def _fail(sentence: str, code: int) -> int:
    _flush()  # so that a printed table precedes the error where both streams go to one place
    print("xai-layermask:", " ".join(sentence.split()), file=sys.stderr)
    return code


def _flush() -> None:
    if sys.stdout is not None:  # None if the process was started without it, as by `>&-`
        sys.stdout.flush()
