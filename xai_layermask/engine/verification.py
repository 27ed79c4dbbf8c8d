"""Whether a captured graph computes what the model computes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

from ..errors import CaptureError

__all__ = ["difference", "verify"]

# Both sides call the same operators, but a GPU may choose other kernels, and deep networks amplify rounding.
_TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-2}
_HALF = 0.1


def verify(
    exported: torch.export.ExportedProgram,
    twin: nn.Module,
    example: Callable[[int], tuple[Any, ...]],
    batches: Sequence[int],
) -> None:
    """Compare a captured graph with its model on noise.

    Args:
        exported: The graph, before it is changed.
        twin: A copy of the model in evaluation mode.
        example: Inputs for a number of images.
        batches: Numbers of images to try until one agrees: some models squeeze a batch of one.

    Raises:
        CaptureError: If they differ, for instance because the model asks whether it is compiled.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for images in batches:
            image, *further = example(images)
            noise = torch.Generator(image.device).manual_seed(0)
            inputs = (torch.rand(image.shape, generator=noise, device=image.device).to(image.dtype), *further)
            try:
                output = twin(*inputs)
                apart = difference(_run(exported, inputs), output)
            except Exception:  # the model does not take noise, or the graph asserts another batch size
                return
            half = torch.is_autocast_enabled(image.device.type)
            if apart <= (_HALF if half else _TOLERANCES.get(image.dtype, _HALF)):
                return
        if difference(twin(*inputs), output) > 0:
            return  # random models are refused elsewhere
    found = "outputs of another kind" if math.isinf(apart) else f"outputs that differ by {apart:.2g} of the largest"
    raise CaptureError(
        f"expected a model whose graph computes the same, got {found}: compute all outputs in forward, from its "
        "arguments, without caches or context variables, and without asking whether it is compiled."
    )


def _run(exported: torch.export.ExportedProgram, inputs: tuple[Any, ...]) -> Any:
    held, given = {**exported.state_dict, **exported.constants}, iter(pytree.tree_leaves(inputs))
    values = [
        next(given) if spec.kind == InputKind.USER_INPUT else held[spec.target]
        for spec in exported.graph_signature.input_specs
    ]
    return pytree.tree_unflatten(exported.graph_module(*values), exported.call_spec.out_spec)


def difference(one: Any, other: Any) -> float:
    """The largest difference of two outputs, over the largest entry of the second.

    Args:
        one: Any structure of tensors and numbers, as a model returns it.
        other: Another one.

    Returns:
        0 if they are equal, and infinity if they differ in the number, shapes or types of tensors, or in other values.

    Example:
        >>> difference({"logits": torch.tensor([1.0, 2.0])}, {"logits": torch.tensor([1.0, 4.0])})
        0.5
        >>> difference([torch.zeros(2)], ())
        inf
    """
    ours, theirs = pytree.tree_leaves(one), pytree.tree_leaves(other)  # export replaces dict by a type of its own
    if len(ours) != len(theirs):
        return math.inf
    return max((_difference(a, b) for a, b in zip(ours, theirs, strict=True)), default=0.0)


def _difference(one: Any, other: Any) -> float:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return 0.0 if type(one) is type(other) and bool(one == other) else math.inf
    if one.shape != other.shape or one.dtype != other.dtype:
        return math.inf
    if torch.equal(one, other):
        return 0.0
    exact = one.dtype in (torch.float64, torch.complex64, torch.complex128)
    a, b = (torch.nan_to_num(x.detach() if exact else x.detach().float()) for x in (one, other))
    largest = float(b.abs().max())
    return float((a - b).abs().max()) / largest if largest else math.inf
