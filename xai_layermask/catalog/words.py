"""Values of options, and aliases for some of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..version import __version__

__all__ = [
    "ALIASES", "DEVICES", "LAYOUTS", "MASKS", "OUTPUTS", "PAPER", "PAPER_FIGURES", "PAPER_TABLES", "PRECISIONS",
    "PROGRAM", "PROTOCOL_SETTINGS", "SCALES", "SIGNATURE", "SIGNS", "STYLES",
]  # fmt: skip

OUTPUTS = ("auto", "probability", "sigmoid", "logit", "log_probability", "log_odds", "value")
#: The mark of this program in the files that it writes.
PROGRAM = "xai-layermask"
#: The same with the version.
SIGNATURE = f"{PROGRAM} {__version__}"
PRECISIONS = ("auto", "float32", "float64", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")

#: How figures draw scores.
STYLES = ("overlay", "heatmap", "outlines", "top")
SCALES = ("shared", "own")
SIGNS = ("both", "positive", "negative")

#: The meaning of painted object masks: 0 and 255 (or 0 and 1), or greys that are shares of the object.
MASKS = ("binary", "soft")
#: Layouts of dataset folders.
LAYOUTS = ("auto", "labels.csv", "salient-imagenet", "pixel-imagenet", "oxford-iiit-pet", "coco", "imagefolder")
#: Protocols of experiments, with the names of their settings.
PROTOCOL_SETTINGS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "robustness": ("orders", "fractions"),
    "lime": ("samples", "sampling", "k", "among", "ablator"),
    "mask-shape": (),
    "linearity": ("sizes",),
    "collapse": ("sizes",),
    "ablation": ("orders", "fractions", "removals", "samples", "k", "among"),
    "colours": ("patch", "fractions"),
})
#: `evaluate paper` measures what the paper shows: its tables, and those of its figures that show measurements.
PAPER = "paper"
PAPER_TABLES = tuple(str(number) for number in range(1, 14))
PAPER_FIGURES = ("4", "6", "7", "9", "10", "11", "17", "18", "19")
#: Aliases, which error messages use for suggestions.
ALIASES: Mapping[str, str] = MappingProxyType({
    "double": "float64", "float": "float32", "gpu": "cuda", "half": "float16", "kernel_shap": "shap",
    "kernelshap": "shap", "lite": "lite0", "squares": "patches", "superpixels": "slic",
})  # fmt: skip
