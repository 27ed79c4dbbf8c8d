"""The list of operators that look at one position, generated from ATen's tags."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, aten, maps
from torch import nn

from xai_layermask.engine.ops.pointwise import POINTWISE
from xai_layermask.maskings.layer import LayerMask

#: Per position, and met in people's networks; each by at least one overload.
EXPECTED = """
    abs acos acosh add add_ addcdiv addcmul asin asinh atan atan2 atanh bitwise_and bitwise_not bitwise_or bitwise_xor
    ceil celu celu_ clamp clamp_ clamp_max clamp_min clone contiguous copysign cos cosh detach div div_ elu elu_ eq erf
    erfc erfinv exp exp2 expm1 floor fmod frac ge gelu gelu_ gt hardshrink hardsigmoid hardsigmoid_ hardswish hardswish_
    hardtanh hardtanh_ hypot isfinite isinf isnan le leaky_relu leaky_relu_ lerp lgamma log log10 log1p log2 log_sigmoid
    logaddexp logical_and logical_not logical_or logit lt masked_fill masked_fill_ maximum minimum mish mish_ mul mul_
    nan_to_num ne neg pow prelu reciprocal relu relu6 relu6_ relu_ remainder round rsqrt rsub selu selu_ sigmoid
    sigmoid_ sign silu silu_ sin sinc sinh softplus softshrink sqrt square sub sub_ tan tanh tanh_ threshold threshold_
    true_divide trunc where xlogy
""".split()


def test_the_list_holds_what_looks_at_one_position():
    names = {one._schema.name.removeprefix("aten::") for one in POINTWISE}
    assert set(EXPECTED) <= names


def test_the_list_holds_no_other():
    """Nothing random, nothing that looks elsewhere, nothing that writes to an argument `out`."""
    names = {one._schema.name.removeprefix("aten::") for one in POINTWISE}
    random = "bernoulli bernoulli_ dropout native_dropout normal_ uniform_ rrelu rrelu_ rand_like randn_like".split()
    far = "cumsum softmax sort sum mean amax equal flip roll conv2d matmul glu layer_norm batch_norm any all".split()
    assert names.isdisjoint([*random, *far, "frexp", "threshold_backward"])
    assert not any(torch.Tag.nondeterministic_seeded in one.tags for one in POINTWISE)
    assert not any(argument.is_out for one in POINTWISE for argument in one._schema.arguments)
    assert aten.max.other in POINTWISE
    assert aten.max.dim not in POINTWISE
    assert len(POINTWISE) == len(set(POINTWISE))


@pytest.mark.parametrize("one", POINTWISE, ids=str)
def test_changing_one_position_changes_no_other(one):
    """Called as the schema asks, with maps for tensors: the tag says what is true of the operator."""
    arguments, tensors = [], []
    generator = torch.Generator().manual_seed(0)
    for argument in one._schema.arguments:
        kind = str(argument.type)
        if kind == "Tensor" or (kind == "Optional[Tensor]" and argument.name in ("self", "other", "weight")):
            arguments.append(torch.rand(1, 2, 3, 4, generator=generator) * 0.4 + 0.3)
            tensors.append(len(arguments) - 1)
        elif argument.has_default_value() or argument.kwarg_only:
            break
        else:
            arguments.append({"number": 0.5, "float": 0.5, "int": 1, "bool": False}.get(kind))
    y = _called(one, arguments)
    if y is None:
        pytest.skip("takes other types")
    for place in tensors:
        changed = [value.clone() if isinstance(value, torch.Tensor) else value for value in arguments]
        changed[place][0, 1, 2, 1] = changed[place][0, 1, 2, 1] + 1
        z = _called(one, changed)
        same = (z == y) | (z != z) & (y != y)
        assert z.shape == (1, 2, 3, 4)
        same[0, 1, 2, 1] = True
        assert same.all()


def _called(one, arguments):
    """The result for floating-point maps, or for whole numbers, or for truth values."""
    for kind in (torch.float32, torch.int64, torch.bool):
        values = [value.to(kind) if isinstance(value, torch.Tensor) else value for value in arguments]
        if one in (aten.where.self, aten.where.ScalarSelf, aten.where.ScalarOther, aten.where.Scalar):
            values[0] = values[0].bool()
        if "masked_fill" in str(one):
            values[1] = values[1].bool()
        try:
            return one(*[value.clone() if isinstance(value, torch.Tensor) else value for value in values])
        except (RuntimeError, TypeError, NotImplementedError):
            continue
    return None


@pytest.mark.parametrize(
    "function",
    [
        torch.atan,
        torch.expm1,
        lambda x: torch.log2(x.abs() + 1),
        lambda x: torch.where(x > 0, x, 0.1 * x),
        lambda x: x.masked_fill(x < 0, 0.0),
        lambda x: torch.nan_to_num(x / x.clamp(min=0)),
        lambda x: F.rrelu(x, training=False),
        lambda x: F.alpha_dropout(x, training=False),
        lambda x: (x.ge(0) & x.lt(1)).to(x.dtype),
    ],
)
def test_operators_that_look_at_one_position(function):
    x, presence = maps(0)
    y = LayerMask(Function(function))(x, presence)
    torch.testing.assert_close(y, torch.where(presence, function(x), 0.0))


@pytest.mark.parametrize("function", [F.rrelu, F.dropout, F.alpha_dropout])
def test_what_is_random_is_refused(function):
    (found,) = LayerMask(Function(lambda x: function(x, training=True))).unsupported((1, 3, 8, 8))
    assert found.reason.startswith("it draws random")


def test_in_place_comparisons_and_fills():
    class Filled(nn.Module):
        def forward(self, x):
            y = x * 2
            return y.masked_fill_(y < 0, 0.5).abs_()

    x, presence = maps(1)
    y = LayerMask(Filled())(x, presence)
    torch.testing.assert_close(y, torch.where(presence, torch.where(x < 0, 0.5, 2 * x), 0.0))
