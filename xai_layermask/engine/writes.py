"""Writes to a part of a tensor, replaced by a new tensor that holds the part.

`y[:, :, 1:] = x` writes into memory that is read again as `y`. A masked activation has a presence of its own under each
name, so such a write becomes a concatenation of what stays and what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from .alias import Aliases, is_in_place
from .lowering import Tracer

__all__ = ["replace_writes"]

aten = torch.ops.aten
_PARTS = (aten.slice.Tensor, aten.select.int)


def replace_writes(graph: fx.Graph) -> None:
    """Replace the writes to slices of a tensor that is read again; others are left as they are.

    Args:
        graph: A captured graph, which is changed.
    """
    left: set[fx.Node] = set()
    while True:
        aliases = Aliases(list(graph.nodes))
        writers = [node for node in graph.nodes if is_in_place(node) and node not in left]
        writer = next((node for node in writers if aliases.is_read_again(node)), None)
        if writer is None:
            return
        if not _replace(writer, aliases):
            left.add(writer)


def _replace(writer: fx.Node, aliases: Aliases) -> bool:
    """Replace one write; whether that was possible."""
    order = {node: place for place, node in enumerate(writer.graph.nodes)}
    part: fx.Node = writer.args[0]  # type: ignore[assignment]
    parts = [part]
    while parts[-1].target in _PARTS:
        parts.append(parts[-1].args[0])  # type: ignore[arg-type]
    *parts, base = parts
    if aliases.owner(base).op == "placeholder":
        return False  # a parameter or buffer, which no model may write

    def late(node: fx.Node) -> list[fx.Node]:
        return [user for user in node.users if order[user] > order[writer]]

    names = [node for node in order if aliases.owner(node) is aliases.owner(base) and order[node] < order[writer]]
    views = [node for node in names if node is not base and late(node)]
    function = _functional(writer)
    if function is None or not parts or not all(map(_is_plain, parts)) or not all(_leads(v, base) for v in views):
        return False
    with writer.graph.inserting_before(writer):
        tracer = Tracer(writer)
        new = written = function(*(fx.Proxy(arg, tracer) if isinstance(arg, fx.Node) else arg for arg in writer.args))
        for one in parts:
            new = _with_part(one, fx.Proxy(one.args[0], tracer), new)
        again = {base: new.node}
        for view in sorted({node for last in views for node in _chain(last, base)}, key=order.__getitem__):
            with_new = {source: fx.Proxy(node, tracer) for source, node in again.items()}
            again[view] = view.target(with_new[view.args[0]], *view.args[1:], **view.kwargs).node
    for old in (base, *views):
        for user in late(old):
            user.replace_input_with(old, again[old])
    writer.replace_all_uses_with(written.node)
    writer.graph.erase_node(writer)
    return True


def _functional(writer: fx.Node) -> Callable[..., Any] | None:
    """What makes the new part, from the arguments of the write."""
    name, overload = writer.target._schema.name.removeprefix("aten::"), writer.target._overloadname
    if writer.kwargs:
        return None
    if name == "copy_" or (name == "fill_" and overload == "Tensor"):
        return _copied
    if name in ("fill_", "zero_"):
        return lambda part, number=0: aten.full_like.default(part, number)
    return getattr(getattr(aten, name.removesuffix("_"), None), overload, None)


def _copied(part: fx.Proxy, source: fx.Proxy, *_: Any) -> fx.Proxy:
    new = aten.expand_as.default(source, part)
    same = part.node.meta["val"].dtype == source.node.meta["val"].dtype
    return new if same else aten.to.dtype(new, part.node.meta["val"].dtype)


def _bounds(part: fx.Node) -> tuple[int, Any, Any]:
    """The dimension that a part is taken from, and where it begins and ends; None for the end of a batch."""
    whole = part.args[0].meta["val"]
    dim = part.args[1] if len(part.args) > 1 else 0
    length = whole.shape[dim]
    if part.target is aten.select.int:
        return dim, part.args[2] % length, part.args[2] % length + 1
    start, end = (part.args[place] if len(part.args) > place else None for place in (2, 3))
    if not isinstance(length, int):
        return dim, start or 0, None if end is None or end > 2**60 else end
    first, last, _ = slice(start, end).indices(length)
    return dim, first, max(first, last)


def _is_plain(part: fx.Node) -> bool:
    """Whether a part is a run of neighbours, and all images of a batch."""
    if part.target is aten.slice.Tensor and len(part.args) > 4 and part.args[4] != 1:
        return False
    if any(isinstance(arg, fx.Node) for arg in part.args[1:]):
        return False
    dim, start, end = _bounds(part)
    length = part.args[0].meta["val"].shape[dim]
    return isinstance(length, int) or (start == 0 and end is None)


def _chain(view: fx.Node, base: fx.Node) -> list[fx.Node]:
    """The views between a base and a view, which is the first."""
    found = []
    while view is not base:
        found.append(view)
        view = view.args[0]
    return found


def _leads(view: fx.Node, base: fx.Node) -> bool:
    """Whether a view comes from a base by operators that can be applied again."""
    while view is not base:
        first = view.args[0] if view.op == "call_function" and view.args else None
        others = [one for one in view.all_input_nodes if one is not first]
        if not isinstance(first, fx.Node) or is_in_place(view) or others:
            return False
        view = first
    return True


def _with_part(part: fx.Node, whole: fx.Proxy, new: fx.Proxy) -> Any:
    """The tensor a part was taken from, with another part."""
    dim, start, end = _bounds(part)
    length = whole.node.meta["val"].shape[dim]
    if part.target is aten.select.int:
        new = aten.unsqueeze.default(new, dim % whole.node.meta["val"].dim())
    if not isinstance(length, int) or (start == 0 and end == length):
        return new
    pieces = [aten.slice.Tensor(whole, dim, 0, start)] if start else []
    pieces.append(new)
    if end < length:
        pieces.append(aten.slice.Tensor(whole, dim, end, length))
    return aten.cat.default(pieces, dim)
