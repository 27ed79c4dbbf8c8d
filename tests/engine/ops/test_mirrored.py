"""Mirrored borders, and views that move dimensions into the batch."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from xai_layermask import LayerMask


class Unshuffled(nn.Module):
    """A convolution with a mirrored border, of a map whose channels differ in presence."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x):
        return self.conv(F.pixel_unshuffle(x, 2))


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", ["neighbor", "zero", "partial"])
def test_a_mirrored_border_is_made_of_whole_positions(mode, dilation, padding):
    torch.manual_seed(0)
    conv = nn.Conv2d(12, 2, 3, padding=dilation, dilation=dilation, padding_mode=mode).double().eval()
    x, presence = torch.randn(2, 3, 10, 14).double(), torch.rand(2, 1, 10, 14) < 0.8
    positions = F.pixel_unshuffle(presence.float(), 2).amin(1, keepdim=True) > 0
    assert positions.any() and not positions.all()
    with torch.no_grad():
        found = LayerMask(Unshuffled(conv).eval(), padding=padding)(x, presence)
        expected = LayerMask(nn.Sequential(conv), padding=padding)(F.pixel_unshuffle(x, 2), positions)
    torch.testing.assert_close(found, expected)


def test_a_border_of_a_map_that_is_uniform_in_width_and_varies_by_channel():
    class Uniform(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Linear(14, 14)
            self.conv = nn.Conv2d(12, 2, 3, padding=1, padding_mode="reflect")

        def forward(self, x):
            return self.conv(F.pixel_unshuffle(self.mix(x), 2)).mean((2, 3))

    torch.manual_seed(0)
    model = Uniform().eval()
    x, presence = torch.randn(2, 3, 10, 14), torch.rand(2, 1, 10, 14) < 0.5
    masked = LayerMask(model)
    with torch.no_grad():
        torch.testing.assert_close(masked(x, torch.ones_like(presence)), model(x))
        assert torch.equal(masked(torch.where(presence, x, 9.0), presence), masked(x, presence))


def test_an_image_alone_is_masked_as_in_a_batch_when_a_view_moves_channels_into_the_batch():
    class Batched(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3, padding=1)

        def forward(self, x):
            y = x.view(x.shape[0] * 3, 1, 12, 12).mul(2).view(-1, 3, 12, 12)
            return torch.cat([y, self.conv(y)], 1).mean((2, 3))

    torch.manual_seed(0)
    masked = LayerMask(Batched().double().eval())
    x, presence = torch.randn(2, 3, 12, 12).double(), torch.rand(2, 1, 12, 12) < 0.3
    with torch.no_grad():
        together = masked(x, presence)
        alone = torch.cat([masked(x[i : i + 1], presence[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(together, alone)
