"""State dicts: from files, without running code from the file, and into models."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import InputError, reason

__all__ = ["load_weights", "read_state"]


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict from a file.

    Args:
        path: A file by `torch.save(model.state_dict())`, or a .safetensors file. The state dict may be under the key
            "state_dict" or "model", and have the prefix of torch.nn.DataParallel, which is removed.

    Returns:
        Tensors by name, on the CPU, in the dtype of the file.

    Raises:
        InputError: If there is no such file, or it holds no state dict.

    Example:
        >>> read_state("missing.pt")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected an existing file for weights, got 'missing.pt'
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise InputError.expected("an existing file for weights", repr(name))
    remedy = "save model.state_dict()"
    try:
        state = _load(name)
    except Exception as error:  # torch and safetensors raise a dozen kinds of errors for other files
        raise InputError.expected(
            "a state dict by torch.save or safetensors for weights", f"{name!r} ({reason(error)})", remedy
        ) from error
    for key in ("state_dict", "model"):  # where training scripts put it
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError.expected("a state dict for weights", f"{name!r}, which holds something else", remedy)
    names = list(map(str, state))
    if all(name.startswith("module.") for name in names):  # otherwise it is a module's own name
        names = [name.removeprefix("module.") for name in names]
    return dict(zip(names, state.values(), strict=True))


def _load(path: str) -> object:
    if not path.endswith(".safetensors"):
        state: object = torch.load(path, map_location="cpu", weights_only=True)
        return state
    from safetensors.torch import load_file

    return load_file(path)


def load_weights(model: nn.Module, state: Mapping[str, Tensor], path: str | os.PathLike[str], name: str) -> None:
    """Copy weights into a model, which keeps its own dtype.

    Args:
        model: The network.
        state: Tensors by name.
        path: Their file, for the message.
        name: The model's name, for the message.

    Raises:
        InputError: If a tensor is missing, unknown or of another shape; the model is then unchanged.

    Example:
        >>> load_weights(nn.Linear(2, 1), {"weight": torch.ones(1, 2)}, "tiny.pt", "tiny")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected weights of the model 'tiny', got 'tiny.pt' with 1 tensors missing, \
0 unknown and 0 of another shape, such as 'bias'
    """
    own = model.state_dict()
    wrong = [key for key in own if key in state and own[key].shape != state[key].shape]
    # Counters that older files lack; nothing reads them in evaluation mode.
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in own]
    if wrong or missing or unknown:
        raise InputError.expected(
            f"weights of the model {name!r}",
            f"{os.fspath(path)!r} with {len(missing)} tensors missing, {len(unknown)} unknown and {len(wrong)} of "
            f"another shape, such as {(wrong + missing + unknown)[0]!r}",
        )
    model.load_state_dict(state, strict=False)
