"""The registry of rules, which choose the masked operator of each ATen operator."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ..errors import InputError
from .graph import Operator, operator_name
from .ops.base import Call, MaskedOperator
from .ops.window import Window

__all__ = ["Refusal", "masked_operator", "operators", "rule", "scoped", "version"]

Rule = Callable[..., MaskedOperator | str | None]


class Refusal(tuple[str, str]):
    """An unsupported call: operator and module path.

    Attributes:
        reason: Why it is not supported.

    Example:
        >>> refusal = Refusal("aten.sort.default", "layer1", "sorting mixes present and absent cells")
        >>> refusal == ("aten.sort.default", "layer1")
        True
    """

    reason: str

    def __new__(cls, operator: str, path: str, reason: str) -> Refusal:
        refusal = super().__new__(cls, (operator, path))
        refusal.reason = reason
        return refusal


_rules: dict[Operator, tuple[Rule, tuple[str, ...]]] = {}
_version = [0]


def rule(*operators: Operator) -> Callable[[Rule], Rule]:
    """Register the decorated function as the rule of these operators.

    The function's parameters are arguments of the operators' schema, and `call` for shapes and presence. It returns a
    masked operator, or a string that states why these arguments are not supported. Register it before the model is
    captured, which replaces operators without a rule that torch composes of others.

    Args:
        operators: ATen overloads such as `torch.ops.aten.relu.default`, or Python builtins.

    Raises:
        InputError: If an operator already has a rule or is not an overload, or if its schema lacks a parameter of the
            function.
    """

    def register(function: Rule) -> Rule:
        names = tuple(inspect.signature(function).parameters)
        for one in operators:
            if not isinstance(one, torch._ops.OpOverload | types.BuiltinFunctionType):
                raise InputError.expected(
                    "overloads such as torch.ops.aten.relu.default for a rule", one, "choose one of its overloads()"
                )
            if one in _rules:
                raise InputError.expected(
                    "an operator without a rule",
                    f"{operator_name(one)}, which has {_rules[one][0].__name__}",
                    "replace it inside `with scoped(operator):`",
                )
            known = {"call", *(a.name for a in one._schema.arguments)} if hasattr(one, "_schema") else {"call"}
            unknown = [name for name in names if name not in known]
            if unknown:
                raise InputError.expected(
                    f"one of {', '.join(sorted(known))} as argument of a rule for {operator_name(one)}",
                    repr(unknown[0]),
                )
        for one in operators:
            _rules[one] = (function, names)
        _version[0] += 1
        return function

    return register


@contextmanager
def scoped(*replaced: Operator) -> Iterator[None]:
    """Restore all rules at the end of the block.

    Args:
        replaced: Operators whose rules are removed inside the block, so that they can get others.

    Example:
        >>> with scoped(torch.ops.aten.relu.default):
        ...     torch.ops.aten.relu.default in operators()
        False
        >>> torch.ops.aten.relu.default in operators()
        True
    """
    before = dict(_rules)
    for one in replaced:
        _rules.pop(one, None)
    _version[0] += 1
    try:
        yield
    finally:
        _rules.clear()
        _rules.update(before)
        _version[0] += 1


def operators() -> tuple[Operator, ...]:
    """All operators with a rule."""
    return tuple(_rules)


def version() -> int:
    """A number that changes whenever the rules do."""
    return _version[0]


def masked_operator(call: Call) -> MaskedOperator | str:
    """The masked operator of a call, or a sentence that states why it is not supported."""
    step = call.step
    if step.operator not in _rules:
        return "it has no rule, add one with xai_layermask.rule"
    function, names = _rules[step.operator]
    arguments = step.arguments | {"call": call}
    found = function(**{name: arguments[name] for name in names})
    if found is None:
        return "its rule does not support these arguments"
    if isinstance(found, str):
        return found
    if not found.any_masked and any(one is not None for one in call.found[1:]):
        return "only its first argument may be masked"
    if isinstance(found, Window) and len(call.shapes[0]) != 4:
        return "windows are supported on (N, C, H, W) maps only"
    if found.prepared(call).mixed and call.shapes[0][0] < call.images:
        return "its channels are those of several images: pass one image with one presence at a time"
    return found
