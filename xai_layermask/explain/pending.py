"""`Pending`: an explanation whose predictions are still to be made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..images import Shown
from ..models import Target
from .estimation import Estimation
from .explanation import Explanation
from .inputs import Players
from .predictor import Predictor, read_probabilities
from .settings import Settings

__all__ = ["Pending"]


@dataclass
class Pending:
    """One picture between its first prediction and its explanation.

    Attributes:
        shown: The picture.
        players: Its segments.
        predictor: Predicts coalitions of them.
        targets: What is explained.
        whole: float64 `(T,)`: the predictions for the whole picture.
        estimation: Says which coalitions to predict.
        window: Side in pixels of what is removed at once, for methods that remove windows.
        batch_size: Coalitions per forward pass.
    """

    shown: Shown
    players: Players
    predictor: Predictor
    targets: tuple[Target, ...]
    whole: npt.NDArray[np.float64]
    estimation: Estimation
    window: int
    batch_size: int

    def explanation(self, settings: Settings) -> Explanation:
        """The explanation, once the estimation wants no more predictions."""
        found, answer, targets = self.estimation.found, self.predictor.whole, self.targets
        errors = np.where(np.isfinite(found.standard_errors), found.standard_errors, np.nan)
        return Explanation(
            picture=self.shown.picture,
            segments=self.players.segments,
            scores=self.players.all_scores(found.scores),
            standard_errors=self.players.all_scores(errors),
            reliability=found.reliability,
            targets=tuple(target.index for target in targets),
            labels=tuple(target.label for target in targets),
            output=answer.output,
            predictions=self.whole,
            probabilities=read_probabilities(targets, answer.probabilities),
            intercept=found.intercept,
            r2=found.r2,
            prior=np.full((len(targets), 3), np.nan) if found.prior is None else np.array(found.prior),
            settings=settings,
            played=np.arange(int(self.players.segments.max()) + 1) < self.players.number,
        )
