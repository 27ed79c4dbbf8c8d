"""`Identity`: what trials must share so that their rows can be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Identity", "setup_names"]

_LONG = 16


@dataclass(frozen=True, order=True)
class Identity:
    """The fields of [`Trial`][xai_layermask.experiments.trial.Trial] in which comparable trials agree."""

    model: str
    settings: str
    precision: str
    seed: int
    version: str
    model_digest: str

    def setting(self, name: str) -> object:
        """The value of a setting of the protocol; None if it has no such setting."""
        return json.loads(self.settings).get(name)


def setup_names(identities: Sequence[Identity]) -> list[str]:
    """Name each identity by its model, and by what distinguishes it from others of the same model.

    Example:
        >>> setup_names([Identity("a", '{"k":1}', "float32", 0, "1.0", "f0"),
        ...              Identity("a", '{"k":2}', "float32", 0, "1.0", "f0"),
        ...              Identity("b", '{"k":2}', "float32", 0, "1.0", "f1")])
        ['a (k 1)', 'a (k 2)', 'b']
    """
    facts = [_facts(one) for one in identities]
    found = []
    for own, one in zip(facts, identities, strict=True):
        others = [other for other, identity in zip(facts, identities, strict=True) if identity.model == one.model]
        parts = [
            f"{name} {_short(value, [other.get(name, '') for other in others])}"
            for name, value in own.items()
            if any(other.get(name) != value for other in others)
        ]
        found.append(f"{one.model} ({', '.join(parts)})" if parts else one.model)
    return found


def _short(value: str, values: Sequence[str]) -> str:
    """The value, or its number among all values if it is long."""
    return value if len(value) <= _LONG else f"#{sorted(set(values)).index(value) + 1}"


def _facts(identity: Identity) -> dict[str, str]:
    """Everything but the model's name, as text."""
    settings = {name: json.dumps(value).strip('"') for name, value in json.loads(identity.settings).items()}
    return settings | {
        "precision": identity.precision,
        "seed": str(identity.seed),
        "version": identity.version,
        "weights": identity.model_digest[:8],
    }
