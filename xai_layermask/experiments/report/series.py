"""What a store holds, sorted into series: the same measurements of many pictures under one masking."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...catalog import masking_order
from ...errors import InputError
from ...stats.statistic import Floats
from .identity import Identity, names

if TYPE_CHECKING:
    from ..protocols import Row
    from ..store import Unit

__all__ = ["Cell", "Places", "Series", "Setup", "gather"]

#: What tells the rows of one picture apart, such as ("random", 0.5): the values of some columns.
Cell: TypeAlias = tuple[object, ...]
#: Places of pictures in a series; None for all of them.
Places: TypeAlias = Sequence[int] | None

@dataclass(eq=False)
class Series:
    """The measurements of many pictures under one masking and segmentation.

    Attributes:
        masking: The masking's name.
        segments: The segmentation's name; "" where the protocol has none.
    """

    masking: str
    segments: str
    _seen: dict[tuple[str, str], None] = field(default_factory=dict)
    _cells: dict[Cell, dict[str, array[float]]] = field(default_factory=dict)
    _texts: dict[Cell, dict[str, dict[int, str]]] = field(default_factory=dict)

    def add(
        self, picture: tuple[str, str], rows: Iterable[Row], keys: Sequence[str], texts: Sequence[str] = ()
    ) -> None:
        """Add a picture. One that is there already is left out: it is the same unit, from another store.

        Args:
            picture: Its name and its digest.
            rows: What was measured; words in other columns than these are left out.
            keys: The columns that tell the rows of one picture apart.
            texts: Columns whose words are kept.

        Raises:
            InputError: If they do not tell two rows apart.
        """
        if picture in self._seen:
            return
        here = set()
        for row in rows:
            cell = tuple(row.get(key) for key in keys)
            if cell in here:
                raise InputError(
                    f"the rows of {picture[0]} must differ in {' or '.join(keys) or 'nothing: only one is expected'}, "
                    f"but two with {cell} came: rebuild the store."
                )
            here.add(cell)
            columns = self._cells.setdefault(cell, {})
            for name, value in row.items():
                if isinstance(value, str):
                    if name in texts:
                        self._texts.setdefault(cell, {}).setdefault(name, {})[len(self._seen)] = value
                elif name not in keys:
                    column = columns.setdefault(name, array("d"))
                    column.extend([np.nan] * (len(self._seen) - len(column)))
                    column.append(np.nan if value is None else value)
        self._seen[picture] = None

    @cached_property
    def _order(self) -> list[int]:
        return sorted(range(len(self._seen)), key=list(self._seen).__getitem__)

    @cached_property
    def pictures(self) -> tuple[tuple[str, str], ...]:
        """Names and digests, sorted: the order of all values."""
        return tuple(sorted(self._seen))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """What was measured, in the order of its first appearance."""
        return tuple(self._cells)

    def values(self, column: str, cells: Sequence[Cell], places: Places = None) -> Floats:
        """The numbers of a column.

        Args:
            column: Its name.
            cells: Which rows.
            places: Which pictures.

        Returns:
            float64 `(n, len(cells))`; nan where a picture has no number.
        """
        table = np.full((len(cells), len(self._seen)), np.nan)
        for line, cell in zip(table, cells, strict=True):
            known = self._cells.get(cell, {}).get(column, ())
            line[: len(known)] = known
        ordered = table.T[self._order]
        return ordered if places is None else ordered[list(places)]

    def texts(self, column: str, cell: Cell, places: Places = None) -> list[str | None]:
        """The words of a column.

        Args:
            column: Its name.
            cell: Which rows.
            places: Which pictures.

        Returns:
            n words; None where a picture has none.
        """
        known = self._texts.get(cell, {}).get(column, {})
        ordered = [known.get(place) for place in self._order]
        return ordered if places is None else [ordered[place] for place in places]


@dataclass(frozen=True, eq=False)
class Setup:
    """All series of one protocol and model that may be compared.

    Attributes:
        name: The model, and what else tells this setup from the others.
        identity: What its units have in common.
        series: By segmentation and masking.
    """

    name: str
    identity: Identity
    series: Mapping[tuple[str, str], Series]

    @property
    def segments(self) -> tuple[str, ...]:
        """The segmentations, in alphabetical order."""
        return tuple(sorted({segments for segments, _ in self.series}))

    def of(self, segments: str) -> list[Series]:
        """The series of one segmentation, baselines first and layer masking after them."""
        found = [one for (cut, _), one in self.series.items() if cut == segments]
        return sorted(found, key=lambda one: masking_order(one.masking))

    def cells(self) -> list[Cell]:
        """What was measured in any series, in the order of its first appearance."""
        return list(dict.fromkeys(cell for one in self.series.values() for cell in one.cells))

    def missing(self) -> list[str]:
        """What some series have and others lack, in sentences."""
        every = {picture for one in self.series.values() for picture in one.pictures}
        found = [
            f"{self.name}: {one.masking}{f' with {one.segments}' if one.segments else ''} lacks "
            f"{len(every) - len(one.pictures)} of {len(every)} pictures."
            for one in self.series.values()
            if len(one.pictures) < len(every)
        ]
        pairs = {(cut, masking) for cut in self.segments for masking in {masking for _, masking in self.series}}
        found += [
            f"{self.name}: {masking} with {cut} was not measured." for cut, masking in sorted(pairs - set(self.series))
        ]
        changed = len(every) - len({name for name, _ in every})
        if changed:
            found.append(
                f"{self.name}: {changed} more versions of pictures than names: pictures, masks or labels changed "
                "between two runs, and every version counts as a picture."
            )
        return found


def gather(
    measured: Iterable[tuple[Unit, Sequence[Row]]],
    keys: Mapping[str, Sequence[str]],
    texts: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, list[Setup]]:
    """Sort everything in a store.

    Args:
        measured: Units with their rows, in any order; a unit that comes again counts once.
        keys: For each protocol the columns that tell the rows of one picture apart.
        texts: For some protocols the columns whose words are kept.

    Returns:
        The setups of every protocol that is in `keys`, sorted by name.
    """
    found: dict[str, dict[Identity, dict[tuple[str, str], Series]]] = {}
    for unit, rows in measured:
        if unit.protocol not in keys:
            continue
        identity = Identity(*(getattr(unit, one.name) for one in dataclasses.fields(Identity)))
        group = found.setdefault(unit.protocol, {}).setdefault(identity, {})
        series = group.setdefault((unit.segments, unit.masking), Series(unit.masking, unit.segments))
        series.add((unit.picture, unit.picture_digest), rows, keys[unit.protocol], texts.get(unit.protocol, ()))
    return {
        protocol: [
            Setup(name, identity, dict(sorted(groups[identity].items())))
            for identity, name in zip(sorted(groups), names(sorted(groups)), strict=True)
        ]
        for protocol, groups in sorted(found.items())
    }
