"""Structural copies of a model that share its tensors."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from ..errors import CaptureError, reason
from .graph import tensors

__all__ = ["evaluating", "hold_parameters"]


def evaluating(model: nn.Module) -> nn.Module:
    """A structural copy of the model in evaluation mode that shares all parameters and buffers.

    Attributes that cannot be copied, such as locks, are shared as well.

    Raises:
        CaptureError: If the model cannot be copied.

    Example:
        >>> model = nn.Linear(2, 2).train()
        >>> twin = evaluating(model)
        >>> twin.training, model.training, twin.weight is model.weight
        (False, True, True)
    """
    shared: dict[int, Any] = {id(tensor): tensor for tensor in tensors(model.modules())}
    for module in model.modules():
        for name, value in vars(module).items():
            if name not in ("_parameters", "_buffers", "_modules"):
                shared.update(_uncopyable(value))
    try:
        return copy.deepcopy(model, shared).eval()
    except Exception as error:
        raise CaptureError(
            f"expected a model that copy.deepcopy can copy, got {type(error).__name__} ({reason(error)}): remove what "
            "cannot be copied from the model's attributes."
        ) from error


def hold_parameters(twin: nn.Module) -> None:
    """Make parameters of the tensors that `torch.func.functional_call` puts in their place, as export wants them."""
    for module in twin.modules():
        held: dict[str, Tensor | None] = {**module._parameters}
        for name, tensor in held.items():
            if tensor is not None and not isinstance(tensor, nn.Parameter):
                module._parameters[name] = nn.Parameter(tensor.detach(), requires_grad=False)


def _uncopyable(value: Any) -> Iterator[tuple[int, Any]]:
    """Substitutes for the parts of an attribute that deepcopy cannot copy, by identity."""
    if isinstance(value, Tensor):
        if not value.is_leaf:  # a kept activation, or a weight that a pre-hook computes
            yield id(value), value.detach().clone()
    elif isinstance(value, dict):
        for one in value.values():
            yield from _uncopyable(one)
    elif isinstance(value, list | tuple | set):
        for one in value:
            yield from _uncopyable(one)
    elif not isinstance(value, nn.Module | str | bytes | int | float | types.FunctionType | type | None):
        try:
            copy.copy(value)
        except Exception:
            yield id(value), value
