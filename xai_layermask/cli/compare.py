"""`xai-layermask compare`: several maskings side by side, as in figure 8 of the paper."""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .explain import make_explainer, predictions, record
from .files import check_outputs, writing
from .inputs import load_model, read_mask, read_picture, read_valid
from .look import add_look, look_options
from .options import MASKINGS, add_output, add_outputs, add_picture_and_model, add_sampling, add_script_options
from .options import check_sampling_options as check_options
from .output import complain, number, print_json, status, table
from .pages import write_page
from .types import comma_separated, dots, masking, positive

if TYPE_CHECKING:
    from ..explain import Explanation, LayerMaskExplainer

__all__ = ["EXAMPLES", "SUMMARY", "add_options", "check_options", "run"]

SUMMARY = "Explain the top predictions with several maskings, side by side."

EXAMPLES = """\
examples, with a sample photograph; to use your own, put its path after compare:
  xai-layermask compare
  xai-layermask compare --maskings black,grey,blur,layer --top 2 --segments patches:28 --out coffee.pdf
  xai-layermask compare --out coffee.html"""

_SUFFIXES = (".png", ".svg", ".pdf", ".html")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `compare`."""
    add_picture_and_model(parser)
    parser.add_argument("--maskings", type=comma_separated(masking), default=["black", "grey", "layer"],
                        metavar="NAME,NAME,...",
                        help=f"the columns of the figure: {MASKINGS} (default: black,grey,layer)")
    parser.add_argument("--top", type=positive, default=3, metavar="K",
                        help="the rows of the figure: the K top predictions, at most as many as there are (default: 3)")
    add_output(parser)
    add_sampling(parser)
    parser.add_argument("--mask", metavar="FILE",
                        help="a mask of the object, white on black, in the picture's size: the .html page then shows "
                        "how well the scores of each masking agree with it")
    add_outputs(parser, "files to write, by suffix: .png .svg .pdf (figure), .html (page to explore, with insertion "
                "and deletion curves); default: comparison.png, or none with --json")
    parser.add_argument("--dpi", type=dots, default=150, metavar="N",
                        help="pixels per inch of a .png; each panel is 2.6 inches wide (default: 150)")
    add_look(parser)
    add_script_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run `compare`.

    Raises:
        InputError: If the picture, the model, a masking or another option is invalid.
    """
    paths = args.out or ([] if args.json else ["comparison.png"])
    check_outputs(paths, _SUFFIXES, args.overwrite)
    with status("starting", args):
        from ..engine.runtime import find_device
        from ..explain import agreement, can_remove, removals
        from ..plots import comparison, figure_bytes
    look = look_options(args)
    picture, valid, mask = read_picture(args.image), read_valid(args.valid), read_mask(args.mask)
    device = find_device(args.device)
    with status(f"loading {args.model}", args):
        classifier = load_model(args, device)
    # Make them all before the first one runs, so that an invalid option is reported at once.
    # Maskings have samples of their own: shared samples share their noise, which looks like agreement.
    explainers = [make_explainer(args, classifier, name, args.seed + i) for i, name in enumerate(args.maskings)]
    with status("capturing the model", args):
        top = _possible(args.top, explainers[0], picture, valid)
    explanations: list[Explanation] = []
    for name, explainer in zip(args.maskings, explainers, strict=True):
        with status(f"{name}: segmenting the picture and capturing the model", args):
            targets = list(explanations[0].targets) if explanations else None
            explanations.append(explainer.explain(picture, targets, top, valid))
            if mask is not None and len(explanations) == 1:
                mask = _cropped(mask, explanations[0])  # fails before the next one runs
    pages = [path for path in paths if path.lower().endswith(".html")]
    curves = None
    if pages and args.select is None and can_remove(explanations):
        with status("removing the best segments for the curves", args):
            curves = [
                removals(explainer, one, picture) for explainer, one in zip(explainers, explanations, strict=True)
            ]
    with status("drawing", args):
        for path in pages:
            with writing(path):
                write_page(path, explanations, args, look, mask, curves)
        for path in paths:
            if path in pages:
                continue
            figure = figure_bytes(comparison(explanations, **look), Path(path).suffix.lower(), args.dpi)
            with writing(path):
                Path(path).write_bytes(figure)
    named = list(zip(args.maskings, explanations, strict=True))
    pairs = list(combinations(named, 2))
    if args.json:
        records = {name: record(one, args.image) for name, one in zip(args.maskings, explanations, strict=True)}
        agreed = [
            {"maskings": [name, other], "target": target, "correlation": number(found.correlation),
             "ceiling": found.ceiling}
            for (name, one), (other, another) in pairs
            for target in one.targets
            for found in [agreement(one, another, target)]
        ]
        print_json({"maskings": records, "agreement": agreed, "files": paths}, args)
    elif not args.quiet:
        first = explanations[0]
        columns = predictions(first)
        columns |= {f"reliability {name}": one.reliability.tolist() for name, one in named}
        del columns["index"]
        print(table(list(columns), zip(*columns.values(), strict=True)))
        rows = [
            (f"{name} and {other}", *("{:.2f} (ceiling {:.2f})".format(*agreement(one, another, target))
                                      for target in one.targets))
            for (name, one), (other, another) in pairs
        ]
        if rows:
            print("", table(("correlation of scores", *first.labels), rows), sep="\n")
        print(
            "",
            f"explained: {first.output}",
            "reliability: expected correlation of the scores with those of infinitely many samples.",
            "ceiling: the least correlation to expect if two maskings agreed and only their samples differed.",
            *filter(None, {one.advice for one in explanations}),
            *(f"wrote {path}" for path in paths),
            sep="\n",
        )
    return 0


def _cropped(mask: Any, explanation: Explanation) -> Any:
    """A mask of the picture's size, cut to the part that the model sees, even if that part is as large.

    Raises:
        InputError: If it has neither the size of the picture nor that of this part.
    """
    frame, seen = explanation.settings.frame, explanation.segments.shape
    if frame is not None and mask.shape == frame.size:
        return frame.cropped(mask, *seen)
    if mask.shape != seen:
        sizes = [" x ".join(map(str, size)) for size in (frame.size if frame else seen, mask.shape)]
        raise InputError.expected(f"a mask of the picture's size, {sizes[0]}, for --mask", sizes[1])
    return mask


def _possible(top: int, explainer: LayerMaskExplainer, picture: Any, valid: Any) -> int:
    """As many classes as the model has for the picture, if these are fewer than were asked for."""
    most = top if top == 1 else explainer.count_classes(picture, valid)
    if most < top:
        complain(f"--top {top}: the model has {most}")
    return min(top, most)
