"""What can be chosen by name: maskings, segmentations, methods, models, protocols and more.

The API and the command line check names here. Nothing here imports torch, so that help and completion are instant.
"""

from __future__ import annotations

from .maskings import MASKING_PATTERNS, MASKINGS, MaskingEntry, masking_order, parse_masking
from .methods import ESTIMATORS, METHODS, SAMPLINGS, MethodEntry, check_estimator, check_fit, check_sampling
from .models import LITE, MODELS, TORCHVISION, check_model
from .segmentations import SEGMENTATIONS, parse_segmentation
from .words import (
    ALIASES,
    DEVICES,
    LAYOUTS,
    MASKS,
    OUTPUTS,
    PAPER,
    PAPER_FIGURES,
    PAPER_TABLES,
    PRECISIONS,
    PROGRAM,
    PROTOCOL_SETTINGS,
    SCALES,
    SIGNATURE,
    SIGNS,
    STYLES,
)

__all__ = [
    "ALIASES", "DEVICES", "ESTIMATORS", "LAYOUTS", "LITE", "MASKINGS", "MASKING_PATTERNS", "MASKS", "METHODS",
    "MODELS", "OUTPUTS", "PAPER", "PAPER_FIGURES", "PAPER_TABLES", "PRECISIONS", "PROGRAM", "PROTOCOL_SETTINGS",
    "SAMPLINGS", "SCALES", "SEGMENTATIONS", "SIGNATURE", "SIGNS", "STYLES", "TORCHVISION", "MaskingEntry",
    "MethodEntry", "check_estimator", "check_fit", "check_model", "check_sampling", "masking_order", "parse_masking",
    "parse_segmentation", "title",
]  # fmt: skip


def title(name: str) -> str:
    """The title of a masking or a method in figures; its name if it has no title.

    Example:
        >>> title("layer"), title("layer-until:layer1"), title("shap")
        ('layer masking', 'layer-until:layer1', 'KernelSHAP')
    """
    entry = MASKINGS.get(name) or METHODS.get(name)
    return entry.title if entry else name
