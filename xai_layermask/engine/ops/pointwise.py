"""The pointwise operators of ATen, found by its own tag."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch._ops import OpOverload

__all__ = ["POINTWISE", "SINGULAR", "overloads"]

#: Tagged as pointwise by ATen, but not treated as such here.
_EXCLUDED = {
    "equal": "compares whole tensors and returns a bool",
    "frexp": "returns two tensors",
    "rrelu": "is random in training",
    "rrelu_": "is random in training",
}
#: Pointwise, but not tagged in every version of torch.
_UNTAGGED = """
    __and__ __iand__ __ior__ __or__ _to_copy absolute absolute_ alias arccos arccosh arcsin arcsinh arctan arctan2
    arctanh clip clip_ contiguous detach divide divide_ fix fix_ floor_divide floor_divide_ greater greater_equal
    hardswish hardswish_ isclose isreal ldexp leaky_relu leaky_relu_ less less_equal log_sigmoid masked_fill
    masked_fill_ multiply multiply_ negative negative_ not_equal prelu rsub special_erf special_erfc special_exp2
    special_expit special_expm1 special_log1p special_logit special_ndtr special_round special_sinc special_xlogy
    subtract subtract_ true_divide true_divide_ where
""".split()
#: Pointwise, with a pole or an infinite slope somewhere.
_SINGULAR = """
    acos acosh addcdiv arccos arccosh arcsin arctan2 arctanh asin atan2 atanh digamma div divide float_power
    floor_divide hypot lgamma log log10 log1p log2 logit mvlgamma polygamma pow reciprocal rsqrt sqrt tan
    true_divide xlogy
""".split()


def overloads(*names: str) -> list[OpOverload]:
    """All functional and in-place overloads of ATen operators, by name; unknown names are ignored."""
    packets = [getattr(torch.ops.aten, name) for name in names if hasattr(torch.ops.aten, name)]
    found = [getattr(packet, overload) for packet in packets for overload in packet.overloads()]
    return [one for one in found if not any(a.is_out for a in one._schema.arguments) and _makes_tensors(one)]


def _makes_tensors(one: OpOverload) -> bool:
    return any("Tensor" in str(returned.type) for returned in one._schema.returns)


def _tagged() -> Iterator[OpOverload]:
    schemas = torch._C._jit_get_all_schemas()
    names = sorted({one.name.removeprefix("aten::") for one in schemas if one.name.startswith("aten::")})
    for one in overloads(*names):
        name = one._schema.name.removeprefix("aten::")
        if torch.Tag.pointwise not in one.tags or name in _EXCLUDED or name.endswith("_backward"):
            continue
        yield one
        # In-place variants often lack the tag of their functional one.
        writer = getattr(getattr(torch.ops.aten, f"{name}_", None), one._overloadname, None)
        if writer is not None:
            yield writer


#: Every pointwise overload, functional and in place.
POINTWISE: tuple[OpOverload, ...] = tuple(
    one
    for one in dict.fromkeys([*_tagged(), *overloads(*_UNTAGGED)])
    if [str(returned.type) for returned in one._schema.returns] == ["Tensor"]
)
#: Those with a pole or an infinite slope.
SINGULAR: frozenset[OpOverload] = frozenset(
    one
    for one in POINTWISE
    if one._schema.name.removeprefix("aten::").rstrip("_") in _SINGULAR or one._schema.name.startswith("aten::special_")
)
