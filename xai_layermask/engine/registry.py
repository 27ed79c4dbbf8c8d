"""The registry of rules: which function names the masked operator of each ATen operator."""

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
        reason: Why it has no masked operator.

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

    The function takes any of the names in the operators' schema, and `call` for shapes and presence. It returns a
    masked operator, or a string that says why there is none for these arguments.

    Args:
        operators: ATen overloads such as `torch.ops.aten.relu.default`, or Python builtins.

    Raises:
        InputError: If an operator has a rule already, or is none that a graph holds, or its schema lacks an argument
            that the function names.
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
    """Keep the rules that are added inside the block to the block.

    Args:
        replaced: Operators whose rules are set aside inside the block, so that other ones can take their place.

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
    """Every operator that has a rule."""
    return tuple(_rules)


def version() -> int:
    """A number that changes whenever the rules do."""
    return _version[0]


def masked_operator(call: Call) -> MaskedOperator | str:
    """The masked operator of a call, or in one sentence the reason why there is none."""
    step = call.step
    if step.operator not in _rules:
        return "it has no rule, add one with xai_layermask.rule"
    function, names = _rules[step.operator]
    arguments = step.arguments | {"call": call}
    found = function(**{name: arguments[name] for name in names})
    if found is None:
        return "it has no masked form for these arguments"
    if isinstance(found, str):
        return found
    if not found.any_masked and any(one is not None for one in call.found[1:]):
        return "only its first argument may be masked"
    if isinstance(found, Window) and len(call.shapes[0]) != 4:
        return "windows slide over (N, C, H, W) maps only"
    return found
