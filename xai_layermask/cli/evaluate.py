"""`xai-layermask evaluate`: run an experiment of the paper over many pictures, into a store."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from tqdm import tqdm

from ..dataset import read_dataset
from ..errors import InputError
from ..experiments.protocols import PROTOCOLS
from ..experiments.runner import Agenda, Crew, Progress, Source, agenda, chosen, estimate, evaluate
from ..experiments.runner.source import preprocess_of
from ..experiments.store import Store
from ..images.preprocess import Preprocess
from .inputs import best_device, find_modules_here
from .progress import doing, shown

__all__ = ["run"]

_SHOWN = 10


def run(args: argparse.Namespace) -> int:
    """Evaluate.

    Args:
        args: As the parser makes them for `evaluate`.

    Returns:
        0, also where pictures were left out: they are named.

    Raises:
        InputError: If an option does not do, or nothing can be measured.
    """
    find_modules_here()
    if args.scheduler is None:
        best_device(args.device)  # one that is not here is told before anything is read; a cluster may have another
    protocol = PROTOCOLS[args.protocol].configured(dict(args.settings))
    sources = _sources(args)
    with doing(f"looking through {args.data}", args) as say:
        dataset = chosen(read_dataset(args.data, args.layout, args.strict), args.limit, args.shuffle_seed)
        say("waiting for the scheduler" if args.scheduler else "")
        crew = Crew(args.jobs, args.scheduler)
    with crew, _store(args) as store:
        with doing(f"loading {', '.join(args.model)}, and looking what is done already", args):
            todo = agenda(
                protocol, dataset, sources, args.maskings, args.segments, store, args.seed, args.precision, args.strict
            )
        if args.dry_run:
            here = args.scheduler is None
            with doing("measuring how fast the model is", args):
                seconds = estimate(todo, args.device, args.batch_size, crew.size, here)
            _say(args, todo, {"seconds": seconds, "workers": crew.size}, [
                f"about {_interval(seconds)} for them with {_count(crew.size, 'worker')}, by a measurement here",
                "reading and cutting pictures comes on top",
            ])  # fmt: skip
            return 0
        if store is None:
            raise InputError("--store must be a file, but none came: give its name.")
        with _bar(args, todo) as advance:
            outline = evaluate(todo, store, crew, args.device, args.batch_size, args.strict, advance)
    _say(args, todo, {"written": outline.written, "elsewhere": outline.elsewhere, "problems": outline.problems}, [
        f"{_count(outline.written, 'unit')} written to {args.store}",
        *([f"{_count(outline.elsewhere, 'unit')} written by another run meanwhile"] if outline.elsewhere else []),
        *([f"{_count(len(outline.problems), 'unit')} failed"] if outline.problems else []),
    ])  # fmt: skip
    _name("not measured", outline.problems)
    return 0


def _sources(args: argparse.Namespace) -> list[Source]:
    weights, preprocess = dict(args.weights), dict(args.preprocess)
    for words in preprocess.values():
        preprocess_of(words, Preprocess())  # a wrong word is told before anything is loaded
    for path in weights.values():
        if not os.path.isfile(path):
            raise InputError(f"--weights must be a file, but there is none at {path!r}: check the path.")
    return [Source(name, weights.get(name), preprocess.get(name, "")) for name in args.model]


@contextmanager
def _store(args: argparse.Namespace) -> Iterator[Store | None]:
    # A dry run looks what is there, and makes nothing.
    with nullcontext() if args.dry_run and not os.path.exists(args.store) else Store(args.store) as store:
        yield store


@contextmanager
def _bar(args: argparse.Namespace, todo: Agenda) -> Iterator[Any]:
    form = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} passes{postfix}"
    with tqdm(total=todo.passes, disable=not shown(args), bar_format=form, dynamic_ncols=True, leave=False) as bar:

        def advance(progress: Progress) -> None:
            bar.total, bar.n = progress.of_passes, progress.passes
            left = "" if progress.left is None else f", {_interval(progress.left)} left"
            bar.set_postfix_str(f"{progress.units}/{progress.of_units} units{left}")

        yield advance


def _say(args: argparse.Namespace, todo: Agenda, more: dict[str, Any], lines: Sequence[str]) -> None:
    """Say what there was to do, and what came of it."""
    counts = {"units": len(todo.entries), "passes": todo.passes, "done": todo.done, "pictures": todo.pictures}
    if args.json:
        head = {"protocol": todo.protocol.name, "settings": json.loads(todo.protocol.settings()), "store": args.store}
        print(json.dumps({**head, **counts, "skipped": todo.skipped, **more}, indent=2))
    elif not args.quiet:
        print(
            f"{todo.protocol.name} with {_count(todo.pictures, 'picture')}: {_count(len(todo.entries), 'unit')} to do "
            f"({todo.passes} forward passes), {todo.done} in the store already",
            *lines, sep="\n",
        )  # fmt: skip
        sys.stdout.flush()
    _name("left out", todo.skipped)


def _name(what: str, sentences: Sequence[str]) -> None:
    for sentence in sentences[:_SHOWN]:
        print(f"{what}: {sentence}", file=sys.stderr)
    if len(sentences) > _SHOWN:
        print(f"{what}: {len(sentences) - _SHOWN} more", file=sys.stderr)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _interval(seconds: float) -> str:
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if minutes < 2:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h" if hours < 72 else f"{hours / 24:.0f} days"
