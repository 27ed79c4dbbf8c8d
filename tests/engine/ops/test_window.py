"""Convolution, pooling and borders against loops over windows."""

from __future__ import annotations

import by_hand
import naive
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import aten
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xai_layermask.engine.ops.base import MaskingSettings
from xai_layermask.errors import UnsupportedOperator
from xai_layermask.maskings import LayerMask

NEGATIVE = float("-inf")
pairs = [st.tuples(st.integers(low, high), st.integers(low, high)) for low, high in ((1, 4), (1, 3), (0, 3), (1, 2))]


def draw_maps(seed, n=2, c=4, h=8, w=7, fraction=0.4):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, c, h, w, dtype=torch.float64, generator=generator)
    return x, torch.rand(n, 1, h, w, generator=generator) < fraction


def out_size(shape, kernel, stride, padding, dilation):
    return tuple(
        (length + 2 * p - d * (k - 1) - 1) // s + 1
        for length, k, s, p, d in zip(shape, kernel, stride, padding, dilation, strict=True)
    )


def agree(y, mask, expected, presence):
    """Values at present cells, and presence itself."""
    assert np.array_equal(mask.numpy(), presence)
    keep = np.broadcast_to(presence, expected.shape)
    np.testing.assert_allclose(y.detach().numpy()[keep], expected[keep], atol=1e-9)


def weights(outputs, inputs, kernel, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(outputs, inputs, *kernel, dtype=torch.float64, generator=generator),
        torch.randn(outputs, dtype=torch.float64, generator=generator),
    ]


@given(st.integers(0, 2**20), *pairs, st.sampled_from([1, 2, 4]), st.sampled_from([0.0, 0.02, 0.2, 0.5, 0.9]))
@settings(max_examples=40)
def test_convolution(seed, kernel, stride, padding, dilation, groups, fraction):
    x, presence = draw_maps(seed, n=1, fraction=fraction)
    size = out_size(x.shape[2:], kernel, stride, padding, dilation)
    if min(size) < 1:
        return
    weight, bias = weights(4, 4 // groups, kernel)
    y, mask = by_hand.run(
        x, presence, [(aten.conv2d.default, [weight, bias, list(stride), list(padding), list(dilation), groups])]
    )
    rounds = max(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
    filled, _ = naive.neighbor_padding(x.numpy(), presence.numpy(), rounds)
    expected = naive.convolve(filled, weight.numpy(), bias.numpy(), stride, padding, dilation, groups)
    agree(y, mask, expected, naive.pooled_presence(presence.numpy(), kernel, stride, padding, dilation, size))


def convolved(x, presence, layers, padding="neighbor", threshold=0.0):
    """A chain of 3 x 3 convolutions, naively: each padded in full, its absent outputs forgotten."""
    x, presence = x.numpy(), presence.numpy()
    for weight, bias, stride in layers:
        size = out_size(x.shape[2:], (3, 3), (stride,) * 2, (1, 1), (1, 1))
        filled = naive.neighbor_padding(x, presence, 2 if padding == "neighbor" else 0)[0]
        x = naive.convolve(filled, weight.numpy(), bias.numpy(), (stride,) * 2, (1, 1), (1, 1), 1)
        presence = naive.pooled_presence(presence, (3, 3), (stride,) * 2, (1, 1), (1, 1), size, threshold)
        x = np.where(presence, x, 0)
    return x, presence


@pytest.mark.parametrize("padding", ["neighbor", "zero"])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5])
def test_chains_need_no_masks_in_between(padding, threshold):
    layers = [(*weights(4, 4, (3, 3), seed), stride) for seed, stride in ((1, 1), (2, 2), (3, 1))]
    chain = [(aten.conv2d.default, [w, b, [s, s], [1, 1]]) for w, b, s in layers]
    for seed, fraction in enumerate((0.02, 0.1, 0.3, 0.6)):
        x, presence = draw_maps(seed, fraction=fraction)
        y, mask = by_hand.run(x, presence, chain, MaskingSettings(padding=padding, threshold=threshold))
        agree(y, mask, *convolved(x, presence, layers, padding, threshold))


