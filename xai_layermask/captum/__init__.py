"""Captum with layer masking instead of a baseline.

Every perturbation method of Captum runs on `LayerMask(model).bind(image)` unchanged. In addition, [`LayerMaskLime`][]
and [`LayerMaskKernelShap`][] are called with the image itself, as Captum's `Lime` and `KernelShap` are, and
[`LayerMaskPerturbation`][] brings layer masking into Captum's own `LimeBase` and `Lime`.
"""

from __future__ import annotations

from .kernel_shap import LayerMaskKernelShap
from .lime import LayerMaskLime
from .perturbation import LayerMaskPerturbation

__all__ = ["LayerMaskKernelShap", "LayerMaskLime", "LayerMaskPerturbation"]
