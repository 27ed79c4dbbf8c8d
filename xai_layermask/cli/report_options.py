"""The options of `xai-layermask report`."""

from __future__ import annotations

import argparse

from .names import SETTINGS
from .shared_options import script
from .words import listed, one_of

__all__ = ["EXAMPLES", "SUMMARY", "options"]

SUMMARY = "Turn results into the paper's tables and figures."

EXAMPLES = """\
examples, with the results that xai-layermask evaluate has written:
  xai-layermask report results.db
  xai-layermask report results.db --out robustness --protocol robustness"""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options.

    Args:
        parser: Of the command.
    """
    parser.add_argument("store", metavar="STORE", help="the results that `xai-layermask evaluate` has written")
    parser.add_argument("--out", default="report", metavar="DIR",
                        help="the folder for index.md, index.html, tables (.md .csv) and figures (.png .svg); what an "
                        "earlier report wrote there is overwritten (default: report)")
    parser.add_argument("--protocol", type=listed(one_of(SETTINGS)), default=[], metavar="NAME,NAME,...",
                        help="only these experiments (default: all in the store)")
    script(parser)
