"""What tells measurements apart that may not be compared, and what they are called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Identity", "names"]

_LONG = 16


@dataclass(frozen=True, order=True)
class Identity:
    """What units have in common whose rows may be compared.

    Attributes:
        model: The model's name.
        settings: Those of the protocol, as canonical JSON.
        precision: What the model computed in.
        seed: Of all random choices.
        version: Of this package.
        model_digest: Of the model with its weights.
    """

    model: str
    settings: str
    precision: str
    seed: int
    version: str
    model_digest: str

    def setting(self, name: str) -> object:
        """The value of a setting of the protocol; None if it has none of that name."""
        return json.loads(self.settings).get(name)


def names(identities: Sequence[Identity]) -> list[str]:
    """Name each identity by its model, and by what else tells it from the others of that model.

    Args:
        identities: Different ones.

    Returns:
        One name each, all different.

    Example:
        >>> names([Identity("a", '{"k":1}', "float32", 0, "1.0", "f0"), Identity("a", '{"k":2}', "float32", 0, "1.0",
        ...        "f0"), Identity("b", '{"k":2}', "float32", 0, "1.0", "f1")])
        ['a (k 1)', 'a (k 2)', 'b']
    """
    facts = [_facts(one) for one in identities]
    found = []
    for mine, one in zip(facts, identities, strict=True):
        others = [theirs for theirs, other in zip(facts, identities, strict=True) if other.model == one.model]
        parts = [
            f"{name} {_short(value, [theirs.get(name, '') for theirs in others])}"
            for name, value in mine.items()
            if any(theirs.get(name) != value for theirs in others)
        ]
        found.append(f"{one.model} ({', '.join(parts)})" if parts else one.model)
    return found


def _short(value: str, every: Sequence[str]) -> str:
    """A value, or its number among all of them where it is long."""
    return value if len(value) <= _LONG else f"#{sorted(set(every)).index(value) + 1}"


def _facts(identity: Identity) -> dict[str, str]:
    """Everything but the model's name, in words; the digest comes shortened."""
    settings = {name: json.dumps(value).strip('"') for name, value in json.loads(identity.settings).items()}
    rest = {
        "precision": identity.precision,
        "seed": str(identity.seed),
        "version": identity.version,
        "weights": identity.model_digest[:8],
    }
    return settings | rest
