"""Operators that torch computes wrongly for some memory layouts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xai_layermask.engine.corrections import CORRECTED
from xai_layermask.maskings.layer import LayerMask

aten = torch.ops.aten


def norm_of(*shape, affine=True):
    """The arguments of a batch norm with running statistics: the image and what follows."""
    torch.manual_seed(0)
    c = shape[1]
    weights = (torch.rand(c).double() + 0.5, torch.randn(c).double()) if affine else (None, None)
    return torch.randn(shape).double(), (*weights, torch.randn(c).double(), torch.rand(c).double() + 0.5)


def transposed(x):
    """The same numbers as transposed tokens, whose first stride is another one."""
    return x.flatten(2).transpose(1, 2).contiguous().transpose(1, 2).unflatten(2, x.shape[2:])


LAYOUTS = {
    "contiguous": lambda x: x.clone(memory_format=torch.contiguous_format),
    "channels-last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "tokens": transposed,
}


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("incoming", LAYOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_of_a_batch_norm_in_every_layout(layout, incoming, affine):
    x, rest = norm_of(1, 3, 4, 5, affine=affine)
    x = LAYOUTS[layout](x).requires_grad_()
    y = CORRECTED[aten.batch_norm.default](x, *rest, False, 0.1, 1e-5, True)
    torch.testing.assert_close(y, aten.batch_norm.default(x.detach(), *rest, False, 0.1, 1e-5, True))
    weight, _, _, variance = rest
    gradient = LAYOUTS[incoming](torch.randn(x.shape).double())
    scale = (1.0 if weight is None else weight) / (variance + 1e-5).sqrt()
    torch.testing.assert_close(torch.autograd.grad(y, x, gradient)[0], gradient * scale.view(1, -1, 1, 1))


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 4), (1, 3, 2, 4, 5)])
def test_a_batch_norm_of_any_rank(shape):
    x, rest = norm_of(*shape)
    y = CORRECTED[aten.batch_norm.default](x, *rest, False, 0.1, 1e-5, True)
    torch.testing.assert_close(y, aten.batch_norm.default(x, *rest, False, 0.1, 1e-5, True))


def test_a_batch_norm_in_low_precision_is_rounded_once():
    x, rest = norm_of(1, 3, 4, 5)
    x, rest = x.bfloat16(), [one.bfloat16() for one in rest]
    y = CORRECTED[aten.batch_norm.default](x, *rest, False, 0.1, 1e-5, True)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, aten.batch_norm.default(x, *rest, False, 0.1, 1e-5, True), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("until", [None, "0"])
def test_gradients_pass_through_a_batch_norm_and_a_mean_over_tokens(until):
    """The mean over tokens hands the norm a transposed gradient; with `until`, the norm is not masked."""

    class Tokens(nn.Module):
        def forward(self, x):
            return x.flatten(2).transpose(1, 2).mean(1)

    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4)
    norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2), norm.weight.data.normal_()
    model = nn.Sequential(nn.Conv2d(3, 4, (2, 3)), norm, Tokens()).double().eval()
    masked, presence = LayerMask(model, until=until), torch.rand(1, 1, 8, 9) < 0.6
    x = torch.randn(1, 3, 8, 9, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: masked(x, presence), x, fast_mode=True)
