"""The names that options know, without importing what they name: help and completion must not wait for torch."""

from __future__ import annotations

__all__ = [
    "ALIASES",
    "DEVICES",
    "LAYOUTS",
    "LITE",
    "MASKINGS",
    "METHODS",
    "MODELS",
    "PRECISIONS",
    "SAMPLINGS",
    "SEGMENTS",
    "SETTINGS",
    "SHELLS",
]

# The tests compare each of them with the module that knows.
LITE = ("lite0", "lite1", "lite2")
MODELS = (*LITE, "torchvision:NAME", "timm:NAME", "package.module:factory")
MASKINGS = (
    "layer", "layer-zero", "partial", "tokens", "black", "grey", "red", "green", "blue", "white", "mean", "blur",
    "neighbor", "road", "inpaint",
)  # fmt: skip
SEGMENTS = ("patches", "slic", "quickshift", "felzenszwalb")
#: The methods, each with its ways to draw samples.
METHODS: dict[str, tuple[str, ...]] = {
    "lime": ("plain", "paired", "stratified", "orthogonal"),
    "shap": ("plain", "paired", "stratified"),
}
SAMPLINGS = ("auto", "plain", "paired", "stratified", "orthogonal")
PRECISIONS = ("auto", "float32", "float64", "bfloat16")
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
#: What others call some of these.
ALIASES = {
    "double": "float64",
    "float": "float32",
    "gpu": "cuda",
    "half": "bfloat16",
    "kernelshap": "shap",
    "lite": "lite0",
    "squares": "patches",
    "superpixels": "slic",
}
SHELLS = ("bash", "zsh", "tcsh", "fish")
