"""The paper's tables and figures from any store: with intervals, with paired comparisons, with what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from ... import __version__
from . import ablation, collapse, colours, lime, linearity, mask_shape, robustness
from .pages import write
from .section import Section
from .series import Setup, gather
from .tables import Entry, Table

if TYPE_CHECKING:
    from ..protocols import Row
    from ..store import Unit

__all__ = ["PARTS", "Report", "sections", "write_report"]

#: What reports each protocol.
PARTS: MappingProxyType[str, ModuleType] = MappingProxyType({
    "robustness": robustness,
    "lime": lime,
    "mask-shape": mask_shape,
    "linearity": linearity,
    "collapse": collapse,
    "ablation": ablation,
    "colours": colours,
})


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        files: All files, the page first.
        missing: What the store lacks, in sentences.
    """

    files: tuple[Path, ...]
    missing: tuple[str, ...]


def sections(
    measured: Iterable[tuple[Unit, Sequence[Row]]],
    advance: Callable[[str], object] = lambda doing: None,
    protocols: Sequence[str] = (),
) -> list[Section]:
    """Make the report of what was measured.

    Args:
        measured: Units with their rows, as [`Store.rows`][xai_layermask.experiments.store.Store.rows] gives them; a
            unit that comes again counts once.
        advance: Is told what is done next.
        protocols: The protocols that are expected among them; all if there are none.

    Returns:
        A section for each protocol that was measured, in the order of the paper, one that says with what, and one that
        names the protocols that were expected.
    """
    strange: dict[str, int] = {}

    def known(pairs: Iterable[tuple[Unit, Sequence[Row]]]) -> Iterable[tuple[Unit, Sequence[Row]]]:
        for unit, rows in pairs:
            if unit.protocol in PARTS:
                yield unit, rows
            else:
                strange[unit.protocol] = strange.get(unit.protocol, 0) + 1

    found = gather(known(measured), {name: part.KEYS for name, part in PARTS.items()}, {"collapse": collapse.TEXTS})
    made: list[Section] = []
    for name, part in PARTS.items():
        if name in found:
            advance(f"intervals and figures of {name}")
            made.append(part.section(found[name]))
    lacking = [
        f"{name}: measure it with xai-layermask evaluate {name}."
        for name in PARTS
        if name not in found and name in (protocols or PARTS)
    ]
    lacking += [
        f"{name}: no report knows this protocol, of which there are {count} units." for name, count in strange.items()
    ]
    if found:
        text = "What the numbers are of: measurements of different setups are never mixed."
        made.append(Section("Setups", text, (_setups(found),)))
    return made + ([Section("Not in the store", "", missing=tuple(lacking))] if lacking else [])


def write_report(
    measured: Iterable[tuple[Unit, Sequence[Row]]],
    out: str | Path,
    source: str,
    advance: Callable[[str], object] = lambda doing: None,
    protocols: Sequence[str] = (),
) -> Report:
    """Write the tables and figures of what was measured, and a page that shows all of them.

    Args:
        measured: Units with their rows, as [`Store.rows`][xai_layermask.experiments.store.Store.rows] gives them.
        out: The folder; it is made if there is none.
        source: Where the measurements come from, for the page.
        advance: Is told what is done next.
        protocols: The protocols that are expected among them; all if there are none.

    Returns:
        What was written.

    Raises:
        InputError: If the folder cannot be written.
    """
    made = sections(measured, advance, protocols)
    facts = (
        f"From {source}, by xai-layermask {__version__}.",
        (
            "Numbers in brackets are 95 % bootstrap intervals over pictures: pictures are drawn with replacement, and "
            "everything is computed anew. They say how much other pictures of this kind could change the number, not "
            "how much other kinds of pictures or another training of the model could. Of few pictures they are too "
            "narrow, and where all pictures agree they have no width."
        ),
    )
    advance("writing tables and figures")
    files = write(Path(out), "Layer masking: what was measured", facts, made)
    lacking = [f"{section.title}: {sentence}" for section in made for sentence in section.missing]
    return Report(tuple(files), tuple(lacking))


def _setups(found: Mapping[str, Sequence[Setup]]) -> Table:
    """Everything that determines the numbers of each setup."""
    rows: list[tuple[Entry, ...]] = []
    for protocol, setups in found.items():
        for one in setups:
            pictures = {picture for series in one.series.values() for picture in series.pictures}
            identity = one.identity
            rows.append((
                protocol, one.name, len(pictures), sum(len(series.pictures) for series in one.series.values()),
                identity.settings, identity.precision, str(identity.seed), identity.version, identity.model_digest[:12],
            ))
    header = ("protocol", "model", "n", "units", "settings", "precision", "seed", "version", "weights")
    return Table("setups", "A setup in each row, with its n pictures.", header, tuple(rows))
