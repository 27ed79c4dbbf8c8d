"""Forward hooks during capture: those that change an output are kept, observers are removed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CaptureError
from .verification import difference

__all__ = ["forward_hooks", "leave_out_observers", "refuse_foreign"]


def forward_hooks(modules: Iterable[nn.Module]) -> Iterable[object]:
    """The forward hooks and pre-hooks of modules."""
    for module in modules:
        if module._forward_pre_hooks or module._forward_hooks:
            yield from (*module._forward_pre_hooks.values(), *module._forward_hooks.values())


def refuse_foreign(model: nn.Module) -> None:
    """Raise an error for Captum's hooks, which a captured graph would not call."""
    for path, module in model.named_modules():
        for hook in _hooks(module):
            if _home(hook).startswith("captum."):
                raise CaptureError(
                    f"expected a model without Captum's hooks, got one on {path or 'the model'}: a masked model runs "
                    "its captured graph and calls no module, so layer attributions need the plain model."
                )


def _hooks(module: nn.Module) -> list[Callable[..., Any]]:
    kinds = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return [hook for kind in kinds for hook in kind.values()]


def _home(hook: Any) -> str:
    """The Python module that defines a hook."""
    while isinstance(hook, functools.partial):
        hook = hook.func
    return str(getattr(hook, "__module__", None) or type(hook).__module__)


def leave_out_observers(twin: nn.Module, example: tuple[Any, ...]) -> None:
    """Remove the hooks of a copy that change nothing in one run on real values.

    Hooks that keep what the model returns, such as those of a feature extractor, stay: without them the output differs.
    """
    changes: dict[tuple[int, int], bool] = {}
    places: list[tuple[dict[int, Any], int, Any]] = []
    for module in twin.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key, hook in list(hooks.items()):
                if not _home(hook).startswith("torch."):
                    places.append((hooks, key, hook))
                    hooks[key] = _watched(hook, changes, (id(hooks), key))
    if not places:
        return
    try:
        with torch.no_grad():
            output = twin(*example)
    except Exception:  # export reports it
        _keep(places)
        return
    for hooks, key, hook in places:
        if changes.get((id(hooks), key)):
            hooks[key] = hook
        else:
            del hooks[key]
    if not _returns(twin, example, output):
        _keep(places)


def _returns(twin: nn.Module, example: tuple[Any, ...], output: Any) -> bool:
    try:
        with torch.no_grad():
            return difference(twin(*example), output) == 0
    except Exception:  # it misses what a hook kept
        return False


def _keep(places: Iterable[tuple[dict[int, Any], int, Any]]) -> None:
    for hooks, key, hook in places:
        hooks[key] = hook


def _watched(hook: Callable[..., Any], changes: dict[tuple[int, int], bool], place: tuple[int, int]) -> Any:
    @functools.wraps(hook)
    def watched(*args: Any, **kwargs: Any) -> Any:
        given = [one for one in torch.utils._pytree.tree_leaves((args[1:], kwargs)) if isinstance(one, Tensor)]
        before = [one._version for one in given]
        answer = hook(*args, **kwargs)
        written = before != [one._version for one in given]
        changes[place] = changes.get(place, False) or answer is not None or written
        return answer

    return watched
