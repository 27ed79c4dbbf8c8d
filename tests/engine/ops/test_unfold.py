"""Columns of windows, and columns added up, against loops."""

from __future__ import annotations

import itertools

import naive
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, aten, check, maps, run
from torch import nn

from xai_layermask.engine.ops.base import MaskingSettings
from xai_layermask.maskings.layer import LayerMask

SIZES = [((3, 3), (1, 1), (1, 1), (1, 1)), ((2, 3), (1, 1), (0, 0), (1, 2)), ((3, 2), (2, 1), (0, 1), (1, 1))]


@pytest.mark.parametrize(("kernel", "dilation", "padding", "stride"), SIZES)
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5])
def test_windows_that_overlap_are_filled(kernel, dilation, padding, stride, fraction):
    x, presence = maps(0, fraction=fraction)
    arguments = [list(one) for one in (kernel, dilation, padding, stride)]
    y, mask = check(x, presence, [(aten.im2col.default, arguments)])
    filled, _ = naive.neighbor_padding(x.numpy(), presence.numpy())
    expected = aten.im2col.default(torch.from_numpy(filled), *arguments)
    size = [1 + (n + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] for i, n in enumerate((6, 8))]
    shown = naive.pooled_presence(presence.numpy(), kernel, stride, padding, dilation, size).reshape(2, 1, -1)
    assert np.array_equal(mask.numpy(), shown)
    keep = torch.from_numpy(shown).expand_as(y)
    torch.testing.assert_close(y[keep], expected[keep])


def test_columns_of_a_map_whose_channels_differ():
    """Even channels are the upper half of the image, odd ones the lower half."""
    x, presence = maps(6, fraction=0.7)

    def halves(x):
        return x.reshape(len(x), 8, 3, 8)

    y = LayerMask(Function(lambda x: F.unfold(halves(x), 3, padding=1)))(x, presence)
    shown = halves(presence.expand_as(x)).all(1, keepdim=True)
    filled, _ = naive.neighbor_padding(halves(x).numpy(), shown.numpy())
    columns = F.unfold(torch.from_numpy(filled), 3, padding=1)
    windows = F.max_pool2d(shown.double(), 3, 1, 1).flatten(2) > 0
    torch.testing.assert_close(y, torch.where(windows, columns, 0.0))


def test_a_convolution_by_hand_is_the_convolution():
    """The soft split of T2T: windows as columns, then a linear layer."""

    class Split(nn.Module):
        def __init__(self, conv):
            super().__init__()
            self.conv = conv

        def forward(self, x):
            columns = F.unfold(x, 3, padding=1, stride=2).transpose(1, 2)
            return F.linear(columns, self.conv.weight.flatten(1), self.conv.bias)

    conv, (x, presence) = nn.Conv2d(4, 5, 3, stride=2, padding=1).double(), maps(1)
    for padding in ("neighbor", "zero", "partial"):
        y = LayerMask(Split(conv), padding=padding)(x, presence)
        torch.testing.assert_close(y, LayerMask(conv, padding=padding)(x, presence).flatten(2).transpose(1, 2))


def test_windows_that_do_not_overlap_keep_each_cell_as_it_is():
    x, presence = maps(2)
    y, mask = check(x, presence, [(aten.im2col.default, [[2, 2], [1, 1], [0, 0], [2, 2]])])
    shown = F.unfold(presence.expand_as(x).double(), 2, stride=2).bool()
    assert torch.equal(mask.expand_as(y), shown)
    torch.testing.assert_close(y[shown], F.unfold(x, 2, stride=2)[shown])


