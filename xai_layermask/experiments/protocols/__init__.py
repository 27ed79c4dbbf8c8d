"""The experiments of the paper, as generators of rows: they print nothing, plot nothing and store nothing.

"The paper" is Balasubramanian & Feizi, "Towards Improved Input Masking for Convolutional Neural Networks", ICCV 2023
(arXiv 2211.14646). Each module says where it follows the code published with it, and where it does otherwise.
"""

from __future__ import annotations

from .ablation import Ablation
from .asker import Asker
from .collapse import Collapse
from .colours import Colours
from .lime import Lime
from .linearity import Linearity
from .mask_shape import MaskShape
from .protocol import Protocol, Row
from .robustness import Robustness

__all__ = [
    "PROTOCOLS",
    "Ablation",
    "Asker",
    "Collapse",
    "Colours",
    "Lime",
    "Linearity",
    "MaskShape",
    "Protocol",
    "Robustness",
    "Row",
]

#: The protocols by name.
PROTOCOLS: dict[str, type[Protocol]] = {
    one.name: one for one in (Robustness, Lime, MaskShape, Linearity, Collapse, Ablation, Colours)
}
