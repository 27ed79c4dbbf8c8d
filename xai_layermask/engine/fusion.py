"""Weights made ready to run: norms folded into convolutions, everything channels-last.

A batch norm in evaluation mode is an affine map of each channel, and so is part of the convolution in front of it. The
prepared weights are copies that belong to the masking; they are made anew as soon as the model's own weights change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .graph import Slot, Step

__all__ = ["FusedConvolution", "Weights", "fuse"]

aten = torch.ops.aten
_CONVOLUTIONS = (aten.conv2d.default, aten.conv2d.padding)


@dataclass
class FusedConvolution:
    """Weights derived from the model's own.

    Attributes:
        weight: Value number of the convolution's weight, and of its bias or None.
        norm: Value numbers of the batch norm's scale, shift, mean and variance (None where it has none) and its
            epsilon; None where no norm is folded.
        number: The value number of the prepared weight; the bias has the next lower one.
    """

    weight: tuple[int, int | None]
    norm: tuple[tuple[int | None, ...], float] | None
    number: int

    def __post_init__(self) -> None:
        self._sources: tuple[tuple[Tensor, tuple[int, int] | None], ...] = ()
        self._made: dict[torch.dtype | None, dict[int, Tensor]] = {}

    def values(
        self, state: Mapping[int, Tensor], anew: bool = False, dtype: torch.dtype | None = None
    ) -> dict[int, Tensor]:
        """The prepared weight and bias by value number, made anew if told so or the model's weights have changed.

        Args:
            state: Parameters and buffers by value number.
            anew: Whether to make them in any case.
            dtype: What they are rounded to, once for all calls under autocast; None leaves their own type.
        """
        numbers = [*self.weight, *(self.norm[0] if self.norm else ())]
        sources = tuple((state[i], _edition(state[i])) for i in numbers if i is not None)
        same = len(sources) == len(self._sources) and all(
            new is old and edition is not None and edition == before
            for (new, edition), (old, before) in zip(sources, self._sources, strict=True)
        )
        if anew or not same:
            self._made.clear()
            self._sources = sources
        if dtype not in self._made:
            # Made in inference mode, weights could not serve a later call that wants gradients.
            with torch.inference_mode(False), torch.no_grad():
                made = self._make(state)
                self._made[dtype] = {i: one if dtype is None else one.to(dtype) for i, one in made.items()}
        return self._made[dtype]

    def _make(self, state: Mapping[int, Tensor]) -> dict[int, Tensor]:
        weight, bias = state[self.weight[0]], None if self.weight[1] is None else state[self.weight[1]]
        if self.norm is not None:
            (scale, shift, mean, variance), eps = self.norm
            gain = torch.rsqrt(state[variance].double() + eps)  # type: ignore[index]
            if scale is not None:
                gain = gain * state[scale].double()
            offset = -state[mean].double() * gain  # type: ignore[index]
            if bias is not None:
                offset = offset + bias.double() * gain
            if shift is not None:
                offset = offset + state[shift].double()
            weight, bias = (
                (weight.double() * gain.view(-1, 1, 1, 1)).to(weight.dtype),
                offset.to(weight.dtype),
            )
        made = {self.number: weight.detach().contiguous(memory_format=torch.channels_last)}
        return made if bias is None else made | {self.number - 1: bias.detach()}


class Weights:
    """All prepared weights of a graph.

    Args:
        parts: The weights of each convolution.
    """

    def __init__(self, parts: Sequence[FusedConvolution]) -> None:
        self.parts = tuple(parts)
        self._small = [
            i for one in parts for i in (one.weight[1], *(one.norm[0] if one.norm else ())) if i is not None
        ]
        self._seen: Tensor | None = None

    def values(self, state: Mapping[int, Tensor], dtype: torch.dtype | None = None) -> dict[int, Tensor]:
        """Fused weights and biases by value number, up to date with the model's own, in the given dtype."""
        changed = self._changed(state)
        made: dict[int, Tensor] = {}
        for one in self.parts:
            made |= one.values(state, changed, dtype)
        return made

    def _changed(self, state: Mapping[int, Tensor]) -> bool:
        # PyTorch does not count what a batch norm in training writes to its statistics, nor what is written through
        # `.data`: look at the numbers, all at once. Of weights, which are many, at one of every filter and at all of
        # the first filter.
        weights = [state[one.weight[0]] for one in self.parts]
        with torch.inference_mode(False), torch.no_grad():
            looks = [state[i] for i in self._small]
            looks += [look for weight in weights for look in (weight[:, 0, 0, 0], weight[0].flatten())]
            now = torch.cat(looks) if looks else torch.empty(0)
        before, self._seen = self._seen, now
        return before is None or before.dtype != now.dtype or not torch.equal(before, now)


def _edition(tensor: Tensor) -> tuple[int, int] | None:
    """Numbers that change when the tensor is written or its memory replaced; None where PyTorch keeps none."""
    return None if tensor.is_inference() else (tensor._version, tensor.data_ptr())


def fuse(
    steps: Sequence[Step], state: Sequence[int], outputs: Sequence[int] = (), cut: int = -1
) -> tuple[tuple[Step, ...], Weights]:
    """Fold batch norms into the convolutions in front of them, and let convolutions read prepared weights.

    Args:
        steps: The operator calls of a graph.
        state: Numbers of the values that are parameters or buffers.
        outputs: Numbers of the values that the model returns, which must go on to exist.
        cut: Number of the last step that runs masked: what is masked is not folded with what is not.

    Returns:
        The steps that remain, and the weights that they read.
    """
    held = frozenset(state)
    readers: dict[int, list[Step]] = {}
    for step in steps:
        for index in step.inputs:
            readers.setdefault(index, []).append(step)
    kept: list[Step] = []
    prepared: list[FusedConvolution] = []
    folded: set[int] = set()
    for step in steps:
        if step.index in folded:
            continue
        if step.operator not in _CONVOLUTIONS or not held.issuperset(step.inputs[1:]):
            kept.append(step)
            continue
        after = readers.get(step.index, [])
        norm = after[0] if len(after) == 1 and _folds(after[0], step, held) else None
        if norm is not None and (step.index in outputs or step.index <= cut < norm.index):
            norm = None
        number = -1 - 2 * len(prepared)
        bias = step.inputs[2] if len(step.inputs) > 2 else None
        statistics = None
        if norm is not None:
            places = tuple(arg.index if isinstance(arg, Slot) else None for arg in norm.args[1:5])
            statistics = (places, float(norm.args[7]))
            folded.add(norm.index)
        prepared.append(FusedConvolution((step.inputs[1], bias), statistics, number))
        has_bias = bias is not None or norm is not None
        slots = (Slot(number), Slot(number - 1) if has_bias else None)
        inputs = (step.inputs[0], number, *((number - 1,) if has_bias else ()))
        args = (step.args[0], *slots, *step.args[3:])
        # The convolution takes the norm's place: its value is the one that later steps read.
        kept.append(replace(step, args=args, inputs=inputs, index=norm.index if norm else step.index))
    return tuple(kept), Weights(prepared)


def _folds(norm: Step, convolution: Step, held: frozenset[int]) -> bool:
    return (
        norm.operator is aten.batch_norm.default
        and norm.inputs[0] == convolution.index
        and held.issuperset(norm.inputs[1:])
        and isinstance(norm.args[3], Slot)
        and not norm.args[5]
    )
