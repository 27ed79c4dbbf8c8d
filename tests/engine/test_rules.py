"""The table of rules: elementwise operators, registration, and what has no rule."""

from __future__ import annotations

import operator
import re

import naive
import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, aten, maps
from torch import nn

from xai_layermask.engine.ops.base import Leading, Pointwise
from xai_layermask.engine.rules import operators, rule, scoped, version
from xai_layermask.errors import InputError, UnsupportedOperator
from xai_layermask.maskings import LayerMask

POINTWISE = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu in place": lambda x: F.silu(x.clone(), inplace=True),
    "hardswish": F.hardswish,
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "clamp": lambda x: x.clamp(-1, 0.5),
    "arithmetic": lambda x: (1 - x) * 2 / 3 + x**2 - torch.exp(-x.abs()),
    "norm of a channel": lambda x: x / (x.square().sum(1, keepdim=True) + 1).sqrt(),
    "two branches": lambda x: torch.maximum(x.sin(), x.cos()) + torch.where(x.detach().sign().bool(), x, -x),
    "prelu": lambda x: F.prelu(x, torch.full((4,), 0.3, dtype=x.dtype)),
    "to": lambda x: x.to(torch.float32).to(torch.float64),
    "lerp": lambda x: torch.lerp(x, -x, 0.2),
    "dropout": lambda x: F.dropout(F.dropout2d(x, training=False), training=False),
    "zeros like": lambda x: x + torch.zeros_like(x) + torch.ones_like(x),
}


@pytest.mark.parametrize("name", POINTWISE)
def test_operators_that_look_at_one_cell(name):
    function = POINTWISE[name]
    x, presence = maps(0)
    y = LayerMask(Function(function))(x, presence)
    torch.testing.assert_close(y, torch.where(presence, function(x), 0.0))


def test_batch_norm_looks_at_one_cell():
    norm = nn.BatchNorm2d(4).double().eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    x, presence = maps(1)
    torch.testing.assert_close(LayerMask(norm)(x, presence), torch.where(presence, norm(x), 0.0))


def test_a_sum_is_present_where_both_are():
    wide = nn.Conv2d(4, 4, 3, padding=1).double()
    x, presence = maps(2, fraction=0.2)
    y = LayerMask(Function(lambda x, wide: x + wide(x), wide))(x, presence)
    padded = torch.from_numpy(naive.neighbor_padding(x.numpy(), presence.numpy(), 2)[0])
    torch.testing.assert_close(y, torch.where(presence, x + wide(padded), 0.0))


def test_squeeze_and_excite():
    class Excite(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1)

        def forward(self, x):
            return x * self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))).sigmoid()

    model = Excite().double()
    x, presence = maps(3)
    mean = torch.from_numpy(naive.mean_present(x.numpy(), presence.numpy()))[..., None, None]
    gate = model.up(F.relu(model.down(mean))).sigmoid()
    torch.testing.assert_close(LayerMask(model)(x, presence), torch.where(presence, x * gate, 0.0))


def test_attention_over_space_multiplies_present_cells():
    """A map of one channel, as in CBAM, times an activation of many."""
    x, presence = maps(4)
    y = LayerMask(Function(lambda x: x * x.mean(1, keepdim=True).sigmoid() * x.mean(3, keepdim=True)))(x, presence)
    rows = (x * presence).sum(3, keepdim=True) / presence.sum(3, keepdim=True).clamp(min=1)
    torch.testing.assert_close(y, torch.where(presence, x * x.mean(1, keepdim=True).sigmoid() * rows, 0.0))


def test_in_place_operators_in_front_of_a_window():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x, inplace=True):
            y = self.first(x)
            if inplace:
                y = F.relu_(y)
                y += x
                return self.second(y.mul_(2))
            return self.second((F.relu(y) + x) * 2)

    model = Block().double()
    x, presence = maps(5, fraction=0.3)
    expected = LayerMask(Function(lambda x, model: model(x, inplace=False), model))(x, presence)
    torch.testing.assert_close(LayerMask(model)(x, presence), expected)


