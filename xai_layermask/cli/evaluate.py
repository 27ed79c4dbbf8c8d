"""`xai-layermask evaluate`: run an experiment of the paper on many pictures."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

from ..catalog import LAYOUTS, MASKS, PAPER, PROTOCOL_SETTINGS, parse_masking
from ..errors import InputError, choose
from .inputs import add_working_directory
from .options import add_device, add_precision, add_script_options
from .output import complain, print_json, shows_progress, status
from .paper import Job, add_parts, paper_jobs
from .types import comma_separated, masking, model, natural, one_of, pair, positive, segmentation

if TYPE_CHECKING:
    from ..dataset import Dataset
    from ..experiments import Store
    from ..experiments.runner import ModelSpec, Progress, WorkerPool, WorkPlan

__all__ = ["EXAMPLES", "SUMMARY", "add_options", "check_options", "run"]

SUMMARY = "Run an experiment of the paper on many pictures, and store the results."

EXAMPLES = """\
examples; the first two lines make a folder with one picture, a cat, whose class is 282:
  mkdir photos && echo image,class_index > photos/labels.csv && echo cat.png,282 >> photos/labels.csv
  python -c "from skimage import data, io; io.imsave('photos/cat.png', data.chelsea())"
  xai-layermask evaluate robustness --data photos --maskings black,grey,layer --segments patches:16
  xai-layermask evaluate robustness --data photos --set fractions=0,0.5,1 --limit 100 --shuffle-seed 0 --dry-run
  xai-layermask report results.db
  xai-layermask evaluate paper --data photos --table 4 --dry-run
An interrupted run resumes when the command is run again."""

_LISTED = 10  # problems on stderr


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `evaluate`."""
    parser.add_argument("protocol", type=one_of((*PROTOCOL_SETTINGS, PAPER)), metavar="PROTOCOL",
                        help="robustness, lime, mask-shape, linearity, collapse, ablation, colours, or paper: what "
                        "tables and figures of the paper need")
    add_parts(parser, "paper need (default: all that it can measure)")
    parser.add_argument("--data", required=True, metavar="DIR",
                        help="a folder of pictures, such as one with labels.csv and NAME_mask.png")
    parser.add_argument("--layout", type=one_of(LAYOUTS), default="auto", metavar="NAME",
                        help="how the folder is organised: labels.csv, imagefolder, salient-imagenet, pixel-imagenet, "
                        "oxford-iiit-pet, coco, or auto, which detects it (default: auto)")
    parser.add_argument("--masks", type=one_of(MASKS), default="binary", metavar="NAME",
                        help="how mask files are read: binary (0 and 255, or 0 and 1) or soft (greys are shares of the "
                        "object) (default: binary)")
    parser.add_argument("--model", type=comma_separated(model), default=["lite0"], metavar="NAME,NAME,...",
                        help="models, named as for explain (default: lite0)")
    parser.add_argument("--weights", type=pair, action="append", default=[], metavar="NAME=FILE",
                        help="a state dict for one of the models; can be repeated")
    parser.add_argument("--preprocess", type=pair, action="append", default=[], metavar="NAME=WORDS",
                        help="for one of the models: imagenet, half or caffe, resize=SIDE, crop=SIDE, separated by "
                        "commas; can be repeated (default: the model's own)")
    parser.add_argument("--maskings", type=comma_separated(masking), default=[], metavar="NAME,NAME,...",
                        help="maskings, named as for compare (default: those of the protocol)")
    parser.add_argument("--segments", type=comma_separated(segmentation), default=[], metavar="NAME,NAME,...",
                        help="segmentations, named as for explain (default: those of the protocol)")
    parser.add_argument("--set", type=pair, action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="a setting of the protocol, such as samples=300 or fractions=0,0.5,1; can be repeated")
    parser.add_argument("--store", default="results.db", metavar="FILE",
                        help="the file to add results to (default: results.db)")
    parser.add_argument("--limit", type=positive, metavar="N", help="use only the first N pictures")
    parser.add_argument("--shuffle-seed", type=natural, metavar="N",
                        help="shuffle the pictures first; equal seeds give equal orders")
    parser.add_argument("--dry-run", action="store_true",
                        help="only report the number of forward passes, and estimate their duration")
    parser.add_argument("--strict", action="store_true", help="stop at the first invalid picture")
    parser.add_argument("--jobs", type=positive, default=1, metavar="N",
                        help="worker processes on this machine; with several accelerators, one for each (default: 1)")
    parser.add_argument("--scheduler", metavar="ADDRESS",
                        help="the address of a Dask scheduler, such as tcp://host:8786, whose workers do the work")
    parser.add_argument("--seed", type=natural, default=0, metavar="N",
                        help="seed of the samples; equal seeds give equal results (default: 0)")
    parser.add_argument("--batch-size", type=positive, metavar="N",
                        help="pictures per forward pass (default: chosen by their size)")
    add_precision(parser)
    add_device(parser)
    add_script_options(parser)


