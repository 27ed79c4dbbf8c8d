"""The options of `xai-layermask check`."""

from __future__ import annotations

import argparse

from .shared_options import MODEL, script
from .words import model, shape

__all__ = ["EXAMPLES", "SUMMARY", "options"]

SUMMARY = "Say which of a model's operators have a masked form."

EXAMPLES = """\
examples; no weights are downloaded, and the exit code says whether the model is supported:
  xai-layermask check lite0
  xai-layermask check torchvision:resnet50 --shape 1,3,320,320
  xai-layermask check torchvision.models:resnet18 --quiet && echo supported"""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("model", type=model, metavar="MODEL", help=MODEL)
    parser.add_argument("--weights", metavar="FILE", help="a state dict for the model")
    parser.add_argument("--shape", type=shape, metavar="N,C,H,W",
                        help="the input to check for (default: one picture of the model's own size)")
    script(parser)
