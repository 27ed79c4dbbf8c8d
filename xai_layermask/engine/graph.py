"""A model as a graph of ATen operators, captured once for an input shape.

`torch.export` records what the model does with an image. The graph holds no parameter: every run looks them up in the
user's model, so that training, loading weights and moving the model to a device are seen.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from ..errors import CaptureError, reason
from .alias import Aliases, is_in_place

__all__ = ["Graph", "Slot", "Step", "capture", "evaluating", "operator_name", "same", "tensors"]

Operator = Callable[..., Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Slot:
    """The place of a tensor argument: the number of the value that goes there."""

    index: int


@dataclass(frozen=True)
class Step:
    """One operator call of the graph, for one batch size.

    Attributes:
        index: The number of the value that it makes.
        operator: An ATen overload, or a Python builtin such as `operator.getitem`.
        args: Positional arguments, with a [`Slot`][] where a tensor goes.
        kwargs: Keyword arguments, likewise.
        inputs: The numbers of the tensor arguments, in order.
        shape: Shape of the result; a tuple of shapes where the operator returns several tensors.
        path: The module that called it, such as `layer1.0.conv1`.
        hidden: It writes to a value that is read again through another view of the same memory.
    """

    index: int
    operator: Operator
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[int, ...]
    shape: Any
    path: str
    hidden: bool = False

    @property
    def name(self) -> str:
        """The operator's name, such as `aten.conv2d.default`."""
        return operator_name(self.operator)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by their names in the operator's schema, defaults included; none for Python builtins."""
        if not isinstance(self.operator, torch._ops.OpOverload):
            return {}
        schema = self.operator._schema.arguments
        given = {one.name: value for one, value in zip(schema, self.args, strict=False)}
        return {one.name: one.default_value for one in schema} | given | self.kwargs

    def __call__(self, values: Sequence[Any] | dict[int, Any], operator: Operator | None = None) -> Any:
        """Apply the operator (or another one with the same arguments) to the values in its slots."""
        args = tuple([_put(arg, values) for arg in self.args])
        return (operator or self.operator)(*args, **{key: _put(arg, values) for key, arg in self.kwargs.items()})


def _put(arg: Any, values: Any) -> Any:
    if type(arg) is Slot:
        return values[arg.index]
    if type(arg) is list:
        return [_put(one, values) for one in arg]
    return arg


def operator_name(operator: Operator) -> str:
    """Name an operator as its overload is written: `aten.relu.default`."""
    if isinstance(operator, torch._ops.OpOverload):
        return str(operator)
    return f"{getattr(operator, '__module__', '')}.{getattr(operator, '__name__', operator)}".lstrip("_.")


