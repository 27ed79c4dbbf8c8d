"""Check and time the package on an accelerator: `python docs/gpu.py [--device cuda] [--out speed-gpu.md]`.

Compares the outputs of the device with those of the CPU for every supported family, and writes a table: time and memory
of plain forward passes, layer masking, grey fill and the literal algorithm by model, batch size and precision, and of
whole explanations beside Captum. All weights are random, which changes no time. Everything runs as in an explanation:
weights and images are looked at once, and runs that come again are recorded. `--tiny` runs the same steps on a little
network, on any device.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import math
import platform
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import architectures
from tiny import classifier

from xai_layermask import LayerMask
from xai_layermask.engine.batching import is_out_of_memory
from xai_layermask.engine.dense import kernels_on
from xai_layermask.engine.recording import forget_recordings, never_recording
from xai_layermask.engine.runtime import find_device
from xai_layermask.engine.series import series
from xai_layermask.experiments.benchmark import REFERENCE, STOCK, BenchmarkCase, benchmark_case, time_in_turns

MODELS = ("resnet50", "convnext_tiny", "efficientnet_b0", "vit_b_16", "densenet121")
BATCHES = (1, 8, 64, 256)
UNRECORDED, LITERAL = "layer masking, not recorded", "layer masking, literal"
METHODS = ("plain, as given", REFERENCE, "layer masking", UNRECORDED, "grey fill", LITERAL)
#: The literal algorithm takes seconds for larger batches.
LITERAL_UP_TO = 8
EXPLAINED = ("LayerMaskExplainer", "LayerMaskExplainer, float32", STOCK)
#: Autocast, and whether float32 products may be rounded to TF32.
PRECISIONS = {
    "float32": (None, False), "TF32": (None, True), "bfloat16": (torch.bfloat16, True), "float16": (torch.float16, True)
}  # fmt: skip


@contextmanager
def precision(name: str, device: torch.device) -> Iterator[None]:
    """Run in one of `PRECISIONS`, in one series."""
    dtype, rounded = PRECISIONS[name]
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = rounded
    autocast = torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)
    try:
        with torch.inference_mode(), autocast, series():
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def agreement(names: Sequence[str], device: torch.device) -> Iterator[tuple[str, float]]:
    """For each architecture the largest difference between the answers of the device and the CPU, over the largest."""
    for name in names:
        model, size = architectures.build(name), architectures.size_of(name)
        x = torch.randn(4, 3, size, size)
        # Quarters of the image: smaller parts leave nothing of the last map of a Swin.
        presence = torch.rand(4, 1, 2, 2) < 0.6
        presence = presence.repeat_interleave(size // 2, 2).repeat_interleave(size // 2, 3)
        with precision("float32", device):
            expected = LayerMask(model)(x, presence)
            there = LayerMask(copy.deepcopy(model).to(device))
            found = there(x.to(device), presence.to(device)).cpu()
        yield name, float((found - expected).abs().max() / expected.abs().max())


def peak(contender: Callable[[], object], device: torch.device) -> int | None:
    """Peak memory of a run on a CUDA device, in bytes."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    with never_recording():
        contender()
    return torch.cuda.max_memory_allocated(device)


def contender(case: BenchmarkCase, name: str) -> Callable[[], object]:
    """A function that runs one of `METHODS` on a batch."""
    if name != UNRECORDED:
        return case.forward(name)
    run = case.forward("layer masking")

    def unrecorded() -> object:
        with never_recording():
            return run()

    return unrecorded


