"""Draw the figures of `docs/method.md`: `python docs/figures.py`. Needs the extra `demo` only."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.style
import numpy as np
import torch
from matplotlib.figure import Figure

from xai_layermask import Fill, LayerMask, images, models, plots, segments
from xai_layermask.trace import trace

OUT = Path(__file__).parent / "images" / "method"


def shown(classifier: models.Classifier) -> Figure:
    """The network's input under black-out, grey-out and layer masking, with its top predictions."""
    image, picture = classifier.preprocess(images.sample_photograph())
    patches = segments.patches(picture, 28)
    count = patches.max() + 1
    present = np.isin(patches, np.random.default_rng(0).permutation(count)[: count // 2])
    fills = [Fill(classifier.model, name, classifier.preprocess) for name in ("black", "grey")]
    painted = [np.where(present[..., None], picture, np.round(fill.rgb)).astype(np.uint8) for fill in fills]
    whole = np.ones_like(present)
    panels = {
        "the whole picture": (picture, whole, classifier.model),
        "black-out": (painted[0], whole, fills[0]),
        "grey-out": (painted[1], whole, fills[1]),
        "layer masking": (picture, present, LayerMask(classifier.model)),
    }
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    for ax, (name, (seen, mask, ask)) in zip(figure.subplots(1, 4), panels.items(), strict=True):
        plots.masked_picture(seen, mask, ax).set_title(name)
        with torch.no_grad():
            logits = ask(image) if ask is classifier.model else ask(image, torch.from_numpy(present))
        chances, classes = logits.softmax(1)[0].topk(3)
        lines = [f"{classifier.labels[one]} {chance:.2f}" for one, chance in zip(classes, chances, strict=True)]
        ax.set_xlabel("\n".join(lines))
    return figure


def depth(classifier: models.Classifier) -> Figure:
    """Activations at each resolution: whole image, grey-out, layer masking."""
    image, _ = classifier.preprocess(images.sample_photograph())
    presence = torch.ones(1, 1, 224, 224, dtype=torch.bool)
    presence[..., 20:, 90:] = 0
    masked, grey = LayerMask(classifier.model), Fill(classifier.model, "grey", classifier.preprocess)
    with torch.no_grad():
        rows = {
            "the whole picture": trace(masked, image),
            "grey-out": trace(masked, grey.picture(image, presence)),
            "layer masking": trace(masked, image, presence),
        }
    figure = Figure(figsize=(10, 6.9), layout="constrained")
    axes = figure.subplots(3, 5)
    for line, (name, found) in zip(axes, rows.items(), strict=True):
        plots.activations(found, line)
        line[0].set_ylabel(name)
    for column in axes.T:
        limits = column[0].images[-1].get_clim()
        for ax in column[1:]:
            ax.images[-1].set_clim(limits)
            ax.set_title(ax.get_title().rpartition("\n")[2] if ax is column[2] else "")
        column[0].set_title(column[0].get_title().rpartition("\n")[0])
    return figure


def small() -> Figure:
    """Neighbour padding of a small map, with its values."""
    x = np.array([[0, 0, 0, 0, 0, 0], [0, 2, 4, 0, 0, 0], [0, 8, 6, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 9]])
    figure = Figure(figsize=(10, 2.4), layout="constrained")
    plots.rings(x, x > 0, 3, figure.subplots(1, 4))
    return figure


def large(classifier: models.Classifier) -> Figure:
    """Neighbour padding of the photograph."""
    _, picture = classifier.preprocess(images.sample_photograph())
    patches = segments.patches(picture, 56)
    presence = ~np.isin(patches, (5, 6, 10, 12))
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    plots.rings(picture, presence, (2, 8, 28), figure.subplots(1, 4))
    return figure


def main() -> None:
    """Draw all figures."""
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    classifier = models.load("lite0")
    with mpl.style.context("default"):
        for name, figure in {
            "shown.png": shown(classifier), "depth.png": depth(classifier), "rings.svg": small(),
            "rings-picture.png": large(classifier),
        }.items():
            vector = name.endswith(".svg")
            with mpl.rc_context({"svg.hashsalt": name}):
                figure.savefig(OUT / name, dpi=110, metadata={"Date": None} if vector else {"Software": None})
            print(name, (OUT / name).stat().st_size // 1000, "kB")


if __name__ == "__main__":
    main()
