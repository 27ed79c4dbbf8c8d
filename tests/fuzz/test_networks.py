"""Random networks with fixed seeds: the engine says what the literal interpreter says, and what must hold holds."""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from xai_layermask.engine import executor

from .checks import check, draw_presence
from .networks import Network, draw_network

#: Networks, and for each of them settings with images and presences of their own.
NETWORKS, TRIALS = 200, 3


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_layer_masking_of_a_random_network(seed):
    network = draw_network(seed)
    report = check(network, TRIALS)
    assert not report.failures, (
        f"python -m tests.fuzz --show --count 1 --seed {seed}\n{network.code}\n{report.failures}"
    )
    assert (report.refused, report.unknown) == ([], "")
    assert report.trials == TRIALS


def test_a_network_is_drawn_and_built_from_its_seed_alone():
    assert draw_network(5) == draw_network(5) != draw_network(6)
    assert all(draw_network(seed).seed == seed for seed in range(3))
    one, other = (draw_network(5).build().state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


SMALL = Network(
    0,
    (3, 8, 9),
    "float64",
    ("self.m0 = nn.Conv2d(3, 4, 3, padding=1)", "self.m1 = nn.Conv2d(4, 4, 3, padding=1)"),
    ("x0 = F.relu(self.m0(x))", "x1 = self.m1(x0) + x0", "x2 = x1.mean((2, 3))", "return x2"),
)


def failing(**changes):
    """The checks that fail on a small network while the engine is changed."""
    with mock.patch.multiple(executor, **changes):
        return {failure.check for failure in check(SMALL, 3).failures}


def test_the_checks_pass_on_a_small_network():
    assert failing(fill=executor.fill) == set()


def test_an_engine_that_does_not_fill_is_found():
    found = failing(fill=lambda x, geometry, in_place: x)
    assert {"literal", "poison", "shift"} <= found


def test_an_engine_that_fills_with_a_little_too_much_is_found():
    fill = executor.fill
    assert "literal" in failing(fill=lambda x, *rest: fill(x, *rest) * (1 + 1e-6))


def test_a_presence_is_of_the_asked_kind():
    import random

    draw = random.Random(0)
    assert not draw_presence(draw, 2, (5, 6), "nothing").any()
    assert draw_presence(draw, 2, (5, 6), "everything").all()
    assert draw_presence(draw, 3, (5, 6), "one").sum((1, 2, 3)).tolist() == [1, 1, 1]
    assert draw_presence(draw, 1, (6, 6), "half").double().mean() == 0.5
