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
    "TORCHVISION",
]

# The tests compare each of them with the module that knows.
LITE = ("lite0", "lite1", "lite2")
MODELS = (*LITE, "torchvision:NAME", "timm:NAME", "package.module:factory")
#: The classifiers of torchvision, for suggestions: another release may have others.
TORCHVISION = (
    "alexnet", "convnext_base", "convnext_large", "convnext_small", "convnext_tiny", "densenet121", "densenet161",
    "densenet169", "densenet201", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3",
    "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "efficientnet_v2_l",
    "efficientnet_v2_m", "efficientnet_v2_s", "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5", "mnasnet0_75",
    "mnasnet1_0", "mnasnet1_3", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "regnet_x_16gf",
    "regnet_x_1_6gf", "regnet_x_32gf", "regnet_x_3_2gf", "regnet_x_400mf", "regnet_x_800mf", "regnet_x_8gf",
    "regnet_y_128gf", "regnet_y_16gf", "regnet_y_1_6gf", "regnet_y_32gf", "regnet_y_3_2gf", "regnet_y_400mf",
    "regnet_y_800mf", "regnet_y_8gf", "resnet101", "resnet152", "resnet18", "resnet34", "resnet50", "resnext101_32x8d",
    "resnext101_64x4d", "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0", "squeezenet1_0", "squeezenet1_1", "swin_b", "swin_s", "swin_t", "swin_v2_b", "swin_v2_s",
    "swin_v2_t", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "vit_b_16",
    "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32", "wide_resnet101_2", "wide_resnet50_2",
)  # fmt: skip
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
