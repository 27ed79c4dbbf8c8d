"""Accuracy of explanations in bfloat16: `python docs/precision.py IMAGES MODEL [WEIGHTS]`.

IMAGES is a folder with `labels.csv` (column image). LIME explains the top class of each image in float32 and in
bfloat16 with the same samples. The script prints one JSON line per image: the rank correlation between the scores,
the overlap of the top 20 segments, the noise on the first 8, 16 and 32 masked samples and on all samples (as
`xai_layermask.engine.runtime` measures it), and the ratio of the times.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from xai_layermask import maskings
from xai_layermask.engine.runtime import noise
from xai_layermask.experiments.runner import ModelSpec
from xai_layermask.explain.predictor import Predictor
from xai_layermask.explain.sampling import lime_samples
from xai_layermask.explain.surrogate import fit
from xai_layermask.segments import segment


def main() -> None:
    """Run the experiment and print one JSON line per image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("model")
    parser.add_argument("weights", nargs="?")
    parser.add_argument("--preprocess", default="")
    parser.add_argument("--masking", default="layer")
    parser.add_argument("--segments", default="slic")
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=20)
    args = parser.parse_args()

    classifier = ModelSpec(args.model, args.weights, args.preprocess).load()
    preprocess = classifier.preprocess
    masking = maskings.make(args.masking, classifier.model, preprocess)
    with (args.images / "labels.csv").open() as file:
        names = [row["image"] for row in csv.DictReader(file)]
    # The folder is sorted by source, so shuffle.
    for place in np.random.default_rng(0).permutation(len(names))[: args.pictures]:
        image, picture = preprocess(args.images / names[place])
        segments = segment(picture, args.segments)
        samples = lime_samples(int(segments.max()) + 1, args.samples, np.random.default_rng(0))
        targets, answers, seconds = None, [], []
        for autocast in (None, torch.bfloat16):
            predictor = Predictor(masking, image, segments, autocast)
            targets = predictor.targets() if targets is None else targets
            start = time.perf_counter()
            answers.append(predictor.predict(samples.coalitions, targets, args.batch).values)
            seconds.append(time.perf_counter() - start)
        exact, rough = (fit("lime", samples, one).scores[0] for one in answers)
        tops = [set(np.argsort(-one)[:20].tolist()) for one in (exact, rough)]
        found = {
            "correlation": float(spearmanr(exact, rough).statistic),
            **{f"noise{count}": noise(*(one[1 : count + 1] for one in answers)) for count in (8, 16, 32)},
            "noise": noise(*answers),
            "time": seconds[1] / seconds[0],
        }
        words = {"image": names[place], "segments": len(exact), "same": len(tops[0] & tops[1])}
        print(json.dumps(words | {name: round(value, 4) for name, value in found.items()}), flush=True)


if __name__ == "__main__":
    main()
