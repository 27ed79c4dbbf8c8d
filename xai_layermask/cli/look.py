"""Options of `explain` and `compare` for their figures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..catalog import SCALES, SIGNS, STYLES
from .types import one_of, positive

if TYPE_CHECKING:
    from ..plots import LookOptions

__all__ = ["add_look", "look_options"]


def add_look(parser: argparse.ArgumentParser) -> None:
    """Add the options that set how figures draw scores."""
    parser.add_argument("--style", type=one_of(STYLES), default="overlay", metavar="NAME",
                        help="how figures draw scores: overlay (colours the photograph), heatmap, outlines (of the "
                        "best segments) or top (fades the others) (default: overlay)")  # fmt: skip
    parser.add_argument("--best", type=positive, metavar="K",
                        help="draw only the K segments with the largest absolute scores (default: all; 20 for --style "
                        "outlines and top)")  # fmt: skip
    parser.add_argument("--sign", type=one_of(SIGNS), default="both", metavar="NAME",
                        help="draw both, positive or negative scores (default: both)")  # fmt: skip
    parser.add_argument("--scale", type=one_of(SCALES), default="shared", metavar="NAME",
                        help="the colour scale of panels: shared or own (default: shared)")  # fmt: skip
    parser.add_argument("--cmap", metavar="NAME",
                        help="a diverging colour map of matplotlib, such as PuOr (default: blue over white to orange)",
                        )  # fmt: skip


def look_options(args: argparse.Namespace) -> LookOptions:
    """The options of [`add_look`][] as figures take them.

    Raises:
        InputError: If matplotlib has no such colour map.
    """
    from ..plots import Look

    options: LookOptions = {
        "style": args.style, "top": args.best, "sign": args.sign, "scale": args.scale, "cmap": args.cmap
    }  # fmt: skip
    Look(**options)
    return options
