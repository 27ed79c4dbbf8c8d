"""The paper's numbers beside yours: every cell that has a counterpart, and tables in the paper's layout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...catalog import title
from ...stats import Interval
from ..paper import Counterpart, PaperValue, counterpart, paper_value
from ..protocols import PROTOCOLS
from ..protocols.removal import ORDERS
from ..protocols.robustness import Robustness
from .series import Setup
from .tables import Entry, Table

__all__ = ["beside_paper"]


@dataclass(frozen=True)
class _Layout:
    """Where the paper has the cells of a report's table.

    Attributes:
        source: Name of the report's table, after the protocol's.
        metrics: The paper's metric by title of a column.
        lines: What distinguishes the rows of the paper's table.
        columns: What distinguishes its columns.
    """

    metrics: Mapping[str, str]
    lines: tuple[str, ...]
    columns: tuple[str, ...]
    source: str = ""
    fixed: Mapping[str, str] = field(default_factory=dict)


_CURVES = {
    "accuracy ↑": "accuracy", "class entropy ↑": "class entropy", "WordNet similarity ↑": "WordNet similarity",
    "unchanged predictions ↑": "unchanged predictions",
}  # fmt: skip
_LIME = {
    "top-20 ablation accuracy ↓": "top-20 ablation accuracy", "alignment ↑": "alignment score",
    "top-20 Jaccard ↑": "top-20 Jaccard similarity",
}  # fmt: skip
_REMOVAL = _Layout(_CURVES, ("metric", "masking"), ("segments", "order"))
_AVERAGE = _Layout(_CURVES, ("masking",), ("metric",), "-average", {"segments": "mean", "order": "mean"})
_LAYOUTS: Mapping[str, tuple[_Layout, ...]] = {
    "robustness": (_REMOVAL, _AVERAGE),
    "ablation": (_REMOVAL, _AVERAGE),
    "colours": (),
    "lime": (_Layout(_LIME, ("masking",), ("metric", "segments")),),
    "linearity": (_Layout({"cosine of whole and sum ↑": "linearity"}, ("size",), ("masking",)),),
}


@dataclass(frozen=True)
class _Cell:
    """A number of yours, with where it stands and the paper's number."""

    place: Mapping[str, str]
    n: int
    ours: Interval
    theirs: PaperValue


def beside_paper(protocol: str, setups: Sequence[Setup], tables: Sequence[Table]) -> list[Table]:
    """Compare the tables of a protocol with the paper's.

    Args:
        protocol: The protocol.
        setups: Its setups.
        tables: The tables of its section.

    Returns:
        For each setup with a counterpart in the paper, a table in the paper's layout; and a table of all cells.
    """
    by_name = {table.name: table for table in tables}
    made: list[Table] = []
    everything: list[tuple[Entry, ...]] = []
    for layout in _LAYOUTS.get(protocol, ()):
        source = by_name.get(protocol + layout.source)
        for place, setup in enumerate(setups if source else (), start=1):
            network = counterpart(setup.identity.model)
            if layout is _AVERAGE and not _averages_as_table_3(setup):
                continue
            cells = _cells(source, setup, layout, network) if source and network else []
            if not network or not cells:
                continue
            caption = _caption(setup, network, protocol, cells)
            made.append(_pivoted(f"{protocol}-paper{layout.source}-{place}", caption, layout, cells))
            everything += [
                (setup.name, network.model, cell.theirs.table, *(cell.place.get(one, "") for one in _PLACES), cell.n,
                 cell.ours, cell.theirs.value)
                for cell in cells
            ]  # fmt: skip
    if everything:
        header = ("model", "paper's network", "paper's table", *_PLACES, "n", "ours", "paper")
        caption = "Every number that has a counterpart in the paper."
        made.append(Table(f"{protocol}-paper", caption, header, tuple(everything), shown=False))
    return made


_PLACES = ("segments", "order", "size", "masking", "metric")


