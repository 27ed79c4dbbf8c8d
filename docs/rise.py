"""RISE with layer masking beside RISE with black: `python docs/rise.py PICTURES CACHE`.

PICTURES has NAME.jpg with NAME_mask.png. The middle picture of each kind of object, NAME without its number, is
explained with both maskings. CACHE keeps the explanations, so that an interrupted run continues. Prints the table of
`docs/rise.md`, and draws its figure.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from xai_layermask import Explanation, LayerMaskExplainer
from xai_layermask.plots import comparison, figure_bytes

MASKINGS, SAMPLES, PICTURES, SHOWN = ("black", "layer"), 300, 10, "caltech_beaver_0021"


def pictures(folder: Path) -> list[Path]:
    """The middle picture of each kind."""
    names = sorted(path for path in folder.glob("*.jpg") if path.with_name(f"{path.stem}_mask.png").exists())
    kinds = [list(group) for _, group in groupby(names, lambda path: path.stem.rsplit("_", 1)[0])]
    return [kind[len(kind) // 2] for kind in kinds][:PICTURES]


def explained(path: Path, masking: str, cache: Path) -> Explanation:
    """The explanation of a picture, from the cache if it is there."""
    file = cache / f"{path.stem}.{masking}.npz"
    if not file.exists():
        explainer = LayerMaskExplainer("lite0", "rise", masking, n_samples=SAMPLES, progress=False)
        explainer.explain(path).save(file)
    return Explanation.load(file)


def main(folder: Path, cache: Path) -> None:
    """Explain, print the table and draw the figure."""
    cache.mkdir(exist_ok=True)
    alignment = []
    for path in pictures(folder):
        mask = np.asarray(Image.open(path.with_name(f"{path.stem}_mask.png")).convert("L")) > 127
        both = [explained(path, masking, cache) for masking in MASKINGS]
        alignment.append([one.alignment(mask) for one in both])
        print(path.stem, [f"{value:.3f}" for value in alignment[-1]], [f"{one.reliability[0]:.2f}" for one in both])
        if path.stem == SHOWN:
            figure = comparison(both)
            Path(__file__).with_name("images").joinpath("rise.png").write_bytes(figure_bytes(figure, ".png", 100))
    values = np.array(alignment)
    for name, column in (*zip(MASKINGS, values.T, strict=True), ("difference", values[:, 1] - values[:, 0])):
        draws = np.random.default_rng(0).choice(column, (10_000, len(column))).mean(axis=1)
        low, high = np.quantile(draws, (0.025, 0.975))
        print(f"{name}: {column.mean():.3f} [{low:.3f}, {high:.3f}] (n = {len(column)})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
