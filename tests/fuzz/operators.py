"""What layer masking says about each operator, one function each, by ATen's names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from .cells import ABSENT, BORDER, PRESENT, Masked, any_of, fill, masked, windows

Given = dict[str, Any]
Rule = Callable[[Any, fx.Node, Given], Any]
RULES: dict[str, Rule] = {}
#: Written out everywhere: the operator's own gradient is wrong in some layouts (torch 2.14 on the CPU).
WRITTEN_OUT = ("batch_norm", "instance_norm")


def rule(names: str) -> Callable[[Rule], Rule]:
    """Register the decorated function for operators, named without namespace and overload."""

    def register(function: Rule) -> Rule:
        for name in names.split():
            if name in RULES:
                raise ValueError(f"{name} has two rules")
            RULES[name] = function
        return function

    return register


def call(node: fx.Node, given: Given, strip: Callable[[Masked], Tensor] = lambda m: m.x, **changed: Any) -> Any:
    """Run the node's operator on plain tensors."""
    schema = node.target._schema
    given = pytree.tree_map_only(Masked, strip, {**given, **changed})
    args = [given[a.name] for a in schema.arguments if not a.kwarg_only]
    return node.target(*args, **{a.name: given[a.name] for a in schema.arguments if a.kwarg_only})


def state_of(value: Any) -> Tensor:
    """The states of an operand; an ordinary one adds nothing to a joint state, as borders do."""
    return value.state if isinstance(value, Masked) else torch.full_like(value, BORDER, dtype=torch.float64)


# --- per position ---


@rule(
    "dropout feature_dropout alias clone contiguous to _to_copy detach detach_ prelu relu6 selu hardsigmoid "
    "log_sigmoid hardswish square type_as lift_fresh_copy rrelu nan_to_num"
)
def pointwise(run: Any, node: fx.Node, given: Given) -> Any:
    operands = [one for one in pytree.tree_leaves(given) if isinstance(one, Masked)]
    if node.target._schema.name in ("aten::type_as", "aten::to") and not isinstance(given["self"], Masked):
        return call(node, given)
    if node.target._schema.name == "aten::type_as":
        operands = operands[:1]
    y = call(node, given)
    joint = torch.full(y.shape, BORDER, dtype=torch.float64)
    for one in operands:
        joint = torch.minimum(joint, one.state.broadcast_to(y.shape))
    if node.target._schema.is_mutable:
        first = given["self"]
        first.state.copy_(joint)
        first.source = None
        return first
    if y.data_ptr() == operands[0].x.data_ptr() and y.shape == operands[0].x.shape:
        return Masked(y, operands[0].state)  # nothing was done, and both are the same memory
    return masked(y, joint)


@rule("batch_norm")
def batch_norm(run: Any, node: fx.Node, given: Given) -> Any:
    m, around = given["input"], (1, -1, *[1] * (given["input"].x.dim() - 2))
    scale = (given["running_var"] + given["eps"]).rsqrt()
    y = (m.x - given["running_mean"].view(around)) * scale.view(around)
    return masked(_affine(y, given, around), m.state)


def _affine(y: Tensor, given: Given, around: tuple[int, ...] | None = None) -> Tensor:
    """The scale and shift of a norm, where it has them."""
    for name, combine in (("weight", torch.mul), ("bias", torch.add)):
        if given[name] is not None:
            y = combine(y, given[name] if around is None else given[name].view(around))
    return y


# --- windows ---


def pair(sizes: Any) -> tuple[int, int]:
    """One number or two as two."""
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    return int(sizes[0]), int(sizes[-1])


