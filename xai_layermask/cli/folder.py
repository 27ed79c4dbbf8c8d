"""`xai-layermask explain FOLDER --out DIR`: explain every picture of a folder."""

from __future__ import annotations

import argparse
import os

from ..errors import InputError
from .inputs import add_working_directory
from .output import complain, print_json, progress_bar, status
from .types import positive

__all__ = ["add_folder", "check_folder", "run_folder"]

_LISTED = 10  # problems on stderr


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add the options for folders of pictures."""
    group = parser.add_argument_group("folders of pictures")
    group.add_argument("--strict", action="store_true", help="stop at the first picture that cannot be explained")
    group.add_argument("--jobs", type=positive, default=None, metavar="N",
                       help="worker processes on this machine; with several accelerators, one for each (default: 1)")
    group.add_argument("--scheduler", metavar="ADDRESS",
                       help="the address of a Dask scheduler, such as tcp://host:8786, whose workers do the work")


def check_folder(args: argparse.Namespace) -> bool:
    """Whether the picture is a folder, whose options are checked.

    Raises:
        InputError: If an option does not fit a folder, or one of a folder is given for a picture.
    """
    if args.image is None or not os.path.isdir(args.image):
        given = {"--strict": args.strict, "--jobs": args.jobs is not None, "--scheduler": args.scheduler}
        for option in (name for name, value in given.items() if value):
            raise InputError.expected(f"a folder for IMAGE with {option}", repr(args.image or "the sample photograph"))
        return False
    if len(args.out or ()) != 1:
        got = "none" if not args.out else f"{len(args.out)} names"
        raise InputError.expected("one folder for --out, for a folder of pictures", got, "for example --out results")
    if args.valid is not None:
        raise InputError.expected("no --valid for a folder of pictures", repr(args.valid))
    if args.overwrite:
        raise InputError.expected("no --overwrite for a folder of pictures", "it", "choose a new folder for --out")
    return True


def run_folder(args: argparse.Namespace) -> int:
    """Explain the pictures of a folder that an earlier run has not finished.

    Raises:
        InputError: If an option is invalid, or no picture can be explained.
    """
    with status("starting", args):
        from ..engine.runtime import find_device
        from ..experiments.folder import Recipe, explain_folder, list_pictures
        from ..experiments.runner import ModelSpec, WorkerPool
        from ..images import Preprocess, change_preprocess
        from ..models import read_labels
    folder, out = args.image, args.out[0]
    if args.scheduler is None:
        find_device(args.device)  # fail before reading anything; the workers of a cluster have devices of their own
    change_preprocess(args.preprocess, Preprocess())
    add_working_directory([args.model])
    recipe = Recipe(
        ModelSpec(args.model, args.weights, args.preprocess),
        None if args.labels is None else tuple(read_labels(args.labels)),
        tuple(args.target or ()), args.top, args.masking, args.segments, args.method, args.samples, args.sampling,
        args.estimator, args.window, args.batch_size, args.precision, args.seed, args.output,
        int(args.select) if args.select and args.select.isdecimal() else args.select,
    )  # fmt: skip
    with status(f"reading {folder}", args):
        pictures = list_pictures(folder, out)
        pool = WorkerPool(1 if args.jobs is None else args.jobs, args.scheduler)
    with pool, progress_bar(len(pictures), "explaining", args) as step:
        summary = explain_folder(
            pictures, out, recipe, pool, args.device, args.strict, lambda done, total: step(), f"Pictures of {folder}"
        )
    counts = {"written": summary.written, "skipped": summary.skipped, "problems": dict(summary.problems)}
    if args.json:
        print_json({"folder": folder, "out": out, "pictures": len(pictures), **counts}, args)
    elif not args.quiet:
        print(f"{len(pictures)} pictures: {summary.written} explained, {summary.skipped} explained before, "
              f"{len(summary.problems)} left out\nwrote {os.path.join(out, 'scores.csv')} and "
              f"{os.path.join(out, 'index.html')}")
    problems = list(summary.problems.items())
    for name, problem in problems[:_LISTED]:
        complain(f"left out: {name}: {problem}")
    if len(problems) > _LISTED:
        complain(f"left out: {len(problems) - _LISTED} more")
    return 0
