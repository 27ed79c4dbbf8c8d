"""Operators without a rule of their own, as torch composes them of others."""

from __future__ import annotations

import logging

import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, invariants, maps

from xai_layermask.engine.capture import capture
from xai_layermask.engine.rules import operators, rule, scoped
from xai_layermask.errors import UnsupportedOperator
from xai_layermask.maskings.layer import LayerMask

aten = torch.ops.aten
WEIGHT = torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
#: With the operator that has no rule.
COMPOSITIONS = {
    aten.linalg_norm.default: lambda x: torch.linalg.norm(x, dim=1, keepdim=True),
    aten.linalg_matrix_norm.default: lambda x: torch.linalg.matrix_norm(x, dim=(1, 2)),
    aten.linalg_vecdot.default: lambda x: torch.linalg.vecdot(x, 2 * x, dim=1),
    aten.diff.default: lambda x: torch.diff(x, dim=2),
    aten.fft_fftshift.default: lambda x: torch.fft.fftshift(x, (2, 3)),
    aten.atleast_3d.default: torch.atleast_3d,
    aten.inner.default: lambda x: torch.inner(x, WEIGHT.to(x)),
    aten.trapezoid.dx: lambda x: torch.trapezoid(x, dim=1),
    aten.broadcast_tensors.default: lambda x: torch.add(*torch.broadcast_tensors(x, x[:, :1])),
    aten.unsafe_chunk.default: lambda x: torch.unsafe_chunk(x, 2, 1)[1],
    aten.l1_loss.default: lambda x: F.l1_loss(x, 3 * x, reduction="none"),
    aten.resolve_neg.default: lambda x: x.resolve_conj().resolve_neg(),
}


@pytest.mark.parametrize("operator", COMPOSITIONS, ids=str)
def test_compositions(operator):
    assert operator not in operators()
    x, presence = maps(0)
    invariants(COMPOSITIONS[operator], x, presence)


def test_parts_are_masked_like_the_same_operators_written_out():
    x, presence = maps(1)
    for composed, written in (
        (lambda x: torch.linalg.norm(x, dim=1), lambda x: x.square().sum(1).sqrt()),
        (lambda x: torch.diff(x, dim=3), lambda x: x[..., 1:] - x[..., :-1]),
        (lambda x: torch.inner(x, WEIGHT), lambda x: F.linear(x, WEIGHT)),
        (lambda x: torch.fft.fftshift(x, 2), lambda x: x.roll(3, 2)),
    ):
        found, expected = (LayerMask(Function(one))(x, presence) for one in (composed, written))
        torch.testing.assert_close(found, expected)


def _assigned(y):
    y[:, :, 0:] = y.sigmoid()
    return y


def _source_changes(y):
    z = y.relu()
    y.copy_(z)
    z.add_(1)
    return y + z


#: Writes by operators without a rule, and the same written out.
WRITES = {
    "all of a value": (lambda y: y.copy_(y.relu()), torch.relu),
    "a slice that is all of it": (_assigned, torch.sigmoid),
    "another dtype": (lambda y: y.copy_(y.float()), lambda y: y.float().double()),
    "broadcast": (lambda y: y.copy_(y[:, :1]), lambda y: y[:, :1].expand_as(y)),
    "a source that changes": (_source_changes, lambda y: 2 * y.relu() + 1),
    "transposed in place": (lambda y: y.transpose_(2, 3), lambda y: y.transpose(2, 3)),
    "other dimensions": (lambda y: y.unsqueeze_(1).squeeze_(1), lambda y: y),
}


@pytest.mark.parametrize(("written", "expected"), WRITES.values(), ids=WRITES)
def test_writes_without_a_rule_are_those_of_the_operator_out_of_place(written, expected):
    x, presence = maps(4)
    found = invariants(lambda x: written(2 * x), x, presence)
    torch.testing.assert_close(found, LayerMask(Function(lambda x: expected(2 * x)))(x, presence))


def test_assertions_in_a_composition_are_left_out():
    """`one_hot` asserts that its classes are in range."""
    x, presence = maps(5)
    found = invariants(lambda x: x @ F.one_hot(torch.arange(8).clamp(0, 7), 8).to(x), x, presence)
    torch.testing.assert_close(found, LayerMask(Function(lambda x: x @ torch.eye(8).to(x)))(x, presence))


def test_a_composition_takes_any_batch_size():
    x, presence = maps(2)
    masked = LayerMask(Function(COMPOSITIONS[aten.inner.default]))
    whole = masked(x, presence)
    torch.testing.assert_close(masked(x[:1], presence[:1]), whole[:1])
    assert masked.graph(x).batch is None


def test_a_composition_with_an_unsupported_part_keeps_its_name():
    def masses(x):
        return torch.take_along_dim(x, x.argmax(1, keepdim=True), 1)

    x, presence = maps(3)
    known = [one for one in operators() if "aten.gather" in str(one)]
    with scoped(*known), pytest.raises(UnsupportedOperator, match=r"got aten\.take_along_dim\.default in the model"):
        LayerMask(Function(masses))(x, presence)


def test_what_torch_logs_about_a_composition_is_not_shown():
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    logger.addHandler(handler)
    try:
        with pytest.raises(UnsupportedOperator, match=r"got aten\.pinverse\.default in the model: it has no rule"):
            LayerMask(Function(torch.pinverse))(*maps(0))
    finally:
        logger.removeHandler(handler)
    assert records == []


def test_an_own_rule_has_precedence():
    with scoped():

        @rule(aten.diff.default)
        def diff() -> str:
            return "it is not wanted"

        with pytest.raises(UnsupportedOperator, match="it is not wanted"):
            LayerMask(Function(COMPOSITIONS[aten.diff.default]))(*maps(0))


def test_parts_belong_to_the_module_of_their_composition():
    net = torch.nn.Sequential(Function(lambda x: 2 * x), Function(COMPOSITIONS[aten.diff.default]))
    graph = capture(net, (2, 4, 6, 8), torch.float64, torch.device("cpu"))
    assert {step.path for step in graph.steps(2) if "slice" in step.name} == {"1"}
