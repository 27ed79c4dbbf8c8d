"""`Explanation`: the scores of the segments of one picture, and how they were computed."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, check_integer, choose
from ..metrics import alignment_score, topk_jaccard
from ..models import class_index
from .inputs import cut_to_crop
from .parts import check_shapes, check_values, exact, printable_labels
from .rendering import FIGURES, encode, html
from .serialization import DTYPES, FORMATS
from .settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from torch import Tensor
    from typing_extensions import Unpack

    from ..plots import LookOptions

__all__ = ["Explanation"]

Floats = npt.NDArray[np.float64]

_NAMES = {"logit": "logit", "log_probability": "log-probability", "log_odds": "log-odds"}
# Below this reliability an explanation says that it should not be read segment by segment.
_LOW = 0.8


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """The scores of the segments of one picture for T targets; frozen, arrays included.

    Methods that take a `target` accept a class index, or a name or a part of it that only one target has. None is the
    first target. They raise `InputError` for a target that was not explained.

    Attributes:
        picture: uint8 `(H, W, 3)`: the cropped picture, as the model saw it.
        segments: int64 `(H, W)`, ids 0..K-1.
        scores: float64 `(T, K)`: the contribution of each segment to the target's prediction.
        standard_errors: float64 `(T, K)`: of the scores, since other samples would give others; nan if unknown.
        reliability: float64 `(T,)` from 0 to 1: expected correlation of the scores with those of infinitely many
            samples; nan if unknown.
        targets: T class indices; -1 for a target that is no class, such as a position in a map.
        labels: T names.
        output: What is explained, such as "probability (softmax of the outputs)".
        predictions: float64 `(T,)`: the model's prediction for the whole picture, on the scale that is explained.
        probabilities: float64 `(T,)`: the same as probabilities; nan where there are none.
        intercept: float64 `(T,)`: the surrogate's prediction without any segment.
        r2: float64 `(T,)`: leave-one-out R2, the share of the predictions' variance that the surrogate explains for
            samples that it has not seen; nan if unknown.
        prior: float64 `(T, 3)`: what the samples said of the spatial prior: its length as a share of the picture's
            longer side, the share of the variance that neighbours have in common, and the share of the predictions'
            variance that the segments explain; nan for other estimators.
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
    standard_errors: Floats
    reliability: Floats
    targets: tuple[int, ...]
    labels: tuple[str, ...]
    output: str
    predictions: Floats
    probabilities: Floats
    intercept: Floats
    r2: Floats
    prior: Floats
    settings: Settings

    def __post_init__(self) -> None:
        for name, dtype in DTYPES.items():
            if name == "targets":
                continue
            array = exact(getattr(self, name), dtype, name)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "targets", tuple(exact(self.targets, np.int64, "targets").tolist()))
        object.__setattr__(self, "output", str(self.output))
        object.__setattr__(self, "labels", printable_labels(self.labels))
        arrays = {name: getattr(self, name) for name in DTYPES if name != "targets"}
        check_shapes(arrays, len(self.targets), len(self.labels))
        numbers = {name: arrays[name] for name in ("scores", "predictions", "intercept")}
        shares = {name: arrays[name] for name in ("probabilities", "reliability")}
        check_values(self.targets, numbers, shares, self.standard_errors)

    def __repr__(self) -> str:
        """Describe targets, segments, method, masking and model in one line."""
        shown = ", ".join(f"{label} {self.shown(row)}" for row, label in enumerate(self.labels))
        return (
            f"Explanation({shown}; {self.scores.shape[1]} segments, {self.settings.method} with "
            f"{self.settings.masking} masking of {self.settings.model})"
        )

    def shown(self, row: int) -> str:
        """The prediction of a row as text, such as "97.2%" or "logit 3.55 (97.2%)"."""
        value, probability = float(self.predictions[row]), float(self.probabilities[row])
        share = "" if np.isnan(probability) else f"{probability:.1%}"
        name = self.settings.output
        if name not in _NAMES or (name == "log_odds" and share):
            return share or f"{value:.4g}"
        return f"{_NAMES[name]} {value:.3g}" + (f" ({share})" if share else "")

    def row(self, target: int | str | None = None) -> int:
        """The row of `scores` that belongs to a target."""
        if target is None:
            return 0
        wanted: object = target
        if isinstance(target, str):
            if target.isdecimal() and target not in self.labels:
                wanted = int(target)
            else:
                with suppress(InputError):  # the error below lists the targets
                    return class_index(self.labels, target)
        if not isinstance(wanted, bool) and wanted in self.targets:
            return self.targets.index(wanted)
        known = ", ".join(f"{index} ({label})" for index, label in zip(self.targets, self.labels, strict=True))
        raise InputError.expected(
            f"one of the explained classes {known} for target", repr(target), "or explain it with targets=[...]"
        )

    def key(self, row: int) -> int | str:
        """What finds the target of a row: its class, or the label of a target that is no class."""
        return self.targets[row] if self.targets[row] >= 0 else self.labels[row]

    def heatmap(self, target: int | str | None = None, size: str = "crop") -> Floats:
        """The score of each pixel's segment.

        Args:
            target: The class.
            size: "crop" for the part that the model saw, or "original" for the whole photograph.

        Returns:
            float64 `(H, W)`; over the photograph nan outside of the part that the model saw.

        Raises:
            InputError: If the part is unknown, since the preprocessing is a callable.
        """
        heatmap: Floats = self.scores[self.row(target)][self.segments]
        if choose(size, ("crop", "original"), "size") == "crop":
            return heatmap
        if self.settings.frame is None:
            raise InputError.expected(
                "a preprocessing whose crop is known, for size='original'", "one with shown=", "use a Preprocess"
            )
        return self.settings.frame.spread(heatmap)

    def top(self, k: int = 5, target: int | str | None = None) -> npt.NDArray[np.int64]:
        """The segments with the highest scores.

        Args:
            k: Number of segments.
            target: The class.

        Returns:
            Ids, int64 `(min(k, K),)`, the highest score first; of equal scores the lower id.

        Raises:
            InputError: If `k` is less than 1.
        """
        return np.argsort(-self._ranked(self.row(target)), kind="stable")[: check_integer(k, "k", 1)]

    @property
    def played(self) -> npt.NDArray[np.bool_]:
        """Which segments were removed and scored, bool `(K,)`: all but the last one, if it holds missing pixels."""
        played = np.ones(self.scores.shape[1], bool)
        played[-1] = len(played) == 1 or bool(self.scores[:, -1].any() or (self.standard_errors[:, -1] != 0).any())
        return played

    def _ranked(self, row: int) -> Floats:
        """The scores of a row, with missing pixels below all others."""
        scores = self.scores[row]
        ranked: Floats = np.where(self.played, scores, scores.min() - 1)
        return ranked

    def significant(self, target: int | str | None = None) -> npt.NDArray[np.bool_]:
        """Whether the 95 % interval of each segment's score excludes 0, bool `(K,)`; false where it is unknown."""
        row = self.row(target)
        found: npt.NDArray[np.bool_] = np.abs(self.scores[row]) > 1.96 * self.standard_errors[row]
        return found

    @property
    def advice(self) -> str:
        """What to do if scores are too unreliable to be read segment by segment; empty if they are not."""
        doubtful = (self.standard_errors != 0).any(axis=1)
        worst = float(self.reliability[doubtful].min(initial=1.0))
        if not worst < _LOW:
            return ""
        return (
            f"Reliability {worst:.2f} is low: with other samples, single segments would score differently. "
            "Use more samples or fewer segments."
        )

    def alignment(self, mask: npt.ArrayLike | Tensor, target: int | str | None = None) -> float:
        """The [`alignment_score`][] with an object mask `(H, W)` over the cropped picture or the photograph.

        Raises:
            InputError: If the mask does not fit.
        """
        return alignment_score(self.scores[self.row(target)], self.segments, self._cut(mask))

    def jaccard(self, mask: npt.ArrayLike | Tensor, k: int = 20, target: int | str | None = None) -> float:
        """The [`topk_jaccard`][] overlap of the k best segments with an object mask `(H, W)`, as in `alignment`.

        Raises:
            InputError: If the mask or `k` does not fit.
        """
        return topk_jaccard(self._ranked(self.row(target)), self.segments, self._cut(mask), k)

    def _cut(self, mask: npt.ArrayLike | Tensor) -> Any:
        return cut_to_crop(mask, self.segments.shape, self.settings.frame)

    def plot(
        self,
        ax: Axes | None = None,
        target: int | str | None = None,
        *,
        style: str = "overlay",
        scale: str = "shared",
        sign: str = "both",
        top: int | None = None,
        vmax: float | None = None,
        cmap: str | Colormap | None = None,
        colorbar: bool = True,
    ) -> Axes:
        """Draw the scores of one target: by default positive ones in orange, negative ones in blue.

        Args:
            ax: Where to draw; a new figure if None.
            target: The class.
            style: "overlay" colours the photograph, "heatmap" shows colours only, "outlines" draws the borders of the
                strongest segments, and "top" fades all others.
            scale: "shared" for the same colours for all targets, "own" to use the whole colour map for this one.
            sign: "both", or only "positive" or "negative" scores.
            top: Draw only this many segments, those with the largest absolute scores; all if None, but 20 for the
                styles "outlines" and "top".
            vmax: The score at which colours are strongest; the largest absolute score if None.
            cmap: A diverging colour map, or the name of one of matplotlib's; blue over white to orange if None.
            colorbar: Whether to add a colour bar.

        Returns:
            The axes; `ax.figure` is the figure.

        Raises:
            InputError: If an option is unknown or out of range.
        """
        from ..plots import draw

        look: LookOptions = {"style": style, "scale": scale, "sign": sign, "top": top, "vmax": vmax, "cmap": cmap}
        return draw(self, ax, target, colorbar, **look)

    def save(self, path: str | os.PathLike[str], **look: Unpack[LookOptions]) -> Path:
        """Write the explanation to a file in the format of its suffix.

        Args:
            path: With the suffix .npz or .json, which [`load`][] reads; .png, .svg or .pdf for a figure; or .html for
                a page that embeds its pictures.
            **look: Options of figures and pages, as for [`plot`][].

        Returns:
            The path.

        Raises:
            InputError: If the suffix is unknown, the folder does not exist, or an option is out of range.
        """
        path = Path(path)
        suffix = choose(path.suffix.lower(), (*FORMATS, *FIGURES, ".html"), "the suffix of the file", None, 0.6)
        if not os.path.isdir(path.parent):
            raise InputError.expected("a file in an existing folder", repr(str(path.parent)), "create the folder first")
        path.write_bytes(encode(self, suffix, look))
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Explanation:
        """Read an explanation that [`save`][] wrote as .npz or .json, the same to the last bit. No code is executed.

        Raises:
            InputError: If the suffix is another, the file does not exist, or it holds anything else.
        """
        path = Path(path)
        suffix = choose(path.suffix.lower(), FORMATS, "the suffix of the file")
        if not os.path.isfile(path):
            raise InputError.expected("an existing file", repr(str(path)))
        content = FORMATS[suffix][1](path.read_bytes())
        settings = Settings.from_record(content.get("settings"))
        try:
            return cls(**{**content, "settings": settings})
        except TypeError as error:
            raise InputError.expected(
                "all parts of an explanation in the file", "missing or unknown ones", "save the explanation again"
            ) from error

    def _repr_png_(self) -> bytes:
        return encode(self, ".png", {})

    def _repr_html_(self) -> str:
        return html(self, "explanation.html", {})
