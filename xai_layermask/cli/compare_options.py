"""The options of `xai-layermask compare`."""

from __future__ import annotations

import argparse

from .shared_options import MASKINGS, files, fitting, picture_and_model, sampling, script
from .words import count, listed, masking

__all__ = ["EXAMPLES", "SUMMARY", "fitting", "options"]

SUMMARY = "Explain the top predictions with several maskings, side by side."

EXAMPLES = """\
examples, with a photograph that comes along; put a file of yours behind compare:
  xai-layermask compare
  xai-layermask compare --maskings black,grey,blur,layer --top 2 --segments patches:28 --out coffee.pdf"""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command.

    Args:
        parser: The command's parser.
    """
    picture_and_model(parser)
    parser.add_argument("--maskings", type=listed(masking), default=["black", "grey", "layer"],
                        metavar="NAME,NAME,...",
                        help=f"the columns of the picture: {MASKINGS} (default: black,grey,layer)")
    parser.add_argument("--top", type=count, default=3, metavar="K",
                        help="the rows of the picture: the K top predictions (default: 3)")
    sampling(parser)
    files(parser, "the picture to write: .png, .svg or .pdf; default: comparison.png, or none with --json")
    parser.add_argument("--dpi", type=count, default=150, metavar="N",
                        help="pixels per inch of a .png, in which each panel is 2.6 inches wide (default: 150)")
    script(parser)
