from __future__ import annotations

import pytest
import torch
from torch import nn

from xai_layermask import Fill, LayerMask
from xai_layermask.maskings import bound as bounds


class Counted(nn.Module):
    """A network that notes the sizes of its batches; with `wrapped`, its answers come in a dictionary."""

    def __init__(self, wrapped=False):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.wrapped = wrapped

    def forward(self, x):
        y = self.layers(x)
        return {"logits": y} if self.wrapped else y


def counted(masking, sizes):
    masking.register_forward_pre_hook(lambda module, args: sizes.append(len(args[1])))
    return masking


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(bounds, "usual_batch", lambda height, width, device: 4)


@pytest.mark.parametrize("make", [LayerMask, lambda model: Fill(model, "grey")])
def test_a_large_batch_goes_through_in_slices(make, small):
    sizes = []
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, 8, 8, generator=generator)
    presence = torch.rand(10, 1, 8, 8, generator=generator) > 0.5
    masking = make(Counted().eval())
    expected = masking(image, presence)
    found = counted(masking, sizes).bind(image)(presence)
    assert sizes == [4, 4, 2]
    assert torch.allclose(found, expected, atol=1e-6)


def test_every_presence_keeps_its_image(small):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 8, 8, generator=generator)
    presence = torch.rand(6, 1, 8, 8, generator=generator) > 0.5
    masking = LayerMask(Counted().eval())
    index = torch.tensor([1, 0, 0, 1, 1, 0])
    alone = torch.cat([masking(images[i : i + 1], one[None]) for i, one in zip(index, presence, strict=True)])
    assert torch.allclose(masking.bind(images)(presence, index), alone, atol=1e-6)


def test_answers_that_cannot_be_put_together_come_from_one_batch(small):
    image, presence = torch.randn(1, 3, 8, 8), torch.rand(6, 1, 8, 8) > 0.5
    sizes = []
    answer = counted(LayerMask(Counted(wrapped=True).eval()), sizes).bind(image)(presence)
    assert answer["logits"].shape == (6, 4)
    assert sizes == [4, 6]


def test_gradients_pass_through_slices(small):
    image, presence = torch.randn(1, 3, 8, 8), torch.rand(6, 1, 8, 8) > 0.5
    model = Counted().eval()
    LayerMask(model).bind(image)(presence).sum().backward()
    assert model.layers[0].weight.grad.abs().sum() > 0
