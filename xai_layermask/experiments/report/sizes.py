"""Measures against a size, such as the side of a tile: what the sections of linearity and collapse share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ...plots import curves, styles_of
from .figures import add_frame, drawable, panels
from .section import Column, Measure, ReportFigure, comparisons, count_text, summary
from .series import Key, Series, Setup
from .tables import Table

__all__ = ["size_figures", "size_tables"]


def _size_keys(setup: Setup) -> list[Key]:
    """The keys of the setup, the largest size first."""
    found = (key for key in setup.keys if isinstance(key[0], (int, float)))
    return sorted(found, reverse=True)


def size_tables(name: str, caption: str, setups: Sequence[Setup], measures: Sequence[Measure]) -> tuple[Table, ...]:
    """Tables of every measure at every size, and of the differences between maskings.

    Args:
        name: File name of the first table.
        caption: Its caption.
        setups: The setups.
        measures: The measures; keys are `(size,)`.
    """
    keys = sorted({key for setup in setups for key in _size_keys(setup)}, reverse=True)
    if not keys:
        return ()
    blocks = {f"{key[0]:g}": [Column(measure, key, _size_keys) for measure in measures] for key in keys}
    return (
        summary(name, caption, setups, blocks, "size"),
        comparisons(f"{name}-differences", setups, blocks, "size"),
    )


def size_figures(
    name: str,
    setups: Sequence[Setup],
    measures: Sequence[Measure],
    axis: str,
    shown: str,
    log_scale: bool = False,
    references: Mapping[str, tuple[str, Callable[[Series, float], float]]] = MappingProxyType({}),
) -> tuple[ReportFigure, ...]:
    """Figures with a panel for each measure, and in it a curve over the sizes for each masking.

    Args:
        name: Beginning of the file names.
        setups: The setups.
        measures: The measures; keys are `(size,)`.
        axis: Label of the horizontal axis.
        shown: What the figure shows, for the caption.
        log_scale: Whether sizes are powers of two.
        references: For measures by their titles, a curve to compare with: its name, and a function that returns its
            value for a series at a size, nan for none.
    """
    figures = []
    for place, setup in enumerate(setups, start=1):
        keys = _size_keys(setup)
        for segments in setup.segments if keys else ():
            series = setup.of(segments)
            figure, (line,) = panels(1, len(measures), shared=False)
            styles = styles_of(one.masking for one in series)
            counts: list[int] = []
            for ax, measure in zip(line, measures, strict=True):
                found = {one.masking: drawable(one.estimate(measure.of, keys)) for one in series}
                counts += [int(n) for one in found.values() for n in one.n]
                sizes = [float(key[0]) for key in keys]  # type: ignore[arg-type]
                curves(sizes, found, ax=ax, styles=styles)
                if measure.title in references:
                    label, of = references[measure.title]
                    reference = [of(series[0], size) for size in sizes]
                    if np.isfinite(reference).any():
                        ax.plot(sizes, reference, "--", color="0.3", linewidth=1, label=label)
                if log_scale:
                    ax.set_xscale("log", base=2)
                    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
                    ax.minorticks_off()
                ax.set_xlabel(axis)
                ax.set_title(measure.title, fontsize="medium")
                ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
            count = count_text(counts)
            add_frame(figure, f"{setup.name}, {count}")
            caption = f"{setup.name}: {shown}; {count} pictures. Bands are 95 % bootstrap intervals over pictures."
            figures.append(ReportFigure(f"{name}-{place}{f'-{segments}' if segments else ''}", caption, figure))
    return tuple(figures)
