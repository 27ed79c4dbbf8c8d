"""`Estimation`: the scores of one picture, estimated in rounds of samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..catalog import METHODS
from .convergence import MAX_SAMPLES, ROUNDS, has_converged
from .inputs import Players
from .procedures import PROCEDURES, Draw
from .sampling import Coalitions
from .surrogate import Fit

__all__ = ["Estimation"]

Floats = npt.NDArray[np.float64]

# Between rounds, only one in this many kernels of the prior is tried.
_SKIPPED = 4


class Estimation:
    """Scores from predictions, which the caller makes for the coalitions that are `wanted` until there are none.

    Args:
        method: One of the catalog's methods.
        players: The segments.
        n_samples: Number of samples; "auto" stops when the scores are reliable.
        sampling: How samples depend on each other.
        estimator: What is fitted to the predictions.
        window: Side in pixels of what is removed at once, for methods that remove windows.
        seed: Seed of the samples.
        whole: float64 `(T,)`: the predictions for the grand coalition, which is the first sample.

    Example:
        >>> segments = np.array([[0, 1, 2]])
        >>> players = Players(segments, segments, 3)
        >>> estimation = Estimation("ablation", players, "auto", "all", "mean", 0, 0, np.array([0.6]))
        >>> while len(estimation.wanted):
        ...     estimation.add(estimation.wanted[:2] @ np.array([[0.1], [0.2], [0.3]]))
        >>> estimation.found.scores.round(6)
        array([[0.1, 0.2, 0.3]])
    """

    def __init__(
        self,
        method: str,
        players: Players,
        n_samples: int | str,
        sampling: str,
        estimator: str,
        window: int,
        seed: int,
        whole: Floats,
    ) -> None:
        most = MAX_SAMPLES if n_samples == "auto" else int(n_samples)
        self._procedure = PROCEDURES[method]
        self._samples = self._procedure.samples(Draw(players, most, sampling, window), np.random.default_rng(seed))
        self._priors = players.kernels() if estimator == "spatial" else None
        self._asked = None if n_samples == "auto" else most
        self.total = len(self._samples.coalitions)
        # Fewer samples than asked for are all coalitions, and the scores are exact.
        in_rounds = n_samples == "auto" and self.total == MAX_SAMPLES and not METHODS[method].fixed
        self._rounds = list(ROUNDS if in_rounds else (self.total,))
        self._predictions = whole[None]
        self._fit: Fit | None = None

    @property
    def wanted(self) -> Coalitions:
        """The coalitions `(m, K)` to predict next, in this order; none when the scores are final."""
        end = self._rounds[0] if self._fit is None else len(self._predictions)
        return self._samples.coalitions[len(self._predictions) : end]

    @property
    def n_samples(self) -> int:
        """The number of samples asked for; if it was not given, the number used."""
        return len(self._predictions) if self._asked is None else self._asked

    @property
    def found(self) -> Fit:
        """The scores, once no more predictions are wanted."""
        if self._fit is None:
            self._conclude()
        if self._fit is None:
            raise RuntimeError("The estimation needs more predictions.")
        return self._fit

    def add(self, values: Floats) -> None:
        """Add the predictions `(m, T)` of the first m coalitions that are wanted."""
        self._predictions = np.concatenate([self._predictions, values])
        self._conclude()

    def _conclude(self) -> None:
        count = len(self._predictions)
        if count < self._rounds[0]:
            return
        used = self._samples._replace(
            coalitions=self._samples.coalitions[:count], weights=self._samples.weights[:count]
        )
        if len(self._rounds) > 1:
            # A few kernels rule convergence out cheaply; all of them confirm it.
            some = self._priors and self._priors[::_SKIPPED]
            if not has_converged(self._procedure.fit(used, self._predictions, some)):
                self._rounds.pop(0)
                return
        found = self._procedure.fit(used, self._predictions, self._priors)
        if len(self._rounds) > 1 and not has_converged(found):
            self._rounds.pop(0)
            return
        self._fit = found
