"""Weights: state dicts from files, and into models, without running code from the file."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import InputError, reason

__all__ = ["fill", "read_state"]


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict from a file.

    Args:
        path: What `torch.save(model.state_dict())` wrote, or a .safetensors file. A state dict under the key
            "state_dict" or "model" is found, and the prefix of torch.nn.DataParallel taken off.

    Returns:
        Names with tensors, on the CPU, in the precision of the file.

    Raises:
        InputError: If there is no such file, or it holds no state dict.

    Example:
        >>> read_state("missing.pt")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: weights must be a file, but there is none at 'missing.pt': \
check the path.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise InputError(f"weights must be a file, but there is none at {name!r}: check the path.")
    try:
        state = _load(name)
    except Exception as error:
        # torch and safetensors raise a dozen kinds of errors for a file that is not theirs.
        raise InputError(
            f"weights must be a state dict that torch.save or safetensors wrote, but {name!r} could not be "
            f"read ({reason(error)}): save model.state_dict()."
        ) from error
    for key in ("state_dict", "model"):  # where training scripts like to put it
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(
            f"weights must be a state dict, names with tensors, but {name!r} holds something else: "
            "save model.state_dict()."
        )
    names = list(map(str, state))
    if all(name.startswith("module.") for name in names):  # of one alone it is the name of a part
        names = [name.removeprefix("module.") for name in names]
    return dict(zip(names, state.values(), strict=True))


def _load(path: str) -> object:
    if not path.endswith(".safetensors"):
        state: object = torch.load(path, map_location="cpu", weights_only=True)
        return state
    from safetensors.torch import load_file

    return load_file(path)


def fill(model: nn.Module, state: Mapping[str, Tensor], path: str | os.PathLike[str], name: str) -> None:
    """Copy weights into a model, which keeps its own precision: half becomes float in a float model.

    Args:
        model: The module to fill.
        state: Names with tensors.
        path: Where they came from, for the message.
        name: What the caller calls the model, for the message.

    Raises:
        InputError: If a tensor is missing, unknown or of another shape; the model is unchanged then.

    Example:
        >>> fill(nn.Linear(2, 1), {"weight": torch.ones(1, 2)}, "tiny.pt", "tiny")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: weights must fit the model 'tiny', but in 'tiny.pt' 1 tensors are \
missing, 0 unknown and 0 of another shape, such as 'bias': name the model that they belong to.
    """
    own = model.state_dict()
    wrong = [key for key in own if key in state and own[key].shape != state[key].shape]
    # Counters that files from before they existed do not have; nothing in eval mode reads them.
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in own]
    if wrong or missing or unknown:
        raise InputError(
            f"weights must fit the model {name!r}, but in {os.fspath(path)!r} {len(missing)} tensors are "
            f"missing, {len(unknown)} unknown and {len(wrong)} of another shape, such as "
            f"{(wrong + missing + unknown)[0]!r}: name the model that they belong to."
        )
    model.load_state_dict(state, strict=False)