@pytest.mark.parametrize(("kernel", "dilation", "padding", "stride"), SIZES)
def test_columns_added_up(kernel, dilation, padding, stride):
    """Each cell is the mean over the present entries that reach it, times all entries that reach it."""
    x, presence = maps(3)
    arguments = [list(one) for one in (kernel, dilation, padding, stride)]
    places = [list(one) for one in (kernel, dilation, padding, stride)]
    rows = [
        [o * s - p + u * d for u in range(k)]
        for n, k, s, p, d in [(6, kernel[0], stride[0], padding[0], dilation[0])]
        for o in range((n + 2 * p - d * (k - 1) - 1) // s + 1)
    ]
    cols = [
        [o * s - p + u * d for u in range(k)]
        for n, k, s, p, d in [(8, kernel[1], stride[1], padding[1], dilation[1])]
        for o in range((n + 2 * p - d * (k - 1) - 1) // s + 1)
    ]
    chain = [(aten.im2col.default, arguments), (aten.exp.default, []), (aten.col2im.default, [[6, 8], *places])]
    y, mask = check(x, presence, chain)
    columns, shown = run(x, presence, chain[:1])
    columns = columns.exp().reshape(2, 4, *kernel, len(rows), len(cols))
    shown = shown.reshape(2, len(rows), len(cols))
    for b, i, j in itertools.product(range(2), range(6), range(8)):
        reach = [
            (u, v, r, c)
            for (r, row), (c, col) in itertools.product(enumerate(rows), enumerate(cols))
            for u, v in itertools.product(range(kernel[0]), range(kernel[1]))
            if row[u] == i and col[v] == j
        ]
        have = [one for one in reach if shown[b, one[2], one[3]]]
        assert bool(mask[b, 0, i, j]) == bool(have)
        if have:
            expected = sum(columns[b, :, u, v, r, c] for u, v, r, c in have) * len(reach) / len(have)
            torch.testing.assert_close(y[b, :, i, j], expected)


def test_attention_within_patches_sees_present_cells_alone():
    """MobileViTv2: a softmax over patches, for each place within a patch."""

    def attend(x):
        columns = F.unfold(x, 2, stride=2).reshape(len(x), 4, 4, -1)
        columns = columns * columns.softmax(-1)
        return F.fold(columns.reshape(len(x), 16, -1), (6, 8), 2, stride=2)

    x, presence = maps(4)
    masked = LayerMask(Function(attend))
    torch.testing.assert_close(masked(x, torch.ones_like(presence)), attend(x))
    expected = torch.zeros_like(x)
    for b, c, i, j in itertools.product(range(2), range(4), range(2), range(2)):
        cells, shown = x[b, c, i::2, j::2], presence[b, 0, i::2, j::2]
        weights = torch.where(shown, cells, -torch.inf).flatten().softmax(0).view_as(cells)
        expected[b, c, i::2, j::2] = torch.where(shown, cells * weights, 0.0)
    torch.testing.assert_close(masked(x, presence), expected)
    assert torch.equal(masked(torch.where(presence, x, float("nan")), presence), masked(x, presence))


def test_settings_reach_columns():
    x, presence = maps(5)
    chain = [(aten.im2col.default, [[3, 3], [1, 1], [1, 1], [1, 1]])]
    y, mask = check(x, presence, chain, MaskingSettings(padding="zero", threshold=0.5))
    shown = naive.pooled_presence(presence.numpy(), (3, 3), (1, 1), (1, 1), (1, 1), (6, 8), 0.5).reshape(2, 1, -1)
    assert np.array_equal(mask.numpy(), shown)
    expected = F.unfold(x * presence, 3, padding=1)
    torch.testing.assert_close(y[mask.expand_as(y)], expected[mask.expand_as(y)])


def test_the_mean_of_overlapping_patches_is_as_precise_as_the_image():
    def overlap(x):
        return F.fold(F.unfold(x, 3), (8, 9), 3)

    torch.manual_seed(0)
    x, presence = torch.full((2, 3, 8, 9), 1 / 3, dtype=torch.float64), torch.rand(2, 1, 8, 9) < 0.2
    found = LayerMask(Function(overlap).eval())(x, presence)
    entries = F.fold(F.unfold(torch.ones_like(x), 3), (8, 9), 3)
    seen = found != 0
    assert seen.any() and not seen.all()
    assert ((found - entries / 3).abs()[seen] < 1e-14).all()
