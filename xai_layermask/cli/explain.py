"""`xai-layermask explain`: which segments of a picture speak for a prediction."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..explain.explainer import LayerMaskExplainer
from ..explain.explanation import Explanation
from ..images.read import sample_name
from ..models import Classifier, class_index
from .inputs import best_device, check_outputs, load_model, picture
from .progress import doing, shown
from .tables import number, table

__all__ = ["explainer", "record", "run"]

_ENDINGS = (".png", ".svg", ".pdf", ".html", ".npz", ".json")
_SHOWN = 5


def run(args: argparse.Namespace) -> int:
    """Explain a picture.

    Args:
        args: As the parser makes them for `explain`.

    Returns:
        0.

    Raises:
        InputError: If the picture, the model or another option does not do.
    """
    paths = args.out or ([] if args.json else ["explanation.png"])
    check_outputs(paths, _ENDINGS)
    image = picture(args.image)
    device = best_device(args.device)
    with doing(f"loading {args.model}", args):
        classifier = load_model(args.model, args.weights, device)
    for target in (args.target or []) if classifier.labels else []:
        class_index(classifier.labels, target)
    explaining = explainer(args, classifier, args.masking)
    with doing("cutting the picture and capturing the model", args):
        explanation = explaining.explain(image, args.target, args.top)
    with doing("writing", args):
        for path in paths:
            explanation.save(path)
    if args.json:
        print(json.dumps(record(explanation, args.image) | {"files": paths}, indent=2))
    elif not args.quiet:
        print("\n\n".join([_predictions(explanation), *_tops(explanation)]), "", *(f"wrote {one}" for one in paths),
              sep="\n")
    return 0


def explainer(args: argparse.Namespace, classifier: Classifier, masking: str) -> LayerMaskExplainer:
    """Make an explainer of the options that `explain` and `compare` share.

    Args:
        args: With the options.
        classifier: The loaded model.
        masking: The masking's name.

    Returns:
        The explainer, whose progress bar shows only on a terminal.

    Raises:
        InputError: If an option does not do.
    """
    return LayerMaskExplainer(
        classifier,
        method=args.method,
        masking=masking,
        segments=args.segments,
        n_samples=args.samples,
        sampling=args.sampling,
        batch_size=args.batch_size,
        precision=args.precision,
        seed=args.seed,
        progress=shown(args),
    )


def record(explanation: Explanation, image: str | None) -> dict[str, Any]:
    """What a script may want to know of an explanation, as JSON holds it.

    Args:
        explanation: The explanation.
        image: The path of the picture; None for scikit-image's photograph.

    Returns:
        The settings, and for each target its prediction and its segments, the best first.
    """
    targets = [
        {
            "index": target,
            "label": label,
            "probability": float(explanation.probabilities[row]),
            "r2": number(explanation.r2[row]),
            "intercept": float(explanation.intercept[row]),
            "segments": _segments(explanation, target, explanation.scores.shape[1]),
        }
        for row, (target, label) in enumerate(zip(explanation.targets, explanation.labels, strict=True))
    ]
    return {"image": image or sample_name, "settings": explanation.settings.record(), "targets": targets}


def _segments(explanation: Explanation, target: int, count: int) -> list[dict[str, Any]]:
    """The best segments: score, share of the picture, and centre in pixels from the left and from the top."""
    found = []
    for segment in explanation.top(count, target):
        rows, columns = (explanation.segments == segment).nonzero()
        found.append({
            "segment": int(segment),
            "score": float(explanation.scores[explanation.row(target), segment]),
            "share": len(rows) / explanation.segments.size,
            "x": round(float(columns.mean())),
            "y": round(float(rows.mean())),
        })
    return found


def _predictions(explanation: Explanation) -> str:
    rows = zip(explanation.labels, explanation.targets, map(float, explanation.probabilities),
               map(float, explanation.r2), strict=True)
    return table(("prediction", "index", "probability", "surrogate R2"), rows)


def _tops(explanation: Explanation) -> list[str]:
    height, width = explanation.segments.shape
    found = []
    for target, label in zip(explanation.targets, explanation.labels, strict=True):
        rows = [
            (one["segment"], one["score"], f"{one['share']:.1%}", one["x"], one["y"])
            for one in _segments(explanation, target, _SHOWN)
        ]
        head = f"Segments that speak most for {label}, with their centres in the {width} x {height} picture:"
        found.append(f"{head}\n" + table(("segment", "score", "area", "x", "y"), rows))
    return found
