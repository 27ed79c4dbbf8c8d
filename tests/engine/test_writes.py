"""Writes to parts of tensors that are read again."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, maps
from torch import nn

from xai_layermask.maskings.layer import LayerMask


def shifted(x):
    """Quarters of the channels, moved by one cell in each direction (shift networks)."""
    y = torch.zeros_like(x)
    y[:, :1, 1:] = x[:, :1, :-1]
    y[:, 1:2, :-1] = x[:, 1:2, 1:]
    y[:, 2:3, :, 1:] = x[:, 2:3, :, :-1]
    y[:, 3:, :, :-1] = x[:, 3:, :, 1:]
    return y


def partly(x):
    """One half of the channels goes through an operator (partial convolution of FasterNet)."""
    y = x.clone()
    y[:, :2] = y[:, :2].sin()
    return y


def selected(x):
    y = x * 2
    y[:, 1] = x[:, 0]
    y[:, -1] += 1
    return y


def read_under_another_name(x):
    y = x * 2
    first, last = y[:, :2], y[:, 2:]
    y[:, 1:3] *= 3
    return first + last


def several_dimensions(x):
    y = x * 1
    y[:, :, 2:4, 3:] = x[:, :1, 2:4, 3:] ** 2
    return y


@pytest.mark.parametrize("function", [shifted, partly, selected, read_under_another_name, several_dimensions])
def test_writes_to_parts(function):
    x, presence = maps(0)
    masked = LayerMask(Function(function))
    assert masked.unsupported((2, 4, 6, 8)) == []
    torch.testing.assert_close(masked(x, torch.ones_like(presence)), function(x))
    y = masked(x, presence)
    assert torch.equal(masked(torch.where(presence, x, float("nan")), presence), y)
    if function is not shifted:
        torch.testing.assert_close(y, torch.where(presence, function(x), 0.0))


def test_a_shift_moves_presence_with_the_value():
    x, presence = maps(1)

    def down(x):
        y = torch.zeros_like(x)
        y[:, :, 1:] = x[:, :, :-1]
        return y

    y = LayerMask(Function(lambda x: F.max_pool2d(down(x).exp(), 1)))(x, presence)
    moved = F.pad(presence, (0, 0, 1, 0), value=True)[:, :, :-1]
    torch.testing.assert_close(y, torch.where(moved, down(x).exp(), 0.0))


def test_a_write_of_a_constant_is_present():
    x, presence = maps(2)

    def cleared(x):
        y = x * 1
        y[:, :, 0] = 0.5
        return y

    y = LayerMask(Function(cleared))(x, presence)
    shown = presence.clone()
    shown[:, :, 0] = True
    torch.testing.assert_close(y, torch.where(shown, cleared(x), 0.0))


def test_the_model_itself_is_not_written():
    conv = nn.Conv2d(4, 4, 1).double()

    def function(x, conv):
        y = conv(x)
        y[:, :2] *= 2
        return conv(y).mean((2, 3))

    x, presence = maps(3)
    model = Function(function, conv)
    torch.testing.assert_close(LayerMask(model)(x, torch.ones_like(presence)), model(x))


@pytest.mark.parametrize("function", [lambda y: y[:, ::2].mul_(2), lambda y: y.flatten()[:5].mul_(2)])
def test_other_writes_are_refused(function):
    def hidden(x):
        y = x * 1
        function(y)
        return y

    (found,) = LayerMask(Function(hidden)).unsupported((1, 4, 8, 8))
    assert found == ("aten.mul_.Tensor", "")
    assert found.reason.startswith("it writes to memory that is read again under another name")
