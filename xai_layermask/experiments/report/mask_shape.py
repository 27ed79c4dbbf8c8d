"""What the shape of the mask tells the model: section 4.2, figures 6, 7, 10 and 11."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from ...catalog import title
from ...errors import InputError
from ...models import imagenet_labels
from ...plots import bars, styles_of
from ...stats import ClassMean, Floats, Interval, Mean, Statistic, estimate, joined
from .figures import add_frame, dots, drawable, panels
from .section import Column, Measure, ReportFigure, Section, comparisons, count_text, missing, summary
from .series import ONLY, Indices, Key, Series, Setup
from .tables import Entry, Table

__all__ = ["COLUMNS", "TEXTS", "section"]

COLUMNS: tuple[str, ...] = ()
TEXTS = ("name",)
_KINDS = {"object_out": "object masked out", "broken_out": "broken mask", "gap": "broken minus object"}
_ACCURACIES = tuple(_KINDS)[:2]
_CLASSES, _FEWEST = 24, 2  # most classes in a figure, and fewest pictures of each

# The number of pictures of each class; and for each class and masking, the intervals of all kinds.
_ClassCounts = Mapping[int, int]
_ClassIntervals = Mapping[tuple[int, str], Mapping[str, Interval]]


def _values(kind: str, series: Series, indices: Indices) -> Floats:
    """Whether each picture keeps its label, or the gap, `(n, 1)`; nan for pictures misclassified when whole."""
    if kind == "gap":
        return _values("broken_out", series, indices) - _values("object_out", series, indices)
    label, kept, found = (series.values(name, ONLY, indices) for name in ("label", "kept", kind))
    return np.where((kept == 1) & np.isfinite(found), found == label, np.nan)


def _over_pictures(kind: str, series: Series, keys: Sequence[Key], indices: Indices) -> Statistic:
    return Mean(_values(kind, series, indices))


def _over_classes(kind: str, series: Series, keys: Sequence[Key], indices: Indices) -> Statistic:
    return ClassMean(_values(kind, series, indices), series.values("label", ONLY, indices)[:, 0])


_BLOCKS = {
    unit: [
        Column(Measure(name, partial(mean, kind), "higher" if kind == "gap" else "")) for kind, name in _KINDS.items()
    ]
    for unit, mean in (("pictures", _over_pictures), ("classes", _over_classes))
}


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `mask-shape`: accuracies with both masks and their gap, on average and for every class."""
    counts = [_class_counts(setup) for setup in setups]
    intervals = [_class_intervals(setup, every) for setup, every in zip(setups, counts, strict=True)]
    tables = (
        summary("mask-shape", _CAPTION, setups, _BLOCKS, "mean over"),
        comparisons("mask-shape-differences", setups, _BLOCKS, "mean over"),
        _class_table("mask-shape-classes", setups, counts, intervals),
    )
    figures = []
    for place, (setup, every, found) in enumerate(zip(setups, counts, intervals, strict=True), start=1):
        figures += [_averages(f"mask-shape-{place}", setup)]
        figures += _class_figure(f"mask-shape-{place}-classes", setup, every, found)
    none = [
        f"{setup.name}: no picture is classified correctly when whole, so there are no numbers."
        for setup, every in zip(setups, counts, strict=True)
        if not every
    ]
    return Section("Mask shape", _TEXT, tables, tuple(figures), (*missing(setups), *none))


def _averages(name: str, setup: Setup) -> ReportFigure:
    """Both accuracies of every masking, and beside them the gap."""
    series = setup.of("")
    found = {
        kind: drawable(joined([column.interval(setup, one) for one in series]))
        for kind, column in zip(_KINDS, _BLOCKS["pictures"], strict=True)
    }
    count = count_text(n for one in found.values() for n in one.n)
    figure, ((left, right),) = panels(1, 2, shared=False)
    groups = [title(one.masking).replace(" ", "\n").replace(":", ":\n") for one in series]
    figure.set_size_inches(max(6.0, 1.6 * len(groups) + 1), 3.2)
    styles = styles_of(_KINDS.values())
    bars(groups, {_KINDS[kind]: found[kind] for kind in _ACCURACIES}, ax=left, styles=styles)
    bars(groups, {_KINDS["gap"]: found["gap"]}, ax=right, styles=styles)
    left.set(ylabel="accuracy", ylim=(0, 1))
    right.set(ylabel="difference in accuracy")
    add_frame(figure, f"{setup.name}, {count}")
    caption = (
        f"{setup.name}: accuracy with the object masked out and with the broken mask, and their difference; {count} "
        "pictures that are classified correctly when whole. Lines are 95 % bootstrap intervals over pictures."
    )
    return ReportFigure(name, caption, figure)


