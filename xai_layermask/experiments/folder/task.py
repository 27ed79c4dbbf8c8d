"""What a worker does with some pictures: it explains them, and encodes the files to write."""

from __future__ import annotations

import functools
import io
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...explain import Explanation, LayerMaskExplainer, encode
from ...version import __version__
from ...viewer import Entry, page, png_bytes, still
from ..rows import Value
from ..runner import start_worker, take_same_model
from .recipe import Recipe

__all__ = ["FILES", "FolderTask", "PictureResult", "encoded"]

#: The files of a picture: folder and suffix. The first one has a mark of this program, and is written first.
FILES = (("explanations", ".npz"), ("heatmaps", ".npy"), ("heatmaps", ".png"), ("pages", ".html"))


@dataclass(frozen=True)
class PictureResult:
    """The result for a picture.

    Attributes:
        name: Its name.
        files: The content of each of `FILES`.
        rows: The rows of the table, one for each target.
        seconds: The time since the previous picture was finished.
        worker: Machine, process and device.
        problem: Why there is no explanation; empty if there is one.
    """

    name: str
    files: tuple[bytes, ...] = ()
    rows: list[dict[str, Value]] = field(default_factory=list)
    seconds: float = 0.0
    worker: str = ""
    problem: str = ""


@dataclass(frozen=True)
class FolderTask:
    """Some pictures of a folder, for one worker.

    Attributes:
        recipe: How they are explained.
        pictures: Names and paths.
        digest: The digest of the model that the planning process loaded.
        device: "auto" or a device.
        version: The version of this package in the planning process.
    """

    recipe: Recipe
    pictures: tuple[tuple[str, Path], ...]
    digest: str
    device: str
    version: str = __version__

    def results(self) -> Iterator[PictureResult]:
        """Explain the pictures.

        Raises:
            InputError: If this worker has another version of this package or of the model.
        """
        device = start_worker(self.device, self.version)
        worker = f"{platform.node()}/{os.getpid()}/{device}"
        explainer = _explainer(self.recipe, device, self.digest)
        start = time.perf_counter()
        paths = [path for _, path in self.pictures]
        targets = list(self.recipe.targets) or None
        for (name, _), one in zip(self.pictures, explainer.explain_many(paths, targets, self.recipe.top), strict=True):
            found = one.explanation
            files, rows = ((), []) if found is None else encoded(found, name)
            end = time.perf_counter()
            yield PictureResult(name, files, rows, end - start, worker, one.problem)
            start = end


def encoded(explanation: Explanation, name: str) -> tuple[tuple[bytes, ...], list[dict[str, Value]]]:
    """The content of the files of a picture, and the rows of the table."""
    buffer = io.BytesIO()
    maps = [explanation.heatmap(explanation.key(row)) for row in range(len(explanation.targets))]
    np.save(buffer, np.array(maps, np.float32))
    files = (
        encode(explanation, ".npz", {}), buffer.getvalue(), png_bytes(still(explanation)),
        page(explanation, source=name).encode(),
    )  # fmt: skip
    thumbnail = Entry.of(explanation, "", name).thumbnail
    rows = [_row(explanation, row) | {"thumbnail": "" if row else thumbnail} for row in range(len(maps))]
    return files, rows


def _row(explanation: Explanation, row: int) -> dict[str, Any]:
    best = int(explanation.top(1, explanation.key(row))[0])
    numbers = {
        name: float(getattr(explanation, name)[row])
        for name in ("predictions", "probabilities", "intercept", "reliability", "r2")
    }
    return {
        "class_index": explanation.targets[row],
        "label": explanation.labels[row],
        "shown": explanation.shown(row),
        **numbers,
        "best_segment": best,
        "best_score": float(explanation.scores[row, best]),
        "segments_count": int(explanation.played.sum()),
        "samples": explanation.settings.n_samples,
        "output": explanation.output,
        "advice": explanation.advice,
    }


@functools.lru_cache(maxsize=1)
def _explainer(recipe: Recipe, device: str, digest: str) -> LayerMaskExplainer:
    return recipe.explainer(take_same_model(recipe.model, device, digest))
