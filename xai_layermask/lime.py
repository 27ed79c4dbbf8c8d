"""The `lime` package, with layer masking in the place of a colour.

`lime`'s own explainer takes `as_rgba(picture)`, `masked.predict_proba` and `hide_color=0` as it is.
[`LayerMaskImageExplainer`][] is called in the same way with an ordinary picture, and mends what is awkward
there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from lime.lime_base import LimeBase
from lime.lime_image import ImageExplanation, LimeImageExplainer
from torch import nn

from .engine.runtime import batched_predict
from .errors import InputError, check_integer, choose
from .images import Preprocess
from .maskings import LayerMask, Masking, as_pictures
from .segments import Segments, presence_of, quickshift, segment

__all__ = ["LayerMaskImageExplainer", "as_rgba", "segmentation"]

_SELECTIONS = ("auto", "none", "forward_selection", "highest_weights", "lasso_path")
Picture = npt.NDArray[Any]
How = str | npt.ArrayLike | Callable[[npt.NDArray[np.uint8]], object]
Probabilities = npt.NDArray[np.floating[Any]]


def as_rgba(picture: Picture, presence: npt.ArrayLike | None = None) -> Picture:
    """Give a picture an alpha channel, so that stock `lime` can hide segments by making them transparent.

    Args:
        picture: `(H, W)`, `(H, W, 3)` or `(H, W, 4)`, uint8 or floats from 0 to 1.
        presence: `(H, W)`, which pixels are there; all if None.

    Returns:
        `(H, W, 4)` of the same type.

    Raises:
        InputError: If it is no such picture, or presence has another shape.

    Example:
        >>> as_rgba(np.zeros((2, 2, 3), np.uint8))[0, 0]
        array([  0,   0,   0, 255], dtype=uint8)
    """
    colours, shown = _checked(picture)
    if presence is not None:
        extra = np.asarray(presence)
        if extra.shape != shown.shape:
            raise InputError(
                f"presence must have the shape {shown.shape}, but {extra.shape} came: give one for each pixel."
            )
        shown = shown & (extra != 0)
    opaque = 255 if colours.dtype == np.uint8 else 1
    return np.concatenate([colours, (shown * opaque).astype(colours.dtype)[..., None]], axis=2)


def segmentation(how: How = "quickshift") -> Callable[[Picture], Segments]:
    """Make a `segmentation_fn` for stock `lime`: it takes RGB and RGBA, and its ids are 0..n-1.

    Args:
        how: As `xai_layermask.segments.segment` takes it: a name such as "slic:100", a map, or a function of
            an RGB picture.

    Returns:
        A function from a picture `(H, W, 3)` or `(H, W, 4)` to int64 `(H, W)`.

    Example:
        >>> segmentation("patches:2")(np.zeros((2, 4, 4), np.uint8))
        array([[0, 0, 1, 1],
               [0, 0, 1, 1]])
    """

    def segments_of(picture: Picture) -> Segments:
        return segment(as_pictures(_checked(picture)[0][None])[0][0], how)

    return segments_of


class LayerMaskImageExplainer(LimeImageExplainer):  # type: ignore[misc]
    """`LimeImageExplainer` with layer masking: the same arguments and the same `ImageExplanation`.

    It hands the presence of segments to the masking, where stock `lime` copies and paints pictures. Segments
    may have any ids: they become 0..n-1. Every call begins with the same seed. `score` and `local_pred` of
    the explanation are dicts with one value for each label, and its `image` is RGB.

    Args:
        kernel_width: Where the weight of a sample falls off with its distance from the whole image.
        kernel: From distances and kernel width to weights; the exponential kernel if None.
        verbose: Whether `lime` prints what the surrogate predicts.
        feature_selection: "auto", "none", "forward_selection", "highest_weights" or "lasso_path".
        random_state: The seed that every call begins with; or a `numpy.random.RandomState`, which goes on
            from call to call; or None for other samples in every call. The global random state is left alone.
        preprocess: How pictures become inputs of the model. If None, the masking's own if it has one;
            otherwise the usual ImageNet normalisation.

    Raises:
        InputError: If `feature_selection` is none of these.

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
    ) -> None:
        choose(feature_selection, _SELECTIONS, "feature_selection")
        self._seed = random_state
        super().__init__(kernel_width, kernel, verbose, feature_selection, _random(random_state))
        self.preprocess = preprocess

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
    ) -> ImageExplanation:
        """Explain the most probable classes of a picture.

        Args:
            image: `(H, W, 3)`, of the size that the model wants, uint8 or floats from 0 to 1. Grey `(H, W)`
                is taken as well, and RGBA, where what is transparent stays absent.
            classifier_fn: A masking such as `LayerMask(model)`, or its `predict_proba`; or a network, which
                is then layer masked anew in each call; or any function from RGBA pictures `(N, H, W, 4)`, of
                the same type as `image`, to probabilities `(N, K)`.
            labels: The classes to explain, where `top_labels` is None or 0.
            hide_color: Nothing but None or 0: absent segments have no colour.
            top_labels: How many of the most probable classes to explain.
            num_features: The most segments in an explanation.
            num_samples: How many samples to fit the surrogates to.
            batch_size: How many go through the model at once.
            segmentation_fn: As `xai_layermask.segments.segment` takes it, so names are fine. If None,
                quickshift with `lime`'s settings.
            distance_metric: Any distance that scikit-learn knows.
            model_regressor: A scikit-learn regressor; `Ridge(alpha=1)` if None.
            random_seed: The seed of this call, in the place of the explainer's `random_state`.
            progress_bar: Whether to show one.

        Returns:
            The explanation of each label.

        Raises:
            InputError: If an argument does not fit.
        """
        colours, shown = _checked(image)
        if hide_color not in (None, 0):
            raise InputError(
                f"hide_color must be None or 0, since layer masking removes segments, but {hide_color!r} "
                "came: give Fill(model, (r, g, b)) as classifier_fn to paint them."
            )
        for what, value, least in (
            ("num_samples", num_samples, 2), ("batch_size", batch_size, 1),
            ("num_features", num_features, 1), ("top_labels", top_labels or 0, 0),
        ):
            check_integer(value, what, least)
        state = _random(self._seed if random_seed is None else random_seed)
        how = partial(quickshift, kernel_size=4) if segmentation_fn is None else segmentation_fn
        segments = segmentation(how)(colours)
        ask = self._classifier(classifier_fn, colours, shown)
        size = int(segments.max()) + 1
        data = state.randint(0, 2, num_samples * size).reshape(num_samples, size)
        data[0] = 1
        answers = self._answers(ask, segments, data, batch_size, progress_bar)
        explanation = ImageExplanation(colours, segments)
        explanation.score, explanation.local_pred = {}, {}
        top = labels
        if top_labels:
            top = explanation.top_labels = np.argsort(answers[0])[-top_labels:][::-1].tolist()
        distances = _distances(data, distance_metric)
        base = LimeBase(self.base.kernel_fn, self.base.verbose, random_state=state)
        for label in top:
            check_integer(label, "labels", least=0, most=answers.shape[1] - 1)
            (
                explanation.intercept[label],
                explanation.local_exp[label],
                explanation.score[label],
                explanation.local_pred[label],
            ) = base.explain_instance_with_data(
                data, answers, distances, label, num_features,
                model_regressor=model_regressor, feature_selection=self.feature_selection,
            )
        return explanation

    def _classifier(
        self, classifier_fn: Callable[..., Any], colours: Picture, shown: npt.NDArray[np.bool_]
    ) -> Callable[[Any], Probabilities]:
        """A function from presence, bool `(N, 1, H, W)`, to probabilities `(N, K)`."""
        preprocess = self.preprocess
        owner = getattr(classifier_fn, "__self__", None)
        if isinstance(owner, Masking) and classifier_fn == owner.predict_proba:
            classifier_fn = owner
        if isinstance(classifier_fn, nn.Module):
            masking = classifier_fn if isinstance(classifier_fn, Masking) else LayerMask(classifier_fn)
            picture = as_rgba(colours, shown)[None]
            return lambda presence: masking.predict_proba(picture, presence, preprocess)
        if not callable(classifier_fn):
            raise InputError(
                f"classifier_fn must be a masking, a network or a function, but "
                f"{type(classifier_fn).__name__} came: give LayerMask(model)."
            )
        if preprocess is not None:
            raise InputError(
                "preprocess must be left out where classifier_fn is a function of pictures, but one came: "
                "give the masking itself as classifier_fn."
            )
        return lambda presence: classifier_fn(
            np.stack([as_rgba(colours, shown & present[0]) for present in presence.numpy()])
        )

    def _answers(
        self, ask: Callable[[Any], Probabilities], segments: Segments, data: npt.NDArray[Any], batch_size:
        int, bar: bool
    ) -> Probabilities:
        from tqdm.auto import tqdm

        def predict(rows: npt.NDArray[Any]) -> Probabilities:
            answer = np.asarray(ask(presence_of(segments, rows)))
            if answer.ndim != 2 or len(answer) != len(rows):
                raise InputError.expected(
                    f"probabilities ({len(rows)}, K) from classifier_fn", answer.shape, "return a row for each picture"
                )
            return answer

        with tqdm(total=len(data), disable=not bar) as progress:
            return batched_predict(predict, data, batch_size, progress.update)[0]


