"""Masked operators that pick entries by their numbers, and of stacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..mask import PresenceMask, joined
from .base import Call, Found, MaskedOperator, operands
from .view import Reshape

__all__ = ["Index", "Stack"]


class Index(Reshape):
    """Entries by their numbers, along dimensions where presence does not vary: whichever is picked, it is the same."""

    any_masked: ClassVar[bool] = False

    @staticmethod
    def refusal(call: Call, dims: Sequence[int]) -> str | None:
        """Why entries along these dimensions cannot be picked, if so."""
        varies = any(call.cells().varies(dim) for dim in dims)
        return "which cells it picks is known only when it runs" if varies else None

    @staticmethod
    def _apply(call: Call, tensor: Tensor) -> Any:
        # Every number stands for the first entry.
        first = {
            index: torch.zeros(shape, dtype=torch.long, device=tensor.device)
            for index, shape in zip(call.step.inputs[1:], call.shapes[1:], strict=True)
        }
        return call.step({**first, call.step.inputs[0]: tensor})


@dataclass(frozen=True)
class Stack(MaskedOperator):
    """Tensors along a new dimension: a cell is present where it is in all of them, as in a sum.

    Args:
        dim: The new dimension.
    """

    any_masked: ClassVar[bool] = True
    dim: int

    def presence(self, call: Call) -> Found:
        dim = self.dim % (len(call.shapes[0]) + 1)
        joint = joined(operands(call, len(call.shapes[0])))
        if dim == 0 and any(isinstance(cells, PresenceMask) and cells is not joint for cells in call.found):
            # Along the batch each one keeps its own presence: they may come from different images.
            one = joint.mask.new_ones(())
            masks = [cells.mask if isinstance(cells, PresenceMask) else one for cells in call.found]
            return PresenceMask(torch.stack(torch.broadcast_tensors(*masks)))  # type: ignore[no-untyped-call]
        return joint.cached(("stack", dim), lambda: PresenceMask(joint.mask.unsqueeze(dim)))
