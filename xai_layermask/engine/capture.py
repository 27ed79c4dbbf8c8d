"""Capture a model as a graph with `torch.export`, without touching the model."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.export.graph_signature import InputKind

from ..errors import CaptureError, InputError, reason
from .additional import NONE, Additional, check_inputs
from .alias import Aliases, is_idle_dropout, is_in_place
from .composition import decompose
from .constants import Constants
from .failures import model_failure, user_line
from .graph import Graph, Shape, module_path
from .hooks import leave_out_observers, refuse_foreign
from .lowering import lower
from .tail import Head, Tail, TailedGraph, candidates
from .twin import evaluating, hold_parameters
from .verification import difference, verify

__all__ = ["capture"]

_SPLITS = 12  # modules at which a model is split on trial
_BATCH = 2**31 - 1  # torch 2.6 refuses `view(-1, ...)` for batches without a bound


def capture(
    model: nn.Module, shape: Shape, dtype: torch.dtype, device: torch.device, additional: Additional = NONE
) -> Graph:
    """Capture a model in evaluation mode for images of one shape.

    A structural copy that shares all parameters and buffers is captured; the model itself is not changed. Forward hooks
    that change an output are part of the model. Hooks that only observe are left out; to tell them apart, a model with
    hooks is run once on zeros.

    Args:
        model: The user's network.
        shape: `(N, C, H, W)`. The graph takes any batch size unless the model fixes it.
        dtype: Floating-point dtype of the image.
        device: The model's device.
        additional: Further inputs of the model.

    Returns:
        The graph.

    Raises:
        CaptureError: If the model cannot be copied or captured, or the graph does not compute what the model does on
            noise; the message names the line of the model and the remedy.
    """
    refuse_foreign(model)
    twin = evaluating(model)
    hold_parameters(twin)
    example = functools.partial(_example, shape, dtype, device, additional)
    leave_out_observers(twin, example(shape[0]))
    constants = Constants(model)
    constants.attach(twin)
    batch = torch.export.Dim("batch", min=1, max=_BATCH)
    batches: tuple[int, ...] = (1, 2)
    try:
        exported = _export(twin, example(max(shape[0], 2)), ({0: batch}, *additional.sizes(batch)))
    except Exception as failure:
        try:
            exported, batches = _export(twin, example(shape[0]), None), (shape[0],)
        except Exception:
            if _decides(failure) and not additional.inputs and not isinstance(model, Head):
                split = _split(model, shape, dtype, device)
                if split is not None:
                    return split
            raise CaptureError(_sentence(failure, model, example(shape[0]))) from failure
    if any(spec.kind == InputKind.CUSTOM_OBJ for spec in exported.graph_signature.input_specs):
        raise CaptureError(
            "expected a model that computes with tensors alone, got one whose forward uses another object, such as a "
            "torch.Generator: make such tensors in __init__."
        )
    memory = Aliases(exported.graph.nodes)
    _refuse_changed_state(exported, memory)
    if device.type != "meta":
        verify(exported, twin, example, batches)
    if memory.hidden_writes():
        # In functional form, every write returns a new value, which has its own presence.
        for node in filter(is_idle_dropout, list(exported.graph.nodes)):
            node.replace_all_uses_with(node.args[0])
            exported.graph.erase_node(node)
        exported = exported.run_decompositions({})
    lower(exported.graph_module)
    _refuse_hidden_writes(exported)
    with _quiet():
        decompose(exported.graph_module)
    _refuse_hidden_writes(exported)
    return (TailedGraph if isinstance(model, Head) else Graph)(exported, model, constants.reads)


def _split(model: nn.Module, shape: Shape, dtype: torch.dtype, device: torch.device) -> Graph | None:
    """Capture a model up to a module whose output is not masked, after which its control flow depends on values.

    Returns:
        The graph; None if there is no such module, or the model needs more than its output.
    """
    from .ops.base import MaskingSettings
    from .program import Program

    if device.type == "meta":
        return None
    image = torch.zeros(1, *shape[1:], dtype=dtype, device=device)

    def copied(one: nn.Module) -> nn.Module:
        twin = evaluating(one)
        leave_out_observers(twin, (image,))
        return twin

    for path in candidates(copied(model), image)[:_SPLITS]:
        tail = Tail(model, path, tuple(image.shape), copied)
        try:
            with torch.no_grad():
                apart = difference(tail(Head(copied(model), path)(image)), copied(model)(image))
            graph = None if apart else capture(Head(model, path), shape, dtype, device)
        except Exception:  # the model's own, or one of torch for a tensor without values
            continue
        if not isinstance(graph, TailedGraph):
            continue
        steps, shapes = graph.steps(shape[0]), graph.shapes(shape[0])
        program = Program(steps, shapes, graph.image, graph.outputs, MaskingSettings())
        if any(program.is_masked(index) for index in graph.outputs):
            return None  # and so are the outputs of all modules before it
        graph.tail = tail
        return graph
    return None


def _refuse_changed_state(exported: torch.export.ExportedProgram, memory: Aliases) -> None:
    image = set(exported.graph_signature.user_inputs)
    for node in exported.graph.nodes:
        owner = memory.owner(node.args[0]) if is_in_place(node) else None
        if owner is not None and owner.op == "placeholder" and owner.name not in image:
            raise CaptureError(
                "expected a model that does not change its state in evaluation mode, got a write to a parameter or "
                f"buffer by {node.target} in {module_path(node) or 'the model'}: write to a copy."
            )


def _refuse_hidden_writes(exported: torch.export.ExportedProgram) -> None:
    for node in Aliases(exported.graph.nodes).hidden_writes():
        raise CaptureError(
            f"expected no writes to views of what is read again, got {node.target} in "
            f"{module_path(node) or 'the model'}: use its out-of-place form."
        )


def _export(twin: nn.Module, example: tuple[Any, ...], sizes: Any) -> torch.export.ExportedProgram:
    with warnings.catch_warnings(), torch.no_grad(), _quiet():
        warnings.simplefilter("ignore")
        return torch.export.export(twin, example, dynamic_shapes=sizes, strict=False)


def _example(
    shape: Shape, dtype: torch.dtype, device: torch.device, additional: Additional, batch: int
) -> tuple[Any, ...]:
    return (torch.zeros(batch, *shape[1:], dtype=dtype, device=device), *additional.example(batch))


# --- errors ---


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what torch logs and prints about a failing export."""
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict) if name.startswith("torch")]

    def severe(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.CRITICAL

    for logger in loggers:
        logger.addFilter(severe)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            yield
    except Exception:
        printed.truncate(0)
        raise
    finally:
        for logger in loggers:
            logger.removeFilter(severe)
        sys.stderr.write(printed.getvalue())


def _sentence(error: Exception, model: nn.Module, example: tuple[Any, ...]) -> str:
    """The message of a failed capture."""
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            return (
                f"expected a Python module, got TorchScript in {path or 'the model'}: build the model from its Python "
                "class and load its state_dict."
            )
        if ".quantized" in type(module).__module__:
            return (
                f"expected floating-point modules, got the quantised {type(module).__name__} in "
                f"{path or 'the model'}: use the model before quantisation."
            )
    shape, line = tuple(example[0].shape), user_line(error)
    plain = _plain_failure(model, example)
    if plain is not None:
        try:
            check_inputs(model, len(example) - 1)
        except InputError as wrong:
            return str(wrong)
        return model_failure(plain, shape)
    kind = type(error).__name__
    if _decides(error):
        return (
            f"expected a model whose control flow does not depend on the values of the image, got a decision on "
            f"them{line}: move it out of forward, for example into the preprocessing, or write it with torch.where."
        )
    if "numpy" in str(error):
        return (
            f"expected a model that computes with torch alone, got a conversion to numpy{line}: replace it by torch "
            "operators."
        )
    return (
        f"expected a model that torch.export can capture for images of shape {shape}, got {kind} "
        f"({reason(error)}){line}: rewrite this line with torch operators on tensors."
    )


def _decides(error: Exception) -> bool:
    """Whether a model looks at values that are not known while it is captured."""
    return "DataDependent" in type(error).__name__ or "data-dependent" in str(error)


def _plain_failure(model: nn.Module, example: tuple[Any, ...]) -> Exception | None:
    """The exception that the model itself raises for such inputs, if any."""
    if any(parameter.device.type == "meta" for parameter in model.parameters()):
        return None
    twin = evaluating(model)
    for module in twin.modules():
        module._forward_hooks.clear()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            twin(*example)
    except Exception as error:
        return error
    return None
