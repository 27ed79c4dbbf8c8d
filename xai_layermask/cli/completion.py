"""`xai-layermask completion`: a script with which a shell completes what is typed."""

from __future__ import annotations

import argparse
from typing import Any

import shtab

from .names import (
    DEVICES,
    LAYOUTS,
    LITE,
    MASKINGS,
    METHODS,
    PRECISIONS,
    SAMPLINGS,
    SEGMENTS,
    SETTINGS,
    SHELLS,
)
from .parser import build

__all__ = ["run"]

# What an option takes, by the name that argparse keeps it under, and by its command where they differ. What is not here
# is a number, or words of the user's own.
_TAKES: dict[str, Any] = {
    "data": shtab.DIRECTORY,
    "device": DEVICES,
    "evaluate weights": None,
    "image": shtab.FILE,
    "layout": LAYOUTS,
    "masking": MASKINGS,
    "maskings": MASKINGS,
    "method": tuple(METHODS),
    "model": LITE,
    "out": shtab.FILE,
    "precision": PRECISIONS,
    "protocol": tuple(SETTINGS),
    "report out": shtab.DIRECTORY,
    "sampling": SAMPLINGS,
    "segments": SEGMENTS,
    "settings": tuple(sorted({f"{name}=" for names in SETTINGS.values() for name in names})),
    "shell": SHELLS,
    "store": shtab.FILE,
    "weights": shtab.FILE,
}


def run(args: argparse.Namespace) -> int:
    """Print the script.

    Args:
        args: With `shell`.

    Returns:
        0.
    """
    parser, commands = build()
    for name, command in commands.items():
        for action in command._actions:
            _complete(name, action)
    print(shtab.complete(parser, args.shell))
    return 0


def _complete(command: str, action: Any) -> None:
    """Tell shtab what an argument takes."""
    takes = _TAKES.get(f"{command} {action.dest}", _TAKES.get(action.dest))
    if action.nargs == 0 or takes is None:
        return
    if action.nargs == "+":
        action.nargs = None  # or shells would take whatever follows, options too, for one more
    if not isinstance(takes, tuple):
        action.complete = takes
    elif "," in (action.metavar or ""):
        action.complete = _list(f"{command}_{action.dest}", takes)
    else:
        action.choices = takes


def _list(name: str, words: tuple[str, ...]) -> dict[str, Any]:
    """How shells complete the last of several words with commas in between."""
    joined = " ".join(words)
    function = f"_xai_layermask_{name}"
    bash = f"""
{function}() {{
  local head=""
  [[ $1 == *,* ]] && head="${{1%,*}},"
  compgen -P "$head" -W "{joined}" -- "${{1##*,}}"
}}"""
    return {
        "bash": function,
        "zsh": f"_sequence compadd - {joined}",
        "tcsh": f"({joined})",
        "fish": f"(__fish_append , {joined})",
        "preamble": {"bash": bash},
    }
