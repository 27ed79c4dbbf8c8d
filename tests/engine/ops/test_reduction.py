"""Means, maxima, norms over space and resizing against loops over present cells."""

from __future__ import annotations

import by_hand
import naive
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, aten, maps
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xai_layermask.engine.ops.base import MaskingSettings
from xai_layermask.maskings import LayerMask

cases = given(st.integers(0, 2**20), st.sampled_from([0.0, 0.03, 0.4, 1.0]))
few = settings(max_examples=15)


def close(found, expected):
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-9)


@cases
@few
def test_global_mean_sum_and_maximum(seed, fraction):
    x, presence = maps(seed, fraction=fraction)
    mean = naive.mean_present(x.numpy(), presence.numpy())
    largest = naive.max_present(x.numpy(), presence.numpy())
    for operator, arguments, expected in (
        (aten.mean.dim, [[2, 3]], mean),
        (aten.mean.dim, [[-1, -2], True], mean[:, :, None, None]),
        (aten.sum.dim_IntList, [[2, 3]], mean * 48),
        (aten.amax.default, [[2, 3]], largest),
        (aten.adaptive_avg_pool2d.default, [[1, 1]], mean[:, :, None, None]),
        (aten.avg_pool2d.default, [[6, 8]], mean[:, :, None, None]),
    ):
        y, mask = by_hand.run(x, presence, [(operator, arguments)])
        assert mask is None
        close(y, expected)


def test_reductions_over_channels_as_well():
    x, presence = maps(9)
    mean = torch.stack([one[:, mask[0]].mean() for one, mask in zip(x, presence, strict=True)])
    for operator, expected in ((aten.mean.dim, mean), (aten.sum.dim_IntList, mean * 4 * 48)):
        y, mask = by_hand.run(x, presence, [(operator, [[1, 2, 3]])])
        assert mask is None
        close(y, expected)


@cases
@few
def test_reductions_that_leave_some_space(seed, fraction):
    x, presence = maps(seed, fraction=fraction)
    shown = presence.numpy()
    rows = np.zeros((2, 4, 6))
    for b, c, i in np.ndindex(2, 4, 6):
        cells = x[b, c, i][presence[b, 0, i]].numpy()
        rows[b, c, i] = cells.mean() if len(cells) else 0
    y, mask = by_hand.run(x, presence, [(aten.mean.dim, [[3], True])])
    assert np.array_equal(mask.numpy(), shown.any(3, keepdims=True))
    close(y, rows[..., None])
    y, mask = by_hand.run(x, presence, [(aten.mean.dim, [[1], True])])
    assert np.array_equal(mask.numpy(), shown)
    close(y, np.where(shown, x.mean(1, keepdim=True), 0))
    y, mask = by_hand.run(x, presence, [(aten.amax.default, [[1]])])
    assert np.array_equal(mask.numpy(), shown[:, 0])
    close(y, np.where(shown[:, 0], x.amax(1), 0))


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (6, 8), (7, 9), (1, 3)])
def test_adaptive_pools(size):
    for seed, fraction in enumerate((0.0, 0.1, 0.5, 1.0)):
        x, presence = maps(seed, fraction=fraction)
        mean = naive.regions(x.numpy(), presence.numpy(), size, naive.mean_present)
        y, mask = by_hand.run(x, presence, [(aten.adaptive_avg_pool2d.default, [list(size)])])
        assert mask is None
        close(y, mean)
        largest = naive.regions(x.numpy(), presence.numpy(), size, naive.max_present)
        (y, places), _ = by_hand.run(x, presence, [(aten.adaptive_max_pool2d.default, [list(size)])])
        close(y, largest)
        # Where a region holds a present cell, its place is that of a present cell with this value.
        values, shown = x.flatten(2).gather(2, places.flatten(2)), presence.expand_as(x).flatten(2)
        found = naive.regions(presence.numpy(), presence.numpy(), size, naive.max_present)[:, :1] > 0
        found = torch.from_numpy(found).expand_as(y).flatten(2)
        assert shown.gather(2, places.flatten(2))[found].all()
        assert torch.equal(values[found], y.flatten(2)[found])


def test_a_pool_as_large_as_the_map_that_is_no_mean():
    x, presence = maps(0)
    y, _ = by_hand.run(x, torch.ones_like(presence), [(aten.avg_pool2d.default, [[6, 8], [1], [0], False, True, 5])])
    close(y, x.sum((2, 3), keepdim=True) / 5)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_norm(groups):
    torch.manual_seed(0)
    weight, bias = torch.randn(2, 4, dtype=torch.float64)
    for seed, fraction in enumerate((0.0, 0.1, 0.5, 1.0)):
        x, presence = maps(seed, fraction=fraction)
        y, mask = by_hand.run(x, presence, [(aten.group_norm.default, [groups, weight, bias, 1e-5])])
        expected = naive.group_norm(x.numpy(), presence.numpy(), groups)
        expected = expected * weight.view(-1, 1, 1).numpy() + bias.view(-1, 1, 1).numpy()
        assert torch.equal(mask, presence)
        close(y, np.where(presence, expected, 0))


