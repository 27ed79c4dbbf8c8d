"""Transposed convolutions against loops over the input cells that reach each output cell."""

from __future__ import annotations

import itertools

import naive
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import aten, check, maps, run
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xai_layermask.engine.ops.base import MaskingSettings
from xai_layermask.maskings.layer import LayerMask

pairs = [st.tuples(st.integers(low, high), st.integers(low, high)) for low, high in ((1, 4), (1, 3), (0, 2), (1, 2))]


def reaching(shape, size, kernel, stride, padding, dilation):
    """For each output cell the input cells that reach it, each with its place in the kernel."""
    found = {cell: [] for cell in itertools.product(*map(range, size))}
    for i, j, u, v in itertools.product(*map(range, (*shape, *kernel))):
        out = (i * stride[0] - padding[0] + u * dilation[0], j * stride[1] - padding[1] + v * dilation[1])
        if out in found:
            found[out].append((i, j, u, v))
    return found


def leaves_gaps(windows, size):
    """Whether some row or column that no input cell reaches lies between others."""
    rows = ["01"[any(windows[i, j] for j in range(size[1]))] for i in range(size[0])]
    columns = ["01"[any(windows[i, j] for i in range(size[0]))] for j in range(size[1])]
    return any("0" in "".join(line).strip("0") for line in (rows, columns))


def by_loops(x, presence, weight, bias, size, stride, padding, dilation, threshold=0.0, zero=False):
    """The value at present output cells, and which are present."""
    filled = x * presence if zero else naive.neighbor_padding(x, presence)[0]
    windows = reaching(x.shape[2:], size, weight.shape[2:], stride, padding, dilation)
    y, shown = np.zeros((len(x), weight.shape[1], *size)), np.zeros((len(x), 1, *size), bool)
    for b, (cell, window) in itertools.product(range(len(x)), windows.items()):
        have = sum(bool(presence[b, 0, i, j]) for i, j, _, _ in window)
        shown[(b, 0, *cell)] = have > 0 and have / len(window) >= threshold - 1e-6
        y[(b, slice(None), *cell)] = bias + sum(filled[b, :, i, j] @ weight[:, :, u, v] for i, j, u, v in window)
    return y, shown


