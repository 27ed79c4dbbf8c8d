"""Biases added late: on devices with Triton, the residual sum and the activation after a convolution add its bias.

There PyTorch adds the bias, the residual and the activation by a kernel each, which read and write the whole map. One
kernel ([`finish`][xai_layermask.engine.kernels.epilogue.finish]) does all three in place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .fusion import CONVOLUTIONS
from .graph import Slot, Step
from .memory import Memory
from .ops.base import MaskedOperator, Pointwise
from .ops.window import Window

__all__ = ["Activation", "Epilogue", "delay_biases"]

aten = torch.ops.aten
_SUMS = (aten.add.Tensor, aten.add_.Tensor)
_BOUNDS: dict[str, tuple[Any, Any]] = {
    "relu": (0, None), "relu6": (0, 6), "hardtanh": ("min_val", "max_val"), "clamp": ("min", "max"),
    "clamp_min": ("min", None), "clamp_max": (None, "max"),
}  # fmt: skip


class Activation(NamedTuple):
    """An activation as the kernel computes it: "clamp" (without bounds the identity), "silu" or "hardswish"."""

    kind: str = "clamp"
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, step: Step) -> Activation | None:
        """What a step computes from its only tensor; None for any other operator."""
        if not isinstance(step.operator, torch._ops.OpOverload) or len(step.inputs) != 1:
            return None
        name = step.operator._schema.name.removeprefix("aten::").removesuffix("_")
        if name in ("silu", "hardswish"):
            return cls(name)
        if name not in _BOUNDS:
            return None
        arguments = step.arguments
        bounds = [arguments[bound] if isinstance(bound, str) else bound for bound in _BOUNDS[name]]
        if not all(bound is None or isinstance(bound, int | float) for bound in bounds):
            return None
        numbers = [None if bound is None else float(bound) for bound in bounds]
        return cls("clamp", *numbers) if not any(map(math.isnan, filter(None, numbers))) else None


@dataclass(frozen=True, kw_only=True)
class Epilogue(Step):
    """The last of the steps that follow a convolution, for all of them; its first input is the convolution.

    Attributes:
        kernels: The kernels of the device.
        parts: The steps: a sum, an activation, or both.
        biases: The convolutions that run without their bias, each with the number of the bias.
        other: The number of the residual.
        activation: What the kernel computes.
    """

    kernels: ModuleType
    parts: tuple[Step, ...]
    biases: tuple[tuple[int, int], ...]
    other: int | None
    activation: Activation

    def __call__(self, values: Sequence[Any] | dict[int, Any], operator: Any = None) -> Any:
        """Compute the steps one after another, by operators of torch."""
        now = {index: values[index] for index in self.inputs}
        for index, bias in self.biases:
            now[index] = now[index] + now[bias].to(now[index].dtype).view(-1, 1, 1)
        for part in self.parts:
            now[part.index] = part(now)
        return now[self.index]

    def write(self, values: dict[int, Any], memory: Memory) -> Tensor | None:
        """Compute the steps in the convolution's memory; None where that is not possible."""
        x, other = values[self.inputs[0]], None if self.other is None else values[self.other]
        biases = [values[bias] for _, bias in self.biases]
        alike = other is None or (other.dtype == x.dtype and other.shape == x.shape and _is_dense(other))
        fits = alike and _is_dense(x) and 0 < x.numel() < 2**31 and all(map(_is_row, biases))
        if not fits or not memory.owns(self.inputs[0]):
            return None
        found: Tensor = self.kernels.finish(x, biases[0], *self.activation, other, *biases[1:])
        return found


def _is_dense(x: Tensor) -> bool:
    return x.is_floating_point() and x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)


def _is_row(bias: Tensor) -> bool:
    return bias.is_floating_point() and bias.is_contiguous()


