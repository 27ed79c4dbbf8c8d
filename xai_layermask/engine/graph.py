"""A model as a graph of ATen operators, captured with `torch.export` for an input shape.

The graph holds no parameters: every run looks them up in the user's model, so training, loading weights and moving the
model to a device take effect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import OutputKind
from torch.utils import _pytree as pytree

from .alias import is_in_place
from .constants import Read
from .corrections import CORRECTED
from .hooks import forward_hooks

__all__ = ["Graph", "Slot", "Step", "module_path", "modules", "operator_name", "same", "tensors"]

Operator = Callable[..., Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Slot:
    """A tensor argument: the number of the value that is passed."""

    index: int


@dataclass(frozen=True)
class Step:
    """One operator call of the graph, for one batch size.

    Attributes:
        index: The number of its value.
        operator: An ATen overload, or a Python builtin such as `operator.getitem`.
        args: Positional arguments, with a [`Slot`][] for each tensor.
        kwargs: Keyword arguments, with a [`Slot`][] for each tensor.
        inputs: The numbers of the tensor arguments, in order.
        shape: Shape of the result; a tuple of shapes if the operator returns several tensors.
        path: The module that called it, such as `layer1.0.conv1`.
        autocast: Device type, dtype, whether it is enabled, and whether it caches, if the model sets autocast.
    """

    index: int
    operator: Operator
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[int, ...]
    shape: Any
    path: str
    autocast: tuple[Any, ...] | None = None

    @property
    def name(self) -> str:
        """The operator's name, such as `aten.conv2d.default`."""
        return operator_name(self.operator)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by name, including defaults; empty for Python builtins."""
        if not isinstance(self.operator, torch._ops.OpOverload):
            return {}
        schema = self.operator._schema.arguments
        given = {one.name: value for one, value in zip(schema, self.args, strict=False)}
        return {one.name: one.default_value for one in schema} | given | self.kwargs

    def context(self) -> contextlib.AbstractContextManager[object]:
        """The model's autocast setting for this operator."""
        if self.autocast is None:
            return contextlib.nullcontext()
        device, dtype, enabled, cached = self.autocast
        return torch.autocast(device, dtype, enabled, cached)

    def __call__(self, values: Sequence[Any] | dict[int, Any], operator: Operator | None = None) -> Any:
        """Apply the operator, or another one with the same arguments, to its values."""
        args = tuple([_put(arg, values) for arg in self.args])
        function = operator or CORRECTED.get(self.operator, self.operator)
        return function(*args, **{key: _put(arg, values) for key, arg in self.kwargs.items()})


def _put(arg: Any, values: Any) -> Any:
    if type(arg) is Slot:
        return values[arg.index]
    if type(arg) is list:
        return [_put(one, values) for one in arg]
    return arg


def operator_name(operator: Operator) -> str:
    """The full name of an operator, such as `aten.relu.default`."""
    if isinstance(operator, torch._ops.OpOverload):
        return str(operator)
    return f"{getattr(operator, '__module__', '')}.{getattr(operator, '__name__', operator)}".lstrip("_.")


