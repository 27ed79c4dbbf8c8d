"""`xai-layermask completion`: a script for completion in a shell."""

from __future__ import annotations

import argparse
from typing import Any

from ..catalog import (
    DEVICES,
    ESTIMATORS,
    LAYOUTS,
    LITE,
    MASKINGS,
    MASKS,
    METHODS,
    OUTPUTS,
    PAPER,
    PAPER_FIGURES,
    PAPER_TABLES,
    PRECISIONS,
    PROTOCOL_SETTINGS,
    SAMPLINGS,
    SCALES,
    SEGMENTATIONS,
    SIGNS,
    STYLES,
)
from .types import one_of

__all__ = ["EXAMPLES", "SUMMARY", "add_options", "run"]

SUMMARY = "Print a script that completes commands, options and their values in your shell."

EXAMPLES = """\
for this shell:
  bash  eval "$(xai-layermask completion bash)"
  zsh   eval "$(xai-layermask completion zsh)"  # after compinit
  tcsh  xai-layermask completion tcsh > ~/.xai-layermask.tcsh; source ~/.xai-layermask.tcsh
  fish  xai-layermask completion fish | source
for every new shell, append the line to ~/.bashrc, ~/.zshrc, ~/.tcshrc or ~/.config/fish/config.fish."""

_SHELLS = ("bash", "zsh", "tcsh", "fish")

# Values by "dest", or by "command dest" where commands differ. A string names a kind of path. Options that are not
# listed take numbers or free text.
_VALUES: dict[str, tuple[str, ...] | str | None] = {
    "data": "DIRECTORY",
    "device": DEVICES,
    "estimator": ESTIMATORS,
    "evaluate weights": None,
    "image": "FILE",
    "labels": "FILE",
    "mask": "FILE",
    "layout": LAYOUTS,
    "masking": tuple(MASKINGS),
    "maskings": tuple(MASKINGS),
    "masks": MASKS,
    "method": tuple(METHODS),
    "model": LITE,
    "out": "FILE",
    "output": OUTPUTS,
    "precision": PRECISIONS,
    "evaluate protocol": (*PROTOCOL_SETTINGS, PAPER),
    "figure": PAPER_FIGURES,
    "protocol": tuple(PROTOCOL_SETTINGS),
    "report out": "DIRECTORY",
    "sampling": SAMPLINGS,
    "scale": SCALES,
    "segments": tuple(SEGMENTATIONS),
    "settings": tuple(sorted({f"{name}=" for names in PROTOCOL_SETTINGS.values() for name in names})),
    "shell": _SHELLS,
    "sign": SIGNS,
    "store": "FILE",
    "style": STYLES,
    "table": PAPER_TABLES,
    "valid": "FILE",
    "weights": "FILE",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `completion`."""
    parser.add_argument("shell", type=one_of(_SHELLS), metavar="SHELL", help="bash, zsh, tcsh or fish")


def run(args: argparse.Namespace) -> int:
    """Run `completion`."""
    import shtab

    from .parser import build  # parser imports the commands

    parser, commands = build()
    for name, command in commands.items():
        for action in command._actions:
            _complete(name, action)
    print(shtab.complete(parser, args.shell))
    return 0


def _complete(command: str, action: Any) -> None:
    """Set what shtab reads: `complete` or `choices`."""
    import shtab

    values = _VALUES.get(f"{command} {action.dest}", _VALUES.get(action.dest))
    if action.nargs == 0 or values is None:
        return
    if action.nargs == "+":
        action.nargs = None  # otherwise shells complete every following word, options included, as a value
    if isinstance(values, str):
        action.complete = getattr(shtab, values)
    elif "," in (action.metavar or ""):
        action.complete = _comma_separated(f"{command}_{action.dest}", values)
    else:
        action.choices = values


def _comma_separated(name: str, values: tuple[str, ...]) -> dict[str, Any]:
    """Completion of the last of several comma-separated values, for each shell."""
    joined = " ".join(values)
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
