"""`xai-layermask check`: which of a model's operators have a masked operator, and which not."""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict

import torch

from ..engine.graph import capture, operator_name
from ..engine.network import sample
from ..engine.rules import operators
from ..errors import UnsupportedOperator
from ..maskings.layer import LayerMask
from .inputs import architecture
from .progress import doing
from .tables import table

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Check a model.

    Args:
        args: As the parser makes them for `check`.

    Returns:
        0, for every operator that meets masked activations has a masked operator.

    Raises:
        UnsupportedOperator: If one has none, after the table is printed.
    """
    with doing(f"loading {args.model}", args):
        model, size = architecture(args.model, args.weights)
    shape = args.shape or (1, 3, *size)
    missing: dict[str, list[str]] = defaultdict(list)
    with doing("capturing the model", args):
        for operator, path in LayerMask(model).unsupported(shape):
            missing[operator].append(path or "the model itself")
        graph = capture(model, shape, sample(model).dtype, torch.device("cpu"))
    calls = Counter(step.name for step in graph.steps(shape[0]))
    ruled = {operator_name(operator) for operator in operators()}
    # An operator without a rule may stand behind the last masked activation, where it sees ordinary tensors.
    without = "none" if missing else "not needed"
    forms = {name: "none" if name in missing else "yes" if name in ruled else without for name in calls}
    if args.json:
        answer = {"model": args.model, "shape": shape, "calls": calls, "forms": forms, "unsupported": missing}
        print(json.dumps(answer, indent=2))
    elif not args.quiet:
        print(table(("operator", "calls", "masked form"), [(name, calls[name], forms[name]) for name in sorted(calls)]))
        for operator, paths in missing.items():
            print(f"\nNo masked form of {operator} in:", *paths, sep="\n  ")
    if missing:
        names = ", ".join(missing)
        raise UnsupportedOperator(
            f"every operator that meets masked activations needs a rule, but {args.model} applies {names} without "
            "one: add it with xai_layermask.rule."
        )
    if not args.json and not args.quiet:
        print(f"\n{args.model} is supported at {' x '.join(map(str, shape))}.")
    return 0
