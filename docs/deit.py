"""DeiT-Tiny as a model of one's own: `PYTHONPATH=docs xai-layermask evaluate ... --model deit:deit_tiny`.

Whatever is no name of torchvision or timm comes from a function without arguments. It returns a network, or a
`Classifier`, which also says how pictures are prepared and what the classes are called.
"""

from __future__ import annotations

from torchvision.models.vision_transformer import VisionTransformer

from xai_layermask import Preprocess
from xai_layermask.models import Classifier, imagenet_labels


def deit_tiny() -> Classifier:
    """DeiT-Tiny in torchvision's layout, without its weights: `--weights deit:deit_tiny=FILE` gives them."""
    network = VisionTransformer(image_size=224, patch_size=16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768)
    return Classifier(network, Preprocess(interpolation="bicubic"), imagenet_labels(), "deit_tiny")
