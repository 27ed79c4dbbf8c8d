"""What the shape of the mask tells the model: section 4.2, figures 6, 7, 10 and 11."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np

from ...catalog import title
from ...errors import InputError
from ...models import imagenet_labels
from ...plots import styles_of
from ...stats.intervals import Estimate, estimate, joined
from ...stats.statistic import ClassMean, Floats, Mean, Statistic
from .figures import bars, dots, frame, panels
from .section import DIFFERENCES, Drawing, Measure, Section, comparisons, missing, pictures, summary
from .series import Cell, Places, Series, Setup
from .tables import Entry, Table

__all__ = ["KEYS", "section"]

KEYS: tuple[str, ...] = ()
_ONLY: tuple[Cell, ...] = ((),)
_KINDS = {"object_out": "object masked out", "broken_out": "broken mask", "gap": "broken minus object"}
_ACCURACIES = tuple(_KINDS)[:2]
_CLASSES = 24  # in a figure


def _values(kind: str, series: Series, places: Places) -> Floats:
    """Whether each picture keeps its label, or the gap; nan where it is not kept, as misclassified; `(n, 1)`."""
    if kind == "gap":
        return _values("broken_out", series, places) - _values("object_out", series, places)
    label, kept, found = (series.values(name, _ONLY, places) for name in ("label", "kept", kind))
    return np.where((kept == 1) & np.isfinite(found), found == label, np.nan)


def _over_pictures(kind: str, series: Series, places: Places) -> Statistic:
    return Mean(_values(kind, series, places))


def _over_classes(kind: str, series: Series, places: Places) -> Statistic:
    return ClassMean(_values(kind, series, places), series.values("label", _ONLY, places)[:, 0])


_BETTER = {"gap": "higher"}
MEASURES = {
    "pictures": [Measure(name, partial(_over_pictures, kind), _BETTER.get(kind, "")) for kind, name in _KINDS.items()],
    "classes": [Measure(name, partial(_over_classes, kind), _BETTER.get(kind, "")) for kind, name in _KINDS.items()],
}


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `mask-shape`.

    Args:
        setups: At least one.

    Returns:
        Accuracies with both masks and the gap between them, on average and for every class.
    """
    tables = (
        summary("mask-shape", _SCORES, setups, MEASURES, "mean over"),
        comparisons("mask-shape-differences", DIFFERENCES, setups, MEASURES, "mean over"),
        _class_table("mask-shape-classes", setups),
    )
    drawings = []
    for place, setup in enumerate(setups, start=1):
        drawings += [_averages(f"mask-shape-{place}", setup), *_class_figure(f"mask-shape-{place}-classes", setup)]
    return Section("Mask shape", _TEXT, tables, tuple(drawings), missing(setups))


def _averages(name: str, setup: Setup) -> Drawing:
    """Both accuracies of every masking, and beside them the gap."""
    series = setup.of("")
    found = {
        kind: joined([estimate(_over_pictures(kind, one, None))[0] for one in series]) for kind in _KINDS
    }
    count = pictures(n for one in found.values() for n in one.n)
    figure, ((left, right),) = panels(1, 2, shared=False)
    groups = [title(one.masking).replace(" ", "\n").replace(":", ":\n") for one in series]
    figure.set_size_inches(max(6.0, 1.6 * len(groups) + 1), 3.2)
    styles = styles_of(_KINDS.values())
    bars(groups, {_KINDS[kind]: found[kind] for kind in _ACCURACIES}, ax=left, styles=styles)
    bars(groups, {_KINDS["gap"]: found["gap"]}, ax=right, styles=styles)
    left.set(ylabel="accuracy", ylim=(0, 1))
    right.set(ylabel="difference in accuracy")
    frame(figure, f"{setup.name}, {count}")
    caption = (
        f"{setup.name}: accuracy with the object masked out and with the broken mask, and their difference; {count} "
        "pictures that are classified correctly when whole. Lines are 95 % bootstrap intervals over pictures."
    )
    return Drawing(name, caption, figure)


def _classes(setup: Setup) -> dict[int, int]:
    """The classes of correctly classified pictures, those with most pictures first, and how many they have."""
    counts: dict[int, int] = {}
    for one in setup.of(""):
        known = np.isfinite(_values("object_out", one, None)[:, 0])
        for label, count in zip(*np.unique(one.values("label", _ONLY)[known, 0], return_counts=True), strict=True):
            counts[int(label)] = max(counts.get(int(label), 0), int(count))
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _of_class(kind: str, series: Series, label: int) -> Estimate:
    places = np.flatnonzero(series.values("label", _ONLY)[:, 0] == label)
    return estimate(Mean(_values(kind, series, [int(place) for place in places])))


def _class_table(name: str, setups: Sequence[Setup]) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for setup in setups:
        for label in _classes(setup):
            for one in setup.of(""):
                found = {kind: _of_class(kind, one, label)[0] for kind in _KINDS}
                if found["object_out"].n:
                    rows.append(
                        (setup.name, label, _class_name(label), one.masking, found["object_out"].n, *found.values())
                    )
    header = ("model", "class", "name", "masking", "n", *_KINDS.values())
    return Table(name, "The same for every class; names are those of ImageNet's classes.", header, tuple(rows),
                 shown=False)


def _class_figure(name: str, setup: Setup) -> list[Drawing]:
    """A panel for each masking with a line for each class; nothing if no class has two pictures."""
    every = _classes(setup)
    shown = list(every)[:_CLASSES]
    if not shown or every[shown[0]] < 2:
        return []
    series = setup.of("")
    figure, (line,) = panels(1, len(series))
    figure.set_size_inches(1.6 + 1.7 * len(series), 1.3 + 0.24 * len(shown))
    styles = styles_of(_KINDS.values())
    groups = [f"{_class_name(label) or label} ({every[label]})" for label in shown]
    for ax, one in zip(line, series, strict=True):
        found = {
            _KINDS[kind]: joined([_of_class(kind, one, label)[0] for label in shown]) for kind in _ACCURACIES
        }
        dots(groups, found, ax=ax, styles=styles)
        ax.set(title=title(one.masking), xlim=(-0.05, 1.05), xlabel="accuracy")
    count = pictures(np.isfinite(_values("object_out", one, None)).sum() for one in series)
    frame(figure, f"{setup.name}, {count}")
    of = f"the {len(shown)} of {len(every)} classes with most pictures" if len(shown) < len(every) else "every class"
    caption = (
        f"{setup.name}: the same for {of}, with the number of pictures of each; {count} pictures that are classified "
        "correctly when whole. Lines are 95 % bootstrap intervals over pictures."
    )
    return [Drawing(name, caption, figure)]


@lru_cache
def _class_name(label: int) -> str:
    """ImageNet's name of a class; "" beyond ImageNet, and where nobody knows the names."""
    try:
        return dict(enumerate(imagenet_labels())).get(label, "")
    except InputError:  # torchvision, which knows them, is not installed
        return ""


_TEXT = (
    "Of the pictures that the model classifies correctly, the object is masked out; and once more a mask of the same "
    "area, broken into four quarters that lie in the opposite corners. The first hides the object, but its shape may "
    "tell what it was; the second leaves much of the object. The wider the gap, the less comes from the mask's shape "
    "(section 4.2 of the paper, figures 6, 7, 10 and 11)."
)
_SCORES = (
    "Accuracy on the n pictures that are classified correctly when whole, with 95 % bootstrap intervals over pictures; "
    "the mean over pictures, and the mean over classes, in which each class counts the same."
)
