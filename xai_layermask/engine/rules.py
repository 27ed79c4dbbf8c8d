"""The rules: functions that choose the masked operator of each ATen operator.

The parameters of a rule are named as in the operator's schema. It returns the masked operator, or a string that states
why the arguments are not supported. It runs once for each call of a captured graph, not for every batch. Users add
rules in the same way:

Example:
    >>> import torch
    >>> from xai_layermask.engine.ops.base import Pointwise
    >>> from xai_layermask.engine.rules import rule, scoped
    >>> with scoped():
    ...     @rule(torch.ops.aten.cumsum.default)
    ...     def running_sum(dim):
    ...         return Pointwise() if dim == 1 else "it sums over space"
"""

from __future__ import annotations

import math
import operator
from typing import Any

import torch

from .mask import PresenceMask
from .ops.attention import Attention, Dense, Flat, Softmax
from .ops.base import Call, Leading, MaskedOperator, Pointwise, Singular, Unrelated
from .ops.index import Index, Stack
from .ops.pointwise import POINTWISE, SINGULAR, overloads
from .ops.product import Product, of_equation
from .ops.reduce import Reduce
from .ops.reduction import Nearest, Norm, Regions, Resize
from .ops.transposed import Transposed
from .ops.unfold import Columns, Fold, Unfold
from .ops.view import Concat, Permute, Pick, Reshape, Scatter
from .ops.window import Border, Window
from .registry import masked_operator, operators, rule, scoped, version

__all__ = ["masked_operator", "operators", "rule", "scoped", "version"]

aten = torch.ops.aten

# --- operators that look at one cell ---


@rule(*(one for one in POINTWISE if one not in SINGULAR))
def pointwise() -> MaskedOperator:
    return Pointwise()


@rule(*SINGULAR)
def singular(call: Call) -> MaskedOperator:
    # Division by a number is smooth.
    return Pointwise() if "div" in call.step.name and len(call.step.inputs) == 1 else Singular()


@rule(*overloads("rrelu", "rrelu_"))
def random_slope(training: bool) -> MaskedOperator | str:
    return "it draws random slopes in training mode" if training else Pointwise()


@rule(*overloads(*(name + end for name in ("dropout", "feature_dropout", "alpha_dropout") for end in ("", "_"))))
def dropout(train: bool) -> MaskedOperator | str:
    return "it draws random cells in training mode" if train else Pointwise()


@rule(*(one for one in overloads("to") if one is not aten.to.other))
def to() -> MaskedOperator:
    return Pointwise()


@rule(aten.to.other, aten.type_as.default)
def like() -> MaskedOperator:
    return Leading()


@rule(aten.batch_norm.default)
def batch_norm(training: bool) -> MaskedOperator | str:
    return "batch statistics mix images with different presence" if training else Pointwise()


@rule(aten.layer_norm.default)
def layer_norm(call: Call, normalized_shape: list[int], weight: Any, bias: Any, eps: float) -> MaskedOperator:
    rank = len(call.shapes[0])
    dims = tuple(range(rank - len(normalized_shape), rank))
    if not any(call.cells().varies(dim) for dim in dims):
        return Pointwise()
    return Norm(0, dims, eps, *_places(weight, bias))


@rule(aten.rms_norm.default)
def rms_norm(call: Call, normalized_shape: list[int], weight: Any, eps: float | None) -> MaskedOperator:
    rank = len(call.shapes[0])
    dims = tuple(range(rank - len(normalized_shape), rank))
    if not any(call.cells().varies(dim) for dim in dims):
        return Pointwise()
    return Norm(0, dims, eps, *_places(weight, None), centered=False)


_NEW = "empty_like fill fill_ full_like new_empty new_full new_ones new_zeros ones_like zero zero_ zeros_like".split()


@rule(aten._assert_tensor_metadata.default, *overloads(*_NEW))
def unrelated() -> MaskedOperator:
    return Unrelated()


# --- windows ---


def _pair(sizes: Any) -> tuple[int, int]:
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    return (int(sizes[0]), int(sizes[-1]))


