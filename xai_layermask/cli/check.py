"""`xai-layermask check`: which of a model's operators are supported."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict

from ..errors import UnsupportedOperator
from .inputs import architecture
from .options import MODEL, add_preprocess, add_script_options
from .output import print_json, status, table
from .types import model, shape

__all__ = ["EXAMPLES", "SUMMARY", "add_options", "run"]

SUMMARY = "Say which of a model's operators are supported."

EXAMPLES = """\
examples; no weights are downloaded, and the exit code says whether the model is supported:
  xai-layermask check lite0
  xai-layermask check torchvision:resnet50 --shape 1,3,320,320
  xai-layermask check torchvision.models:resnet18 --quiet && echo supported"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `check`."""
    parser.add_argument("model", type=model, metavar="MODEL", help=MODEL)
    parser.add_argument("--weights", metavar="FILE", help="a state dict for the model")
    add_preprocess(parser)
    parser.add_argument("--shape", type=shape, metavar="N,C,H,W",
                        help="the input shape to check (default: one image of the model's own size)")
    add_script_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run `check`.

    Raises:
        UnsupportedOperator: If an operator that meets masked activations has no rule; the table is printed first.
    """
    with status("starting", args):
        from ..engine.graph import operator_name
        from ..engine.rules import operators
        from ..engine.runtime import first_parameter
        from ..maskings import LayerMask
    with status(f"loading {args.model}", args):
        network, size = architecture(args.model, args.weights, args.preprocess)
    input_shape = args.shape or (1, 3, *size)
    missing: dict[str, list[str]] = defaultdict(list)
    masked = LayerMask(network)
    with status("capturing the model", args):
        for operator, path in masked.unsupported(input_shape):
            missing[operator].append(path or "the model itself")
        # The same shape, type and device: the graph that `unsupported` has captured.
        graph = masked.graph(first_parameter(network).new_empty(input_shape))
    calls = Counter(step.name for step in graph.steps(input_shape[0]))
    ruled = {operator_name(operator) for operator in operators()}
    # Without a rule, but only after the last masked activation.
    otherwise = "none" if missing else "not needed"
    masked_operators = {name: "none" if name in missing else "yes" if name in ruled else otherwise for name in calls}
    if args.json:
        result = {
            "model": args.model, "shape": input_shape, "calls": calls, "masked_operators": masked_operators,
            "unsupported": missing,
        }  # fmt: skip
        print_json(result, args)
    elif not args.quiet:
        rows = [(name, calls[name], masked_operators[name]) for name in sorted(calls)]
        print(table(("operator", "calls", "masked operator"), rows))
        for operator, paths in missing.items():
            print(f"\nNo support for {operator} in:", *paths, sep="\n  ")
    if missing:
        raise UnsupportedOperator(
            f"expected a rule for every operator that meets masked activations, got none for {', '.join(missing)} in "
            f"{args.model}: add it with xai_layermask.rule"
        )
    if not args.json and not args.quiet:
        print(f"\n{args.model} is supported at {' x '.join(map(str, input_shape))}.")
    return 0
