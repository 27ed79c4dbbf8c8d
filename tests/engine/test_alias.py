"""Which values of a graph share memory."""

from __future__ import annotations

from operator import getitem

import pytest
import torch
from torch import fx, nn

from xai_layermask.engine.alias import Aliases, is_in_place

aten = torch.ops.aten


def graph_of(*calls):
    """Nodes from (name, operator, name of the first argument, more arguments)."""
    graph = fx.Graph()
    nodes = {"x": graph.placeholder("x")}
    for name, operator, first, *more in calls:
        arguments = [nodes.get(one, one) if isinstance(one, str) else one for one in more]
        nodes[name] = graph.call_function(operator, (nodes[first], *arguments))
    graph.output((nodes[calls[-1][0]],))
    return nodes, Aliases(list(graph.nodes))


def test_views_and_in_place_results_belong_to_what_they_come_from():
    nodes, memory = graph_of(
        ("y", aten.relu.default, "x"),
        ("view", aten.view.default, "y", [4]),
        ("written", aten.relu_.default, "view"),
        ("other", aten.mul.Tensor, "written", 2),
    )
    owners = {"x": "x", "y": "y", "view": "y", "written": "y", "other": "other"}
    assert {name: memory.owner(node) for name, node in nodes.items()} == {a: nodes[b] for a, b in owners.items()}
    assert [name for name, node in nodes.items() if is_in_place(node)] == ["written"]


@pytest.mark.parametrize(("reader", "again"), [("y", True), ("view", False), ("written", False), ("x", False)])
def test_memory_is_read_again_under_another_name(reader, again):
    nodes, memory = graph_of(
        ("y", aten.relu.default, "x"),
        ("view", aten.view.default, "y", [4]),
        ("written", aten.relu_.default, "view"),
        ("later", aten.mul.Tensor, reader, 2),
    )
    assert (memory.hidden_writes() == [nodes["written"]]) is again


@pytest.mark.parametrize(("reader", "again"), [("y", True), ("first", False), ("second", False), ("part", True)])
def test_parts_of_a_split_do_not_overlap(reader, again):
    nodes, memory = graph_of(
        ("y", aten.relu.default, "x"),
        ("parts", aten.chunk.default, "y", 2, 1),
        ("first", getitem, "parts", 0),
        ("second", getitem, "parts", 1),
        ("part", aten.slice.Tensor, "first", 2, 0, 3),
        ("written", aten.relu_.default, "first"),
        ("later", aten.mul.Tensor, reader, 2),
    )
    assert (memory.hidden_writes() == [nodes["written"]]) is again


def test_a_module_in_place_is_not_read_again():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1))
    exported = torch.export.export(model.eval(), (torch.zeros(1, 3, 4, 4),))
    memory = Aliases(list(exported.graph.nodes))
    writers = [node for node in exported.graph.nodes if is_in_place(node)]
    assert len(writers) == 1
    assert not memory.hidden_writes()


def test_an_operator_may_return_its_input_without_saying_so():
    class Dropped(nn.Module):
        def forward(self, x):
            y = x * 2
            return torch.nn.functional.dropout(y, training=False).relu_() + y

    exported = torch.export.export(Dropped().eval(), (torch.zeros(1, 3, 4, 4),))
    memory = Aliases(list(exported.graph.nodes))
    product, dropped = (node for node in exported.graph.nodes if node.target in (aten.mul.Tensor, aten.dropout.default))
    assert memory.owner(dropped) is product
