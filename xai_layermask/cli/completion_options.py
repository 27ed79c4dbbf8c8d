"""The options of `xai-layermask completion`."""

from __future__ import annotations

import argparse

from .names import SHELLS
from .words import one_of

__all__ = ["EXAMPLES", "SUMMARY", "options"]

SUMMARY = "Print a script that completes commands, options and their values in your shell."

EXAMPLES = """\
for this shell:
  bash  eval "$(xai-layermask completion bash)"
  zsh   eval "$(xai-layermask completion zsh)"  # after compinit
  tcsh  xai-layermask completion tcsh > ~/.xai-layermask.tcsh; source ~/.xai-layermask.tcsh
  fish  xai-layermask completion fish | source
for every shell to come, append the line to ~/.bashrc, ~/.zshrc, ~/.tcshrc or ~/.config/fish/config.fish."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("shell", type=one_of(SHELLS), metavar="SHELL", help="bash, zsh, tcsh or fish")
