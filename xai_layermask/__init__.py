"""Layer masking: explain vision networks by running them on the present part of an image.

Example:
    >>> import torch
    >>> from xai_layermask import LayerMask
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> masked = LayerMask(model)
    >>> image, presence = torch.rand(1, 3, 16, 16), torch.rand(1, 1, 16, 16) > 0.5
    >>> masked(image, presence).shape
    torch.Size([1, 8])
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .engine.rules import rule as rule
    from .errors import CaptureError as CaptureError
    from .errors import InputError as InputError
    from .errors import UnsupportedOperator as UnsupportedOperator
    from .explain import Explanation as Explanation
    from .explain import LayerMaskExplainer as LayerMaskExplainer
    from .images import Preprocess as Preprocess
    from .maskings import Fill as Fill
    from .maskings import LayerMask as LayerMask
    from .maskings import with_presence as with_presence
    from .models import Output as Output

_HOMES = {
    "CaptureError": "errors",
    "Explanation": "explain",
    "Fill": "maskings",
    "InputError": "errors",
    "LayerMask": "maskings",
    "LayerMaskExplainer": "explain",
    "Output": "models",
    "Preprocess": "images",
    "UnsupportedOperator": "errors",
    "rule": "engine.rules",
    "with_presence": "maskings",
}

__all__ = sorted([*_HOMES, "__version__"])

# A library logs nothing until the application configures logging.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that the command line starts without importing torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    """The public names."""
    return list(__all__)
