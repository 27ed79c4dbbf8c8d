"""The names that options know, without importing what they name: help and completion must not wait for torch."""

from __future__ import annotations

__all__ = ["DEVICES", "LAYOUTS", "SETTINGS", "SHELLS"]

# The tests compare each of them with the module that knows.
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
#: The protocols, each with its settings.
SETTINGS: dict[str, tuple[str, ...]] = {
    "robustness": ("orders", "fractions"),
    "lime": ("samples", "sampling", "k", "among", "ablator"),
    "mask-shape": (),
    "linearity": ("sizes",),
    "collapse": ("sizes",),
    "ablation": ("fractions", "removals", "samples", "k", "among"),
    "colours": ("patch", "fractions"),
}
LAYOUTS = ("auto", "labels.csv", "salient-imagenet", "pixel-imagenet", "oxford-iiit-pet", "coco", "imagefolder")
SHELLS = ("bash", "zsh", "tcsh", "fish")
