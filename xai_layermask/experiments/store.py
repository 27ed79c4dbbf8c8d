"""`Store`: results on disk, one row for each unit of work, under a key that holds everything that determines it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import InputError, reason
from .trial import Unit

__all__ = ["Store", "Unit"]

Value = float | int | str | bool | None

# "XLMS" in the head of the file tells a store from other SQLite files; the number is that of the tables below.
_APPLICATION, _SCHEMA = 0x584C4D53, 1
# Another run writes for milliseconds only: whoever waits longer meets a disk that hangs.
_PATIENCE = 60.0
_AT_ONCE = 500  # keys in a question: SQLite allows 999 in older builds


_FIELDS = tuple(field.name for field in dataclasses.fields(Unit))
_COLUMNS = ", ".join(f"{name} {'INTEGER' if name == 'seed' else 'TEXT'} NOT NULL" for name in _FIELDS)
_TABLES = (
    f"CREATE TABLE units (key TEXT PRIMARY KEY, {_COLUMNS}, rows TEXT NOT NULL, seconds REAL NOT NULL, "
    "worker TEXT NOT NULL, finished TEXT NOT NULL)"
)
_PUT = (
    f"INSERT OR IGNORE INTO units VALUES ({', '.join('?' * (len(_FIELDS) + 4))}, "
    "strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))"
)
# Pictures last: what is compared with each other comes together, in the same order whoever finished first.
_ORDER = (
    "protocol, settings, model, model_digest, seed, precision, version, segments, masking, picture, picture_digest"
)


class Store:
    """Units and their rows in an SQLite file.

    Every `put` is a transaction of its own, written ahead (WAL): a process killed at any moment leaves a whole
    store, and several processes on one machine may read and write it at once. Threads may share one `Store`.

    Args:
        path: The file.
        create: Whether to make the store if there is no file.

    Raises:
        InputError: If there is no such file or folder, it cannot be written, or is something else than a store of
            this version.

    Example:
        >>> import tempfile
        >>> unit = Unit("lime", "{}", "lite0", "ab", "layer", "slic", "cat.jpg", "cd", 0, "float32", "0.1.0")
        >>> with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/results.db") as store:
        ...     store.put(unit, [{"alignment": 0.5}], seconds=1.5, worker="here")
        ...     store.done([unit.key]) == {unit.key}, [rows for _, rows in store.rows()]
        True
        (True, [[{'alignment': 0.5}]])
    """

    def __init__(self, path: str | os.PathLike[str], create: bool = True) -> None:
        self.path = Path(path)
        if not create and not self.path.exists():
            raise InputError(f"store must be a file that exists, but there is none at {str(path)!r}: check the path.")
        if not self.path.parent.is_dir():
            raise InputError(
                f"store must be in a folder that exists, but there is none at {str(self.path.parent)!r}: make it."
            )
        self._file = self.path.absolute()
        self._lock = threading.Lock()
        self._connection = self._connect()
        try:
            with self._sentences():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. A store that is closed cannot be used any more."""
        self._connection.close()

    def done(self, keys: Iterable[str]) -> set[str]:
        """Which of these units are in the store.

        Args:
            keys: Keys of units.

        Returns:
            Those that are.
        """
        wanted = list(keys)
        found: set[str] = set()
        with self._lock, self._sentences():
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                marks = ", ".join("?" * len(part))
                found.update(
                    key for (key,) in self._connection.execute(f"SELECT key FROM units WHERE key IN ({marks})", part)
                )
        return found

    def put(self, unit: Unit, rows: Sequence[Mapping[str, Value]], seconds: float, worker: str) -> bool:
        """Write a unit's rows down. What is there already stays.

        Args:
            unit: The unit.
            rows: What was measured: flat, with the same meaning for the same name. NaN becomes None.
            seconds: How long it took.
            worker: Who did it.

        Returns:
            Whether it is new.

        Raises:
            InputError: If a row holds something else than finite numbers, words, bool, None and NaN, or the store
                cannot be written.
        """
        text = json.dumps([_plain(row, unit) for row in rows], separators=(",", ":"), allow_nan=False)
        values = (unit.key, *dataclasses.astuple(unit), text, seconds, worker)
        with self._lock, self._sentences(), self._connection:
            return self._connection.execute(_PUT, values).rowcount == 1

    def units(
        self,
        protocol: str | None = None,
        model: str | None = None,
        masking: str | None = None,
        segments: str | None = None,
    ) -> Iterator[Unit]:
        """The units in the store, in an order that does not depend on who finished first.

        Args:
            protocol: Only those of this experiment.
            model: Only those of this model.
            masking: Only those of this masking.
            segments: Only those of this segmentation.

        Yields:
            Units.
        """
        for values in self._select(", ".join(_FIELDS), protocol, model, masking, segments):
            yield Unit(*values)

    def rows(
        self,
        protocol: str | None = None,
        model: str | None = None,
        masking: str | None = None,
        segments: str | None = None,
    ) -> Iterator[tuple[Unit, list[dict[str, Value]]]]:
        """The units with what was measured, in the order of [`units`][].

        Args:
            protocol: Only those of this experiment.
            model: Only those of this model.
            masking: Only those of this masking.
            segments: Only those of this segmentation.

        Yields:
            Units, each with its rows.
        """
        for *values, text in self._select(f"{', '.join(_FIELDS)}, rows", protocol, model, masking, segments):
            yield Unit(*values), json.loads(text)

    def __len__(self) -> int:
        with self._lock, self._sentences():
            return int(self._connection.execute("SELECT count(*) FROM units").fetchone()[0])

    def _select(
        self, columns: str, protocol: str | None, model: str | None, masking: str | None, segments: str | None
    ) -> Iterator[tuple[Any, ...]]:
        wanted = {"protocol": protocol, "model": model, "masking": masking, "segments": segments}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = f" WHERE {' AND '.join(f'{name} = ?' for name in given)}" if given else ""
        # A connection of its own: a long reading neither waits for a lock nor holds one.
        with self._sentences(), closing(self._connect()) as connection:
            yield from connection.execute(f"SELECT {columns} FROM units{where} ORDER BY {_ORDER}", (*given.values(),))

    def _connect(self) -> sqlite3.Connection:
        with self._sentences():
            # The absolute path is a file, whatever its name means to SQLite, and wherever this process goes.
            return sqlite3.connect(self._file, timeout=_PATIENCE, check_same_thread=False)

    def _write_ahead(self) -> None:
        """Switch to WAL. SQLite's own patience does not cover that, and another process may be making the store."""
        last = time.monotonic() + _PATIENCE
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > last:
                    raise
            time.sleep(0.02)

    def _prepare(self) -> None:
        """Make the tables in an empty file, or see that they are there."""
        if self._connection.execute("PRAGMA schema_version").fetchone()[0] == 0:
            self._write_ahead()
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                # Another run may have been faster.
                if self._connection.execute("PRAGMA schema_version").fetchone()[0] == 0:
                    self._connection.execute(_TABLES)
                    self._connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                    self._connection.execute(f"PRAGMA user_version = {_SCHEMA}")
        if self._connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise InputError(
                f"store must be a file that this program made, but {str(self.path)!r} holds other tables: "
                "choose another file."
            )
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version != _SCHEMA:
            raise InputError(
                f"store must have tables of version {_SCHEMA}, but {str(self.path)!r} has version {version}: "
                "use the release that made it, or choose a new file."
            )
        # With WAL this is safe against a killed process; a power cut may lose the last units, and harms no other.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """Say what is wrong with the file in place of SQLite's own words."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            words = reason(error)
            if "not a database" in words or "malformed" in words:
                raise InputError(
                    f"store must be a file that this program made, but {str(self.path)!r} is something else or damaged "
                    f"({words}): choose another file."
                ) from error
            raise InputError(
                f"store must be a file that can be read and written, but {str(self.path)!r} cannot be ({words}): "
                "check that it is a file, its permissions, and the space on its disk."
            ) from error


def _plain(row: Mapping[str, Value], unit: Unit) -> dict[str, Value]:
    """A row that JSON holds: its NaN is None, and anything that JSON would garble is an error."""
    found: dict[str, Value] = {}
    for name, value in row.items():
        if type(value) not in (float, int, str, bool, type(None)) or value in (math.inf, -math.inf):
            raise InputError(
                f"rows must hold finite numbers, words, bool or None, but {value!r} ({type(value).__name__}) came as "
                f"{name!r} of {unit.protocol}: convert it."
            )
        found[name] = None if isinstance(value, float) and math.isnan(value) else value
    return found
