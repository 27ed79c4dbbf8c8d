"""Every operator of torch's own test database on masked maps: `python -m tests.fuzz.database`. Needs `expecttest`.

An operator is *right* if the output is torch's own with everything present and does not depend on absent cells, and
*refused* if a sentence says why. The exit status is 1 if one is wrong or raises another error.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from xai_layermask import LayerMask
from xai_layermask.errors import CaptureError, InputError, UnsupportedOperator

from ..by_hand import Function

SHAPE, SAMPLES = (2, 3, 6, 5), 4


def cases() -> Iterator[tuple[str, Callable[[Tensor], Any], Tensor]]:
    """Operators with arguments of the database, deterministic on a map in place of their first argument."""
    from torch.testing._internal.common_methods_invocations import op_db

    for number, operator in enumerate(one for one in op_db if "empty" not in one.name):  # they return any numbers
        samples = filter(lambda one: isinstance(one.input, Tensor), _samples(operator))
        found: dict[tuple[str, tuple[int, ...]], tuple[str, Callable[[Tensor], Any], Tensor]] = {}
        for sample, own in itertools.product(samples, (True, False)):
            shape = tuple(sample.input.shape) if own else SHAPE
            if len(shape) != 4 or 0 in shape or len(found) == SAMPLES:
                continue

            def function(x: Tensor, operator: Any = operator.op, sample: Any = sample) -> Any:
                return operator(x, *sample.args, **sample.kwargs)

            generator = torch.Generator().manual_seed(number)
            x = 0.1 + 0.8 * torch.rand(shape, dtype=torch.float64, generator=generator)
            if _repeats(function, x):
                name = f"{operator.name} {operator.variant_test_name}".strip()
                found.setdefault((repr((sample.args, sample.kwargs)), shape), (name, function, x))
        yield from found.values()


def _samples(operator: Any) -> Iterator[Any]:
    try:
        yield from operator.sample_inputs("cpu", torch.float64, requires_grad=False)
    except Exception:  # not for this dtype
        return


def _repeats(function: Callable[[Tensor], Any], x: Tensor) -> bool:
    """Whether it runs, returns tensors, and gives the same twice."""
    try:
        torch.manual_seed(0)
        one = _tensors(function(x))
        torch.manual_seed(1)
        return bool(one) and _close(one, _tensors(function(x)))
    except Exception:
        return False


def outcome(function: Callable[[Tensor], Any], x: Tensor) -> str:
    """The outcome: "right", "refused", or what is wrong."""
    generator = torch.Generator().manual_seed(0)
    presence = torch.rand(len(x), 1, *x.shape[2:], generator=generator) < 0.5
    other = 0.1 + 0.8 * torch.rand(x.shape, dtype=x.dtype, generator=generator)
    masked = LayerMask(Function(function))
    try:
        whole = masked(x, torch.ones_like(presence))
        one, poisoned = masked(x, presence), masked(torch.where(presence, x, other), presence)
    except (CaptureError, InputError, UnsupportedOperator):
        return "refused"
    except Exception as error:
        return f"raises {type(error).__name__}: {error}"
    if not _close(_tensors(whole), _tensors(function(x))):
        return "wrong with everything present"
    return "right" if _close(_tensors(one), _tensors(poisoned)) else "depends on absent cells"


def _tensors(value: Any) -> list[Tensor]:
    return [one for one in pytree.tree_leaves(value) if isinstance(one, Tensor)]


def _close(found: list[Tensor], expected: list[Tensor]) -> bool:
    return len(found) == len(expected) and all(
        a.dtype == b.dtype and a.shape == b.shape
        and torch.allclose(a.to(b.dtype), b, rtol=1e-5, atol=1e-9, equal_nan=b.is_floating_point())
        for a, b in zip(found, expected, strict=True)
    )  # fmt: skip


def main() -> None:
    """Run all operators, or those whose name contains a word."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.database", description=__doc__)
    parser.add_argument("--only", default="", help="a part of the operators' names")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    counts: collections.Counter[str] = collections.Counter()
    for name, function, x in cases():
        if options.only in name:
            found = outcome(function, x)
            counts[found if found in ("right", "refused") else "failed"] += 1
            if found not in ("right", "refused"):
                print(f"{name}: {found}", flush=True)
    print(*(f"{name} {count}" for name, count in sorted(counts.items())), sep=", ")
    if counts["failed"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
