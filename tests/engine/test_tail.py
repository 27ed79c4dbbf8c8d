"""Decisions on values behind the masked part are taken for each image alone; all others are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xai_layermask import LayerMask, LayerMaskExplainer, Preprocess
from xai_layermask.errors import CaptureError

SIDE = 16


class Gated(nn.Module):
    """Another head for images whose features are large."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm = nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8)
        self.pool, self.low, self.high = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 4), nn.Linear(8, 4)
        self.limit = 0.0

    def features(self, image):
        return self.pool(torch.relu(self.norm(self.stem(image)))).flatten(1)

    def forward(self, image):
        features = self.features(image)
        if features.sum().item() > self.limit:
            return {"logits": self.high(features), "gate": features.sum(1)}
        return {"logits": self.low(features), "gate": features.sum(1)}


class Early(Gated):
    def forward(self, image):
        x = torch.relu(self.norm(self.stem(image)))
        return self.low(self.pool(x * 2 if x.max() > 1 else x).flatten(1))


class Looking(Gated):
    """Decides behind the pool, on the image."""

    def forward(self, image):
        features = self.features(image)
        return self.high(features) if image.mean() > 0 else self.low(features)


class Twofold(Gated):
    """Needs two maps behind the decision, which no single module returns."""

    def forward(self, image):
        x = self.stem(image)
        first, second = x.mean((2, 3)), self.pool(self.norm(x)).flatten(1)
        return self.high(first + second) if second.sum() > 0 else self.low(first)


def case(kind=Gated, count=6):
    model = kind().eval()
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(1, 3, SIDE, SIDE, generator=generator)
    presence = torch.rand(count, 1, SIDE, SIDE, generator=generator) < torch.linspace(0.1, 0.9, count).view(-1, 1, 1, 1)
    if kind is Gated:
        sums = LayerMask(Features(model))(image, presence).sum(1)
        model.limit = float(sums.median().detach())
    return model, image, presence


class Features(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model.features(image)


@torch.no_grad()
def test_each_image_takes_its_own_branch():
    model, image, presence = case()
    hooks = [len(one._forward_hooks) for one in model.modules()]
    masked = LayerMask(model)
    assert masked.unsupported(image.shape) == []
    found = masked(image, presence)
    features = LayerMask(Features(model))(image, presence)
    high = features.sum(1) > model.limit
    assert high.any() and not high.all()
    torch.testing.assert_close(found["logits"], torch.where(high[:, None], model.high(features), model.low(features)))
    torch.testing.assert_close(found["gate"], features.sum(1))
    for row in range(len(presence)):  # whichever images share a batch
        alone = masked(image, presence[row : row + 1])["logits"]
        torch.testing.assert_close(alone, found["logits"][row : row + 1])
    elsewhere = torch.where(presence, image, float("nan"))
    assert torch.equal(masked(elsewhere, presence)["logits"], found["logits"])
    whole = torch.ones(1, 1, SIDE, SIDE)
    torch.testing.assert_close(masked(image, whole)["logits"], model(image)["logits"])
    assert [len(one._forward_hooks) for one in model.modules()] == hooks


def test_weights_that_change_and_gradients():
    model, image, presence = case()
    masked = LayerMask(model)
    masked(image, presence)
    with torch.no_grad():
        model.stem.weight.mul_(2)
        model.high = nn.Linear(8, 4)
    features = LayerMask(Features(model))(image, presence)
    high = features.sum(1) > model.limit
    expected = torch.where(high[:, None], model.high(features), model.low(features))
    found = masked(image, presence)["logits"]
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    ours = model.stem.weight.grad.clone()
    model.zero_grad()
    expected.sum().backward()
    torch.testing.assert_close(ours, model.stem.weight.grad)
    model.double()
    assert masked(image.double(), presence)["logits"].dtype == torch.float64


@pytest.mark.parametrize("kind", [Early, Looking, Twofold])
def test_other_decisions_are_refused(kind):
    model, image, presence = case(kind)
    with pytest.raises(CaptureError, match=r"^expected a model whose control flow does not .* test_tail\.py, line"):
        LayerMask(model)(image, presence)


def test_a_model_that_decides_is_explained():
    model, _, _ = case()
    options = {"preprocess": Preprocess(SIDE, SIDE), "segments": "patches:4", "n_samples": 20, "progress": False}
    picture = torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(0))
    one, seven = (LayerMaskExplainer(model, batch_size=size, **options).explain(picture, 1).scores for size in (1, 7))
    assert one.shape == (1, 16)
    torch.testing.assert_close(torch.from_numpy(one), torch.from_numpy(seven))


@torch.no_grad()
def test_hooks_that_observe_see_no_tensors_without_values():
    model, image, presence = case()
    seen = []
    for module in (model.stem, model.pool, model.low, model.high):
        module.register_forward_hook(lambda module, args, output: seen.append(type(output)))
    expected = LayerMask(Gated().eval())  # the same weights
    expected.model.limit = model.limit
    found = LayerMask(model)(image, presence)["logits"]
    torch.testing.assert_close(found, expected(image, presence)["logits"])
    assert set(seen) <= {torch.Tensor}
    # A hook that changes the output is part of the model, and is applied once.
    doubling = model.pool.register_forward_hook(lambda module, args, output: 2 * output)
    features = LayerMask(Features(model))(image, presence)
    high = features.sum(1) > model.limit
    assert torch.equal(high, LayerMask(Features(expected.model))(image, presence).sum(1) * 2 > model.limit)
    wanted = torch.where(high[:, None], model.high(features), model.low(features))
    torch.testing.assert_close(LayerMask(model)(image, presence)["logits"], wanted)
    doubling.remove()
