"""Operators that have no rule, replaced by their out-of-place forms or the operators that torch composes them of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from .inlining import inline
from .lowering import LOWERINGS, lower
from .rules import operators

__all__ = ["decompose"]


def decompose(module: fx.GraphModule) -> None:
    """Replace in-place operators without a rule and compositions whose parts all have rules; changes the module.

    The others keep their names, so that an error names the operator that the model calls.
    """
    known = {*operators(), *LOWERINGS}
    found = False
    for node in list(module.graph.nodes):
        if node.op != "call_function" or node.target in known:
            continue
        out_of_place = _out_of_place(node.target)
        if out_of_place in known:
            node.target, found = out_of_place, True
        elif _is_composition(node):
            found |= _replaced_by_parts(module, node, known)
    if found:
        lower(module)


def _out_of_place(operator: Any) -> OpOverload | None:
    """The operator that returns what an in-place one writes, such as `aten.transpose.int` for `aten.transpose_`.

    Only results of writes are read in graphs without hidden writes.
    """
    if not isinstance(operator, OpOverload) or not operator._schema.is_mutable:
        return None
    namespace, name = operator._schema.name.split("::")
    packet = getattr(getattr(torch.ops, namespace), name.removesuffix("_"), None)
    wanted = [(one.name, str(one.type)) for one in operator._schema.arguments]
    for overload in () if packet is None else packet.overloads():
        found: OpOverload = getattr(packet, overload)
        if not found._schema.is_mutable and [(one.name, str(one.type)) for one in found._schema.arguments] == wanted:
            return found
    return None


def _is_composition(node: fx.Node) -> bool:
    operator = node.target
    return (
        isinstance(operator, OpOverload)
        and not operator._schema.is_mutable
        and operator.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd)
        and _makes_tensors(node)
    )


def _replaced_by_parts(module: fx.GraphModule, node: fx.Node, known: Collection[Any]) -> bool:
    """Replace a node by its parts, if all of them are known."""
    operands = [one for one in node.all_input_nodes if isinstance(one.meta.get("val"), Tensor)]
    places = {operand: place for place, operand in enumerate(operands)}

    def composed(*tensors: Tensor) -> Any:
        args, kwargs = map_arg(
            (node.args, node.kwargs), lambda one: tensors[places[one]] if one in places else one.meta["val"]
        )
        operator: Any = node.target
        return operator.decompose(*args, **kwargs)

    try:
        parts = make_fx(composed)(*(one.meta["val"] for one in operands))
    except Exception:  # it cannot be traced for every batch size
        return False
    if any(_makes_tensors(one) and one.target not in known for one in parts.graph.nodes if one.op == "call_function"):
        return False
    inline(module, node, parts, node.name, operands, {key: of for key, of in node.meta.items() if key != "val"})
    return True


def _makes_tensors(node: fx.Node) -> bool:
    return any(isinstance(one, Tensor) for one in pytree.tree_leaves(node.meta.get("val")))
