"""How an explanation was made, in plain words and as a command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ..catalog import METHODS, SEGMENTATIONS, check_model, title
from ..errors import InputError
from ..images import Preprocess
from .protocol import Made, Viewable

__all__ = ["command", "sentence"]

_ESTIMATORS = {
    "spatial": "a linear model with a prior that nearby segments score alike",
    "ridge": "a ridge regression",
    "least_squares": "a weighted least-squares regression",
}


_REMOVED = {
    "rise": "Random masks of smooth shape removed about half of them at a time by {masking}, {samples} samples in all, "
    "and {model} predicted each sample ({output}). The score of a segment is the mean prediction with it present minus "
    "the mean with it absent.",
    "occlusion": "A sliding window removed the segments below it by {masking}, and {model} predicted each of {samples} "
    "samples ({output}). The score of a segment is the mean loss of the prediction over the windows that cover it.",
    "ablation": "Each of them was removed once by {masking}, and {model} predicted each of {samples} samples "
    "({output}). The score of a segment is what the prediction loses without it.",
}


def sentence(explanation: Viewable) -> str:
    """What was done, in plain words."""
    made, count = explanation.settings, explanation.scores.shape[1]
    fitted = _ESTIMATORS.get(made.estimator, made.estimator)
    method = METHODS[made.method].title if made.method in METHODS else made.method
    divided = f"The picture was divided into {count} segments ({made.segments})."
    if made.method in _REMOVED:
        return divided + " " + _REMOVED[made.method].format(
            masking=title(made.masking), samples=made.n_samples, model=made.model, output=explanation.output
        )
    return (
        f"{divided} Random subsets of them were removed by "
        f"{title(made.masking)}, {made.n_samples} samples in all, and {made.model} predicted each sample. {method} "
        f"fitted {fitted} to these predictions ({explanation.output}). Its coefficients are the scores: how much a "
        "segment contributes while it is present."
    )


def command(explanations: Sequence[Viewable], source: str | None) -> tuple[str, str]:
    """The command that repeats explanations of one picture, or why there is none.

    Returns:
        The command and what to know about it; an empty command if there is none.
    """
    first = explanations[0]
    made = first.settings
    try:
        check_model(made.model)
    except InputError:
        return "", "The model was passed as an object in Python, so no command repeats this."
    if made.segments.partition(":")[0] not in SEGMENTATIONS:
        return "", "The segments were passed as an array or a function in Python, so no command repeats this."
    if any(target < 0 for target in first.targets):
        return "", "A target is not a class, so no command repeats this."
    compared = len(explanations) > 1
    words = ["xai-layermask", "compare" if compared else "explain", source or "IMAGE", "--model", made.model]
    if compared:
        words += ["--maskings", ",".join(one.settings.masking for one in explanations)]
        words += ["--top", str(len(first.targets))]
    else:
        words += ["--masking", made.masking]
        for target in first.targets:
            words += ["--target", str(target)]
    words += ["--segments", made.segments, "--method", made.method]
    if not (made.method in METHODS and METHODS[made.method].fixed):
        words += ["--samples", str(made.n_samples)]
    if made.window is not None:
        words += ["--window", str(made.window)]
    words += ["--sampling", made.sampling, "--estimator", made.estimator, "--output", made.output]
    words += ["--seed", str(made.seed), "--precision", made.precision]
    if made.select is not None:
        words += ["--select", str(made.select)]
    words += ["--out", "explanation.html"]
    return shlex.join(words), _remark(made, source)


def _remark(made: Made, source: str | None) -> str:
    parts = [] if source else ["IMAGE is the path of the picture."]
    if not isinstance(made.preprocess, Preprocess):
        parts.append("The preprocessing was a function in Python, which the command does not know.")
    return " ".join(parts)
