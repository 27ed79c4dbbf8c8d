"""`LayerMaskExplainer`: from a picture to which of its segments speak for a prediction."""

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
from ..engine.batches import usual_batch
from ..errors import InputError, check_integer, choose
from ..images.preprocess import Preprocess
from ..maskings.base import Masking
from ..maskings.registry import make
from ..models import Classifier, class_index, imagenet_labels
from ..segments import segment
from .convergence import CAP, ROUNDS, settled, standard_errors
from .explanation import Explanation
from .predictor import Floats, Query
from .sampling import Samples
from .settings import Settings
from .subject import find_subject
from .surrogate import METHODS, Fit

__all__ = ["LayerMaskExplainer"]

# How many samples are asked in two precisions to choose one, and from how many on that pays.
_TRIED, _ENOUGH = 32, 200


class LayerMaskExplainer:
    """Explain the predictions of a vision network by removing segments of the picture.

    Segments are removed at random, by layer masking unless another masking is asked for, and a linear
    surrogate is fitted to what the network still answers. The network is never changed, trained or moved.

    Args:
        model: A name that [`load`][xai_layermask.models.loading] knows, a [`Classifier`][], or the network itself:
            images `(N, 3, h, w)` to logits `(N, classes)`.
        method: "lime" (ridge regression near the whole picture) or "shap" (KernelSHAP; exact where all `2^K`
            choices of segments are no more than `n_samples`).
        masking: How segments are removed: a name that [`make`][] knows, such as "layer" or "grey"; a masking
            of `model`; or a function from the network to a masking.
        segments: How a picture is cut: a name such as "slic", "slic:100" or "patches:16"; an integer map
            `(H, W)` over the cropped picture; or a function from the cropped picture to such a map.
        n_samples: How many choices of segments the network answers; "auto" asks until the scores' standard
            error is at most a quarter of their spread, 2000 at the most.
        batch_size: How many of them at once; "auto" takes what suits the size of the picture. It is halved
            whenever memory runs out, and changes scores by rounding only.
        precision: "float32", "float64" (a network in another precision is copied), "bfloat16" (by autocast),
            or "auto": the network's own, but bfloat16 where the device computes in it and the first answers
            show that the scores survive it.
        device: Where a named model goes; "auto" takes CUDA, then MPS, then the processor. The network itself,
            where it is passed, stays where it is.
        sampling: How samples depend on each other: "plain", independent as in the papers of LIME and KernelSHAP;
            "paired", each with its complement; "stratified" by size; "orthogonal" (LIME only), in balanced
            blocks; or "auto", the one whose scores settle first: orthogonal for LIME, stratified for KernelSHAP.
        seed: What the samples are drawn from. The global random state is neither read nor changed.
        preprocess: How pictures become inputs; that of the named model, or the usual ImageNet one, if None.
        labels: A name for each class; those of the named model, ImageNet's for 1000 classes, or else numbers
            if None.
        progress: Whether a bar on stderr shows how far it is.

    Raises:
        InputError: If an argument is none of these, or they do not fit each other.

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
        self.n_samples = (
            n_samples if n_samples == "auto" else check_integer(n_samples, "n_samples", least=2, otherwise="'auto'")
        )
        self.batch_size = (
            batch_size if batch_size == "auto" else check_integer(batch_size, "batch_size", least=1, otherwise="'auto'")
        )
        self.seed = check_integer(seed, "seed", least=0)
        self.progress = bool(progress)
        self.segments = segments
        if preprocess is not None and not isinstance(preprocess, Preprocess):
            raise InputError(
                f"preprocess must be a Preprocess, but {type(preprocess).__name__} came: write Preprocess(...)."
            )
        fixed = masking if isinstance(masking, Masking) else None
        self._subject = find_subject(model, fixed, precision, device)
        self.preprocess = preprocess or self._subject.preprocess
        self.labels = tuple(map(str, labels)) if labels is not None else self._subject.labels
        self.masking = fixed or _masking(masking, self._subject.model, self.preprocess)

    def explain(self, img: object, targets: int | str | Sequence[int | str] | None = None, top: int = 1) -> Explanation:
        """Explain what the network sees in one picture.

        Args:
            img: A path, a PIL image, an array, or a tensor `(3, H, W)` in [0, 1].
            targets: What to explain, by index or name, all from the same forward passes; the likeliest
                classes if None.
            top: How many of the likeliest classes, where `targets` is None.

        Returns:
            The explanation, a row of scores for each target.

        Raises:
            InputError: If there is no picture in `img`, the segments do not fit it, or a target is no class.
        """
        tensor, picture = self.preprocess(img)
        segments = segment(picture, self.segments)
        subject = self._subject
        query = Query(self.masking, tensor.to(subject.device, subject.dtype), segments, subject.autocast)
        whole = query.whole()
        names = self._names(len(whole))
        rows = _chosen(whole, names, targets, top)
        batch = (
            usual_batch(picture.shape[0], picture.shape[1], subject.device)
            if self.batch_size == "auto"
            else int(self.batch_size)
        )
        fit, count, batch = self._fit(query, whole[rows], rows, int(segments.max()) + 1, batch)
        return Explanation(
            picture=picture,
            segments=segments,
            scores=fit.scores,
            targets=tuple(rows),
            labels=tuple(names[row] for row in rows),
            probabilities=whole[rows],
            intercept=fit.intercept,
            r2=fit.r2,
            settings=self._settings(count, batch, query.autocast),
        )

    def _fit(self, query: Query, whole: Floats, rows: list[int], segments: int, batch: int) -> tuple[Fit, int, int]:
        """The surrogate, the number of samples it took, and the batch size that fitted."""
        method = METHODS[self.method]
        most = CAP if self.n_samples == "auto" else int(self.n_samples)
        samples = method.draw(segments, most, np.random.default_rng(self.seed), self.sampling)
        # Where there are fewer samples than wanted, they are all that there can be, and the scores exact.
        rounds = ROUNDS if self.n_samples == "auto" and len(samples.keep) == CAP else (len(samples.keep),)
        # The first sample keeps everything: the prediction itself, which is known already.
        answers = whole[None]
        with _bar(len(samples.keep) - 1, self.progress) as advance:
            if self._subject.chooses and len(samples.keep) >= _ENOUGH:
                first = query.settle(samples.keep[1 : 1 + _TRIED], rows, batch, advance)
                answers, batch = np.concatenate([answers, first.probabilities]), first.batch_size
            for count in rounds:
                more = query.answers(samples.keep[len(answers) : count], rows, batch, advance)
                answers, batch = np.concatenate([answers, more.probabilities]), more.batch_size
                part = Samples(samples.keep[:count], samples.weights[:count])
                fit = method.fit(part, answers)
                if count == rounds[-1] or settled(
                    fit.scores, standard_errors(method.regression(part, answers), part.keep)
                ):
                    break
        return fit, count if self.n_samples == "auto" else most, batch

    def _names(self, classes: int) -> tuple[str, ...]:
        """A name for each of so many classes."""
        if self.labels:
            if len(self.labels) != classes:
                raise InputError(
                    f"labels must name each of the model's {classes} classes, but {len(self.labels)} came: "
                    "pass labels=[...] in the order of the logits."
                )
            return self.labels
        if classes == 1000:
            try:
                return imagenet_labels()
            except InputError:
                pass  # names come with an optional package, and are no reason to fail
        return tuple(map(str, range(classes)))

    def _settings(self, n_samples: int, batch_size: int, rounded: bool) -> Settings:
        subject = self._subject
        cut = self.segments
        return Settings(
            model=subject.name,
            method=self.method,
            masking=self.masking.name,
            segments=cut if isinstance(cut, str) else _called(cut) if callable(cut) else "array",
            n_samples=n_samples,
            seed=self.seed,
            batch_size=batch_size,
            precision="bfloat16" if rounded else subject.precision,
            device=str(subject.device),
            preprocess=self.preprocess,
            sampling=self.sampling,
            versions=f"xai-layermask {__version__}, torch {torch.__version__}",
        )


def _called(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _masking(masking: object, model: nn.Module, preprocess: Preprocess) -> Masking:
    if isinstance(masking, str):
        return make(masking, model, preprocess)
    made = masking(model) if callable(masking) else masking
    if not isinstance(made, Masking) or made.model is not model:
        raise InputError(
            "masking must be a name, a masking of the model, or a function from the model to one, but "
            f"{type(made).__name__} came: write for example 'layer' or LayerMask."
        )
    return made


def _chosen(whole: Floats, names: Sequence[str], targets: Any, top: int) -> list[int]:
    """The classes to explain."""
    if targets is None:
        check_integer(top, "top", least=1, most=len(whole))
        return [int(row) for row in np.argsort(-whole, kind="stable")[:top]]
    if isinstance(targets, np.ndarray | torch.Tensor):
        targets = targets.tolist()
    if isinstance(targets, str | int | np.integer):
        targets = [targets]
    if not isinstance(targets, Sequence) or not targets:
        raise InputError(
            f"targets must be class indices or names, but {targets!r} came: "
            "give at least one, or None for the likeliest."
        )
    rows = [class_index(names, target) for target in targets]
    if len(set(rows)) < len(rows):
        raise InputError(f"targets must be different classes, but {targets!r} came: name each of them once.")
    return rows


@contextmanager
def _bar(total: int, shown: bool) -> Iterator[Callable[[int], object]]:
    if not shown:
        yield lambda done: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc="explaining", unit="sample", leave=False) as bar:
        yield bar.update
