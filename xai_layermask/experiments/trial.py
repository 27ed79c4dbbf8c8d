"""`Unit`: a piece of work, and the key that holds everything that determines its result."""

from __future__ import annotations

import dataclasses
import hashlib
import json

__all__ = ["Unit"]


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """A piece of work: an experiment with one model, one masking and one segmentation on one picture.

    Attributes:
        protocol: The experiment's name.
        settings: Its settings, as canonical JSON.
        model: The model's name.
        model_digest: Of its weights, structure and preprocessing.
        masking: The masking's name.
        segments: The segmentation's name; "" where the experiment has none.
        picture: The picture's name in its dataset.
        picture_digest: Of picture, object mask and label.
        seed: Where randomness comes from.
        precision: The arithmetic, such as "float32".
        version: Of this package.
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
        """SHA-256 of all of it, 64 hexadecimal digits.

        Example:
            >>> a = Unit("lime", "{}", "lite0", "ab", "layer", "slic", "cat.jpg", "cd", 0, "float32", "0.1.0")
            >>> a.key == dataclasses.replace(a).key, a.key == dataclasses.replace(a, seed=1).key
            (True, False)
        """
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
