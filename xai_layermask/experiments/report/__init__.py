"""The paper's tables and figures from a store: with intervals, paired comparisons, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from ... import __version__
from . import ablation, collapse, colours, lime, linearity, mask_shape, robustness
from .beside import beside_paper
from .folder import check_folder
from .foreign import are_settings, has_columns, required_columns
from .pages import write
from .section import Section
from .series import Setup, group_results
from .tables import FEW, Entry, Table

if TYPE_CHECKING:
    from ..protocols import Row
    from ..trial import Trial

__all__ = ["SECTIONS", "Report", "check_folder", "sections", "write_report"]

#: The module that reports each protocol.
SECTIONS: MappingProxyType[str, ModuleType] = MappingProxyType({
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
    """The outcome of [`write_report`][].

    Attributes:
        files: All files, the page first.
        missing: Sentences about what the store lacks.
    """

    files: tuple[Path, ...]
    missing: tuple[str, ...]


def sections(
    results: Iterable[tuple[Trial, Sequence[Row]]],
    advance: Callable[[str], object] = lambda step: None,
    protocols: Sequence[str] = (),
) -> list[Section]:
    """Make the sections of a report.

    Args:
        results: Trials with their rows, as [`Store.rows`][xai_layermask.experiments.store.Store.rows] yields them. A
            trial that appears twice counts once.
        advance: Called with the name of each step.
        protocols: The protocols that are expected, if any.

    Returns:
        A section for each protocol in the order of the paper, one with the setups, and one with the protocols that are
        expected and missing.
    """
    unknown: Counter[str] = Counter()
    foreign: Counter[str] = Counter()

    def known() -> Iterable[tuple[Trial, Sequence[Row]]]:
        for trial, rows in results:
            if trial.protocol not in SECTIONS:
                unknown[trial.protocol] += 1
            elif not (are_settings(trial.settings) and has_columns(trial.protocol, rows)):
                foreign[trial.protocol] += 1
            else:
                yield trial, rows

    columns = {name: module.COLUMNS for name, module in SECTIONS.items()}
    found = group_results(known(), columns, {"collapse": collapse.TEXTS, "mask-shape": mask_shape.TEXTS})
    made: list[Section] = []
    for name, module in SECTIONS.items():
        if name in found:
            advance(f"intervals and figures of {name}")
            section = module.section(found[name])
            made.append(replace(section, tables=(*section.tables, *beside_paper(name, found[name], section.tables))))
    lacking = [
        f"{name}: measure it with xai-layermask evaluate {name}."
        for name in SECTIONS
        if name in protocols and name not in found
    ]
    lacking += [
        f"{name}: {count} trials are left out, since they lack settings or the columns {required_columns(name)}."
        for name, count in foreign.items()
    ]
    lacking += [f"{name}: no report covers this protocol, which has {count} trials." for name, count in unknown.items()]
    if found:
        made.append(Section("Setups", "The settings behind the numbers. Setups are never mixed.", (_setups(found),)))
    return made + ([Section("Not in the store", "", missing=tuple(lacking))] if lacking else [])


def write_report(
    results: Iterable[tuple[Trial, Sequence[Row]]],
    out: str | Path,
    source: str,
    advance: Callable[[str], object] = lambda step: None,
    protocols: Sequence[str] = (),
    overwrite: bool = False,
) -> Report:
    """Write the tables and figures of results, and a page that shows all of them.

    Args:
        results: As for [`sections`][].
        out: The folder, which is created if it does not exist.
        source: The origin of the results, for the page.
        advance: Called with the name of each step.
        protocols: The protocols that are expected, if any.
        overwrite: Whether files of others may be overwritten.

    Raises:
        InputError: If the folder cannot be written, or a file of another program would be overwritten.
    """
    check_folder(out, overwrite)
    made = sections(results, advance, protocols)
    facts = (
        f"From {source}, by xai-layermask {__version__}.",
        (
            "Numbers in brackets are 95 % bootstrap intervals over pictures: pictures are drawn with replacement, and "
            "everything is computed again. They say how much other pictures of this kind could change a number, not "
            "how much other kinds of pictures or another training of the model could. With few pictures they are too "
            f"narrow: fewer than {FEW} are too few for an interval, and tables have the value only. Where all pictures "
            "agree, intervals have no width."
        ),
    )
    advance("writing tables and figures")
    files = write(Path(out), "Layer masking: results", facts, made, overwrite)
    lacking = [f"{section.title}: {sentence}" for section in made for sentence in section.missing]
    return Report(tuple(files), tuple(lacking))


def _setups(found: Mapping[str, Sequence[Setup]]) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for protocol, setups in found.items():
        for one in setups:
            pictures = {picture for series in one.series.values() for picture in series.pictures}
            trials = sum(len(series.pictures) for series in one.series.values())
            identity = one.identity
            rows.append((
                protocol, one.name, len(pictures), trials, identity.settings, identity.precision, str(identity.seed),
                identity.version, identity.model_digest[:12],
            ))  # fmt: skip
    header = ("protocol", "model", "n", "trials", "settings", "precision", "seed", "version", "weights")
    return Table("setups", "One setup in each row, with its n pictures.", header, tuple(rows))
