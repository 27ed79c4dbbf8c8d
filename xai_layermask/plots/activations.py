"""Activations of a masked network, with a checkerboard where they are absent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, check_integer
from .figure import PANEL, axes_grid, checkerboard, escape_mathtext, hide_ticks

if TYPE_CHECKING:
    from ..trace import Activation, Trace

__all__ = ["activations"]


def activations(
    trace: Trace, axes: Any = None, channels: int | Sequence[int] | None = None, image: int = 0
) -> npt.NDArray[Any]:
    r"""Draw a panel for each activation of a trace, with a checkerboard where cells are absent.

    Each panel has its own colour scale, over its present cells, in the style sheet's colour map. The title gives the
    module, the size (channels x height x width) and the share of cells that are present.

    Args:
        trace: From [`trace`][xai_layermask.trace.trace].
        axes: One for each activation; a new figure if None.
        channels: The channel to draw, one for all activations or one for each; the mean over channels if None.
        image: Index of the image in the batch.

    Returns:
        The axes, `(len(trace),)`.

    Raises:
        InputError: If the trace is empty, a channel or the image is not in it, or there are too few axes.

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
        raise InputError.expected("at least one activation in trace", "none", "name modules that return one")
    panels = axes_grid(axes, len(trace), height=1.3 * PANEL)
    for (path, activation), ax, channel in zip(trace.items(), panels, _channels(trace, channels), strict=True):
        count, height, width = activation.value.shape[1:]
        values, mask = _map(path, activation, channel, image)
        checkerboard(ax, height, width)
        ax.imshow(np.ma.array(values, mask=~mask), interpolation="nearest")
        size, share = f"{count} x {height} x {width}", f"{100 * mask.mean():.0f} % present"
        ax.set_title(f"{escape_mathtext(path) or 'the model'}\n{size}\n{share}")
        hide_ticks(ax)
    return panels


def _map(
    path: str, activation: Activation, channel: int | None, image: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    batch, count = activation.value.shape[:2]
    values = activation.value[check_integer(image, "image", 0, batch - 1)].detach().double()
    if channel is not None:
        chosen = values[check_integer(channel, f"channels of {path!r}", 0, count - 1)]
    else:
        chosen = values.mean(0)
    return chosen.cpu().numpy(), activation.presence[image, 0].cpu().numpy()


def _channels(trace: Trace, channels: int | Sequence[int] | None) -> Sequence[int | None]:
    if channels is None or isinstance(channels, int | np.integer):
        return [channels] * len(trace)
    if len(channels) != len(trace):
        raise InputError.expected(
            f"one channel for each of {len(trace)} activations for channels",
            str(len(channels)),
            "pass one for all, or None for the mean",
        )
    return list(channels)