def check_options(args: argparse.Namespace) -> None:
    """Check that the options fit each other.

    Raises:
        InputError: If the protocol does not have a setting, weights or preprocessing are for a model that is not
            evaluated, or a name has two values.
    """
    if args.protocol == PAPER:
        if args.settings:
            got = repr(args.settings[0][0])
            raise InputError.expected("no --set for paper", got, "evaluate the protocol by its name")
    elif args.table or args.figure:
        raise InputError.expected("paper as PROTOCOL for --table and --figure", repr(args.protocol))
    known = PROTOCOL_SETTINGS.get(args.protocol, ())
    for name in _unique(args.settings, "--set"):
        if not known:
            raise InputError.expected(f"no --set for {args.protocol}, which has no settings", repr(name))
        choose(name, known, f"--set of {args.protocol}")
    if "ablator" in dict(args.settings):
        parse_masking(dict(args.settings)["ablator"], "--set ablator")
    for option, pairs in (("--weights", args.weights), ("--preprocess", args.preprocess)):
        for name in _unique(pairs, option):
            choose(name, args.model, f"the model of {option}")


def _unique(pairs: list[tuple[str, str]], option: str) -> list[str]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise InputError.expected(f"one value of {name!r} for {option}", str(names.count(name)))
    return names


def run(args: argparse.Namespace) -> int:
    """Run `evaluate`; pictures that are left out are listed on stderr.

    Raises:
        InputError: If an option is invalid, or nothing can be measured.
    """
    with status("starting", args):
        from ..dataset import read_dataset
        from ..engine.runtime import find_device
        from ..experiments.runner import WorkerPool, select_items
    add_working_directory(args.model)
    if args.scheduler is None:
        find_device(args.device)  # fail before reading anything; the workers of a cluster have devices of their own
    jobs, models = _jobs(args), _model_specs(args)
    with status(f"reading {args.data}", args) as show:
        everything = read_dataset(args.data, args.layout, args.strict, args.masks)
        dataset = select_items(everything, args.limit, args.shuffle_seed)
        show("waiting for the scheduler" if args.scheduler else "")
        pool = WorkerPool(args.jobs, args.scheduler)
    answers: list[dict[str, Any]] = []
    undone: list[str] = []
    masks = any(item.source is not None for item in dataset.items)
    with pool, _open_store(args) as store:
        for job in jobs:
            try:
                undone += job.check_masks(masks)
                answers.append({**job.named, **_run_job(args, job, dataset, models, store, pool)})
            except InputError as error:
                if len(jobs) == 1:
                    raise
                undone.append(f"{job.name}: {error}")
    if args.json:
        print_json(answers[0] if args.protocol != PAPER else {"parts": answers, "undone": undone}, args)
    _list_problems("not done", undone)
    return 0


def _jobs(args: argparse.Namespace) -> list[Job]:
    """The protocol that is asked for, or those that parts of the paper need."""
    from ..experiments.protocols import PROTOCOLS

    if args.protocol == PAPER:
        return paper_jobs(args)
    return [Job(PROTOCOLS[args.protocol].configured(dict(args.settings)), args.maskings, args.segments)]


