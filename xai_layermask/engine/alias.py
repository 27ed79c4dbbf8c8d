"""Which values of a captured graph share memory."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx

__all__ = ["Aliases", "is_idle_dropout", "is_in_place"]

aten = torch.ops.aten
_DROPOUTS = (aten.dropout.default, aten.feature_dropout.default, aten.alpha_dropout.default)


class Aliases:
    """Views and in-place results of a graph, with the values that own their memory.

    Args:
        nodes: The nodes of the graph, in order.
    """

    def __init__(self, nodes: Sequence[fx.Node]) -> None:
        self._number = {node: i for i, node in enumerate(nodes)}
        self._owner: dict[fx.Node, fx.Node] = {}
        self._tenants: dict[fx.Node, list[fx.Node]] = {}
        for node in nodes:
            source = _source(node)
            owner = self._owner[node] = node if source is None else self._owner[source]
            self._tenants.setdefault(owner, []).append(node)

    def owner(self, node: fx.Node) -> fx.Node:
        """The value whose memory a value may share; itself if it has its own."""
        return self._owner[node]

    def hidden_writes(self) -> list[fx.Node]:
        """In-place operators that change another value which is read later."""
        return [node for node in self._number if is_in_place(node) and self._is_read_again(node)]

    def _is_read_again(self, writer: fx.Node) -> bool:
        target = writer.args[0]
        if not isinstance(target, fx.Node):
            return False
        written = _picks(target)
        return any(
            self._number[user] > self._number[writer] and user.target is not operator.getitem
            for node in self._tenants[self._owner[target]]
            if node is not target and self._number[node] < self._number[writer]
            # Different parts of one split do not overlap.
            and all(written.get(whole, part) == part for whole, part in _picks(node).items())
            for user in node.users
        )


def is_in_place(node: fx.Node) -> bool:
    """Whether the node's operator writes to its first argument; `detach_` changes no number."""
    if not isinstance(node.target, torch._ops.OpOverload) or node.target is torch.ops.aten.detach_.default:
        return False
    return node.target._schema.is_mutable


def is_idle_dropout(node: fx.Node) -> bool:
    """Whether the node is a dropout that returns its input; older versions of torch trace it as a copy."""
    return node.target in _DROPOUTS and not node.args[2]


def _source(node: fx.Node) -> fx.Node | None:
    """The value that the node's result may be a view of."""
    if node.op != "call_function" or not node.args:
        return None
    first = node.args[0]
    shares = node.target is operator.getitem or (
        isinstance(node.target, torch._ops.OpOverload)
        and any(returned.alias_info is not None for returned in node.target._schema.returns)
    )
    if (shares or is_idle_dropout(node)) and isinstance(first, fx.Node):
        return first
    # Some operators return their input although their schema does not say so, such as einsum.
    here = set(_storages(node.meta.get("val")))
    return next((one for one in node.all_input_nodes if here.intersection(_storages(one.meta.get("val")))), None)


def _storages(value: Any) -> Iterator[int]:
    if isinstance(value, Tensor):
        yield value.untyped_storage()._cdata
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _storages(one)


def _picks(node: fx.Node) -> dict[fx.Node, object]:
    """For each list that a value was taken from, its position in the list."""
    picks: dict[fx.Node, object] = {}
    source = _source(node)
    while source is not None:
        if node.target is operator.getitem:
            picks[source] = node.args[1]
        node, source = source, _source(source)
    return picks
