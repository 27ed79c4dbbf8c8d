"""A caller's own `perturb_func` and `similarity_func`, called one sample at a time as Captum does."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isgeneratorfunction
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import InputError
from ..explain import Coalitions
from ..segments import Segments, presence_of

__all__ = ["draw_coalitions", "weigh_coalitions"]


def draw_coalitions(perturb_func: Callable[..., Any], image: Tensor, segments: Segments, n_samples: int) -> Coalitions:
    """Draw `n_samples` coalitions, or as many as a generator function yields.

    Raises:
        InputError: If a sample is not 0/1 `(1, K)`, or there is none.
    """
    options = _options(segments)
    count = options["num_interp_features"]
    if isgeneratorfunction(perturb_func):
        rows = list(islice(perturb_func(image, **options), n_samples))
    else:
        rows = [perturb_func(image, **options) for _ in range(n_samples)]
    for row in rows:
        if not isinstance(row, Tensor) or row.shape != (1, count) or not ((row == 0) | (row == 1)).all():
            raise InputError.expected(
                f"a tensor of 0 and 1 of shape (1, {count}) from perturb_func",
                f"shape {tuple(row.shape)}" if isinstance(row, Tensor) else type(row).__name__,
                "return one value for each segment",
            )
    if not rows:
        raise InputError.expected("at least one sample from perturb_func", "none")
    coalitions: Coalitions = torch.cat(rows).cpu().numpy() != 0
    return coalitions


def weigh_coalitions(
    similarity_func: Callable[..., Any], image: Tensor, segments: Segments, coalitions: Coalitions
) -> npt.NDArray[np.float64]:
    """The weight of each coalition, float64 `(M,)`."""
    whole = torch.ones(1, 1, *segments.shape, dtype=image.dtype, device=image.device)
    options = _options(segments)
    return np.array([
        float(similarity_func(whole, presence_of(segments, row).to(whole), torch.from_numpy(row).long(), **options))
        for row in coalitions[:, None]
    ])


def _options(segments: Segments) -> dict[str, Any]:
    return {"feature_mask": torch.from_numpy(segments)[None, None], "num_interp_features": int(segments.max()) + 1}
