"""Fold batch norms into convolutions, and convert convolution weights to channels-last.

A batch norm in evaluation mode is an affine map of each channel, so it can be merged into the preceding convolution.
The fused weights are copies; they are recomputed when the model's own weights change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .graph import Slot, Step
from .runtime import has_float64

__all__ = ["CONVOLUTIONS", "FusedConvolution", "Weights", "fuse"]

aten = torch.ops.aten
CONVOLUTIONS = (aten.conv2d.default, aten.conv2d.padding)


@dataclass
class FusedConvolution:
    """Fused weights of one convolution.

    Attributes:
        weight: Value numbers of the convolution's weight and bias (None without bias).
        norm: Value numbers of the batch norm's scale, shift, mean and variance (None if absent), and its epsilon; None
            if no norm is folded.
        number: Value number of the fused weight; the fused bias has the next lower one.
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
        """Fused weight and bias by value number, recomputed if the model's weights have changed.

        Args:
            state: Parameters and buffers by value number.
            anew: Whether to recompute them in any case.
            dtype: Cast them to this dtype, for autocast; None keeps their own.
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
            # Weights created in inference mode could not be used by a later call with gradients.
            with torch.inference_mode(False), torch.no_grad():
                made = self._make(state)
                self._made[dtype] = {i: one if dtype is None else one.to(dtype) for i, one in made.items()}
        return self._made[dtype]

    def _make(self, state: Mapping[int, Tensor]) -> dict[int, Tensor]:
        weight, bias = state[self.weight[0]], None if self.weight[1] is None else state[self.weight[1]]
        if self.norm is not None:
            (scale, shift, mean, variance), eps = self.norm
            wide = torch.float64 if has_float64(weight.device) else torch.promote_types(weight.dtype, torch.float32)
            gain = torch.rsqrt(state[variance].to(wide) + eps)  # type: ignore[index]
            if scale is not None:
                gain = gain * state[scale].to(wide)
            offset = -state[mean].to(wide) * gain  # type: ignore[index]
            if bias is not None:
                offset = offset + bias.to(wide) * gain
            if shift is not None:
                offset = offset + state[shift].to(wide)
            weight, bias = (
                (weight.to(wide) * gain.view(-1, 1, 1, 1)).to(weight.dtype),
                offset.to(weight.dtype),
            )
        made = {self.number: weight.detach().contiguous(memory_format=torch.channels_last)}
        return made if bias is None else made | {self.number - 1: bias.detach()}


class Weights:
    """All fused weights of a graph.

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
        """Fused weights and biases by value number, up to date with the model's own, in this dtype."""
        changed = self._changed(state)
        made: dict[int, Tensor] = {}
        for one in self.parts:
            made |= one.values(state, changed, dtype)
        return made

    def _changed(self, state: Mapping[int, Tensor]) -> bool:
        # PyTorch's version counters miss writes through `.data`, and those of batch norms in training to their
        # statistics. So compare the numbers themselves: all small tensors, but of each convolution weight only the
        # first filter and one number of every other.
        weights = [state[one.weight[0]] for one in self.parts]
        with torch.inference_mode(False), torch.no_grad():
            looks = [state[i] for i in self._small]
            looks += [look for weight in weights for look in (weight[:, 0, 0, 0], weight[0].flatten())]
            now = torch.cat(looks) if looks else torch.empty(0)
        before, self._seen = self._seen, now
        return before is None or before.dtype != now.dtype or not torch.equal(before, now)


def _edition(tensor: Tensor) -> tuple[int, int] | None:
    """Version and address, which change when the tensor is written or replaced; None if PyTorch keeps no version."""
    return None if tensor.is_inference() else (tensor._version, tensor.data_ptr())


def fuse(
    steps: Sequence[Step], state: Sequence[int], outputs: Sequence[int] = (), cut: int = -1
) -> tuple[tuple[Step, ...], Weights]:
    """Fold batch norms into the preceding convolutions, and let convolutions read fused weights.

    Args:
        steps: The operator calls of a graph.
        state: Numbers of the values that are parameters or buffers.
        outputs: Numbers of the values that the model returns, which are kept.
        cut: Number of the last step that runs masked; nothing is folded across it.

    Returns:
        The remaining steps, and the weights that they read.
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
        if step.operator not in CONVOLUTIONS or not held.issuperset(step.inputs[1:]):
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
        # Later steps read the norm's value number, so the convolution takes it over.
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
