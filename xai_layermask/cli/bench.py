"""`xai-layermask bench`: the cost of layer masking, as ratios measured within one run."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..catalog import PROGRAM
from .files import check_outputs, writing
from .inputs import architecture
from .options import MODEL, SEGMENTS, add_device, add_overwrite, add_script_options
from .output import print_json, progress_bar, status, table
from .types import model, natural, positive, segmentation

if TYPE_CHECKING:
    from ..experiments.benchmark import BenchmarkCase

__all__ = ["EXAMPLES", "SUMMARY", "add_options", "run"]

SUMMARY = "Measure what layer masking costs, as ratios to the plain model and to other explainers."

EXAMPLES = """\
examples; a run takes some minutes, and the last two need torchvision, but no weights:
  xai-layermask bench
  xai-layermask bench --explanations 0 --rounds 3 --json
  xai-layermask bench --model torchvision:resnet50 --json resnet50.json
  xai-layermask bench --model torchvision:vgg16 --explanations 0"""

_MEMORY_PASSES = 2  # memory peaks within two forward passes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench`."""
    parser.add_argument("--model", type=model, default="lite0", metavar="NAME",
                        help=f"{MODEL}; library models run without pretrained weights, which do not affect speed "
                        "(default: lite0)")
    parser.add_argument("--weights", metavar="FILE", help="a state dict for the model")
    parser.add_argument("--batch", type=positive, default=16, metavar="N",
                        help="images in a forward pass (default: 16)")
    parser.add_argument("--segments", type=segmentation, default="slic", metavar="NAME[:N]",
                        help=f"{SEGMENTS} (default: slic)")
    parser.add_argument("--rounds", type=positive, default=9, metavar="N",
                        help="how often each forward pass is timed, in turn (default: 9)")
    parser.add_argument("--samples", type=positive, default=500, metavar="N",
                        help="masked images per explanation (default: 500)")
    parser.add_argument("--explanations", type=natural, default=1, metavar="N",
                        help="how often each explanation is timed, in turn; 0 times forward passes only (default: 1)")
    add_device(parser)
    add_script_options(parser, json=False)
    add_overwrite(parser)
    parser.add_argument("--json", nargs="?", const=True, metavar="FILE",
                        help="print one JSON document instead of text; with FILE, write it there and print the text")


def run(args: argparse.Namespace) -> int:
    """Run `bench`.

    Raises:
        InputError: If the model, its weights, the segmentation or the output file is invalid.
    """
    path = args.json if isinstance(args.json, str) else ""
    if path:
        check_outputs([path], (".json",), args.overwrite, "--json")
    with status("starting", args):
        import torch

        from ..engine.runtime import find_device
        from ..experiments.benchmark import EXPLANATIONS, FORWARDS, REFERENCE, STOCK, time_in_turns
    setting = (args.model, args.weights, str(find_device(args.device)), args.segments, args.batch)
    with status(f"loading {args.model}", args):
        case = _case(*setting)
    result: dict[str, Any] = {
        "format": f"{PROGRAM} benchmark 1",
        "model": args.model,
        "batch": args.batch,
        "size": list(case.image.shape[2:]),
        "segments": int(case.segments.max()) + 1,
        "version": __version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": str(case.image.device),
    }
    with progress_bar(len(FORWARDS) * (args.rounds + 2), "forward passes", args) as advance:
        with torch.inference_mode():
            passes = time_in_turns({name: case.forward(name) for name in FORWARDS}, REFERENCE, args.rounds, advance)
        memory = {name: _peak_memory(setting, name, advance) for name in FORWARDS}
    plain = memory[REFERENCE]
    result["forward"] = [
        {"name": timing.name, "ratio": timing.ratio, "milliseconds": 1000 * timing.seconds,
         "memory": own / plain if plain and own else None}
        for timing in passes
        for own in [memory[timing.name]]
    ]  # fmt: skip
    result["explanations"] = []
    if args.explanations:
        with progress_bar(len(EXPLANATIONS) * (args.explanations + 1) + 1, "explanations", args) as advance:
            contenders = {name: case.explanation(name, args.samples) for name in EXPLANATIONS}
            explanations = time_in_turns(contenders, STOCK, args.explanations, advance)
            result |= {"samples": args.samples, "overhead": case.overhead(args.samples)}
            advance()
        result["explanations"] = [
            {"name": timing.name, "ratio": timing.ratio, "seconds": timing.seconds} for timing in explanations
        ]
    if path:
        with writing(path, "--json"):
            Path(path).write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    elif args.json:
        print_json(result, args)
    if not args.quiet and args.json is not True:
        print(_text(result, STOCK))
    return 0


def _case(name: str, weights: str | None, device: str, segments: str, batch: int) -> BenchmarkCase:
    from ..experiments.benchmark import benchmark_case

    network, size = architecture(name, weights)
    return benchmark_case(network.to(device), size, segments, batch)


def _text(result: dict[str, Any], stock: str) -> str:
    height, width = result["size"]
    rows = [
        (one["name"], one["ratio"], "" if one["memory"] is None else f"{one['memory']:.2f}", one["milliseconds"])
        for one in result["forward"]
    ]
    setting = (
        f"{result['model']}, {result['batch']} images of {height} x {width}, half of {result['segments']} segments "
        f"absent, new masks in every batch; {result['device']}, {result['threads']} threads, torch {result['torch']}."
    )
    lines = [
        setting,
        "Ratios to the plain model in channels-last layout; memory is the peak of a separate process.\n",
        table(("forward pass", "ratio", "memory", "ms"), rows),
    ]
    if result["explanations"]:
        lines += [
            f"\nExplanations from {result['samples']} samples; ratios to {stock}.\n",
            table(
                ("explanation", "ratio", "seconds"),
                [(one["name"], one["ratio"], one["seconds"]) for one in result["explanations"]],
            ),
            f"\nLayerMaskExplainer spends {max(result['overhead'], 0.0):.1%} of its time outside forward passes.",
        ]
    return "\n".join(lines)


def _peak_memory(setting: tuple[Any, ...], name: str, advance: Callable[[], object]) -> int | None:
    """Peak memory of a new process that runs only this forward pass; None if it was killed."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(setting, name, send))
    process.start()
    send.close()
    try:
        peak: int | None = receive.recv()
    except EOFError:  # killed, probably for lack of memory
        peak = None
    process.join()
    advance()
    return peak


def _measure(setting: tuple[Any, ...], name: str, send: Any) -> None:
    import torch

    from ..experiments.benchmark import peak_memory

    sys.stdout = sys.stderr  # what a model prints must not end up among the parent's results
    contender = _case(*setting).forward(name)
    with torch.inference_mode():
        for _ in range(_MEMORY_PASSES):
            contender()
    send.send(peak_memory())
