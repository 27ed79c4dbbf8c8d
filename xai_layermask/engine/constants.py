"""Values that a model reads from its parameters, buffers and literals during capture.

`torch.export` traces with tensors without values, so it cannot evaluate `if (std == 0).any()`. If such a tensor depends
only on parameters, buffers and literals, [`Constants`][] computes it on demand. It also records what was read, because
other values may lead to another graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _disable_current_modes

__all__ = ["Constants", "Read"]

_READS = (Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__, Tensor.item, Tensor.tolist)
_RANDOM = ("rand", "bernoulli", "dropout", "multinomial", "normal", "poisson", "exponential")

# Computes a value; the argument caches the values that it depends on, by identity.
_Value = Callable[[dict[int, Any]], Any]


@dataclass(frozen=True)
class Read:
    """A number that a model read from its parameters or buffers during capture."""

    compute: Callable[[], Any]
    answer: Any

    def holds(self) -> bool:
        """Whether the model would still read the same number."""
        return bool(self.compute() == self.answer)


class Constants(TorchFunctionMode):
    """Answers `bool`, `int`, `float`, `item` and `tolist` of tensors that do not depend on the input.

    Args:
        model: The model with its real parameters and buffers.

    Attributes:
        reads: What was read from parameters and buffers.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.reads: list[Read] = []
        self._model = model
        # Known tensors are kept alive, so that their ids stay unique.
        self._known: dict[int, tuple[Tensor, _Value, bool]] = {}
        self._held: frozenset[int] = frozenset()

    def attach(self, twin: nn.Module) -> None:
        """Run the `forward` of a structural copy of the model in this mode."""
        forward = twin.forward

        @functools.wraps(forward)
        def known(*args: Any, **kwargs: Any) -> Any:
            # Each trace replaces the parameters by new ones without values.
            self._known = {
                id(tensor): (tensor, _looked_up(self._model, name), True)
                for name, tensor in (*_named(twin, "named_parameters"), *_named(twin, "named_buffers"))
            }
            self._held = frozenset(self._known)
            self.reads.clear()
            with self:
                return forward(*args, **kwargs)

        twin.forward = known

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _READS and id(args[0]) in self._known:
            return self._read(func, args, kwargs)
        leaves, spec = pytree.tree_flatten((args, kwargs))
        known = [self._value(leaf) for leaf in leaves]
        out = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        in_place = name.endswith("_") and not name.endswith("__")
        if in_place or name == "__setitem__" or any(leaf is out for leaf in leaves if isinstance(leaf, Tensor)):
            # Views of the written tensor change as well: discard all computed values.
            self._known = {key: self._known[key] for key in self._held}
        elif isinstance(out, Tensor) and not any(word in name for word in _RANDOM):
            sources = [one for one in known if one is not None]
            if len(sources) == len(known):
                compute = functools.partial(_computed, func, [value for value, _ in sources], spec)
                self._known[id(out)] = (out, compute, any(varies for _, varies in sources))
        return out

    def _read(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        _, value, varies = self._known[id(args[0])]

        def compute() -> Any:
            with _disable_current_modes(), torch._C.DisableTorchFunction(), torch.no_grad():
                return func(_once(value, {}), *args[1:], **kwargs)

        answer = compute()
        if varies:
            self.reads.append(Read(compute, answer))
        return answer

    def _value(self, leaf: Any) -> tuple[_Value, bool] | None:
        """How to compute an argument, and whether it depends on parameters; None if it depends on the input."""
        if isinstance(leaf, Tensor):
            return self._known[id(leaf)][1:] if id(leaf) in self._known else None
        if isinstance(leaf, torch.SymInt | torch.SymFloat | torch.SymBool):
            return None
        return (lambda _: leaf), False


def _once(value: _Value, done: dict[int, Any]) -> Any:
    if id(value) not in done:
        done[id(value)] = value(done)
    return done[id(value)]


def _computed(func: Callable[..., Any], sources: Sequence[_Value], spec: Any, done: dict[int, Any]) -> Any:
    args, kwargs = pytree.tree_unflatten([_once(source, done) for source in sources], spec)
    return func(*args, **kwargs)


def _looked_up(model: nn.Module, name: str) -> _Value:
    parent, _, leaf = name.rpartition(".")
    return lambda _: getattr(model.get_submodule(parent), leaf)


def _named(model: nn.Module, kind: str) -> list[tuple[str, Tensor]]:
    return list(getattr(model, kind)(remove_duplicate=False))
