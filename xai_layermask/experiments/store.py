"""`Store`: results on disk, one record for each trial."""

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
from typing import Any

from ..errors import InputError, reason
from .trial import Trial

__all__ = ["Store"]

Value = float | int | str | bool | None

# "XLMS" in the file header marks a store among SQLite files; the schema number is that of the table below.
_APPLICATION, _SCHEMA = 0x584C4D53, 1
# Other processes write for milliseconds. Waiting longer means that the disk hangs.
_TIMEOUT = 60.0
_KEYS_PER_QUERY = 500  # older builds of SQLite allow 999 parameters

_FIELDS = tuple(field.name for field in dataclasses.fields(Trial))
_COLUMNS = ", ".join(f"{name} {'INTEGER' if name == 'seed' else 'TEXT'} NOT NULL" for name in _FIELDS)
_TABLE = (
    f"CREATE TABLE units (key TEXT PRIMARY KEY, {_COLUMNS}, rows TEXT NOT NULL, seconds REAL NOT NULL, "
    "worker TEXT NOT NULL, finished TEXT NOT NULL)"
)
_INSERT = (
    f"INSERT OR IGNORE INTO units VALUES ({', '.join('?' * (len(_FIELDS) + 4))}, "
    "strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))"
)
# Pictures last: results that are compared are adjacent, and the order does not depend on who finished first.
_ORDER = (
    "protocol, settings, model, model_digest, seed, precision, version, segments, masking, picture, picture_digest"
)


