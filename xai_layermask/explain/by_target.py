"""`ByTarget`: the methods of an explanation that concern one of its targets."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..catalog import SIGNS
from ..errors import InputError, check_integer, choose
from ..metrics import alignment_score, topk_jaccard
from ..models import class_index
from .inputs import cut_to_crop
from .settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ByTarget"]

Floats = npt.NDArray[np.float64]

_NAMES = {"logit": "logit", "log_probability": "log-probability", "log_odds": "log-odds"}
# Below this reliability an explanation advises against reading it segment by segment.
_LOW = 0.8
# Exact scores below this share of the predictions are rounding errors: several of float32, as a score is a sum.
_ROUNDING = 1e-6


class ByTarget:
    """Heat maps, best segments and metrics of one target; `Explanation` documents the attributes."""

    segments: npt.NDArray[np.int64]
    scores: Floats
    standard_errors: Floats
    reliability: Floats
    targets: tuple[int, ...]
    labels: tuple[str, ...]
    predictions: Floats
    probabilities: Floats
    intercept: Floats
    settings: Settings
    played: npt.NDArray[np.bool_]

    def shown(self, row: int) -> str:
        """The prediction of a row as text, such as "97.2%" or "logit 3.55 (97.2%)"."""
        value, probability = float(self.predictions[row]), float(self.probabilities[row])
        share = "" if np.isnan(probability) else f"{probability:.1%}"
        name = self.settings.output
        if name not in _NAMES or (name == "log_odds" and share):
            return share or f"{value:.4g}"
        return f"{_NAMES[name]} {value:.3g}" + (f" ({share})" if share else "")

    def row(self, target: int | str | None = None) -> int:
        """The row of `scores` that belongs to a target."""
        if target is None:
            return 0
        wanted: object = target
        if isinstance(target, str):
            if target.isdecimal() and target not in self.labels:
                wanted = int(target)
            else:
                with suppress(InputError):  # the error below lists the targets
                    return class_index(self.labels, target)
        if not isinstance(wanted, bool) and wanted in self.targets:
            return self.targets.index(wanted)
        known = ", ".join(f"{index} ({label})" for index, label in zip(self.targets, self.labels, strict=True))
        raise InputError.expected(
            f"one of the explained classes {known} for target", repr(target), "or explain it with targets=[...]"
        )

    def key(self, row: int) -> int | str:
        """Identifies the target of a row: its class, or the label of a target that is not a class."""
        return self.targets[row] if self.targets[row] >= 0 else self.labels[row]

    def heatmap(self, target: int | str | None = None, size: str = "crop") -> Floats:
        """The score of each pixel's segment.

        Args:
            target: The class.
            size: "crop" for the part that the model saw, or "original" for the whole photograph.

        Returns:
            float64 `(H, W)`; over the photograph nan outside of the part that the model saw.

        Raises:
            InputError: If the part is unknown, since the preprocessing is a callable.
        """
        return self._spread(self.scores[self.row(target)][self.segments], size)

    def mask(
        self, k: int = 5, target: int | str | None = None, sign: str = "positive", size: str = "crop"
    ) -> npt.NDArray[np.bool_]:
        """The pixels of the best k segments, such as for cutting them out.

        Args:
            k: Number of segments.
            target: The class.
            sign: "positive" for the segments that most support the prediction, "negative" for those that most oppose
                it, "both" for those with the largest absolute scores. Segments with another sign do not count.
            size: As for [`heatmap`][].

        Returns:
            Bool `(H, W)`; false outside of the part that the model saw.

        Raises:
            InputError: If an argument is unknown or out of range.
        """
        scores = self.scores[self.row(target)]
        strength = {"positive": scores, "negative": -scores, "both": np.abs(scores)}[choose(sign, SIGNS, "sign")]
        best = np.argsort(-np.where(self.played, strength, 0.0), kind="stable")[: check_integer(k, "k", 1)]
        chosen = np.zeros(len(scores), bool)
        chosen[best] = strength[best] > 0
        found: npt.NDArray[np.bool_] = self._spread((chosen & self.played)[self.segments].astype(np.float64), size) == 1
        return found

    def _spread(self, values: Floats, size: str) -> Floats:
        if choose(size, ("crop", "original"), "size") == "crop":
            return values
        if self.settings.frame is None:
            raise InputError.expected(
                "a preprocessing whose crop is known, for size='original'", "one with shown=", "use a Preprocess"
            )
        return self.settings.frame.spread(values)

    def top(self, k: int = 5, target: int | str | None = None) -> npt.NDArray[np.int64]:
        """The segments with the highest scores.

        Args:
            k: Number of segments.
            target: The class.

        Returns:
            Ids, int64 `(min(k, K),)`, the highest score first; of equal scores the lower id.

        Raises:
            InputError: If `k` is less than 1.
        """
        return np.argsort(-self._ranked(self.row(target)), kind="stable")[: check_integer(k, "k", 1)]

    def _ranked(self, row: int) -> Floats:
        """The scores of a row, with missing pixels below all others."""
        scores = self.scores[row]
        ranked: Floats = np.where(self.played, scores, scores.min() - 1)
        return ranked

    def significant(self, target: int | str | None = None) -> npt.NDArray[np.bool_]:
        """Whether the 95 % interval of each segment's score excludes 0, bool `(K,)`.

        False where it is unknown. Exact scores have no interval, and are significant unless they are rounding errors.
        """
        row = self.row(target)
        scores, errors = np.abs(self.scores[row]), self.standard_errors[row]
        largest = max(abs(self.predictions[row]), abs(self.intercept[row]), scores.max())
        found: npt.NDArray[np.bool_] = scores > np.where(errors == 0, _ROUNDING * largest, 1.96 * errors)
        return found

    @property
    def advice(self) -> str:
        """What to do if scores are too unreliable to be read segment by segment; empty if they are not."""
        doubtful = (self.standard_errors != 0).any(axis=1)
        worst = float(self.reliability[doubtful].min(initial=1.0))
        if not worst < _LOW:
            return ""
        return (
            f"Reliability {worst:.2f} is low: with other samples, single segments would score differently. "
            "Use more samples or fewer segments."
        )

    def alignment(self, mask: npt.ArrayLike | Tensor, target: int | str | None = None) -> float:
        """The [`alignment_score`][] with an object mask `(H, W)` over the cropped picture or the photograph.

        If both have that size, it is over the cropped picture; `settings.frame.cropped` cuts one over the photograph.

        Raises:
            InputError: If the mask does not fit.
        """
        return alignment_score(self.scores[self.row(target)], self.segments, self._cut(mask))

    def jaccard(self, mask: npt.ArrayLike | Tensor, k: int = 20, target: int | str | None = None) -> float:
        """The [`topk_jaccard`][] overlap of the k best segments with an object mask `(H, W)`, as in `alignment`.

        Raises:
            InputError: If the mask or `k` does not fit.
        """
        return topk_jaccard(self._ranked(self.row(target)), self.segments, self._cut(mask), k)

    def _cut(self, mask: npt.ArrayLike | Tensor) -> Any:
        return cut_to_crop(mask, self.segments.shape, self.settings.frame)
