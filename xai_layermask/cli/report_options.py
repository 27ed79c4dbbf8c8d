"""The options of `xai-layermask report`."""

from __future__ import annotations

import argparse

from .words import words

__all__ = ["EXAMPLES", "SUMMARY", "options"]

SUMMARY = "Turn results into the paper's tables and figures."

EXAMPLES = """\
examples:
  xai-layermask report results.db
  xai-layermask report results.db --out report --protocol robustness,lime"""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options.

    Args:
        parser: Of the command.
    """
    parser.add_argument("store", metavar="STORE", help="the results that `xai-layermask evaluate` has written")
    parser.add_argument("--out", default="report", metavar="DIR",
                        help="the folder for index.md, index.html, tables (.md .csv) and figures (.png .svg); what an "
                        "earlier report wrote there is overwritten (default: report)")
    parser.add_argument("--protocol", type=words, default=[], metavar="NAME,NAME,...",
                        help="only these experiments (default: all in the store)")
    parser.add_argument("--quiet", action="store_true", help="say nothing")
    parser.add_argument("--json", action="store_true", help="print JSON: the files, and what is missing")
