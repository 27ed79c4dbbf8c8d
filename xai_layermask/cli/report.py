"""`xai-layermask report`: the paper's tables and figures from a store of results."""

from __future__ import annotations

import argparse
from itertools import chain

from ..catalog import PROTOCOL_SETTINGS
from ..errors import InputError
from .options import add_overwrite, add_script_options
from .output import print_json, status
from .paper import add_parts, parts_of
from .types import comma_separated, one_of

__all__ = ["EXAMPLES", "SUMMARY", "add_options", "run"]

SUMMARY = "Turn results into the paper's tables and figures."

EXAMPLES = """\
examples, with results from xai-layermask evaluate:
  xai-layermask report results.db
  xai-layermask report results.db --out robustness --protocol robustness"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    parser.add_argument("store", metavar="STORE", help="the results that `xai-layermask evaluate` has written")
    parser.add_argument("--out", default="report", metavar="DIR",
                        help="the folder for index.md, index.html, tables (.md .csv) and figures (.png .svg); files of "
                        "an earlier report are overwritten (default: report)")
    add_overwrite(parser)
    parser.add_argument("--protocol", type=comma_separated(one_of(PROTOCOL_SETTINGS)), default=[],
                        metavar="NAME,NAME,...", help="only these experiments (default: all in the store)")
    add_parts(parser, "paper show (default: all in the store)")
    add_script_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run `report`.

    Raises:
        InputError: If the store is missing or has no such results, or the folder cannot be written.
    """
    with status("starting", args):
        from ..experiments import Store
        from ..experiments.report import check_folder, write_report
    check_folder(args.out, args.overwrite)
    protocols = list(args.protocol)
    if args.table or args.figure:
        protocols += [part.protocol for part in parts_of(args).values()]
    names: list[str | None] = list(dict.fromkeys(protocols)) or [None]
    with Store(args.store, read_only=True) as store:
        if not any(True for name in names for _ in store.trials(protocol=name)):
            wanted = f"results of {' or '.join(dict.fromkeys(protocols))}" if protocols else "results"
            raise InputError.expected(f"{wanted} in store {args.store!r}", "none", "run xai-layermask evaluate first")
        rows = chain.from_iterable(store.rows(protocol=name) for name in names)
        with status(f"reading {args.store}", args) as show:
            report = write_report(rows, args.out, args.store, show, protocols, args.overwrite)
    if args.json:
        print_json({"files": [str(path) for path in report.files], "missing": report.missing}, args)
    elif not args.quiet:
        print(f"wrote {report.files[0]} and {len(report.files) - 1} other files")
        if report.missing:
            print("", "Missing:", *(f"  {sentence}" for sentence in report.missing), sep="\n")
    return 0
