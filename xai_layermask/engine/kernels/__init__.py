"""Triton kernels; import them only where Triton is installed."""

from .epilogue import finish
from .presence import replace_absent
from .rings import FAR, RingCells, fill, ring_cells

__all__ = ["FAR", "RingCells", "fill", "finish", "replace_absent", "ring_cells"]
