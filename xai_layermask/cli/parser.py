"""The parser of the command line, and its error messages."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import NoReturn

from .. import __version__
from ..errors import InputError, choose
from . import app, bench, check, compare, completion, evaluate, explain, report

__all__ = ["build", "parse"]

_DESCRIPTION = """\
Explain what a vision network sees, by running it on the part of the picture that is present."""

_FIRST_STEPS = """\
first steps:
  xai-layermask explain                  explain a sample photograph, into explanation.png
  xai-layermask explain FILE --top 3     explain a picture of your own
  xai-layermask compare                  compare several ways of removing segments
  xai-layermask app --open               remove parts of a picture in the browser
  xai-layermask check MODEL              check whether your own model is supported
See COMMAND --help for more. The exit code is 0 on success, and 2 for an invalid option or input."""

_COMMANDS: MappingProxyType[str, ModuleType] = MappingProxyType({
    "explain": explain,
    "compare": compare,
    "app": app,
    "check": check,
    "bench": bench,
    "evaluate": evaluate,
    "report": report,
    "completion": completion,
})


# What follows "argument --seed: " in a message of argparse, and how it is worded here.
_WORDED = {
    r"expected (.+?), got ": r"expected \2 for \1, got ",
    r"expected (?:one|at least one) argument$": r"expected a value for \1, got none",
    r"ignored explicit argument (.*)$": r"expected no value for \1, got \2",
}


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help that keeps the line breaks of examples, and fits the longest command before its summary."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 14


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises `InputError`."""

    def error(self, message: str) -> NoReturn:
        sentence = message
        for pattern, worded in _WORDED.items():
            sentence = re.sub(rf"^argument (\S+): {pattern}", worded, sentence)
        missing = re.fullmatch(r"the following arguments are required: (.*)", sentence)
        if missing:
            sentence = f"{self.prog.split()[-1]} requires {missing[1].replace(', ', ' and ')}"
        if ": " not in sentence:
            sentence += f": see {self.prog} --help"
        raise InputError(sentence)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line.

    Args:
        argv: Arguments after the program's name.

    Returns:
        The options, as `run` the function to call with them, and as `words` the arguments; `run` is None after
        `--help` or `--version`.

    Raises:
        InputError: If an argument is invalid; the message suggests the closest valid one.

    Example:
        >>> parse(["explain", "--sampels", "100"])
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: explain has no option --sampels: did you mean --samples?
    """
    parser, commands = build()
    if not argv:
        parser.print_help()
        return argparse.Namespace(run=None)
    first = argv[0]
    if not first.startswith("-"):
        _check_command(first, commands)
    try:
        args, unknown = parser.parse_known_args(argv)
    except SystemExit:  # after --help or --version
        return argparse.Namespace(run=None)
    if first.startswith("-"):
        raise InputError(_misplaced(first, parser, commands))
    wrong = next((word for word in unknown if word.startswith("-")), None)
    if wrong is not None:
        if "--" in argv and wrong.split("=")[0] in _options(commands[first]):
            raise InputError(f"{wrong.split('=')[0]} must precede --, after which all words are names of files")
        raise InputError(_unknown_option(wrong, first, commands[first]))
    if unknown:
        raise InputError(_too_many(unknown[0], first, commands[first]))
    if hasattr(_COMMANDS[first], "check_options"):
        _COMMANDS[first].check_options(args)
    args.words = tuple(argv)
    return args


def build() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Build the parser.

    Returns:
        The parser, and the parser of each command.

    Example:
        >>> list(build()[1])
        ['explain', 'compare', 'app', 'check', 'bench', 'evaluate', 'report', 'completion']
    """
    parser = _Parser(prog="xai-layermask", description=_DESCRIPTION, epilog=_FIRST_STEPS, allow_abbrev=False,
                     formatter_class=_Help)
    parser.add_argument("--version", action="version", version=f"xai-layermask {__version__}",
                        help="show the version")
    added = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands: dict[str, argparse.ArgumentParser] = {}
    for name, module in _COMMANDS.items():
        commands[name] = added.add_parser(
            name, help=module.SUMMARY, description=module.SUMMARY, epilog=module.EXAMPLES, allow_abbrev=False,
            formatter_class=_Help,
        )
        commands[name].set_defaults(run=module.run)
        module.add_options(commands[name])
    for one in (parser, *commands.values()):
        one._positionals.title, one._optionals.title = "arguments", "options"
    return parser, commands


def _check_command(word: str, commands: Mapping[str, argparse.ArgumentParser]) -> None:
    if word.lower() in ("help", "version"):
        known = ", ".join(commands)
        raise InputError.expected(f"one of {known} for command", repr(word), f"did you mean --{word.lower()}?")
    choose(word, commands, "command")


def _misplaced(word: str, parser: argparse.ArgumentParser, commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """The message for an option before the command."""
    name = word.split("=")[0]
    having = [command for command, one in commands.items() if name in _options(one)]
    if having:
        return f"{name} must follow a command: write xai-layermask {having[0]} {name}"
    return _unknown_option(word, None, parser)


def _unknown_option(word: str, command: str | None, parser: argparse.ArgumentParser) -> str:
    name = word.split("=")[0]
    known = [option.strip("-") for option in _options(parser)]
    near = difflib.get_close_matches(name.strip("-").lower(), known, n=1, cutoff=0.6)
    hint = f"did you mean --{near[0]}?" if near else f"see {parser.prog} --help"
    if os.path.exists(word):
        hint = f"for the file, write ./{word}"
    return f"{command or 'xai-layermask'} has no option {name}: {hint}"


def _too_many(word: str, command: str, parser: argparse.ArgumentParser) -> str:
    taken = [str(action.metavar) for action in parser._actions if not action.option_strings]
    if not taken:
        return f"{command} takes only options, got {word!r}: see {parser.prog} --help"
    return f"{command} takes one {taken[0]}, got {word!r} as well: see {parser.prog} --help"


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings]
