"""Which values share memory."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from xai_layermask.engine.memory import Memory


def test_a_value_owns_memory_that_no_other_value_shares():
    memory, x = Memory(), torch.randn(2, 4, 6, 8)
    memory.add(0, x, [])
    y = torch.relu(x)
    memory.add(1, y, [x])
    assert memory.owns(0)
    assert memory.owns(1)
    parts = y.chunk(2, 1)
    memory.add(2, parts, [y])
    memory.add(3, parts[0], [parts])
    assert not memory.owns(1)
    assert not memory.owns(3)
    memory.drop(2)
    memory.drop(1)
    assert memory.owns(3)


def test_memory_is_compared_and_not_the_operators():
    memory, x = Memory(), torch.randn(2, 4, 6, 8)
    memory.add(0, x, [])
    memory.add(1, x.permute(0, 2, 3, 1).reshape(-1, 4), [x])  # copies
    assert memory.owns(0)
    memory.add(2, F.dropout(x, training=False), [x])  # returns its input
    assert not memory.owns(0)
    memory.drop(2)
    assert memory.owns(0)


def test_parameters_are_never_owned():
    memory, weight, x = Memory(), torch.randn(4), torch.randn(2, 4)
    memory.add(0, x, [])
    memory.add(1, weight.expand_as(x), [weight, x])
    memory.add(2, weight[None], [weight])
    assert not memory.owns(1)
    assert not memory.owns(2)
    memory.drop(1)
    assert not memory.owns(2)


def test_a_copy_takes_the_place_of_a_value():
    memory, x = Memory(), torch.randn(2, 4)
    memory.add(0, x, [])
    memory.add(1, x[:1], [x])
    memory.replace(1, x[:1].clone())
    assert memory.owns(0)
    assert memory.owns(1)
    assert not memory.owns(7)
