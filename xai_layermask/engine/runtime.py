"""Device and precision: one policy for API, command line and workers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..catalog import PRECISIONS
from ..errors import InputError, choose, reason
from .series import series

__all__ = [
    "NOISE_LIMIT",
    "Arithmetic",
    "convert",
    "find_device",
    "first_parameter",
    "forward_mode",
    "has_float64",
    "noise",
    "runs_bfloat16",
]

#: The largest error of bfloat16 predictions that "auto" accepts, in standard deviations of the predictions. Scores are
#: linear in the predictions; at 0.1, they correlate with the exact ones at about 0.995.
NOISE_LIMIT = 0.1


def find_device(name: str | torch.device = "auto") -> torch.device:
    """Find a device by name.

    Args:
        name: A device, or "auto" for the accelerator (CUDA, MPS, XPU ...) or, without one, the CPU.

    Raises:
        InputError: If the device is not available.

    Example:
        >>> find_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return torch.device("cpu") if found is None else torch.device(found.type)
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError, ImportError) as error:
        shown = f"{name!r}{_reason(str(name))}"
        raise InputError.expected("'auto' or an available device for device", shown, "use 'cpu'") from error
    return device


def _reason(name: str) -> str:
    kind = name.partition(":")[0]
    known = {"cuda": "GPU of CUDA", "mps": "GPU of an Apple computer", "xpu": "GPU of Intel"}
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if kind not in known or (found is not None and found.type == kind):
        return ""
    return f" (torch finds no {known[kind]})"


def first_parameter(model: nn.Module, otherwise: Tensor | None = None) -> Tensor:
    """The first floating-point parameter of a model, which shows the dtype and device of its inputs.

    Args:
        model: The network.
        otherwise: Returned if the model has none; a float32 scalar by default.

    Example:
        >>> first_parameter(nn.Conv2d(3, 4, 3).double()).dtype
        torch.float64
    """
    fallback = torch.zeros(()) if otherwise is None else otherwise
    return next((tensor for tensor in model.parameters() if tensor.is_floating_point()), fallback)


class Arithmetic(NamedTuple):
    """A model and its precision.

    Attributes:
        model: The user's own, or a copy in another dtype.
        dtype: The dtype of its inputs.
        autocast: Whether it runs under autocast to bfloat16.
        tries_bfloat16: Whether autocast is chosen if the `noise` of the first predictions permits it.
    """

    model: nn.Module
    dtype: torch.dtype
    autocast: bool = False
    tries_bfloat16: bool = False

    @property
    def precision(self) -> str:
        """The precision of its forward passes, such as "float32"."""
        return "bfloat16" if self.autocast else str(self.dtype).removeprefix("torch.")


def convert(model: nn.Module, precision: str = "auto") -> Arithmetic:
    """Prepare a model for a precision, without changing it.

    Args:
        model: The network.
        precision: "float32" or "float64" (a model in another dtype is copied), "bfloat16" (autocast of a float32
            model), or "auto": the model's own, with `tries_bfloat16` if the device has instructions for bfloat16.

    Raises:
        InputError: If the precision is unknown, or the model cannot be converted.

    Example:
        >>> convert(nn.Conv2d(3, 8, 3), "float64").dtype
        torch.float64
    """
    choose(precision, PRECISIONS, "precision")
    own = first_parameter(model)
    if precision == "auto":
        return Arithmetic(model, own.dtype, tries_bfloat16=own.dtype == torch.float32 and runs_bfloat16(own.device))
    dtype: torch.dtype = getattr(torch, precision)
    if own.dtype == dtype:
        return Arithmetic(model, dtype)
    if dtype == torch.bfloat16:
        if own.dtype != torch.float32:
            raise InputError.expected(
                "a float32 model for precision 'bfloat16'", own.dtype, "convert the model, or use precision='auto'"
            )
        return Arithmetic(model, own.dtype, autocast=True)
    if dtype == torch.float64 and not has_float64(own.device):
        raise InputError.expected(f"a precision that {own.device.type!r} supports", "'float64'", "use device='cpu'")
    try:
        return Arithmetic(copy.deepcopy(model).to(dtype), dtype)
    except Exception as error:  # whatever a module of the caller raises when it is copied
        raise InputError.expected(
            f"a model that can be copied for precision {precision!r}",
            f"{type(error).__name__} ({reason(error)})",
            "convert the model first, or use precision='auto'",
        ) from error


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in double precision; MPS and some XPUs do not.

    Example:
        >>> has_float64(torch.device("cpu")), has_float64(torch.device("mps"))
        (True, False)
    """
    if device.type == "xpu":
        return bool(torch.xpu.get_device_properties(device).has_fp64)
    return device.type != "mps"


def runs_bfloat16(device: torch.device) -> bool:
    """Whether a device has native bfloat16 instructions.

    Example:
        >>> runs_bfloat16(torch.device("meta"))
        False
    """
    if device.type == "cpu":
        # Some of these are missing in older versions of torch.
        known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
        return any(getattr(torch.cpu, name, bool)() for name in known)
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def noise(exact: npt.ArrayLike, rough: npt.ArrayLike) -> float:
    """The error of predictions in lower precision, relative to their standard deviation.

    A constant error is ignored, because no score depends on it.

    Args:
        exact: `(M, T)`, predictions for M samples and T targets.
        rough: `(M, T)`, the same in lower precision.

    Returns:
        Standard deviation of the error over that of the predictions, for the worst target; inf if only the predictions
        are constant.

    Example:
        >>> noise([[0.0], [1.0], [0.0], [1.0]], [[0.1], [0.9], [0.1], [0.9]])
        0.2
        >>> noise([[0.5], [0.5]], [[0.5], [0.4]])
        inf
    """
    right = np.asarray(exact, np.float64)
    error = np.std(np.asarray(rough, np.float64) - right, axis=0)
    spread = np.std(right, axis=0)
    share = np.divide(error, spread, out=np.full_like(error, np.inf), where=spread > 0)
    return round(float(np.where(error > 0, share, 0.0).max()), 12)


@contextmanager
def forward_mode(device: torch.device, autocast: bool = False) -> Iterator[None]:
    """Disable gradients, and enable autocast to bfloat16 if `autocast`; weights and images must not change meanwhile.

    Example:
        >>> with forward_mode(torch.device("cpu"), autocast=True):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=autocast), series():
        yield
