"""A warning for callers that change the pixels of an image where they should make them absent."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_of_filling"]

# Captum's modules of methods that replace parts of their input.
_PERTURBING = tuple(
    f"captum.attr._core.{name}" for name in ("feature_ablation", "lime", "kernel_shap", "occlusion", "shapley_value")
)


def warn_of_filling() -> None:
    """Warn if Captum calls a masking with a whole image, into which it writes its baselines.

    A forgotten `bind` raises no error: the network predicts for the image with zeros in it.
    """
    if "captum.attr" not in sys.modules:
        return
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") not in _PERTURBING:
        frame = frame.f_back  # type: ignore[assignment]
    if frame is not None:
        method = type(frame.f_locals.get("self")).__name__
        warnings.warn(
            f"{method} of Captum changes pixels of the image, and none is absent: explain bound.presence of "
            "bound = masking.bind(image), or with_presence(image)",
            stacklevel=4,
        )