def partial_convolution(x, presence, weight, bias, stride, padding):
    """Each window over its present cells, times its cells inside the image over its present cells."""
    n, _, h, w = x.shape
    k = weight.shape[2:]
    size = out_size((h, w), k, stride, padding, (1, 1))
    y = np.zeros((n, len(weight), *size))
    for b in range(n):
        for i, j in np.ndindex(size):
            total, inside, present = 0.0, 0, 0
            for u, v in np.ndindex(*k):
                r, c = i * stride[0] - padding[0] + u, j * stride[1] - padding[1] + v
                if 0 <= r < h and 0 <= c < w:
                    inside += 1
                    if presence[b, 0, r, c]:
                        present += 1
                        total = total + weight[:, :, u, v] @ x[b, :, r, c]
            y[b, :, i, j] = (total * inside / present if present else 0.0) + bias
    return y


@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (1, 1)), ((2, 1), (0, 1)), ((2, 2), (2, 0))])
def test_partial_convolution(stride, padding):
    weight, bias = weights(3, 4, (3, 3))
    for seed in range(3):
        x, presence = draw_maps(seed)
        chain = [(aten.conv2d.default, [weight, bias, list(stride), list(padding)])]
        y, mask = by_hand.run(x, presence, chain, MaskingSettings(padding="partial"))
        size = out_size(x.shape[2:], (3, 3), stride, padding, (1, 1))
        expected = partial_convolution(x.numpy(), presence.numpy(), weight.numpy(), bias.numpy(), stride, padding)
        shown = naive.pooled_presence(presence.numpy(), (3, 3), stride, padding, (1, 1), size)
        assert np.array_equal(mask.numpy(), shown)
        keep = np.broadcast_to(shown, expected.shape)
        np.testing.assert_allclose(y.numpy()[keep], expected[keep], atol=1e-5)


@pytest.mark.parametrize("settings", [{"padding": "partial"}, {"soft": True}, {"threshold": 0.5}])
@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
def test_parts_of_an_image_have_their_own_borders(layer, settings):
    torch.manual_seed(0)
    convolution = layer(4, 4, 3, padding=1).double()

    def model(x, convolution):
        parts = F.pad(x, (0, 1, 0, 0)).unflatten(3, (2, 4)).permute(0, 3, 1, 2, 4).flatten(0, 1)
        return convolution(parts).unflatten(0, (-1, 2)).permute(0, 2, 3, 1, 4).flatten(3)[..., :-1].mean((2, 3))

    x, presence = draw_maps(0)
    masked = LayerMask(by_hand.Function(model, convolution), **settings)
    torch.testing.assert_close(masked(x, torch.ones_like(presence)), model(x, convolution))


def pooled(x, kernel, stride, padding, dilation, size, reduce, missing):
    """A pool by loops: `reduce` gets the cells of a window, and `missing` stands outside the image (None: nothing)."""
    n, c, h, w = x.shape
    rows = naive.windows(h, kernel[0], stride[0], padding[0], dilation[0], size[0])
    cols = naive.windows(w, kernel[1], stride[1], padding[1], dilation[1], size[1])
    y = np.zeros((n, c, *size))
    for b, f in np.ndindex(n, c):
        for i, j in np.ndindex(*size):
            cells = [
                x[b, f, u, v] if 0 <= u < h and 0 <= v < w else missing
                for u in rows[i]
                for v in cols[j]
                # A window in ceil mode counts the padding but not what lies behind it.
                if u < h + padding[0] and v < w + padding[1]
            ]
            y[b, f, i, j] = reduce([cell for cell in cells if cell is not None])
    return y


