"""The options of `xai-layermask explain`."""

from __future__ import annotations

import argparse

from .shared_options import MASKINGS, files, fitting, picture_and_model, sampling, script
from .words import count, masking

__all__ = ["EXAMPLES", "SUMMARY", "fitting", "options"]

SUMMARY = "Explain what a model sees in a picture."

EXAMPLES = """\
examples, which explain a photograph that comes along; put a file of yours behind explain:
  xai-layermask explain
  xai-layermask explain --target espresso --target cup --out coffee.png coffee.html coffee.npz
  xai-layermask explain --method shap --segments patches:32 --samples 300 --masking grey
  xai-layermask explain --json > coffee.json"""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command.

    Args:
        parser: The command's parser.
    """
    picture_and_model(parser)
    parser.add_argument("--masking", type=masking, default="layer", metavar="NAME",
                        help=f"how segments are removed: {MASKINGS} (default: layer)")
    parser.add_argument("--target", action="append", metavar="CLASS",
                        help="a class to explain, by name or index, in place of the top predictions; "
                        "may be given several times")
    parser.add_argument("--top", type=count, default=1, metavar="K",
                        help="explain the K top predictions (default: 1)")
    sampling(parser)
    files(parser, "files to write, by their endings: .png .svg .pdf (picture), .html (report), .npz .json "
          "(to load again, to read elsewhere); default: explanation.png, or none with --json")
    script(parser)
