"""What a page shows, as numbers and text for its script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..catalog import title
from ..plots.look import Look
from ..plots.palette import NEUTRAL, STOPS, colormap
from .encoding import encode_map, png_bytes, png_url
from .protocol import Viewable
from .repeat import sentence
from .series import series

if TYPE_CHECKING:
    from ..metrics import Curve, Removal
    from ..plots import LookOptions

__all__ = ["content"]

_K = 20  # segments of the top-k Jaccard, as in the paper


def content(
    named: Mapping[str, Viewable], mask: Any, curves: Mapping[str, Sequence[Removal]], look: LookOptions | None
) -> dict[str, Any]:
    """The data of a page, ready for JSON. Maps of segments that explanations share are stored once."""
    maps: list[npt.NDArray[np.int64]] = []
    first = next(iter(named.values()))
    styles = series([one.settings.masking for one in named.values()])
    shown = []
    for (name, one), (colour, dash) in zip(named.items(), styles, strict=True):
        place = next((i for i, known in enumerate(maps) if np.array_equal(known, one.segments)), len(maps))
        maps += [one.segments] if place == len(maps) else []
        shown.append(
            {
                "name": name,
                "map": place,
                "colour": colour,
                "dash": dash,
                "scores": one.scores.tolist(),
                "errors": _numbers(one.standard_errors),
                "reliability": _numbers(one.reliability),
                "r2": _numbers(one.r2),
                "intercept": one.intercept.tolist(),
                "predictions": [one.shown(row) for row in range(len(one.targets))],
                "played": bool(one.played[-1]),
                "output": one.output,
                "advice": one.advice,
                "made": sentence(one),
                "note": one.settings.note,
                "settings": {key: str(value) for key, value in one.settings.record().items()},
                "measures": _measures(one, mask, curves.get(name)),
            }
        )
    return {
        "picture": png_url(png_bytes(first.picture)),
        "maps": [encode_map(one) for one in maps],
        "targets": [
            {"index": target if target >= 0 else None, "label": label}
            for target, label in zip(first.targets, first.labels, strict=True)
        ],
        "maskings": shown,
        "k": _K,
        **_colours(look),
    }


def _colours(look: LookOptions | None) -> dict[str, Any]:
    """The colour map and the first state of the controls."""
    chosen = Look(**(look or {}))
    if chosen.cmap is None:
        stops = list(STOPS)
    else:
        places = np.linspace(0, 1, 65)
        stops = ["#" + bytes(round(255 * part) for part in colormap(chosen.cmap)(at)[:3]).hex() for at in places]
    return {
        "stops": stops,
        "neutral": NEUTRAL if chosen.cmap is None else stops[len(stops) // 2],
        "look": {
            "opacity": {"overlay": 70, "heatmap": 100, "outlines": 0, "top": 0}[chosen.style],
            "dim": chosen.style != "outlines",
            "outlines": chosen.style == "heatmap",
            "count": chosen.count,
            "sign": chosen.sign,
            "scale": chosen.scale,
            "vmax": chosen.vmax,
        },
    }


def _measures(explanation: Viewable, mask: Any, removals: Sequence[Removal] | None) -> list[dict[str, Any]]:
    """For each target what is known of alignment, Jaccard index, ablation and curves."""
    found: list[dict[str, Any]] = []
    for row in range(len(explanation.targets)):
        measures: dict[str, Any] = {}
        if mask is not None:
            key = explanation.key(row)
            measures["alignment"] = _number(explanation.alignment(mask, key))
            measures["jaccard"] = _number(explanation.jaccard(mask, _K, key))
        if removals is not None:
            removal = removals[row]
            measures["deletion"], measures["insertion"] = _curve(removal.deletion), _curve(removal.insertion)
            if removal.ablation is not None:
                measures |= {"kept": removal.ablation.unchanged[0], "removed": removal.ablation.k}
        found.append(measures)
    return found


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "x": np.round(curve.fractions, 4).tolist(),
        "y": np.round(curve.values, 4).tolist(),
        "auc": curve.auc,
        "by": title(curve.masking),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _numbers(values: npt.NDArray[np.float64]) -> Any:
    """Nested lists, with None for nan."""
    found = values.astype(object)
    found[np.isnan(values)] = None
    return found.tolist()
