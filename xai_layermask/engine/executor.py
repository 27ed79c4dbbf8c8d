"""The value pass: run a captured graph, filling absent cells that windows read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import UnsupportedOperator
from .dense import fill, kernels_on
from .fusion import Weights, fuse
from .graph import Graph, Step
from .memory import Memory
from .ops.base import MaskingSettings
from .program import Plan, Program, find_cut
from .recording import Recorder
from .rules import version
from .series import known_in_series

__all__ = ["Executor", "refuse_unsupported", "run"]

_KEPT = 8


class Executor:
    """A captured graph with its programs, one per batch size and mode.

    Args:
        graph: The graph.
        device: Where it runs.
    """

    def __init__(self, graph: Graph, device: torch.device) -> None:
        self.graph, self._device = graph, device
        self._programs: dict[Any, Program] = {}
        self._weights: Weights | None = None
        self._recorder = Recorder()

    def program(
        self, batch: int, settings: MaskingSettings, until: str | None, folded: bool = False, in_place: bool = False
    ) -> Program:
        kernels = kernels_on(self._device) if in_place else None
        key = (batch, folded, in_place, version(), kernels)
        if key not in self._programs:
            steps: tuple[Step, ...] = self.graph.steps(batch)
            cut = find_cut(steps, until)
            shapes = self.graph.shapes(batch)
            if folded:
                steps, weights = fuse(steps, self.graph.held, self.graph.outputs, cut)
                # Fused weights do not depend on the batch size, so all programs share one copy.
                self._weights = self._weights or weights
                shapes = shapes | {one.number: shapes[one.weight[0]] for one in weights.parts}
                shapes |= {one.number - 1: shapes[one.weight[0]][:1] for one in weights.parts}
            while len(self._programs) >= _KEPT:
                self._programs.pop(next(iter(self._programs)))
            self._programs[key] = Program(
                steps, shapes, self.graph.image, self.graph.outputs, settings, cut, in_place, kernels
            )
        return self._programs[key]

    def state(self, device: torch.device, folded: bool) -> dict[int, Any]:
        """Current parameters, buffers, constants and fused weights, by value number."""
        # Otherwise, autocast would round the fused weights in every call.
        rounded = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None

        def make() -> dict[int, Any]:
            values: dict[int, Any] = self.graph.state(device)
            if folded and self._weights is not None:
                values |= self._weights.values(values, rounded)
            return values

        return dict(known_in_series(self, ("state", device, folded, rounded), make))

    def compute(self, program: Program, presence: Tensor, values: dict[int, Any], again: bool = False) -> None:
        """All passes for a batch.

        Args:
            program: The steps.
            presence: Bool `(N, 1, H, W)`, contiguous.
            values: As [`run`][] takes them.
            again: Whether the run may be recorded: it can be repeated with the same weight tensors, without gradients.
        """

        def passes(presence: Tensor, values: dict[int, Any]) -> None:
            run(program, program.plan(presence), values)

        if again and not program.sets_autocast:
            kind = len(presence), version()
            self._recorder.run(kind, passes, presence, values, program.image, self.graph.outputs)
        else:
            passes(presence, values)


def refuse_unsupported(program: Program) -> None:
    """Raise `UnsupportedOperator` for the first unsupported call of a program."""
    if program.unsupported:
        first, count = program.unsupported[0], len(program.unsupported)
        operator, path = first
        more = f" (and {count - 1} more)" if count > 1 else ""
        raise UnsupportedOperator(
            f"expected supported operators, got {operator} in {path or 'the model'}{more}: {first.reason}."
        )


def run(
    program: Program, plan: Plan, values: dict[int, Any], seen: Callable[[int, Any], None] | None = None
) -> None:
    """The value pass: compute every step in order.

    Args:
        program: The steps. If it runs in place, the image may be overwritten as well.
        plan: Presence and fills of this batch.
        values: The image, parameters, buffers and constants by value number; replaced by the values that the model
            returns.
        seen: Called with the number and value of each step, before a later step can overwrite it.
    """
    memory = Memory()
    memory.replace(program.image, values[program.image])
    _fill(program.image, program, plan, values, memory)
    if not program.steps:
        plan.end(values)
    for step in program.steps:
        with step.context():
            value = _compute(step, program, plan, values, memory)
        if program.in_place:
            memory.add(step.index, value, [values[index] for index in step.inputs])
        values[step.index] = value
        for index in program.dead.get(step.index, ()):
            del values[index]
            memory.drop(index)
        _fill(step.index, program, plan, values, memory)
        if seen is not None:
            seen(step.index, values.get(step.index, value))
        if step.index == program.cut:
            for index in plan.end(values):
                memory.replace(index, values[index])


def _fill(index: int, program: Program, plan: Plan, values: dict[int, Any], memory: Memory) -> None:
    geometry = plan.fills.get(index)
    if geometry and index in values:
        values[index] = fill(values[index], geometry, program.in_place and memory.owns(index))
        memory.replace(index, values[index])


def _compute(step: Step, program: Program, plan: Plan, values: dict[int, Any], memory: Memory) -> Any:
    writer, call = program.writers.get(step.index), plan.calls.get(step.index)
    written = writer(values, memory) if writer is not None else None
    if written is not None:
        return written
    if call is None:
        return step(values)
    return program.masked[step.index].value(call, [values[index] for index in step.inputs])