@given(st.integers(0, 2**20), *pairs, st.sampled_from([0.0, 0.05, 0.4, 0.9]), st.sampled_from([0.0, 0.4]))
@settings(max_examples=30)
def test_transposed_convolution(seed, kernel, stride, padding, dilation, fraction, threshold):
    x, presence = maps(seed, n=1, c=2, h=5, w=4, fraction=fraction)
    extra = [min(1, s - 1) for s in stride]
    weight, bias = torch.randn(2, 3, *kernel, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    arguments = [weight, bias, list(stride), list(padding), extra, 1, list(dilation)]
    try:
        size = tuple(aten.conv_transpose2d.input(x, *arguments).shape[2:])
    except RuntimeError:
        return
    if min(size) < 1 or leaves_gaps(reaching((5, 4), size, kernel, stride, padding, dilation), size):
        return
    chain, modes = [(aten.conv_transpose2d.input, arguments)], MaskingSettings(threshold=threshold)
    y, mask = check(x, presence, chain, modes)
    numbers = [one.numpy() for one in (x, presence, weight, bias)]
    expected, shown = by_loops(*numbers, size, stride, padding, dilation, threshold)
    assert np.array_equal(mask.numpy(), shown)
    keep = np.broadcast_to(shown, expected.shape)
    np.testing.assert_allclose(y.numpy()[keep], expected[keep], atol=1e-9)


def test_zero_and_partial_padding():
    x, presence = maps(1, n=1, c=2, h=5, w=4)
    weight, bias = torch.randn(2, 3, 3, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    chain = [(aten.conv_transpose2d.input, [weight, bias, [2, 2], [1, 1], [1, 1]])]
    numbers = [one.numpy() for one in (x, presence, weight, bias)]
    expected, shown = by_loops(*numbers, (10, 8), (2, 2), (1, 1), (1, 1), zero=True)
    y, _ = check(x, presence, chain, MaskingSettings(padding="zero"))
    keep = np.broadcast_to(shown, expected.shape)
    np.testing.assert_allclose(y.numpy()[keep], expected[keep], atol=1e-9)
    y, _ = check(x, presence, chain, MaskingSettings(padding="partial"))
    for (i, j), window in reaching((5, 4), (10, 8), (3, 3), (2, 2), (1, 1), (1, 1)).items():
        have = sum(bool(presence[0, 0, u, v]) for u, v, _, _ in window)
        if have:
            scaled = (expected[0, :, i, j] - bias.numpy()) * len(window) / have + bias.numpy()
            np.testing.assert_allclose(y[0, :, i, j].numpy(), scaled, atol=1e-9)


def test_cells_at_the_edge_that_no_input_reaches_are_a_border():
    """They hold the bias, in the model as well."""
    x, presence = maps(2, c=2)
    up = nn.ConvTranspose2d(2, 3, 2, stride=2, output_padding=1).double()
    conv = nn.Conv2d(3, 2, 3, padding=1).double()
    net = nn.Sequential(up, conv)
    torch.testing.assert_close(LayerMask(net)(x, torch.ones_like(presence)), net(x))
    y = LayerMask(net)(x, presence)
    shown, inside = torch.zeros(2, 1, 13, 17, dtype=torch.bool), np.zeros((2, 1, 13, 17), bool)
    shown[:, :, :12, :16] = presence.repeat_interleave(2, 2).repeat_interleave(2, 3)
    inside[:, :, :12, :16] = True
    start = torch.where(shown | ~torch.from_numpy(inside), up(x), 0.0)
    filled, _ = naive.neighbor_padding(start.detach().numpy(), shown.numpy(), inside=inside)
    grown = F.max_pool2d(shown.double(), 3, 1, 1).bool()
    torch.testing.assert_close(y, torch.where(grown, conv(torch.from_numpy(filled)), 0.0))


@pytest.mark.parametrize("options", [{"stride": 3}, {"stride": 2, "dilation": 2}])
def test_gaps_between_the_cells_that_are_reached_are_refused(options):
    (found,) = LayerMask(nn.ConvTranspose2d(3, 4, 2, **options)).unsupported((1, 3, 8, 8))
    assert found == ("aten.conv_transpose2d.input", "")
    assert found.reason == "its stride leaves gaps: some output cells depend on no input cell"


def test_a_small_u_net():
    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.deep = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, stride=2, padding=1)
            self.up, self.out = nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Conv2d(8, 2, 3, padding=1)

        def forward(self, x):
            y = F.relu(self.down(x))
            return self.out(torch.cat([y, self.up(F.relu(self.deep(y)))], 1))

    model, (x, presence) = UNet().double(), maps(3, c=3)
    masked = LayerMask(model)
    torch.testing.assert_close(masked(x, torch.ones_like(presence)), model(x))
    y = masked(x, presence)
    assert torch.equal(masked(torch.where(presence, x, float("nan")), presence), y)
    assert masked(x, presence & False).isfinite().all()


@pytest.mark.parametrize("stride", [1, 2])
def test_a_line(stride):
    x, presence = maps(4, c=2)
    line = nn.ConvTranspose1d(2, 3, 3, stride=stride).double()

    class Line(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = line

        def forward(self, x):
            return self.line(x.mean(2))

    y = LayerMask(Line())(x, presence)
    flat, shown = (x * presence).sum(2) / presence.sum(2).clamp(min=1), presence.any(2)
    weight, bias = line.weight.detach()[:, :, None], line.bias.detach()
    chain = [(aten.conv_transpose2d.input, [weight, bias, [1, stride]])]
    expected, mask = run(flat[:, :, None], shown[:, :, None], chain)
    torch.testing.assert_close(y, torch.where(mask, expected, 0.0)[:, :, 0])
