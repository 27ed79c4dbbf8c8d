"""`xai-layermask bench`: what layer masking costs, as ratios within one run."""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..experiments.benchmark import EXPLANATIONS, FORWARDS, REFERENCE, STOCK, Trial, peak_memory, race, trial
from .inputs import architecture, best_device, check_outputs
from .progress import bar, doing
from .tables import table

__all__ = ["run"]

# Enough for memory to reach its height.
_TURNS = 2


def run(args: argparse.Namespace) -> int:
    """Measure and print.

    Args:
        args: As the parser makes them for `bench`.

    Returns:
        0.

    Raises:
        InputError: If the model, its weights, the segments or the file to write do not do.
    """
    path = args.json if isinstance(args.json, str) else ""
    if path:
        check_outputs([path], (".json",), "--json")
    setting = (args.model, args.weights, best_device(args.device), args.segments, args.batch)
    with doing(f"loading {args.model}", args):
        tried = _trial(*setting)
    answer: dict[str, Any] = {
        "model": args.model,
        "batch": args.batch,
        "size": list(tried.image.shape[2:]),
        "segments": int(tried.segments.max()) + 1,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": str(tried.image.device),
    }
    with bar(len(FORWARDS) * (args.rounds + 2), "forward passes", args) as advance:
        with torch.inference_mode():
            passes = race({name: tried.forward(name) for name in FORWARDS}, REFERENCE, args.rounds, advance)
        memory = {name: _memory(setting, name, advance) for name in FORWARDS}
    plain = memory[REFERENCE]
    answer["forward"] = [
        {"name": one.name, "ratio": one.ratio, "milliseconds": 1000 * one.seconds,
         "memory": None if not plain else (memory[one.name] or 0) / plain}
        for one in passes
    ]  # fmt: skip
    answer["explanations"] = []
    if args.explanations:
        with bar(len(EXPLANATIONS) * (args.explanations + 1) + 1, "explanations", args) as advance:
            contenders = {name: tried.explanation(name, args.samples) for name in EXPLANATIONS}
            whole = race(contenders, STOCK, args.explanations, advance)
            answer |= {"samples": args.samples, "overhead": tried.overhead(args.samples)}
            advance()
        answer["explanations"] = [{"name": one.name, "ratio": one.ratio, "seconds": one.seconds} for one in whole]
    if path:
        Path(path).write_text(json.dumps(answer, indent=2) + "\n", "utf-8")
    elif args.json:
        print(json.dumps(answer, indent=2))
    if not args.quiet and args.json is not True:
        print(_tables(answer))
    return 0


def _trial(name: str, weights: str | None, device: str, segments: str, batch: int) -> Trial:
    model, size = architecture(name, weights)
    return trial(model.to(device), size, segments, batch)


def _tables(answer: dict[str, Any]) -> str:
    height, width = answer["size"]
    rows = [
        (one["name"], one["ratio"], "" if one["memory"] is None else f"{one['memory']:.2f}", one["milliseconds"])
        for one in answer["forward"]
    ]
    setting = (
        f"{answer['model']}, {answer['batch']} images of {height} x {width}, half of {answer['segments']} segments "
        f"absent, new masks in every batch; {answer['device']}, {answer['threads']} threads, torch {answer['torch']}."
    )
    lines = [
        setting,
        "Ratios to the plain model in channels-last layout; memory is the peak of a process of its own.\n",
        table(("forward pass", "ratio", "memory", "ms"), rows),
    ]
    if answer["explanations"]:
        lines += [
            f"\nExplanations from {answer['samples']} samples; ratios to {STOCK}.\n",
            table(
                ("explanation", "ratio", "seconds"),
                [(one["name"], one["ratio"], one["seconds"]) for one in answer["explanations"]],
            ),
            f"\nOf LayerMaskExplainer's time, {max(answer['overhead'], 0.0):.1%} passes outside of forward passes.",
        ]
    return "\n".join(lines)


def _memory(setting: tuple[Any, ...], name: str, advance: Callable[[], object]) -> int | None:
    """The peak memory of a process that does nothing but run one contender."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(setting, name, send))
    process.start()
    send.close()
    try:
        found: int | None = receive.recv()
    except EOFError:  # it did not live to tell, for want of memory
        found = None
    process.join()
    advance()
    return found


def _measure(setting: tuple[Any, ...], name: str, send: Any) -> None:
    contender = _trial(*setting).forward(name)
    with torch.inference_mode():
        for _ in range(_TURNS):
            contender()
    send.send(peak_memory())
