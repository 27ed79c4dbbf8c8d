"""The command line, `xai-layermask COMMAND`. The only place that prints.

All commands behave alike. Results go to stdout, with `--json` as one document and nothing else. Errors, and pictures
that are left out, go to stderr, and so does progress, on a terminal only. With `--quiet` there is nothing but errors.
The exit code is 0 if all is well, 2 for bad usage or input, 1 for a mistake in this program, and 130 after Ctrl-C.

Everything heavy is imported when a command runs, so that help, completion and wrong words are answered at once.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from ..errors import CaptureError, InputError, UnsupportedOperator
from .parser import parse

__all__ = ["main"]

GOOD, BUG, BAD, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after the program's name; those of this process if None.

    Returns:
        The exit code: 0 if all is well; 2 for bad usage or input, with one sentence on stderr; 130 after
        Ctrl-C; 1 for a mistake in this program.

    Example:
        >>> main(["--version"])
        xai-layermask 0.1.0
        0
    """
    if not sys.warnoptions:
        # Libraries warn those who write code. -W and PYTHONWARNINGS show it.
        warnings.simplefilter("ignore")
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        code = int(args.run(args)) if args.run else GOOD
        _flush()
        return code
    except (InputError, CaptureError, UnsupportedOperator) as error:
        return _fail(str(error), BAD)
    except KeyboardInterrupt:
        return _fail("stopped before the end.", INTERRUPTED)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Without this the interpreter complains once more on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except (OSError, MemoryError) as error:
        return _fail(f"{_first_line(error)}.", BAD)
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which must not be imported for this
            return _fail("the accelerator's memory is full: use a smaller --batch-size, or --device cpu.", BAD)
        if os.environ.get("XAI_LAYERMASK_TRACEBACK"):
            raise
        return _fail(
            f"this is a mistake in xai-layermask, {type(error).__name__} ({_first_line(error)}): "
            "please report it with the traceback that XAI_LAYERMASK_TRACEBACK=1 shows.",
            BUG,
        )


def _fail(sentence: str, code: int) -> int:
    _flush()  # a table that was printed first stays first where both go to one place
    print("xai-layermask:", " ".join(sentence.split()), file=sys.stderr)
    return code


def _flush() -> None:
    if sys.stdout is not None:  # a process that is started without it, as by `>&-`, has none
        sys.stdout.flush()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
