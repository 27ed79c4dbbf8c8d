"""How the explained predictions change while segments are removed in the order of their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engine.batching import auto_batch_size
from ..engine.runtime import first_parameter
from ..errors import InputError
from ..maskings import make
from ..metrics import Removal, removal
from .explainer import LayerMaskExplainer
from .explanation import Explanation

__all__ = ["can_remove", "removals"]


def can_remove(explanations: Sequence[Explanation]) -> bool:
    """Whether [`removals`][] is defined: for classes of a softmax, without missing pixels and further inputs.

    The segments must be removed in all channels, what the model's numbers are must not have been said, and classes in
    maps have no curves.
    """
    return all(map(_is_plain, explanations))


def _is_plain(explanation: Explanation) -> bool:
    made = explanation.settings
    return (
        min(explanation.targets) >= 0
        and bool(explanation.played.all())
        and made.output not in ("sigmoid", "value")
        and made.channels is None
        and made.additional == 0
        and made.given == "auto"
        and not made.by_region
    )


def removals(
    explainer: LayerMaskExplainer, explanation: Explanation, img: object, by: str = "grey", k: int = 20, steps: int = 10
) -> list[Removal]:
    """Insertion and deletion curves and top-k ablation for each target of an explanation.

    Args:
        explainer: The explainer that made the explanation.
        explanation: The explanation.
        img: Its picture, as for `explain`.
        by: The masking that removes segments. The paper uses grey-out, whatever the scores are from.
        k: Number of segments of the ablation.
        steps: Number of steps of the curves.

    Raises:
        InputError: If [`can_remove`][] says no, a part of the output was selected, or `img` is another picture.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xai_layermask import Preprocess
        >>> model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> options = dict(segments="patches:8", n_samples=20, preprocess=Preprocess(16, 16), progress=False)
        >>> explainer, picture = LayerMaskExplainer(model, **options), torch.rand(3, 16, 16)
        >>> found = removals(explainer, explainer.explain(picture), picture, k=1)
        >>> found[0].deletion.masking, found[0].deletion.values.shape
        ('grey', (5,))
    """
    if not can_remove([explanation]):
        raise InputError.expected(
            "an explanation of classes of a softmax, without missing pixels, further inputs and a choice of channels",
            repr(explanation),
        )
    if explainer.output.select is not None:
        raise InputError.expected("an explainer of a model's logits", f"one with select={explainer.output.select!r}")
    network = explainer.masking.model
    like = first_parameter(network)
    shown = explainer.preprocess.prepare(img, None)
    if not np.array_equal(shown.picture, explanation.picture):
        raise InputError.expected("the picture of the explanation for img", "another picture")
    image = shown.tensor.to(like.device, like.dtype)
    masking = make(by, network, explainer.preprocess)
    height, width = explanation.picture.shape[:2]
    batch_size = auto_batch_size(height, width, image.device)
    return [
        removal(masking, image, scores, explanation.segments, target, k, steps, batch_size)
        for target, scores in zip(explanation.targets, explanation.scores, strict=True)
    ]
