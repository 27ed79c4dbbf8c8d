"""RISE with layer masking beside RISE with black: `python docs/rise.py PICTURES CACHE [COUNT]`.

PICTURES has NAME.jpg with NAME_mask.png. The middle picture of each kind of object, NAME without its number, is
explained with both maskings, for the first COUNT kinds (default: 3). CACHE keeps the explanations, so that an
interrupted run continues. Prints the table of `docs/rise.md`, and draws its figure.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import stats

from xai_layermask import Explanation, LayerMaskExplainer
from xai_layermask.plots import comparison, figure_bytes

MASKINGS, SAMPLES, SHOWN = ("black", "layer"), 300, "caltech_beaver_0021"


def pictures(folder: Path, count: int) -> list[Path]:
    """The middle picture of each of the first kinds."""
    names = sorted(path for path in folder.glob("*.jpg") if path.with_name(f"{path.stem}_mask.png").exists())
    kinds = [list(group) for _, group in groupby(names, lambda path: path.stem.rsplit("_", 1)[0])]
    return [kind[len(kind) // 2] for kind in kinds][:count]


def explained(path: Path, masking: str, cache: Path) -> Explanation:
    """The explanation of a picture, from the cache if it is there."""
    file = cache / f"{path.stem}.{masking}.npz"
    if not file.exists():
        explainer = LayerMaskExplainer("lite0", "rise", masking, n_samples=SAMPLES, progress=False, sampling="paired")
        explainer.explain(path).save(file)
    return Explanation.load(file)


def main(folder: Path, cache: Path, count: int) -> None:
    """Explain, print the table and draw the figure."""
    cache.mkdir(exist_ok=True)
    alignment = []
    for path in pictures(folder, count):
        mask = np.asarray(Image.open(path.with_name(f"{path.stem}_mask.png")).convert("L")) > 127
        both = [explained(path, masking, cache) for masking in MASKINGS]
        alignment.append([one.alignment(mask) for one in both])
        print(path.stem, [f"{value:.3f}" for value in alignment[-1]], [f"{one.reliability[0]:.2f}" for one in both])
        if path.stem == SHOWN:
            figure = comparison(both)
            figure.set_figheight(figure.get_figheight() + 0.6)  # room for the titles of a single row
            Path(__file__).with_name("images").joinpath("rise.png").write_bytes(figure_bytes(figure, ".png", 100))
    values = np.array(alignment)
    for name, column in (*zip(MASKINGS, values.T, strict=True), ("difference", values[:, 1] - values[:, 0])):
        half = stats.t.ppf(0.975, len(column) - 1) * column.std(ddof=1) / np.sqrt(len(column))
        print(f"{name}: {column.mean():.3f} [{column.mean() - half:.3f}, {column.mean() + half:.3f}]")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 3)
