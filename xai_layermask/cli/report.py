"""`xai-layermask report`: the paper's tables and figures from a store of results."""

from __future__ import annotations

import argparse
import json
from itertools import chain

from ..errors import InputError
from ..experiments.report import write_report
from ..experiments.store import Store
from .progress import doing

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Write a report.

    Args:
        args: As the parser makes them for `report`.

    Returns:
        0.

    Raises:
        InputError: If there is no such store, nothing in it that was asked for, or the folder cannot be written.
    """
    names: list[str | None] = args.protocol or [None]
    with Store(args.store, create=False) as store:
        if not any(True for name in names for _ in store.units(protocol=name)):
            asked = f" of {' or '.join(args.protocol)}" if args.protocol else ""
            raise InputError(
                f"store must hold results{asked}, but {args.store!r} holds none: fill it with xai-layermask evaluate."
            )
        measured = chain.from_iterable(store.rows(protocol=name) for name in names)
        with doing(f"reading {args.store}", args) as say:
            report = write_report(measured, args.out, args.store, say, args.protocol)
    if args.json:
        print(json.dumps({"files": [str(path) for path in report.files], "missing": report.missing}, indent=2))
    elif not args.quiet:
        print(f"wrote {report.files[0]} and {len(report.files) - 1} other files")
        if report.missing:
            print("", "Missing:", *(f"  {sentence}" for sentence in report.missing), sep="\n")
    return 0
