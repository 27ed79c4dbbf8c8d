"""`Settings`: how an explanation was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import InputError
from ..images import Preprocess

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How an explanation was made: all that it takes to make it again.

    The explanation holds the cropped picture, so preprocess it without cropping it again:
    `dataclasses.replace(settings.preprocess, resize=None, crop=None)`.

    Attributes:
        model: The model's name, or the class of a network that was passed.
        method: "lime" or "shap".
        masking: The masking's name.
        segments: The name of the segmentation; "array" for a map, which is `explanation.segments`.
        n_samples: The number of samples asked for; for "auto", the number used.
        seed: Seed of the samples.
        batch_size: Samples per forward pass.
        precision: Of the forward passes, such as "float32".
        device: Of the forward passes, such as "cpu".
        preprocess: From the picture to the model's input.
        versions: The versions of this package and of torch.
        sampling: How the samples depend on each other, such as "plain".
        estimator: What was fitted to the predictions, such as "spatial".
        output: What is explained, such as "probability"; never "auto".
        select: The part of the model's answer that is explained, as [`Output`][] takes it, or a function's name.

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
    preprocess: Preprocess
    versions: str
    sampling: str = "plain"
    estimator: str = "spatial"
    output: str = "probability"
    select: str | int | None = None

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
        if isinstance(record, Mapping) and "sampling" not in record:
            record = {**record, "sampling": "paired" if record.get("method") == "shap" else "plain"}
        if isinstance(record, Mapping) and set(record) == names and isinstance(record["preprocess"], Mapping):
            kinds: dict[str, Any] = {"str": str, "int": int, "str | int | None": (str, int, type(None))}
            for one in fields(cls):
                kind = kinds.get(str(one.type), object)
                if not isinstance(record[one.name], kind):
                    raise InputError.expected(f"{one.type} for {one.name} in settings", type(record[one.name]).__name__)
            try:
                return cls(**{**record, "preprocess": Preprocess(**record["preprocess"])})
            except TypeError:
                pass  # unknown fields of the preprocessing
        raise InputError.expected(f"a record of settings with {', '.join(sorted(names))}", "something else")