def window(
    run: Any,
    m: Masked,
    evaluate: Callable[[Tensor], Any],
    looks: Callable[[Tensor, tuple[int, int]], tuple[Tensor, Tensor]],
    reach: int,
    kind: str = "conv",
    bias: Tensor | None = None,
) -> Any:
    """A window slides over a filled map; its output is present where enough of what it sees is.

    Args:
        run: The interpreter.
        m: The map.
        evaluate: The operator, as a function of the map's value.
        looks: From states `(N, 1, H, W)` and the size of the output, for each window its number of cells that are
            present, and of those that are no border.
        reach: Rounds of padding.
        kind: "conv", "max" or "mean".
        bias: Of a convolution.
    """
    m, settings = m.by_position(), run.settings
    fills = settings.padding == "neighbor" and (settings.pool_padding or kind == "conv")
    partial = settings.padding == "partial" and (settings.pool_padding or kind == "conv")
    largest = kind == "max"
    x = fill(m, reach) if fills else torch.where(m.state == ABSENT, -math.inf if partial and largest else 0.0, m.x)
    y = evaluate(x)
    y, rest = (y[0], y[1:]) if isinstance(y, tuple) else (y, None)
    present, inside = looks(m.state[:, :1], (y.shape[2], y.shape[3]))
    enough = (present > 0) & (present / inside.clamp(min=1) >= settings.threshold - 1e-6)
    state = torch.where(inside == 0, BORDER, torch.where(enough, PRESENT, ABSENT))
    if partial and not largest:
        shift = 0.0 if bias is None else bias.view(-1, 1, 1)
        scaled = (y - shift) * (inside.double() / present.clamp(min=1)) + shift
        y = torch.where(state == PRESENT, scaled, y)
    y = torch.where(state == ABSENT, 0.0, y)  # no -inf there: gradients of what follows are NaN otherwise
    state = run.redrawn(state)
    return masked(y, state) if rest is None else (masked(y, state), *rest)


