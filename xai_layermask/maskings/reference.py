"""The paper's algorithm word by word: every window padded k rounds, everything multiplied by its mask.

This is the yardstick for speed and exactness, slow and simple on purpose. As in the published code, a convolution with
a kernel of k x k cells is padded for k rounds, one of 1 x 1 for one round. It shares the capture of the model with
[`LayerMask`][xai_layermask.maskings.layer.LayerMask], and nothing of its passes, fills or folding.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..engine.additional import NONE, Additional
from ..engine.capture import capture
from ..engine.graph import Step
from ..engine.ops.attention import Dense
from ..engine.ops.base import MaskedOperator, MaskingSettings
from ..engine.ops.reduce import Reduce
from ..engine.ops.reduction import Regions
from ..engine.ops.view import Concat, Permute, Pick, Reshape
from ..engine.ops.window import Border, Window
from ..engine.program import Program
from .base import Masking

__all__ = ["Reference", "padded"]


def padded(x: Tensor, presence: Tensor, rounds: int) -> Tensor:
    """Neighbour padding by box sums over the whole map, as Algorithm 1 writes it.

    Args:
        x: `(N, C, H, W)`.
        presence: `(N, 1, H, W)`, 1 for present and 0 for absent, in the dtype of `x`.
        rounds: How many rings are filled.

    Returns:
        `(N, C, H, W)`; cells that no round reaches are 0.

    Example:
        >>> padded(torch.tensor([[[[4.0, 9.0, 9.0]]]]), torch.tensor([[[[1.0, 0.0, 0.0]]]]), 1).tolist()
        [[[[4.0, 4.0, 0.0]]]]
    """
    x = x * presence
    for _ in range(rounds):
        count = F.avg_pool2d(presence, 3, 1, 1, divisor_override=1)
        total = F.avg_pool2d(x, 3, 1, 1, divisor_override=1)
        x = torch.where(presence > 0, x, total / count.clamp(min=1))
        presence = (count > 0).to(x.dtype)
    return x


class Reference(Masking):
    """Layer masking of convolutional networks, dense and literal.

    Args:
        model: The network.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, "literal")
        self._kept: dict[Any, Any] = {}

    def _masked(self, image: Tensor, presence: Tensor | None, additional: Additional = NONE) -> Any:
        if presence is None:
            presence = torch.ones(image.shape[0], 1, *image.shape[2:], dtype=torch.bool, device=image.device)
        key = (tuple(image.shape), image.dtype, additional.key)
        if key not in self._kept:
            graph = capture(self.model, tuple(image.shape), image.dtype, image.device, additional)
            steps, shapes = graph.steps(image.shape[0]), graph.shapes(image.shape[0])
            self._kept[key] = graph, Program(steps, shapes, graph.image, graph.outputs, MaskingSettings())
        graph, program = self._kept[key]
        values: dict[int, Any] = graph.state(image.device)
        masks: dict[int, Any] = {program.image: presence.to(image.dtype)}
        values |= {program.image: image, **additional.values(graph.additional)}
        for step in program.steps:
            self._run(step, program, values, masks)
        return graph.output(values)

    def _run(self, step: Step, program: Program, values: dict[int, Any], masks: dict[int, Any]) -> None:
        form = program.masked.get(step.index)
        if form is None:
            values[step.index] = step(values)
            return
        first = step.inputs[0]
        mask: Any = None
        if isinstance(form, Window):
            bordered = isinstance(program.masked.get(first), Border)
            x = values[first] if bordered else padded(values[first], masks[first], _rounds(form))
            value = step({**values, first: x})
            mask = _pooled(masks[first], form, value.shape[2:])
        elif isinstance(form, Regions | Reduce):
            share = step({**values, first: masks[first].expand_as(values[first])})
            value = step({**values, first: values[first] * masks[first]})
            value = torch.where(share > 0, value / share.clamp(min=1e-12), 0 * value)
        elif isinstance(form, Reshape | Permute):
            value = step(values)
            mask = step({**values, first: masks[first].expand_as(values[first])})
        elif isinstance(form, Pick):
            value, mask = step(values), step({first: masks[first]})
        elif isinstance(form, Border):
            # Filled before the border is put around, which keeps its zeros, for the windows that read it.
            rounds = max((_rounds(window) for window in _readers(step, program)), default=0)
            values[step.index] = step({**values, first: padded(values[first], masks[first], rounds)})
            masks[step.index] = F.pad(masks[first], list(form.pad))
            return
        else:
            value = step(values)
            mask = _joint([masks[i] for i in step.inputs if masks.get(i) is not None], form)
        values[step.index], masks[step.index] = value, mask
        if mask is not None and isinstance(value, Tensor):
            values[step.index] = value * mask


def _rounds(window: Window) -> int:
    """As many rounds as the kernel is wide; more where a dilated one reaches farther."""
    return max(max(k, d * (k - 1)) for k, d in zip(window.kernel, window.dilation, strict=True))


def _readers(step: Step, program: Program) -> list[Window]:
    """The windows that read a step's value."""
    forms = [program.masked.get(other.index) for other in program.steps if step.index in other.inputs[:1]]
    return [form for form in forms if isinstance(form, Window)]


def _joint(given: list[Tensor], form: MaskedOperator) -> Tensor:
    """The product of the inputs' masks; one channel of them where the number of channels changes."""
    if isinstance(form, Dense):
        given = [mask[..., :1] for mask in given]
    elif isinstance(form, Concat):
        given = [mask[:, :1] for mask in given]
    joint = given[0]
    for mask in given[1:]:
        joint = joint * mask
    return joint


def _pooled(mask: Tensor, form: Window, size: Any) -> Tensor:
    mask = mask[:, :1]
    wide = F.pad(mask, (form.padding[1], 64, form.padding[0], 64))
    grown = F.max_pool2d(wide, form.kernel, form.stride, 0, form.dilation)
    return grown[:, :, : size[0], : size[1]]
