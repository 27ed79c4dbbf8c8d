"""State dicts: from files, without running code from the file, and into models."""

from __future__ import annotations

import argparse
import os
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import InputError, reason

__all__ = ["head_size", "load_weights", "read_state"]

_REMEDY = "save model.state_dict()"
_ZIP = b"PK\x03\x04"
_DEEPEST = 6  # how deep the state dict may lie in the file's containers


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the tensors of a file.

    Args:
        path: A file by `torch.save`, such as a state dict or a checkpoint of a training script, or a safetensors file;
            the content decides, not the suffix.

    Returns:
        Tensors by name, on the CPU, in the dtype of the file. Nested names are joined by dots, as in
        "state_dict.model.fc.weight"; [`load_weights`][] finds the state dict among them.

    Raises:
        InputError: If there is no such file, or it holds anything but tensors and plain data.

    Example:
        >>> read_state("missing.pt")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected an existing file for weights, got 'missing.pt'
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise InputError.expected("an existing file for weights", repr(name))
    wanted = "a state dict by torch.save or safetensors for weights"
    archive = _other_archive(name)
    if archive is not None:
        raise InputError.expected(wanted, *archive)
    try:
        content = _load(name)
    except Exception as error:  # torch and safetensors raise a dozen kinds of errors for other files
        raise InputError.expected(wanted, *_unreadable(name, error)) from error
    state = dict(_tensors(content, "", 0, set()))
    if not state:
        raise InputError.expected("a state dict for weights", f"{name!r}, which holds something else", _REMEDY)
    return state


def _load(path: str) -> object:
    with open(path, "rb") as file:
        head = file.read(9)
        size = int.from_bytes(head[:8], "little")  # the size of the header, a JSON object, in safetensors
        safe = head[8:] == b"{" and size <= os.path.getsize(path)
        if not safe and (head.startswith(_ZIP) or not path.endswith(".safetensors")):
            file.seek(0)
            # Training scripts add their command line, which is plain data. Deprecated tensors are named later.
            with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                state: object = torch.load(file, map_location="cpu", weights_only=True)
            return state
    from safetensors.torch import load_file

    return load_file(path)


def _other_archive(path: str) -> tuple[str, str] | None:
    """What an archive contains instead of weights, and what to do; None for all other files."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # no archive, or a damaged one
        return None
    if any(name.endswith("/constants.pkl") for name in names):
        return f"{path!r}, a TorchScript archive", f"save the state_dict() of torch.jit.load({path!r}) if you trust it"
    if any(name.endswith(("/archive_format", "serialized_exported_program.json")) for name in names):  # torch 2.6
        return f"{path!r}, a program by torch.export", "save the state_dict() of the model that was exported"
    return None


def _unreadable(path: str, error: Exception) -> tuple[str, str]:
    """Why a file cannot be read, and what to do: torch's own message recommends to load it unsafely."""
    pickled = re.search(r"(?:GLOBAL|global) ([\w.]+\.\w+)", str(error))
    if pickled:
        kind = f"a pickle with objects of {pickled[1]}, which can run code when it is read"
        return f"{path!r}, {kind}", f"{_REMEDY} instead of the model"
    if isinstance(error, ImportError):
        return f"{path!r} ({reason(error)})", "run pip install safetensors"
    if "weights_only" in str(error) or "Weights only" in str(error):
        return f"{path!r} of another format", _REMEDY
    return f"{path!r} ({reason(error)})", _REMEDY


