"""`Settings`: how an explanation was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from ..errors import InputError
from ..images import Frame, Preprocess

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How an explanation was made: all that it takes to make it again.

    The explanation holds the cropped picture, so preprocess it without cropping it again:
    `dataclasses.replace(settings.preprocess, resize=None, crop=None)`.

    Attributes:
        model: The model's name, or the class of a network that was passed.
        method: "lime", "shap", "rise", "occlusion" or "ablation".
        masking: The masking's name.
        segments: The name of the segmentation; "function NAME" for a function, "array" for a map. The map is
            `explanation.segments`.
        n_samples: The number of samples asked for; for "auto", the number used.
        seed: Seed of the samples.
        batch_size: Samples per forward pass.
        precision: Precision of the forward passes, such as "float32".
        device: Device of the forward passes, such as "cpu".
        preprocess: How the picture becomes the model's input; the text of a callable that is not a `Preprocess`.
        versions: The versions of this package and of torch.
        sampling: How the samples depend on each other, such as "plain".
        estimator: What was fitted to the predictions, such as "spatial".
        output: What is explained, such as "probability"; never "auto".
        select: The part of the model's output that is explained, as [`Output`][] takes it, or "function NAME".
        frame: The part of the photograph that the model saw; None if unknown.
        window: Side in pixels of what occlusion and RISE remove at once; None for other methods.
        note: A remark about the data, such as which bands are displayed.
        channels: The channels in which segments were removed; None for all.
        additional: Number of further inputs of the model.
        given: What the model's numbers were said to be, as [`Output`][] takes it.
        by_region: Whether a class stands for its mean over the region of a map where it is predicted.

    Example:
        >>> settings = Settings(
        ...     "lite0", "lime", "layer", "slic", 500, 0, 16, "float32", "cpu", Preprocess(), "torch 2", "plain"
        ... )
        >>> Settings.from_record(settings.record()) == settings
        True
    """

    model: str
    method: str
    masking: str
    segments: str
    n_samples: int
    seed: int
    batch_size: int
    precision: str
    device: str
    preprocess: Preprocess | str
    versions: str
    sampling: str = "plain"
    estimator: str = "spatial"
    output: str = "probability"
    select: str | int | None = None
    frame: Frame | None = None
    window: int | None = None
    note: str = ""
    channels: tuple[int, ...] | None = None
    additional: int = 0
    given: str = "auto"
    by_region: bool = False

    def record(self) -> dict[str, Any]:
        """The settings as numbers, strings, lists and dictionaries, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: object) -> Settings:
        """Read what [`record`][] returned.

        Args:
            record: A mapping with a value for each attribute. A record without `sampling` used plain sampling for
                LIME and paired sampling for KernelSHAP.

        Raises:
            InputError: If it is anything else.
        """
        names = {field.name for field in fields(cls)}
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        if isinstance(record, Mapping) and needed <= set(record) <= names:
            content = dict(record)
            content.setdefault("sampling", "paired" if record["method"] == "shap" else "plain")
            kinds: dict[str, Any] = {
                "str": str, "int": int, "bool": bool, "str | int | None": (str, int, type(None)),
                "int | None": (int, type(None)), "Preprocess | str": (Mapping, str),
                "Frame | None": (Mapping, Frame, type(None)), "tuple[int, ...] | None": (list, tuple, type(None)),
            }  # fmt: skip
            for one in fields(cls):
                value = content.get(one.name, one.default)
                if not isinstance(value, kinds.get(str(one.type), object)):
                    raise InputError.expected(f"{one.type} for {one.name} in settings", type(value).__name__)
            if content.get("channels") is not None:
                content["channels"] = tuple(content["channels"])
            try:
                if isinstance(content["preprocess"], Mapping):
                    content["preprocess"] = Preprocess(**content["preprocess"])
                if isinstance(content.get("frame"), Mapping):
                    content["frame"] = Frame(**content["frame"])
                return cls(**content)
            except TypeError:
                pass  # unknown fields of the preprocessing
        raise InputError.expected(f"a record of settings with {', '.join(sorted(names))}", "something else")
