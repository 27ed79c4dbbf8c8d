"""`LayerMaskExplainer`: explain predictions by removing segments of the picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..catalog import ALIASES, METHODS, check_estimator, check_fit, check_sampling
from ..errors import InputError, check_integer, choose
from ..images import Preprocess, Transform, as_preprocess
from ..maskings import Masking
from ..models import Classifier, Output, as_labels, as_output, count_classes
from .arguments import as_masking, auto_or_integer, progress_bar
from .channels import ChannelScores, as_groups, group_map, score_channels
from .convergence import MAX_SAMPLES
from .explanation import Explanation
from .loaded import load_model
from .many import Explained, explain_together
from .opening import Opener
from .pending import Pending

__all__ = ["LayerMaskExplainer"]


class LayerMaskExplainer(Opener):
    """Explain the predictions of a vision network by removing segments of the picture.

    Segments are removed at random, by layer masking unless another masking is given, and a linear surrogate is fitted
    to the network's predictions. The network is never changed, trained or moved.

    Args:
        model: A name that [`load`][xai_layermask.models] knows, a [`Classifier`][], or the network: images
            `(N, 3, h, w)` to logits `(N, classes)`, or to whatever `output` names.
        method: "lime" (weighted ridge regression), "shap" (KernelSHAP; exact if all `2^K` coalitions are at most
            `n_samples`), "rise" (random masks of smooth shape, for a map of pixels), "occlusion" (a sliding window), or
            "ablation" (each segment is removed once).
        masking: How segments are removed: a name that [`make`][] knows, such as "layer" or "grey"; a masking of
            `model`; or a function from the network to a masking.
        segments: How the picture is segmented: a name such as "slic", "slic:100" or "patches:16"; a map `(H, W)` of
            integers, or of booleans for a region and the rest, over the photograph or over its cropped part (if both
            have its size, over the part); or a function from the cropped picture to a map of it. "auto" is the method's
            own: "slic:64", fine patches for RISE and occlusion.
        n_samples: Number of coalitions to evaluate; "auto" stops when the scores are reliable: when they are expected
            to correlate by 0.95 with those of infinitely many samples, or at 1000 at the latest. Occlusion and ablation
            take no number.
        batch_size: Coalitions per forward pass; "auto" depends on the picture's size. It is halved when memory runs
            out, and changes scores by rounding only.
        precision: "float32", "float64" (a network in another precision is copied), "bfloat16" or "float16" (autocast),
            or "auto": the network's own, or the 16-bit type in which the device is fast if the first predictions
            show that the scores are not affected.
        device: The device of a named model; "auto" is CUDA, then MPS, then the CPU. A network that is passed stays
            where it is.
        seed: Seed of the samples. The global random state is neither read nor changed.
        preprocess: From pictures to inputs: a `Preprocess`, or any callable that [`Transform`][] understands, such as
            a `Compose` of torchvision; by default that of the named model, or ImageNet's.
        labels: A name for each class in order, or a mapping from their indices, such as `model.config.id2label`; by
            default those of the named model, or numbers. A single logit is that of the second of two labels.
        progress: Whether to show a progress bar on stderr; or a function that is called with the number of samples
            done and their total (with "auto", its maximum), and may raise to end the explanation.
        sampling: How samples depend on each other: "plain" (independent, as in the papers), "paired" (with
            complements), "stratified" (by size), "orthogonal" (balanced blocks, LIME only), "leverage" (by size,
            with complements, KernelSHAP only), or "auto": orthogonal for LIME, stratified for KernelSHAP, plain for
            RISE.
        estimator: "spatial" (a prior that nearby segments score alike, as far as the samples bear it out), or the
            published one: "ridge" for LIME, "least_squares" for KernelSHAP, "mean" for the others; "auto" is spatial
            where the method has it.
        output: What is explained: "probability", "sigmoid" (independent classes), "logit", "log_probability",
            "log_odds", "value" (the model's number as it is), "auto", which decides by the model's output and says so
            in `explanation.output`; or an [`Output`][], which also selects a tensor of the model's output.
        window: Side in pixels of what RISE and occlusion remove at once; "auto" is a seventh of the picture.

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
        segments: str | npt.ArrayLike | Callable[[npt.NDArray[np.uint8]], object] = "auto",
        n_samples: int | str = "auto",
        batch_size: int | str = "auto",
        precision: str = "auto",
        device: str | torch.device = "auto",
        seed: int = 0,
        preprocess: Preprocess | Transform | Callable[..., Any] | None = None,
        labels: Sequence[str] | Mapping[Any, str] | None = None,
        progress: bool | Callable[[int, int], object] = True,
        sampling: str = "auto",
        estimator: str = "auto",
        output: str | Output = "auto",
        window: int | str = "auto",
    ) -> None:
        self.method = choose(method, METHODS, "method", ALIASES)
        check_fit(method, n_samples, window)
        self.window = auto_or_integer(window, "window", 2)
        self.sampling = check_sampling(sampling, method)
        self.estimator = check_estimator(estimator, method)
        self.n_samples = auto_or_integer(n_samples, "n_samples", 2)
        self.batch_size = auto_or_integer(batch_size, "batch_size", 1)
        self.seed = check_integer(seed, "seed", 0)
        self.progress = progress if callable(progress) else bool(progress)
        automatic = isinstance(segments, str) and segments == "auto"
        self.segments = METHODS[method].segments if automatic else segments
        given = None if preprocess is None else as_preprocess(preprocess)
        own = masking if isinstance(masking, Masking) else None
        self._loaded = load_model(model, own, precision, device)
        self.output = as_output(output).for_model(self._loaded.classifier.model)
        self.preprocess = given or as_preprocess(self._loaded.classifier.preprocess)
        self.labels = as_labels(labels) if labels is not None else self._loaded.classifier.labels
        self.masking = own or as_masking(masking, self._loaded.network, self.preprocess)

    def explain(
        self,
        img: object,
        targets: Any = None,
        top: int = 1,
        valid: npt.ArrayLike | None = None,
        additional_forward_args: Any = None,
        channels: Sequence[int] | None = None,
    ) -> Explanation:
        """Explain the predictions for one picture.

        Args:
            img: A path, a PIL image, an array, or a tensor `(3, H, W)` in [0, 1]; for a `Preprocess` of a raster an
                array of its channels. Pixels that are NaN, or masked in a masked array, are absent from the start.
            targets: One target or several, all explained by the same forward passes: a class by index or name; in a
                map, `(class, y, x)`, `(class, mask)`, or a class averaged over the region where it is predicted; a
                vector to which an embedding is compared; or a function of the output. None for the `top` classes.
            top: Number of most probable classes if `targets` is None.
            valid: Which pixels of the photograph are valid, `(H, W)`, bool or 0/1; the others are absent from the
                start.
            additional_forward_args: Further inputs of the model, a tuple or a single one, as the masking takes them.
            channels: Indices of channels: segments are removed in these only, and the others stay. None for all.

        Returns:
            The explanation, with a row of scores for each target. Missing pixels are its last segment, with score 0.

        Raises:
            InputError: If `img` is not a picture, the segments do not fit it, or a target does not fit the output.
        """
        pending = self._open(img, targets, top, valid, additional_forward_args, channels)
        predictor, estimation, chosen = pending.predictor, pending.estimation, pending.targets
        with progress_bar(estimation.total - 1, self.progress) as advance:
            self._try_autocast(pending, advance)
            while len(estimation.wanted):
                more = predictor.predict(estimation.wanted, chosen, pending.batch_size, advance)
                estimation.add(more.values)
                pending.batch_size = more.batch_size
        return self._close(pending)

    def count_classes(self, img: object, valid: npt.ArrayLike | None = None) -> int:
        """The largest `top` for a picture: the number of the model's outputs, or of the classes in a map."""
        shown = self.preprocess.prepare(img, valid)
        ids = np.zeros(shown.picture.shape[:2], np.int64)
        whole = self._make_predictor(shown, ids, self.output).whole
        return count_classes(whole.values, whole.regions)

    def explain_channels(
        self,
        img: object,
        groups: Mapping[str, Sequence[int]] | None = None,
        targets: Any = None,
        top: int = 1,
        valid: npt.ArrayLike | None = None,
        additional_forward_args: Any = None,
    ) -> ChannelScores:
        """Explain the predictions for one picture by its channels, removed everywhere: which bands count.

        Args:
            img: As [`explain`][] takes it.
            groups: Channels by name, such as `{"visible": [0, 1, 2], "infrared": [3]}`; if None, each by itself.
            targets: As `explain` takes them.
            top: As above.
            valid: As above.
            additional_forward_args: As above.

        Returns:
            Shapley values of the groups, exact if all `2^G` coalitions are at most `n_samples` (1000 if "auto").

        Raises:
            InputError: If a channel is not in exactly one group, or an argument does not fit the picture.
        """
        shown = self.preprocess.prepare(img, valid)
        named = as_groups(groups, shown.tensor.shape[1], self.preprocess)
        ids = group_map(named, shown.picture.shape[:2])
        predictor, chosen = self._predictor(shown, ids, targets, top, additional_forward_args)
        most = MAX_SAMPLES if self.n_samples == "auto" else int(self.n_samples)
        with progress_bar(min(2 ** len(named), most), self.progress) as advance:
            return score_channels(predictor, chosen, named, most, self.seed, self._batch(shown), advance)

    def explain_many(
        self, pictures: Iterable[object] | Tensor, targets: Any = None, top: int = 1, strict: bool = False
    ) -> Iterator[Explained]:
        """Explain many pictures, one after another, with full batches: the model is captured once.

        Explanations are those of [`explain`][], up to rounding. Pictures are read as they are needed, and at most a
        batch of them is in memory.

        Args:
            pictures: Paths, or anything that [`explain`][] takes; or a tensor or array `(N, ...)` of pictures.
            targets: One target or several, for all pictures; None for the `top` classes of each.
            top: Number of most probable classes if `targets` is None.
            strict: Whether a picture that cannot be explained is an error. Otherwise its problem is yielded.

        Yields:
            For each picture in its order: its index, source, explanation and problem.

        Raises:
            InputError: If a picture cannot be explained and `strict`.

        Example:
            >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            >>> explainer = LayerMaskExplainer(
            ...     model, segments="patches:8", n_samples=20, preprocess=Preprocess(32, 32), progress=False
            ... )
            >>> for one in explainer.explain_many([torch.rand(3, 32, 32), "missing.jpg"]):
            ...     print(one.index, one.source, one.problem or one.explanation.scores.shape)
            0 0 (1, 16)
            1 missing.jpg expected an existing file for image, got 'missing.jpg'
        """
        named = ((str(one) if isinstance(one, str | os.PathLike) else str(i), one) for i, one in enumerate(pictures))

        def opened(picture: object) -> Pending:
            pending = self._open(picture, targets, top)
            self._try_autocast(pending, lambda done: None)
            return pending

        total = len(pictures) if isinstance(pictures, Sized) else None
        with progress_bar(total, self.progress, "picture") as advance:
            for one in explain_together(named, opened, self._close):
                if one.problem and strict:
                    raise InputError(f"{one.source}: {one.problem}")
                advance(1)
                yield one
