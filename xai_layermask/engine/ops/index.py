"""Masked operators of indexing and stacking."""

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
    """Indexing along dimensions in which presence does not vary, so that every index gives the same presence."""

    any_masked: ClassVar[bool] = False

    @staticmethod
    def refusal(call: Call, dims: Sequence[int]) -> str | None:
        """The reason if indexing along these dimensions is not supported."""
        varies = any(call.cells().varies(dim) for dim in dims)
        return "which cells it reads depends on values" if varies else None

    @staticmethod
    def _apply(call: Call, tensor: Tensor) -> Any:
        # The first entry stands for all.
        first = {
            index: torch.zeros(shape, dtype=torch.long, device=tensor.device)
            for index, shape in zip(call.step.inputs[1:], call.shapes[1:], strict=True)
        }
        return call.step({**first, call.step.inputs[0]: tensor})


@dataclass(frozen=True)
class Stack(MaskedOperator):
    """Tensors stacked along a new dimension: present where all of them are.

    Args:
        dim: The new dimension.
    """

    any_masked: ClassVar[bool] = True
    dim: int

    def presence(self, call: Call) -> Found:
        dim = self.dim % (len(call.shapes[0]) + 1)
        joint = joined(operands(call, len(call.shapes[0])))
        if dim == 0 and any(isinstance(cells, PresenceMask) and cells is not joint for cells in call.found):
            # Along the batch dimension, each one keeps its own presence.
            one = joint.mask.new_ones(())
            masks = [cells.mask if isinstance(cells, PresenceMask) else one for cells in call.found]
            return PresenceMask(torch.stack(torch.broadcast_tensors(*masks)))  # type: ignore[no-untyped-call]
        return joint.cached(("stack", dim), lambda: PresenceMask(joint.mask.unsqueeze(dim)))
