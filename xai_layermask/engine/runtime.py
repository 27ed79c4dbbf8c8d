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
    "autocast_dtype",
    "convert",
    "find_device",
    "first_parameter",
    "forward_mode",
    "has_float64",
    "noise",
]

#: The largest error of rounded predictions that "auto" accepts, in standard deviations of the predictions. Scores are
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
        autocast: What it runs under autocast to; None without autocast.
        tries: What it runs under autocast to if the `noise` of the first predictions permits it.
    """

    model: nn.Module
    dtype: torch.dtype
    autocast: torch.dtype | None = None
    tries: torch.dtype | None = None

    @property
    def precision(self) -> str:
        """The precision of its forward passes, such as "float32"."""
        return str(self.autocast or self.dtype).removeprefix("torch.")


def convert(model: nn.Module, precision: str = "auto") -> Arithmetic:
    """Prepare a model for a precision, without changing it.

    Args:
        model: The network.
        precision: "float32" or "float64" (a model in another dtype is copied), "bfloat16" or "float16" (autocast of a
            float32 model), or "auto": the model's own, which tries the faster type of the device.

    Raises:
        InputError: If the precision is unknown, or the model cannot be converted.

    Example:
        >>> convert(nn.Conv2d(3, 8, 3), "float64").dtype
        torch.float64
    """
    choose(precision, PRECISIONS, "precision")
    own = first_parameter(model)
    if precision == "auto":
        return Arithmetic(model, own.dtype, tries=autocast_dtype(own.device) if own.dtype == torch.float32 else None)
    dtype: torch.dtype = getattr(torch, precision)
    if own.dtype == dtype:
        return Arithmetic(model, dtype)
    if dtype in (torch.bfloat16, torch.float16):
        if own.dtype != torch.float32:
            raise InputError.expected(
                f"a float32 model for precision {precision!r}", own.dtype, "convert the model, or use precision='auto'"
            )
        return Arithmetic(model, own.dtype, autocast=dtype)
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


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """The 16-bit type in which a device is faster than in float32; None if there is none.

    It is bfloat16 where the device has instructions for it, and float16 on older GPUs with tensor cores.

    Example:
        >>> autocast_dtype(torch.device("meta")) is None
        True
    """
    if device.type == "cpu":
        # Some of these are missing in older versions of torch.
        known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
        return torch.bfloat16 if any(getattr(torch.cpu, name, bool)() for name in known) else None
    if device.type != "cuda":
        return None
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16 if torch.cuda.get_device_capability(device) >= (7, 0) else None


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
def forward_mode(device: torch.device, autocast: torch.dtype | None = None) -> Iterator[None]:
    """Disable gradients, and enable autocast to a type; weights and images must not change meanwhile.

    Example:
        >>> with forward_mode(torch.device("cpu"), torch.bfloat16):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    casts = torch.autocast(device.type, autocast or torch.bfloat16, enabled=autocast is not None)
    with torch.inference_mode(), casts, series():
        yield