def counting(kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """What windows look at, for `window`."""

    def looks(state: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        seen = windows(state, kernel, stride, padding, dilation, size)
        return (seen == PRESENT).sum(1, keepdim=True), (seen != BORDER).sum(1, keepdim=True)

    return looks


def rounds(kernel: Any, dilation: Any) -> int:
    """As many rounds as the kernel is wide, or more where it is dilated."""
    return max(max(k, d * (k - 1)) for k, d in zip(kernel, dilation, strict=True))


def on_map(rule: Callable[..., Any]) -> Rule:
    """The rule of an operator on maps, also for the one on lines: maps of one row."""

    def lines(run: Any, node: fx.Node, given: Given) -> Any:
        name = "input" if "input" in given else "self"
        m = given[name]
        if "2d" in node.target._schema.name:
            return rule(run, node, given, m, lambda x: call(node, {**given, name: x}), pair)
        row = Masked(m.x.unsqueeze(-2), m.state.unsqueeze(-2))

        def evaluate(x: Tensor) -> Tensor:
            y = call(node, {**given, name: x.squeeze(-2)})
            return (y[0] if isinstance(y, tuple) else y).unsqueeze(-2)

        def one_row(sizes: Any, least: int = 1) -> tuple[int, int]:
            return least, pair(sizes)[1]

        y = rule(run, node, given, row, evaluate, one_row)
        if isinstance(y, Masked):
            return Masked(y.x.squeeze(-2), y.state.squeeze(-2))
        return y.squeeze(-2)

    return lines


@rule("conv2d conv1d")
@on_map
def conv(run: Any, node: fx.Node, given: Given, m: Masked, evaluate: Any, sizes: Any) -> Any:
    kernel = tuple(given["weight"].shape[2:])
    kernel = kernel if len(kernel) == 2 else (1, *kernel)
    dilation, padding = sizes(given["dilation"]), given["padding"]
    if isinstance(padding, str):
        padding = tuple(d * (k - 1) // 2 if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True))
    else:
        padding = sizes(padding) if sizes is pair else sizes(padding, 0)
    looks = counting(kernel, sizes(given["stride"]), padding, dilation)
    return window(run, m, evaluate, looks, rounds(kernel, dilation), bias=given["bias"])


@rule("conv_transpose2d")
def conv_transpose2d(run: Any, node: fx.Node, given: Given) -> Any:
    kernel, dilation = pair(given["weight"].shape[2:]), pair(given["dilation"])
    ones = torch.ones(1, 1, *kernel, dtype=torch.float64)

    def looks(state: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        def reached(cells: Tensor) -> Tensor:
            plain = {**given, "input": cells.double(), "weight": ones, "bias": None, "groups": 1}
            return call(node, plain).round()

        return reached(state == PRESENT), reached(state != BORDER)

    def evaluate(x: Tensor) -> Tensor:
        return call(node, {**given, "input": x})

    return window(run, given["input"], evaluate, looks, rounds(kernel, dilation), bias=given["bias"])


@rule("im2col")
def unfold(run: Any, node: fx.Node, given: Given) -> Any:
    kernel, dilation, padding, stride = (pair(given[a]) for a in ("kernel_size", "dilation", "padding", "stride"))
    if kernel == stride and padding == (0, 0) and dilation == (1, 1):
        return view(run, node, given)
    m = given["self"]
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(m.x.shape[2:], padding, dilation, kernel, stride, strict=True)
    ]

    def evaluate(x: Tensor) -> Tensor:
        return call(node, {**given, "self": x}).unflatten(2, size)

    looks = counting(kernel, stride, padding, dilation)
    y = window(run, m, evaluate, looks, rounds(kernel, dilation))
    return masked(y.x.flatten(2), y.state.flatten(2))


@rule("col2im")
def fold(run: Any, node: fx.Node, given: Given) -> Any:
    m = given["self"]
    y, terms, seen, present, border = (
        call(node, {**given, "self": one.double()})
        for one in (m.zeroed(), torch.ones_like(m.x), m.seen(), m.state == PRESENT, m.state == BORDER)
    )
    state = torch.where(present > 0, PRESENT, torch.where(border == terms, BORDER, ABSENT))
    return masked(y * terms / seen.clamp(min=1), state)


@rule("max_pool2d max_pool2d_with_indices max_pool1d")
@on_map
def max_pool(run: Any, node: fx.Node, given: Given, m: Masked, evaluate: Any, sizes: Any) -> Any:
    kernel, dilation = sizes(given["kernel_size"]), sizes(given["dilation"])
    stride = sizes(given["stride"] or given["kernel_size"])
    padding = sizes(given["padding"]) if sizes is pair else sizes(given["padding"], 0)
    return window(run, m, evaluate, counting(kernel, stride, padding, dilation), rounds(kernel, dilation), "max")


@rule("avg_pool2d avg_pool1d")
@on_map
def avg_pool(run: Any, node: fx.Node, given: Given, m: Masked, evaluate: Any, sizes: Any) -> Any:
    kernel = sizes(given["kernel_size"])
    padding = sizes(given["padding"]) if sizes is pair else sizes(given["padding"], 0)
    if kernel == tuple(m.x.shape[2:]) and padding == (0, 0) and given.get("divisor_override") is None:
        return _regions(m, (1, 1), lambda m: mean_seen(m, (2, 3)))
    looks = counting(kernel, sizes(given["stride"] or given["kernel_size"]), padding, (1, 1))
    return window(run, m, evaluate, looks, rounds(kernel, (1, 1)), "mean")


@rule("avg_pool3d")
def avg_pool3d(run: Any, node: fx.Node, given: Given) -> Any:
    # Over channels alone, as LocalResponseNorm asks for it.
    m, kernel = given["self"], given["kernel_size"]
    y = call(node, given)
    state = m.state
    for dim, size in zip((-3, -2, -1), kernel, strict=True):
        if size == 1:
            continue
        if run.varies(node, "in", m.state, m.x.dim() + dim):
            raise NotImplementedError("windows of three dimensions over positions")
        state = state.narrow(dim, 0, 1).repeat_interleave(y.shape[dim], dim)
    return masked(y, state)


@rule("pad constant_pad_nd reflection_pad2d replication_pad2d")
def pad(run: Any, node: fx.Node, given: Given) -> Any:
    m, name = given["self"], node.target._schema.name
    sizes = given["pad"] if "pad" in given else given["padding"]
    mirrored = (given["mode"] != "constant") if "mode" in given else "constant" not in name
    rank = m.x.dim()
    if mirrored and rank == len(sizes) == 4:
        m = m.by_position()  # a border of this kind is made of whole positions
    state = m.state
    if mirrored:
        state = call(node, {**given, "self": state})
    else:
        for i in range(0, len(sizes), 2):
            dim = rank - 1 - i // 2
            before_after = [0] * (2 * (rank - 1 - dim)) + list(sizes[i : i + 2])
            varies = run.varies(node, "pad", m.state, dim)
            if varies or (rank == 4 and dim >= 2):
                state = F.pad(state, before_after, value=BORDER)
            else:
                length = state.shape[dim] + sum(sizes[i : i + 2])
                state = state.narrow(dim, 0, 1).repeat_interleave(length, dim)
    out = masked(call(node, given), state)
    kept = Masked(m.x.clone(), m.state.clone(), m.source)
    out.source = (kept, lambda x: call(node, {**given, "self": x}), mirrored)
    return out


@rule("upsample_nearest2d _upsample_nearest_exact2d")
def nearest(run: Any, node: fx.Node, given: Given) -> Any:
    return view(run, node, given, name="input" if "input" in given else "self")


@rule("upsample_bilinear2d upsample_bicubic2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa")
def resize(run: Any, node: fx.Node, given: Given) -> Any:
    name = "input" if "input" in given else "self"
    m = given[name].by_position()
    x = fill(m, None) if run.settings.padding == "neighbor" else m.zeroed()
    y = call(node, {**given, name: x})
    return masked(y, F.interpolate(m.state, y.shape[2:], mode="nearest"))


# --- views and joins ---


@rule(
    "view _unsafe_view reshape flatten unflatten permute transpose swapaxes swapdims t movedim squeeze unsqueeze "
    "expand repeat tile slice select narrow split split_with_sizes chunk unbind flip roll rot90 pixel_shuffle "
    "pixel_unshuffle channel_shuffle repeat_interleave index index_select expand_as reshape_as view_as"
)
def view(run: Any, node: fx.Node, given: Given, name: str = "self") -> Any:
    m = given[name]
    if not isinstance(m, Masked):
        return call(node, given)
    if "other" in given and isinstance(given["other"], Masked):
        given = {**given, "other": given["other"].x}

    def rearranged(x: Tensor) -> Any:
        if node.target._schema.name in ("aten::view", "aten::_unsafe_view"):
            return x.reshape(given["size"])
        return call(node, {**given, name: x})

    x, state = rearranged(m.x), rearranged(m.state)
    if isinstance(x, Tensor) and x.shape[:1] != m.x.shape[:1]:
        state = run.redrawn_rows(state)
    return Masked(x, state) if isinstance(x, Tensor) else [Masked(*both) for both in zip(x, state, strict=True)]


@rule("cat concat concatenate")
def cat(run: Any, node: fx.Node, given: Given) -> Any:
    tensors = given["tensors"]
    y = call(node, given)
    rank, dim = y.dim(), given["dim"] % y.dim()
    operands = [one for one in tensors if isinstance(one, Masked)]
    varied = [run.varies(node, i, one.state, dim) for i, one in enumerate(operands)]
    channels = rank == 4 and dim == 1
    wide = any(one.x.shape[dim] > 1 for one in operands)
    space = rank == 4 and dim >= 2
    if not any(varied) and (channels or (wide and not space)):
        joint = operands[0].state.narrow(dim, 0, 1)
        for one in operands[1:]:
            joint = torch.minimum(joint, one.state.narrow(dim, 0, 1))
        return masked(y, joint.expand(y.shape))
    states = [
        one.state if isinstance(one, Masked) else torch.full_like(one, PRESENT, dtype=torch.float64) for one in tensors
    ]
    return masked(y, torch.cat(states, dim))


@rule("stack")
def stack(run: Any, node: fx.Node, given: Given) -> Any:
    y = call(node, given)
    states = [state_of(one) for one in given["tensors"]]
    dim = given["dim"] % y.dim()
    if dim == 0:  # images keep their own, and what is not masked is present
        kept = [torch.where(state == BORDER, PRESENT, state) for state in states]
        return masked(y, torch.stack(kept))
    return masked(y, torch.stack(states).amin(0).unsqueeze(dim).expand(y.shape))


@rule("glu")
def glu(run: Any, node: fx.Node, given: Given) -> Any:
    return masked(call(node, given), torch.minimum(*given["self"].state.chunk(2, given["dim"])))


# --- over many positions ---


def leave(run: Any, node: fx.Node, y: Tensor, state: Tensor) -> Any:
    """What is the same for a whole image is an ordinary tensor."""
    if any(run.varies(node, "leave", state, dim) for dim in range(1, state.dim())):
        return masked(y, state)
    return y


def reduced(run: Any, node: fx.Node, m: Masked, dims: Any, keepdim: bool, value: Callable[..., Tensor]) -> Any:
    """A statistic over dimensions: over what is seen."""
    rank = m.x.dim()
    dims = tuple(sorted(dim % rank for dim in ([dims] if isinstance(dims, int) else dims or ()))) or tuple(range(rank))
    state = any_of(m.state, dims)
    y = torch.where(_any(m.seen(), dims), value(m, dims), 0.0)
    if not keepdim:
        for dim in reversed(dims):
            y, state = y.squeeze(dim), state.squeeze(dim)
    varied = [run.varies(node, "in", m.state, dim) for dim in dims]
    if keepdim and not any(varied) and len(dims) < rank - 1:
        return masked(y, state)
    return leave(run, node, y, state)


def _any(seen: Tensor, dims: tuple[int, ...]) -> Tensor:
    return seen.double().amax(dims, keepdim=True) > 0


def mean_seen(m: Masked, dims: tuple[int, ...]) -> Tensor:
    """The mean over what is seen."""
    return m.zeroed().sum(dims, keepdim=True) / m.seen().sum(dims, keepdim=True).clamp(min=1)


@rule("mean")
def mean(run: Any, node: fx.Node, given: Given) -> Any:
    return reduced(run, node, given["self"], given.get("dim"), given.get("keepdim", False), mean_seen)


@rule("sum")
def total(run: Any, node: fx.Node, given: Given) -> Any:
    def value(m: Masked, dims: tuple[int, ...]) -> Tensor:
        return mean_seen(m, dims) * math.prod(m.x.shape[dim] for dim in dims)

    return reduced(run, node, given["self"], given.get("dim"), given.get("keepdim", False), value)


@rule("amax amin")
def extreme(run: Any, node: fx.Node, given: Given) -> Any:
    sign = 1.0 if "amax" in node.target._schema.name else -1.0

    def value(m: Masked, dims: tuple[int, ...]) -> Tensor:
        return sign * torch.where(m.seen(), sign * m.x, -math.inf).amax(dims, keepdim=True)

    return reduced(run, node, given["self"], given["dim"], given["keepdim"], value)


@rule("max min")
def extreme_and_place(run: Any, node: fx.Node, given: Given) -> Any:
    if "other" in given:
        return pointwise(run, node, given)
    sign = 1.0 if node.target._schema.name == "aten::max" else -1.0

    def value(m: Masked, dims: tuple[int, ...]) -> Tensor:
        return sign * torch.where(m.seen(), sign * m.x, -math.inf).amax(dims, keepdim=True)

    y = reduced(run, node, given["self"], given.get("dim"), given.get("keepdim", False), value)
    return (y, None) if isinstance(node.meta["val"], tuple | list) else y


@rule("prod")
def product(run: Any, node: fx.Node, given: Given) -> Any:
    def value(m: Masked, dims: tuple[int, ...]) -> Tensor:
        return torch.where(m.seen(), m.x, 1.0).prod(dims[0], keepdim=True)

    return reduced(run, node, given["self"], given["dim"], given["keepdim"], value)


@rule("var std")
def variance(run: Any, node: fx.Node, given: Given) -> Any:
    correction = given["correction"] if "correction" in given else float(given["unbiased"])
    correction = 1.0 if correction is None else correction

    def value(m: Masked, dims: tuple[int, ...]) -> Tensor:
        spread = Masked(torch.where(m.seen(), m.x - mean_seen(m, dims), 0.0), m.state)
        degrees = m.seen().sum(dims, keepdim=True) - correction
        y = torch.where(degrees > 0, spread.x.square().sum(dims, keepdim=True) / degrees.clamp(min=1), 0.0)
        if "var" in node.target._schema.name:
            return y
        return torch.where(y > 0, torch.where(y > 0, y, 1.0).sqrt(), 0.0)

    return reduced(run, node, given["self"], given["dim"], given["keepdim"], value)


@rule("linalg_vector_norm")
def vector_norm(run: Any, node: fx.Node, given: Given) -> Any:
    def value(m: Masked, dims: tuple[int, ...]) -> Tensor:
        return torch.linalg.vector_norm(m.zeroed(), given["ord"], dims, keepdim=True)

    return reduced(run, node, given["self"], given["dim"], given["keepdim"], value)


@rule("logsumexp")
def log_sum_exp(run: Any, node: fx.Node, given: Given) -> Any:
    def value(m: Masked, dims: tuple[int, ...]) -> Tensor:
        top = torch.where(m.seen(), m.x, -math.inf).amax(dims, keepdim=True).detach().nan_to_num(neginf=0.0)
        total = torch.where(m.seen(), (torch.where(m.seen(), m.x, 0.0) - top).exp(), 0.0).sum(dims, keepdim=True)
        return torch.where(total > 0, total, 1.0).log() + top

    return reduced(run, node, given["self"], given["dim"], given["keepdim"], value)


@rule("adaptive_avg_pool2d adaptive_avg_pool1d")
@on_map
def regions(run: Any, node: fx.Node, given: Given, m: Masked, evaluate: Any, sizes: Any) -> Any:
    return _regions(m, sizes(given["output_size"]), lambda m: mean_seen(m, (2, 3)))


@rule("adaptive_max_pool2d")
def largest_regions(run: Any, node: fx.Node, given: Given) -> Any:
    def value(m: Masked) -> Tensor:
        return torch.where(m.seen(), m.x, -math.inf).amax((2, 3), keepdim=True)

    y = _regions(given["self"], given["output_size"], value)
    return (y, None) if isinstance(node.meta["val"], tuple | list) else y


def _regions(m: Masked, sizes: Any, value: Callable[[Masked], Tensor]) -> Tensor:
    (h, w), (rows, cols) = m.x.shape[2:], pair(sizes)
    found = []
    for i in range(rows):
        row = []
        for j in range(cols):
            part = slice(i * h // rows, -(-(i + 1) * h // rows)), slice(j * w // cols, -(-(j + 1) * w // cols))
            cell = Masked(m.x[(..., *part)], m.state[(..., *part)])
            row.append(torch.where(_any(cell.seen(), (2, 3)), value(cell), 0.0))
        found.append(torch.cat(row, 3))
    return torch.cat(found, 2)


def normalised(m: Masked, dims: tuple[int, ...], eps: float) -> Tensor:
    """Zero mean and unit variance over what is seen."""
    mean = mean_seen(m, dims)
    spread = Masked(torch.where(m.seen(), m.x - mean, 0.0), m.state)
    return spread.x / (mean_seen(Masked(spread.x.square(), m.state), dims) + eps).sqrt()


@rule("group_norm")
def group_norm(run: Any, node: fx.Node, given: Given) -> Any:
    return _grouped(given["input"], given["num_groups"], given)


@rule("instance_norm")
def instance_norm(run: Any, node: fx.Node, given: Given) -> Any:
    if not given["use_input_stats"]:
        return batch_norm(run, node, given)
    return _grouped(given["input"], given["input"].x.shape[1], given)


def _grouped(m: Masked, groups: int, given: Given) -> Masked:
    shape = (m.x.shape[0], groups, -1, *m.x.shape[2:])
    parts = Masked(m.x.reshape(shape), m.state.reshape(shape))
    y = normalised(parts, tuple(range(2, len(shape))), given["eps"]).reshape(m.x.shape)
    return masked(_affine(y, given, (1, -1, *[1] * (m.x.dim() - 2))), m.state)


@rule("layer_norm")
def layer_norm(run: Any, node: fx.Node, given: Given) -> Any:
    m = given["input"]
    rank = m.x.dim()
    y = normalised(m, tuple(range(rank - len(given["normalized_shape"]), rank)), given["eps"])
    return masked(_affine(y, given), m.state)


@rule("rms_norm")
def rms_norm(run: Any, node: fx.Node, given: Given) -> Any:
    m = given["input"]
    dims = tuple(range(m.x.dim() - len(given["normalized_shape"]), m.x.dim()))
    precision = torch.promote_types(run.dtype, torch.float32)  # halves are computed in single precision
    eps = torch.finfo(precision).eps if given["eps"] is None else given["eps"]
    y = m.zeroed() / (mean_seen(Masked(m.zeroed().square(), m.state), dims) + eps).sqrt()
    return masked(y if given["weight"] is None else y * given["weight"], m.state)


# --- tokens ---


@rule("softmax _softmax log_softmax _log_softmax")
def softmax(run: Any, node: fx.Node, given: Given) -> Any:
    m, dim = given["self"], given["dim"]
    shares = _shares(m.x, m.seen(), dim)
    if "log" in node.target._schema.name:
        shares = torch.where(m.seen(), shares, 1.0).log()
    return masked(shares, m.state)


def _shares(scores: Tensor, seen: Tensor, dim: int) -> Tensor:
    """Softmax over what is seen; 0 elsewhere."""
    top = torch.where(seen, scores, -math.inf).amax(dim, keepdim=True).detach()
    parts = torch.where(seen, torch.where(seen, scores - top, 0.0).exp(), 0.0)
    total = parts.sum(dim, keepdim=True)
    return parts / torch.where(total > 0, total, 1.0)


@rule("matmul bmm mm")
def matmul(run: Any, node: fx.Node, given: Given) -> Any:
    a, b = (given[a.name] for a in node.target._schema.arguments[:2])
    y = torch.matmul(*(one.zeroed() if isinstance(one, Masked) else one for one in (a, b)))
    left, right = state_of(a), state_of(b)
    pairs = torch.matmul((left != ABSENT).double(), (right != ABSENT).double())
    borders = torch.matmul((left == BORDER).double(), (right == BORDER).double())
    state = torch.where(pairs > borders, PRESENT, torch.where(borders == left.shape[-1], BORDER, ABSENT))
    return leave(run, node, y, state)


@rule("einsum")
def einsum(run: Any, node: fx.Node, given: Given) -> Any:
    tensors, equation = given["tensors"], given["equation"]
    y = torch.einsum(equation, [one.zeroed() if isinstance(one, Masked) else one for one in tensors])
    states = [state_of(one) for one in tensors]
    terms = torch.einsum(equation, [torch.ones_like(one) for one in states])
    pairs = torch.einsum(equation, [(one != ABSENT).double() for one in states])
    borders = torch.einsum(equation, [(one == BORDER).double() for one in states])
    state = torch.where(pairs > borders, PRESENT, torch.where(borders == terms, BORDER, ABSENT))
    return leave(run, node, y, state)


@rule("cosine_similarity")
def cosine_similarity(run: Any, node: fx.Node, given: Given) -> Any:
    dim, tensors = given["dim"], [given["x1"], given["x2"]]
    bare = [one.zeroed() if isinstance(one, Masked) else one for one in tensors]
    units = [one / one.square().sum(dim, keepdim=True).sqrt().clamp(min=given["eps"]) for one in bare]
    joint = torch.minimum(*(state_of(one) for one in tensors))
    return leave(run, node, (units[0] * units[1]).sum(dim), any_of(joint, (dim,)).squeeze(dim))


@rule("linear")
def linear(run: Any, node: fx.Node, given: Given) -> Any:
    m = given["input"]
    y = F.linear(m.zeroed(), given["weight"], given["bias"])
    state = any_of(m.state, (m.x.dim() - 1,))
    if run.varies(node, "in", m.state, m.x.dim() - 1):
        return _flat(run, node, y, state.expand(y.shape))
    return masked(y, state.expand(y.shape))


def _flat(run: Any, node: fx.Node, y: Tensor, state: Tensor) -> Any:
    """A linear layer over a flattened map: absent cells are 0 and masking ends."""
    if any(run.varies(node, "leave", state, dim) for dim in range(1, state.dim())):
        return masked(y, state)
    return y


@rule("scaled_dot_product_attention")
def attention(run: Any, node: fx.Node, given: Given) -> Any:
    query, key, value = (given[name] for name in ("query", "key", "value"))
    bare = [one.zeroed() if isinstance(one, Masked) else one for one in (query, key, value)]
    scale = given["scale"] if given["scale"] is not None else bare[0].shape[-1] ** -0.5
    scores = bare[0] @ bare[1].transpose(-2, -1) * scale
    seen = torch.ones_like(scores, dtype=torch.bool)
    for one in (key, value):
        if isinstance(one, Masked):
            seen = seen & one.seen()[..., 0].unsqueeze(-2)
    extra = given["attn_mask"]
    if extra is not None:
        seen, scores = (seen & extra, scores) if extra.dtype == torch.bool else (seen, scores + extra)
    y = _shares(scores, seen, -1) @ bare[2]
    return masked(y, query.state[..., :1].expand(y.shape)) if isinstance(query, Masked) else y
