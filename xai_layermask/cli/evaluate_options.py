"""The words that `xai-layermask evaluate` understands."""

from __future__ import annotations

import argparse

from ..errors import InputError, choose
from .names import LAYOUTS, SETTINGS
from .shared_options import arithmetic, script
from .words import count, listed, masking, model, one_of, pair, segmentation, whole

__all__ = ["EXAMPLES", "SUMMARY", "fitting", "options"]

SUMMARY = "Run an experiment of the paper over many pictures, into a store of results."

EXAMPLES = """\
examples; the first two lines make a folder of one picture, a cat, whose class is 282:
  mkdir photos && echo image,class_index > photos/labels.csv && echo cat.png,282 >> photos/labels.csv
  python -c "from skimage import data, io; io.imsave('photos/cat.png', data.chelsea())"
  xai-layermask evaluate robustness --data photos --maskings black,grey,layer --segments patches:16
  xai-layermask evaluate robustness --data photos --set fractions=0,0.5,1 --limit 100 --shuffle-seed 0 --dry-run
  xai-layermask report results.db
Started again, it goes on where it was, whatever ended it."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options.

    Args:
        parser: Of the command.
    """
    parser.add_argument("protocol", type=one_of(SETTINGS), metavar="PROTOCOL",
                        help="robustness, lime, mask-shape, linearity, collapse, ablation or colours")
    parser.add_argument("--data", required=True, metavar="DIR",
                        help="a folder of pictures, such as one with labels.csv and NAME_mask.png")
    parser.add_argument("--layout", type=one_of(LAYOUTS), default="auto", metavar="NAME",
                        help="how the folder is laid out: labels.csv, imagefolder, salient-imagenet, pixel-imagenet, "
                        "oxford-iiit-pet, coco, or auto, which looks (default: auto)")
    parser.add_argument("--model", type=listed(model), default=["lite0"], metavar="NAME,NAME,...",
                        help="models, named as for explain (default: lite0)")
    parser.add_argument("--weights", type=pair, action="append", default=[], metavar="NAME=FILE",
                        help="a state dict for one of the models; may be given several times")
    parser.add_argument("--preprocess", type=pair, action="append", default=[], metavar="NAME=WORDS",
                        help="for one of the models: imagenet, half or caffe, resize=SIDE, crop=SIDE, with commas; "
                        "may be given several times (default: the model's own)")
    parser.add_argument("--maskings", type=listed(masking), default=[], metavar="NAME,NAME,...",
                        help="maskings, named as for compare (default: those of the protocol)")
    parser.add_argument("--segments", type=listed(segmentation), default=[], metavar="NAME,NAME,...",
                        help="ways to cut pictures, named as for explain (default: those of the protocol)")
    parser.add_argument("--set", type=pair, action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="a setting of the protocol, such as samples=300, or fractions=0,0.5,1; may be given "
                        "several times")
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
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="makes two runs the same (default: 0)")
    parser.add_argument("--batch-size", type=count, metavar="N",
                        help="pictures at a time (default: what suits their size)")
    arithmetic(parser)
    script(parser)


def fitting(args: argparse.Namespace) -> None:
    """Refuse what does not fit together.

    Args:
        args: The options.

    Raises:
        InputError: If a setting is none of the protocol's, weights or preprocessing are for no model of the run, or
            something is said twice.
    """
    known = SETTINGS[args.protocol]
    for name in _once(args.settings, "--set"):
        if not known:
            raise InputError(f"{args.protocol} has no settings, but --set {name} came: leave it out.")
        choose(name, known, f"--set of {args.protocol}")
    if "ablator" in dict(args.settings):
        try:
            masking(dict(args.settings)["ablator"])
        except argparse.ArgumentTypeError as error:
            raise InputError(f"--set ablator {error}") from error
    for option, pairs in (("--weights", args.weights), ("--preprocess", args.preprocess)):
        for name in _once(pairs, option):
            choose(name, args.model, f"the model of {option}")


def _once(pairs: list[tuple[str, str]], option: str) -> list[str]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{option} must have one value for {name!r}, but several came: leave one.")
    return names
