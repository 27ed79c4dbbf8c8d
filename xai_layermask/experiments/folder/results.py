"""`ResultFolder`: the folder of the results, which never overwrites files of other programs."""

from __future__ import annotations

import csv
import errno
import io
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from ...catalog import SIGNATURE
from ...errors import InputError, reason
from ...explain import is_replaceable
from ...viewer import Entry, index
from ..rows import Value
from ..store import Store
from ..trial import Trial
from .pictures import STORE
from .task import FILES, PictureResult

__all__ = ["NotWritten", "ResultFolder"]

_TABLE, _INDEX = "scores.csv", "index.html"
_COLUMNS = (
    "picture", "class_index", "label", "predictions", "probabilities", "output", "intercept", "reliability", "r2",
    "best_segment", "best_score", "segments_count", "samples", "heatmap", "written_by",
)  # fmt: skip

Rows = list[dict[str, Value]]

# Disk errors, which would affect every picture. Other errors concern the name of one picture.
_OF_THE_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ESTALE,
    errno.ENOTCONN,
}  # fmt: skip


class NotWritten(InputError):
    """The files of one picture cannot be written, for example because its name is too long."""


class ResultFolder:
    """The files of each picture, a store that says which pictures are finished, a table and an index.

    Every file is written under a temporary name and renamed. A picture counts as finished when all of its files exist:
    then the store gets its row, in one transaction. Rows of files that will be replaced, such as those of another
    recipe, are removed first. So a process can be killed at any time, and a row always describes the existing files.

    Args:
        out: The folder: a new or empty one, or one of an earlier run.

    Raises:
        InputError: If it holds anything else, or cannot be written.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.path = Path(out)
        if not os.fspath(out) or "\0" in str(out):
            raise InputError.expected("the name of a folder for out", repr(str(out)))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            others = sorted(os.listdir(self.path))
        except OSError as error:
            got = f"{str(out)!r} ({reason(error)})"
            raise InputError.expected("a folder that can be written for out", got) from error
        if others and not os.path.isfile(self.path / STORE):
            raise InputError.expected(
                "a new or empty folder, or that of an earlier run for out", f"{str(out)!r}, which holds {others[0]!r}",
                "choose another folder",
            )  # fmt: skip
        self._check_summary()
        self.store = Store(self.path / STORE)
        self._keys: dict[str, set[str]] = {}  # keys of the rows of each picture
        for one in self.store.trials("explain"):
            self._keys.setdefault(one.picture, set()).add(one.key)

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def files(self, name: str) -> list[Path]:
        """The files of a picture, in the order of [`FILES`][xai_layermask.experiments.folder.task]."""
        return [self.path / folder / f"{name}{suffix}" for folder, suffix in FILES]

    def finished(self, trials: Iterable[Trial]) -> set[str]:
        """The names of the pictures that an earlier run finished, and whose files are still there."""
        wanted = list(trials)
        known = self.store.done(trial.key for trial in wanted)
        return {one.picture for one in wanted if one.key in known and all(map(os.path.isfile, self.files(one.picture)))}

    def check(self, name: str) -> None:
        """Check the names of the files of a picture, before it is explained.

        Raises:
            NotWritten: If a file cannot have such a name, or the store and the pages cannot hold it.
        """
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise NotWritten.expected("a name in UTF-8", repr(name), "rename the file") from error
        for place in self.files(name):
            try:
                os.lstat(place)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise _problem(place, error) from error

    def write(self, result: PictureResult, trial: Trial) -> None:
        """Write the files of a picture, and then its row.

        Raises:
            NotWritten: If a file cannot be written for a reason of its own.
            InputError: If a file of another program is in the way, or nothing can be written.
        """
        places = self.files(result.name)
        ours = os.path.isfile(places[0]) and is_replaceable(places[0])
        for place in places:
            # An array has no mark of its own: the explanation beside it stands for it.
            if os.path.lexists(place) and not (ours if place.suffix == ".npy" else is_replaceable(place)):
                raise InputError.expected(
                    "only files of an earlier run in the folder", f"{str(place)!r}, which another program wrote",
                    "move it, or choose another folder",
                )  # fmt: skip
        keys = self._keys.setdefault(result.name, set())
        if keys:
            self.store.remove(keys)
            keys.clear()
        for place, content in zip(places, result.files, strict=True):
            _write(place, content)
        keys.add(trial.key)
        self.store.put(trial, result.rows, result.seconds, result.worker)

    def summarise(self, trials: Sequence[Trial], problems: dict[str, str], title: str) -> None:
        """Write the table and the index of the pictures that are finished, and of those that failed.

        Raises:
            InputError: If a file of another program is in the way.
        """
        wanted = {trial.key: trial.picture for trial in trials}
        rows = {wanted[one.key]: found for one, found in self.store.rows("explain") if one.key in wanted}
        self._check_summary()
        _write(self.path / _TABLE, _csv(rows).encode())
        entries = [_entry(name, found) for name, found in sorted(rows.items())]
        entries += [Entry("", name, note=f"left out: {problem}") for name, problem in sorted(problems.items())]
        _write(self.path / _INDEX, index(entries, title=title).encode())

    def _check_summary(self) -> None:
        table, page = self.path / _TABLE, self.path / _INDEX
        if os.path.lexists(table) and not _is_table(table):
            raise InputError.expected("a table of an earlier run", f"another file {str(table)!r}", "move it")
        if not is_replaceable(page):
            raise InputError.expected("an index of an earlier run", f"another file {str(page)!r}", "move it")


def _entry(name: str, rows: Rows) -> Entry:
    first = {key: str(value) for key, value in rows[0].items()}
    link = quote(f"pages/{name}.html")
    return Entry(link, name, first["thumbnail"], first["label"], first["shown"], first["advice"])


def _csv(rows: dict[str, Rows]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for name, found in sorted(rows.items()):
        about = {"picture": name, "heatmap": f"heatmaps/{name}.npy", "written_by": SIGNATURE}
        writer.writerows(row | about for row in found)
    return buffer.getvalue()


def _is_table(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip() == ",".join(_COLUMNS)


def _write(place: Path, content: bytes) -> None:
    """Replace a file atomically: readers see the old or the new one, never a part."""
    beside = place.with_name(f".{secrets.token_hex(8)}.part")  # short: names may be as long as they can be
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, place)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise _problem(place, error) from error


def _problem(place: Path, error: OSError) -> InputError:
    kind = InputError if error.errno in _OF_THE_DISK else NotWritten
    got = f"{str(place)!r} ({error.strerror or reason(error)})"
    return kind.expected("a file that can be written in the folder", got)
