"""Models and pictures for tests of explained folders, importable by workers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import faked
import numpy as np
import torch
from PIL import Image
from torch import nn

from xai_layermask.experiments.folder import Recipe, explain_folder, list_pictures
from xai_layermask.experiments.runner import ModelSpec, WorkerPool
from xai_layermask.models import Classifier


class Deadly(nn.Module):
    """Kills its process when it sees a picture that is black all over."""

    def __init__(self):
        super().__init__()
        self.inner = faked.tiny().model

    def forward(self, x):
        dark = x.flatten(1).amax(1) < -1.5
        if x.device.type == "cpu" and not torch.compiler.is_compiling() and bool(dark.any()):
            os.kill(os.getpid(), signal.SIGKILL)
        return self.inner(x)


def deadly():
    return Classifier(Deadly().eval(), faked.tiny().preprocess, (), "deadly")


def recipe(model="faked:tiny", **options):
    defaults = {"segments": "patches:4", "n_samples": 20, "masking": "black", "seed": 1}
    return Recipe(ModelSpec(model), **(defaults | options))


def paint(folder, *names, dark=False):
    Path(folder).mkdir(exist_ok=True)
    for name in names:
        path = Path(folder, name)
        path.parent.mkdir(exist_ok=True)
        generator = np.random.default_rng(list(name.encode()))
        Image.fromarray(generator.integers(0, 1 if dark else 255, (20, 20, 3), np.uint8)).save(path)


def run(folder, out, jobs=1, scheduler=None, how=None, **options):
    with WorkerPool(jobs, scheduler) as pool:
        return explain_folder(list_pictures(folder, out), out, how or recipe(), pool, "cpu", **options)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
