"""`Ending`: whether a model ends in a softmax or a sigmoid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["Ending"]

_ENDINGS = ("softmax", "sigmoid", "sigmoid_", "special_expit")
_SAME_NUMBERS = "__getitem__ clone contiguous detach double flatten float reshape squeeze to unsqueeze view".split()


class Ending(TorchFunctionMode):
    """Watches a model run, to tell which tensors are the output of a softmax or a sigmoid.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Softmax(1))
        >>> with Ending() as ending:
        ...     answer = model(torch.zeros(1, 2))
        >>> ending.made(answer)
        True
    """

    def __init__(self) -> None:
        super().__init__()
        # Tensors are kept alive, so that no other one takes their identity.
        self._made: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if isinstance(out, Tensor) and (
            name in _ENDINGS or (name in _SAME_NUMBERS and args and isinstance(args[0], Tensor) and self.made(args[0]))
        ):
            self._made[id(out)] = out
        return out

    def made(self, tensor: Tensor) -> bool:
        """Whether a tensor holds probabilities that a softmax or a sigmoid returned."""
        return id(tensor) in self._made
