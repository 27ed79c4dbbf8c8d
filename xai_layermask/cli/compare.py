"""`xai-layermask compare`: several maskings side by side, as in figure 8 of the paper."""

from __future__ import annotations

import argparse
import json

from ..explain.explanation import Explanation
from ..plots import comparison
from .explain import explainer, record
from .inputs import best_device, check_outputs, load_model, picture
from .progress import doing
from .tables import table

__all__ = ["run"]

_ENDINGS = (".png", ".svg", ".pdf")


def run(args: argparse.Namespace) -> int:
    """Explain a picture with several maskings, for the same predictions.

    Args:
        args: As the parser makes them for `compare`.

    Returns:
        0.

    Raises:
        InputError: If the picture, the model, a masking or another option does not do.
    """
    paths = args.out or ([] if args.json else ["comparison.png"])
    check_outputs(paths, _ENDINGS)
    image = picture(args.image)
    device = best_device(args.device)
    with doing(f"loading {args.model}", args):
        classifier = load_model(args.model, args.weights, device)
    # All are made before the first one runs, so that a wrong name is told at once.
    explainers = [explainer(args, classifier, name) for name in args.maskings]
    explanations: list[Explanation] = []
    for name, one in zip(args.maskings, explainers, strict=True):
        with doing(f"{name}: cutting the picture and capturing the model", args):
            targets = explanations[0].targets if explanations else None
            explanations.append(one.explain(image, targets, args.top))
    with doing("drawing", args):
        for path in paths:
            comparison(explanations).savefig(path, dpi=args.dpi)
    if args.json:
        columns = {name: record(one, args.image) for name, one in zip(args.maskings, explanations, strict=True)}
        print(json.dumps({"maskings": columns, "files": paths}, indent=2))
    elif not args.quiet:
        first = explanations[0]
        rows = [
            (label, float(first.probabilities[row]), *(float(one.r2[row]) for one in explanations))
            for row, label in enumerate(first.labels)
        ]
        print(table(("prediction", "probability", *(f"R2 {name}" for name in args.maskings)), rows))
        print("", "R2: how well the segments' scores add up to what the model answers.",
              *(f"wrote {path}" for path in paths), sep="\n")
    return 0
