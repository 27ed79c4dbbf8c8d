"""Fit `Calibrated` for docs/results.md: `python docs/calibrate.py IMAGES OUT MODEL [WEIGHTS [PREPROCESS]]`.

Black-out, grey-out and layer masking are fitted on the images after the first half of the fixed shuffle, and written to
OUT as calibrated-black.npz and so on. The first half is for measuring.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from xai_layermask import models
from xai_layermask.dataset import read_dataset
from xai_layermask.experiments.runner import select_items
from xai_layermask.images import change_preprocess
from xai_layermask.maskings import Calibrated, make

DRAWS = 4


def main(images: str, out: str, name: str, weights: str | None = None, words: str = "") -> None:
    """Fit and save the maps."""
    classifier = models.load(name, weights)
    if words:
        classifier = replace(classifier, preprocess=change_preprocess(words, classifier.preprocess))
    items = select_items(read_dataset(images), None, 0).items
    rest = items[len(items) // 2 :]
    tensors = torch.cat([classifier.preprocess(item.open().picture).tensor for item in rest])
    for masking in ("black", "grey", "layer"):
        made = make(masking, classifier.model, classifier.preprocess)
        Calibrated(made, tensors, draws=DRAWS).save(Path(out) / f"calibrated-{masking}.npz")
        print(masking, len(rest), "images", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
