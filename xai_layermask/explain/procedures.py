"""Procedures: how each method of explanation draws coalitions, and scores segments by their predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .inputs import Players
from .removal import ablation_samples, fit_removal, occlusion_samples
from .rise import fit_rise, rise_samples
from .sampling import Samples
from .spatial import Kernel
from .surrogate import METHODS, Fit, fit

__all__ = ["PROCEDURES", "Draw", "Procedure"]

Floats = npt.NDArray[np.float64]


class Draw(NamedTuple):
    """The arguments of a draw of samples.

    Attributes:
        players: The segments.
        n_samples: The number of samples, where it can be chosen.
        sampling: How samples depend on each other.
        window: Side in pixels of what is removed at once, for methods that remove windows.
    """

    players: Players
    n_samples: int
    sampling: str
    window: int


class Procedure(NamedTuple):
    """A method of explanation.

    Attributes:
        samples: Draws samples. The first one is the grand coalition.
        fit: Maps samples, predictions `(M, T)` and the kernels of the spatial estimator, if it is used, to scores.
    """

    samples: Callable[[Draw, np.random.Generator], Samples]
    fit: Callable[[Samples, Floats, Sequence[Kernel] | None], Fit]


def _surrogate(name: str) -> Procedure:
    def samples(draw: Draw, generator: np.random.Generator) -> Samples:
        return METHODS[name].draw(draw.players.number, draw.n_samples, generator, draw.sampling)

    return Procedure(samples, partial(fit, name))


def _rise(draw: Draw, generator: np.random.Generator) -> Samples:
    centres, size = draw.players.centres()
    return _telling(rise_samples(centres, size, draw.window, draw.n_samples, generator, draw.sampling), draw)


def _occlusion(draw: Draw, generator: np.random.Generator) -> Samples:
    return _telling(occlusion_samples(*draw.players.centres(), draw.window), draw)


def _telling(samples: Samples, draw: Draw) -> Samples:
    """The samples, unless windows are so large that each one removes all segments or none."""
    rows = samples.coalitions
    if (rows.all(axis=1) | ~rows.any(axis=1)).all():
        height, width = draw.players.centres()[1]
        raise InputError.expected(
            f"a window smaller than the picture of {height} x {width} pixels",
            f"{draw.window}, which removes all of it", "use a smaller window",
        )  # fmt: skip
    return samples


#: By the names of `catalog.METHODS`.
PROCEDURES: dict[str, Procedure] = {
    **{name: _surrogate(name) for name in METHODS},
    "rise": Procedure(_rise, lambda samples, predictions, priors: fit_rise(samples, predictions)),
    "occlusion": Procedure(_occlusion, lambda samples, predictions, priors: fit_removal(samples, predictions)),
    "ablation": Procedure(
        lambda draw, generator: ablation_samples(draw.players.number),
        lambda samples, predictions, priors: fit_removal(samples, predictions),
    ),
}