def _tensors(content: object, prefix: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    """The tensors in nested containers by their path; a container that occurs twice counts once."""
    if not isinstance(content, Mapping | list | tuple) or id(content) in seen or depth > _DEEPEST:
        return
    seen.add(id(content))
    for key, value in content.items() if isinstance(content, Mapping) else enumerate(content):
        if isinstance(value, Tensor):
            yield f"{prefix}{key}", value
        else:
            yield from _tensors(value, f"{prefix}{key}.", depth + 1, seen)


class _Match(NamedTuple):
    """Tensors under one prefix of a file, by the names of the model, and what does not fit."""

    prefix: str
    found: dict[str, Tensor]
    missing: list[str]
    unknown: list[str]
    wrong: list[str]

    @property
    def faults(self) -> int:
        return len(self.missing) + len(self.unknown) + len(self.wrong)


def load_weights(model: nn.Module, state: Mapping[str, Tensor], path: str | os.PathLike[str], name: str) -> None:
    """Copy weights into a model, which keeps its own dtype.

    The state dict may lie anywhere in the file and have any prefix, as in the checkpoints of Lightning
    ("state_dict" and "model."), `torch.compile`, DistributedDataParallel or averaged weights. There must be exactly one
    prefix under which all names and shapes are the model's.

    Args:
        model: The network.
        state: Tensors by name, from [`read_state`][].
        path: Their file, for the message.
        name: The model's name, for the message.

    Raises:
        InputError: If a tensor is missing, unknown, of another shape or not a plain tensor of numbers of the same kind,
            or if several prefixes fit; the model is then unchanged.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> load_weights(model, {"net.weight": torch.ones(1, 2), "net.bias": torch.zeros(1)}, "tiny.pt", "tiny")
        >>> model.weight.tolist()
        [[1.0, 1.0]]
        >>> load_weights(model, {"weight": torch.ones(1, 2)}, "tiny.pt", "tiny")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected weights of the model 'tiny', got 'tiny.pt' with 1 tensors missing, \
0 unknown and 0 of another shape, such as 'bias'
    """
    own, file = _own(model), os.fspath(path)
    matches = _matches(own, state)
    fitting = [match for match in matches if not match.faults]
    if len(fitting) > 1:
        places = ", ".join(repr(match.prefix.rstrip(".")) for match in fitting)
        raise InputError.expected(
            f"one state dict that fits the model {name!r}", f"{file!r} with {len(fitting)}, under {places}",
            "save one of them in a file of its own",
        )  # fmt: skip
    if not fitting:
        best = min(matches, key=lambda match: match.faults)
        first = (best.wrong + best.missing + best.unknown)[0]
        shapes = f" of {_shape(best.found[first])} instead of {_shape(own[first])}" if best.wrong else ""
        raise InputError.expected(
            f"weights of the model {name!r}",
            f"{file!r} with {len(best.missing)} tensors missing, {len(best.unknown)} unknown and {len(best.wrong)} of "
            f"another shape, such as {first!r}{shapes}" + (f", under {best.prefix!r}" if best.prefix else ""),
        )
    found = fitting[0].found
    for key, tensor in found.items():
        unusable = _unusable(tensor, own[key])
        if unusable:
            raise InputError.expected(
                f"weights of the model {name!r}", f"{unusable} for {key!r} in {file!r}", "save plain float tensors"
            )
    names = dict(zip(own, _names(model), strict=True))
    model.load_state_dict({names[key]: tensor for key, tensor in found.items()}, strict=False)


def head_size(model: nn.Module, state: Mapping[str, Tensor]) -> int | None:
    """The number of classes of weights that fit a model but for the size of its last layers.

    Args:
        model: The network, with another number of classes.
        state: Tensors by name, from [`read_state`][].

    Returns:
        The number; None if the weights fit, or do not fit for another reason.

    Example:
        >>> head_size(nn.Linear(2, 1000), {"weight": torch.ones(5, 2), "bias": torch.zeros(5)})
        5
    """
    own = _own(model)
    sizes: set[tuple[int, int]] = set()
    for match in _matches(own, state):
        if match.missing or match.unknown:
            continue
        for key in match.wrong:
            before, now = own[key].shape, _shape(match.found[key])
            if len(now) != len(before) or now[1:] != before[1:]:
                return None
            sizes.add((before[0], now[0]))
    return sizes.pop()[1] if len(sizes) == 1 else None


def _own(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a model by their names, without a prefix that all of them have, such as that of a wrapper."""
    state = model.state_dict()
    names = {name: _plain(name).split(".") for name in _names(model)}
    parts = list(names.values())
    shared = 0
    while parts and all(len(part) > shared + 1 and part[shared] == parts[0][shared] for part in parts):
        shared += 1
    return {".".join(part[shared:]): state[name] for name, part in names.items()}


def _names(model: nn.Module) -> list[str]:
    """The names of a model's tensors; its state may hold other things as well."""
    return [key for key, value in model.state_dict().items() if isinstance(value, Tensor)]


def _plain(name: str) -> str:
    """A name without the parts that `torch.compile` adds, wherever they are."""
    return name.replace("_orig_mod.", "")


def _matches(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[_Match]:
    """The tensors under every prefix with all of the model's names, or the most of them."""
    given = {_plain(key): value for key, value in state.items()}
    # Counters that older files lack; nothing reads them in evaluation mode.
    needed = [key for key in own if not key.endswith("num_batches_tracked")]
    hits: Counter[str] = Counter({"": 0})
    for key in given:
        starts = [0, *(place.end() for place in re.finditer(r"\.", key))]
        hits.update(key[:start] for start in starts if key[start:] in own)
    enough = min(max(hits.values()), len(needed))
    found = []
    for prefix in (prefix for prefix, count in hits.items() if count >= enough):
        under = {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
        missing = [key for key in needed if key not in under]
        unknown = [key for key in under if key not in own]
        known = {key: value for key, value in under.items() if key in own}
        wrong = [key for key in own if key in known and _shape(known[key]) != own[key].shape]
        found.append(_Match(prefix, known, missing, unknown, wrong))
    return found


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return () if tensor.is_nested else tuple(tensor.shape)


def _unusable(tensor: Tensor, own: Tensor) -> str:
    """Why a tensor cannot replace the model's own; "" if it can."""
    if tensor.device.type == "meta":
        return "a tensor without values (on the meta device)"
    if tensor.is_quantized:
        return "a quantised tensor"
    if tensor.layout != torch.strided or tensor.is_nested:
        return f"a tensor of layout {'nested' if tensor.is_nested else str(tensor.layout).removeprefix('torch.')}"
    kinds = [(one.is_floating_point(), one.is_complex()) for one in (tensor, own)]
    if kinds[0] != kinds[1] and (own.is_floating_point() or own.is_complex() or tensor.is_complex()):
        return f"{str(tensor.dtype).removeprefix('torch.')} numbers instead of {str(own.dtype).removeprefix('torch.')}"
    return ""
