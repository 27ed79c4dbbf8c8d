"""The values that options accept, and aliases for some of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..version import __version__

__all__ = [
    "ALIASES", "DEVICES", "LAYOUTS", "MASKS", "OUTPUTS", "PAPER", "PAPER_FIGURES", "PAPER_TABLES", "PRECISIONS",
    "PROGRAM", "PROTOCOL_SETTINGS", "SCALES", "SIGNATURE", "SIGNS", "STYLES",
]  # fmt: skip

OUTPUTS = ("auto", "probability", "sigmoid", "logit", "log_probability", "log_odds", "value")
#: The program's name, as recorded in the files that it writes.
PROGRAM = "xai-layermask"
#: Name and version.
SIGNATURE = f"{PROGRAM} {__version__}"
PRECISIONS = ("auto", "float32", "float64", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")

#: How figures draw scores.
STYLES = ("overlay", "heatmap", "outlines", "top")
SCALES = ("shared", "own")
SIGNS = ("both", "positive", "negative")

#: How the values of object masks are read: as 0 and 255 (or 0 and 1), or as greys that are shares of the object.
MASKS = ("binary", "soft")
#: Layouts of dataset folders.
LAYOUTS = ("auto", "labels.csv", "salient-imagenet", "pixel-imagenet", "oxford-iiit-pet", "coco", "imagefolder")
#: The protocols of experiments, with the names of their settings.
PROTOCOL_SETTINGS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "robustness": ("orders", "fractions"),
    "lime": ("samples", "sampling", "k", "among", "ablator"),
    "mask-shape": (),
    "linearity": ("sizes",),
    "collapse": ("sizes",),
    "ablation": ("orders", "fractions", "removals", "samples", "k", "among"),
    "colours": ("patch", "fractions"),
})
#: `evaluate paper` measures what the paper measured: its tables, and those of its figures that show measurements.
PAPER = "paper"
PAPER_TABLES = tuple(str(number) for number in range(1, 14))
PAPER_FIGURES = ("4", "6", "7", "9", "10", "11", "17", "18", "19")
#: Words that are not accepted, and the value that an error message suggests instead.
ALIASES: Mapping[str, str] = MappingProxyType({
    "double": "float64", "float": "float32", "gpu": "cuda", "half": "float16", "kernel_shap": "shap",
    "kernelshap": "shap", "lite": "lite0", "squares": "patches", "superpixels": "slic",
})  # fmt: skip
