"""What means over space divide by, the soft presence that weights them, and tokens that lack a pixel."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from little_net import draw, net
from torch import nn

from xai_layermask import LayerMask
from xai_layermask.engine.waiting import never_waiting
from xai_layermask.maskings.registry import make


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class Channels(nn.Module):
    """The mean after a round trip with channels last."""

    def forward(self, x):
        return (x.permute(0, 2, 3, 1) * 1.0).permute(0, 3, 1, 2).mean((2, 3))


POOLS = {
    "adaptive": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "mean": Mean(),
    "window": nn.Sequential(nn.AvgPool2d((6, 8)), nn.Flatten()),
    "channels last": Channels(),
}


def halved(pool):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 2, 2), pool).eval()


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_without_rescaling_features_shrink_with_the_present_area(pool):
    model, (x, _) = halved(pool), draw(size=(12, 16))
    presence = torch.zeros(1, 1, 12, 16)
    presence[..., :6, :4] = 1  # 6 of 48 cells
    rescaled, plain = LayerMask(model)(x, presence), LayerMask(model, rescale=False)(x, presence)
    torch.testing.assert_close(plain, rescaled * 6 / 48)
    torch.testing.assert_close(plain, model[0](x)[..., :3, :2].sum((2, 3)) / 48)


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_soft_presence_weights_cells_by_their_present_share(pool):
    model, (x, presence) = halved(pool), draw(size=(12, 16))
    maps = LayerMask(nn.Sequential(model[0]))(x, presence)
    share = F.avg_pool2d(presence.float(), 2)
    kept = torch.where(share > 0, maps, 0)
    expected = (kept * share).sum((2, 3)) / share.sum((2, 3))
    torch.testing.assert_close(LayerMask(model, soft=True)(x, presence), expected)
    torch.testing.assert_close(LayerMask(model, soft=True, rescale=False)(x, presence), (kept * share).mean((2, 3)))
    assert (expected - LayerMask(model)(x, presence)).abs().max() > 0.01


def test_shares_are_propagated_window_by_window_and_regions_are_weighted():
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 2, 2)
    model, (x, presence) = nn.Sequential(first, second, nn.AdaptiveAvgPool2d((1, 2))).eval(), draw(size=(12, 16))
    share = F.avg_pool2d(F.avg_pool2d(presence.float(), 3, 2, 1, count_include_pad=False), 2)
    maps = torch.where(share > 0, LayerMask(model[:2])(x, presence), 0) * share
    expected = F.adaptive_avg_pool2d(maps, (1, 2)) / F.adaptive_avg_pool2d(share, (1, 2))
    torch.testing.assert_close(LayerMask(model, soft=True)(x, presence), expected)


class Flat(nn.Module):
    """The mean over tokens."""

    def forward(self, x):
        return x.flatten(2).transpose(1, 2).mean(1)


MOVES = {
    "mirrored": (nn.ReflectionPad2d(2), nn.ReflectionPad2d(2)),
    "repeated": (nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2)),
    "interpolated": (nn.Upsample(scale_factor=2, mode="bilinear"), nn.Upsample(scale_factor=2)),
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("pool", [nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), Flat()], ids=["map", "tokens"])
def test_shares_move_with_their_cells(name, pool):
    torch.manual_seed(0)
    (move, move_share), (x, presence) = MOVES[name], draw(size=(12, 16))
    model = nn.Sequential(nn.Conv2d(3, 4, 2, 2), move, pool).eval()
    share = move_share(F.avg_pool2d(presence.float(), 2))
    maps = torch.where(share > 0, LayerMask(model[:2])(x, presence), 0)
    expected = (maps * share).sum((2, 3)) / share.sum((2, 3))
    torch.testing.assert_close(LayerMask(model, soft=True)(x, presence), expected)


def test_a_sum_has_the_smaller_share_of_each_cell():
    torch.manual_seed(0)

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.point = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(3, 4, 1, 2)

        def forward(self, x):
            return self.wide(x) + self.point(x)

    model, (x, _) = Residual().eval(), draw(size=(12, 16))
    presence = torch.ones(1, 1, 12, 16)
    presence[..., 1::2, :7] = 0
    wide = F.avg_pool2d(presence, 3, 2, 1, count_include_pad=False)
    share = torch.minimum(wide, presence[..., ::2, ::2])
    maps = torch.where(share > 0, LayerMask(model)(x, presence), 0)
    expected = (maps * share).sum((2, 3)) / share.sum((2, 3))
    pooled = nn.Sequential(model, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    torch.testing.assert_close(LayerMask(pooled, soft=True)(x, presence), expected)
    with never_waiting():
        torch.testing.assert_close(LayerMask(pooled, soft=True)(x, presence), expected)


@pytest.mark.parametrize("options", [{"soft": True}, {"rescale": False}, {"soft": True, "rescale": False}])
def test_a_whole_image_is_the_model_and_an_absent_one_is_finite(options):
    model, (x, _) = net(), draw()
    masked = LayerMask(model, **options)
    torch.testing.assert_close(masked(x, torch.ones(1, 1, 12, 17)), model(x))
    assert torch.isfinite(masked(x, torch.zeros(1, 1, 12, 17))).all()


@pytest.mark.parametrize("name", ["layer-soft", "layer-unscaled"])
def test_absent_pixels_have_no_influence(name):
    model, (x, presence) = net(), draw()
    presence[..., 8:] = False
    masked = make(name, model)
    assert masked.name == name
    assert torch.equal(masked(x, presence), masked(torch.where(presence, x, 100.0), presence))
    assert (masked(x, presence) - make("layer", model)(x, presence)).abs().max() > 1e-4


class Patches(nn.Module):
    """The mean of tokens, each from a patch of 4 x 4 pixels."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 4, 4, 4)

    def forward(self, x):
        return self.embed(x).flatten(2).transpose(1, 2).mean(1)


def test_a_threshold_of_1_drops_tokens_that_lack_a_pixel():
    torch.manual_seed(0)
    model, (x, _) = Patches().eval(), draw(size=(8, 12))
    pixel, patch = torch.ones(1, 1, 8, 12), torch.ones(1, 1, 8, 12)
    pixel[..., 2, 1], patch[..., :4, :4] = 0, 0
    strict = make("layer-threshold:1", model)
    torch.testing.assert_close(strict(x, pixel), LayerMask(model)(x, patch))
    # The default keeps a token with any present pixel.
    assert (LayerMask(model)(x, pixel) - LayerMask(model)(x, patch)).abs().max() > 0.01
