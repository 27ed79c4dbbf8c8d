"""Writes to memory that is read again under another name."""

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


def _slice(y):
    y[:, :2].relu_()
    return y


def _rows(y):
    y[:, :, ::2] *= 2
    return y


def _row(y):
    y[:, :, 1] = y[:, :, 2]
    return y


def _channel(y):
    y[:, 0].sigmoid_()
    return y


def _zeros(y):
    y[:, :, :3] = 0
    return y


def _view(y):
    y.view(y.shape[0], 4, -1).relu_()
    return y


def _split(y):
    first, _ = torch.chunk(y, 2, 1)
    first.mul_(2)
    return y


def _flat(y):
    y.flatten()[:5].mul_(2)
    return y


def _dropped(y):
    F.dropout(y, training=False).relu_()
    return y


#: Writes to memory that is read again under another name, and the same without writing.
HIDDEN = {
    "slice of channels": (_slice, lambda y: torch.cat([y[:, :2].relu(), y[:, 2:]], 1)),
    "every second row": (_rows, lambda y: y * torch.tensor([2.0, 1.0] * 3, dtype=y.dtype).view(6, 1)),
    "one row": (_row, lambda y: torch.cat([y[:, :, :1], y[:, :, 2:3], y[:, :, 2:]], 2)),
    "one channel": (_channel, lambda y: torch.cat([y[:, :1].sigmoid(), y[:, 1:]], 1)),
    "zeros": (_zeros, lambda y: torch.cat([torch.zeros(2, 4, 3, 8, dtype=y.dtype), y[:, :, 3:]], 2)),
    "view": (_view, lambda y: y.relu()),
    "part of a split": (_split, lambda y: torch.cat([y[:, :2] * 2, y[:, 2:]], 1)),
    "part of a flat view": (_flat, lambda y: torch.cat([y.flatten()[:5] * 2, y.flatten()[5:]]).view_as(y)),
    "what dropout returns": (_dropped, lambda y: y.relu()),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_writing_to_memory_that_is_read_under_another_name(name):
    hidden, plain = HIDDEN[name]
    first, second = (nn.Conv2d(4, 4, 3, padding=1).double() for _ in range(2))
    models = [
        Function(lambda x, a, b, write=write: (b(write(a(x))), write(a(x)).mean((2, 3))), first, second)
        for write in (hidden, plain)
    ]
    x, presence = maps(9, fraction=0.2)
    presence[1, :, :, 4:] = False
    for found, expected in zip(*(LayerMask(model)(x, presence) for model in models), strict=True):
        torch.testing.assert_close(found, expected)
    with torch.no_grad():
        for found, expected in zip(*(LayerMask(model)(x, presence) for model in models), strict=True):
            torch.testing.assert_close(found, expected)


def test_writing_to_the_image_changes_only_a_copy():
    def write(x):
        x[:, :, :3] = 1
        return x.relu_() + x

    x, presence = maps(10)
    before, own = x.clone(), write(x.clone())
    shown = presence.clone()
    shown[:, :, :3] = True
    assert torch.equal(LayerMask(Function(write))(x, presence), torch.where(shown, own, 0.0))
    assert torch.equal(x, before)
