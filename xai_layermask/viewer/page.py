"""One self-contained page that shows explanations of one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..catalog import title as title_of
from ..errors import InputError
from .content import content
from .encoding import still, thumbnail
from .protocol import Viewable
from .repeat import repeats
from .templates import json_block, render

if TYPE_CHECKING:
    from ..metrics import Removal
    from ..plots import LookOptions

__all__ = ["page"]


def page(
    explanations: Viewable | Sequence[Viewable] | Mapping[str, Viewable],
    *,
    title: str | None = None,
    mask: Any = None,
    curves: Mapping[str, Sequence[Removal]] | None = None,
    source: str | None = None,
    command: str | None = None,
    look: LookOptions | None = None,
) -> str:
    """A page to explore explanations of one picture with mouse, touch or keyboard. It works offline.

    Args:
        explanations: One; or several of the same picture and targets, such as those of several maskings, in a sequence
            or by name.
        title: Heading of the page; by default what is explained.
        mask: An object mask `(H, W)` over the cropped picture or the photograph, for alignment and top-k Jaccard.
        curves: For each explanation by its name (by default the title of its masking), the results of [`removal`][] for
            each target.
        source: Name of the picture.
        command: The command that repeats the explanation; by default made from its settings, if there is one.
        look: How the page draws scores at first, as in [`Look`][xai_layermask.plots.Look].

    Returns:
        HTML.

    Raises:
        InputError: If there is no explanation, pictures or targets differ, the mask does not fit, or curves belong to
            another explanation.

    Example:
        >>> import torch
        >>> from xai_layermask import LayerMaskExplainer, Preprocess
        >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> options = dict(segments="patches:8", n_samples=20, preprocess=Preprocess(32, 32), progress=False)
        >>> explanation = LayerMaskExplainer(model, **options).explain(torch.rand(3, 32, 32))
        >>> page(explanation, title="Noise").splitlines()[0]
        '<!DOCTYPE html>'
    """
    named = _named(explanations)
    _check(named, curves)
    first = next(iter(named.values()))
    heading = title if title is not None else f"Why {first.labels[0]}?"
    data = content(named, mask, curves or {}, look)
    repeat, remark = (command, "") if command else repeats(list(named.values()), source)
    return render(
        "viewer.html",
        title=heading,
        source=source,
        named=named,
        first=first,
        data=json_block(data | {"title": heading, "source": source, "command": repeat}),
        command=repeat,
        remark=remark,
        still=thumbnail(still(first), max(first.picture.shape)),
        measured=mask is not None or bool(curves),
        look=data["look"],
    )


def _named(explanations: Viewable | Sequence[Viewable] | Mapping[str, Viewable]) -> dict[str, Viewable]:
    if isinstance(explanations, Mapping):
        named = {str(name): one for name, one in explanations.items()}
    else:
        every = list(explanations) if isinstance(explanations, Sequence) else [explanations]
        named = {}
        for one in every:
            name = base = title_of(one.settings.masking)
            number = 1
            while name in named:
                number += 1
                name = f"{base} {number}"
            named[name] = one
    if not named:
        raise InputError.expected("at least one explanation", "none")
    return named


def _check(named: Mapping[str, Viewable], curves: Mapping[str, Sequence[Removal]] | None) -> None:
    first, *others = named.values()
    keys = [first.key(row) for row in range(len(first.targets))]
    for other in others:
        if not np.array_equal(other.picture, first.picture):
            raise InputError.expected("explanations of the same picture", "different pictures", "make a page for each")
        if [other.key(row) for row in range(len(other.targets))] != keys:
            raise InputError.expected(
                "explanations of the same targets", f"{other.targets} after {first.targets}",
                "pass targets=first.targets to explain",
            )  # fmt: skip
    for name, measured in (curves or {}).items():
        if name not in named:
            raise InputError.expected(f"names of explanations ({', '.join(named)}) in curves", repr(name))
        if len(measured) != len(keys):
            raise InputError.expected(f"one result for each of {len(keys)} targets in curves", str(len(measured)))
