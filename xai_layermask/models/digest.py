"""`digest_model`: a digest of the weights and structure of a network."""

from __future__ import annotations

import hashlib
import re

import torch
from torch import Tensor, nn

__all__ = ["digest_model"]

_DIGITS = 16


def digest_model(model: nn.Module, *others: str, any_precision: bool = False) -> str:
    """Digest the names, shapes, types and bytes of the weights, and the structure of a model.

    The structure is its `repr`, which does not show a change in the code of a `forward`.

    Args:
        model: The model.
        others: Text that is digested with it.
        any_precision: Whether a model and its copy in float64 have the same digest.

    Returns:
        16 hexadecimal digits, the same on any device and in any process.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> before = digest_model(model), digest_model(model, any_precision=True)
        >>> copy = model.double()
        >>> before[0] == digest_model(copy), before[1] == digest_model(copy, any_precision=True)
        (False, True)
    """
    digest = hashlib.sha256()
    # Non-persistent buffers change predictions, too. Extra state that is not a tensor is digested by its repr.
    values = {**dict(model.named_buffers()), **model.state_dict()}
    for name in sorted(values):
        value = values[name]
        if isinstance(value, Tensor):
            value = value.float() if any_precision and value.is_floating_point() else value
            flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            head, body = f"{name} {value.dtype} {tuple(value.shape)}", flat.numpy().tobytes()
        else:
            head, body = name, _without_addresses(repr(value)).encode()
        _update(digest, head.encode(), body)
    _update(digest, _without_addresses(repr(model)).encode(), *(other.encode() for other in others))
    return digest.hexdigest()[:_DIGITS]


def _update(digest: hashlib._Hash, *parts: bytes) -> None:
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)


def _without_addresses(text: str) -> str:
    """Text without the addresses of functions and objects, which differ between processes."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)
