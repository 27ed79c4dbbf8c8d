"""Fit `Calibrated` for docs/results.md: `python docs/calibrate.py IMAGES OUT MODEL [WEIGHTS [PREPROCESS]]`.

Black-out, grey-out and layer masking are fitted on the first images of a fixed shuffle, and written to OUT as
calibrated-black.npz and so on. IMAGES should be of other classes than the images that are measured: the shift of the
logits learns which classes occur.
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

COUNT, DRAWS = 60, 2


def main(images: str, out: str, name: str, weights: str | None = None, words: str = "") -> None:
    """Fit and save the maps."""
    classifier = models.load(name, weights)
    if words:
        classifier = replace(classifier, preprocess=change_preprocess(words, classifier.preprocess))
    items = select_items(read_dataset(images), COUNT, 0).items
    tensors = torch.cat([classifier.preprocess(item.open().picture).tensor for item in items])
    for masking in ("black", "grey", "layer"):
        made = make(masking, classifier.model, classifier.preprocess)
        Calibrated(made, tensors, draws=DRAWS).save(Path(out) / f"calibrated-{masking}.npz")
        print(masking, len(items), "images", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