def _averages_as_table_3(setup: Setup) -> bool:
    """Whether the setup has the segmentations and orders of the paper, and no others."""
    orders = {value for key in setup.keys for value in key if value in ORDERS}
    return set(setup.segments) == set(Robustness.segments) and orders == set(ORDERS)


def _cells(table: Table, setup: Setup, layout: _Layout, network: Counterpart) -> list[_Cell]:
    found = []
    for row in table.rows:
        here = dict(zip(table.header, row, strict=True))
        if here["model"] != setup.name:
            continue
        segments = str(here.get("segments") or layout.fixed.get("segments") or f"patches:{here.get('size', '')}")
        order = str(here.get("order") or layout.fixed.get("order", ""))
        keys = ("segments", "order", "size", "masking")
        place: dict[str, str] = {key: str(here[key]) for key in keys if key in here}
        for head, metric in layout.metrics.items():
            ours, n = here.get(head), here["n"]
            theirs = paper_value(network.model, segments, order, metric, str(here["masking"]))
            if isinstance(ours, Interval) and isinstance(n, int) and ours.n and theirs is not None:
                found.append(_Cell({**place, "metric": metric}, n, ours, theirs))
    return found


def _pivoted(name: str, caption: str, layout: _Layout, cells: Sequence[_Cell]) -> Table:
    """A table in the paper's layout, with yours and the paper's number in each cell."""
    columns = list(dict.fromkeys(tuple(cell.place.get(one, "") for one in layout.columns) for cell in cells))
    lines: dict[tuple[str, ...], dict[tuple[str, ...], _Cell]] = {}
    for cell in sorted(cells, key=lambda cell: list(layout.metrics.values()).index(cell.place["metric"])):
        line = lines.setdefault(tuple(cell.place.get(one, "") for one in layout.lines), {})
        line[tuple(cell.place.get(one, "") for one in layout.columns)] = cell
    rows: tuple[tuple[Entry, ...], ...] = tuple(
        (*map(title, line), max(cell.n for cell in of.values()), *(_text(of.get(column)) for column in columns))
        for line, of in lines.items()
    )
    header = (*layout.lines, "n", *(", ".join(map(title, column)) for column in columns))
    return Table(name, caption, header, rows)


def _text(cell: _Cell | None) -> str:
    return "-" if cell is None else f"{cell.ours.value:.3f} ({cell.theirs.value:.3f})"


def _caption(setup: Setup, network: Counterpart, protocol: str, cells: Sequence[_Cell]) -> str:
    tables = ", ".join(dict.fromkeys(cell.theirs.table for cell in cells))
    kind = "the same architecture" if network.same else "the nearest of the paper's networks"
    changed = _changed(setup, protocol)
    settings = f" Settings that differ: {', '.join(changed)}." if changed else ""
    return (
        f"{setup.name}, and in parentheses {network.model} ({kind}), table {tables} of the paper. Weights, pictures "
        "and masks differ: the paper measures thousands of ImageNet pictures with masks of Salient ImageNet and Pixel "
        f"ImageNet, so compare the order of the maskings rather than the level.{settings}"
    )


def _changed(setup: Setup, protocol: str) -> list[str]:
    """The settings and segmentations that are not the paper's."""
    own, papers = json.loads(setup.identity.settings), json.loads(PROTOCOLS[protocol]().settings())
    if "orders" in papers:
        papers["orders"] = list(ORDERS)  # an ablation has one by default
        own["orders"] = sorted(own.get("orders", ORDERS), key=ORDERS.index)  # measured independently of each other
    pairs = ((name, own.get(name, value), value) for name, value in papers.items())
    found = [f"{name} {mine} instead of {value}" for name, mine, value in pairs if mine != value]
    return found + [f"{cut} instead of slic:196" for cut in setup.segments if cut[:4] == "slic" and cut != "slic:196"]
