"""`LayerMaskExplainer`: explain predictions by removing segments of the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from .. import __version__
from ..catalog import check_sampling
from ..engine.runtime import auto_batch_size
from ..errors import InputError, check_integer, choose
from ..images import Preprocess
from ..maskings import Masking, make
from ..models import Classifier, class_index, imagenet_labels
from ..segments import segment
from .convergence import MAX_SAMPLES, ROUNDS, has_converged, standard_errors
from .explanation import Explanation
from .predictor import Floats, Predictor, load_model
from .sampling import Samples
from .settings import Settings
from .surrogate import METHODS, Fit

__all__ = ["LayerMaskExplainer"]

# bfloat16 is tried on this many samples, if there are enough samples for it to pay.
_TRIAL_SAMPLES, _ENOUGH_SAMPLES = 32, 200


class LayerMaskExplainer:
    """Explain the predictions of a vision network by removing segments of the picture.

    Segments are removed at random, by layer masking unless another masking is given, and a linear surrogate is fitted
    to the network's predictions. The network is never changed, trained or moved.

    Args:
        model: A name that [`load`][xai_layermask.models] knows, a [`Classifier`][], or the network: images
            `(N, 3, h, w)` to logits `(N, classes)`.
        method: "lime" (weighted ridge regression) or "shap" (KernelSHAP; exact if all `2^K` coalitions are at most
            `n_samples`).
        masking: How segments are removed: a name that [`make`][] knows, such as "layer" or "grey"; a masking of
            `model`; or a function from the network to a masking.
        segments: How the picture is segmented: a name such as "slic", "slic:100" or "patches:16"; an integer map
            `(H, W)` over the cropped picture; or a function from the cropped picture to such a map.
        n_samples: Number of coalitions to evaluate; "auto" stops when the standard error of the scores is a quarter
            of their spread, at 2000 at the latest.
        batch_size: Coalitions per forward pass; "auto" depends on the picture's size. It is halved when memory runs
            out, and changes scores by rounding only.
        precision: "float32", "float64" (a network in another precision is copied), "bfloat16" (autocast), or "auto":
            the network's own, or bfloat16 if the device supports it and the first predictions show that the scores
            are not affected.
        device: The device of a named model; "auto" is CUDA, then MPS, then the CPU. A network that is passed stays
            where it is.
        seed: Seed of the samples. The global random state is neither read nor changed.
        preprocess: From pictures to inputs; by default that of the named model, or ImageNet's.
        labels: A name for each class; by default those of the named model, ImageNet's for 1000 classes, or numbers.
        progress: Whether to show a progress bar on stderr.
        sampling: How samples depend on each other: "plain" (independent, as in the papers), "paired" (with
            complements), "stratified" (by size), "orthogonal" (balanced blocks, LIME only), or "auto", which
            converges fastest: orthogonal for LIME, stratified for KernelSHAP.

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
        segments: str | npt.ArrayLike | Callable[[npt.NDArray[np.uint8]], object] = "slic",
        n_samples: int | str = 500,
        batch_size: int | str = "auto",
        precision: str = "auto",
        device: str | torch.device = "auto",
        seed: int = 0,
        preprocess: Preprocess | None = None,
        labels: Sequence[str] | None = None,
        progress: bool = True,
        sampling: str = "auto",
    ) -> None:
        self.method = choose(method, METHODS, "method")
        self.sampling = check_sampling(sampling, method)
        self.n_samples = _auto_or_integer(n_samples, "n_samples", 2)
        self.batch_size = _auto_or_integer(batch_size, "batch_size", 1)
        self.seed = check_integer(seed, "seed", 0)
        self.progress = bool(progress)
        self.segments = segments
        if preprocess is not None and not isinstance(preprocess, Preprocess):
            raise InputError.expected("a Preprocess for preprocess", type(preprocess).__name__)
        own = masking if isinstance(masking, Masking) else None
        self._loaded = load_model(model, own, precision, device)
        self.preprocess = preprocess or self._loaded.classifier.preprocess
        self.labels = tuple(map(str, labels)) if labels is not None else self._loaded.classifier.labels
        self.masking = own or _masking(masking, self._loaded.network, self.preprocess)

    def explain(self, img: object, targets: int | str | Sequence[int | str] | None = None, top: int = 1) -> Explanation:
        """Explain the predictions for one picture.

        Args:
            img: A path, a PIL image, an array, or a tensor `(3, H, W)` in [0, 1].
            targets: Classes by index or name, all explained by the same forward passes; the most probable ones if
                None.
            top: Number of most probable classes if `targets` is None.

        Returns:
            The explanation, with a row of scores for each target.

        Raises:
            InputError: If `img` is no picture, the segments do not fit it, or a target is no class.
        """
        tensor, picture = self.preprocess(img)
        segments = segment(picture, self.segments)
        loaded = self._loaded
        predictor = Predictor(self.masking, loaded.input(tensor), segments, loaded.arithmetic.autocast)
        whole = predictor.predict_whole()
        names = self._class_names(len(whole))
        rows = _target_rows(whole, names, targets, top)
        batch_size = (
            auto_batch_size(picture.shape[0], picture.shape[1], loaded.device)
            if self.batch_size == "auto"
            else int(self.batch_size)
        )
        fit, n_samples, batch_size = self._fit(predictor, whole[rows], rows, int(segments.max()) + 1, batch_size)
        return Explanation(
            picture=picture,
            segments=segments,
            scores=fit.scores,
            targets=tuple(rows),
            labels=tuple(names[row] for row in rows),
            probabilities=whole[rows],
            intercept=fit.intercept,
            r2=fit.r2,
            settings=self._settings(n_samples, batch_size, predictor.autocast),
        )

    def _fit(
        self, predictor: Predictor, whole: Floats, rows: list[int], n_segments: int, batch_size: int
    ) -> tuple[Fit, int, int]:
        """The surrogate, the number of samples that it used, and the batch size that fitted."""
        method = METHODS[self.method]
        most = MAX_SAMPLES if self.n_samples == "auto" else int(self.n_samples)
        samples = method.draw(n_segments, most, np.random.default_rng(self.seed), self.sampling)
        count = len(samples.coalitions)
        # Fewer samples than asked for are all coalitions, and the scores are exact.
        rounds = ROUNDS if self.n_samples == "auto" and count == MAX_SAMPLES else (count,)
        predictions = whole[None]  # the first sample is the grand coalition, whose prediction is known
        with _progress_bar(count - 1, self.progress) as advance:
            if self._loaded.arithmetic.tries_bfloat16 and count >= _ENOUGH_SAMPLES:
                trial = samples.coalitions[1 : 1 + _TRIAL_SAMPLES]
                first = predictor.choose_precision(trial, rows, batch_size, advance)
                predictions, batch_size = np.concatenate([predictions, first.probabilities]), first.batch_size
            for count in rounds:
                more = predictor.predict(samples.coalitions[len(predictions) : count], rows, batch_size, advance)
                predictions, batch_size = np.concatenate([predictions, more.probabilities]), more.batch_size
                used = Samples(samples.coalitions[:count], samples.weights[:count])
                fit = method.fit(used, predictions)
                if count == rounds[-1] or has_converged(
                    fit.scores, standard_errors(method.regression(used, predictions), used.coalitions)
                ):
                    break
        return fit, count if self.n_samples == "auto" else most, batch_size

    def _class_names(self, classes: int) -> tuple[str, ...]:
        if self.labels:
            if len(self.labels) != classes:
                raise InputError.expected(
                    f"one label for each of the model's {classes} classes for labels",
                    str(len(self.labels)),
                    "pass labels=[...] in the order of the logits",
                )
            return self.labels
        if classes == 1000:
            try:
                return imagenet_labels()
            except InputError:
                pass  # the names come with an optional package
        return tuple(map(str, range(classes)))

    def _settings(self, n_samples: int, batch_size: int, autocast: bool) -> Settings:
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
            preprocess=self.preprocess,
            sampling=self.sampling,
            versions=f"xai-layermask {__version__}, torch {torch.__version__}",
        )