class _Search:
    """Finds the steps that can add a convolution's bias; the arguments are those of `delay_biases`."""

    def __init__(
        self,
        steps: Sequence[Step],
        masked: Mapping[int, MaskedOperator],
        shapes: Mapping[int, Any],
        outputs: Sequence[int],
        cut: int,
    ) -> None:
        self._masked, self._shapes, self._outputs, self._cut = masked, shapes, outputs, cut
        self._places = {step.index: place for place, step in enumerate(steps)}
        self._readers: dict[int, list[Step]] = {}
        for step in steps:
            for index in step.inputs:
                self._readers.setdefault(index, []).append(step)
        self.convolutions = {step.index: step for step in steps if self._has_bias(step)}

    def _has_bias(self, step: Step) -> bool:
        has_bias = step.operator in CONVOLUTIONS and len(step.inputs) == 3 and isinstance(step.args[2], Slot)
        return has_bias and len(step.shape) == 4 and type(self._masked.get(step.index)) in (Window, type(None))

    def _follower(self, step: Step) -> Step | None:
        """The pointwise step that alone reads a value, and reads it once."""
        after = self._readers.get(step.index, [])
        if len(after) != 1 or step.index in self._outputs or step.index <= self._cut < after[0].index:
            return None
        same = after[0].autocast == step.autocast and after[0].shape == step.shape
        return after[0] if same and type(self._masked.get(after[0].index, Pointwise())) is Pointwise else None

    def epilogue(self, convolution: Step, kernels: ModuleType) -> Epilogue | None:
        """The epilogue of a convolution; None if nothing that follows can add its bias."""
        after, other = self._follower(convolution), None
        if after is None:
            return None
        parts, joined, activation = [after], [convolution], Activation.of(after)
        if _is_sum(after, convolution.index):
            (other,) = (index for index in after.inputs if index != convolution.index)
            if self._shapes[other] != convolution.shape:
                return None
            if other in self.convolutions and self._follower(self.convolutions[other]) is after:
                joined.append(self.convolutions[other])
            last = self._follower(after)
            # A step between the two could overwrite the residual.
            near = last is not None and self._places[last.index] == self._places[after.index] + 1
            activation = Activation.of(last) if last is not None and near else None
            parts += [last] if last is not None and activation is not None else []
        elif activation is None:
            return None
        biases = tuple((one.index, one.inputs[2]) for one in joined)
        residual = () if other is None else (other,)
        inputs = (convolution.index, *residual, *(bias for _, bias in biases))
        return Epilogue(
            **vars(parts[-1]) | {"inputs": inputs},
            kernels=kernels,
            parts=tuple(parts),
            biases=biases,
            other=other,
            activation=activation or Activation(),
        )


def _is_sum(step: Step, index: int) -> bool:
    """Whether a step adds another tensor to a value, and writes over nothing but this value."""
    slots = len(step.args) == len(set(step.inputs)) == 2 and not step.kwargs and step.operator in _SUMS
    return slots and (step.operator is aten.add.Tensor or step.inputs[0] == index)


def delay_biases(
    steps: Sequence[Step],
    masked: Mapping[int, MaskedOperator],
    shapes: Mapping[int, Any],
    outputs: Sequence[int],
    cut: int,
    kernels: ModuleType,
) -> tuple[Step, ...]:
    """Let convolutions run without their bias where a residual sum or an activation can add it.

    Args:
        steps: The operator calls of a graph.
        masked: The masked operators, by value number.
        shapes: Shape of every value.
        outputs: Numbers of the values that the model returns.
        cut: Number of the last step that runs masked; no bias is delayed beyond it.
        kernels: The kernels of the device.

    Returns:
        The steps, with an [`Epilogue`][] in the place of each sum and activation that adds a bias.
    """
    search = _Search(steps, masked, shapes, outputs, cut)
    changed: dict[int, Step | None] = {}
    for index, convolution in search.convolutions.items():
        found = None if index in changed else search.epilogue(convolution, kernels)
        if found is None:
            continue
        changed |= {part.index: None for part in found.parts} | {found.index: found}
        for one, _ in found.biases:
            bare = search.convolutions[one]
            changed[one] = replace(bare, args=(*bare.args[:2], None, *bare.args[3:]), inputs=bare.inputs[:2])
    chosen = [changed.get(step.index, step) for step in steps]
    return tuple(step for step in chosen if step is not None)
