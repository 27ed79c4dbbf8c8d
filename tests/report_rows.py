"""Made-up measurements of every protocol, with the columns that the protocols have."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np

from xai_layermask.experiments import Trial

TRIAL = Trial("", "{}", "lite0", "abcdef012345", "grey", "", "", "", 0, "float32", "0.1.0")
FRACTIONS = (0.0, 0.5, 1.0)
MASKINGS = ("grey", "layer")
COUNT = 8
BEST = '{"k":20}'


def trials(protocol, segments=("",), maskings=MASKINGS, count=COUNT, **changes):
    """A trial for every picture, masking and segmentation, with something to draw from that is its own."""
    for cut in segments:
        for masking in maskings:
            for number in range(count):
                generator = np.random.default_rng([number, *f"{protocol} {masking} {cut}".encode()])
                trial = replace(
                    TRIAL, protocol=protocol, masking=masking, segments=cut, picture=f"{number}.jpg",
                    picture_digest=f"d{number}", **changes,
                )
                yield trial, number, generator


def _removal(number, generator, orders):
    label = number // 2
    for order in orders:
        for fraction in FRACTIONS:
            yield {
                "order": order, "fraction": fraction, "segments_count": 9, "label": label,
                "prediction": int(generator.choice([label, 7, 900])), "whole": int(generator.choice([label, 7])),
                "probability": float(generator.random()),
            }


def robustness(segments=("patches:16", "slic:100"), orders=("random", "salient", "least"), **changes):
    for trial, number, generator in trials("robustness", segments, **changes):
        yield trial, list(_removal(number, generator, orders))


def colours(**changes):
    for trial, number, generator in trials("colours", **changes):
        yield trial, [{"colour": trial.masking, **row} for row in _removal(number, generator, ("random",))]


def ablation(segments=("patches:16",), orders=("random",), **changes):
    for trial, number, generator in trials("ablation", segments, **{"settings": BEST, **changes}):
        rows = [{"part": "robustness", "variant": trial.masking, **row} for row in _removal(number, generator, orders)]
        known = {"part": "lime", "variant": trial.masking, "label": number // 2, "whole": 7}
        if number == 3:
            rows.append(known | {"kept": False})
        else:
            rows += [
                known | {"kept": True, "removed_at": removed, "alignment": float(generator.normal()),
                         "jaccard": float(generator.random()), "r2": 0.5,
                         "reliability": 0.5}
                for removed in (0.3, 0.5, 0.7)
            ]
        yield trial, rows


def lime(**changes):
    for trial, number, generator in trials("lime", ("patches:16", "slic:250"), **{"settings": BEST, **changes}):
        known = {"label": number // 2, "whole": 7, "probability": 0.5}
        found = {
            "alignment": float(generator.normal()), "jaccard": None if number == 4 else float(generator.random()),
            "ablated": int(generator.choice([number // 2, 7])), "r2": float(generator.random()),
            "reliability": float(generator.random()), "segments_count": 30,
        }
        yield trial, [{"kept": False, **known} if number == 3 else {"kept": True, **known, **found}]


def mask_shape(**changes):
    for trial, number, generator in trials("mask-shape", **changes):
        label = number // 2
        yield trial, [{
            "label": label, "whole": 7 if number == 3 else label, "kept": number != 3, "object_share": 0.3,
            "object_out": int(generator.choice([label, 7])), "broken_out": int(generator.choice([label, 7])),
        }]


def linearity(**changes):
    for trial, _, generator in trials("linearity", **changes):
        yield trial, [
            {"size": size, "tiles": (224 // size) ** 2, "cosine": float(generator.random()),
             "norm_whole": float(1 + generator.random()), "norm_sum": float(generator.random()),
             "norm_parts": float(generator.random()), "distance": float(generator.random())}
            for size in (112, 56)
        ]


def collapse(**changes):
    for trial, number, generator in trials("collapse", **changes):
        rows = []
        for size in (224, 64):
            vector = generator.normal(size=6) + 0.5
            packed = base64.b64encode((vector / np.linalg.norm(vector)).astype("<f2").tobytes()).decode()
            rows.append({
                "size": size, "fraction": 1 - (size / 224) ** 2, "picture": trial.picture,
                "features": None if number == 3 and size == 64 else packed, "norm": 1.0,
                "cosine_whole": float(generator.random()),
            })
        yield trial, rows


EVERY = {
    "robustness": robustness, "lime": lime, "mask-shape": mask_shape, "linearity": linearity, "collapse": collapse,
    "ablation": ablation, "colours": colours,
}
