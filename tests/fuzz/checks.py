"""What must hold for every network, every presence and every setting."""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from xai_layermask import LayerMask
from xai_layermask.errors import CaptureError, UnsupportedOperator

from .interpreter import Interpreter, NoRule, Settings
from .networks import Network
from .poison import poisoned

#: How far answers may lie from the interpreter's, in parts of the largest answer.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 5e-4, torch.bfloat16: 0.15}
CHECKS = ("literal", "present", "nothing", "poison", "shift", "gradient", "batch", "untouched", "runs")


@dataclass(frozen=True)
class Failure:
    """What does not hold, and for what.

    Attributes:
        check: One of `CHECKS`.
        settings: The masking's settings.
        trial: Number of the trial, from which its presences are drawn again.
        text: How large the error is, or what was raised.
    """

    check: str
    settings: Settings
    trial: int
    text: str


@dataclass
class Report:
    """What was found out about a network.

    Attributes:
        failures: What does not hold.
        refused: Unsupported operators, with their module paths.
        unknown: An operator that the interpreter lacks.
        trials: How many were run.
        skipped: Checks that could not be made.
    """

    failures: list[Failure] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    unknown: str = ""
    trials: int = 0
    skipped: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """In one word."""
        if self.failures:
            return "failed"
        return "refused" if self.refused else "unknown" if self.unknown else "right"


def export(model: nn.Module, size: tuple[int, ...], dtype: torch.dtype) -> torch.export.ExportedProgram:
    """Export a model for any batch size."""
    batch = torch.export.Dim("batch", min=1, max=2**31 - 1)  # torch 2.6 refuses some views without a bound
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        example = torch.zeros(2, *size, dtype=dtype)
        return torch.export.export(model, (example,), dynamic_shapes=({0: batch},), strict=False)


@contextmanager
def serving(exported: torch.export.ExportedProgram) -> Iterator[None]:
    """Give the engine a program that is exported already, since exporting is what takes the time.

    It gets copies, which it may change, and does not compare them with the model: some are not the model's.
    """

    def again(*args: Any, **kwargs: Any) -> torch.export.ExportedProgram:
        return copied(exported)

    with mock.patch("torch.export.export", again), mock.patch("xai_layermask.engine.capture.verify"):
        yield


