"""Which architectures can be masked, and whether the invariants hold for them: `python docs/zoo.py [NAME ...]`.

Every classification architecture of torchvision, at least one model of every module of timm, every image classifier of
transformers, and a few models with other outputs, with random weights, small images and, where the constructor
allows, fewer blocks. Each one is a line of JSON in `--results`; a run goes on where the last one stopped. `--page FILE`
writes the page of the documentation from the results.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from zoo_models import NO_IMAGES, OTHERS, TIMM, TORCHVISION, TRANSFORMERS, Case

from xai_layermask import LayerMask
from xai_layermask.engine.runtime import first_parameter
from xai_layermask.engine.verification import difference

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzz.checks import copied, shifted
from fuzz.poison import poisoned

BATCH, SHIFT, ROUNDS = 2, 5.0, 3
#: Options that the page does not show.
_UNSEEN = {"img_size", "init_weights", "weights_backbone"}
#: What float32 rounds to in shallow networks; differences above it are computed again in float64.
PRECISE = 1e-5


def cases() -> Iterator[Case]:
    """All architectures; every module of timm and every image classifier of transformers must be among them."""
    import torchvision
    from timm.models import list_modules
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as classifiers

    names = torchvision.models.list_models(module=torchvision.models)
    yield from (Case("torchvision", "", name, *TORCHVISION.get(name, (64, {}))) for name in names)
    missing = set(list_modules()) - {module for module, *_ in TIMM}
    if missing:
        raise LookupError(f"expected a model of every timm module, got none of {', '.join(sorted(missing))}")
    missing = set(classifiers) - {kind for kind, *_ in TRANSFORMERS} - set(NO_IMAGES)
    if missing:
        raise LookupError(f"expected every image classifier of transformers, got none for {', '.join(sorted(missing))}")
    yield from (Case("timm", *one) for one in TIMM)
    yield from (Case("transformers", *one) for one in TRANSFORMERS)
    yield from (Case(*one) for one in OTHERS)


def build(case: Case) -> nn.Module:
    """The network, in evaluation mode, with weights and statistics that let every part of it matter."""
    torch.manual_seed(0)
    if case.library == "torchvision":
        import torchvision

        model = torchvision.models.get_model(case.name, weights=None, **case.options)
    elif case.library == "transformers":
        import transformers

        config = transformers.AutoConfig.for_model(case.module, num_labels=10, **case.options)
        model = getattr(transformers, case.name)(config)
    else:
        import timm

        model = timm.create_model(case.name, **case.options)
    for parameter in model.parameters():
        # Scales that begin at 1, and gates, biases and branches that begin at 0 or near it.
        if parameter.numel() > 1 and parameter.min() == parameter.max():
            low, high = (0.5, 1.5) if parameter.flatten()[0] > 0.5 else (-0.2, 0.4)
            nn.init.uniform_(parameter, low, high)
    _calibrate(model, case.side)
    return model.eval()


def _calibrate(model: nn.Module, side: int) -> None:
    """Give batch norms the statistics of noise."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d)]
    model.eval()
    for norm in norms:
        norm.train().momentum = None
    with torch.no_grad():
        model(torch.randn(8, 3, side, side))
    for norm in norms:
        norm.eval()
        norm.running_var.clamp_(min=0.1 * norm.running_var.mean().item() + 1e-3)


def check(case: Case) -> dict[str, Any]:
    """Everything that is known about an architecture after a few runs."""
    found: dict[str, Any] = {"library": case.library, "module": case.module, "name": case.name, "side": case.side}
    found["batch"] = BATCH
    found["options"] = {key: value for key, value in case.options.items() if key not in _UNSEEN}
    try:
        model = build(case)
        masked, moved = LayerMask(model), LayerMask(model)
        found["parameters"] = sum(parameter.numel() for parameter in model.parameters())
        exports: list[Any] = []
        x = torch.randn(BATCH, 3, case.side, case.side).to(first_parameter(model).dtype)
        with _exporting(exports), torch.no_grad():
            refusals = Counter((one[0], one.reason) for one in masked.unsupported(x.shape))
            found["refused"] = [[operator, reason, count] for (operator, reason), count in refusals.items()]
            if not refusals:
                found |= _invariants(masked, moved, x)
        if not refusals and not max(found["present"], found["shift"]) < PRECISE:
            found["double"] = _in_double(model, x)
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"[:500]
    return found


