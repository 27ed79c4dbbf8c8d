"""The words that `xai-layermask evaluate` understands."""

from __future__ import annotations

import argparse

from .words import count, whole, words

__all__ = ["EXAMPLES", "SUMMARY", "options"]

SUMMARY = "Run an experiment of the paper over many pictures, into a store of results."

EXAMPLES = """\
examples:
  xai-layermask evaluate robustness --data photos --maskings black,grey,layer --segments patches:16
  xai-layermask evaluate lime --data photos --model torchvision:resnet50 --weights torchvision:resnet50=r50.pt
  xai-layermask evaluate lime --data photos --set samples=300 --limit 100 --shuffle-seed 0 --dry-run
  xai-layermask evaluate robustness --data imagenet --scheduler tcp://10.0.0.1:8786 --store imagenet.db
Started again, it goes on where it was, whatever ended it."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options.

    Args:
        parser: Of the command.
    """
    parser.add_argument("protocol", metavar="PROTOCOL",
                        help="robustness, lime, mask-shape, linearity, collapse, ablation or colours")
    parser.add_argument("--data", required=True, metavar="DIR",
                        help="a folder of pictures, such as one with labels.csv and NAME_mask.png")
    parser.add_argument("--layout", default="auto", metavar="NAME",
                        help="how the folder is laid out (default: auto, which looks)")
    parser.add_argument("--model", type=words, default=["lite0"], metavar="NAME,NAME,...",
                        help="models, named as for explain (default: lite0)")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE",
                        help="a state dict for one of the models; may be given several times")
    parser.add_argument("--preprocess", action="append", default=[], metavar="NAME=WORDS",
                        help="for one of the models: imagenet, half or caffe, resize=SIDE, crop=SIDE, with commas; "
                        "may be given several times (default: the model's own)")
    parser.add_argument("--maskings", type=words, default=[], metavar="NAME,NAME,...",
                        help="maskings, named as for compare (default: those of the protocol)")
    parser.add_argument("--segments", type=words, default=[], metavar="NAME,NAME,...",
                        help="ways to cut pictures, named as for explain (default: those of the protocol)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="a setting of the protocol, such as samples=300; may be given several times")
    parser.add_argument("--store", default="results.db", metavar="FILE",
                        help="where results go, beside those that are there (default: results.db)")
    parser.add_argument("--limit", type=count, metavar="N", help="take the first N pictures only")
    parser.add_argument("--shuffle-seed", type=whole, metavar="N",
                        help="bring the pictures into a random order first, the same for the same N")
    parser.add_argument("--dry-run", action="store_true",
                        help="only say how many forward passes are to be done, and about how long they take")
    parser.add_argument("--strict", action="store_true", help="end at the first picture that is wrong")
    parser.add_argument("--jobs", type=count, default=1, metavar="N",
                        help="how many processes of this machine share the work; with several accelerators, one for "
                        "each (default: 1)")
    parser.add_argument("--scheduler", metavar="ADDRESS",
                        help="the address of a Dask scheduler, such as tcp://host:8786, whose workers do the work")
    parser.add_argument("--seed", type=whole, default=0, help="makes two runs the same (default: 0)")
    parser.add_argument("--batch-size", type=count, metavar="N",
                        help="pictures at a time (default: what suits their size)")
    parser.add_argument("--precision", default="auto", help="auto, float32, float64 or bfloat16 (default: auto)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument("--quiet", action="store_true", help="no summary and no progress bar")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the summary")
