"""RISE: the importance of a pixel is what the prediction gains, on average, when a random mask leaves it present.

Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models" (BMVC 2018), section 3.
Three things differ from the paper:

- The paper multiplies the picture by soft masks, which darken it. Here a mask of at least 0.5 is presence, anything
  less is absence, since a masking removes pixels or leaves them.
- The paper's importance is the mean prediction weighted by the mask. The score here is the mean prediction with the
  segment present minus the mean with it absent. With masks that leave half of the pixels present it is twice the
  paper's importance, minus the same number everywhere: the same map, but 0 says that the segment does not matter.
- "paired" sampling follows every mask by its complement, which has the same distribution. Interactions of an even
  number of segments cancel within a pair, but the effects of the other segments count twice. Scores converge with fewer
  masks only where the former vary more.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .regression import clusters
from .sampling import Samples
from .surrogate import Fit

__all__ = ["fit_rise", "rise_samples"]

Floats = npt.NDArray[np.float64]
Coalitions = npt.NDArray[np.bool_]

_ROWS = 256  # masks that are computed at a time, to bound the memory of fine maps


def rise_samples(
    centres: Floats,
    size: tuple[int, int],
    window: int,
    n_samples: int,
    generator: np.random.Generator,
    sampling: str = "paired",
) -> Samples:
    """Draw masks: random grids of 0 and 1, each at a random shift, interpolated bilinearly, present from 0.5 on.

    Args:
        centres: float64 `(K, 2)`, the centroids of the segments: row and column in pixels. A segment is present where
            the mask is at its centroid.
        size: Height and width of the picture in pixels.
        window: Side of a cell of the grid in pixels.
        n_samples: M, the number of rows, at least 4.
        generator: The source of randomness. A smaller draw is a prefix of a larger one.
        sampling: "plain" or "paired".

    Returns:
        The grand coalition, the empty one, then the masks.

    Example:
        >>> centres = np.stack(np.indices((8, 8)), axis=-1).reshape(-1, 2) + 0.0
        >>> rise_samples(centres, (8, 8), 4, 100, np.random.default_rng(0)).coalitions[2:].mean().item()
        0.5
    """
    count = n_samples - 2
    drawn = (count + 1) // 2 if sampling == "paired" else count
    cells = [-(-length // window) + 2 for length in size]
    uniform = generator.random((drawn, cells[0] * cells[1] + 2))
    rows = [_masks(uniform[i : i + _ROWS], centres / window, cells[0], cells[1]) for i in range(0, drawn, _ROWS)]
    ends = np.repeat([[True], [False]], len(centres), axis=1)
    masks = np.concatenate([ends[:0], *rows])
    if sampling == "paired":
        masks = np.stack([masks, ~masks], axis=1).reshape(-1, len(centres))[:count]
    coalitions = np.concatenate([ends, masks])
    return Samples(coalitions, np.ones(len(coalitions)), sampling == "paired")


def _masks(uniform: Floats, places: Floats, rows: int, columns: int) -> Coalitions:
    """Masks at places in cells `(K, 2)`, from uniform numbers: two for the shift, one for each node of the grid."""
    shifted = places[None] + uniform[:, None, :2]
    corner = shifted.astype(np.int64)
    down, right = (shifted - corner)[..., 0], (shifted - corner)[..., 1]
    grid, first = (uniform[:, 2:] < 0.5).astype(np.float64), corner[..., 0] * columns + corner[..., 1]
    upper, lower = (
        np.take_along_axis(grid, first + step, 1) * (1 - right) + np.take_along_axis(grid, first + step + 1, 1) * right
        for step in (0, columns)
    )
    present: Coalitions = upper * (1 - down) + lower * down >= 0.5
    return present


def fit_rise(samples: Samples, predictions: Floats) -> Fit:
    """The mean prediction with each segment present minus that with it absent, and how far to trust it.

    Standard errors are those of the two means, with the pairs of "paired" sampling as clusters. Masks are smooth, so
    the errors of neighbours are correlated; reliability counts only the part that differs between segments.

    Args:
        samples: From [`rise_samples`][].
        predictions: float64 `(M, T)`.

    Returns:
        The scores; the intercept is the prediction without any segment. R2 is unknown, since nothing is fitted.

    Example:
        >>> centres = np.stack(np.indices((4, 4)), axis=-1).reshape(-1, 2) + 0.0
        >>> samples = rise_samples(centres, (4, 4), 1, 2000, np.random.default_rng(0))
        >>> found = fit_rise(samples, samples.coalitions[:, [5]] * 0.5)  # the prediction depends on one pixel
        >>> int(found.scores.argmax()), found.scores.max().round(6).item(), found.reliability.round(2).item()
        (5, 0.5, 0.99)
    """
    drawn = samples._replace(coalitions=samples.coalitions[2:], weights=samples.weights[2:])
    masks, values = drawn.coalitions, predictions[2:] - predictions[2:].mean(axis=0)
    values[:, np.abs(values).max(axis=0) <= 1e-12 * np.abs(predictions).max(axis=0)] = 0.0  # rounding errors
    present = masks.sum(axis=0)
    counts = np.stack([len(masks) - present, present])
    known: npt.NDArray[np.bool_] = counts.min(axis=0) > 0
    total = masks.T.astype(np.float64) @ values  # (K, T)
    means = np.stack([values.sum(axis=0) - total, total]) / np.maximum(counts, 1)[..., None]
    scores = np.where(known[:, None], means[1] - means[0], 0.0).T
    parts = [_errors(drawn, values[:, i], means[..., i], counts) for i in range(values.shape[1])]
    certain: npt.NDArray[np.bool_] = counts.min(axis=0) > 1  # the mean of one prediction has no residual
    errors = np.where(certain, np.sqrt([squared for squared, _ in parts]), np.inf)
    noise, spread = np.array([shared if certain.any() else np.inf for _, shared in parts]), scores.var(axis=1)
    varies: npt.NDArray[np.bool_] = spread > (1e-9 * np.abs(scores).max(axis=1)) ** 2
    reliability = np.sqrt(np.clip(1 - noise / np.where(varies, spread, 1.0), 0, 1)) * varies
    return Fit(scores, errors, reliability, predictions[1].copy(), np.full(len(scores), np.nan))


def _errors(samples: Samples, values: Floats, means: Floats, counts: npt.NDArray[np.int64]) -> tuple[Floats, float]:
    """Squared standard errors `(K,)`, and the mean square of errors apart from what all segments share."""
    masks, (first, second) = samples.coalitions, clusters(samples)
    squared, apart = np.zeros(masks.shape[1]), 0.0
    for start in range(0, len(first), _ROWS):
        effects = np.zeros((len(first[start : start + _ROWS]), masks.shape[1]))
        for rows in (first[start : start + _ROWS], second[start : start + _ROWS]):
            there = rows < len(masks)
            chosen, value = masks[rows[there]], values[rows[there], None]
            without, with_it = (value - means[i] for i in (0, 1))
            effects[there] += np.where(chosen, with_it / np.maximum(counts[1], 1), -without / np.maximum(counts[0], 1))
        squared += (effects**2).sum(axis=0)
        apart += float(effects.var(axis=1).sum())
    if len(first) < 2:
        return np.full_like(squared, np.inf), np.inf
    correction = len(first) / (len(first) - 1)
    return squared * correction, apart * correction
