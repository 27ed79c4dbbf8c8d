"""Serialization of explanations: compressed numpy arrays, or JSON that any program can read.

Both hold the same fields and restore the same numbers, to the last bit. Nothing is pickled, so that a file from an
untrusted source is safe to load.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError
from ..images import open_picture
from ..viewer import png_bytes, png_url
from .archive import read_arrays

__all__ = ["DTYPES", "FORMATS"]

Fields = dict[str, Any]

_FORMAT = "xai-layermask explanation 1"
#: The arrays of an explanation.
DTYPES = {
    "picture": np.uint8,
    "segments": np.int64,
    "scores": np.float64,
    "standard_errors": np.float64,
    "reliability": np.float64,
    "targets": np.int64,
    "predictions": np.float64,
    "probabilities": np.float64,
    "intercept": np.float64,
    "r2": np.float64,
    "prior": np.float64,
    "played": np.bool_,
}


def _to_npz(fields: Fields) -> bytes:
    words = {"format": _FORMAT, "output": fields["output"], "labels": fields["labels"], "settings": fields["settings"]}
    arrays: Fields = {name: np.asarray(fields[name], dtype) for name, dtype in DTYPES.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, words=np.array(json.dumps(words)), **arrays)
    return buffer.getvalue()


def _from_npz(data: bytes) -> Fields:
    arrays = read_arrays(data, ("words", *DTYPES), optional=("played",))
    return _with_played(_known(_parsed(arrays.pop("words").item())) | arrays)


def _to_json(fields: Fields) -> bytes:
    lists = {name: _nan_to_null(np.asarray(fields[name], dtype).tolist()) for name, dtype in DTYPES.items()}
    content = {
        "format": _FORMAT,
        "settings": fields["settings"],
        "output": fields["output"],
        "labels": fields["labels"],
        **lists,
        "picture": png_url(png_bytes(fields["picture"])),
    }
    return json.dumps(content, allow_nan=False).encode()


def _from_json(data: bytes) -> Fields:
    content = _with_played(_known(_parsed(data)))
    lists = {name: _null_to_nan(content[name]) for name in DTYPES if name not in ("picture", "played")}
    with open_picture(base64.b64decode(content["picture"].partition(",")[2], validate=True), "picture") as image:
        return content | lists | {"picture": np.array(image.convert("RGB"))}


def _parsed(text: str | bytes) -> Any:
    """JSON as the standard has it, without NaN and infinity, which could not be saved again."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def _with_played(fields: Fields) -> Fields:
    """Restore `played` for older files, in which missing pixels are a last segment whose scores and errors are 0."""
    if "played" in fields:
        return fields
    parts = [np.asarray(fields[name], np.float64) for name in ("scores", "standard_errors")]
    played = np.ones(parts[0].shape[-1:], bool)
    if played.size > 1:
        played[-1] = any((part[..., -1] != 0).any() for part in parts)
    return fields | {"played": played}


def _known(content: Any) -> Fields:
    found = content.get("format") if isinstance(content, dict) else None
    if found != _FORMAT:
        raise InputError.expected(f"the format {_FORMAT!r} in the file", repr(found), "save the explanation again")
    return {key: value for key, value in content.items() if key != "format"}


def _nan_to_null(value: Any) -> Any:
    """JSON has no nan; null represents it."""
    if isinstance(value, list):
        return [_nan_to_null(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _null_to_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_null_to_nan(one) for one in value]
    if type(value) not in (int, float, type(None)):
        raise TypeError(f"{type(value).__name__} among the numbers")
    return math.nan if value is None else value


def _reader(read: Callable[[bytes], Fields], suffix: str) -> Callable[[bytes], Fields]:
    def checked(data: bytes) -> Fields:
        try:
            return read(data)
        except InputError:
            raise
        except Exception as error:  # from zipfile, zlib, lzma, json, base64 or numpy: files may be hostile
            raise InputError.expected(
                f"a saved explanation ({suffix}) in the file",
                f"unreadable data ({type(error).__name__})",
                "it may be truncated or of another kind, so save the explanation again",
            ) from error

    return checked


#: By suffix: from fields to bytes, and back.
FORMATS: dict[str, tuple[Callable[[Fields], bytes], Callable[[bytes], Fields]]] = {
    ".npz": (_to_npz, _reader(_from_npz, ".npz")),
    ".json": (_to_json, _reader(_from_json, ".json")),
}
