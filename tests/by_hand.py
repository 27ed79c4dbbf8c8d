"""One operator, or a short chain of them, run masked without capturing a model: quick enough for hypothesis."""

from __future__ import annotations

import torch

from xai_layermask.engine.executor import run as run_steps
from xai_layermask.engine.graph import Slot, Step
from xai_layermask.engine.mask import PresenceMask
from xai_layermask.engine.ops.base import MaskingSettings
from xai_layermask.engine.padding import window_sum
from xai_layermask.engine.program import Program
from xai_layermask.maskings import LayerMask

aten = torch.ops.aten
DEFAULT = MaskingSettings()
#: What lowering makes of views.
BY_SHAPE = {aten.view.default: aten.reshape.default}


def dilate(cells, reach=1):
    """Grow a set of cells by `reach` cells in all eight directions."""
    return window_sum(cells, (2 * reach + 1,) * 2, padding=(reach, reach))


def shape_of(value):
    return tuple(shape_of(one) for one in value) if isinstance(value, list | tuple) else tuple(value.shape)


def program(x, chain, settings=DEFAULT):
    """Make a program of operators that follow each other.

    Args:
        x: The image.
        chain: Pairs of an operator and its arguments after the first tensor; tensors among them are ordinary ones.
        settings: How absent cells are treated.

    Returns:
        The program, and the ordinary values by number.
    """
    values, shapes, steps, last, y = {}, {0: tuple(x.shape)}, [], 0, x
    for place, (operator, arguments) in enumerate(chain):
        args = [Slot(last)]
        for i, argument in enumerate(arguments):
            if isinstance(argument, torch.Tensor):
                number = 100 * (place + 1) + i
                values[number], shapes[number] = argument, tuple(argument.shape)
                argument = Slot(number)
            args.append(argument)
        y = operator(y, *arguments)
        last = 100 * (place + 1) + 50
        shapes[last] = shape_of(y)
        slots = tuple(arg.index for arg in args if isinstance(arg, Slot))
        steps.append(Step(last, BY_SHAPE.get(operator, operator), tuple(args), {}, slots, shapes[last], "here"))
    return Program(steps, shapes, 0, (last,), settings), values


def run(x, presence, chain, settings=DEFAULT, absent=0.0):
    """Run a chain on the present part of `x`, with the number `absent` at absent cells.

    Returns:
        The value, 0 at absent cells, and its presence: a bool tensor, or None.
    """
    made, values = program(x, chain, settings)
    if made.unsupported:
        raise NotImplementedError(made.unsupported)
    plan = made.plan(presence.contiguous())
    start = torch.where(presence, x, absent).contiguous(memory_format=torch.channels_last)
    values = {**values, 0: start}
    (last,) = made._outputs
    found = plan.found.get(last)
    run_steps(made, plan, values)
    return values[last], found.mask if isinstance(found, PresenceMask) else None


def check(x, presence, chain, settings=DEFAULT):
    """Run a chain, and check what must hold for every operator.

    All present, the answer is the model's; what stands at absent cells changes no bit of it; with nothing present it is
    finite.

    Returns:
        What `run` returns.
    """
    whole = x
    for operator, arguments in chain:
        whole = operator(whole, *arguments)
    everything = torch.ones_like(presence)
    torch.testing.assert_close(run(x, everything, chain, settings)[0], whole)
    y, mask = run(x, presence, chain, settings)
    for absent in (float("nan"), 1e4):
        again, _ = run(x, presence, chain, settings, absent)
        torch.testing.assert_close(again, y, rtol=0, atol=0)
    nothing, _ = run(x, ~everything, chain, settings)
    assert all(one.isfinite().all() for one in (nothing if isinstance(nothing, tuple | list) else [nothing]))
    return y, mask


class Function(torch.nn.Module):
    """A model that is one function of the image and of its submodules."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function = function
        self.parts = torch.nn.ModuleList(parts)

    def forward(self, x):
        """Apply the function."""
        return self.function(x, *self.parts)


def maps(seed, n=2, c=4, h=6, w=8, fraction=0.4):
    """An image in double precision and its presence."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, c, h, w, dtype=torch.float64, generator=generator)
    return x, torch.rand(n, 1, h, w, generator=generator) < fraction


def invariants(function, x, presence):
    """What must hold for every operator; returns the masked answer."""
    masked = LayerMask(Function(function))
    assert masked.unsupported(x.shape) == []
    torch.testing.assert_close(masked(x, torch.ones_like(presence)), function(x))
    y = masked(x, presence)
    assert torch.equal(masked(torch.where(presence, x, float("nan")), presence), y)
    assert masked(x, torch.zeros_like(presence)).isfinite().all()
    return y