def test_instance_norm_over_present_cells():
    x, presence = maps(1)
    norm = nn.InstanceNorm2d(4, affine=True).double().eval()
    norm.weight.data, norm.bias.data = torch.randn(2, 4, dtype=torch.float64)
    masked = LayerMask(nn.Sequential(norm))
    close(masked(x, torch.ones_like(presence)).detach(), norm(x).detach())
    expected = naive.group_norm(x.numpy(), presence.numpy(), 4) * norm.weight.data.view(-1, 1, 1).numpy()
    close(masked(x, presence).detach(), np.where(presence, expected + norm.bias.data.view(-1, 1, 1).numpy(), 0))


def test_group_norm_where_presence_differs_between_channels():
    x, presence = maps(2, fraction=0.6)
    chain = [(aten.pixel_unshuffle.default, [2]), (aten.group_norm.default, [2, None, None, 1e-5])]
    y, mask = by_hand.run(x, presence, chain)
    deep, shown = F.pixel_unshuffle(x, 2), F.pixel_unshuffle(presence.expand_as(x).double(), 2).bool()
    assert torch.equal(mask, shown)
    for b in range(2):
        for part in (slice(0, 8), slice(8, 16)):
            cells = deep[b, part][shown[b, part]]
            expected = (cells - cells.mean()) / (cells.var(unbiased=False) + 1e-5).sqrt()
            torch.testing.assert_close(y[b, part][shown[b, part]], expected)


def test_layer_norm_over_channels_and_over_space():
    torch.manual_seed(0)
    weight, bias = torch.randn(2, 4, 6, 8, dtype=torch.float64)
    x, presence = maps(3)
    y, mask = by_hand.run(x, presence, [(aten.layer_norm.default, [[4, 6, 8], weight, bias, 1e-5])])
    expected = naive.group_norm(x.numpy(), presence.numpy(), 1) * weight.numpy() + bias.numpy()
    assert torch.equal(mask, presence)
    close(y, np.where(presence, expected, 0))
    chain = [(aten.permute.default, [[0, 2, 3, 1]]), (aten.layer_norm.default, [[4], weight[:, 0, 0], bias[:, 0, 0]])]
    y, mask = by_hand.run(x, presence, chain)
    own = F.layer_norm(x.permute(0, 2, 3, 1), (4,), weight[:, 0, 0], bias[:, 0, 0])
    shown = presence.permute(0, 2, 3, 1)
    assert torch.equal(mask, shown)
    torch.testing.assert_close(y, torch.where(shown, own, 0.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_norms_are_as_exact_as_pytorchs_own(dtype):
    x = (torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0)) + 30).to(dtype)
    y, _ = by_hand.run(x, torch.ones(2, 1, 9, 9, dtype=torch.bool), [(aten.group_norm.default, [2, None, None, 1e-5])])
    assert y.dtype == dtype
    exact = F.group_norm(x.double(), 2)
    assert (y.double() - exact).abs().max() <= 2 * (F.group_norm(x, 2).double() - exact).abs().max() + 1e-5


@pytest.mark.parametrize("how", ["nearest", "nearest-exact", "bilinear", "bicubic", "bilinear-aligned", "bilinear-aa"])
@pytest.mark.parametrize("size", [(12, 16), (7, 11), (2, 2)])
def test_resize(how, size):
    check_resize(how, size, "neighbor")


def check_resize(how, size, mode):
    name, _, flag = how.partition("-")
    if how == "nearest-exact":
        name, flag = how, ""
    corners = {"align_corners": flag == "aligned"} if name in ("bilinear", "bicubic") else {}

    def resized(x):
        return F.interpolate(x, size, mode=name, antialias=flag == "aa", **corners)

    masked = LayerMask(Function(resized), padding=mode)
    for seed, fraction in enumerate((0.1, 0.5, 1.0)):
        x, presence = maps(seed, fraction=fraction)
        nearest = name if name.startswith("nearest") else "nearest"
        shown = F.interpolate(presence.double(), size, mode=nearest) > 0
        filled = naive.neighbor_padding(x.numpy(), presence.numpy(), None if mode == "neighbor" else 0)[0]
        expected = resized(torch.from_numpy(filled))
        torch.testing.assert_close(masked(x, presence), torch.where(shown, expected, 0.0))


