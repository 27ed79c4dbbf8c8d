"""DeiT-Tiny as your own model: `PYTHONPATH=docs xai-layermask evaluate ... --model deit:deit_tiny`.

`--model module:function` calls a function without arguments. It returns a network, or a `Classifier`, which also has
preprocessing and labels.
"""

from __future__ import annotations

from torchvision.models.vision_transformer import VisionTransformer

from xai_layermask import Preprocess
from xai_layermask.models import Classifier, imagenet_labels


def deit_tiny() -> Classifier:
    """DeiT-Tiny in torchvision's layout, without weights; load them with `--weights deit:deit_tiny=FILE`."""
    network = VisionTransformer(image_size=224, patch_size=16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768)
    return Classifier(network, Preprocess(interpolation="bicubic"), imagenet_labels(), "deit_tiny")