class Store:
    """Trials with their rows in an SQLite file.

    Each `put` is a transaction with write-ahead logging: killing a process never corrupts the store. Several processes
    of one machine can read and write it at once, and threads can share one `Store`.

    Args:
        path: The file.
        create: Whether to create a missing file.

    Raises:
        InputError: If the file or its folder does not exist, cannot be written, or is not a store of this version.

    Example:
        >>> import tempfile
        >>> trial = Trial("lime", "{}", "lite0", "ab", "layer", "slic", "cat.jpg", "cd", 0, "float32", "0.1.0")
        >>> with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/results.db") as store:
        ...     store.put(trial, [{"alignment": 0.5}], seconds=1.5, worker="here")
        ...     store.done([trial.key]) == {trial.key}, [rows for _, rows in store.rows()]
        True
        (True, [[{'alignment': 0.5}]])
    """

    def __init__(self, path: str | os.PathLike[str], create: bool = True) -> None:
        self.path = Path(path)
        if not create and not self.path.exists():
            raise InputError.expected("an existing file for store", repr(str(path)), "check the path")
        if not self.path.parent.is_dir():
            raise InputError.expected("an existing folder for store", repr(str(self.path.parent)), "create it")
        self._file = self.path.absolute()
        self._lock = threading.Lock()
        self._connection = self._connect()
        try:
            with self._errors():
                self._open()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. A closed store cannot be used again."""
        self._connection.close()

    def done(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys whose trials are in the store."""
        wanted = list(keys)
        found: set[str] = set()
        with self._lock, self._errors():
            for start in range(0, len(wanted), _KEYS_PER_QUERY):
                part = wanted[start : start + _KEYS_PER_QUERY]
                marks = ", ".join("?" * len(part))
                query = f"SELECT key FROM units WHERE key IN ({marks})"
                found.update(key for (key,) in self._connection.execute(query, part))
        return found

    def put(self, trial: Trial, rows: Sequence[Mapping[str, Value]], seconds: float, worker: str) -> bool:
        """Store the rows of a trial, unless the store already has it.

        Args:
            trial: The trial.
            rows: The measurements: flat, with the same meaning for the same name. NaN is stored as None.
            seconds: How long it took.
            worker: Which worker measured it.

        Returns:
            Whether the trial is new.

        Raises:
            InputError: If a row holds anything but finite numbers, strings, bool, None and NaN, or the store cannot be
                written.
        """
        text = json.dumps([_as_json(row, trial) for row in rows], separators=(",", ":"), allow_nan=False)
        values = (trial.key, *dataclasses.astuple(trial), text, seconds, worker)
        with self._lock, self._errors(), self._connection:
            return self._connection.execute(_INSERT, values).rowcount == 1

    def trials(
        self,
        protocol: str | None = None,
        model: str | None = None,
        masking: str | None = None,
        segments: str | None = None,
    ) -> Iterator[Trial]:
        """Yield the trials with these names (None: any), in an order that does not depend on who finished first."""
        for values in self._select(", ".join(_FIELDS), protocol, model, masking, segments):
            yield Trial(*values)

    def rows(
        self,
        protocol: str | None = None,
        model: str | None = None,
        masking: str | None = None,
        segments: str | None = None,
    ) -> Iterator[tuple[Trial, list[dict[str, Value]]]]:
        """Yield the same trials as [`trials`][], each with its rows."""
        for *values, text in self._select(f"{', '.join(_FIELDS)}, rows", protocol, model, masking, segments):
            yield Trial(*values), json.loads(text)

    def __len__(self) -> int:
        with self._lock, self._errors():
            return int(self._connection.execute("SELECT count(*) FROM units").fetchone()[0])

    def _select(self, columns: str, *names: str | None) -> Iterator[tuple[Any, ...]]:
        filters = zip(("protocol", "model", "masking", "segments"), names, strict=True)
        given = {column: name for column, name in filters if name is not None}
        where = f" WHERE {' AND '.join(f'{column} = ?' for column in given)}" if given else ""
        # A connection of its own: a long read neither waits for the lock nor holds it.
        with self._errors(), closing(self._connect()) as connection:
            yield from connection.execute(f"SELECT {columns} FROM units{where} ORDER BY {_ORDER}", (*given.values(),))

    def _connect(self) -> sqlite3.Connection:
        with self._errors():
            # The absolute path: SQLite gives names such as ":memory:" a meaning, and the process may change folders.
            return sqlite3.connect(self._file, timeout=_TIMEOUT, check_same_thread=False)

    def _write_ahead(self) -> None:
        """Switch to WAL. SQLite's timeout does not cover this, and another process may be creating the store."""
        deadline = time.monotonic() + _TIMEOUT
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def _open(self) -> None:
        """Create the table in an empty file, or check that it is there."""
        if self._pragma("schema_version") == 0:
            self._write_ahead()
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                if self._pragma("schema_version") == 0:  # no other process has created it meanwhile
                    self._connection.execute(_TABLE)
                    self._connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                    self._connection.execute(f"PRAGMA user_version = {_SCHEMA}")
        if self._pragma("application_id") != _APPLICATION:
            raise InputError.expected(
                "a file of this program for store", f"{str(self.path)!r} with other tables", "choose another file"
            )
        version = self._pragma("user_version")
        if version != _SCHEMA:
            raise InputError.expected(
                f"tables of version {_SCHEMA} in store", f"version {version} in {str(self.path)!r}",
                "use the release that wrote it, or choose a new file",
            )  # fmt: skip
        # Safe against a killed process. A power cut may lose the last trials, but corrupts nothing.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of SQLite into errors about the file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            text, path = reason(error), repr(str(self.path))
            if "not a database" in text or "malformed" in text:
                raise InputError.expected(
                    "a file of this program for store", f"{path}, which is another file or damaged ({text})",
                    "choose another file",
                ) from error  # fmt: skip
            raise InputError.expected(
                "a readable and writable file for store", f"{path} ({text})",
                "check that it is a file, its permissions, and the free space on its disk",
            ) from error  # fmt: skip


def _as_json(row: Mapping[str, Value], trial: Trial) -> dict[str, Value]:
    """The row with None for NaN."""
    for name, value in row.items():
        if type(value) not in (float, int, str, bool, type(None)) or value in (math.inf, -math.inf):
            raise InputError.expected(
                f"a finite number, a string, bool or None for {name!r} of {trial.protocol}",
                f"{value!r} ({type(value).__name__})", "convert it",
            )  # fmt: skip
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