def _in_double(model: nn.Module, x: Tensor) -> dict[str, float]:
    """What rounding hides in float32: deep networks with random weights amplify it."""
    exports: list[Any] = []
    masked, moved, x = LayerMask(model.double()), LayerMask(model), x.double()
    with _exporting(exports), torch.no_grad():
        presence = half(x)
        answer, shifted_answer = masked(x, presence), moved(x + SHIFT, presence)
        present = difference(masked(x, torch.ones_like(presence)), masked.model(x))
    return {"present": present, "shift": difference(shifted_answer, answer)}


def half(x: Tensor) -> Tensor:
    """Presence of a random half of the 16 x 16 patches."""
    torch.manual_seed(0)
    patches = torch.rand(len(x), 1, -(-x.shape[2] // 16), -(-x.shape[3] // 16)) < 0.5
    return patches.repeat_interleave(16, 2).repeat_interleave(16, 3)[:, :, : x.shape[2], : x.shape[3]]


@contextmanager
def _exporting(exports: list[Any]) -> Iterator[None]:
    """Keep a copy of the first exported program; the second time, it is served with a constant added to the image."""
    export = torch.export.export

    def once(*args: Any, **kwargs: Any) -> Any:
        if not exports:
            exported = export(*args, **kwargs)
            exports.append(copied(exported))
            return exported
        return shifted(exports[0], -SHIFT)

    with mock.patch.object(torch.export, "export", once), mock.patch("xai_layermask.engine.capture.verify"):
        yield


def _invariants(masked: LayerMask, moved: LayerMask, x: Tensor) -> dict[str, Any]:
    presence = half(x)
    everything = torch.ones_like(presence)
    whole, answer = masked.model(x), masked(x, presence)
    found: dict[str, Any] = {"moves": difference(answer, whole)}
    found["present"] = difference(masked(x, everything), whole)
    hidden = torch.where(presence, x, torch.nan)
    found["pixels"] = difference(masked(hidden, presence), answer) == 0
    found["nothing"] = all(leaf.isfinite().all() for leaf in tree_leaves(masked(x, ~everything)))
    # Copies of values round differently where memory is aligned differently, so 0 is written first for comparison.
    zeroed, *others = (poisoned_answer(masked, x, presence, number) for number in (0.0, float("nan"), 1e4))
    found["poison"] = [difference(other, zeroed) for other in others]
    found["shift"] = difference(moved(x + SHIFT, presence), answer)
    times: dict[str, list[float]] = {"plain": [], "masked": []}
    for _ in range(ROUNDS):
        for name, run in (("plain", lambda: masked.model(x)), ("masked", lambda: masked(x, presence))):
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return found | {name: min(seconds) for name, seconds in times.items()}


def poisoned_answer(masked: LayerMask, x: Tensor, presence: Tensor, number: float) -> Any:
    """The masked answer with a number at every absent cell."""
    with poisoned(number):
        return masked(x, presence)


# --- the page ---

_HEAD = """# Tested architectures

Every classification architecture of torchvision, at least one model of every module of timm, and every image classifier
of transformers that takes images alone, with random weights; then backbones and models for segmentation, depth,
detection and super-resolution. Models of transformers are smaller here than usual. This page is made by
`python docs/zoo.py --page docs/zoo.md`.

`unsupported` says before anything runs whether a model can be masked. For each one that can, with {batch} images per
batch of which half of the 16 x 16 patches are absent:

- **all present**: the largest difference between the masked output with everything present and the model's own, over
  the largest entry of the output.
- **pixels**: NaN at absent pixels changes no bit of the output.
- **poison**: the largest change of the output if NaN or 10,000 instead of 0 is written at every absent cell
  after every operator.
- **shift**: the largest change of the output if {shift:g} is added to the image, and a first layer subtracts it again.
- **nothing**: with nothing present the output is finite.
- Differences above 1e-5 are computed again in float64, because deep networks with random weights amplify rounding.
- **cost**: time of a masked run over a plain one, one thread, the least of {rounds} runs each on a machine busy with
  other work. In such small images all cells are near borders; see [](speed.md) for full size.

{summary}

| architecture | module | image | masked | all present | pixels | poison | shift | nothing | cost |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def page(results: list[dict[str, Any]], missing: Sequence[str] = ()) -> str:
    """The page of the documentation, from results and the names of architectures without one."""
    modules = {one["module"] for one in results if one["library"] == "timm"}
    masked = {one["module"] for one in results if one["library"] == "timm" and _is_masked(one)}
    others = [one for one in results if one["name"] in {name for _, _, name, *_ in OTHERS}]
    vision = [one for one in results if one["library"] == "torchvision" and one not in others]
    classifiers = [one for one in results if one["library"] == "transformers" and one not in others]
    summary = (
        f"With torch {_version('torch')}, {sum(map(_is_masked, vision))} of the {len(vision)} architectures of "
        f"torchvision {_version('torchvision')} can be masked, models of {len(masked)} of the {len(modules)} "
        f"modules of timm {_version('timm')}, {sum(map(_is_masked, classifiers))} of the {len(classifiers)} "
        f"classifiers of transformers {_version('transformers')}, and {sum(map(_is_masked, others))} of the "
        f"{len(others)} other models. Of the classifiers of transformers, these types are left out: "
        f"{'; '.join(f'`{kind}` {reason}' for kind, reason in NO_IMAGES.items())}."
    )
    if missing:
        summary += f" Not run: {', '.join(missing)}."
    batch = " or ".join(sorted({str(one["batch"]) for one in results if "batch" in one}))
    head = _HEAD.format(batch=batch, shift=SHIFT, rounds=ROUNDS, summary=summary)
    return head + "\n".join("| " + " | ".join(_row(one)) + " |" for one in results) + "\n"


def _is_masked(one: dict[str, Any]) -> bool:
    return not one.get("refused") and "error" not in one


def _version(name: str) -> str:
    return __import__(name).__version__.split("+")[0]


def _row(one: dict[str, Any]) -> list[str]:
    options = ", ".join(f"{key}={value}" for key, value in one["options"].items()).replace("[", "(").replace("]", ")")
    shown = options and one["library"] != "transformers"
    name = f"{one['name'].replace('ForImageClassification', '')}{f' ({options})' if shown else ''}"
    head = [name, one["module"], str(one["side"])]
    if "error" in one:
        return [*head, one["error"].replace("|", "/").replace("\n", " "), *[""] * 6]
    if one["refused"]:
        reasons = "; ".join(f"{operator}: {reason}" for operator, reason, _ in one["refused"])
        return [*head, f"refused: {reasons}", *[""] * 6]
    yes = {True: "yes", False: "**no**"}
    poison = max(one["poison"], key=lambda number: float("inf") if number != number else number)
    precise = one.get("double", one)
    present, moved, shift = (
        f"{number:.0e}" if number else "0" for number in (precise["present"], poison, precise["shift"])
    )
    if precise is not one:
        present, shift = f"{present} (float64)", f"{shift} (float64)"
    cost = f"{one['masked'] / one['plain']:.1f}"
    return [*head, "yes", present, yes[one["pixels"]], moved, shift, yes[one["nothing"]], cost]


def main() -> None:
    """Check the architectures that are named, or all, and write the page if told so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--results", type=Path, default=Path("zoo.jsonl"))
    parser.add_argument("--page", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    lines = args.results.read_text("utf-8").splitlines() if args.results.exists() else []
    done = {(one["library"], one["name"]): one for one in map(json.loads, lines)}
    order = [(case.library, case.name) for case in cases()]
    for case in cases():
        if (case.library, case.name) in done or (args.names and not {case.name, case.module} & set(args.names)):
            continue
        one = done[case.library, case.name] = check(case)
        with args.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(one) + "\n")
    if args.page is not None:
        missing = [name for library, name in order if (library, name) not in done]
        args.page.write_text(page([done[key] for key in order if key in done], missing), "utf-8")


if __name__ == "__main__":
    main()