def forwards(case: BenchmarkCase, how: str, rounds: int) -> list[str]:
    """A row of the table: each method's time relative to the plain channels-last forward, and memory."""
    device, contenders = case.image.device, {}
    with precision(how, device):
        for name in METHODS:
            if name == LITERAL and case.batch > LITERAL_UP_TO:
                continue
            try:
                contenders[name] = contender(case, name)
                for _ in range(6 if name == "layer masking" else 1):  # then it is recorded
                    contenders[name]()
            except Exception as error:
                contenders.pop(name)
                if not is_out_of_memory(error):
                    warnings.warn(f"{name}: {type(error).__name__}: {error}", stacklevel=2)
        if REFERENCE not in contenders:
            return ["does not fit"] + [""] * len(METHODS)
        timings = {one.name: one for one in time_in_turns(contenders, REFERENCE, rounds)}
        memory = [peak(contenders[name], device) for name in (REFERENCE, "layer masking") if name in contenders]
    forget_recordings()
    share = f"{memory[1] / memory[0]:.2f}" if len(memory) > 1 and memory[0] and memory[1] else ""
    ratios = [f"{timings[name].ratio:.2f}" if name in timings else "" for name in METHODS if name != REFERENCE]
    return [f"{1000 * timings[REFERENCE].seconds:.1f}", *ratios, share]


def explanations(model: nn.Module, size: int, samples: int, rounds: int, segments: str) -> list[tuple[str, str, str]]:
    """Seconds of whole explanations, and their ratio to Captum's Lime."""
    case = benchmark_case(model, (size, size), segments, 1)
    contenders = {name: case.explanation(name, samples) for name in EXPLAINED}
    return [(one.name, f"{one.seconds:.2f}", f"{one.ratio:.2f}") for one in time_in_turns(contenders, STOCK, rounds)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def device_name(device: torch.device) -> str:
    """The name of an accelerator or processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.processor() or platform.machine()})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it all; 1 if an answer of the device differs from the CPU's by more than 0.001."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("speed-gpu.md"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--precisions", nargs="*", choices=PRECISIONS)
    parser.add_argument("--no-agreement", action="store_true", help="do not compare answers with the CPU's")
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args(arguments)
    device = find_device(args.device)
    names, batches, rounds, samples, segments = architectures.ALL, BATCHES, args.rounds, args.samples, "slic"
    if args.tiny:
        names, batches, rounds, samples, segments = ("resnet18",), (1, 3), 1, 12, "patches:8"
    head = f"{device_name(device)}, torch {torch.__version__}, " + (
        "fills by Triton" if kernels_on(device) else "fills by operators of torch"
    )
    parts, worst, timed = [f"# {head}\n"], 0.0, []
    rows = []
    for name, error in () if args.no_agreement else agreement(names, device):
        worst = max(worst, math.inf if math.isnan(error) else error)
        rows.append((name, f"{error:.1e}"))
        print(*rows[-1], flush=True)
    parts += ["Largest difference from the outputs of the CPU, relative to the largest output:\n"]
    parts += [table(("architecture", "difference"), rows)]
    for name in ("tiny",) if args.tiny else args.models:
        model, size = (classifier().model, 32) if args.tiny else (_torchvision(name), 224)
        model = model.to(device)
        case = benchmark_case(model, (size, size), segments, 1)
        for how in args.precisions or (("float32", "bfloat16") if device.type == "cpu" else PRECISIONS):
            for batch in batches:
                row = [name, how, str(batch), *forwards(dataclasses.replace(case, batch=batch), how, rounds)]
                timed.append(row)
                print(*row, flush=True)
        told = explanations(model, size, samples, 1 if args.tiny else 3, segments)
        print(*told, sep="\n", flush=True)
        parts += [f"Explanations of {name} from {samples} samples:\n", table(("", "seconds", "ratio"), told)]
    columns = ("model", "precision", "batch", "plain, ms", *(one for one in METHODS if one != REFERENCE), "memory")
    parts += [f"Times and memory relative to {REFERENCE}:\n", table(columns, timed)]
    args.out.write_text("\n".join(parts), "utf-8")
    return int(worst > 1e-3)


def _torchvision(name: str) -> nn.Module:
    from torchvision import models

    made: nn.Module = getattr(models, name)(weights=None).eval()
    return made


if __name__ == "__main__":
    sys.exit(main())