def _auto_or_integer(value: int | str, what: str, least: int) -> int | str:
    return value if value == "auto" else check_integer(value, what, least, otherwise="'auto'")


def _function_name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _masking(masking: object, network: nn.Module, preprocess: Preprocess) -> Masking:
    if isinstance(masking, str):
        return make(masking, network, preprocess)
    made = masking(network) if callable(masking) else masking
    if not isinstance(made, Masking) or made.model is not network:
        raise InputError.expected(
            "a name, a masking of the model, or a function from the model to one for masking", type(made).__name__
        )
    return made


def _target_rows(whole: Floats, names: Sequence[str], targets: Any, top: int) -> list[int]:
    """The indices of the classes to explain."""
    if targets is None:
        return [int(row) for row in np.argsort(-whole, kind="stable")[: check_integer(top, "top", 1, len(whole))]]
    if isinstance(targets, np.ndarray | torch.Tensor):
        targets = targets.tolist()
    if isinstance(targets, str | int | np.integer):
        targets = [targets]
    if not isinstance(targets, Sequence) or not targets:
        raise InputError.expected(
            "class indices or names for targets", repr(targets), "pass at least one, or None for the most probable"
        )
    rows = [class_index(names, target) for target in targets]
    if len(set(rows)) < len(rows):
        raise InputError.expected("different classes for targets", repr(targets))
    return rows


@contextmanager
def _progress_bar(total: int, shown: bool) -> Iterator[Callable[[int], object]]:
    if not shown:
        yield lambda done: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc="explaining", unit="sample", leave=False) as bar:
        yield bar.update