def copied(exported: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program with a graph of its own."""
    module, other = copy.copy(exported.graph_module), copy.copy(exported)
    module._graph = copy.deepcopy(exported.graph_module.graph)
    other._graph_module = module
    return other


def shifted(exported: torch.export.ExportedProgram, by: float) -> torch.export.ExportedProgram:
    """The program with a constant added to its image in front of everything else."""
    moved = copied(exported)
    graph = moved.graph_module.graph
    names = {*exported.graph_signature.inputs_to_parameters, *exported.graph_signature.inputs_to_buffers}
    names |= set(exported.graph_signature.inputs_to_lifted_tensor_constants)
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    image = next(node for node in placeholders if node.name not in names)
    with graph.inserting_after(placeholders[-1]):
        added = graph.call_function(torch.ops.aten.add.Tensor, (image, by))
    added.meta = dict(image.meta)
    image.replace_all_uses_with(added, lambda user: user is not added)
    return moved


def draw_presence(draw: random.Random, batch: int, size: tuple[int, int], kind: str | None = None) -> Tensor:
    """A presence `(batch, 1, H, W)`, each image of a kind of its own unless one is given."""
    kinds = ("half", "cells", "patches", "hole", "one", "stripes", "few", "corner", "nothing", "everything")
    masks = []
    for _ in range(batch):
        chosen = kind or draw.choices(kinds, [20, 15, 20, 10, 8, 8, 8, 8, 2, 2])[0]
        masks.append(_mask(draw, *size, chosen))
    return torch.stack(masks)[:, None]


def _mask(draw: random.Random, h: int, w: int, kind: str) -> Tensor:
    generator = torch.Generator().manual_seed(draw.randrange(2**31))
    if kind in ("cells", "few"):
        return torch.rand(h, w, generator=generator) < (0.5 if kind == "cells" else 0.1)
    if kind == "patches":
        coarse = torch.rand(-(-h // 3), -(-w // 3), generator=generator) < 0.5
        return coarse.repeat_interleave(3, 0).repeat_interleave(3, 1)[:h, :w]
    if kind == "half":
        kind = draw.choice(["upper", "right"])
    shown = {
        "upper": (slice(h // 2), slice(None)),
        "right": (slice(None), slice(w // 2, None)),
        "hole": (slice(h // 3, h // 3 * 2 + 1), slice(w // 4, w // 4 * 3 + 1)),
        "one": (draw.randrange(h), draw.randrange(w)),
        "stripes": (slice(None), slice(None, None, draw.choice([2, 3]))),
        "corner": (slice(max(h // 3, 1)), slice(max(w // 3, 1))),
        "nothing": (slice(0), slice(0)),
        "everything": (slice(None), slice(None)),
    }
    mask = torch.zeros(h, w, dtype=torch.bool)
    mask[shown[kind]] = True
    return ~mask if kind == "hole" else mask


def draw_image(draw: random.Random, batch: int, size: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """An image whose numbers have few digits, so that adding 5 and taking it away changes nothing."""
    generator = torch.Generator().manual_seed(draw.randrange(2**31))
    x = torch.randn(batch, *size, generator=generator, dtype=torch.float64)
    # In bfloat16 that leaves few different numbers; elsewhere no two are alike, and a maximum has one place.
    step, x = (8, x.clamp(-2, 2)) if dtype == torch.bfloat16 else (2**20, x)
    return ((x * step).round() / step).to(dtype)


def draw_settings(draw: random.Random, trial: int, paths: list[str]) -> Settings:
    """Settings of a masking; the usual ones first."""
    if trial == 0:
        return Settings()
    until = draw.choice(paths) if paths and draw.random() < 0.15 else None
    return Settings(
        draw.choice(["neighbor", "neighbor", "neighbor", "zero", "partial"]),
        draw.random() < 0.75,
        draw.choice([0.0, 0.0, 0.3, 0.5, 1.0]),
        until,
    )


def difference(found: Any, expected: Any) -> float:
    """The largest difference between two answers, in parts of the largest number; infinite where shapes differ."""
    ours, theirs = _leaves(found), _leaves(expected)
    if len(ours) != len(theirs):
        return float("inf")
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return float("inf")
        a, b = a.detach().double(), b.detach().double()
        error = (a - b).abs().max().item() / max(1.0, b.abs().max().item())
        worst = max(worst, float("inf") if error != error else error)
    return worst


def _leaves(answer: Any) -> list[Tensor]:
    """The floating-point tensors of an answer."""
    return [leaf for leaf in pytree.tree_leaves(answer) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


class Bench:
    """A network with what is needed to ask about it many times.

    Args:
        network: The network.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.dtype: torch.dtype = getattr(torch, network.dtype)
        self.model = network.build()
        self.before = _snapshot(self.model)
        self.exported = export(copy.deepcopy(self.model), network.size, self.dtype)
        self._moved: torch.export.ExportedProgram | None = None
        self._interpreter: Interpreter | None = None
        self._maskings: dict[tuple[Settings, bool], LayerMask] = {}

    @property
    def interpreter(self) -> Interpreter:
        """What layer masking says literally."""
        if self._interpreter is None:
            self._interpreter = Interpreter(self.exported)
        return self._interpreter

    def paths(self) -> list[str]:
        """Modules that compute something."""
        found = set()
        for node in self.exported.graph_module.graph.nodes:
            stack = node.meta.get("nn_module_stack") or {}
            if node.op == "call_function" and stack:
                found.add(str([path for path, _ in stack.values()][-1]).split("@")[0])
        return sorted(found & {name for name, _ in self.model.named_modules() if name})

    def masking(self, settings: Settings, moved: bool = False) -> LayerMask:
        """The masking of the network, or of the network with 5 taken from its image first."""
        if (settings, moved) not in self._maskings:
            made = LayerMask(self.model, settings.padding, settings.until, settings.pool_padding, settings.threshold)
            if moved and self._moved is None:
                self._moved = shifted(self.exported, -5.0)
            exported = self._moved if moved else self.exported
            with serving(exported):
                made.graph(torch.empty(1, *self.network.size, dtype=self.dtype))
            self._maskings[settings, moved] = made
        return self._maskings[settings, moved]


def check(network: Network, trials: int = 6, only: tuple[str, ...] = CHECKS, first: int = 0) -> Report:
    """Run every check on a network.

    Args:
        network: The network.
        trials: How many settings with presences and images of their own.
        only: Which checks.
        first: Number of the first trial.
    """
    report = Report()
    try:
        bench = Bench(network)
    except Exception as error:  # whatever torch.export raises
        report.unknown = f"export: {type(error).__name__}"
        return report
    try:
        with torch.no_grad():
            bench.model(torch.zeros(1, *network.size, dtype=bench.dtype))
    except (NotImplementedError, ValueError) as error:  # some norms refuse a single image
        report.unknown = f"torch: {error}"
        return report
    try:
        report.refused = bench.masking(Settings()).unsupported((1, *network.size))
    except Exception as error:  # a failure is what is looked for
        report.failures.append(Failure("runs", Settings(), first, f"{type(error).__name__}: {str(error)[:300]}"))
        return report
    if report.refused:
        return report
    try:
        bench.interpreter  # noqa: B018
    except NoRule as error:
        report.unknown = str(error)
        return report
    for trial in range(first, first + trials):
        report.trials += 1
        _Trial(bench, trial, report, only).run()
    if "untouched" in only and not _same(bench.before, _snapshot(bench.model)):
        report.failures.append(Failure("untouched", Settings(), 0, "the model is another one now"))
    return report


class _Trial:
    """One setting with images and presences."""

    def __init__(self, bench: Bench, number: int, report: Report, only: tuple[str, ...]) -> None:
        self.bench, self.number, self.report, self.only = bench, number, report, only
        self.draw = random.Random(f"{bench.network.seed}/{number}")
        self.settings = draw_settings(self.draw, number, bench.paths())
        self.batch = self.draw.choice([1, 1, 2, 3])
        size = bench.network.size
        self.presence = draw_presence(self.draw, self.batch, size[1:], "half" if number == 0 else None)
        self.image = draw_image(self.draw, self.batch, size, bench.dtype)
        self.tolerance = TOLERANCE[bench.dtype]

    def run(self) -> None:
        try:
            masked = self.bench.masking(self.settings)
            with torch.no_grad():
                answer = masked(self.image, self.presence)
        except (CaptureError, UnsupportedOperator) as error:
            self.fail("runs", f"{type(error).__name__}: {error}")
            return
        except Exception as error:  # a failure is what is looked for
            self.fail("runs", f"{type(error).__name__}: {error}")
            return
        for name in CHECKS:
            if name in self.only and hasattr(self, f"_{name}"):
                try:
                    getattr(self, f"_{name}")(masked, answer)
                except Exception as error:
                    self.fail(name, f"{type(error).__name__}: {str(error)[:300]}")

    def fail(self, check: str, text: str) -> None:
        self.report.failures.append(Failure(check, self.settings, self.number, text))

    def expect(self, check: str, found: Any, expected: Any, tolerance: float | None = None, what: str = "") -> None:
        error = difference(found, expected)
        if not error <= (self.tolerance if tolerance is None else tolerance):
            self.fail(check, f"off by {error:.2g}{what}")

    def _literal(self, masked: LayerMask, answer: Any) -> None:
        expected = self.bench.interpreter(self.image.double(), self.presence, self.settings)
        self.expect("literal", answer, expected)

    def _present(self, masked: LayerMask, answer: Any) -> None:
        everything = torch.ones_like(self.presence)
        with torch.no_grad():
            self.expect("present", masked(self.image, everything), self.bench.model(self.image.clone()))

    def _nothing(self, masked: LayerMask, answer: Any) -> None:
        nothing = torch.zeros_like(self.presence)
        with torch.no_grad():
            leaves = _leaves(masked(self.image, nothing))
        if not all(bool(leaf.isfinite().all()) for leaf in leaves):
            self.fail("nothing", "not finite")

    def _poison(self, masked: LayerMask, answer: Any) -> None:
        def written(number: float) -> Any:
            with torch.no_grad(), poisoned(number):
                return masked(self.image, self.presence)

        # Writing copies values, and a fill in memory of its own may be rounded differently: zeros are written first.
        zeros = written(0.0)
        self.expect("poison", zeros, answer)
        for poison in (float("nan"), 1e4):
            found = written(poison)
            pairs = zip(_leaves(found), _leaves(zeros), strict=True)
            if not all(torch.equal(a, b) for a, b in pairs):
                self.fail("poison", f"{poison} at absent cells moves the answer by {difference(found, zeros):.2g}")

    def _shift(self, masked: LayerMask, answer: Any) -> None:
        if self.settings.until is not None:
            return
        with torch.no_grad():
            found = self.bench.masking(self.settings, moved=True)(self.image + 5, self.presence)
        self.expect("shift", found, answer)

    def _batch(self, masked: LayerMask, answer: Any) -> None:
        if self.batch == 1:
            return
        for i in range(self.batch):
            with torch.no_grad():
                alone = masked(self.image[i : i + 1], self.presence[i : i + 1])
            self.expect("batch", pytree.tree_map(lambda leaf, i=i: leaf[i : i + 1], answer), alone)

    def _gradient(self, masked: LayerMask, answer: Any) -> None:
        parameters = {name: p for name, p in self.bench.model.named_parameters() if p.is_floating_point()}
        image = self.image.clone().requires_grad_()
        inputs = [image, *parameters.values()]
        try:
            _gradients(self.bench.model(image), inputs)
        except RuntimeError as error:  # the network writes over what its own gradients need
            self.report.skipped.append(f"gradient: {str(error)[:60]}")
            return
        found = _gradients(masked(image, self.presence), inputs)
        if not all(bool(one.isfinite().all()) for one in found if one is not None):
            self.fail("gradient", "not finite")
            return
        if self.bench.dtype != torch.float64:
            return
        weights = self.bench.interpreter.weights
        literal = [image.detach().clone().requires_grad_(), *(weights[name].requires_grad_() for name in parameters)]
        expected = _gradients(self.bench.interpreter(literal[0], self.presence, self.settings), literal)
        for name, ours, theirs in zip(["image", *parameters], found, expected, strict=True):
            a, b = (torch.zeros(()) if one is None else one for one in (ours, theirs))
            error = (a - b).abs().max().item() / max(1.0, b.abs().max().item())
            if not error <= 100 * self.tolerance:
                self.fail("gradient", f"of {name} off by {error:.2g}")
                break


def _gradients(answer: Any, inputs: list[Tensor]) -> tuple[Tensor | None, ...]:
    total = sum(
        (leaf * torch.linspace(-1, 2, leaf.numel()).view(leaf.shape)).sum() for leaf in _leaves(answer)
    )
    return torch.autograd.grad(total, inputs, allow_unused=True) if total.requires_grad else (None,) * len(inputs)


def _snapshot(model: nn.Module) -> tuple[Any, ...]:
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modules = [
        (name, type(m), m.training, sorted(m.__dict__), len(m._forward_hooks)) for name, m in model.named_modules()
    ]
    flags = [(name, p.requires_grad, p.grad is None) for name, p in model.named_parameters()]
    return tensors, modules, flags


def _same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return a[1:] == b[1:] and a[0].keys() == b[0].keys() and all(torch.equal(a[0][key], b[0][key]) for key in a[0])
