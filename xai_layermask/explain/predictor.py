"""`Predictor`: predictions of a masked model for coalitions of segments."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..engine.batching import batched_predict
from ..engine.runtime import NOISE_LIMIT, forward_mode, noise
from ..errors import InputError
from ..images import wrong_channels
from ..maskings import Masking
from ..models import Ending, Output, Scale, Target, as_targets, check_finite
from ..segments import presence_at

__all__ = ["Predictions", "Predictor", "Whole", "predict_jointly", "read", "read_probabilities"]

Coalitions = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Predictions(NamedTuple):
    """Predictions for coalitions.

    Attributes:
        values: float64 `(M, T)`, on the explained scale.
        batch_size: The batch size that fitted into memory.
    """

    values: Floats
    batch_size: int


class Whole(NamedTuple):
    """The model's output for the whole picture.

    Attributes:
        output: What is explained, such as "probability (softmax of the outputs)".
        select: The part of the model's output that is explained, or a function's name; None for the whole output.
        scale: The scale.
        values: float64 `(1, ...)`, on that scale.
        probabilities: The same in probabilities; None where the model has none.
        regions: Where a map predicts each class, bool `(K, H, W)`; None for other outputs.
    """

    output: str
    select: str | int | None
    scale: Scale
    values: Tensor
    probabilities: Tensor | None
    regions: Tensor | None


class Predictor:
    """From coalitions of the segments of one picture to predictions on the explained scale.

    Presence masks are made batch by batch, so that memory does not grow with the number of coalitions.

    Args:
        masking: The masked model.
        image: `(1, 3, H, W)`, normalised, on the model's device.
        segments: int64 `(H, W)`, ids 0..K-1; or `(C, H, W)` with one map per channel.
        autocast: What forward passes run under autocast to; None without. As an attribute also the decision of
            [`choose_precision`][].
        output: Which tensor of the model's output is explained, and on which scale.
        present: Bool `(H, W)`: pixels that are present from the start; None for all.
        additional: Further inputs of the model.
        channels: The channels in which segments are removed; None for all.

    Example:
        >>> from xai_layermask import LayerMask
        >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> predictor = Predictor(LayerMask(model), torch.ones(1, 3, 4, 4), np.array([[0, 0, 1, 1]] * 4))
        >>> predictor.predict(np.array([[True, False], [False, True]]), predictor.targets(0), 16).values.round(3)
        array([[-0.693],
               [-0.693]])
    """

    def __init__(
        self,
        masking: Masking,
        image: Tensor,
        segments: npt.NDArray[np.int64],
        autocast: torch.dtype | None = None,
        output: Output = Output(),  # noqa: B008, frozen
        present: npt.NDArray[np.bool_] | None = None,
        additional: tuple[Any, ...] = (),
        channels: Sequence[int] | None = None,
    ) -> None:
        self._bound = masking.bind(image, additional)
        # Four channels without a presence would be read as three and their presence.
        everywhere = np.ones(segments.shape[-2:], bool) if image.shape[1] == 4 else None
        shown = everywhere if present is None else present
        self._present = None if shown is None else torch.from_numpy(shown)[None, None].to(image.device)
        self._segments = torch.from_numpy(np.array(segments)).to(image.device)
        self._kept: Tensor | None = None
        if channels is not None:
            self._kept = torch.ones(1, image.shape[1], 1, 1, dtype=torch.bool, device=image.device)
            self._kept[:, list(channels)] = False
        self._device = image.device
        self.autocast = autocast
        self.output = output
        self.channels = None if channels is None else tuple(channels)
        self.additional = len(additional)

    @cached_property
    def whole(self) -> Whole:
        """The model's output for the whole picture; the first access runs the model, and decides on the scale.

        Raises:
            InputError: If the model does not return such an output, it is not finite, or its scale is not clear.
        """
        with forward_mode(self._device, self.autocast), Ending() as ending:
            answer = self._answer()
            tensor = self.output.tensor(answer, 1)
        scale = self.output.decide(tensor, ending.made(tensor))
        select = self.output.part_name(answer)
        part = select if callable(self.output.select) else repr(select)
        words = scale.sentence if select is None else f"{scale.sentence}, from {part}"
        values = check_finite(scale(tensor))
        return Whole(words, select, scale, values, scale.probabilities(tensor), scale.regions(tensor))

    def targets(self, targets: Any = None, labels: Sequence[str] = (), top: int = 1) -> tuple[Target, ...]:
        """Turn what a caller names into targets, as [`as_targets`][xai_layermask.models.targets.as_targets] does.

        Args:
            targets: The targets; None for the `top` classes.
            labels: Names of the classes.
            top: Number of classes if `targets` is None.

        Raises:
            InputError: If a target does not fit the output.
        """
        if targets is None and self.whole.scale.name == "value" and self.whole.values.numel() > 1:
            raise InputError.expected(
                "targets, since values of different outputs do not compare",
                f"None and an output {tuple(self.whole.values.shape)}",
                "name an output, such as targets=0",
            )
        return as_targets(targets, self.whole.values, labels, top, self.whole.regions)

    def _answer(self) -> Any:
        bound = self._bound
        try:
            return bound.masking(bound.image, self._present, *bound.additional)
        except RuntimeError as error:
            wrong = wrong_channels(error, bound.image.shape[1])
            if wrong is None:
                raise
            raise wrong from error

    def predict(
        self,
        coalitions: Coalitions,
        targets: Sequence[Target],
        batch_size: int,
        advance: Callable[[int], object] | None = None,
    ) -> Predictions:
        """Predict the targets for each coalition.

        Args:
            coalitions: Bool `(M, K)`: which segments are present.
            targets: T targets, from [`targets`][xai_layermask.explain.predictor.Predictor.targets].
            batch_size: Coalitions per forward pass; halved while they do not fit into memory.
            advance: Called after each batch with the number of coalitions in it.

        Raises:
            InputError: If the model does not return finite numbers of that kind.
        """
        scale, is_map = self.whole.scale, self.whole.values.dim() > 2

        def predict(rows: Coalitions) -> Tensor:
            output = self.output.tensor(self._bound(self.presence(rows)), len(rows))
            # Vectors stay on the device, so that it need not wait for the next batch; maps would fill it.
            return torch.from_numpy(read(targets, scale(output))) if is_map else output

        with forward_mode(self._device, self.autocast):
            found, batch_size = batched_predict(predict, coalitions, batch_size, advance)
            return Predictions(found.numpy() if is_map else read(targets, scale(found)), batch_size)

    def presence(self, rows: Coalitions) -> Tensor:
        """The presence masks of coalitions, bool `(M, 1, H, W)`."""
        presence = presence_at(self._segments, torch.from_numpy(rows).to(self._device))
        if self._kept is not None:
            presence = presence | self._kept
        return presence if self._present is None else presence & self._present

    @property
    def kind(self) -> tuple[Any, ...]:
        """What predictors must have in common to share a batch; with further inputs it shares none."""
        bound = self._bound
        alone = id(self) if bound.additional or self._kept is not None else None
        return id(bound.masking), tuple(bound.image.shape), self._present is None, self.autocast, self.output, alone

    def choose_precision(
        self,
        dtype: torch.dtype,
        coalitions: Coalitions,
        targets: Sequence[Target],
        batch_size: int,
        advance: Callable[[int], object],
    ) -> Predictions:
        """Predict in float32 and under autocast to a type, and set `autocast` if the difference is small.

        It is if the error is at most [`NOISE_LIMIT`][xai_layermask.engine.runtime] of the spread of the predictions.

        Args:
            dtype: bfloat16 or float16.
            coalitions: As [`predict`][] takes them.
            targets: As above.
            batch_size: As above.
            advance: As above.

        Returns:
            The predictions in float32.
        """
        self.autocast, rough = dtype, None
        with contextlib.suppress(InputError):  # float16 may overflow
            rough = self.predict(coalitions, targets, batch_size)
        self.autocast = None
        exact = self.predict(coalitions, targets, rough.batch_size if rough else batch_size, advance)
        if rough and noise(exact.values, rough.values) <= NOISE_LIMIT:
            self.autocast = dtype
        return exact


def predict_jointly(parts: Sequence[tuple[Predictor, Coalitions, Sequence[Target]]]) -> list[Floats]:
    """Predict coalitions of several pictures in one batch.

    Args:
        parts: Predictors of the same kind, each with its coalitions and targets.

    Returns:
        The predictions `(M, T)` of each.

    Raises:
        InputError: If the model does not return finite numbers of that kind for one of them.
    """
    first, counts = parts[0][0], [len(rows) for _, rows, _ in parts]
    with forward_mode(first._device, first.autocast):
        presence = torch.cat([predictor.presence(rows) for predictor, rows, _ in parts])
        images = [predictor._bound.image for predictor, *_ in parts]
        shown = torch.cat([image.expand(count, -1, -1, -1) for image, count in zip(images, counts, strict=True)])
        answer = first.output.tensor(first._bound.masking(shown, presence), sum(counts))
        return [
            read(targets, predictor.whole.scale(part))
            for (predictor, _, targets), part in zip(parts, torch.split(answer, counts), strict=True)
        ]


def read(targets: Sequence[Target], output: Tensor) -> Floats:
    """The targets of an output `(N, ...)`, float64 `(N, T)`.

    Raises:
        InputError: If one is not finite.
    """
    values: Floats = check_finite(torch.stack([target(output) for target in targets], dim=1)).numpy()
    return values


def read_probabilities(targets: Sequence[Target], output: Tensor | None) -> Floats:
    """The targets' probabilities, float64 `(T,)`; nan for those that have none."""
    if output is None:
        return np.full(len(targets), np.nan)
    return np.array([float(target(output)) if target.is_probability else np.nan for target in targets])
