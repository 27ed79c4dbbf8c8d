"""`Explanation`: the scores of the segments of one picture, and how they were computed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import InputError, choose
from .by_target import ByTarget
from .dataframe import dataframe
from .parts import check_shapes, check_values, exact, printable_labels
from .rendering import FIGURES, encode, notebook_html
from .serialization import DTYPES, FORMATS
from .settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from pandas import DataFrame
    from typing_extensions import Unpack

    from ..plots import LookOptions

__all__ = ["Explanation"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(ByTarget):
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
        targets: T class indices; -1 for a target that is not a class, such as a position in a map.
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
        played: bool `(K,)`: which segments were removed and scored. Missing pixels were not, and rank last. Empty
            stands for all.

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
    played: npt.NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, bool))

    def __post_init__(self) -> None:
        for name, dtype in DTYPES.items():
            if name == "targets":
                continue
            array = exact(getattr(self, name), dtype, name)
            if name == "played" and array.shape == (0,):
                array = np.ones(self.scores.shape[-1:], bool)
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
            f"Explanation({shown}; {np.count_nonzero(self.played)} segments, {self.settings.method} with "
            f"{self.settings.masking} masking of {self.settings.model})"
        )

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

    def to_dataframe(self) -> DataFrame:
        """A table with a row for each target and segment, for pandas.

        Returns:
            Columns target, label, segment, score, standard_error, played, share of the picture's area, and the
            centroid (x, y) in pixels of the cropped picture. `attrs` holds the settings.

        Raises:
            InputError: If pandas is not installed.
        """
        return dataframe(self)

    def save(self, path: str | os.PathLike[str], **look: Unpack[LookOptions]) -> Path:
        """Write the explanation to a file in the format of its suffix.

        Args:
            path: With the suffix .npz or .json, which [`load`][] reads; .png, .svg or .pdf for a figure; or .html for
                an interactive page that needs no other file.
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
        return notebook_html(self)
