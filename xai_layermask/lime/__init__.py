"""The `lime` package with layer masking instead of a colour.

Stock `lime` explains `as_rgba(picture)` with `masked.predict_proba` and `hide_color=0`. [`LayerMaskImageExplainer`][]
takes an ordinary picture and avoids the pitfalls of the stock explainer.
"""

from __future__ import annotations

from .explainer import LayerMaskImageExplainer
from .pictures import as_rgba, segmentation

__all__ = ["LayerMaskImageExplainer", "as_rgba", "segmentation"]
