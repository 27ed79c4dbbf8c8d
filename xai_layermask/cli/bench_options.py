"""The options of `xai-layermask bench`; nothing here needs torch."""

from __future__ import annotations

import argparse

from .shared_options import MODEL, SEGMENTS, script, where
from .words import count, model, segmentation, whole

__all__ = ["EXAMPLES", "SUMMARY", "options"]

SUMMARY = "Measure what layer masking costs, as ratios to the plain model and to other explainers."

EXAMPLES = """\
examples, of which the last two need torchvision, but no weights; a run takes some minutes:
  xai-layermask bench
  xai-layermask bench --explanations 0 --rounds 3 --json
  xai-layermask bench --model torchvision:resnet50 --json resnet50.json
  xai-layermask bench --model torchvision:vgg16 --explanations 0"""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("--model", type=model, default="lite0", metavar="NAME",
                        help=f"{MODEL}; a library's needs no weights, since they do not matter (default: lite0)")
    parser.add_argument("--weights", metavar="FILE", help="a state dict for the model")
    parser.add_argument("--batch", type=count, default=16, metavar="N", help="images in a forward pass (default: 16)")
    parser.add_argument("--segments", type=segmentation, default="slic", metavar="NAME[:N]",
                        help=f"{SEGMENTS} (default: slic)")
    parser.add_argument("--rounds", type=count, default=9, metavar="N",
                        help="how often each forward pass is timed, in turns (default: 9)")
    parser.add_argument("--samples", type=count, default=500, metavar="N",
                        help="how many masked pictures an explanation takes (default: 500)")
    parser.add_argument("--explanations", type=whole, default=1, metavar="N",
                        help="how often each explanation is timed, in turns; 0 for forward passes alone (default: 1)")
    where(parser)
    script(parser, json=False)
    parser.add_argument("--json", nargs="?", const=True, metavar="FILE",
                        help="print one JSON document in place of text; with a FILE, write it there beside the text")
