"""An explanation as bytes: compressed numpy arrays, or JSON that any program can read.

Both hold the same fields and give back the same numbers, to the last bit. Nothing is pickled, so that a file
from a stranger can do no harm.
"""

from __future__ import annotations

import base64
import io
import json
import math
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

__all__ = ["FORMATS", "png_bytes", "png_url"]

Fields = dict[str, Any]
Picture = npt.NDArray[np.uint8]

_FORMAT = "xai-layermask explanation 1"
_DTYPES = {
    "picture": np.uint8,
    "segments": np.int64,
    "scores": np.float64,
    "targets": np.int64,
    "probabilities": np.float64,
    "intercept": np.float64,
    "r2": np.float64,
}


def png_bytes(picture: Picture) -> bytes:
    """Write a picture as PNG.

    Args:
        picture: uint8 `(H, W, 3)`.

    Returns:
        The content of the file.

    Example:
        >>> png_bytes(np.zeros((2, 2, 3), np.uint8))[1:4]
        b'PNG'
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def png_url(png: bytes) -> str:
    """Write a PNG as an address that holds the picture itself.

    Args:
        png: The content of the file.

    Returns:
        The address, for `<img src=...>`.

    Example:
        >>> png_url(b"PNG")
        'data:image/png;base64,UE5H'
    """
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _to_npz(fields: Fields) -> bytes:
    words = {"format": _FORMAT, "labels": fields["labels"], "settings": fields["settings"]}
    arrays = {name: np.asarray(fields[name], dtype) for name, dtype in _DTYPES.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, words=np.array(json.dumps(words)), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _from_npz(data: bytes) -> Fields:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        words = json.loads(arrays["words"].item())
        return _known(words) | {name: arrays[name].astype(dtype) for name, dtype in _DTYPES.items()}


def _to_json(fields: Fields) -> bytes:
    lists = {name: _without_nan(np.asarray(fields[name], dtype).tolist()) for name, dtype in _DTYPES.items()}
    content = {
        "format": _FORMAT,
        "settings": fields["settings"],
        "labels": fields["labels"],
        **lists,
        "picture": png_url(png_bytes(fields["picture"])),
    }
    return json.dumps(content, allow_nan=False).encode()


def _from_json(data: bytes) -> Fields:
    from PIL import Image

    content = _known(json.loads(data))
    encoded = content["picture"].partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(encoded, validate=True))) as image:
        content["picture"] = image.convert("RGB")
    # None becomes nan in a float array.
    return content | {name: np.array(content[name], dtype) for name, dtype in _DTYPES.items()}


def _known(content: Any) -> Fields:
    found = content.get("format") if isinstance(content, dict) else None
    if found != _FORMAT:
        raise InputError(f"file must hold {_FORMAT!r}, but {found!r} came: save the explanation again.")
    return {key: value for key, value in content.items() if key != "format"}


def _without_nan(value: Any) -> Any:
    """JSON has no nan: null stands for it."""
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _reading(read: Callable[[bytes], Fields], suffix: str) -> Callable[[bytes], Fields]:
    def checked(data: bytes) -> Fields:
        try:
            return read(data)
        except InputError:
            raise
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            EOFError,
            zipfile.BadZipFile,
        ) as error:
            raise InputError(
                f"file must be a saved explanation ({suffix}), but it cannot be read "
                f"({type(error).__name__}): it may be cut short or something else, so save it again."
            ) from error

    return checked


#: By suffix: from fields to bytes, and back.
FORMATS: dict[str, tuple[Callable[[Fields], bytes], Callable[[bytes], Fields]]] = {
    ".npz": (_to_npz, _reading(_from_npz, ".npz")),
    ".json": (_to_json, _reading(_from_json, ".json")),
}
