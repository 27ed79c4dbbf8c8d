"""`Opener`: begins and ends the explanation of a picture by the options of an explainer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..catalog import METHODS, SIGNATURE
from ..engine.batching import auto_batch_size
from ..images import Preprocess, Shown, Transform
from ..maskings import Masking
from ..models import Output, Target, has_vectors
from .arguments import fitting_labels, function_name
from .channels import as_channels, with_channels
from .estimation import Estimation
from .explanation import Explanation
from .inputs import as_inputs, find_players
from .loaded import LoadedModel
from .pending import Pending
from .predictor import Predictor, read
from .settings import Settings

__all__ = ["Opener"]

_LOG = logging.getLogger(__name__)

# A 16-bit type is tried on this many samples, if there are enough samples for the trial to pay off.
_TRIAL_SAMPLES, _ENOUGH_SAMPLES = 32, 200
_WINDOWS = 7  # along the longer side of the picture, as in RISE's paper


class Opener:
    """What explaining one picture and explaining many have in common; the attributes are the explainer's options."""

    method: str
    sampling: str
    estimator: str
    n_samples: int | str
    batch_size: int | str
    window: int | str
    seed: int
    segments: Any
    output: Output
    preprocess: Preprocess | Transform
    labels: tuple[str, ...]
    masking: Masking
    _loaded: LoadedModel

    def _close(self, pending: Pending) -> Explanation:
        """The explanation of a picture whose predictions are complete."""
        explanation = pending.explanation(self._settings(pending))
        _LOG.info("explained %r", explanation)
        if explanation.advice:
            _LOG.warning("%s", explanation.advice)
        return explanation

    def _open(
        self, img: object, targets: Any, top: int, valid: Any = None, additional: Any = None, channels: Any = None
    ) -> Pending:
        """Predict the whole picture, and draw the samples."""
        shown = self.preprocess.prepare(img, valid)
        players = find_players(shown, self.segments)
        removed = as_channels(channels, shown.tensor.shape[1])
        predictor, chosen = self._predictor(shown, players.played, targets, top, additional, removed)
        height, width = shown.picture.shape[:2]
        window = max(2, max(height, width) // _WINDOWS) if self.window == "auto" else int(self.window)
        whole = read(chosen, predictor.whole.values)[0]
        estimation = Estimation(
            self.method, players, self.n_samples, self.sampling, self.estimator, window, self.seed, whole
        )
        shown = with_channels(shown, removed)
        return Pending(shown, players, predictor, chosen, whole, estimation, window, self._batch(shown))

    def _predictor(
        self, shown: Shown, ids: npt.NDArray[np.int64], targets: Any, top: int, additional: Any,
        channels: tuple[int, ...] | None = None,
    ) -> tuple[Predictor, tuple[Target, ...]]:
        """Predictions for one picture, and the targets that are explained."""
        compares = has_vectors(targets)
        output = replace(self.output, scale="value") if compares and self.output.scale == "auto" else self.output
        predictor = self._make_predictor(shown, ids, output, additional, channels)
        names = self.labels if compares else fitting_labels(self.labels, predictor.whole.values)
        return predictor, predictor.targets(targets, names, top)

    def _make_predictor(
        self, shown: Shown, ids: npt.NDArray[np.int64], output: Output, additional: Any = None,
        channels: tuple[int, ...] | None = None,
    ) -> Predictor:
        loaded = self._loaded
        inputs = as_inputs(additional, loaded.device, loaded.arithmetic.dtype)
        autocast = loaded.arithmetic.autocast
        return Predictor(
            self.masking, loaded.input(shown.tensor), ids, autocast, output, shown.present, inputs, channels
        )

    def _batch(self, shown: Shown) -> int:
        size = self.batch_size
        height, width = shown.picture.shape[:2]
        return auto_batch_size(height, width, self._loaded.device) if size == "auto" else int(size)

    def _try_autocast(self, pending: Pending, advance: Callable[[int], object]) -> None:
        estimation, dtype = pending.estimation, self._loaded.arithmetic.tries
        if dtype is not None and estimation.total >= _ENOUGH_SAMPLES:
            trial = estimation.wanted[:_TRIAL_SAMPLES]
            first = pending.predictor.choose_precision(dtype, trial, pending.targets, pending.batch_size, advance)
            estimation.add(first.values)
            pending.batch_size = first.batch_size

    def _settings(self, pending: Pending) -> Settings:
        loaded, whole, shown = self._loaded, pending.predictor.whole, pending.shown
        how = self.segments
        return Settings(
            model=loaded.classifier.name,
            method=self.method,
            masking=self.masking.name,
            segments=how if isinstance(how, str) else f"function {function_name(how)}" if callable(how) else "array",
            n_samples=pending.estimation.n_samples,
            seed=self.seed,
            batch_size=pending.batch_size,
            precision=loaded.arithmetic._replace(autocast=pending.predictor.autocast).precision,
            device=str(loaded.device),
            preprocess=self.preprocess if isinstance(self.preprocess, Preprocess) else repr(self.preprocess),
            sampling=self.sampling,
            estimator=self.estimator,
            output=whole.scale.name,
            select=whole.select,
            frame=shown.frame,
            window=pending.window if METHODS[self.method].window else None,
            note=shown.note,
            channels=pending.predictor.channels,
            additional=pending.predictor.additional,
            given=self.output.given,
            by_region=whole.regions is not None,
            versions=f"{SIGNATURE}, torch {torch.__version__}",
        )
