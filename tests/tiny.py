"""A tiny classifier and tiny pictures with masks, for tests of datasets and protocols."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import nn

from xai_layermask.dataset import Item
from xai_layermask.dataset.masks import Painted
from xai_layermask.images import Preprocess
from xai_layermask.models import Classifier

SIDE, CLASSES = 32, 6


def classifier(seed=0, side=SIDE):
    """A network whose answers depend on where colours are; inputs of 32 x 32 pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, CLASSES),
        )  # fmt: skip
        for layer in (model[0], model[3], model[7]):
            layer.weight.data.mul_(3)
    return Classifier(model.eval(), Preprocess(side, side), (), "tiny")


def paint(folder, name="a.png", seed=0, size=(40, 48)):
    """A noisy picture with a mask beside it: a rectangle."""
    colours = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(colours).save(folder / name)
    mask = np.zeros(size, np.uint8)
    mask[10:30, 12:28] = 255
    path = folder / f"{name.rpartition('.')[0]}_mask.png"
    Image.fromarray(mask).save(path)
    return folder / name, path


def item(folder, name="a.png", seed=0, label=2, masked=True):
    """The same as an item."""
    path, mask = paint(folder, name, seed)
    return Item(name, path, label, Painted(mask) if masked else None)
