"""Models whose control flow depends on values after the masked part: captured up to a module, run eagerly after it.

The rest of such a model, its tail, is run for one image at a time. Its decisions are then those for that image alone,
whichever images share a batch.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import _pytree as pytree

from ..errors import CaptureError
from .constants import Read
from .exclusion import EXCLUSION
from .graph import Graph, Step, modules, same, tensors

__all__ = ["Head", "Tail", "TailedGraph", "candidates"]


class _Reached(BaseException):
    """Ends a forward pass at a module. No `except Exception` of the model stops it."""

    def __init__(self, output: Any) -> None:
        self.output = output


class Head(nn.Module):
    """A model up to the output of one of its modules.

    Args:
        model: The user's model.
        path: Path of the module.
    """

    def __init__(self, model: nn.Module, path: str) -> None:
        super().__init__()
        self.model, self.path = model, path

    def forward(self, image: Tensor) -> Any:
        """The module's output."""

        def stop(module: nn.Module, args: Any, output: Any) -> None:
            raise _Reached(output)

        stack = _module_stack()
        depth = len(stack)
        handle = self.model.get_submodule(self.path).register_forward_hook(stop)
        try:
            self.model(image)
        except _Reached as reached:
            while len(stack) > depth:
                stack.popitem()
            return reached.output
        finally:
            handle.remove()
        raise CaptureError(f"expected a model that calls {self.path}, got none.")


def _module_stack() -> dict[str, Any]:
    """The modules that torch.export considers entered, which an exception does not reset; empty elsewhere."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        found = getattr(frame.f_locals.get("self"), "module_stack", None)
        if isinstance(found, dict):
            return found
        frame = frame.f_back
    return {}


class Tail:
    """The rest of a model after a module, for one image at a time.

    What comes before runs on tensors without values, which costs no arithmetic. If the tail needs more of it than the
    module's output, it gets such a tensor, and fails.

    Args:
        model: The user's model.
        path: Path of the module.
        shape: The shape of an image, `(1, C, H, W)`.
        evaluating: Copies a model in evaluation mode, sharing its tensors, without hooks that observe.
    """

    def __init__(
        self, model: nn.Module, path: str, shape: tuple[int, ...], evaluating: Callable[[nn.Module], nn.Module]
    ) -> None:
        self._model, self._path, self._shape, self._copy = model, path, shape, evaluating
        self._local = threading.local()

    def __call__(self, outputs: Tensor) -> Any:
        """The model's output, from the module's outputs for N images `(N, ...)`.

        Raises:
            CaptureError: If the model needs more than these.
        """
        with EXCLUSION.running():
            rows = [self._one(outputs[row : row + 1]) for row in range(len(outputs))]
        leaves = [pytree.tree_flatten(row) for row in rows]
        joined = [_joined(values) for values in zip(*(flat for flat, _ in leaves), strict=True)]
        return pytree.tree_unflatten(joined, leaves[0][1])

    def _one(self, output: Tensor) -> Any:
        answer = self._run(*self._prepared(output), output)
        if any(isinstance(one, FakeTensor) for one in pytree.tree_leaves(answer)):
            raise CaptureError(f"expected a model that needs only the output of {self._path} after it, got another.")
        return answer

    def _run(self, twin: nn.Module, mode: FakeTensorMode, output: Tensor) -> Any:
        with _entered(mode) as leave:
            image = torch.empty(self._shape, dtype=output.dtype, device=output.device)
            with _substituted(twin.get_submodule(self._path), output, leave):
                return twin(image)

    def _prepared(self, output: Tensor) -> tuple[nn.Module, FakeTensorMode]:
        """A copy of the model whose preceding modules return recorded outputs; one for each thread."""
        found = modules(self._model)
        parts, kind = [*found, *tensors(found)], (output.dtype, output.device)
        known = getattr(self._local, "known", None)
        if known is None or kind != known[1] or not same(parts, known[0]):
            twin, mode = self._copy(self._model), FakeTensorMode(allow_non_fake_inputs=True)
            for module, computed in self._passed(twin, mode, output):
                module._forward_pre_hooks.clear()
                module._forward_hooks.clear()
                module.forward = functools.partial(_return, computed)
            known = self._local.known = parts, kind, (twin, mode)
        prepared: tuple[nn.Module, FakeTensorMode] = known[2]
        return prepared

    def _passed(self, twin: nn.Module, mode: FakeTensorMode, output: Tensor) -> list[tuple[nn.Module, Tensor]]:
        """The preceding modules that are called once, with their outputs: tensors without values."""
        calls: dict[nn.Module, list[Any]] = {}

        def note(module: nn.Module, args: Any, computed: Any) -> None:
            calls.setdefault(module, []).append(computed)

        handles = [one.register_forward_hook(note) for one in twin.modules()]
        try:
            self._run(twin, mode, output)
        finally:
            for handle in handles:
                handle.remove()
        return [(one, made[0]) for one, made in calls.items() if len(made) == 1 and isinstance(made[0], FakeTensor)]


def _return(value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return value


def _joined(values: tuple[Any, ...]) -> Any:
    first = values[0]
    return torch.cat(values) if isinstance(first, Tensor) and first.dim() else first


@contextmanager
def _substituted(module: nn.Module, output: Tensor, before: Callable[[], None]) -> Iterator[None]:
    """Let a module of a copy return a tensor, to which its hooks have been applied already."""

    def forward(*args: Any, **kwargs: Any) -> Tensor:
        before()
        return output

    kinds = (module._forward_pre_hooks, module._forward_hooks)
    hooks = [dict(kind) for kind in kinds]
    for kind in kinds:
        kind.clear()
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        for kind, kept in zip(kinds, hooks, strict=True):
            kind.update(kept)


@contextmanager
def _entered(mode: FakeTensorMode) -> Iterator[Callable[[], None]]:
    """Compute on tensors without values; yields a function that ends this early."""
    mode.__enter__()
    active = True

    def leave() -> None:
        nonlocal active
        if active:
            active = False
            mode.__exit__(None, None, None)

    try:
        yield leave
    finally:
        leave()


class TailedGraph(Graph):
    """The graph of a `Head`, whose output goes through the `Tail`."""

    tail: Tail

    def __init__(self, exported: torch.export.ExportedProgram, head: nn.Module, reads: Sequence[Read] = ()) -> None:
        super().__init__(exported, head, reads)
        self._head = head

    def fits(self, model: nn.Module) -> bool:
        return model is self._head.model and super().fits(self._head)

    def _steps(self, batch: int) -> tuple[Step, ...]:
        paths = (step.path.removeprefix("model").removeprefix(".") for step in super()._steps(batch))
        return tuple(replace(step, path=path) for step, path in zip(super()._steps(batch), paths, strict=True))

    def output(self, values: dict[int, Any]) -> Any:
        return self.tail(super().output(values))


def candidates(twin: nn.Module, image: Tensor) -> list[str]:
    """Modules that are called once and return a tensor before the model first decides on values, the last one first.

    Args:
        twin: A copy of the model in evaluation mode, which gets hooks.
        image: `(1, C, H, W)`.
    """
    order: list[str] = []
    calls: dict[str, int] = {}

    def note(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            calls[path] = calls.get(path, 0) + 1
            if isinstance(output, Tensor):
                order.append(path)

        return hook

    handles = [one.register_forward_hook(note(path)) for path, one in twin.named_modules() if path]
    try:
        with suppress(Exception), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
            twin(mode.from_tensor(image))
    finally:
        for handle in handles:
            handle.remove()
    return [path for path in reversed(order) if calls[path] == 1]
