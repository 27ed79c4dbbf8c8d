"""Replace operators of a captured graph by others that have rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg
from torch.fx.proxy import GraphAppendingTracer

from .inlining import hand_over, inline_nested
from .ops.pointwise import overloads

__all__ = ["LOWERINGS", "Tracer", "lower"]

aten = torch.ops.aten
#: Each function takes the operator's arguments. For an operator that returns several tensors, it returns None for those
#: that it does not compute.
LOWERINGS: dict[Any, Callable[..., Any]] = {}


def lower(module: fx.GraphModule) -> None:
    """Replace operators by ones with rules, and inline nested graphs; changes the module."""
    inline_nested(module)
    graph = module.graph
    for node in list(graph.nodes):
        if node.target is aten._assert_tensor_metadata.default:
            # It holds for the traced image only: autocast changes dtypes.
            graph.erase_node(node)
        elif node.op == "call_function" and node.target in LOWERINGS:
            _replace(node, LOWERINGS[node.target])


class Tracer(GraphAppendingTracer):
    """Appends nodes with the metadata of exported ones: a fake result and the module."""

    def __init__(self, node: fx.Node) -> None:
        super().__init__(node.graph)
        self._origin = {key: value for key, value in node.meta.items() if key != "val"}

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        fakes = map_arg((node.args, node.kwargs), lambda one: one.meta["val"])
        operator: Any = node.target
        node.meta = {**self._origin, "val": operator(*fakes[0], **fakes[1])}
        return node


def _replace(node: fx.Node, function: Callable[..., Any]) -> None:
    tracer = Tracer(node)
    with node.graph.inserting_before(node):
        proxy: Any = lambda one: fx.Proxy(one, tracer)  # noqa: E731
        args, kwargs = map_arg((node.args, node.kwargs), proxy)
        result = function(*args, **kwargs)
    if isinstance(result, fx.Proxy):
        node.replace_all_uses_with(result.node)
        node.graph.erase_node(node)
    elif result is not NotImplemented:
        hand_over(node, [None if one is None else one.node for one in result])


def _lowering(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        LOWERINGS.update(dict.fromkeys(overloads(*names), function))
        return function

    return register


# --- views: values are channels-last, unlike the captured ones, so they may need a copy ---

LOWERINGS[aten.view.default] = LOWERINGS[aten._unsafe_view.default] = aten.reshape.default
LOWERINGS[aten.view_as.default] = aten.reshape_as.default
LOWERINGS[aten.detach_.default] = aten.detach.default


@_lowering("copy")
def _copy(target: Any, source: Any, non_blocking: bool = False) -> Any:
    """The source in the shape and dtype of a tensor whose every element it replaces."""
    return aten.clone.default(aten.expand_as.default(aten.to.dtype(source, target.node.meta["val"].dtype), target))


@_lowering("channel_shuffle", "native_channel_shuffle")
def _channel_shuffle(x: Any, groups: int) -> Any:
    """On CUDA, the operator itself takes no channels-last maps."""
    sizes = x.node.meta["val"].shape
    apart = aten.reshape.default(x, [-1, groups, sizes[1] // groups, *sizes[2:]])
    return aten.reshape.default(aten.transpose.int(apart, 1, 2), [-1, *sizes[1:]])


# --- one-dimensional operators, as two-dimensional ones of height 1 ---


def _widened(two: Any, tensors: int) -> Callable[..., Any]:
    """A one-dimensional operator as a two-dimensional one of height 1.

    Args:
        two: The two-dimensional overload.
        tensors: How many leading arguments are tensors that get a dimension.
    """

    def one(*args: Any, **kwargs: Any) -> Any:
        arguments = []
        for place, argument in enumerate(two._schema.arguments):
            value = kwargs.get(argument.name, argument.default_value)
            value = args[place] if place < len(args) else value
            if place < tensors:
                value = aten.unsqueeze.default(value, -2)
            elif str(argument.type) == "List[int]" and value:
                line = value[-1] if isinstance(value, list | tuple) else value
                value = [0 if "padding" in argument.name else 1, line]
            arguments.append(value)
        result = two(*arguments)
        parts = len(two._schema.returns)
        if parts == 1:
            return aten.squeeze.dim(result, -2)
        return [aten.squeeze.dim(result[part], -2) for part in range(parts)]

    return one


for _one, _two, _tensors in (
    (aten.conv1d.default, aten.conv2d.default, 2),
    (aten.conv1d.padding, aten.conv2d.padding, 2),
    (aten.conv_transpose1d.default, aten.conv_transpose2d.input, 2),
    (aten.avg_pool1d.default, aten.avg_pool2d.default, 1),
    (aten.max_pool1d.default, aten.max_pool2d.default, 1),
    (aten.adaptive_avg_pool1d.default, aten.adaptive_avg_pool2d.default, 1),
    (aten.adaptive_max_pool1d.default, aten.adaptive_max_pool2d.default, 1),
):
    LOWERINGS[_one] = _widened(_two, _tensors)


def _widened_resize(two: Any) -> Callable[..., Any]:
    def one(x: Any, size: Any, *rest: Any) -> Any:
        *corners, scales = rest
        size, scales = (None if along is None else [1, *along] for along in (size, scales))
        return aten.squeeze.dim(two(aten.unsqueeze.default(x, -2), size, *corners, scales), -2)

    return one


for _one, _two in (
    (aten.upsample_linear1d.vec, aten.upsample_bilinear2d.vec),
    (aten.upsample_nearest1d.vec, aten.upsample_nearest2d.vec),
    (aten._upsample_nearest_exact1d.vec, aten._upsample_nearest_exact2d.vec),
):
    LOWERINGS[_one] = _widened_resize(_two)


def _conv3d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """A 3D convolution that does not mix one of its dimensions, which becomes part of the batch of a 2D one."""
    shape, kernel = x.node.meta["val"].shape, weight.node.meta["val"].shape[2:]
    sizes = [[one] * 3 if isinstance(one, int) else list(one) * (3 // len(one)) for one in (stride, padding, dilation)]
    alone = [dim for dim in range(3) if (kernel[dim], sizes[0][dim], sizes[1][dim]) == (1, 1, 0)]
    if len(shape) != 5 or not alone:
        return NotImplemented
    kept = [dim for dim in range(3) if dim != alone[0]]
    order = [0, 2 + alone[0], 1, 2 + kept[0], 2 + kept[1]]
    maps = aten.flatten.using_ints(aten.permute.default(x, order), 0, 1)
    two = ([one[dim] for dim in kept] for one in sizes)
    y = aten.conv2d.default(maps, aten.squeeze.dim(weight, 2 + alone[0]), bias, *two, groups)
    y = aten.unflatten.int(y, 0, [-1, shape[2 + alone[0]]])
    return aten.permute.default(y, [order.index(dim) for dim in range(5)])


LOWERINGS[aten.conv3d.default] = _conv3d


# --- compositions of operators with rules ---


@_lowering("glu")
def _glu(self: Any, dim: int = -1) -> Any:
    half = self.node.meta["val"].shape[dim] // 2
    first, second = aten.slice.Tensor(self, dim, 0, half), aten.slice.Tensor(self, dim, half, 2 * half)
    return aten.mul.Tensor(first, aten.sigmoid.default(second))


def _added(product: Any) -> Callable[..., Any]:
    def function(self: Any, one: Any, two: Any, beta: float = 1, alpha: float = 1) -> Any:
        return aten.add.Tensor(aten.mul.Tensor(self, beta), product(one, two), alpha=alpha)

    return function


LOWERINGS[aten.addmm.default] = _added(aten.mm.default)
LOWERINGS[aten.addmv.default] = _added(aten.mv.default)
LOWERINGS[aten.baddbmm.default] = _added(aten.bmm.default)


@_lowering("cosine_similarity")
def _cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    ranks = [len(x.node.meta["val"].shape) for x in (x1, x2)]
    if ranks[0] != ranks[1]:
        return NotImplemented
    labels = "abcdefgh"[: ranks[0]]
    rest = labels.replace(labels[dim], "")
    common = torch.promote_types(*(x.node.meta["val"].dtype for x in (x1, x2)))
    units = []
    for x in (x1, x2):
        x = aten.to.dtype(x, common)
        length = aten.linalg_vector_norm.default(x, 2, [dim], True)
        units.append(aten.div.Tensor(x, aten.clamp_min.default(length, eps)))
    return aten.einsum.default(f"{labels},{labels}->{rest}", units)


@_lowering("pairwise_distance")
def _pairwise_distance(x1: Any, x2: Any, p: float = 2, eps: float = 1e-6, keepdim: bool = False) -> Any:
    apart = aten.add.Scalar(aten.sub.Tensor(x1, x2), eps)
    return aten.linalg_vector_norm.default(apart, p, [-1], keepdim)


@_lowering("instance_norm")
def _instance_norm(x: Any, weight: Any, bias: Any, mean: Any, variance: Any, by_image: bool, *rest: Any) -> Any:
    momentum, eps, cudnn = rest
    if by_image:
        return aten.group_norm.default(x, x.node.meta["val"].shape[1], weight, bias, eps)
    # Torch 2.14.1 returns a wrong gradient for a single image here; that of a batch norm is corrected.
    return aten.batch_norm.default(x, weight, bias, mean, variance, False, momentum, eps, cudnn)


# --- operators with several results, of which only the first is used ---


@_lowering("max_pool2d_with_indices")
def _max_pool2d(*args: Any) -> Any:
    return aten.max_pool2d.default(*args), None


@_lowering("native_layer_norm")
def _layer_norm(*args: Any) -> Any:
    return aten.layer_norm.default(*args), None, None


@_lowering("native_group_norm")
def _group_norm(x: Any, weight: Any, bias: Any, _n: Any, _c: Any, _hw: Any, groups: int, eps: float) -> Any:
    return aten.group_norm.default(x, groups, weight, bias, eps), None, None


@_lowering("_native_batch_norm_legit_no_training")
def _batch_norm(*args: Any) -> Any:
    return aten.batch_norm.default(*args[:5], False, *args[5:], False), None, None


@_lowering("native_batch_norm")
def _native_batch_norm(*args: Any) -> Any:
    return aten.batch_norm.default(*args, False), None, None


@_lowering("_fused_rms_norm")
def _rms_norm(*args: Any) -> Any:
    return aten.rms_norm.default(*args), None
