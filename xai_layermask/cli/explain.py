"""`xai-layermask explain`: which segments of a picture support a prediction."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from .files import check_outputs, writing
from .folder import add_folder, check_folder, run_folder
from .inputs import load_model, read_picture, read_valid
from .look import add_look, look_options
from .options import MASKINGS, add_output, add_outputs, add_picture_and_model, add_sampling, add_script_options
from .options import check_sampling_options as check_options
from .output import number, print_json, shows_progress, status, table
from .pages import write_page
from .types import masking, positive

if TYPE_CHECKING:
    from ..explain import Explanation, LayerMaskExplainer
    from ..models import Classifier

__all__ = ["EXAMPLES", "SUMMARY", "add_options", "check_options", "make_explainer", "predictions", "record", "run"]

SUMMARY = "Explain what a model sees in a picture."

EXAMPLES = """\
examples, with a sample photograph; to use your own, put its path after explain:
  xai-layermask explain
  xai-layermask explain --target espresso --target cup --out coffee.png coffee.html coffee.npz
  xai-layermask explain --method shap --segments patches:32 --samples 300 --masking grey
  xai-layermask explain --json > coffee.json
  xai-layermask explain photos --out explained  # every picture of a folder; run it again to continue"""

_DATA = (".npz", ".json")
_SUFFIXES = (".png", ".svg", ".pdf", ".html", *_DATA)
_LISTED = 5  # segments in a printed table


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `explain`."""
    add_picture_and_model(parser)
    parser.add_argument("--masking", type=masking, default="layer", metavar="NAME",
                        help=f"how segments are removed: {MASKINGS} (default: layer)")
    parser.add_argument("--target", action="append", metavar="CLASS",
                        help="a class to explain, by name or index, instead of the top predictions; can be repeated")
    parser.add_argument("--top", type=positive, default=1, metavar="K",
                        help="explain the K top predictions (default: 1)")
    add_output(parser)
    add_sampling(parser)
    add_outputs(parser, "files to write, by suffix: .png .svg .pdf (figure), .html (report), .npz .json (data, for "
                "Explanation.load); default: explanation.png, or none with --json")
    add_look(parser)
    add_folder(parser)
    add_script_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run `explain`.

    Raises:
        InputError: If the picture, the model or another option is invalid.
    """
    if check_folder(args):
        return run_folder(args)
    paths = args.out or ([] if args.json else ["explanation.png"])
    check_outputs(paths, _SUFFIXES, args.overwrite)
    with status("starting", args):
        from ..engine.runtime import find_device
    look = look_options(args)
    picture, valid = read_picture(args.image), read_valid(args.valid)
    device = find_device(args.device)
    with status(f"loading {args.model}", args):
        classifier = load_model(args, device, args.target or ())
    explainer = make_explainer(args, classifier, args.masking)
    with status("segmenting the picture and capturing the model", args):
        explanation = explainer.explain(picture, args.target, args.top, valid)
    with status("writing", args):
        for path in paths:
            with writing(path):
                if path.lower().endswith(".html"):
                    write_page(path, [explanation], args, look)
                else:
                    explanation.save(path, **({} if path.lower().endswith(_DATA) else look))
    if args.json:
        print_json(record(explanation, args.image) | {"files": paths}, args)
    elif not args.quiet:
        columns = predictions(explanation) | {"reliability": explanation.reliability.tolist()}
        explained = table(list(columns), zip(*columns.values(), strict=True)) + f"\nexplained: {explanation.output}"
        if explanation.settings.note:
            explained += f"\npicture: {explanation.settings.note}"
        tables = "\n\n".join([explained, *filter(None, [explanation.advice]), *_top_segments(explanation)])
        print(tables, "", *(f"wrote {path}" for path in paths), sep="\n")
    return 0


def make_explainer(
    args: argparse.Namespace, classifier: Classifier, masking: str, seed: int | None = None
) -> LayerMaskExplainer:
    """Build an explainer from the options that `explain` and `compare` share, with another seed if one is given.

    Raises:
        InputError: If an option is invalid.
    """
    from ..explain import LayerMaskExplainer
    from ..models import Output

    select = int(args.select) if args.select and args.select.isdecimal() else args.select
    return LayerMaskExplainer(
        classifier,
        method=args.method,
        masking=masking,
        segments=args.segments,
        n_samples=args.samples,
        sampling=args.sampling,
        estimator=args.estimator,
        batch_size=args.batch_size,
        precision=args.precision,
        seed=args.seed if seed is None else seed,
        progress=shows_progress(args),
        output=Output(args.output, select),
        window=args.window,
    )


def record(explanation: Explanation, image: str | None) -> dict[str, Any]:
    """Convert an explanation to a JSON document.

    Args:
        explanation: The explanation.
        image: Path of the picture; None for the sample photograph.

    Returns:
        Settings, and for each target its prediction and its segments by descending score.
    """
    from ..images import sample_name

    targets = [
        {
            "index": target,
            "label": label,
            "prediction": float(explanation.predictions[row]),
            "probability": number(explanation.probabilities[row]),
            "reliability": float(explanation.reliability[row]),
            "r2": number(explanation.r2[row]),
            "intercept": float(explanation.intercept[row]),
            "segments": _segments(explanation, target, explanation.scores.shape[1]),
        }
        for row, (target, label) in enumerate(zip(explanation.targets, explanation.labels, strict=True))
    ]
    about = {"image": image or sample_name, "output": explanation.output, "settings": explanation.settings.record()}
    return about | {"targets": targets}


def _segments(explanation: Explanation, target: int, count: int) -> list[dict[str, Any]]:
    """The top segments: score, share of the area, and centroid (x, y) in pixels; missing pixels were not played."""
    found, row = [], explanation.row(target)
    for segment in explanation.top(count, target):
        rows, columns = (explanation.segments == segment).nonzero()
        found.append({
            "segment": int(segment),
            "played": bool(explanation.played[segment]),
            "score": float(explanation.scores[row, segment]),
            "standard_error": number(explanation.standard_errors[row, segment]),
            "share": len(rows) / explanation.segments.size,
            "x": round(float(columns.mean())),
            "y": round(float(rows.mean())),
        })
    return found


def predictions(explanation: Explanation) -> dict[str, list[object]]:
    """The columns of a table of predictions: names, indices, what is explained, and probabilities."""
    columns: dict[str, list[object]] = {"prediction": [*explanation.labels], "index": [*explanation.targets]}
    scale, probabilities = explanation.settings.output, explanation.probabilities.tolist()
    if scale not in ("probability", "sigmoid", "log_odds") or any(map(math.isnan, probabilities)):
        columns[scale.replace("_", "-")] = explanation.predictions.tolist()
    if not all(map(math.isnan, probabilities)):
        columns["probability"] = probabilities
    return columns


def _interval(standard_error: float | None) -> str:
    return "(unknown)" if standard_error is None else f"± {1.96 * standard_error:.3f}"


def _top_segments(explanation: Explanation) -> list[str]:
    height, width = explanation.segments.shape
    tables = []
    for target, label in zip(explanation.targets, explanation.labels, strict=True):
        rows = [
            (one["segment"], f"{one['score']:.3f} {_interval(one['standard_error'])}", f"{one['share']:.1%}", one["x"],
             one["y"])
            for one in _segments(explanation, target, _LISTED)
            if one["played"]
        ]
        title = f"Segments with the highest scores for {label}, with their centroids in the {width} x {height} picture:"
        tables.append(f"{title}\n" + table(("segment", "score (95 % interval)", "area", "x", "y"), rows))
    return tables