def _class_counts(setup: Setup) -> _ClassCounts:
    """The classes of correctly classified pictures, the most frequent first, with their numbers of pictures."""
    counts: dict[int, int] = {}
    for one in setup.of(""):
        known = np.isfinite(_values("object_out", one, None)[:, 0])
        for label, count in zip(*np.unique(one.values("label", ONLY)[known, 0], return_counts=True), strict=True):
            counts[int(label)] = max(counts.get(int(label), 0), int(count))
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _class_intervals(setup: Setup, counts: _ClassCounts) -> _ClassIntervals:
    found = {}
    for one in setup.of(""):
        labels = one.values("label", ONLY)[:, 0]
        for label in counts:
            indices = np.flatnonzero(labels == label).tolist()
            found[label, one.masking] = {
                kind: estimate(Mean(_values(kind, one, indices)))[0] for kind in _KINDS
            }
    return found


def _class_table(
    name: str, setups: Sequence[Setup], counts: Sequence[_ClassCounts], intervals: Sequence[_ClassIntervals]
) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for setup, every, found in zip(setups, counts, intervals, strict=True):
        names = _class_names(setup)
        for label in every:
            for one in setup.of(""):
                numbers = found[label, one.masking]
                n = numbers["object_out"].n
                if n:
                    rows.append((setup.name, label, names.get(label, ""), one.masking, n, *numbers.values()))
    header = ("model", "class", "name", "masking", "n", *_KINDS.values())
    caption = "The same for every class, with the model's names of classes."
    return Table(name, caption, header, tuple(rows), shown=False)


def _class_figure(name: str, setup: Setup, counts: _ClassCounts, intervals: _ClassIntervals) -> list[ReportFigure]:
    """A panel for each masking with a line for each class; nothing if no class has two pictures."""
    shown = _telling_classes(setup, counts, intervals)
    if not shown:
        return []
    series, names = setup.of(""), _class_names(setup)
    figure, (line,) = panels(1, len(series))
    figure.set_size_inches(1.6 + 1.7 * len(series), 1.3 + 0.24 * len(shown))
    styles = styles_of(_KINDS.values())
    groups = [f"{names.get(label) or label} ({counts[label]})" for label in shown]
    for ax, one in zip(line, series, strict=True):
        found = {
            _KINDS[kind]: drawable(joined([intervals[label, one.masking][kind] for label in shown]))
            for kind in _ACCURACIES
        }
        dots(groups, found, ax=ax, styles=styles)
        ax.set(title=title(one.masking), xlim=(-0.05, 1.05), xlabel="accuracy")
    count = count_text(np.isfinite(_values("object_out", one, None)).sum() for one in series)
    add_frame(figure, f"{setup.name}, {count}")
    of = f"{len(shown)} of {len(counts)} classes" if len(shown) < len(counts) else "every class"
    layer = _telling_masking([one.masking for one in series])
    caption = (
        f"{setup.name}: the same for {of}, with at least {_FEWEST} pictures and the largest differences between "
        f"maskings, the widest gap of {title(layer)} first; {count} pictures that are "
        "classified correctly when whole, and their number for each class. They are chosen by the result, as in figure "
        "6 of the paper: the averages above are the evidence. Lines are 95 % bootstrap intervals over pictures."
    )
    return [ReportFigure(name, caption, figure)]


def _telling_classes(setup: Setup, counts: _ClassCounts, intervals: _ClassIntervals) -> list[int]:
    """The classes whose gap differs most between layer masking (or the last masking) and the mean of the others.

    Classes of at least two pictures, sorted by that difference, the largest first.
    """
    maskings = [one.masking for one in setup.of("")]
    last = _telling_masking(maskings)
    others = [name for name in maskings if name in ("black", "grey") and name != last]
    others = others or [name for name in maskings if name != last]
    ahead = {}
    for label in (label for label, count in counts.items() if count >= _FEWEST):
        gaps = {name: intervals[label, name]["gap"].value for name in (last, *others)}
        baseline = np.mean([gaps[name] for name in others]) if others else 0.0
        if np.isfinite(gaps[last] - baseline):
            ahead[label] = float(gaps[last] - baseline)
    largest = sorted(ahead, key=lambda label: (-abs(ahead[label]), -counts[label], label))[:_CLASSES]
    return sorted(largest, key=lambda label: (-ahead[label], -counts[label], label))


def _telling_masking(maskings: Sequence[str]) -> str:
    return "layer" if "layer" in maskings else maskings[-1]


def _class_names(setup: Setup) -> dict[int, str]:
    """The names that the rows have from the model; ImageNet's if no row has one."""
    found: dict[int, str] = {}
    for one in setup.of(""):
        for label, name in zip(one.values("label", ONLY)[:, 0], one.texts("name", ()), strict=True):
            if name is not None and np.isfinite(label):
                found[int(label)] = name
    try:
        return found or dict(enumerate(imagenet_labels()))
    except InputError:  # torchvision, which has the names, is not installed
        return {}


_TEXT = (
    "Of the pictures that the model classifies correctly, the object is masked out; then a mask of the same area, "
    "broken into four quarters that lie in the opposite corners. The first hides the object, but its shape may reveal "
    "what it was. The second leaves much of the object. The wider the gap, the less the mask's shape reveals (section "
    "4.2 of the paper, figures 6, 7, 10 and 11)."
)
_CAPTION = (
    "Accuracy on the n pictures that are classified correctly when whole, with 95 % bootstrap intervals over pictures; "
    "the mean over pictures, and the mean over classes, in which each class counts the same."
)