def _run_job(
    args: argparse.Namespace,
    job: Job,
    dataset: Dataset,
    models: Sequence[ModelSpec],
    store: Store | None,
    pool: WorkerPool,
) -> dict[str, Any]:
    """Run the trials of a protocol, print what was done, and return it for --json."""
    from ..experiments.runner import estimate_duration, evaluate, work_plan

    with status(f"loading {', '.join(args.model)}, and reading {args.store}", args):
        plan = work_plan(
            job.protocol, dataset, models, job.maskings, job.segments, store, args.seed, args.precision, args.strict
        )
    if args.dry_run:
        local = args.scheduler is None
        with status("measuring the speed of the model", args):
            seconds = estimate_duration(plan, args.device, args.batch_size, pool.size, local)
        return _report(args, job, plan, {"seconds": seconds, "workers": pool.size}, [
            f"about {_duration(seconds)} with {_count(pool.size, 'worker')}, as measured on this machine",
            "not counting the time to read and segment pictures",
        ])  # fmt: skip
    if store is None:
        raise InputError.expected("a file for --store", "none")
    with _progress_bar(args, plan) as advance:
        done = evaluate(plan, store, pool, args.device, args.batch_size, args.strict, advance)
    more = {"written": done.written, "elsewhere": done.elsewhere, "problems": done.problems}
    answer = _report(args, job, plan, more, [
        f"{_count(done.written, 'trial')} written to {args.store}",
        *([f"{_count(done.elsewhere, 'trial')} written by another run meanwhile"] if done.elsewhere else []),
        *([f"{_count(len(done.problems), 'trial')} failed"] if done.problems else []),
    ])  # fmt: skip
    _list_problems("not measured", done.problems)
    return answer


def _model_specs(args: argparse.Namespace) -> list[ModelSpec]:
    from ..experiments.runner import ModelSpec
    from ..images import Preprocess, change_preprocess

    weights, preprocess = dict(args.weights), dict(args.preprocess)
    for words in preprocess.values():
        change_preprocess(words, Preprocess())  # fail before loading anything
    for path in weights.values():
        if not os.path.isfile(path):
            raise InputError.expected("an existing file for --weights", repr(path))
    return [ModelSpec(name, weights.get(name), preprocess.get(name, "")) for name in args.model]


@contextmanager
def _open_store(args: argparse.Namespace) -> Iterator[Store | None]:
    """The store; None for a dry run without one, which must not create it."""
    from ..experiments import Store

    with nullcontext() if args.dry_run and not os.path.exists(args.store) else Store(args.store) as store:
        yield store


@contextmanager
def _progress_bar(args: argparse.Namespace, plan: WorkPlan) -> Iterator[Any]:
    from tqdm import tqdm

    form = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} passes{postfix}"
    disabled = not shows_progress(args)
    # What the user's modules print goes to stderr, not among the results.
    with (
        redirect_stdout(sys.stderr),
        tqdm(total=plan.passes, disable=disabled, bar_format=form, dynamic_ncols=True, leave=False) as bar,
    ):

        def advance(progress: Progress) -> None:
            bar.total, bar.n = progress.of_passes, progress.passes
            left = "" if progress.left is None else f", {_duration(progress.left)} left"
            bar.set_postfix_str(f"{progress.trials}/{progress.of_trials} trials{left}")

        yield advance


def _report(
    args: argparse.Namespace, job: Job, plan: WorkPlan, more: dict[str, Any], lines: Sequence[str]
) -> dict[str, Any]:
    """Print the size of the work and `lines`, unless --json is asked for; return it with `more`."""
    counts = {"units": len(plan.planned), "passes": plan.passes, "done": plan.done, "pictures": plan.pictures}
    if not args.json and not args.quiet:
        print(
            *([f"{job.name}: {job.title}"] if job.name else []),
            f"{plan.protocol.name} with {_count(plan.pictures, 'picture')}: {_count(len(plan.planned), 'trial')} to do "
            f"({plan.passes} forward passes), {plan.done} already in the store",
            *lines, sep="\n",
        )  # fmt: skip
        sys.stdout.flush()
    _list_problems("left out", plan.skipped)
    head = {"protocol": plan.protocol.name, "settings": json.loads(plan.protocol.settings()), "store": args.store}
    return {**head, **counts, "skipped": plan.skipped, **more}


def _list_problems(label: str, problems: Sequence[str]) -> None:
    for problem in problems[:_LISTED]:
        complain(f"{label}: {problem}")
    if len(problems) > _LISTED:
        complain(f"{label}: {len(problems) - _LISTED} more")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _duration(seconds: float) -> str:
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if minutes < 2:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h" if hours < 72 else f"{hours / 24:.0f} days"