@given(st.integers(0, 2**20), *pairs, st.booleans(), st.sampled_from([0.05, 0.4]))
@settings(max_examples=30)
def test_max_pool(seed, kernel, stride, padding, dilation, ceil_mode, fraction):
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    x, presence = draw_maps(seed, n=1, c=1, fraction=fraction)
    arguments = [list(kernel), list(stride), list(padding), list(dilation), ceil_mode]
    if min(out_size(x.shape[2:], kernel, stride, padding, dilation)) < 1:
        return
    y, mask = by_hand.run(x, presence, [(aten.max_pool2d.default, arguments)])
    size = tuple(y.shape[2:])
    rounds = max(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
    filled, _ = naive.neighbor_padding(x.numpy(), presence.numpy(), rounds)
    expected = pooled(filled, kernel, stride, padding, dilation, size, max, NEGATIVE)
    agree(y, mask, expected, naive.pooled_presence(presence.numpy(), kernel, stride, padding, dilation, size))


@given(st.integers(0, 2**20), *pairs[:3], st.booleans(), st.booleans(), st.sampled_from([None, 3]))
@settings(max_examples=30)
def test_average_pool(seed, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    x, presence = draw_maps(seed, n=1, c=1)
    arguments = [list(kernel), list(stride), list(padding), ceil_mode, count_include_pad, divisor]
    y, mask = by_hand.run(x, presence, [(aten.avg_pool2d.default, arguments)])
    size = tuple(y.shape[2:])
    filled, _ = naive.neighbor_padding(x.numpy(), presence.numpy(), max(kernel) - 1)

    def mean(cells):
        return sum(cells) / (divisor or len(cells))

    outside = 0.0 if count_include_pad or divisor else None
    expected = pooled(filled, kernel, stride, padding, (1, 1), size, mean, outside)
    agree(y, mask, expected, naive.pooled_presence(presence.numpy(), kernel, stride, padding, (1, 1), size))


@pytest.mark.parametrize(
    "settings", [MaskingSettings(pool_padding=False), MaskingSettings(padding="zero")], ids=["published", "zero"]
)
def test_pools_over_zeros(settings):
    x, presence = draw_maps(3)
    zeroed = np.where(presence, x, 0)
    shown = naive.pooled_presence(presence.numpy(), (3, 3), (2, 2), (1, 1), (1, 1), (4, 4))
    arguments = ([3, 3], [2, 2], [1, 1])
    geometry = (3, 3), (2, 2), (1, 1), (1, 1), (4, 4)
    y, mask = by_hand.run(x, presence, [(aten.max_pool2d.default, arguments)], settings)
    agree(y, mask, pooled(zeroed, *geometry, max, NEGATIVE), shown)
    y, mask = by_hand.run(x, presence, [(aten.avg_pool2d.default, arguments)], settings)
    agree(y, mask, pooled(zeroed, *geometry, np.mean, 0.0), shown)


def test_published_pools_leave_convolutions_padded():
    weight, bias = weights(2, 4, (3, 3))
    chain = [(aten.conv2d.default, [weight, bias])]
    x, presence = draw_maps(5)
    padded, mask = by_hand.run(x, presence, chain)
    published, _ = by_hand.run(x, presence, chain, MaskingSettings(pool_padding=False))
    keep = mask.expand_as(padded)
    assert torch.equal(padded[keep], published[keep])


def test_pools_over_present_cells_alone():
    x, presence = draw_maps(4)
    settings = MaskingSettings(padding="partial")
    geometry = (3, 3), (2, 2), (1, 1), (1, 1), (4, 4)
    shown = naive.pooled_presence(presence.numpy(), *geometry)
    y, mask = by_hand.run(x, presence, [(aten.max_pool2d.default, ([3, 3], [2, 2], [1, 1]))], settings)
    masked = np.where(presence, x, NEGATIVE)
    agree(y, mask, pooled(masked, *geometry, max, NEGATIVE), shown)
    y, mask = by_hand.run(x, presence, [(aten.avg_pool2d.default, ([3, 3], [2, 2], [1, 1], False, False))], settings)
    gone = np.where(presence, x, np.nan)
    expected = pooled(gone, *geometry, lambda cells: np.nanmean(cells) if not np.isnan(cells).all() else 0, None)
    assert np.array_equal(mask.numpy(), shown)
    keep = np.broadcast_to(shown, expected.shape)
    np.testing.assert_allclose(y.numpy()[keep], expected[keep], atol=1e-5)


@pytest.mark.parametrize("mode", ["neighbor", "zero", "partial"])
@pytest.mark.parametrize(
    "layers",
    [
        [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, stride=2)],
        [nn.ZeroPad2d(2), nn.ReLU(), nn.Conv2d(3, 4, 3)],
        [nn.ZeroPad2d(1), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3, padding=1)],
        [nn.ConstantPad2d(2, 3.0), nn.Conv2d(3, 4, 3)],
        [nn.ConstantPad2d((3, 0, 1, 2), 9.0), nn.MaxPool2d(3)],
        [nn.ConstantPad2d(3, -9.0), nn.AvgPool2d(3), nn.Conv2d(3, 4, 2)],
        [nn.ReflectionPad2d((1, 2, 3, 0)), nn.Conv2d(3, 4, 3)],
        [nn.Conv2d(3, 4, 3, padding=2, padding_mode="reflect"), nn.Conv2d(4, 2, 3)],
        [nn.Conv2d(3, 4, (4, 3), padding="same"), nn.Conv2d(4, 2, 2, padding="same", dilation=3)],
        [nn.Conv2d(3, 4, 1, padding=2), nn.Conv2d(4, 4, 3, padding=3), nn.Conv2d(4, 2, 5, padding=2)],
        [nn.ZeroPad2d(2), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2)],
        [nn.ZeroPad2d(1), nn.GroupNorm(1, 3), nn.AdaptiveMaxPool2d(1)],
        [nn.PixelUnshuffle(2), nn.ZeroPad2d(1), nn.Conv2d(12, 4, 3)],
    ],
    ids=lambda layers: "-".join(type(layer).__name__ for layer in layers),
)
def test_all_present_is_the_model_whatever_its_borders(layers, mode):
    torch.manual_seed(0)
    model = nn.Sequential(*layers).eval()
    for module in model:
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 1
    x = torch.randn(2, 3, 8, 10)
    masked = LayerMask(model, padding=mode)
    own = model(x)
    torch.testing.assert_close(masked(x, torch.ones(1, 1, 1, 1)), own, atol=1e-5, rtol=1e-5)
    presence = torch.rand(2, 1, 8, 10) < 0.5
    some = masked(x, presence)
    assert not torch.allclose(some, own)
    assert torch.equal(some, masked(torch.where(presence, x, torch.full_like(x, float("nan"))), presence))


