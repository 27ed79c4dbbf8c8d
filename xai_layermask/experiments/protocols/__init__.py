"""The experiments of the paper, as generators of rows: they do not print, plot or store.

"The paper" is Balasubramanian & Feizi, "Towards Improved Input Masking for Convolutional Neural Networks", ICCV 2023
(arXiv 2211.14646). Each protocol says where it follows the published code, and where it differs.
"""

from __future__ import annotations

from .ablation import Ablation
from .classifier import MaskedClassifier, View
from .collapse import Collapse, direction
from .colours import Colours
from .lime import Lime
from .linearity import Linearity
from .mask_shape import MaskShape, broken
from .protocol import Protocol, Row, Value
from .removal import removal_order, removal_rows
from .robustness import Robustness

__all__ = [
    "PROTOCOLS",
    "Ablation",
    "Collapse",
    "Colours",
    "Lime",
    "Linearity",
    "MaskShape",
    "MaskedClassifier",
    "Protocol",
    "Robustness",
    "Row",
    "Value",
    "View",
    "broken",
    "direction",
    "removal_order",
    "removal_rows",
]

#: The protocols by name.
PROTOCOLS: dict[str, type[Protocol]] = {
    one.name: one for one in (Robustness, Lime, MaskShape, Linearity, Collapse, Ablation, Colours)
}
