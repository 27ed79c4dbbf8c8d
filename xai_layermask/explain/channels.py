"""Scores of channels: which bands of a raster, or colours of a picture, count for a prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..images import Preprocess, Shown, Transform
from ..models import Target
from .predictor import Predictor, read
from .sampling import shap_samples
from .surrogate import fit

__all__ = ["ChannelScores", "as_channels", "as_groups", "group_map", "score_channels", "with_channels"]

Floats = npt.NDArray[np.float64]
Groups = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class ChannelScores:
    """Shapley values of G groups of channels for T targets.

    Attributes:
        names: G names.
        scores: float64 `(T, G)`: what each group contributes to the prediction. They sum to the difference between
            the predictions for the whole picture and for an empty one.
        standard_errors: float64 `(T, G)`: of the scores; 0 if all `2^G` coalitions were tried.
        targets: T class indices; -1 for a target that is not a class.
        labels: T names.
        output: What is explained, such as "log-odds of the softmax".
        predictions: float64 `(T,)`: the model's prediction for the whole picture.
    """

    names: tuple[str, ...]
    scores: Floats
    standard_errors: Floats
    targets: tuple[int, ...]
    labels: tuple[str, ...]
    output: str
    predictions: Floats

    def __str__(self) -> str:
        """The scores as a table in Markdown, a line for each group of channels."""
        lines = [f"| channels | {' | '.join(self.labels)} |", f"| --- |{' ---: |' * len(self.labels)}"]
        for name, values in zip(self.names, self.scores.T, strict=True):
            lines.append(f"| {name} | {' | '.join(f'{value:.3g}' for value in values)} |")
        return "\n".join(lines)


def score_channels(
    predictor: Predictor,
    targets: Sequence[Target],
    groups: Groups,
    most: int,
    seed: int,
    batch_size: int,
    advance: Callable[[int], object] | None = None,
) -> ChannelScores:
    """Shapley values of groups of channels: exact if there are at most `most` coalitions, else by KernelSHAP.

    Args:
        predictor: Its segments are the groups of the channels, `(C, H, W)`.
        targets: T targets.
        groups: The channels of each group by name.
        most: The number of coalitions.
        seed: Seed of the samples.
        batch_size: Coalitions per forward pass.
        advance: Called after each batch with the number of coalitions in it.
    """
    samples = shap_samples(len(groups), most, np.random.default_rng(seed), "stratified")
    predictions = predictor.predict(samples.coalitions, targets, batch_size, advance).values
    found = fit("shap", samples, predictions)
    return ChannelScores(
        tuple(groups),
        found.scores,
        np.where(np.isfinite(found.standard_errors), found.standard_errors, np.nan),
        tuple(target.index for target in targets),
        tuple(target.label for target in targets),
        predictor.whole.output,
        read(targets, predictor.whole.values)[0],
    )


def as_channels(channels: Any, count: int, what: str = "channels") -> tuple[int, ...] | None:
    """Different indices of channels; None for all.

    Raises:
        InputError: If one is not an index, or is named twice.

    Example:
        >>> as_channels([3, 7], 4)
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected different integers from 0 to 3 for channels, got [3, 7]
    """
    if channels is None:
        return None
    given = list(channels) if isinstance(channels, Sequence | np.ndarray) and not isinstance(channels, str) else None
    whole = given and all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in given)
    if not given or not whole or len(set(given)) < len(given) or not all(0 <= one < count for one in given):
        raise InputError.expected(f"different integers from 0 to {count - 1} for {what}", repr(channels))
    return tuple(int(one) for one in given)


def as_groups(groups: Groups | None, count: int, preprocess: Preprocess | Transform) -> Groups:
    """Groups of channels by name, each channel in one of them; by default each is its own group.

    Raises:
        InputError: If a channel is in several groups or in none, or there are fewer than two groups.

    Example:
        >>> as_groups(None, 3, Preprocess())
        {'R': [0], 'G': [1], 'B': [2]}
    """
    if groups is None:
        letters = preprocess.channels if isinstance(preprocess, Preprocess) else None
        known = isinstance(letters, str) and len(letters) == count
        groups = {(str(letters)[index] if known else str(index)): [index] for index in range(count)}
    if not isinstance(groups, Mapping):
        raise InputError.expected("a mapping from names to channels for groups", type(groups).__name__)
    listed = [one for name, group in groups.items() for one in as_channels(group, count, f"groups[{name!r}]") or ()]
    if len(groups) < 2 or sorted(listed) != list(range(count)):
        raise InputError.expected(
            f"at least two groups with each of the channels 0 to {count - 1} in one of them for groups",
            f"{len(groups)} with {sorted(listed)}",
        )  # fmt: skip
    return groups


def with_channels(shown: Shown, channels: tuple[int, ...] | None) -> Shown:
    """A picture whose note says in which channels segments are removed."""
    if channels is None:
        return shown
    note = f"segments removed in channels {', '.join(map(str, channels))}"
    return replace(shown, note=f"{shown.note}; {note}" if shown.note else note)


def group_map(groups: Groups, size: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The number of each channel's group, `(C, H, W)`.

    Example:
        >>> group_map({"visible": [0, 2], "infrared": [1]}, (1, 2)).tolist()
        [[[0, 0]], [[1, 1]], [[0, 0]]]
    """
    numbers = {channel: number for number, group in enumerate(groups.values()) for channel in group}
    ids = np.array([numbers[channel] for channel in range(len(numbers))], np.int64)
    return np.broadcast_to(ids[:, None, None], (len(ids), *size))
