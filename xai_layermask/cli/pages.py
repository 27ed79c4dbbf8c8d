"""Pages that `explain` and `compare` write."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog import PROGRAM

if TYPE_CHECKING:
    from ..explain import Explanation
    from ..metrics import Removal
    from ..plots import LookOptions

__all__ = ["write_page"]


def write_page(
    path: str,
    explanations: Sequence[Explanation],
    args: argparse.Namespace,
    look: LookOptions,
    mask: Any = None,
    curves: Sequence[Sequence[Removal]] | None = None,
) -> None:
    """Write a page of explanations of one picture, with the command that made it.

    Args:
        path: The file.
        explanations: One for each masking.
        args: Parsed options.
        look: How scores are drawn at first.
        mask: An object mask.
        curves: For each explanation those of its targets.

    Raises:
        InputError: If the mask does not fit.
    """
    from ..catalog import title
    from ..images import sample_name
    from ..viewer import page

    names = [title(one.settings.masking) for one in explanations]
    names = [name if names.count(name) == 1 else f"{name} {i + 1}" for i, name in enumerate(names)]
    html = page(
        dict(zip(names, explanations, strict=True)),
        mask=mask,
        curves=None if curves is None else dict(zip(names, curves, strict=True)),
        source=sample_name if args.image is None else Path(args.image).name,
        command=shlex.join([PROGRAM, *args.words]),
        look=look,
    )
    Path(path).write_text(html, encoding="utf-8")
