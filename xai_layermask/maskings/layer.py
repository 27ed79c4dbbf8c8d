"""`LayerMask`: a vision network that is run on the present part of an image alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..engine.additional import NONE, Additional, check_inputs
from ..engine.capture import capture
from ..engine.dense import neighbor_padding
from ..engine.exclusion import EXCLUSION
from ..engine.executor import Executor, refuse_unsupported
from ..engine.graph import Graph
from ..engine.ops.base import MaskingSettings
from ..engine.runtime import first_parameter
from ..engine.series import holds_in_series
from ..errors import InputError, choose
from .base import Masking
from .channels import fill_each_channel
from .presence import check_untransformed, present_part

__all__ = ["LayerMask"]

PADDINGS = ("neighbor", "zero", "partial")
_KEPT = 8


class LayerMask(Masking):
    """Layer masking of any CNN or vision transformer (Balasubramanian & Feizi, ICCV 2023).

    Every activation travels with its presence, and every operator runs in its masked operator. The model is used as it
    is: it is never changed, and its parameters are shared. Between calls weights may change and modules be replaced;
    a module's other settings, such as strides and hooks, are those of the first call for a size of image.

    Args:
        model: The network: images `(N, C, H, W)` to logits `(N, K)`.
        padding: What window operators see at absent cells: the mean of present neighbours ("neighbor", the paper's
            method), zeros ("zero"), or nothing, with each window rescaled by its cells inside the image over its
            present cells ("partial", partial convolution).
        until: Path of a module such as "layer2". The network is masked up to this module's output and ordinary from
            there on, with zeros at absent cells. None masks all of it.
        pool_padding: Whether pooling windows see padded cells as convolutions do; False leaves zeros there.
        threshold: The fraction of a window's cells that must be present for its output to be present, 0 to 1. With 0,
            the paper's rule, any present cell will do. With 1, a transformer drops each token that lacks a pixel.
        rescale: Whether means over space divide by the present cells, as section 3.2 of the paper defines; False
            divides by all cells, so that features shrink with the present area.
        soft: Whether means over space weight each cell by the share of its window that was present, window by window
            from the image on; not in the paper.

    Raises:
        InputError: If an argument is none of the above.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> masked = LayerMask(model)
        >>> image = torch.rand(1, 3, 8, 8)
        >>> presence = torch.ones(1, 1, 8, 8)
        >>> presence[..., 4:] = 0
        >>> masked(image, presence).shape
        torch.Size([1, 4])
        >>> torch.equal(masked(image), model(image))
        True
    """

    layout = torch.channels_last

    def __init__(
        self,
        model: nn.Module,
        padding: str = "neighbor",
        until: str | None = None,
        pool_padding: bool = True,
        threshold: float = 0.0,
        rescale: bool = True,
        soft: bool = False,
    ) -> None:
        choose(padding, PADDINGS, "padding")
        if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
            raise InputError.expected("a number from 0 to 1 for threshold", repr(threshold))
        settings = MaskingSettings(padding, pool_padding, float(threshold), bool(rescale), bool(soft))
        super().__init__(model, _name(settings, until))
        if until is not None:
            choose(until, [path for path, _ in model.named_modules() if path], "until")
        self.until = until
        self.settings = settings
        self._graphs: dict[Any, Executor] = {}

    def unsupported(self, shape: Sequence[int], *additional: Any) -> list[tuple[str, str]]:
        """List what keeps the model from being masked.

        Args:
            shape: An input shape `(N, C, H, W)`.
            additional: Further inputs of the model, as `forward` takes them.

        Returns:
            Operator name and module path of each call that meets a masked activation and has no masked operator; empty
            where the model is supported. Each entry has an attribute `reason`, a sentence that says why.

        Raises:
            CaptureError: If the model cannot be captured for this shape.

        Example:
            >>> LayerMask(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Upsample(scale_factor=2))).unsupported((1, 3, 8, 8))
            []
        """
        if len(shape) != 4 or not all(isinstance(size, int) and size > 0 for size in shape):
            raise InputError.expected("(N, C, H, W) with positive sizes for shape", tuple(shape))
        like = first_parameter(self.model)
        image = torch.empty(tuple(shape), dtype=like.dtype, device="meta")
        further = Additional.of(additional, shape[0], shape[0])
        with EXCLUSION.lock:
            captured = self._captured(image, like.device, further)
            return list(captured.program(shape[0], self.settings, self.until).unsupported)

    def graph(self, image: Tensor, additional: Additional = NONE) -> Graph:
        """The model's graph for images of this shape and dtype, captured on the first call.

        Args:
            image: `(N, C, H, W)`.
            additional: Further inputs of the model.

        Returns:
            The graph, in which norms are not folded.

        Raises:
            InputError: If the image is of another type, or on another device, than the model.
            CaptureError: If the model cannot be captured.
        """
        self._check_model(image)
        with EXCLUSION.lock:
            return self._captured(image, image.device, additional).graph

    def __getstate__(self) -> dict[str, Any]:
        """Leave out captured graphs, which are captured again after copying or unpickling."""
        return {**super().__getstate__(), "_graphs": {}}

    def _masked(self, image: Tensor, presence: Tensor | None, additional: Additional = NONE) -> Any:
        self._check_model(image)
        if presence is None:
            return self.answer(image, additional)
        learning = torch.is_grad_enabled() and any(p.requires_grad for p in self.model.parameters())
        differentiable = learning or (torch.is_grad_enabled() and (image.requires_grad or additional.requires_grad))
        with EXCLUSION.lock:
            captured = self._captured(image, image.device, additional)
            program = captured.program(
                image.shape[0], self.settings, self.until, folded=not learning, in_place=not differentiable
            )
            refuse_unsupported(program)
            values = captured.state(image.device, folded=not learning)
        values |= additional.values(captured.graph.additional)
        values[program.image] = image.contiguous(memory_format=torch.channels_last)
        with EXCLUSION.running():
            captured.compute(program, presence.contiguous(), values, not differentiable and not additional.inputs)
        return captured.graph.output(values)

    def _without_channels(self, image: Tensor, presence: Tensor) -> tuple[Tensor, Tensor]:
        if self.settings.padding == "partial":
            return super()._without_channels(image, presence)
        pixels = presence.any(dim=1, keepdim=True)
        if self.settings.padding == "neighbor":
            image = fill_each_channel(neighbor_padding, image, presence)
        return present_part(image, pixels), pixels

    def _check_model(self, image: Tensor) -> None:
        like = first_parameter(self.model, image)
        check_untransformed("the model's parameters", like)
        if like.device != image.device or like.dtype != image.dtype:
            raise InputError.expected(
                f"{like.dtype} on {like.device}, as the model's parameters are, for image",
                f"{image.dtype} on {image.device}",
                "convert it with image.to(...)",
            )

    def _captured(self, image: Tensor, device: torch.device, additional: Additional) -> Executor:
        kind = (*image.shape[1:], image.dtype, device, additional.key)
        known = self._known(len(image), kind)
        if known is not None:
            return known
        check_inputs(self.model, len(additional.inputs))
        with EXCLUSION.capturing():
            known = self._known(len(image), kind)  # another thread may have captured it meanwhile
            if known is not None:
                return known
            graph = capture(self.model, tuple(image.shape), image.dtype, device, additional)
            while len(self._graphs) >= _KEPT:
                self._graphs.pop(next(iter(self._graphs)))
            captured = self._graphs[(graph.batch, *kind)] = Executor(graph, device)
            return captured

    def _known(self, images: int, kind: tuple[Any, ...]) -> Executor | None:
        for batch in (None, images):
            known = self._graphs.get((batch, *kind))
            if known is not None and holds_in_series(known.graph, partial(known.graph.fits, self.model)):
                return known
        return None


def _name(settings: MaskingSettings, until: str | None) -> str:
    """The name that `parse_masking` takes for these settings."""
    name = {"neighbor": "layer", "zero": "layer-zero", "partial": "partial"}[settings.padding]
    if not settings.pool_padding:
        name += "-pools-zero"
    if settings.threshold:
        name += f"-threshold:{np.format_float_positional(settings.threshold, trim='-')}"
    name += "-unscaled" * (not settings.rescale) + "-soft" * settings.soft
    return name if until is None else f"{name}-until:{until}"