def test_resize_over_zeros():
    check_resize("bilinear", (7, 11), "zero")


@pytest.mark.parametrize("scale", [1.5, 0.6])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear"])
def test_resize_by_a_factor_that_does_not_divide(scale, mode):
    def resized(x):
        return F.interpolate(x, scale_factor=scale, mode=mode)

    x, presence = maps(5, fraction=0.3)
    y = LayerMask(Function(resized))(x, presence)
    filled = torch.from_numpy(naive.neighbor_padding(x.numpy(), presence.numpy())[0])
    keep = y != 0
    torch.testing.assert_close(y[keep], resized(filled)[keep])
    assert keep.any()


@pytest.mark.parametrize("how", ["bilinear", "bicubic", "bilinear-aa", "bilinear-aligned"])
def test_a_smaller_picture_looks_far_around(how):
    name, _, flag = how.partition("-")

    def resized(x):
        return F.interpolate(x, (2, 2), mode=name, antialias=flag == "aa", align_corners=flag == "aligned")

    x, presence = maps(0, n=1, h=12, w=16)
    presence[:] = False
    presence[..., 0, 0] = True
    filled = torch.from_numpy(naive.neighbor_padding(x.numpy(), presence.numpy())[0])
    found = LayerMask(Function(resized))(x, presence)
    torch.testing.assert_close(found[..., 0, 0], resized(filled)[..., 0, 0])
    assert found.ne(0).sum() == 4


def test_a_mean_in_another_type():
    x, presence = maps(0)
    masked = LayerMask(Function(lambda x: x.mean((2, 3), dtype=torch.float64)))
    y = masked(x.float(), presence)
    assert y.dtype == torch.float64
    close(y, naive.mean_present(x.float().double().numpy(), presence.numpy()))


def test_means_of_a_border_count_as_the_model_counts_them():
    model = nn.Sequential(nn.ConstantPad2d(1, 2.0), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x, presence = maps(0)
    y = LayerMask(model)(x, presence)
    for b in range(2):
        cells = torch.cat([x[b][presence[b].expand(4, 6, 8)].view(4, -1), torch.full((4, 32), 2.0)], 1)
        torch.testing.assert_close(y[b], cells.mean(1))


def parts_of(x):
    """The four quarters of maps, as rows of a batch."""
    return x.unflatten(3, (2, -1)).unflatten(2, (2, -1)).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


POOLS = {
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
    "mean": lambda x: x.mean((2, 3)),
    "maximum": lambda x: F.adaptive_max_pool2d(x, 1).flatten(1),
    "map": lambda x: F.adaptive_avg_pool2d(x, (2, 1)).mean((2, 3)),
}


@pytest.mark.parametrize("pool", POOLS)
def test_parts_of_an_image_that_are_pooled_apart_are_absent_if_nothing_of_them_is_present(pool):
    x, presence = maps(0, n=3)
    presence[:2, :, :3, :4] = False
    presence[1, :, 3:] = False
    model = Function(lambda x: POOLS[pool](parts_of(x)).add(1).unflatten(0, (-1, 4)).mean(1))
    pooled = LayerMask(Function(lambda x: POOLS[pool](x)))(parts_of(x), parts_of(presence))
    shown = parts_of(presence).flatten(1).any(1)
    expected = [one[kept].add(1).mean(0) for one, kept in zip(pooled.split(4), shown.split(4), strict=True)]
    torch.testing.assert_close(LayerMask(model)(x, presence), torch.stack(expected))
    torch.testing.assert_close(LayerMask(model)(x[:1], presence[:1])[0], expected[0])


def test_a_sum_of_cells_that_float16_cannot_hold_has_a_mean():
    x, presence = torch.full((1, 2, 64, 64), 40.0, dtype=torch.float16), torch.ones(1, 1, 64, 64)
    presence[..., 0] = 0
    for options in ({}, {"rescale": False}):
        y = LayerMask(Function(lambda x: F.adaptive_avg_pool2d(x, 1)), **options)(x, presence)
        assert y.dtype == torch.float16
        torch.testing.assert_close(y.float().flatten(), torch.full((2,), 40.0 if not options else 40 * 63 / 64))


def test_nothing_is_filled_for_a_resize_that_picks():
    made, _ = by_hand.program(torch.zeros(1, 4, 6, 8), [(aten.upsample_nearest2d.default, [[12, 16]])])
    assert made.plan(torch.rand(1, 1, 6, 8) > 0.5).fills == {}
    made, _ = by_hand.program(
        torch.zeros(1, 4, 6, 8),
        [(aten.upsample_bilinear2d.default, [[12, 16], False])],
        MaskingSettings(padding="zero"),
    )
    assert made.plan(torch.rand(1, 1, 6, 8) > 0.5).fills == {}
