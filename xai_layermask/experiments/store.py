"""`Store`: results on disk, one record for each trial."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..errors import InputError, reason
from .rows import Value, decode_rows, encode_rows
from .trial import Trial

__all__ = ["Store"]

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
        read_only: Whether only to read an existing file, also one in a folder that cannot be written.

    Raises:
        InputError: If the file or its folder does not exist, cannot be read or written, is damaged, or is not a store
            of this version.

    Example:
        >>> import tempfile
        >>> trial = Trial("lime", "{}", "lite0", "ab", "layer", "slic", "cat.jpg", "cd", 0, "float32", "0.1.0")
        >>> with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/results.db") as store:
        ...     store.put(trial, [{"alignment": 0.5}], seconds=1.5, worker="here")
        ...     store.done([trial.key]) == {trial.key}, [rows for _, rows in store.rows()]
        True
        (True, [[{'alignment': 0.5}]])
    """

    def __init__(self, path: str | os.PathLike[str], create: bool = True, read_only: bool = False) -> None:
        self.path = Path(path)
        if "\0" in str(path):
            raise InputError.expected("the name of a file for store", repr(str(path)))
        if not (create and not read_only) and not os.path.isfile(path):
            raise InputError.expected("an existing file for store", repr(str(path)), "check the path")
        # The absolute path: SQLite gives names such as ":memory:" a meaning, and the process may change folders.
        self._file = self.path.absolute()
        folder = os.path.dirname(os.path.realpath(self._file))
        if not os.path.isdir(folder):
            raise InputError.expected("an existing folder for store", repr(folder), "create it")
        self._read_only = read_only
        self._mode = "ro" if read_only else "rw"
        self._lock = threading.Lock()
        self._identity: tuple[int, int] | None = None  # until it is open
        self._connection = self._connect("ro" if read_only else "rwc")
        try:
            with self._errors():
                self._open()
            self._identity = self._found()
            if self._identity is None:
                raise InputError.expected("a file for store", f"one that was deleted at {str(self.path)!r}")
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
                query = f"SELECT key FROM units WHERE key IN ({', '.join('?' * len(part))})"
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
        text = encode_rows(rows, trial.protocol)
        values = (trial.key, *dataclasses.astuple(trial), text, seconds, worker)
        with self._lock, self._errors():
            self._check_file()
            with self._connection:
                new = self._connection.execute(_INSERT, values).rowcount == 1
            self._check_file()  # again: a file that was deleted before the commit has not kept the trial
        return new

    def remove(self, keys: Iterable[str]) -> None:
        """Remove the trials with these keys, in one transaction."""
        with self._lock, self._errors(), self._connection:
            self._check_file()
            self._connection.executemany("DELETE FROM units WHERE key = ?", [(key,) for key in keys])

    def trials(
        self, protocol: str | None = None, model: str | None = None, masking: str | None = None,
        segments: str | None = None,
    ) -> Iterator[Trial]:  # fmt: skip
        """Yield the trials with these names (None: any), in an order that does not depend on who finished first."""
        for values in self._select(", ".join(_FIELDS), protocol, model, masking, segments):
            yield self._trial(values)

    def rows(
        self, protocol: str | None = None, model: str | None = None, masking: str | None = None,
        segments: str | None = None,
    ) -> Iterator[tuple[Trial, list[dict[str, Value]]]]:  # fmt: skip
        """Yield the same trials as [`trials`][], each with its rows."""
        for *values, text in self._select(f"{', '.join(_FIELDS)}, rows", protocol, model, masking, segments):
            yield self._trial(values), self._rows(text)

    def __len__(self) -> int:
        with self._lock, self._errors():
            return int(self._connection.execute("SELECT count(*) FROM units").fetchone()[0])

    def _select(self, columns: str, *names: str | None) -> Iterator[tuple[Any, ...]]:
        filters = zip(("protocol", "model", "masking", "segments"), names, strict=True)
        given = {column: name for column, name in filters if name is not None}
        where = f" WHERE {' AND '.join(f'{column} = ?' for column in given)}" if given else ""
        # A connection of its own: a long read neither waits for the lock nor holds it.
        self._check_file()
        with self._errors(), closing(self._connect(self._mode)) as connection:
            yield from connection.execute(f"SELECT {columns} FROM units{where} ORDER BY {_ORDER}", (*given.values(),))

    def _rows(self, text: object) -> list[dict[str, Value]]:
        rows = decode_rows(text)
        if rows is None:
            raise self._foreign("a list of rows in JSON for each trial")
        return rows

    def _trial(self, values: Sequence[Any]) -> Trial:
        kinds = (int if name == "seed" else str for name in _FIELDS)
        if not all(isinstance(value, kind) for value, kind in zip(values, kinds, strict=True)):
            raise self._foreign("texts and a seed for each trial")
        return Trial(*values)

    def _foreign(self, wanted: str) -> InputError:
        return InputError.expected(
            f"{wanted} in store", f"something else in {str(self.path)!r}",
            "another program may have written it, so choose another file",
        )  # fmt: skip

    def _found(self) -> tuple[int, int] | None:
        """Device and inode of the file; None if there is none."""
        try:
            status = os.stat(self._file)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _check_file(self) -> None:
        found = self._found()
        if self._identity is not None and found != self._identity:
            got = "a file that was deleted" if found is None else "another file in its place"
            raise InputError.expected(
                "the store that was opened", f"{got} at {str(self.path)!r}", "stop, and run again with a new store"
            )

    def _connect(self, mode: str) -> sqlite3.Connection:
        with self._errors():
            # By URI, with a mode: otherwise SQLite would create a file that has been deleted.
            address = f"{self._file.as_uri()}?mode={mode}"
            return sqlite3.connect(address, timeout=_TIMEOUT, check_same_thread=False, uri=True)

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
        """Create the table in an empty file, or check that it exists and is undamaged."""
        if self._read_only:
            self._read_without_writing()
        elif self._pragma("schema_version") == 0:
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
        # A damaged index would make finished trials look new.
        damage = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise InputError.expected(
                "an undamaged store", f"{str(self.path)!r}, which is damaged ({damage.splitlines()[-1]})",
                "restore a copy, or choose a new file",
            )  # fmt: skip
        # Safe against a killed process. A power cut may lose the last trials, but corrupts nothing.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def _read_without_writing(self) -> None:
        """Reading a store with a log writes an index beside it. Where that fails, and no log is left, read without."""
        try:
            self._pragma("schema_version")
        except sqlite3.OperationalError:
            log = Path(f"{self._file}-wal")
            if os.path.exists(log) and os.path.getsize(log):
                raise
            self._connection.close()
            self._mode = "ro&immutable=1"
            self._connection = self._connect(self._mode)

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of SQLite into errors about the file."""
        try:
            yield
        except (UnicodeEncodeError, OverflowError) as error:
            raise InputError.expected("texts in UTF-8 and integers of 64 bits in a trial", reason(error)) from error
        except UnicodeDecodeError as error:  # in a text of the file, or in SQLite's message about damage
            raise self._foreign("texts in UTF-8") from error
        except sqlite3.DatabaseError as error:
            self._check_file()
            text, path = reason(error), repr(str(self.path))
            if "not a database" in text or "malformed" in text:
                raise InputError.expected(
                    "a file of this program for store", f"{path}, which is another file or damaged ({text})",
                    "choose another file",
                ) from error  # fmt: skip
            if "locked" in text or "busy" in text:
                raise InputError.expected(
                    "a store that no other program holds", f"{path} ({text})", "wait until the other run has ended"
                ) from error
            raise InputError.expected(
                "a readable and writable file for store", f"{path} ({text})",
                "check that it is a file, its permissions, and the free space on its disk",
            ) from error  # fmt: skip
