"""What goes on inside a masked network: activations, and where they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .panel import PANEL, bare, board, many, plain

if TYPE_CHECKING:
    from ..trace import Activation, Trace

__all__ = ["activations"]


def activations(
    trace: Trace, axes: Any = None, channels: int | Sequence[int] | None = None, image: int = 0
) -> npt.NDArray[Any]:
    r"""Draw a panel for each place of a trace: its activation, and a checkerboard where cells are absent.

    Every panel has a colour scale of its own, over its present cells, in the style sheet's colour map. The title says
    the module, the size (channels x height x width) and the share of cells that are present.

    Args:
        trace: From [`trace`][xai_layermask.trace.trace].
        axes: Where to draw, one for each place; a figure of its own if None.
        channels: The channel to draw: one for all places, or one for each; the mean over channels if None.
        image: Which image of the batch.

    Returns:
        The axes, `(len(trace),)`.

    Raises:
        InputError: If there is nothing in the trace, a channel or the image is not in it, or the axes are too few.

    Example:
        >>> import torch
        >>> from xai_layermask import LayerMask
        >>> from xai_layermask.trace import trace
        >>> masked = LayerMask(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.ReLU()))
        >>> presence = torch.ones(1, 1, 9, 9)
        >>> presence[..., 4:] = 0
        >>> (ax,) = activations(trace(masked, torch.rand(1, 3, 9, 9), presence))
        >>> ax.get_title()
        '1\n4 x 4 x 4\n50 % present'
    """
    if not len(trace):
        raise InputError("trace must hold at least one activation, but none came: name modules that hand one on.")
    panels = many(axes, len(trace), height=1.3 * PANEL)
    for (path, found), ax, channel in zip(trace.items(), panels, _channels(trace, channels), strict=True):
        count, height, width = found.value.shape[1:]
        values, mask = _map(path, found, channel, image)
        board(ax, height, width)
        ax.imshow(np.ma.array(values, mask=~mask), interpolation="nearest")
        size, share = f"{count} x {height} x {width}", f"{100 * mask.mean():.0f} % present"
        ax.set_title(f"{plain(path) or 'the model'}\n{size}\n{share}")
        bare(ax)
    return panels


def _map(path: str, found: Activation, channel: int | None, image: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    batch, count = found.value.shape[:2]
    if not 0 <= image < batch:
        raise InputError(f"image must be from 0 to {batch - 1}, but {image!r} came: choose one of the batch.")
    if channel is not None and not 0 <= channel < count:
        raise InputError(
            f"channels must be from 0 to {count - 1} in {path!r}, but {channel!r} came: choose one that is there."
        )
    values = found.value[image].detach().double()
    chosen = values.mean(0) if channel is None else values[channel]
    return chosen.cpu().numpy(), found.presence[image, 0].cpu().numpy()


def _channels(trace: Trace, channels: int | Sequence[int] | None) -> Sequence[int | None]:
    if channels is None or isinstance(channels, int | np.integer):
        return [channels] * len(trace)
    if len(channels) != len(trace):
        raise InputError(
            f"channels must be one for each of {len(trace)} places, but {len(channels)} came: give one for all, or "
            "None for the mean."
        )
    return list(channels)
