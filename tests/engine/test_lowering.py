"""Operators that a captured graph replaces by others."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, aten, maps
from torch import nn

from xai_layermask.engine.lowering import LOWERINGS
from xai_layermask.engine.rules import operators
from xai_layermask.maskings.layer import LayerMask


def names(function, *parts, shape=(2, 4, 6, 8)):
    """What a function is captured as."""
    graph = LayerMask(Function(function, *parts)).graph(torch.zeros(shape))
    return [step.name for step in graph.steps(shape[0])]


def invariants(function, *parts, seed=0):
    """What must hold for every operator; returns the masked answer, the image and its presence."""
    x, presence = maps(seed)
    model = Function(function, *parts).double()
    masked = LayerMask(model)
    torch.testing.assert_close(masked(x, torch.ones_like(presence)), model(x))
    y = masked(x, presence)
    assert torch.equal(masked(torch.where(presence, x, float("nan")), presence), y)
    assert masked(x, presence & False).isfinite().all()
    return y, x, presence


def test_no_operator_is_both_replaced_and_ruled():
    # A convolution that mixes all three dimensions is not replaced, and refused.
    assert set(LOWERINGS) & set(operators()) == {aten.conv3d.default}


LINES = {
    "conv1d": (nn.Conv1d(4, 3, 3, stride=2, padding=1), nn.Conv2d(4, 3, (1, 3), (1, 2), (0, 1))),
    "same": (nn.Conv1d(4, 4, 3, padding="same", groups=2), nn.Conv2d(4, 4, (1, 3), padding="same", groups=2)),
    "conv_transpose1d": (nn.ConvTranspose1d(4, 3, 4, 2, 1), nn.ConvTranspose2d(4, 3, (1, 4), (1, 2), (0, 1))),
    "avg_pool1d": (nn.AvgPool1d(3, 2, 1), nn.AvgPool2d((1, 3), (1, 2), (0, 1))),
    "max_pool1d": (nn.MaxPool1d(3, padding=1), nn.MaxPool2d((1, 3), padding=(0, 1))),
    "adaptive_avg_pool1d": (nn.AdaptiveAvgPool1d(3), nn.AdaptiveAvgPool2d((1, 3))),
    "linear": (nn.Upsample(scale_factor=2, mode="linear"), nn.Upsample(scale_factor=(1.0, 2.0), mode="bilinear")),
    "corners": (
        nn.Upsample(11, mode="linear", align_corners=True), nn.Upsample((1, 11), mode="bilinear", align_corners=True),
    ),
    "nearest": (nn.Upsample(scale_factor=1.5), nn.Upsample(scale_factor=(1.0, 1.5))),
    "nearest-exact": (nn.Upsample(5, mode="nearest-exact"), nn.Upsample((1, 5), mode="nearest-exact")),
    "adaptive_max_pool1d": (nn.AdaptiveMaxPool1d(2), nn.AdaptiveMaxPool2d((1, 2))),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_a_map_of_one_row(name):
    one, two = LINES[name]
    two.load_state_dict({key: value.view_as(two.state_dict()[key]) for key, value in one.state_dict().items()})
    y, x, presence = invariants(lambda x, one: one(x[:, :, 2]), one)
    row = LayerMask(two.double())(x[:, :, 2:3], presence[:, :, 2:3])
    torch.testing.assert_close(y, row.squeeze(2))


def test_a_gate_over_channels():
    y, x, presence = invariants(lambda x: F.glu(x, 1))
    torch.testing.assert_close(y, torch.where(presence, x[:, :2] * x[:, 2:].sigmoid(), 0.0))


def test_products_that_are_added():
    layer = nn.Linear(4, 5)
    y, x, presence = invariants(lambda x, layer: torch.addmm(layer.bias, x.mean((2, 3)), layer.weight.T, beta=2), layer)
    means = (x * presence).sum((2, 3)) / presence.sum((2, 3)).clamp(min=1)
    torch.testing.assert_close(y, 2 * layer.bias + means @ layer.weight.T)

    def batched(x, layer):
        weight = layer.weight.T.expand(len(x), -1, -1)
        return torch.baddbmm(layer.bias, x.flatten(2).mT, weight, beta=0.5, alpha=2)

    y, x, presence = invariants(batched, layer)
    torch.testing.assert_close(y, torch.where(presence.flatten(2).mT, batched(x, layer), 0.0))


def test_a_product_with_a_cell_that_may_be_absent_is_zero_where_it_is():
    """A token that leaves masking holds nothing of what stands at absent cells."""
    layer = nn.Linear(4, 5).double()
    x, presence = maps(0)
    presence[0, 0, 1, 2], presence[1, 0, 1, 2] = True, False
    model = Function(lambda x, layer: (x * 2 + 1)[:, :, 1, 2] @ layer.weight.T, layer)
    y = LayerMask(model)(x, presence)
    torch.testing.assert_close(y[:1], model(x[:1]))
    assert y[1].eq(0).all()


def test_cosine_similarity_over_channels_and_over_cells():
    y, x, presence = invariants(lambda x: F.cosine_similarity(x, x.cos(), 1))
    torch.testing.assert_close(y, torch.where(presence[:, 0], F.cosine_similarity(x, x.cos(), 1), 0.0))
    y, x, presence = invariants(lambda x: F.cosine_similarity(x, x.cos().float(), 1))
    torch.testing.assert_close(y, torch.where(presence[:, 0], F.cosine_similarity(x, x.cos().float(), 1), 0.0))
    y, x, presence = invariants(lambda x: F.cosine_similarity(x.flatten(2), x.cos().flatten(2), 2))
    for b in range(2):
        cells = x[b][:, presence[b, 0]]
        torch.testing.assert_close(y[b], F.cosine_similarity(cells, cells.cos(), 1))


def test_pairwise_distance():
    y, x, presence = invariants(lambda x: F.pairwise_distance(x.flatten(2).mT, x.cos().flatten(2).mT))
    expected = F.pairwise_distance(x.flatten(2).mT, x.cos().flatten(2).mT)
    torch.testing.assert_close(y, torch.where(presence.flatten(1), expected, 0.0))


def test_response_norm_over_channels():
    y, x, presence = invariants(lambda x: F.local_response_norm(x, 3, alpha=1.0))
    torch.testing.assert_close(y, torch.where(presence, F.local_response_norm(x, 3, alpha=1.0), 0.0))


def test_root_mean_square_norms():
    weight = nn.Parameter(torch.randn(8))
    layer = nn.RMSNorm(4)
    y, x, presence = invariants(lambda x, layer: layer(x.permute(0, 2, 3, 1)), layer)
    torch.testing.assert_close(y, torch.where(presence.permute(0, 2, 3, 1), layer(x.permute(0, 2, 3, 1)), 0.0))
    y, x, presence = invariants(lambda x: F.rms_norm(x, (8,), weight.to(x), 1e-3))
    count = presence.sum(3, keepdim=True).clamp(min=1)
    scale = torch.rsqrt((x * presence).square().sum(3, keepdim=True) / count + 1e-3)
    torch.testing.assert_close(y, torch.where(presence, x * scale * weight.detach().double(), 0.0))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_the_default_epsilon_of_a_root_mean_square_norm_is_that_of_torch(dtype):
    """Torch computes halves in single precision, and adds its epsilon."""
    x = (torch.rand(2, 4, 6, 8) * 0.01).to(dtype)
    model = Function(lambda x: F.rms_norm(x, (8,)))
    y = LayerMask(model)(x, torch.ones(2, 1, 6, 8))
    assert y.dtype == dtype
    torch.testing.assert_close(y, model(x))


NATIVE = {
    "layer": lambda x: aten.native_layer_norm.default(x, [4, 6, 8], None, None, 1e-5)[0],
    "group": lambda x: aten.native_group_norm.default(x, None, None, x.shape[0], 4, 48, 2, 1e-5)[0],
    "batch": lambda x: aten._native_batch_norm_legit_no_training.default(
        x, None, None, torch.zeros(4).to(x), torch.ones(4).to(x), 0.1, 1e-5
    )[0],
    "pool": lambda x: aten.max_pool2d_with_indices.default(x, [2, 2])[0],
}
PLAIN = {
    "layer": lambda x: F.layer_norm(x, [4, 6, 8]),
    "group": lambda x: F.group_norm(x, 2),
    "batch": lambda x: F.batch_norm(x, torch.zeros(4).to(x), torch.ones(4).to(x)),
    "pool": lambda x: F.max_pool2d(x, 2),
}


@pytest.mark.parametrize("name", NATIVE)
def test_operators_of_which_the_first_result_is_used(name):
    y, x, presence = invariants(NATIVE[name])
    torch.testing.assert_close(y, LayerMask(Function(PLAIN[name]))(x, presence))


def test_a_result_that_is_used_and_not_made_leaves_the_operator_as_it_is():
    def unpool(x):
        y, places = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(y, places, 2)

    found = LayerMask(Function(unpool)).unsupported((1, 3, 8, 8))
    assert found[0] == ("aten.max_pool2d_with_indices.default", "")


def test_places_of_adaptive_maxima_are_those_of_present_cells():
    x, presence = maps(1)
    model = Function(lambda x: F.adaptive_max_pool2d(x, 1, return_indices=True)[1])
    places = LayerMask(model)(x, presence).flatten(1)
    for b in range(2):
        cells = torch.where(presence[b], x[b], -torch.inf).flatten(1)
        assert torch.equal(places[b], cells.argmax(1))


class Precise(nn.Module):
    """Computes a part in single precision, whatever autocast says around it."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        y = self.first(x)
        with torch.autocast("cpu", enabled=False):
            y = torch.relu(self.second(y.float()))
        with torch.no_grad():
            return y.mean((2, 3))


