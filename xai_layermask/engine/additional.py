"""Further inputs of a model, such as a table or a second image, which have no presence."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..errors import InputError

__all__ = ["NONE", "Additional", "check_inputs"]

_KINDS = (Tensor, bool, int, float, str, type(None))


@dataclass(frozen=True)
class Additional:
    """Further inputs of a model: tensors, numbers and strings, also in lists, tuples and dicts.

    Attributes:
        leaves: The inputs, flattened; tensors are fresh ones, which the model may write to.
        batched: Whether each of them is a tensor with a row for each image.
        spec: How they are nested.
    """

    leaves: tuple[Any, ...]
    batched: tuple[bool, ...]
    spec: Any

    @classmethod
    def of(cls, inputs: Sequence[Any], images: int, rows: int) -> Additional:
        """Take the inputs that belong to a batch.

        A tensor whose first dimension is the number of images, or of rows, has a row for each image. If there is one
        image, its row is repeated like the image. Everything else is the same for all images.

        Args:
            inputs: The further arguments of the model.
            images: Number of images that were passed.
            rows: Number of images that the model runs on; a single image is repeated for every presence.

        Raises:
            InputError: If an input is something other than a tensor, number, string or None.

        Example:
            >>> given = Additional.of((torch.zeros(1, 4), torch.zeros(3), 7), images=1, rows=2)
            >>> [tuple(one.shape) for one in given.leaves[:2]], given.batched
            ([(2, 4), (3,)], (True, False, False))
        """
        if not inputs:
            return NONE
        leaves, spec = pytree.tree_flatten(tuple(inputs))
        for leaf in leaves:
            if not isinstance(leaf, _KINDS):
                raise InputError.expected(
                    "tensors, numbers, strings, or lists and dicts of them, for the further inputs of the model",
                    type(leaf).__name__,
                    "convert arrays with torch.as_tensor",
                )
        batched = tuple(isinstance(leaf, Tensor) and leaf.dim() > 0 and len(leaf) in (images, rows) for leaf in leaves)
        pairs = zip(leaves, batched, strict=True)
        return cls(tuple(_fresh(leaf, rows if per_image else None) for leaf, per_image in pairs), batched, spec)

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The arguments as the model takes them."""
        return tuple(pytree.tree_unflatten(list(self.leaves), self.spec)) if self.leaves else ()

    @property
    def requires_grad(self) -> bool:
        """Whether a tensor among them requires gradients."""
        return any(leaf.requires_grad for leaf in self.leaves if isinstance(leaf, Tensor))

    @property
    def key(self) -> tuple[Any, ...]:
        """What a captured graph depends on: shapes and types of tensors, and everything else by value."""
        return (str(self.spec), *(self._key(*pair) for pair in zip(self.leaves, self.batched, strict=True)))

    def _key(self, leaf: Any, per_image: bool) -> Any:
        if isinstance(leaf, Tensor):
            return per_image, tuple(leaf.shape[int(per_image) :]), leaf.dtype, leaf.device
        return type(leaf), leaf

    def example(self, batch: int) -> tuple[Any, ...]:
        """The arguments for a batch of another size."""
        pairs = zip(self.leaves, self.batched, strict=True)
        leaves = [_fresh(leaf[:1].detach(), batch) if per_image else leaf for leaf, per_image in pairs]
        return tuple(pytree.tree_unflatten(leaves, self.spec)) if leaves else ()

    def sizes(self, batch: Any) -> tuple[Any, ...]:
        """The `dynamic_shapes` of `torch.export` for the arguments."""
        sizes = [{0: batch} if per_image else None for per_image in self.batched]
        return tuple(pytree.tree_unflatten(sizes, self.spec)) if sizes else ()

    def values(self, numbers: Sequence[int]) -> dict[int, Tensor]:
        """The tensors by value number."""
        return {number: leaf for number, leaf in zip(numbers, self.leaves, strict=True) if isinstance(leaf, Tensor)}


#: No further inputs.
NONE = Additional((), (), None)


def _fresh(leaf: Any, rows: int | None) -> Any:
    """A copy of a tensor, its only row repeated; anything else as it is."""
    if not isinstance(leaf, Tensor):
        return leaf
    repeated = leaf if rows is None or rows == len(leaf) else leaf.expand(rows, *leaf.shape[1:])
    return repeated.clone(memory_format=torch.contiguous_format)


def check_inputs(model: nn.Module, count: int) -> None:
    """Check that a model takes an image and `count` further inputs.

    Args:
        model: The network.
        count: Number of further inputs.

    Raises:
        InputError: If an input is missing, which the message names, or there are too many.

    Example:
        >>> class Both(nn.Module):
        ...     def forward(self, image, table): ...
        >>> check_inputs(Both(), 0)
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected the further input table of the model, got only an image: pass \
masked(image, presence, table), or additional_forward_args=table
    """
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):  # a forward without a signature
        return
    named = [one for one in parameters if one.kind in kinds][1:]
    missing = [one.name for one in named[count:] if one.default is one.empty]
    if missing:
        several, names = len(missing) > 1, ", ".join(one.name for one in named[: count + len(missing)])
        got = "only an image" if not count else f"an image and {count} further input{'s' if count > 1 else ''}"
        raise InputError.expected(
            f"the further input{'s' if several else ''} {', '.join(missing)} of the model",
            got,
            f"pass masked(image, presence, {names}), or additional_forward_args="
            + (f"({names})" if "," in names else names),
        )
    if count > len(named) and not any(one.kind is one.VAR_POSITIONAL for one in parameters):
        raise InputError.expected(
            f"{len(named) or 'no'} further input{'' if len(named) == 1 else 's'} of the model", f"{count}"
        )
