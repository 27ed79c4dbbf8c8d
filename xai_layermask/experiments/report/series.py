"""The content of a store, sorted into series: measurements of many pictures under one masking."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...catalog import masking_order
from ...errors import InputError
from ...stats import Estimate, Floats, Statistic, estimate
from .identity import Identity, setup_names

if TYPE_CHECKING:
    from ..protocols import Row
    from ..trial import Trial

__all__ = ["ONLY", "Indices", "Key", "Measured", "Series", "Setup", "group_results"]

#: The values that distinguish the rows of one picture, such as ("random", 0.5).
Key: TypeAlias = tuple[object, ...]
#: The keys of a protocol with one number per picture.
ONLY: tuple[Key, ...] = ((),)
#: Indices of pictures in a series; None for all of them.
Indices: TypeAlias = Sequence[int] | None
#: A statistic of some pictures of a series, with one number for each key.
Measured: TypeAlias = Callable[["Series", Sequence[Key], Indices], Statistic]


@dataclass(eq=False)
class Series:
    """The measurements of many pictures under one masking and segmentation ("" if the protocol has none)."""

    masking: str
    segments: str
    _seen: dict[tuple[str, str], None] = field(default_factory=dict)
    _numbers: dict[Key, dict[str, array[float]]] = field(default_factory=dict)
    _texts: dict[Key, dict[str, dict[int, str]]] = field(default_factory=dict)
    _estimates: dict[tuple[Measured, tuple[Key, ...]], Estimate] = field(default_factory=dict)

    def add(
        self, picture: tuple[str, str], rows: Iterable[Row], columns: Sequence[str], texts: Sequence[str] = ()
    ) -> None:
        """Add a picture, unless it was added before: then it is the same trial, from another store.

        Args:
            picture: Its name and its digest.
            rows: Its rows. Text is dropped, except in `columns` and `texts`.
            columns: The columns that distinguish the rows of one picture.
            texts: Columns whose text is kept.

        Raises:
            InputError: If two rows have the same values in `columns`.
        """
        if picture in self._seen:
            return
        here = set()
        for row in rows:
            key = tuple(row.get(column) for column in columns)
            if key in here:
                names = " or ".join(columns) or "nothing, since there is one"
                raise InputError.expected(f"rows of {picture[0]} that differ in {names}", f"two with {key}")
            here.add(key)
            numbers = self._numbers.setdefault(key, {})
            for name, value in row.items():
                if isinstance(value, str):
                    if name in texts:
                        self._texts.setdefault(key, {}).setdefault(name, {})[len(self._seen)] = value
                elif name not in columns:
                    column = numbers.setdefault(name, array("d"))
                    column.extend([np.nan] * (len(self._seen) - len(column)))
                    column.append(np.nan if value is None else value)
        self._seen[picture] = None

    @cached_property
    def _sorted(self) -> list[int]:
        return sorted(range(len(self._seen)), key=list(self._seen).__getitem__)

    @cached_property
    def pictures(self) -> tuple[tuple[str, str], ...]:
        """Names and digests, sorted: the order of all values."""
        return tuple(sorted(self._seen))

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys of all rows, in the order of their first appearance."""
        return tuple(self._numbers)

    def values(self, column: str, keys: Sequence[Key], indices: Indices = None) -> Floats:
        """The numbers of a column: float64 `(n, len(keys))`, nan where a picture has none."""
        table = np.full((len(keys), len(self._seen)), np.nan)
        for line, key in zip(table, keys, strict=True):
            known = self._numbers.get(key, {}).get(column, ())
            line[: len(known)] = known
        ordered = table.T[self._sorted]
        return ordered if indices is None else ordered[list(indices)]

    def texts(self, column: str, key: Key, indices: Indices = None) -> list[str | None]:
        """The text of a column for each of n pictures; None where a picture has none."""
        known = self._texts.get(key, {}).get(column, {})
        ordered = [known.get(place) for place in self._sorted]
        return ordered if indices is None else [ordered[place] for place in indices]

    def estimate(self, measured: Measured, keys: Sequence[Key]) -> Estimate:
        """Estimate a statistic of all pictures, once for all tables and figures that show it."""
        found = self._estimates.get((measured, tuple(keys)))
        if found is None:
            found = self._estimates[measured, tuple(keys)] = estimate(measured(self, keys, None))
        return found


@dataclass(frozen=True, eq=False)
class Setup:
    """All comparable series of one protocol and model.

    Attributes:
        name: The model, and what distinguishes this setup from others of the same model.
        identity: What its trials have in common.
        series: The series by segmentation and masking.
    """

    name: str
    identity: Identity
    series: Mapping[tuple[str, str], Series]

    @property
    def segments(self) -> tuple[str, ...]:
        """The segmentations in alphabetical order."""
        return tuple(sorted({segments for segments, _ in self.series}))

    def of(self, segments: str) -> list[Series]:
        """The series of a segmentation, in the order of tables and legends."""
        found = [one for (cut, _), one in self.series.items() if cut == segments]
        return sorted(found, key=lambda one: masking_order(one.masking))

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """The keys of all rows, in the order of their first appearance."""
        return tuple(dict.fromkeys(key for one in self.series.values() for key in one.keys))

    def missing(self) -> list[str]:
        """Sentences about pictures and measurements that some series have and others lack."""
        pictures = {picture for one in self.series.values() for picture in one.pictures}
        found = [
            f"{self.name}: {one.masking}{f' with {one.segments}' if one.segments else ''} lacks "
            f"{len(pictures) - len(one.pictures)} of {len(pictures)} pictures."
            for one in self.series.values()
            if len(one.pictures) < len(pictures)
        ]
        pairs = {(cut, masking) for cut in self.segments for masking in {masking for _, masking in self.series}}
        found += [
            f"{self.name}: {masking} with {cut} was not measured." for cut, masking in sorted(pairs - set(self.series))
        ]
        changed = len(pictures) - len({name for name, _ in pictures})
        if changed:
            found.append(
                f"{self.name}: {changed} additional versions of pictures. Pictures, masks or labels changed between "
                "two runs, and every version counts as a picture."
            )
        return found


def group_results(
    results: Iterable[tuple[Trial, Sequence[Row]]],
    columns: Mapping[str, Sequence[str]],
    texts: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, list[Setup]]:
    """Group results into setups.

    Args:
        results: Trials with their rows, in any order. A trial that appears twice counts once.
        columns: For each protocol, the columns that distinguish the rows of one picture. Others are left out.
        texts: For each protocol, the columns whose text is kept.

    Returns:
        For each protocol, its setups sorted by name.
    """
    found: dict[str, dict[Identity, dict[tuple[str, str], Series]]] = {}
    for trial, rows in results:
        if trial.protocol not in columns:
            continue
        identity = Identity(*(getattr(trial, one.name) for one in dataclasses.fields(Identity)))
        series_of = found.setdefault(trial.protocol, {}).setdefault(identity, {})
        series = series_of.setdefault((trial.segments, trial.masking), Series(trial.masking, trial.segments))
        picture = (trial.picture, trial.picture_digest)
        series.add(picture, rows, columns[trial.protocol], texts.get(trial.protocol, ()))
    return {
        protocol: [
            Setup(name, identity, dict(sorted(groups[identity].items())))
            for identity, name in zip(sorted(groups), setup_names(sorted(groups)), strict=True)
        ]
        for protocol, groups in sorted(found.items())
    }
