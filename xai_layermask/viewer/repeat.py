"""How an explanation was made, in plain words and as a command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from ..catalog import METHODS, check_model, parse_masking, parse_segmentation, title
from ..errors import InputError
from ..images import Preprocess
from .protocol import Made, Viewable

__all__ = ["repeats", "sentence"]

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
    made, count = explanation.settings, int(explanation.played.sum())
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
        f"fitted {fitted} to these predictions. What it explains: {explanation.output}. Its coefficients are the "
        "scores: how much a segment contributes while it is present."
    )


def repeats(explanations: Sequence[Viewable], source: str | None) -> tuple[str, str]:
    """Commands that repeat explanations of one picture, one on each line, and a remark; or why there are none.

    Samples are drawn such that fewer of them are the first ones of more, so the number used repeats "auto" as well.
    """
    parts = [] if source else ["IMAGE is the path of the picture."]
    for one in explanations:
        why = _only_in_python(one.settings)
        if not why and any(target < 0 for target in one.targets):
            why = "A target is not a class"
        if why:
            return "", f"{why}, so no command repeats this."
    if not all(one.played.all() for one in explanations):
        parts.append("Add --valid FILE if missing pixels were marked by a mask.")
    parts.append("Add --weights, --labels or --preprocess if the model was loaded with others than its own.")
    return "\n".join(_command(one, source) for one in explanations), " ".join(parts)


def _only_in_python(made: Made) -> str:
    """Why the command line has no words for these settings; empty if it has."""
    part = str(made.select)
    reasons = {
        "The model was passed as an object in Python": not _is_known(check_model, made.model),
        "The masking was made in Python": not _is_known(parse_masking, made.masking),
        "The segments were passed as an array or a function in Python": not _is_known(
            parse_segmentation, made.segments
        ),
        "The preprocessing was passed as a function in Python": not isinstance(made.preprocess, Preprocess),
        "The part of the model's output was selected in Python": made.select is not None
        and (part.startswith("function ") or made.select != (int(part) if part.isdecimal() else part)),
        "What the model's numbers are was said in Python": made.given != "auto",
        "Segments were removed in some channels only": made.channels is not None,
        "The model was given additional arguments": made.additional > 0,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _is_known(check: Callable[..., object], name: str) -> bool:
    try:
        check(name)
    except InputError:
        return False
    return True


def _command(explanation: Viewable, source: str | None) -> str:
    made = explanation.settings
    path = source or "IMAGE"
    words = ["xai-layermask", "explain", f"./{path}" if path.startswith("-") else path, "--model", made.model]
    words += ["--masking", made.masking]
    for target, label in zip(explanation.targets, explanation.labels, strict=True):
        # Digits are an index unless a class has that name, so a class whose name is a number is meant by its name.
        words += ["--target", label if label.isdecimal() else str(target)]
    words += ["--segments", made.segments, "--method", made.method]
    if not (made.method in METHODS and METHODS[made.method].fixed):
        words += ["--samples", str(made.n_samples)]
    if made.window is not None:
        words += ["--window", str(made.window)]
    words += ["--sampling", made.sampling, "--estimator", made.estimator, "--output", made.output]
    words += ["--seed", str(made.seed), "--precision", made.precision]
    if made.select is not None:
        words += ["--select", str(made.select)]
    return shlex.join(words)
