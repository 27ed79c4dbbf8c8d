"""Activations of a masked network, and which of their cells are present."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .engine.additional import Additional
from .engine.dense import DenseRings, filled_cells
from .engine.exclusion import EXCLUSION
from .engine.executor import refuse_unsupported, run
from .engine.graph import Graph, Step
from .engine.mask import PresenceMask
from .engine.ops.window import Border
from .engine.padding import Rings
from .engine.program import Program, find_cut
from .errors import InputError
from .maskings import LayerMask, as_extras

__all__ = ["Activation", "Trace", "trace"]


@dataclass(frozen=True, eq=False)
class Activation:
    """The output of a module.

    Attributes:
        value: `(N, C, h, w)`, 0 at absent cells.
        presence: Bool `(N, 1, h, w)`: cells that are present in all channels. All cells are present where the
            activation is an ordinary tensor: after `until`, or after a global pool.
        filled: `(N, C, h, w)`: the value with the absent cells filled that later windows read, 0 at the others. Equal
            to `value` if windows fill a copy, or if padding is not "neighbor".
    """

    value: Tensor
    presence: Tensor
    filled: Tensor


class Trace(Mapping[str, Activation]):
    """Activations by module path, in the order of their computation.

    Args:
        found: The activations.
        answer: The output of the masked model.

    Attributes:
        answer: The model's logits, `(N, K)`.
    """

    def __init__(self, found: Mapping[str, Activation], answer: Any) -> None:
        self._found = dict(found)
        self.answer = answer

    def __getitem__(self, path: str) -> Activation:
        return self._found[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        lines = [
            f"{path!r}: {' x '.join(map(str, one.value.shape))}, {one.presence.float().mean():.0%} present"
            for path, one in self.items()
        ]
        return f"Trace({'; '.join(lines)})"


def trace(
    masked: LayerMask,
    image: Tensor,
    presence: Tensor | None = None,
    modules: Sequence[str] | None = None,
    additional_forward_args: Any = None,
) -> Trace:
    """Run a masked network once, and keep the outputs of some modules.

    Computes the same as `masked(image, presence)`, but without folding norms into convolutions or reusing memory: the
    value of a convolution is its own, before the norm. Gradients flow through a trace as through the masking; use
    `torch.no_grad()` if none are needed.

    Args:
        masked: The masking.
        image: `(N, C, H, W)`, as the masking takes it.
        presence: As the masking takes it; all present if None.
        modules: Paths of modules such as "layer1.0.conv1"; the output of the last call is kept. If None, the last
            output of an outermost module for every map size; in a ResNet, these are "relu" and the four layers.
        additional_forward_args: Further inputs of the model, a tuple or a single one, as the masking takes them.

    Returns:
        The activations, and the model's output.

    Raises:
        InputError: If the masking is not a LayerMask, image or presence are invalid, or a module is unknown, computes
            nothing, or returns anything but maps `(N, C, h, w)`.
        UnsupportedOperator: If an operator is not supported.

    Example:
        >>> from torch import nn
        >>> masked = LayerMask(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3)))
        >>> presence = torch.ones(1, 1, 8, 8)
        >>> presence[..., 3:] = 0
        >>> found = trace(masked, torch.rand(1, 3, 8, 8), presence)
        >>> found
        Trace('1': 1 x 4 x 6 x 6, 50% present; '2': 1 x 5 x 4 x 4, 75% present)
        >>> found["1"].presence[0, 0, 0].tolist()
        [True, True, True, False, False, False]
    """
    if not isinstance(masked, LayerMask):
        raise InputError.expected(
            "a LayerMask for masked", type(masked).__name__, "other maskings run the ordinary network"
        )
    images = len(image) if isinstance(image, Tensor) else 1
    image, shown = masked.checked(image, presence)
    if shown is None:
        shown = torch.ones(image.shape[0], 1, *image.shape[2:], dtype=torch.bool, device=image.device)
    further = Additional.of(as_extras(additional_forward_args), images, len(shown))
    shown, graph = shown.contiguous(), masked.graph(image, further)
    program = _program(masked, graph, len(shown))
    refuse_unsupported(program)
    places = _places(masked, program.steps)
    if modules is None:
        chosen = _outermost(places, program, program.plan(shown).found)
    else:
        chosen = _named(places, masked, modules, len(shown), program.steps)
    # As an output of the model, a value is right at every present cell, not only where a later step reads it.
    program = _program(masked, graph, len(shown), tuple(chosen.values()))
    plan = program.plan(shown)
    found, kept = dict(plan.found), dict[int, Tensor]()
    wanted = frozenset(chosen.values())

    def seen(index: int, value: Any) -> None:
        if index in wanted:
            kept[index] = value.clone()

    values: dict[int, Any] = graph.state(image.device) | further.values(graph.additional)
    values[graph.image] = image.contiguous(memory_format=torch.channels_last)
    with EXCLUSION.running():
        run(program, plan, values, seen)
    activations = {
        path: _activation(kept[index], found.get(index), plan.fills.get(index, ())) for path, index in chosen.items()
    }
    return Trace(activations, graph.output(values))


def _program(masked: LayerMask, graph: Graph, batch: int, kept: tuple[int, ...] = ()) -> Program:
    steps = graph.steps(batch)
    cut = find_cut(steps, masked.until)
    return Program(steps, graph.shapes(batch), graph.image, (*graph.outputs, *kept), masked.settings, cut)


def _places(masked: LayerMask, steps: Sequence[Step]) -> dict[str, int]:
    """The number of the last value that each module makes, by its path."""
    last: dict[str, int] = {}
    for step in steps:
        path = re.sub(r"@\d+", "", step.path)
        while True:
            last[path] = step.index
            if not path:
                break
            path = path.rpartition(".")[0]
    return {path: last[path] for path, _ in masked.model.named_modules() if path in last}


def _outermost(places: Mapping[str, int], program: Program, found: Mapping[int, Any]) -> dict[str, int]:
    """The last output of an outermost module for each map size."""
    shapes = {step.index: step.shape for step in program.steps}
    best: dict[tuple[int, ...], tuple[int, int, str]] = {}
    for path, index in places.items():
        size = _size(shapes[index], found.get(index))
        # A map with a border around it does not count as another size.
        if size is not None and not isinstance(program.masked.get(index), Border):
            # The whole model comes last: its path is empty.
            rank = (-path.count(".") if path else -len(shapes), index, path)
            best[size] = max(best.get(size, rank), rank)
    return {path: index for _, index, path in sorted(best.values(), key=lambda rank: rank[1])}


def _size(shape: Any, cells: Any) -> tuple[int, ...] | None:
    """Height and width of a masked map; None for anything else."""
    if not isinstance(cells, PresenceMask) or len(shape) != 4 or cells.mask.shape[0] != shape[0]:
        return None
    if _channels_last(shape, cells):
        return tuple(shape[1:3])
    return tuple(shape[2:]) if tuple(cells.mask.shape[2:]) == tuple(shape[2:]) else None


def _channels_last(shape: Sequence[int], cells: PresenceMask) -> bool:
    """Whether the map is `(N, h, w, C)`, as in Swin."""
    return cells.mask.shape[3] == 1 < shape[3] and tuple(cells.mask.shape[1:3]) == tuple(shape[1:3])


def _named(
    places: Mapping[str, int], masked: LayerMask, modules: Sequence[str], batch: int, steps: Sequence[Step]
) -> dict[str, int]:
    if isinstance(modules, str) or not modules:
        raise InputError.expected("a list with at least one path for modules", repr(modules), "pass for example ['0']")
    known = [path for path, _ in masked.model.named_modules()]
    shapes = {step.index: step.shape for step in steps}
    chosen: dict[str, int] = {}
    for path in modules:
        if path not in known:
            near = difflib.get_close_matches(str(path), known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else "model.named_modules() lists them"
            raise InputError.expected("paths of the model's modules for modules", repr(path), hint)
        if path not in places:
            raise InputError.expected(
                "modules that the model calls for modules", f"{path!r}, which computes nothing", "choose another one"
            )
        shape = shapes[places[path]]
        if len(shape) != 4 or not all(isinstance(side, int) for side in shape) or shape[0] != batch:
            raise InputError.expected(
                "modules that return maps (N, C, h, w) for modules",
                f"{path!r}, which returns {shape}",
                "choose one before the head",
            )
        chosen[path] = places[path]
    return dict(sorted(chosen.items(), key=lambda pair: pair[1]))


def _activation(value: Tensor, cells: Any, geometry: Rings | DenseRings) -> Activation:
    if not isinstance(cells, PresenceMask):
        everywhere = torch.ones(value.shape[0], 1, *value.shape[2:], dtype=torch.bool, device=value.device)
        return Activation(value, everywhere, value)
    mask = cells.mask
    if _channels_last(value.shape, cells):
        value, mask = value.permute(0, 3, 1, 2), mask.permute(0, 3, 1, 2)
    zero = value.new_zeros(())
    bare = torch.where(mask, value, zero)
    presence = mask.expand(value.shape[0], -1, *value.shape[2:]).all(1, keepdim=True)
    if not geometry:
        return Activation(bare, presence, bare)
    return Activation(bare, presence, torch.where(filled_cells(geometry, presence), value, zero))
