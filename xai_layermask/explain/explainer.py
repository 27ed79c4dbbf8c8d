"""`LayerMaskExplainer`: explain predictions by removing segments of the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .. import __version__
from ..catalog import check_estimator, check_sampling
from ..engine.runtime import auto_batch_size
from ..errors import InputError, check_integer, choose
from ..images import Preprocess, Shown, Transform, as_preprocess
from ..maskings import Masking, make
from ..models import Classifier, Output, Target, as_labels, as_output, has_vectors
from .convergence import MAX_SAMPLES, ROUNDS, has_converged
from .explanation import Explanation
from .inputs import Players, as_inputs, find_players
from .loaded import load_model
from .predictor import Floats, Predictor, Whole, read, read_probabilities
from .sampling import Samples
from .settings import Settings
from .surrogate import METHODS, Fit, fit

__all__ = ["LayerMaskExplainer"]

# bfloat16 is tried on this many samples, if there are enough samples for it to pay.
_TRIAL_SAMPLES, _ENOUGH_SAMPLES = 32, 200
_MOST = 1_000_000  # samples: a limit of memory
# Between rounds only every so many kernels of the prior are tried.
_SKIPPED = 4


class LayerMaskExplainer:
    """Explain the predictions of a vision network by removing segments of the picture.

    Segments are removed at random, by layer masking unless another masking is given, and a linear surrogate is fitted
    to the network's predictions. The network is never changed, trained or moved.

    Args:
        model: A name that [`load`][xai_layermask.models] knows, a [`Classifier`][], or the network: images
            `(N, 3, h, w)` to logits `(N, classes)`, or to whatever `output` names.
        method: "lime" (weighted ridge regression) or "shap" (KernelSHAP; exact if all `2^K` coalitions are at most
            `n_samples`).
        masking: How segments are removed: a name that [`make`][] knows, such as "layer" or "grey"; a masking of
            `model`; or a function from the network to a masking.
        segments: How the picture is segmented: a name such as "slic", "slic:100" or "patches:16"; a map `(H, W)` of
            integers, or of booleans for a region and the rest, over the photograph or over its cropped part; or a
            function from the cropped picture to a map of it.
        n_samples: Number of coalitions to evaluate; "auto" stops when the scores are reliable: when they are expected
            to correlate by 0.95 with those of infinitely many samples; at 1000 at the latest.
        batch_size: Coalitions per forward pass; "auto" depends on the picture's size. It is halved when memory runs
            out, and changes scores by rounding only.
        precision: "float32", "float64" (a network in another precision is copied), "bfloat16" (autocast), or "auto":
            the network's own, or bfloat16 if the device supports it and the first predictions show that the scores
            are not affected.
        device: The device of a named model; "auto" is CUDA, then MPS, then the CPU. A network that is passed stays
            where it is.
        seed: Seed of the samples. The global random state is neither read nor changed.
        preprocess: From pictures to inputs: a `Preprocess`, or any callable that [`Transform`][] understands, such as
            a `Compose` of torchvision; by default that of the named model, or ImageNet's.
        labels: A name for each class in order, or a mapping from their indices, such as `model.config.id2label`; by
            default those of the named model, or numbers. A single logit is that of the second of two labels.
        progress: Whether to show a progress bar on stderr.
        sampling: How samples depend on each other: "plain" (independent, as in the papers), "paired" (with
            complements), "stratified" (by size), "orthogonal" (balanced blocks, LIME only), or "auto", which
            converges fastest: orthogonal for LIME, stratified for KernelSHAP.
        estimator: "spatial" (a prior that nearby segments score alike, as far as the samples bear it out), or the
            published one: "ridge" for LIME, "least_squares" for KernelSHAP.
        output: What is explained: "probability", "sigmoid" (independent classes), "logit", "log_probability",
            "log_odds", "value" (the model's number as it is), "auto", which decides by the model's output and says so
            in `explanation.output`; or an [`Output`][], which also selects a tensor of the model's answer.

    Raises:
        InputError: If an argument is invalid, or two do not fit each other.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> explainer = LayerMaskExplainer(
        ...     model, segments="patches:8", n_samples=50, preprocess=Preprocess(32, 32), progress=False
        ... )
        >>> explanation = explainer.explain(torch.rand(3, 32, 32), top=2)
        >>> explanation.scores.shape, explanation.heatmap().shape
        ((2, 16), (32, 32))
    """

    def __init__(
        self,
        model: str | nn.Module | Classifier = "lite0",
        method: str = "lime",
        masking: str | Masking | Callable[[nn.Module], Masking] = "layer",
        segments: str | npt.ArrayLike | Callable[[npt.NDArray[np.uint8]], object] = "slic:64",
        n_samples: int | str = "auto",
        batch_size: int | str = "auto",
        precision: str = "auto",
        device: str | torch.device = "auto",
        seed: int = 0,
        preprocess: Preprocess | Transform | Callable[..., Any] | None = None,
        labels: Sequence[str] | Mapping[Any, str] | None = None,
        progress: bool = True,
        sampling: str = "auto",
        estimator: str = "spatial",
        output: str | Output = "auto",
    ) -> None:
        self.method = choose(method, METHODS, "method")
        self.sampling = check_sampling(sampling, method)
        self.estimator = check_estimator(estimator, method)
        self.n_samples = _auto_or_integer(n_samples, "n_samples", 2)
        self.batch_size = _auto_or_integer(batch_size, "batch_size", 1)
        self.seed = check_integer(seed, "seed", 0)
        self.progress = bool(progress)
        self.segments = segments
        given = None if preprocess is None else as_preprocess(preprocess)
        own = masking if isinstance(masking, Masking) else None
        self._loaded = load_model(model, own, precision, device)
        self.output = as_output(output).for_model(self._loaded.classifier.model)
        self.preprocess = given or as_preprocess(self._loaded.classifier.preprocess)
        self.labels = as_labels(labels) if labels is not None else self._loaded.classifier.labels
        self.masking = own or _masking(masking, self._loaded.network, self.preprocess)

    def explain(
        self,
        img: object,
        targets: Any = None,
        top: int = 1,
        valid: npt.ArrayLike | None = None,
        additional_forward_args: Any = None,
    ) -> Explanation:
        """Explain the predictions for one picture.

        Args:
            img: A path, a PIL image, an array, or a tensor `(3, H, W)` in [0, 1]; for a `Preprocess` of a raster an
                array of its channels. Pixels that are NaN, or masked in a masked array, are absent from the start.
            targets: One target or several, all explained by the same forward passes: a class by index or name; in a
                map, `(class, y, x)`, `(class, mask)`, or a class averaged over the region where it is predicted; a
                vector to which an embedding is compared; or a function of the output. None for the `top` classes.
            top: Number of most probable classes if `targets` is None.
            valid: Which pixels of the photograph are there, `(H, W)`, bool or 0/1; the others are absent from the
                start.
            additional_forward_args: Further inputs of the model, a tuple or a single one, as the masking takes them.

        Returns:
            The explanation, with a row of scores for each target. Missing pixels are its last segment, with score 0.

        Raises:
            InputError: If `img` is no picture, the segments do not fit it, or a target does not fit the output.
        """
        shown = self.preprocess.prepare(img, valid)
        picture, players = shown.picture, find_players(shown, self.segments)
        loaded = self._loaded
        further = as_inputs(additional_forward_args, loaded.device, loaded.arithmetic.dtype)
        compares = has_vectors(targets)
        output = replace(self.output, scale="value") if compares and self.output.scale == "auto" else self.output
        predictor = Predictor(
            self.masking,
            loaded.input(shown.tensor),
            players.played,
            loaded.arithmetic.autocast,
            output,
            shown.present,
            further,
        )
        answer = predictor.whole
        chosen = predictor.targets(targets, self.labels if compares else self._class_names(answer.values), top)
        batch_size = (
            auto_batch_size(picture.shape[0], picture.shape[1], loaded.device)
            if self.batch_size == "auto"
            else int(self.batch_size)
        )
        whole = read(chosen, answer.values)[0]
        found, n_samples, batch_size = self._fit(predictor, whole, chosen, players, batch_size)
        return Explanation(
            picture=picture,
            segments=players.segments,
            scores=players.all_scores(found.scores),
            standard_errors=players.all_scores(
                np.where(np.isfinite(found.standard_errors), found.standard_errors, np.nan)
            ),
            reliability=found.reliability,
            targets=tuple(target.index for target in chosen),
            labels=tuple(target.label for target in chosen),
            output=answer.output,
            predictions=whole,
            probabilities=read_probabilities(chosen, answer.probabilities),
            intercept=found.intercept,
            r2=found.r2,
            prior=np.full((len(chosen), 3), np.nan) if found.prior is None else np.array(found.prior),
            settings=self._settings(n_samples, batch_size, predictor.autocast, answer, shown),
            played=np.arange(int(players.segments.max()) + 1) < players.number,
        )

    def _fit(
        self,
        predictor: Predictor,
        whole: Floats,
        targets: Sequence[Target],
        players: Players,
        batch_size: int,
    ) -> tuple[Fit, int, int]:
        """The surrogate, the number of samples that it used, and the batch size that fitted."""
        most = MAX_SAMPLES if self.n_samples == "auto" else int(self.n_samples)
        generator = np.random.default_rng(self.seed)
        samples = METHODS[self.method].draw(players.number, most, generator, self.sampling)
        priors = players.kernels() if self.estimator == "spatial" else None
        count = len(samples.coalitions)
        # Fewer samples than asked for are all coalitions, and the scores are exact.
        rounds = ROUNDS if self.n_samples == "auto" and count == MAX_SAMPLES else (count,)
        predictions = whole[None]  # the first sample is the grand coalition, whose prediction is known
        with _progress_bar(count - 1, self.progress) as advance:
            if self._loaded.arithmetic.tries_bfloat16 and count >= _ENOUGH_SAMPLES:
                trial = samples.coalitions[1 : 1 + _TRIAL_SAMPLES]
                first = predictor.choose_precision(trial, targets, batch_size, advance)
                predictions, batch_size = np.concatenate([predictions, first.values]), first.batch_size
            for count in rounds:
                more = predictor.predict(samples.coalitions[len(predictions) : count], targets, batch_size, advance)
                predictions, batch_size = np.concatenate([predictions, more.values]), more.batch_size
                used = Samples(samples.coalitions[:count], samples.weights[:count])
                # A few kernels tell whether it may be over; all of them decide.
                if count < rounds[-1] and not has_converged(
                    fit(self.method, used, predictions, priors and priors[:: _SKIPPED])
                ):
                    continue
                found = fit(self.method, used, predictions, priors)
                if count == rounds[-1] or has_converged(found):
                    break
        return found, count if self.n_samples == "auto" else most, batch_size

    def _class_names(self, whole: Tensor) -> tuple[str, ...]:
        """The labels, if they fit the output."""
        outputs = whole.shape[1] if whole.dim() > 1 else 1
        if outputs == 1 and len(self.labels) == 2:
            return self.labels[1:]  # of a binary classifier, whose output is the second class's
        if self.labels and len(self.labels) != outputs:
            raise InputError.expected(
                f"one label for each of the model's {outputs} outputs for labels",
                str(len(self.labels)),
                "pass labels=[...] in their order",
            )
        return self.labels

    def _settings(self, n_samples: int, batch_size: int, autocast: bool, whole: Whole, shown: Shown) -> Settings:
        loaded = self._loaded
        how = self.segments
        return Settings(
            model=loaded.classifier.name,
            method=self.method,
            masking=self.masking.name,
            segments=how if isinstance(how, str) else _function_name(how) if callable(how) else "array",
            n_samples=n_samples,
            seed=self.seed,
            batch_size=batch_size,
            precision="bfloat16" if autocast else loaded.arithmetic.precision,
            device=str(loaded.device),
            preprocess=self.preprocess if isinstance(self.preprocess, Preprocess) else repr(self.preprocess),
            sampling=self.sampling,
            estimator=self.estimator,
            output=whole.scale.name,
            select=whole.select,
            frame=shown.frame,
            note=shown.note,
            versions=f"xai-layermask {__version__}, torch {torch.__version__}",
        )


def _auto_or_integer(value: int | str, what: str, least: int) -> int | str:
    if value == "auto":
        return value
    number = check_integer(value, what, least, otherwise="'auto'")
    return number if number <= _MOST else check_integer(number, what, least, _MOST, "'auto'")


def _function_name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _masking(masking: object, network: nn.Module, preprocess: Preprocess | Transform) -> Masking:
    if isinstance(masking, str):
        return make(masking, network, preprocess)
    made = masking(network) if callable(masking) else masking
    if not isinstance(made, Masking) or made.model is not network:
        raise InputError.expected(
            "a name, a masking of the model, or a function from the model to one for masking", type(made).__name__
        )
    return made


@contextmanager
def _progress_bar(total: int, shown: bool) -> Iterator[Callable[[int], object]]:
    if not shown:
        yield lambda done: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc="explaining", unit="sample", leave=False) as bar:
        yield bar.update
