"""`LayerMaskImageExplainer`: the explainer of the `lime` package with layer masking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from lime.lime_base import LimeBase
from lime.lime_image import ImageExplanation, LimeImageExplainer
from torch import nn

from ..engine.batching import batched_predict
from ..errors import InputError, check_integer, choose
from ..images import Preprocess
from ..maskings import LayerMask, Masking
from ..models import Output, as_output
from ..progress import progress_bar as bar_of
from ..segments import Segments, presence_of, quickshift
from .pictures import How, Picture, as_rgba, segmentation, shown_raster, split_alpha

__all__ = ["LayerMaskImageExplainer"]

_SELECTIONS = ("auto", "none", "forward_selection", "highest_weights", "lasso_path")
Probabilities = npt.NDArray[np.floating[Any]]


class LayerMaskImageExplainer(LimeImageExplainer):  # type: ignore[misc]
    """`LimeImageExplainer` with layer masking: the same arguments and the same `ImageExplanation`.

    The masking receives the presence of segments, where stock `lime` copies and paints pictures. Segments may have any
    ids; they are renumbered to 0..n-1. `score` and `local_pred` of the explanation are dicts with one value for each
    label, and its `image` is RGB.

    Args:
        kernel_width: Width of the kernel that weighs a sample by its distance from the whole image.
        kernel: Maps distances and kernel width to weights; the exponential kernel if None.
        verbose: Whether `lime` prints the predictions of the surrogate.
        feature_selection: "auto", "none", "forward_selection", "highest_weights" or "lasso_path".
        random_state: The seed of each call; or a `numpy.random.RandomState` that continues from call to call; or None
            for other samples in each call. The global random state is left alone.
        preprocess: How pictures become the model's inputs, of which only the normalisation is used; by default the
            masking's own, or ImageNet's.
        output: What is explained of a masking or a network, as [`Output`][] takes it; "value" for a regression.

    Raises:
        InputError: If `feature_selection`, `random_state` or `output` is invalid.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
        >>> explanation = LayerMaskImageExplainer().explain_instance(
        ...     picture, LayerMask(model), top_labels=2, num_samples=20, segmentation_fn="patches:8",
        ...     progress_bar=False)
        >>> shown, mask = explanation.get_image_and_mask(explanation.top_labels[0], positive_only=False)
        >>> shown.shape, mask.shape, len(explanation.score)
        ((16, 16, 3), (16, 16), 2)
    """

    def __init__(
        self,
        kernel_width: float = 0.25,
        kernel: Callable[..., Any] | None = None,
        verbose: bool = False,
        feature_selection: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        preprocess: Preprocess | None = None,
        output: str | Output = "auto",
    ) -> None:
        choose(feature_selection, _SELECTIONS, "feature_selection")
        self._seed = random_state
        super().__init__(kernel_width, kernel, verbose, feature_selection, _random_state(random_state))
        self.preprocess = preprocess
        self.output = as_output(output)

    def explain_instance(
        self,
        image: Picture,
        classifier_fn: Callable[..., Any],
        labels: Sequence[int] = (1,),
        hide_color: float | None = None,
        top_labels: int | None = 5,
        num_features: int = 100000,
        num_samples: int = 1000,
        batch_size: int = 10,
        segmentation_fn: How | None = None,
        distance_metric: str = "cosine",
        model_regressor: Any = None,
        random_seed: int | None = None,
        progress_bar: bool = True,
        additional_forward_args: Any = None,
    ) -> ImageExplanation:
        """Explain the most probable classes of a picture.

        Args:
            image: `(H, W, 3)`, of the size that the model expects, uint8 or floats from 0 to 1; also grey `(H, W)`, and
                RGBA, whose transparent pixels stay absent. With a preprocessing of rasters, an array of its channels,
                whose NaN and masked pixels stay absent.
            classifier_fn: A masking such as `LayerMask(model)`, or its `predict_proba`; a network, which is layer
                masked; or a function from RGBA pictures `(N, H, W, 4)`, of the type of `image`, to probabilities
                `(N, K)`.
            labels: The classes to explain if `top_labels` is None or 0.
            hide_color: None or 0, since absent segments have no colour.
            top_labels: Number of most probable classes to explain.
            num_features: Maximum number of segments in an explanation.
            num_samples: Number of samples.
            batch_size: Samples per forward pass; halved when memory runs out.
            segmentation_fn: As `xai_layermask.segments.segment` takes it; quickshift with `lime`'s parameters if None.
            distance_metric: A distance of scikit-learn.
            model_regressor: A scikit-learn regressor; `Ridge(alpha=1)` if None.
            random_seed: Seed of this call instead of the explainer's `random_state`.
            progress_bar: Whether to show a progress bar.
            additional_forward_args: Further inputs of a network or masking, a tuple or a single one.

        Returns:
            The explanation of each label.

        Raises:
            InputError: If an argument is invalid.
        """
        raster = self._raster(classifier_fn)
        colours, present = split_alpha(image) if raster is None else shown_raster(image, raster)
        if hide_color is not None and (np.ndim(hide_color) or hide_color != 0):
            raise InputError.expected(
                "None or 0 for hide_color, since layer masking removes segments",
                f"an array {np.shape(hide_color)}" if np.size(hide_color) > 3 else repr(hide_color),
                "pass Fill(model, (r, g, b)) as classifier_fn to paint them",
            )
        check_integer(num_samples, "num_samples", 2)
        check_integer(batch_size, "batch_size", 1)
        check_integer(num_features, "num_features", 1)
        check_integer(top_labels or 0, "top_labels", 0)
        state = _random_state(self._seed if random_seed is None else random_seed)
        how = partial(quickshift, kernel_size=4) if segmentation_fn is None else segmentation_fn
        segments = segmentation(how)(colours)
        picture = as_rgba(colours, present) if raster is None else image
        predict = self._predictor(classifier_fn, picture, colours, present, additional_forward_args)
        size = int(segments.max()) + 1
        data = state.randint(0, 2, num_samples * size).reshape(num_samples, size)  # as stock lime draws
        data[0] = 1
        predictions = _predict(predict, segments, data, batch_size, progress_bar)
        explanation = ImageExplanation(colours, segments)
        explanation.score, explanation.local_pred = {}, {}
        explained = labels
        if top_labels:
            explained = explanation.top_labels = np.argsort(predictions[0])[-top_labels:][::-1].tolist()
        distances = _distances(data, distance_metric)
        base = LimeBase(self.base.kernel_fn, self.base.verbose, random_state=state)
        for label in explained:
            (
                explanation.intercept[label],
                explanation.local_exp[label],
                explanation.score[label],
                explanation.local_pred[label],
            ) = base.explain_instance_with_data(
                data, predictions, distances, check_integer(label, "labels", 0, predictions.shape[1] - 1), num_features,
                model_regressor=model_regressor, feature_selection=self.feature_selection,
            )
        return explanation

    def _raster(self, classifier_fn: Any) -> Preprocess | None:
        """The preprocessing, if it is one of rasters."""
        chosen = self.preprocess or getattr(_owner(classifier_fn), "preprocess", None)
        return chosen if isinstance(chosen, Preprocess) and chosen.is_raster else None

    def _predictor(
        self,
        classifier_fn: Callable[..., Any],
        picture: Picture,
        colours: Picture,
        present: npt.NDArray[np.bool_],
        additional: Any,
    ) -> Callable[[Any], Any]:
        """A function from presence, bool `(N, 1, H, W)`, to probabilities `(N, K)`."""
        preprocess = self.preprocess
        owner: Any = _owner(classifier_fn)
        if isinstance(owner, nn.Module):
            masking = owner if isinstance(owner, Masking) else LayerMask(owner)
            return lambda presence: masking.predict_proba([picture], presence, preprocess, additional, self.output)
        if not callable(owner):
            kind = type(owner).__name__
            raise InputError.expected("a masking, a network or a function for classifier_fn", kind)
        own = preprocess is not None or self.output != Output()
        for name, given in (("preprocess and no output", own), ("additional_forward_args", additional is not None)):
            if given:
                wanted = f"no {name} for a function of pictures"
                raise InputError.expected(wanted, "one", "pass the masking as classifier_fn")
        return lambda presence: classifier_fn(
            np.stack([as_rgba(colours, present & mask[0]) for mask in presence.numpy()])
        )


def _predict(
    predict: Callable[[Any], Any], segments: Segments, data: npt.NDArray[Any], batch_size: int, progress_bar: bool
) -> Probabilities:
    def predict_batch(rows: npt.NDArray[Any]) -> Probabilities:
        found = np.asarray(predict(presence_of(segments, rows)))
        if found.ndim != 2 or len(found) != len(rows):
            raise InputError.expected(f"probabilities ({len(rows)}, K) from classifier_fn", f"shape {found.shape}")
        return found

    with bar_of(len(data), "explaining", progress_bar, leave=True) as progress:
        return batched_predict(predict_batch, data, batch_size, progress.update)[0]


def _owner(classifier_fn: Any) -> Any:
    """The masking whose `predict_proba` it is; anything else as it is."""
    owner = getattr(classifier_fn, "__self__", None)
    return owner if isinstance(owner, Masking) and classifier_fn == owner.predict_proba else classifier_fn


def _random_state(seed: int | np.random.RandomState | None) -> np.random.RandomState:
    if seed is None or isinstance(seed, np.random.RandomState):
        return np.random.RandomState() if seed is None else seed
    return np.random.RandomState(check_integer(seed, "random_seed", 0, 2**32 - 1))


def _distances(data: npt.NDArray[Any], metric: str) -> npt.NDArray[np.floating[Any]]:
    from sklearn.metrics import pairwise_distances

    try:
        distances: npt.NDArray[np.floating[Any]] = pairwise_distances(data, data[:1], metric=metric).ravel()
    except (ValueError, TypeError) as error:
        raise InputError.expected("a distance of scikit-learn for distance_metric", repr(metric)) from error
    return distances