@rule(aten.conv2d.default)
def conv2d(call: Call, stride: Any, padding: Any, dilation: Any) -> MaskedOperator:
    return Window(_pair(call.shapes[1][2:]), _pair(stride), _pair(padding), _pair(dilation))


@rule(aten.conv2d.padding)
def conv2d_named_padding(call: Call, stride: Any, padding: str, dilation: Any) -> MaskedOperator:
    kernel, spacing = _pair(call.shapes[1][2:]), _pair(dilation)
    # With an odd total, "same" puts the additional cell at the far side.
    before = [d * (k - 1) // 2 if padding == "same" else 0 for k, d in zip(kernel, spacing, strict=True)]
    return Window(kernel, _pair(stride), _pair(before), spacing)


@rule(aten.conv_transpose2d.input)
def conv_transpose2d(call: Call, stride: Any, padding: Any, dilation: Any) -> MaskedOperator | str:
    found = Transposed(_pair(call.shapes[1][2:]), _pair(stride), _pair(padding), _pair(dilation))
    gaps = len(call.shapes[0]) == 4 and found.leaves_gaps(call)
    return "its stride leaves gaps: some output cells depend on no input cell" if gaps else found


@rule(aten.convolution.default)
def convolution(
    call: Call, stride: Any, padding: Any, dilation: Any, transposed: bool
) -> MaskedOperator | str | None:
    if transposed:
        return conv_transpose2d(call, stride, padding, dilation)
    return conv2d(call, stride, padding, dilation)


@rule(aten.im2col.default)
def unfold(call: Call, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> MaskedOperator:
    kernel, step, around, spacing = _pair(kernel_size), _pair(stride), _pair(padding), _pair(dilation)
    if kernel == step and around == (0, 0) and spacing == (1, 1):
        return Columns()
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(call.shapes[0][2:], kernel, step, around, spacing, strict=True)
    ]
    return Unfold(kernel, step, around, spacing, size=_pair(size))


@rule(aten.col2im.default)
def fold(call: Call) -> MaskedOperator | str:
    return Fold() if len(call.shapes[0]) == 3 else "fold is supported for (N, C, L) batches only"


_VOLUMES = "windows are supported on (N, C, H, W) maps, not on volumes"


@rule(aten.avg_pool3d.default)
def avg_pool3d(call: Call, kernel_size: Any) -> MaskedOperator | str:
    sizes = [kernel_size] * 3 if isinstance(kernel_size, int) else kernel_size
    varies = [size > 1 and call.cells().varies(dim) for size, dim in zip(sizes, (-3, -2, -1), strict=True)]
    if any(varies[1:]):
        return _VOLUMES
    # As `local_response_norm` calls it, over channels.
    return "its windows span channels that differ in presence" if varies[0] else Pointwise()


@rule(aten.max_pool2d.default)
def max_pool2d(kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> MaskedOperator:
    return Window(_pair(kernel_size), _pair(stride or kernel_size), _pair(padding), _pair(dilation), "max")


@rule(aten.avg_pool2d.default)
def avg_pool2d(call: Call, kernel_size: Any, stride: Any, padding: Any, divisor_override: int | None) -> MaskedOperator:
    kernel = _pair(kernel_size)
    if kernel == call.shapes[0][2:] and _pair(padding) == (0, 0) and divisor_override is None:
        return Regions((1, 1))  # a window as large as the map is a global pool
    return Window(kernel, _pair(stride or kernel_size), _pair(padding), (1, 1), "mean")


@rule(aten.pad.default)
def pad(pad: list[int], mode: str) -> MaskedOperator:
    return Border(tuple(pad), mode)


@rule(aten.constant_pad_nd.default)
def constant_pad(pad: list[int]) -> MaskedOperator:
    return Border(tuple(pad), "constant")


@rule(aten.reflection_pad2d.default, aten.replication_pad2d.default)
def repeated_pad(call: Call, padding: list[int]) -> MaskedOperator:
    return Border(tuple(padding), "reflect" if "reflection" in call.step.name else "replicate")


# --- views and rearrangements ---


@rule(aten.stack.default)
def stack(dim: int) -> MaskedOperator:
    return Stack(dim)


@rule(aten.index.Tensor)
def index(call: Call, indices: list[Any]) -> MaskedOperator | str:
    dims = [dim for dim, numbers in enumerate(indices) if numbers is not None]
    return Index.refusal(call, dims) or Index()


@rule(aten.index_select.default, aten.gather.default)
def pick(call: Call, dim: int) -> MaskedOperator | str:
    return Index.refusal(call, [dim]) or Index()


_VIEWS = """
    broadcast_to chunk diagonal dsplit expand flatten flip fliplr flipud hsplit narrow pixel_shuffle
    pixel_unshuffle ravel repeat reshape roll rot90 select slice split split_with_sizes squeeze tensor_split tile unbind
    unflatten unfold unsafe_split unsafe_split_with_sizes unsqueeze vsplit
""".split()


@rule(*overloads(*_VIEWS), aten.repeat_interleave.self_int)
def reshape(call: Call) -> MaskedOperator | None:
    return Reshape() if len(call.found) == 1 else None


@rule(aten.expand_as.default, aten.reshape_as.default)
def shape_as(call: Call) -> MaskedOperator:
    return Leading() if call.found[0] is None else Reshape()


@rule(aten.permute.default)
def permute(call: Call, dims: list[int]) -> MaskedOperator:
    rank = len(call.shapes[0])
    return Permute(tuple(dim % rank for dim in dims))


_TRANSPOSES = "mT moveaxis movedim numpy_T swapaxes swapdims t transpose".split()


@rule(*(one for one in overloads(*_TRANSPOSES) if "dimname" not in str(one)))
def transpose(call: Call) -> MaskedOperator:
    # Transpose a meta tensor of sizes 0, 1, 2 ...: the resulting shape is the order.
    rank = len(call.shapes[0])
    sample = torch.empty(tuple(range(rank)), device="meta")
    return Permute(tuple(call.step({call.step.inputs[0]: sample}).shape))


@rule(operator.getitem)
def getitem() -> MaskedOperator:
    return Pick()


@rule(aten.cat.default, aten.concat.default, aten.concatenate.default)
def cat(dim: int) -> MaskedOperator:
    return Concat(dim)


@rule(aten.slice_scatter.default, aten.select_scatter.default)
def scatter(dim: int) -> MaskedOperator:
    return Scatter(dim)


# --- means, norms, resizing ---


@rule(aten.adaptive_avg_pool2d.default)
def adaptive_avg_pool2d(output_size: Any) -> MaskedOperator:
    return Regions(_pair(output_size))


@rule(aten.adaptive_max_pool2d.default)
def adaptive_max_pool2d(output_size: Any) -> MaskedOperator:
    return Regions(_pair(output_size), "max")


_REDUCTIONS = """
    all amax amin any argmax argmin linalg_vector_norm logsumexp max mean min norm prod std std_mean sum var var_mean
""".split()


@rule(*(one for one in overloads(*_REDUCTIONS) if one not in POINTWISE))
def reduction(call: Call) -> MaskedOperator:
    given, kind = call.step.arguments, call.step.name.split(".")[1]
    dims = given.get("dim")
    dims = (dims,) if isinstance(dims, int) else tuple(dims or ())
    if "norm" in kind:
        order = given.get("ord", given.get("p"))
        return Reduce("norm", dims, given.get("keepdim", False), 2.0 if order is None else float(order))
    correction = given.get("correction", given.get("unbiased"))
    return Reduce(kind, dims, given.get("keepdim", False), 1.0 if correction is None else float(correction))


@rule(aten.group_norm.default)
def group_norm(num_groups: int, weight: Any, bias: Any, eps: float) -> MaskedOperator:
    return Norm(num_groups, (), eps, *_places(weight, bias))


def _places(weight: Any, bias: Any) -> tuple[int | None, int | None]:
    """Positions of scale and shift among the tensor inputs."""
    first = 1 if weight is not None else None
    return first, (None if bias is None else 1 + (weight is not None))


@rule(*overloads("upsample_nearest2d", "_upsample_nearest_exact2d"))
def nearest() -> MaskedOperator:
    return Nearest()


#: The reach of each interpolation, in input cells.
_RESIZE = {"upsample_bilinear2d": 1, "upsample_bicubic2d": 2, "_upsample_bilinear2d_aa": 1, "_upsample_bicubic2d_aa": 2}


@rule(*overloads(*_RESIZE))
def resize(call: Call) -> MaskedOperator:
    name = call.step.name.split(".")[1]
    sizes = list(zip(call.shapes[0][2:], call.step.shape[2:], strict=True))
    shrink = max(1.0, *(before / after for before, after in sizes))
    reach = _RESIZE[name] * shrink if name.endswith("aa") else _RESIZE[name]
    # The nearest cell is up to `shrink - 1` cells off the centre, or one more if sizes are rounded.
    rounded = any(max(pair) % min(pair) for pair in sizes)
    return Resize(math.ceil(reach + shrink - 1) + rounded)


# --- tokens ---


@rule(aten.softmax.int, aten._softmax.default, aten.log_softmax.int, aten._log_softmax.default)
def softmax(call: Call, dim: int) -> MaskedOperator:
    return Softmax(dim % len(call.shapes[0]), log="log" in call.step.name)


@rule(aten.linear.default)
def linear(call: Call) -> MaskedOperator:
    return Flat() if call.cells().varies(-1) else Dense()


@rule(*overloads("matmul", "linalg_matmul", "bmm", "mm", "mv"))
def matmul(call: Call) -> MaskedOperator:
    ranks = [len(shape) for shape in call.shapes]
    left, right = ("...ij" if ranks[0] > 1 else "j"), ("...jk" if ranks[1] > 1 else "j")
    return Product(f"{left},{right}->...{'i' * (ranks[0] > 1)}{'k' * (ranks[1] > 1)}")


@rule(aten.einsum.default)
def einsum(call: Call, equation: str) -> MaskedOperator | str:
    return of_equation(equation, [len(shape) for shape in call.shapes])


@rule(aten.cdist.default)
def cdist(call: Call) -> MaskedOperator | str:
    varies = any(isinstance(cells, PresenceMask) and cells.varies(-1) for cells in call.found)
    return "distances need all features of a token" if varies else Product("...id,...jd->...ij")


@rule(aten.scaled_dot_product_attention.default)
def attention(dropout_p: float) -> MaskedOperator | str:
    return "it drops random weights: pass dropout_p=0 in evaluation mode" if dropout_p else Attention()


# --- refused ---

_REFUSED = {
    "a recurrent output depends on all preceding inputs": "gru lstm rnn_relu rnn_tanh",
    "each frequency depends on every cell": """
        fft_fft fft_fft2 fft_fftn fft_hfft fft_ifft fft_ifft2 fft_ifftn fft_ihfft fft_irfft fft_irfft2 fft_irfftn
        fft_rfft fft_rfft2 fft_rfftn stft
    """,
    "which cells it reads depends on values": "grid_sampler grid_sampler_2d grid_sampler_3d max_unpool2d max_unpool3d",
    _VOLUMES: """
        _upsample_nearest_exact3d adaptive_avg_pool3d adaptive_max_pool3d conv3d conv_transpose3d max_pool3d
        max_pool3d_with_indices upsample_nearest3d upsample_trilinear3d
    """,
    "it draws random numbers": """
        bernoulli bernoulli_ binomial cauchy_ exponential_ feature_alpha_dropout fractional_max_pool2d
        fractional_max_pool3d geometric_ log_normal_ multinomial native_dropout normal normal_ poisson rand_like
        randint_like randn_like random_ uniform_
    """,
}


def _refuse(reason: str, names: str) -> None:
    @rule(*overloads(*names.split()))
    def refused() -> str:
        return reason


for _reason, _names in _REFUSED.items():
    _refuse(_reason, _names)