def test_writing_to_one_part_of_a_split_is_fine():
    def split(x):
        first, second = (x * 1).chunk(2, 1)
        return torch.cat([first.mul_(2), second], 1)

    x, presence = maps(6)
    torch.testing.assert_close(LayerMask(Function(split))(x, presence), torch.where(presence, split(x), 0.0))


def test_norms_over_the_batch_have_no_masked_form():
    masked = LayerMask(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)))
    assert masked.unsupported((2, 3, 8, 8)) == [("aten.batch_norm.default", "1")]


def test_a_masked_weight_has_no_masked_form():
    masked = LayerMask(Function(lambda x: F.conv2d(x, x[:1])))
    assert masked.unsupported((1, 3, 8, 8)) == [("aten.conv2d.default", "")]


def test_every_unsupported_operator_is_named_before_anything_runs():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.cumsum(x, -1)

    called = []
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(Odd(), nn.ReLU()), Odd())
    masked = LayerMask(model)
    model.register_forward_hook(lambda *_: called.append(1))
    assert masked.unsupported((1, 3, 8, 8)) == [("aten.cumsum.default", "1.0"), ("aten.cumsum.default", "2")]
    called.clear()  # capture runs a model with hooks once, to see what they do
    message = (
        "expected supported operators, got aten.cumsum.default in 1.0 (and 1 more): "
        "it has no rule, add one with xai_layermask.rule."
    )
    with pytest.raises(UnsupportedOperator, match=re.escape(message)):
        masked(torch.zeros(1, 3, 8, 8), torch.ones(1, 1, 8, 8))
    assert not called


@pytest.mark.parametrize(
    ("model", "operator", "reason"),
    [
        (Function(lambda x: torch.fft.rfft2(x).abs()), "aten.fft_rfft2.default", "each frequency"),
        (Function(torch.rand_like), "aten.rand_like.default", "it draws random numbers"),
        (Function(lambda x: x.clone().exponential_()), "aten.exponential_.default", "it draws random numbers"),
        (
            Function(lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5)),
            "aten.scaled_dot_product_attention.default",
            "it drops random weights: pass dropout_p=0",
        ),
        (Function(lambda x: F.grid_sample(x, x[..., :2])), "aten.grid_sampler.default", "which cells"),
        (Function(lambda x, lstm: lstm(x.flatten(2).mT)[0], nn.LSTM(3, 4)), "aten.lstm.input", "a recurrent output"),
    ],
    ids=["fourier", "random", "drawn in place", "attention with dropout", "sampled", "recurrent"],
)
def test_operators_without_a_masked_form_say_why(model, operator, reason):
    found = LayerMask(model).unsupported((1, 3, 8, 8))[0]
    assert found[0] == operator
    assert found.reason.startswith(reason)


