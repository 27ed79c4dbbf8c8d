"""`Explanation`: which segments of a picture speak for a prediction, and how that was found out."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import InputError, check_integer, choose
from ..metrics import alignment_score, topk_jaccard
from ..models import class_index
from .serialization import FORMATS
from .settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..metrics.inputs import Array

__all__ = ["Explanation"]

Floats = npt.NDArray[np.float64]

_FIGURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """The scores of the segments of one picture for T targets; frozen, arrays included.

    Attributes:
        picture: uint8 `(H, W, 3)`: what the model saw.
        segments: int64 `(H, W)`, ids 0..K-1.
        scores: float64 `(T, K)`: how much of the target's probability each segment brings.
        targets: T class indices.
        labels: T class names.
        probabilities: float64 `(T,)`: the model's own prediction for the whole picture.
        intercept: float64 `(T,)`: the surrogate's answer where no segment is present.
        r2: float64 `(T,)`: how much of the answers' variance the surrogate explains; nan where there is none.
        settings: How it was made.

    Raises:
        InputError: If the parts do not fit each other.

    Example:
        >>> import tempfile, torch
        >>> from xai_layermask import LayerMaskExplainer, Preprocess
        >>> model = torch.nn.Sequential(
        ...     torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        ... )
        >>> explainer = LayerMaskExplainer(
        ...     model, segments="patches:8", n_samples=20, preprocess=Preprocess(32, 32), progress=False
        ... )
        >>> explanation = explainer.explain(torch.rand(3, 32, 32), targets=[2, 0])
        >>> explanation.scores.shape, explanation.heatmap(0).shape, explanation.top(3).shape
        ((2, 16), (32, 32), (3,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = Explanation.load(explanation.save(f"{folder}/x.npz"))
        >>> np.array_equal(again.scores, explanation.scores)
        True
    """

    picture: npt.NDArray[np.uint8]
    segments: npt.NDArray[np.int64]
    scores: Floats
    targets: tuple[int, ...]
    labels: tuple[str, ...]
    probabilities: Floats
    intercept: Floats
    r2: Floats
    settings: Settings

    def __post_init__(self) -> None:
        kinds = {"picture": np.uint8, "segments": np.int64}
        for name in ("picture", "segments", "scores", "probabilities", "intercept", "r2"):
            held = np.array(getattr(self, name), dtype=kinds.get(name, np.float64))
            held.setflags(write=False)
            object.__setattr__(self, name, held)
        object.__setattr__(self, "targets", tuple(int(target) for target in self.targets))
        object.__setattr__(self, "labels", tuple(str(label) for label in self.labels))
        count = len(self.targets)
        per_target = (self.probabilities, self.intercept, self.r2)
        if (
            self.picture.shape != (*self.segments.shape, 3)
            or self.segments.ndim != 2
            or self.scores.ndim != 2
            or not 0 < len(self.scores) == count == len(self.labels)
            or any(one.shape != (count,) for one in per_target)
            or not np.array_equal(np.unique(self.segments), np.arange(self.scores.shape[1]))
        ):
            raise InputError(
                "an explanation must have a picture (H, W, 3), segments (H, W) with ids 0..K-1, scores "
                "(T, K) and one label, probability, intercept and R2 for each of T targets, but picture "
                f"{self.picture.shape}, segments {self.segments.shape}, scores {self.scores.shape} and "
                f"{count} targets came: "
                "make it with LayerMaskExplainer."
            )

    def __repr__(self) -> str:
        """Say in one line what was explained, and how."""
        shown = ", ".join(f"{label} {p:.1%}" for label, p in zip(self.labels, self.probabilities, strict=True))
        return (
            f"Explanation({shown}; {self.scores.shape[1]} segments, {self.settings.method} with "
            f"{self.settings.masking} masking of {self.settings.model})"
        )

    def row(self, target: int | str | None = None) -> int:
        """Which row of `scores` belongs to a target.

        Args:
            target: A class index, or a name or a part of it that only one target has; the first target if
                None.

        Returns:
            The row, 0 to T - 1.

        Raises:
            InputError: If it was not explained.
        """
        if target is None:
            return 0
        wanted: object = target
        if isinstance(target, str):
            if target.isdecimal() and target not in self.labels:
                wanted = int(target)
            else:
                with suppress(InputError):  # the sentence below lists what there is
                    return class_index(self.labels, target)
        if not isinstance(wanted, bool) and wanted in self.targets:
            return self.targets.index(wanted)
        known = ", ".join(f"{index} ({label})" for index, label in zip(self.targets, self.labels, strict=True))
        raise InputError(
            f"target must be one that was explained, {known}, but {target!r} came: "
            "choose one of these, or explain it with targets=[...]."
        )

    def heatmap(self, target: int | str | None = None) -> Floats:
        """The score of the segment of every pixel.

        Args:
            target: As [`row`][] takes it.

        Returns:
            float64 `(H, W)`.

        Raises:
            InputError: If the target was not explained.
        """
        heat: Floats = self.scores[self.row(target)][self.segments]
        return heat

    def top(self, k: int = 5, target: int | str | None = None) -> npt.NDArray[np.int64]:
        """The segments with the highest scores.

        Args:
            k: How many; all K if there are fewer.
            target: As [`row`][] takes it.

        Returns:
            int64 `(min(k, K),)`: ids, the best first; of equal scores the lower id.

        Raises:
            InputError: If `k` is not an integer of at least 1, or the target was not explained.
        """
        check_integer(k, "k", least=1)
        return np.argsort(-self.scores[self.row(target)], kind="stable")[:k]

    def alignment(self, mask: Array, target: int | str | None = None) -> float:
        """How well the scores point at the object: [`alignment_score`][] of the paper.

        Args:
            mask: `(H, W)`, 1 where the object is, over the cropped picture.
            target: As [`row`][] takes it.

        Returns:
            A number in [-1, 1], or nan.

        Raises:
            InputError: If the mask does not fit, or the target was not explained.
        """
        return alignment_score(self.scores[self.row(target)], self.segments, mask)

    def jaccard(self, mask: Array, k: int = 20, target: int | str | None = None) -> float:
        """How far the k best segments overlap with the object: [`topk_jaccard`][] of the paper.

        Args:
            mask: `(H, W)`, 1 where the object is, over the cropped picture.
            k: How many segments.
            target: As [`row`][] takes it.

        Returns:
            A number in [0, 1], or nan.

        Raises:
            InputError: If the mask or `k` does not fit, or the target was not explained.
        """
        return topk_jaccard(self.scores[self.row(target)], self.segments, mask, k)

    def plot(
        self,
        ax: Axes | None = None,
        target: int | str | None = None,
        top: int | None = None,
        colorbar: bool = False,
    ) -> Axes:
        """Draw the scores of one target over the picture: green for, red against.

        Args:
            ax: Where to draw; a figure of its own if None, which is `ax.figure` of what comes back.
            target: As [`row`][] takes it.
            top: Colour only so many segments, those with the largest scores in size; all if None.
            colorbar: Whether to say beside the picture what the colours mean.

        Returns:
            The axes.

        Raises:
            InputError: If the target was not explained, or `top` is not an integer of at least 1.
        """
        from ..plots import draw

        return draw(self, ax, target, top, colorbar)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the explanation to a file, in the format that its ending says.

        Args:
            path: Ending in .npz or .json, which [`load`][] reads; .png, .svg or .pdf, a figure; or .html, a
                page that holds its pictures itself.

        Returns:
            The path.

        Raises:
            InputError: If the ending is another, or the folder does not exist.
        """
        path = Path(path)
        suffix = choose(path.suffix.lower(), (*FORMATS, *_FIGURES, ".html"), "the ending of the file")
        if not path.parent.is_dir():
            raise InputError(f"file must be in a folder that exists, but {str(path.parent)!r} does not: make it.")
        path.write_bytes(self._written(suffix))
        return path

    def _written(self, suffix: str) -> bytes:
        if suffix in FORMATS:
            content = {field.name: getattr(self, field.name) for field in fields(self)}
            return FORMATS[suffix][0](content | {"settings": self.settings.record()})
        if suffix == ".html":
            from .html import page

            return page(self).encode()
        from ..plots import figure_bytes, overview

        return figure_bytes(overview(self), suffix)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Explanation:
        """Read an explanation that [`save`][] wrote. Nothing in the file is run.

        Args:
            path: Ending in .npz or .json.

        Returns:
            The same explanation, to the last bit.

        Raises:
            InputError: If the ending is another, there is no such file, or it holds something else.
        """
        path = Path(path)
        suffix = choose(path.suffix.lower(), FORMATS, "the ending of the file")
        if not path.is_file():
            raise InputError(f"file must exist, but there is none at {str(path)!r}: check the path.")
        content = FORMATS[suffix][1](path.read_bytes())
        settings = Settings.from_record(content.get("settings"))
        try:
            return cls(**{**content, "settings": settings})
        except TypeError as error:
            raise InputError(
                "file must hold the parts of an explanation, but some are missing or of another kind: save it again."
            ) from error

    def _repr_png_(self) -> bytes:
        return self._written(".png")

    def _repr_html_(self) -> str:
        from .html import fragment

        return fragment(self)
