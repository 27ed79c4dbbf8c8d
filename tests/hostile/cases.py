"""One case of each kind: a damaged file is read, and what comes back is checked."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xai_layermask import Explanation
from xai_layermask.dataset import read_dataset
from xai_layermask.errors import InputError
from xai_layermask.experiments import Store
from xai_layermask.experiments.report import sections
from xai_layermask.images import read_image

from . import sound
from .mutate import ODD, bytes_mutated, json_mutated

__all__ = ["KINDS", "Outcome", "run_case"]

_LONGEST = 2500  # characters of a sentence
_SLOW = 20.0  # seconds


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        kind: What was damaged.
        seed: Its seed.
        result: "read", "refused" or "failed".
        text: The sentence, or what failed.
    """

    kind: str
    seed: int
    result: str
    text: str = ""


def run_case(kind: str, seed: int, folder: Path) -> Outcome:
    """Try one case in an empty folder."""
    start = time.process_time()  # on a busy machine, the clock says little
    try:
        KINDS[kind](random.Random(f"{kind} {seed}"), folder)
    except InputError as error:
        text = str(error)
        clear = "expected" in text and "\n" not in text and len(text) <= _LONGEST and text.isprintable()
        return Outcome(kind, seed, "refused" if clear else "failed", text)
    except Exception as error:
        return Outcome(kind, seed, "failed", f"{type(error).__name__}: {error}")
    seconds = time.process_time() - start
    return Outcome(kind, seed, *(("failed", f"took {seconds:.0f} s") if seconds > _SLOW else ("read", "")))


def _picture(draw: random.Random, folder: Path) -> None:
    content, other = draw.choice(sound.pictures()), draw.choice(sound.pictures())
    (folder / "x.png").write_bytes(bytes_mutated(draw, content, other))
    found = read_image(folder / "x.png")
    _require(found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3, "a picture of another form")


def _mask(draw: random.Random, folder: Path) -> None:
    (folder / "a.png").write_bytes(sound.picture())
    (folder / "a_mask.png").write_bytes(bytes_mutated(draw, draw.choice(sound.masks()), sound.picture()))
    (folder / "labels.csv").write_text("image,class_index\na.png,3\n")
    dataset = read_dataset(folder, masks=draw.choice(("binary", "soft")))
    item = dataset.items[0]
    found, picture = item.mask(), item.picture()
    _require(found is not None and found.shape == picture.shape[:2], "a mask of another size")
    _require(bool(((found >= 0) & (found <= 1)).all()), "a mask beyond 0 and 1")


def _labels(draw: random.Random, folder: Path) -> None:
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(sound.picture())
    if draw.random() < 0.5:
        content = bytes_mutated(draw, sound.LABELS.encode())
    else:
        words = [_word(draw) for _ in range(8)]
        pairs = zip(words[::2], words[1::2], strict=True)
        content = ("image,class_index\n" + "".join(f"{a},{b}\n" for a, b in pairs)).encode("utf-8", "surrogatepass")
    (folder / "labels.csv").write_bytes(content)
    _check_dataset(folder)


def _word(draw: random.Random) -> str:
    odd = draw.choice([one for one in ODD if not isinstance(one, int)])  # too long to print
    return str(odd) if draw.random() < 0.3 else draw.choice(("a.png", "b.png", "3", ""))


def _coco(draw: random.Random, folder: Path) -> None:
    (folder / "annotations").mkdir()
    (folder / "val").mkdir()
    for name in ("x.png", "y.png"):
        (folder / "val" / name).write_bytes(sound.picture())
    text = json.dumps(json_mutated(draw, sound.COCO))
    content = text.encode() if draw.random() < 0.7 else bytes_mutated(draw, text.encode())
    (folder / "annotations" / "instances_val.json").write_bytes(content)
    _check_dataset(folder)


def _check_dataset(folder: Path) -> None:
    dataset = read_dataset(folder)
    for item in dataset.items:
        _require(folder in item.path.parents, "a picture outside the folder")
        _require(item.label is None or 0 <= item.label < 10**9, "a label that is no index")
        try:
            mask = item.mask()
        except InputError as error:
            _require("\n" not in str(error), "a sentence of several lines")
        else:
            _require(mask is None or set(np.unique(mask)) <= {0.0, 1.0}, "a mask of other values")


def _explanation(suffix: str) -> Callable[[random.Random, Path], None]:
    def case(draw: random.Random, folder: Path) -> None:
        content = sound.explanation(suffix)
        if suffix == ".json" and draw.random() < 0.7:
            content = json.dumps(json_mutated(draw, json.loads(content))).encode()
        else:
            content = bytes_mutated(draw, content, sound.explanation(".npz"))
        path = folder / f"x{suffix}"
        path.write_bytes(content)
        found = Explanation.load(path)
        _require(np.isfinite(found.scores).all() and found.scores.shape[1] == found.segments.max() + 1, "odd scores")
        _require(len(set(found.targets)) == len(found.labels), "doubled targets")
        found.save(folder / "again.json")
        Explanation.load(folder / "again.json")

    return case


def _store(draw: random.Random, folder: Path) -> None:
    path = folder / "results.db"
    path.write_bytes(sound.store())
    if draw.random() < 0.5:
        path.write_bytes(bytes_mutated(draw, sound.store(), sound.store()))
    else:
        value = draw.choice(ODD)
        text = json.dumps(json_mutated(draw, [{"label": 3, "kept": True, "whole": value}]))
        column = draw.choice(("rows", "rows", "picture", "seed", "settings", "protocol", "model"))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE units SET {column} = ? WHERE rowid <= 5", (draw.choice((text, b"x", 7)),))
    with Store(path, read_only=True) as found:
        for trial, rows in found.rows():
            _require(isinstance(trial.picture, str) and all(isinstance(row, dict) for row in rows), "odd rows")
        if draw.random() < 0.2:  # figures take most of the time
            sections(found.rows(), protocols=("lime",))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


#: By name: damages a file in a folder, and reads it.
KINDS: dict[str, Callable[[random.Random, Path], None]] = {
    "pictures": _picture,
    "masks": _mask,
    "labels.csv": _labels,
    "COCO annotations": _coco,
    "explanations (.npz)": _explanation(".npz"),
    "explanations (.json)": _explanation(".json"),
    "stores": _store,
}
