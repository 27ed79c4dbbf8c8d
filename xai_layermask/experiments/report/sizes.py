"""Measures against a size, such as the side of a part: what the reports of linearity and collapse have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ...plots import styles_of
from ...stats.intervals import estimate
from ...stats.statistic import Statistic
from .figures import curves, frame, panels
from .section import DIFFERENCES, Drawing, Measure, comparisons, pictures, summary
from .series import Cell, Places, Series, Setup
from .tables import Table

__all__ = ["Kinds", "drawing", "sizes_of", "tables"]

#: Measures under their titles, each with the direction that is better, or "".
Kinds = Mapping[str, tuple[Callable[[Sequence[Cell], Series, Places], Statistic], str]]


def sizes_of(setups: Sequence[Setup]) -> list[float]:
    """The sizes that were measured, the largest first."""
    known = {cell[0] for setup in setups for cell in setup.cells()}
    return sorted((size for size in known if isinstance(size, (int, float))), reverse=True)


def tables(name: str, scores: str, setups: Sequence[Setup], kinds: Kinds) -> tuple[Table, Table]:
    """Every measure at every size, and the differences between maskings.

    Args:
        name: The protocol's name.
        scores: What the first table shows.
        setups: The setups.
        kinds: The measures.

    Returns:
        The two tables.
    """
    measures = {
        f"{size:g}": [Measure(title, partial(of, [(size,)]), better) for title, (of, better) in kinds.items()]
        for size in sizes_of(setups)
    }
    return (
        summary(name, scores, setups, measures, "size"),
        comparisons(f"{name}-differences", DIFFERENCES, setups, measures, "size"),
    )


def drawing(name: str, setup: Setup, cut: str, kinds: Kinds, axis: str, shown: str, doubling: bool = False) -> Drawing:
    """A panel for each measure, in it a line over the sizes for each masking.

    Args:
        name: What the figure's files are called.
        setup: The setup.
        cut: The segmentation, or "".
        kinds: The measures.
        axis: What a size is.
        shown: What the figure shows, for its caption.
        doubling: Whether sizes go up in powers of two, and are spaced so.

    Returns:
        The drawing.
    """
    series, sizes = setup.of(cut), sizes_of([setup])
    cells = [(size,) for size in sizes]
    figure, (line,) = panels(1, len(kinds), shared=False)
    styles = styles_of(one.masking for one in series)
    counts: list[int] = []
    for ax, (title, (of, _)) in zip(line, kinds.items(), strict=True):
        found = {one.masking: estimate(of(cells, one, None)) for one in series}
        counts += [int(n) for one in found.values() for n in one.n]
        curves(sizes, found, ax=ax, styles=styles)
        if doubling:
            ax.set_xscale("log", base=2)
            ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
            ax.minorticks_off()
        ax.set_xlabel(axis)
        ax.set_title(title, fontsize="medium")
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    count = pictures(counts)
    frame(figure, f"{setup.name}, {count}")
    caption = f"{setup.name}: {shown}; {count} pictures. Bands are 95 % bootstrap intervals over pictures."
    return Drawing(name, caption, figure)