@pytest.mark.parametrize("pad", [(1, 1, 1, 1), (0, 1, 0, 1), (2, 1, 0, 3)])
def test_an_explicit_border_is_the_convolutions_own(pad):
    weight, bias = weights(3, 4, (3, 3))
    for seed in range(4):
        x, presence = draw_maps(seed, fraction=0.3)
        chain = [
            (aten.constant_pad_nd.default, [list(pad), 0.0]),
            (aten.conv2d.default, [weight, bias, [2, 1]]),
        ]
        y, mask = by_hand.run(x, presence, chain)
        filled, _ = naive.neighbor_padding(x.numpy(), presence.numpy(), 2)
        wide = F.pad(torch.from_numpy(filled), pad).numpy()
        shown = F.pad(presence, pad).numpy()
        size = tuple(y.shape[2:])
        expected = naive.convolve(wide, weight.numpy(), bias.numpy(), (2, 1), (0, 0), (1, 1), 1)
        agree(y, mask, expected, naive.pooled_presence(shown, (3, 3), (2, 1), (0, 0), (1, 1), size))


def test_a_border_behind_which_something_stands_is_not_filled():
    weight, bias = weights(3, 4, (3, 3))
    chain = [
        (aten.constant_pad_nd.default, [[2, 2, 2, 2], 1.5]),
        (aten.sigmoid.default, []),
        (aten.conv2d.default, [weight, bias]),
    ]
    for seed in range(4):
        x, presence = draw_maps(seed, fraction=0.3)
        y, mask = by_hand.run(x, presence, chain)
        wide = torch.sigmoid(F.pad(x, (2, 2, 2, 2), value=1.5)).numpy()
        shown, inside = (F.pad(one, (2, 2, 2, 2)).numpy() for one in (presence, torch.ones_like(presence)))
        filled, _ = naive.neighbor_padding(wide, shown, 2, inside)
        expected = naive.convolve(filled, weight.numpy(), bias.numpy(), (1, 1), (0, 0), (1, 1), 1)
        agree(y, mask, expected, naive.pooled_presence(shown, (3, 3), (1, 1), (0, 0), (1, 1), y.shape[2:]))


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_a_mirrored_border_is_as_its_source(mode):
    weight, bias = weights(3, 4, (3, 3))
    chain = [(aten.pad.default, [[1, 1, 2, 2], mode]), (aten.conv2d.default, [weight, bias])]
    x, presence = draw_maps(1, fraction=0.2)
    y, mask = by_hand.run(x, presence, chain)
    filled, _ = naive.neighbor_padding(x.numpy(), presence.numpy())
    wide = F.pad(torch.from_numpy(filled), (1, 1, 2, 2), mode=mode).numpy()
    shown = F.pad(presence.double(), (1, 1, 2, 2), mode=mode).numpy() > 0
    expected = naive.convolve(wide, weight.numpy(), bias.numpy(), (1, 1), (0, 0), (1, 1), 1)
    agree(y, mask, expected, naive.pooled_presence(shown, (3, 3), (1, 1), (0, 0), (1, 1), y.shape[2:]))


