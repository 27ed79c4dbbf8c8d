"""Presence, demand and fills of whole programs."""

from __future__ import annotations

import by_hand
import pytest
import torch
from by_hand import aten, dilate
from torch import nn

from xai_layermask.engine.graph import Slot, Step
from xai_layermask.engine.ops.base import MaskingSettings
from xai_layermask.engine.program import Program, find_cut
from xai_layermask.errors import InputError
from xai_layermask.maskings import LayerMask

WEIGHT = torch.randn(4, 4, 3, 3)
POINT = torch.randn(4, 4, 1, 1)
CONV = (aten.conv2d.default, [WEIGHT, None, [1, 1], [1, 1]])
ONE = (aten.conv2d.default, [POINT])
RELU = (aten.relu.default, [])


def some(fraction=0.3, size=16):
    return torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(0)) < fraction


def filled(plan, index):
    rings = plan.fills.get(index, ())
    return torch.cat([ring.cells for ring in rings]) if rings else torch.zeros(0, dtype=torch.long)


def residual():
    """x, y = conv(conv(x)), x + y, conv: the sum throws away what lies outside x."""
    values = {1: WEIGHT, 2: POINT}
    shape = (1, 4, 16, 16)
    steps = [
        Step(10, aten.conv2d.default, (Slot(0), Slot(1), None, [1, 1], [1, 1]), {}, (0, 1), shape, "a"),
        Step(11, aten.conv2d.default, (Slot(10), Slot(1), None, [1, 1], [1, 1]), {}, (10, 1), shape, "b"),
        Step(12, aten.add.Tensor, (Slot(0), Slot(11)), {}, (0, 11), shape, ""),
    ]
    shapes = {0: shape, 1: (4, 4, 3, 3), 10: shape, 11: shape, 12: shape}
    return Program(steps, shapes, 0, (12,), MaskingSettings()), values


def test_one_by_one_convolutions_and_elementwise_operators_fill_nothing():
    made, _ = by_hand.program(torch.zeros(1, 4, 16, 16), [ONE, RELU, ONE, (aten.mean.dim, [[2, 3]])])
    assert made.plan(some()).fills == {}


def test_layers_with_the_same_presence_share_it_as_an_object():
    made, _ = by_hand.program(torch.zeros(1, 4, 16, 16), [CONV, RELU, ONE, (aten.batch_norm.default, _norm()), RELU])
    found = made.plan(some()).found
    assert found[150] is found[250] is found[350] is found[450] is found[550]


def _norm():
    return [None, None, torch.zeros(4), torch.ones(4), False, 0.1, 1e-5, False]


def test_a_sum_demands_fewer_rings():
    made, _ = residual()
    presence = some(0.05)
    plan = made.plan(presence)
    # Only outputs where x is present survive: one ring in front of the second convolution, two of x in all.
    near = dilate(presence) & ~presence
    assert sorted(filled(plan, 0).tolist()) == (dilate(presence, 2) & ~presence).flatten().nonzero().flatten().tolist()
    assert plan.fills.get(10) is None or not len(filled(plan, 10)) or near.any()
    alone, _ = by_hand.program(torch.zeros(1, 4, 16, 16), [CONV, CONV])
    assert len(filled(alone.plan(presence), 150)) > len(filled(plan, 10))


def test_nothing_is_filled_where_everything_is_present():
    made, _ = residual()
    plan = made.plan(torch.ones(1, 1, 16, 16, dtype=torch.bool))
    assert all(not rings for rings in plan.fills.values())


def test_values_are_dropped_behind_their_last_reader():
    made, _ = residual()
    assert made.dead == {11: (1, 10), 12: (0, 11)}


def test_a_program_without_steps():
    x, presence = torch.randn(2, 3, 4, 4), torch.rand(2, 1, 4, 4) > 0.5
    assert torch.equal(LayerMask(nn.Identity())(x, presence), torch.where(presence, x, 0.0))


def test_the_cut_lies_behind_the_last_call_of_a_module():
    steps = [
        Step(i, aten.relu.default, (Slot(i - 1),), {}, (i - 1,), (1,), path)
        for i, path in enumerate(["stem", "layer1.0", "layer1.0@1", "layer10", "layer1.1", "head"], 5)
    ]
    assert find_cut(steps) == 10
    assert find_cut(steps, "stem") == 5
    assert find_cut(steps, "layer1") == 9
    assert find_cut(steps, "layer1.0") == 7
    assert find_cut([]) == -1
    with pytest.raises(InputError, match="expected a module that the model calls for until, got 'layer2'"):
        find_cut(steps, "layer2")


def test_a_module_that_is_never_called_cannot_be_the_cut():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Identity())
    with pytest.raises(InputError, match="expected a module that the model calls for until, got '1'"):
        LayerMask(model, until="1")(torch.zeros(1, 3, 8, 8), torch.ones(1, 1, 8, 8))


@pytest.mark.parametrize("learning", [False, True])
@pytest.mark.parametrize("until", ["0", "1", "2", "3"])
def test_masking_ends_where_it_is_told(until, learning):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
    model[1].running_mean += 1
    x, presence = torch.randn(2, 3, 8, 8), torch.rand(2, 1, 8, 8) < 0.3
    cut = int(until) + 1
    with torch.set_grad_enabled(learning):
        # Zeros at absent cells of the module's output, and the ordinary rest of the model behind it.
        expected = model[cut:](LayerMask(model[:cut])(x, presence))
        torch.testing.assert_close(LayerMask(model, until=until)(x, presence), expected, atol=1e-5, rtol=1e-5)


def test_masking_ends_for_shortcuts_as_well():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.last = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 2, 3)

        def forward(self, x):
            return self.last(self.conv(x) + x)

    model, x, presence = Block(), torch.randn(1, 3, 8, 8), torch.rand(1, 1, 8, 8) < 0.3
    expected = model.last(LayerMask(model.conv)(x, presence) + x * presence)
    torch.testing.assert_close(LayerMask(model, until="conv")(x, presence), expected, atol=1e-5, rtol=1e-5)


def test_masking_ends_for_lists():
    class Split(nn.Module):
        def forward(self, x):
            return x.relu().chunk(3, 1)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.split = Split()

        def forward(self, x):
            a, b, c = self.split(x)
            return nn.functional.max_pool2d(a - b - c, 3)

    x, presence = torch.randn(1, 3, 9, 9), torch.rand(1, 1, 9, 9) < 0.3
    expected = Block()(x * presence)
    assert torch.equal(LayerMask(Block(), until="split")(x, presence), expected)
