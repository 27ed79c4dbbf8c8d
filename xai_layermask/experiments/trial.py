"""`Trial`: one piece of an experiment, and the key of its result."""

from __future__ import annotations

import dataclasses
import hashlib
import json

__all__ = ["Trial"]


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """One protocol with one model, masking and segmentation on one picture.

    Attributes:
        protocol: Name of the protocol.
        settings: Settings of the protocol as canonical JSON.
        model: Name of the model.
        model_digest: Digest of its weights, structure and preprocessing.
        masking: Name of the masking.
        segments: Name of the segmentation; "" if the protocol has none.
        picture: Name of the picture in its dataset.
        picture_digest: Digest of the picture, its object mask and its label.
        seed: Seed of all random choices.
        precision: Arithmetic of the model, such as "float32".
        version: Version of this package.
    """

    protocol: str
    settings: str
    model: str
    model_digest: str
    masking: str
    segments: str
    picture: str
    picture_digest: str
    seed: int
    precision: str
    version: str

    @property
    def key(self) -> str:
        """SHA-256 of all fields, 64 hexadecimal digits.

        Example:
            >>> a = Trial("lime", "{}", "lite0", "ab", "layer", "slic", "cat.jpg", "cd", 0, "float32", "0.1.0")
            >>> a.key == dataclasses.replace(a).key, a.key == dataclasses.replace(a, seed=1).key
            (True, False)
        """
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.picture!r} with {self.model}, {self.masking} {self.segments}".rstrip()