def _checked(picture: Picture) -> tuple[Picture, npt.NDArray[np.bool_]]:
    """Colours `(H, W, 3)` in their own type, and presence `(H, W)`."""
    array = np.asarray(picture)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (3, 4):
        raise InputError(
            f"image must be a picture (H, W, 3), (H, W, 4) or (H, W), but {array.dtype} {array.shape} came: "
            "give one picture with channels last."
        )
    shown = as_pictures(array[None])[1]  # which checks type and range
    return array[..., :3], shown[0, 0].numpy()


def _random(seed: int | np.random.RandomState | None) -> np.random.RandomState:
    if isinstance(seed, np.random.RandomState):
        return seed
    if seed is not None:
        check_integer(seed, "random_seed", least=0, most=2**32 - 1)
    return np.random.RandomState(seed)


def _distances(data: npt.NDArray[Any], metric: str) -> npt.NDArray[np.floating[Any]]:
    from sklearn.metrics import pairwise_distances

    try:
        distances: npt.NDArray[np.floating[Any]] = pairwise_distances(data, data[:1], metric=metric).ravel()
    except (ValueError, TypeError) as error:
        raise InputError(
            f"distance_metric must be one that scikit-learn knows, but {metric!r} came: use 'cosine'."
        ) from error
    return distances
