"""Half the bits for the same explanation: where bfloat16 is fast, and whether an explanation survives it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["LIMIT", "noise", "runs_bfloat16"]

Floats = npt.NDArray[np.float64]

#: How large the error of the answers may be, in parts of their spread. Scores are linear in the answers, and rounding
#: errors go through the same map: at .1 the scores agree with the exact ones to a correlation of about .995.
LIMIT = 0.1


def runs_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself, and not by way of float32.

    Args:
        device: A device that torch has.

    Example:
        >>> runs_bfloat16(torch.device("meta"))
        False
    """
    if device.type == "cpu":
        # Older versions of torch do not know every one of these.
        known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
        return any(getattr(torch.cpu, name, bool)() for name in known)
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def noise(exact: npt.ArrayLike, rough: npt.ArrayLike) -> float:
    """How much of what answers tell is lost to a coarser arithmetic.

    An error that is the same for every sample does not count: no score depends on it.

    Args:
        exact: `(M, T)`: what the network answers for M samples and T targets.
        rough: `(M, T)`: what it answers in the coarser arithmetic.

    Returns:
        The standard deviation of the error over that of the answers, for the worst target; 0 where there is no error,
        inf where there is nothing but error.

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