@pytest.mark.parametrize("operator", ["conv2d", "pad"])
def test_images_in_the_channels_of_one_map_are_refused(operator):
    torch.manual_seed(0)
    kernels = nn.Linear(4, 4 * 9).double()

    def model(x, kernels):
        joint = x.reshape(1, -1, *x.shape[2:])
        if operator == "pad":
            return F.pad(joint, (1, 1, 1, 1), mode="reflect").view(*x.shape[:2], 10, 9).mean((2, 3))
        weight = kernels(x.mean((2, 3))).view(-1, 1, 3, 3)
        return F.conv2d(joint, weight, groups=len(weight)).view(*x.shape[:2], 6, 5).mean((2, 3))

    x, presence = draw_maps(0)
    masked = LayerMask(by_hand.Function(model, kernels))
    with pytest.raises(UnsupportedOperator, match=f"{operator}.* several images: pass one image with one presence"):
        masked(x, presence)
    torch.testing.assert_close(masked(x[:1], torch.ones(1, 1, 8, 7)), model(x[:1], kernels))


def test_same_padding_puts_the_odd_cell_at_the_far_side():
    weight, bias = weights(3, 4, (2, 4))
    x, presence = draw_maps(2, fraction=0.3)
    y, mask = by_hand.run(x, presence, [(aten.conv2d.padding, [weight, bias, [1, 1], "same"])])
    filled, _ = naive.neighbor_padding(x.numpy(), presence.numpy(), 3)
    pad = (1, 2, 0, 1)
    wide, shown = (F.pad(torch.as_tensor(one), pad).numpy() for one in (filled, presence))
    expected = naive.convolve(wide, weight.numpy(), bias.numpy(), (1, 1), (0, 0), (1, 1), 1)
    agree(y, mask, expected, naive.pooled_presence(shown, (2, 4), (1, 1), (0, 0), (1, 1), y.shape[2:]))


def test_a_cell_present_in_some_channels_counts_as_absent_for_a_window():
    weight, bias = weights(3, 16, (3, 3))
    x, presence = draw_maps(7, h=8, w=6, fraction=0.8)
    chain = [(aten.pixel_unshuffle.default, [2]), (aten.conv2d.default, [weight, bias, [1, 1], [1, 1]])]
    y, mask = by_hand.run(x, presence, chain)
    deep = F.pixel_unshuffle(torch.where(presence, x, 0.0), 2)
    shown = F.pixel_unshuffle(presence.double(), 2).bool().all(1, keepdim=True).numpy()
    filled, _ = naive.neighbor_padding(deep.numpy(), shown, 2)
    expected = naive.convolve(filled, weight.numpy(), bias.numpy(), (1, 1), (1, 1), (1, 1), 1)
    agree(y, mask, expected, naive.pooled_presence(shown, (3, 3), (1, 1), (1, 1), (1, 1), y.shape[2:]))


def test_filling_for_a_window_does_not_disturb_other_readers():
    """PresenceMask present in some channels are read as they are by a mean, and filled for a convolution."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(12, 12, 3, padding=1)

        def forward(self, x):
            deep = nn.functional.pixel_unshuffle(x, 2)
            return self.conv(deep).mean((2, 3)) * 0 + deep.mean((2, 3))

    torch.manual_seed(0)
    model, x, presence = Both(), torch.randn(1, 3, 8, 8), torch.rand(1, 1, 8, 8) < 0.6
    deep, shown = (F.pixel_unshuffle(one.double(), 2) for one in (x, presence.expand_as(x)))
    expected = (deep * shown).sum((2, 3)) / shown.sum((2, 3)).clamp(min=1)
    torch.testing.assert_close(LayerMask(model)(x, presence).double(), expected, atol=1e-5, rtol=1e-5)


def test_maps_without_a_batch_are_named_unsupported():
    class Sums(nn.Module):
        def forward(self, x):
            return F.avg_pool2d(x.sum(1), 4).flatten(1)

    assert LayerMask(Sums()).unsupported((2, 3, 8, 8)) == [("aten.avg_pool2d.default", "")]
