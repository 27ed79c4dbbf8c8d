"""`Settings`: how an explanation was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import InputError
from ..images.preprocess import Preprocess

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How an explanation was made: what it takes to make it again.

    The explanation holds the cropped picture, so preprocess it without cropping it anew:
    `dataclasses.replace(settings.preprocess, resize=None, crop=None)`.

    Attributes:
        model: The model's name, or the class of a model that was passed itself.
        method: "lime" or "shap".
        masking: The masking's name.
        segments: How the picture was cut; "array" where a map was passed, which is `explanation.segments`.
        n_samples: The number of samples asked for; of "auto", the number that it took.
        seed: Where their randomness came from.
        batch_size: How many samples went through the model at once.
        precision: The arithmetic of the forward passes, such as "float32".
        device: Where they ran, such as "cpu".
        preprocess: How the picture was prepared for the model.
        versions: The versions of this package and of torch.
        sampling: How the samples depend on each other, such as "plain".

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

    def record(self) -> dict[str, Any]:
        """The settings as plain numbers and words, such as JSON holds."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: object) -> Settings:
        """Take settings from what [`record`][] made of them.

        Args:
            record: A mapping with a value for each attribute. Those of version 0.1 have no `sampling`; what
                they were made with was plain for LIME and paired for KernelSHAP.

        Raises:
            InputError: If it is something else.
        """
        names = {field.name for field in fields(cls)}
        if isinstance(record, Mapping) and "sampling" not in record:
            record = {**record, "sampling": "paired" if record.get("method") == "shap" else "plain"}
        if isinstance(record, Mapping) and set(record) == names and isinstance(record["preprocess"], Mapping):
            try:
                return cls(**{**record, "preprocess": Preprocess(**record["preprocess"])})
            except TypeError:
                pass  # a preprocessing with unknown parts: the sentence below says what to do
        raise InputError(
            f"settings must have {', '.join(sorted(names))}, but something else came: give what record() made."
        )
