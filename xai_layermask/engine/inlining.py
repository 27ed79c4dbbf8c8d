"""Nested graphs, put in the place of the node that runs them."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import fx

__all__ = ["hand_over", "inline", "inline_nested"]

#: Higher-order operators that run a nested graph, and the number of settings that precede it.
_NESTED = {"wrap_with_autocast": 4, "wrap_with_set_grad_enabled": 1}


def inline_nested(module: fx.GraphModule) -> None:
    """Inline the nested graphs that context managers create; changes the module."""
    while _inline_outermost(module):
        pass


def _inline_outermost(module: fx.GraphModule) -> bool:
    """Inline the nested graphs of the module's own graph; returns whether there were any."""
    calls = [node for node in module.graph.nodes if getattr(node.target, "__name__", "") in _NESTED]
    for call in calls:
        settings = call.args[: _NESTED[call.target.__name__]]
        nested, *operands = call.args[len(settings) :]
        autocast = {"autocast": settings} if len(settings) > 1 else {}
        inline(module, call, module.get_submodule(nested.target), nested.target, operands, autocast)
    return bool(calls)


def inline(
    module: fx.GraphModule,
    call: fx.Node,
    nested: Any,
    prefix: str,
    operands: Sequence[Any],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Replace a node by the nodes of a nested graph.

    Args:
        module: The module that owns the node's graph.
        call: The node.
        nested: A module with the nested graph, which returns what the node returns.
        prefix: Prefix of the names of the nested module's tensors in `module`.
        operands: Values of the nested graph's placeholders.
        defaults: Metadata of the nested nodes that have none of their own.
    """
    places = [node for node in nested.graph.nodes if node.op == "placeholder"]
    known: dict[fx.Node, Any] = dict(zip(places, operands, strict=True))
    with call.graph.inserting_before(call):
        for node in nested.graph.nodes:
            if node.op == "get_attr":
                setattr(module, f"{prefix}_{node.target}", getattr(nested, node.target))
                known[node] = call.graph.get_attr(f"{prefix}_{node.target}")
            elif node.op == "call_function":
                known[node] = call.graph.node_copy(node, known.__getitem__)
                known[node].meta = {**defaults, **known[node].meta}
    (results,) = next(node for node in nested.graph.nodes if node.op == "output").args
    if isinstance(results, fx.Node):
        call.replace_all_uses_with(known[results])
        call.graph.erase_node(call)
    else:
        hand_over(call, [known[one] for one in results])


def hand_over(node: fx.Node, results: list[fx.Node | None]) -> None:
    """Replace the parts of a node's result, unless one that is used has no replacement."""
    picks = [user for user in node.users if user.target is operator.getitem]
    if any(results[pick.args[1]] is None and pick.users for pick in picks):  # type: ignore[index]
        return
    for pick in picks:
        replacement = results[pick.args[1]]  # type: ignore[index]
        if replacement is not None:
            pick.replace_all_uses_with(replacement)
        node.graph.erase_node(pick)
    node.graph.erase_node(node)