def test_autocast_that_the_model_sets_holds_in_the_masked_model():
    x, presence = maps(2)
    model = Precise()
    masked = LayerMask(model)
    x = x.float()
    torch.testing.assert_close(masked(x, torch.ones_like(presence)), model(x))
    assert "aten.conv2d.default" in [step.name for step in masked.graph(x).steps(2)]
    with torch.autocast("cpu", torch.bfloat16):
        y, whole = masked(x, torch.ones_like(presence)), model(x)
    assert y.dtype == whole.dtype == torch.float32
    torch.testing.assert_close(y, whole)


def test_a_graph_names_the_modules_of_replaced_operators():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.GLU(1)

        def forward(self, x):
            return self.gate(x)

    steps = LayerMask(Net()).graph(torch.zeros(1, 4, 6, 8)).steps(1)
    assert [(step.name, step.path) for step in steps] == [
        ("aten.slice.Tensor", "gate"),
        ("aten.slice.Tensor", "gate"),
        ("aten.sigmoid.default", "gate"),
        ("aten.mul.Tensor", "gate"),
    ]


@pytest.mark.parametrize("alone", [0, 1, 2])
def test_a_convolution_that_leaves_a_dimension_alone(alone):
    """Each slice along this dimension is convolved like a map."""
    kernel = [3, 3, 3]
    kernel[alone] = 1
    one = nn.Conv3d(2, 3, tuple(kernel), padding=tuple(k // 2 for k in kernel))
    two = nn.Conv2d(2, 3, 3, padding=1)
    two.load_state_dict({"weight": one.weight.squeeze(2 + alone).detach(), "bias": one.bias.detach()})
    two = two.double()

    def function(x, one):  # the image twice, as slices
        y = one(torch.stack([x[:, :2], 2 * x[:, :2]], 2 + alone)).unbind(2 + alone)
        return torch.cat(y, 1)

    y, x, presence = invariants(function, one)
    expected = LayerMask(Function(lambda x, two: torch.cat([two(x[:, :2]), two(2 * x[:, :2])], 1), two))
    torch.testing.assert_close(y, expected(x, presence))


@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_pass_through_an_instance_norm_with_running_statistics(batch):
    torch.manual_seed(0)
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2), norm.weight.data.normal_()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.Conv2d(4, 2, 3)).double().eval()
    masked, presence = LayerMask(model), torch.rand(batch, 1, 8, 9) < 0.6
    x = torch.randn(batch, 3, 8, 9, dtype=torch.double).contiguous(memory_format=torch.channels_last).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: masked(x, presence), x, fast_mode=True)


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, partial(nn.InstanceNorm2d, track_running_stats=True)])
def test_gradients_of_a_norm_with_running_statistics_after_a_rearrangement(kind):
    torch.manual_seed(0)
    norm = kind(3)
    norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = norm

        def forward(self, x):
            return self.norm(x.flatten(2).transpose(1, 2).transpose(1, 2).reshape(-1, 3, 5, 9))

    masked, presence = LayerMask(Net().double().eval()), torch.rand(1, 1, 5, 9) < 0.6
    x, weight = torch.randn(1, 3, 5, 9, dtype=torch.double, requires_grad=True), torch.randn(1, 3, 5, 9)
    (found,) = torch.autograd.grad((masked(x, presence) * weight).sum(), x)
    exact = weight / (norm.running_var + norm.eps).sqrt().view(1, -1, 1, 1)
    torch.testing.assert_close(found, torch.where(presence, exact.double(), 0.0))