class Graph:
    """A captured model.

    Args:
        exported: The result of `torch.export`.
        model: The user's model, in which parameters are looked up.
        reads: What the model read from its parameters during capture.

    Attributes:
        image: The number of the image's value.
        additional: The numbers of the model's further inputs.
        batch: The only batch size of the graph; None if it takes any.
    """

    def __init__(self, exported: torch.export.ExportedProgram, model: nn.Module, reads: Sequence[Read] = ()) -> None:
        self._nodes = list(exported.graph_module.graph.nodes)
        self._number = {node: i for i, node in enumerate(self._nodes)}
        self._spec = exported.call_spec.out_spec
        self._modules = modules(model)
        self._sizes = [tensor.shape for tensor in tensors(self._modules)]
        self._hooks, self._reads = list(forward_hooks(self._modules)), tuple(reads)
        signature = exported.graph_signature
        # In functional form, a graph also returns inputs that the model overwrites.
        returned = zip(signature.output_specs, self._nodes[-1].args[0], strict=True)
        self._returned = [arg for spec, arg in returned if spec.kind == OutputKind.USER_OUTPUT]
        named = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self._state: list[tuple[int, nn.Module, str]] = []
        self._constants: list[tuple[int, Tensor]] = []
        images = []
        for node in self._nodes:
            if node.op != "placeholder":
                continue
            if node.name in named:
                parent, _, leaf = named[node.name].rpartition(".")
                self._state.append((self._number[node], model.get_submodule(parent), leaf))
            elif node.name in signature.inputs_to_lifted_tensor_constants:
                constant = exported.constants[signature.inputs_to_lifted_tensor_constants[node.name]]
                self._constants.append((self._number[node], constant))
            else:
                images.append(node)
        self.image, *additional = (self._number[node] for node in images)
        self.additional: tuple[int, ...] = tuple(additional)
        size = images[0].meta["val"].shape[0]
        self._symbol = None if isinstance(size, int) else size.node.expr
        self.batch: int | None = int(size) if self._symbol is None else None
        self.steps = lru_cache(maxsize=8)(self._steps)

    def fits(self, model: nn.Module) -> bool:
        """Whether the model still has the modules, hooks, tensor shapes and constants that were captured."""
        return (
            same(modules(model), self._modules)
            and same(forward_hooks(self._modules), self._hooks)
            and [tensor.shape for tensor in tensors(self._modules)] == self._sizes
            and all(read.holds() for read in self._reads)
        )

    def state(self, device: torch.device) -> dict[int, Tensor]:
        """Current parameters, buffers and constants, by value number."""
        values: dict[int, Tensor] = {}
        for index, module, leaf in self._state:
            values[index] = getattr(module, leaf)
        for place, (index, constant) in enumerate(self._constants):
            if constant.device != device:
                constant = constant.to(device)
                self._constants[place] = (index, constant)
            values[index] = constant
        return values

    def output(self, values: dict[int, Any]) -> Any:
        """The model's output, in its own structure."""
        flat = [values[self._number[arg]] if isinstance(arg, fx.Node) else arg for arg in self._returned]
        return _mutable(pytree.tree_unflatten(flat, self._spec))

    @property
    def outputs(self) -> tuple[int, ...]:
        """The numbers of the values that the model returns."""
        return tuple(self._number[arg] for arg in self._returned if isinstance(arg, fx.Node))

    @property
    def held(self) -> tuple[int, ...]:
        """The numbers of parameters and buffers."""
        return tuple(index for index, _, _ in self._state)

    def shapes(self, batch: int) -> dict[int, Any]:
        """The shape of every value for a batch size."""
        return {i: self._size(node.meta.get("val"), batch) for i, node in enumerate(self._nodes)}

    def _steps(self, batch: int) -> tuple[Step, ...]:
        """The operator calls in order, for a batch size (call as `steps`, which caches them)."""
        found = []
        # After an in-place operator, later readers of its input read its output.
        renamed: dict[int, int] = {}
        for index, node in enumerate(self._nodes):
            if node.op != "call_function" or self._is_number(node):
                continue
            slots: list[int] = []
            args = tuple(self._argument(arg, batch, slots, renamed) for arg in node.args)
            kwargs = {key: self._argument(arg, batch, slots, renamed) for key, arg in node.kwargs.items()}
            shape = self._size(node.meta.get("val"), batch)
            if is_in_place(node):
                for old, new in list(renamed.items()):
                    renamed[old] = index if new == slots[0] else new
                renamed[slots[0]] = index
            autocast = node.meta.get("autocast")
            found.append(Step(index, node.target, args, kwargs, tuple(slots), shape, module_path(node), autocast))
        return tuple(found)

    def _argument(self, arg: Any, batch: int, slots: list[int], renamed: dict[int, int]) -> Any:
        if isinstance(arg, fx.Node):
            if self._is_number(arg):
                return self._size(arg.meta["val"], batch)
            number = renamed.get(self._number[arg], self._number[arg])
            slots.append(number)
            return Slot(number)
        if isinstance(arg, list | tuple):
            return [self._argument(one, batch, slots, renamed) for one in arg]
        return arg

    def _is_number(self, node: fx.Node) -> bool:
        """Whether the node is a number that the batch size determines."""
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
            return bool(value.node.expr.free_symbols <= {self._symbol})
        return isinstance(value, int | float | bool)

    def _size(self, value: Any, batch: int) -> Any:
        """Replace the symbolic batch size by a number; sizes that depend on values stay symbols."""
        if isinstance(value, Tensor):
            return tuple([self._size(size, batch) for size in value.shape])
        if isinstance(value, list | tuple):
            return tuple([self._size(one, batch) for one in value])
        if isinstance(value, torch.SymInt) and value.node.expr == self._symbol:
            return batch
        if isinstance(value, torch.SymInt | torch.SymFloat):
            known = value.node.expr if self._symbol is None else value.node.expr.subs({self._symbol: batch})
            if known.free_symbols:
                return known
            return int(known) if isinstance(value, torch.SymInt) else float(known)
        return value


def _mutable(answer: Any) -> Any:
    """Replace the immutable containers of a graph module by plain ones."""
    if isinstance(answer, fx.immutable_collections.immutable_dict):
        return {key: _mutable(value) for key, value in answer.items()}
    if isinstance(answer, fx.immutable_collections.immutable_list):
        return [_mutable(value) for value in answer]
    return answer


def module_path(node: fx.Node) -> str:
    """Path of the module that called an operator; empty for the model itself."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    return str(paths[-1]) if paths else ""


def modules(model: nn.Module) -> list[nn.Module]:
    """A model and all modules in it, several times faster than `model.modules()`."""
    found = [model]
    known = {id(model)}
    for module in found:
        for child in module._modules.values():
            if child is not None and id(child) not in known:
                known.add(id(child))
                found.append(child)
    return found


def tensors(of: Iterable[nn.Module]) -> Iterable[Tensor]:
    """The parameters and buffers of modules."""
    for module in of:
        for held in (module._parameters, module._buffers):
            for tensor in held.values():
                if tensor is not None:
                    yield tensor


def same(now: Iterable[object], before: Iterable[object]) -> bool:
    """Whether two iterables consist of identical objects."""
    return list(map(id, now)) == list(map(id, before))
