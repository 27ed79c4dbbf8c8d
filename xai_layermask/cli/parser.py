"""What the command line understands, and what it says about words that it does not understand."""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import NoReturn

from .. import __version__
from ..errors import InputError, choose
from . import (
    bench_options,
    check_options,
    compare_options,
    completion_options,
    evaluate_options,
    explain_options,
    report_options,
)
from .progress import doing

__all__ = ["build", "parse"]

_DESCRIPTION = """\
Explain what a vision network sees, by running it on the part of the picture that is there."""

_FIRST_STEPS = """\
first steps:
  xai-layermask explain                  explain a photograph that comes along, into explanation.png
  xai-layermask explain FILE --top 3     explain a picture of yours
  xai-layermask compare                  see what another way of removing parts would say
  xai-layermask check MODEL              find out whether your own model will do
Each command says more with --help. The exit code is 0 if all went well, 2 if a word or an input was wrong."""

_COMMANDS: MappingProxyType[str, ModuleType] = MappingProxyType({
    "explain": explain_options,
    "compare": compare_options,
    "check": check_options,
    "bench": bench_options,
    "evaluate": evaluate_options,
    "report": report_options,
    "completion": completion_options,
})


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help with examples as they are, and room for the longest command before what it does."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 14


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises what is wrong, in one sentence."""

    def error(self, message: str) -> NoReturn:
        # argparse says "argument --seed: " before what the type of the option says.
        sentence = re.sub(r"^argument (\S+): expected (.+?), got ", r"expected \2 for \1, got ", message)
        sentence = re.sub(r"^argument (\S+): (must )?", lambda found: f"{found[1]} {found[2] or ''}", sentence)
        sentence = re.sub(r" expected (one|at least one) argument$", " needs a value, but none came", sentence)
        sentence = re.sub(r" ignored explicit argument (.*)$", r" takes no value, but \1 came: leave it out.", sentence)
        missing = re.fullmatch(r"the following arguments are required: (.*)", sentence)
        if missing:
            which = "they" if "," in missing[1] else "it"
            sentence = f"{self.prog.split()[-1]} needs {missing[1].replace(', ', ' and ')}, but {which} did not come"
        if not sentence.endswith((".", "?")):
            sentence += f": see {self.prog} --help."
        raise InputError(sentence)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Turn the command line into a namespace.

    Args:
        argv: The words after the program's name.

    Returns:
        The options, and as `run` the function to call with them; None where there is nothing left to do.

    Raises:
        InputError: If a word is not understood; the message names the nearest one that is.

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
    except SystemExit:  # --help and --version have answered
        return argparse.Namespace(run=None)
    if first.startswith("-"):
        raise InputError(_misplaced(first, parser, commands))
    wrong = next((word for word in unknown if word.startswith("-")), None)
    if wrong is not None:
        raise InputError(_unknown_option(wrong, first, commands[first]))
    if unknown:
        raise InputError(_too_many(unknown[0], first, commands[first]))
    if hasattr(_COMMANDS[first], "fitting"):
        _COMMANDS[first].fitting(args)
    return args


def build() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Make the parser.

    Returns:
        The parser, and that of each command.

    Example:
        >>> list(build()[1])
        ['explain', 'compare', 'check', 'bench', 'evaluate', 'report', 'completion']
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
        commands[name].set_defaults(run=_later(name))
        module.options(commands[name])
    for one in (parser, *commands.values()):
        one._positionals.title, one._optionals.title = "what it takes", "options"
    return parser, commands


def _check_command(word: str, commands: Mapping[str, argparse.ArgumentParser]) -> None:
    if word.lower() in ("help", "version"):
        known = ", ".join(commands)
        raise InputError.expected(f"one of {known} for command", repr(word), f"did you mean --{word.lower()}?")
    choose(word, commands, "command")


def _misplaced(word: str, parser: argparse.ArgumentParser, commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """What is wrong with a word that came where the command should."""
    name = word.split("=")[0]
    having = [command for command, one in commands.items() if name in _options(one)]
    if having:
        return f"{name} must come behind a command, but it came first: write xai-layermask {having[0]} {name}."
    return _unknown_option(word, None, parser)


def _unknown_option(word: str, command: str | None, parser: argparse.ArgumentParser) -> str:
    name = word.split("=")[0]
    known = [option.strip("-") for option in _options(parser)]
    near = difflib.get_close_matches(name.strip("-").lower(), known, n=1, cutoff=0.6)
    hint = f"did you mean --{near[0]}?" if near else f"see {parser.prog} --help."
    return f"{command or 'xai-layermask'} has no option {name}: {hint}"


def _too_many(word: str, command: str, parser: argparse.ArgumentParser) -> str:
    taken = [str(action.metavar) for action in parser._actions if not action.option_strings]
    if not taken:
        return f"{command} takes options only, but {word!r} came: see {parser.prog} --help."
    return f"{command} takes one {taken[0]}, but {word!r} came as well: give one at a time."


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings]


def _later(name: str) -> Callable[[argparse.Namespace], int]:
    """Import a command's module when it runs, since that imports torch."""

    def run(args: argparse.Namespace) -> int:
        with doing("starting", args):
            module = importlib.import_module(f".{name}", __package__)
        return int(module.run(args))

    return run