VOLUMES = {
    "avg_pool3d": lambda x: F.avg_pool3d(x, 3),
    "max_pool3d": lambda x: F.max_pool3d(x, 3),
    "adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(x, 2),
    "adaptive_max_pool3d": lambda x: F.adaptive_max_pool3d(x, 2),
    "upsample_nearest3d": lambda x: F.interpolate(x, scale_factor=2),
    "upsample_trilinear3d": lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"),
    "conv3d": lambda x: F.conv3d(x, torch.ones(1, 1, 3, 3, 3)),
    "conv_transpose3d": lambda x: F.conv_transpose3d(x, torch.ones(1, 1, 3, 3, 3)),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_windows_over_volumes_are_refused(name):
    (found,) = LayerMask(Function(lambda x: VOLUMES[name](x.unsqueeze(1)))).unsupported((1, 3, 8, 8))
    assert found[0].startswith(f"aten.{name}.")
    assert found.reason == "windows are supported on (N, C, H, W) maps, not on volumes"


def test_windows_over_channels_that_differ_in_presence_are_refused():
    def normed(x):  # rows of different images become channels
        return F.local_response_norm(x.reshape(-1, 1, 8, 8).mul(2).reshape(-1, 3, 8, 8), 3)

    (found,) = LayerMask(Function(normed)).unsupported((1, 3, 8, 8))
    assert found == ("aten.avg_pool3d.default", "")
    assert found.reason == "its windows span channels that differ in presence"
    assert LayerMask(Function(lambda x: F.local_response_norm(x, 3))).unsupported((1, 3, 8, 8)) == []


def test_a_rule_of_ones_own():
    model = nn.Sequential(Function(lambda x: x.cumsum(1)), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x, presence = maps(7)
    masked = LayerMask(model)
    assert masked.unsupported(x.shape) == [("aten.cumsum.default", "0")]
    with scoped():

        @rule(aten.cumsum.default)
        def running_sum():
            return Pointwise()

        assert masked.unsupported(x.shape) == []
        expected = naive.mean_present(x.cumsum(1).numpy(), presence.numpy())
        torch.testing.assert_close(masked(x, presence), torch.from_numpy(expected))
    with pytest.raises(UnsupportedOperator, match=r"got aten\.cumsum\.default in 0: it has no rule"):
        masked(x, presence)


def test_a_second_rule_raises_and_changes_nothing():
    before = version()
    message = (
        "expected an operator without a rule, got aten.relu.default, which has pointwise: "
        "replace it inside `with scoped(operator):`"
    )
    with pytest.raises(InputError, match=re.escape(message)):

        @rule(aten.cumsum.default, aten.relu.default)
        def again():
            return Pointwise()

    assert aten.cumsum.default not in operators()
    assert version() == before


def test_a_scoped_rule_replaces_another_and_is_undone():
    before, (x, presence) = operators(), maps(8)
    masked = LayerMask(nn.ReLU())

    class Nothing(Pointwise):
        def value(self, call, values):
            return values[0] * 0

    expected = masked(x, presence)
    with scoped(aten.relu.default):

        @rule(aten.relu.default)
        def nothing():
            return Nothing()

        assert masked(x, presence).eq(0).all()
    assert torch.equal(masked(x, presence), expected)
    assert operators() == before


def test_a_scope_is_undone_after_an_error():
    before = operators()
    with pytest.raises(ZeroDivisionError), scoped(aten.relu.default):
        raise ZeroDivisionError
    assert operators() == before


def test_a_rule_may_name_only_arguments_of_its_operator():
    message = (
        "expected one of call, dim, dtype, self as argument of a rule for aten.cumsum.default, got 'kernel'"
    )
    with scoped(), pytest.raises(InputError, match=re.escape(message)):

        @rule(aten.cumsum.default)
        def wrong(kernel):
            return Pointwise()

    assert aten.cumsum.default not in operators()


@pytest.mark.parametrize("one", [aten.cumsum, "aten.cumsum.default", None])
def test_a_rule_needs_an_overload(one):
    with scoped(), pytest.raises(InputError, match=r"expected overloads such as .* for a rule, got .*: choose one"):
        rule(one)(lambda: Pointwise())


def test_a_rule_may_say_why_there_is_no_masked_operator():
    masked = LayerMask(nn.ReLU())
    with scoped(aten.relu.default):

        @rule(aten.relu.default)
        def refused():
            return "three channels are too few"

        (found,) = masked.unsupported((1, 3, 4, 4))
        assert found == ("aten.relu.default", "")
        assert found.reason == "three channels are too few"
        message = "supported operators, got aten.relu.default in the model: three channels are too few."
        with pytest.raises(UnsupportedOperator, match=f"^expected {re.escape(message)}$"):
            masked(torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 4, 4))


def test_a_rule_that_returns_none_leaves_the_operator_unsupported():
    masked = LayerMask(nn.ReLU())
    with scoped(aten.relu.default):

        @rule(aten.relu.default)
        def none(call):
            return None if call.shapes[0][1] == 3 else Leading()

        assert masked.unsupported((1, 3, 4, 4)) == [("aten.relu.default", "")]
        assert masked.unsupported((1, 5, 4, 4)) == []


def test_builtins_can_have_rules():
    assert operator.getitem in operators()