class Graph:
    """A captured model.

    Args:
        exported: What `torch.export` made.
        model: The user's model, in which parameters are looked up.

    Attributes:
        image: The number of the image's value.
        batch: The batch size that the graph is bound to; None if it takes any.
    """

    def __init__(self, exported: torch.export.ExportedProgram, model: nn.Module) -> None:
        self._nodes = list(exported.graph_module.graph.nodes)
        self._number = {node: i for i, node in enumerate(self._nodes)}
        self._memory = Aliases(self._nodes)
        self._spec = exported.call_spec.out_spec
        self._modules, self._sizes = list(model.modules()), [tensor.shape for tensor in tensors(model)]
        signature = exported.graph_signature
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
        self._image = images[0]
        self.image = self._number[images[0]]
        size = images[0].meta["val"].shape[0]
        self._symbol = None if isinstance(size, int) else size.node.expr
        self.batch: int | None = int(size) if self._symbol is None else None
        self._refuse_writes()
        self.steps = lru_cache(maxsize=8)(self._steps)

    def fits(self, model: nn.Module) -> bool:
        """Whether the model still consists of the modules that were captured, with tensors of the same shapes."""
        return same(model.modules(), self._modules) and [tensor.shape for tensor in tensors(model)] == self._sizes

    def state(self, device: torch.device) -> dict[int, Tensor]:
        """Look up parameters, buffers and constants by their value numbers, as they are now."""
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
        """Put the model's answer together as the model returns it."""
        flat = [values[self._number[arg]] if isinstance(arg, fx.Node) else arg for arg in self._nodes[-1].args[0]]
        return pytree.tree_unflatten(flat, self._spec)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The numbers of the values that the model returns."""
        return tuple(self._number[arg] for arg in self._nodes[-1].args[0] if isinstance(arg, fx.Node))

    @property
    def held(self) -> tuple[int, ...]:
        """The numbers of parameters and buffers."""
        return tuple(index for index, _, _ in self._state)

    def shapes(self, batch: int) -> dict[int, Any]:
        """The shape of every value for a batch size."""
        return {i: self._size(node.meta.get("val"), batch) for i, node in enumerate(self._nodes)}

    def _steps(self, batch: int) -> tuple[Step, ...]:
        """The operator calls in order, for a batch size (call as `steps`, which remembers them)."""
        found = []
        # After an in-place operator the name of its input means its output, so that each value is written once.
        renamed: dict[int, int] = {}
        for index, node in enumerate(self._nodes):
            if node.op != "call_function" or self._is_number(node):
                continue
            slots: list[int] = []
            args = tuple(self._argument(arg, batch, slots, renamed) for arg in node.args)
            kwargs = {key: self._argument(arg, batch, slots, renamed) for key, arg in node.kwargs.items()}
            shape = self._size(node.meta.get("val"), batch)
            in_place = is_in_place(node)
            hidden = in_place and self._memory.is_read_again(node)
            if in_place:
                for old, new in list(renamed.items()):
                    renamed[old] = index if new == slots[0] else new
                renamed[slots[0]] = index
            found.append(Step(index, node.target, args, kwargs, tuple(slots), shape, _path(node), hidden))
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

    @staticmethod
    def _is_number(node: fx.Node) -> bool:
        return isinstance(node.meta.get("val"), torch.SymInt | torch.SymFloat | torch.SymBool | int | float | bool)

    def _size(self, value: Any, batch: int) -> Any:
        """Replace the symbolic batch size by a number: shapes of tensors, symbolic numbers as numbers."""
        if isinstance(value, Tensor):
            return tuple([self._size(size, batch) for size in value.shape])
        if isinstance(value, list | tuple):
            return tuple([self._size(one, batch) for one in value])
        if isinstance(value, torch.SymInt) and value.node.expr == self._symbol:
            return batch
        if isinstance(value, torch.SymInt):
            return int(value.node.expr.subs({self._symbol: batch}))
        if isinstance(value, torch.SymFloat):
            return float(value.node.expr.subs({self._symbol: batch}))
        return value

    def _refuse_writes(self) -> None:
        held = {index for index, *_ in (*self._state, *self._constants)}
        for node in self._nodes:
            target = node.args[0] if is_in_place(node) and node.args else None
            if isinstance(target, fx.Node) and self._number[self._memory.owner(target)] in held:
                raise CaptureError(
                    f"the model must not change its own state when it answers, but {node.target} in "
                    f"{_path(node) or 'the model'} writes to a parameter or buffer: "
                    "make its evaluation mode free of side effects."
                )


def _path(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    return str(paths[-1]) if paths else ""


def capture(model: nn.Module, shape: Shape, dtype: torch.dtype, device: torch.device) -> Graph:
    """Capture what a model does in evaluation mode with images of one shape.

    The model itself is not touched: a structural copy that shares every parameter and buffer is put in evaluation
    mode and captured.

    Args:
        model: The user's network.
        shape: `(N, C, H, W)`. The graph takes any batch size unless the model insists on one.
        dtype: Floating-point type of the image.
        device: Where the model lives.

    Returns:
        The graph.

    Raises:
        CaptureError: If the model cannot be copied or captured; the message says what `torch.export` said.
    """
    twin = evaluating(model)
    batch = torch.export.Dim("batch", min=1)
    attempts = [(max(shape[0], 2), ({0: batch},)), (shape[0], None)]
    for size, dynamic in attempts:
        example = torch.zeros(size, *shape[1:], dtype=dtype, device=device)
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                return Graph(torch.export.export(twin, (example,), dynamic_shapes=dynamic, strict=False), model)
        except CaptureError:
            raise
        except Exception as error:
            failure = error
    raise CaptureError(
        f"the model must be capturable by torch.export for an input of shape {tuple(shape)}, but "
        f"{type(failure).__name__} came ({reason(failure)}): check that the plain model takes this shape, and avoid "
        "control flow on values."
    ) from failure


def evaluating(model: nn.Module) -> nn.Module:
    """A structural copy of the model in evaluation mode, which shares every parameter and buffer.

    Raises:
        CaptureError: If the model cannot be copied.

    Example:
        >>> model = nn.Linear(2, 2).train()
        >>> twin = evaluating(model)
        >>> twin.training, model.training, twin.weight is model.weight
        (False, True, True)
    """
    shared: dict[int, Any] = {id(tensor): tensor for tensor in tensors(model)}
    try:
        return copy.deepcopy(model, shared).eval()
    except Exception as error:
        raise CaptureError(
            f"the model must allow a structural copy (copy.deepcopy), but {type(error).__name__} came "
            f"({reason(error)}): remove what cannot be copied, such as open files or locks."
        ) from error


def tensors(model: nn.Module) -> Iterable[Tensor]:
    """The parameters and buffers of a model."""
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            yield from (tensor for tensor in held.values() if tensor is not None)


def same(now: Iterable[object], before: Iterable[object]) -> bool:
    """Whether two series consist of the very same objects."""
    return list(map(id, now)) == list(map(id, before))
