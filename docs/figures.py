"""Draw the figures of `README.md` and `docs/method.md`: `python docs/figures.py [NAME ...]`.

The name `draws` prints in how many draws each masking keeps the prediction. Needs the extra `demo` only.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xai_layermask import Fill, LayerMask, LayerMaskExplainer, images, models, plots, segments
from xai_layermask.trace import trace

OUT = Path(__file__).parent / "images"
DRAWS = 200


def half(picture: np.ndarray, seed: int = 0) -> np.ndarray:
    """Which pixels are present when half of the patches are removed at random, bool `(H, W)`."""
    patches = segments.patches(picture, 28)
    count = patches.max() + 1
    return np.isin(patches, np.random.default_rng(seed).permutation(count)[: count // 2])


def masked(classifier: models.Classifier) -> dict[str, Fill | LayerMask]:
    """The network under three maskings."""
    fills = {f"{name}-out": Fill(classifier.model, name, classifier.preprocess) for name in ("black", "grey")}
    return {**fills, "layer masking": LayerMask(classifier.model)}


def seen(ax: Axes, picture: np.ndarray, present: np.ndarray, masking: Fill | LayerMask) -> None:
    """Draw the network's input: painted, or absent."""
    if isinstance(masking, Fill):
        picture = np.where(present[..., None], picture, np.round(masking.rgb)).astype(np.uint8)
        present = np.ones_like(present)
    plots.masked_picture(picture, present, ax)


def predictions(classifier: models.Classifier, logits: torch.Tensor, count: int) -> list[tuple[str, float]]:
    """The top predictions with their probabilities."""
    chances, classes = logits.softmax(1)[0].topk(count)
    return [(classifier.labels[one], float(chance)) for one, chance in zip(classes, chances, strict=True)]


def answers(classifier: models.Classifier) -> Figure:
    """What the network predicts when half of the picture is removed, and beside it the explanation."""
    image, picture = classifier.preprocess(images.sample_photograph())
    present = half(picture)
    figure = Figure(figsize=(11, 3.15), layout="constrained")
    whole, *panels, last = figure.subplots(1, 5)
    plots.masked_picture(picture, np.ones_like(present), whole)
    with torch.no_grad():
        ((label, chance),) = predictions(classifier, classifier.model(image), 1)
    answer(whole, "the whole picture", label, chance, True)
    for ax, (name, masking) in zip(panels, masked(classifier).items(), strict=True):
        seen(ax, picture, present, masking)
        with torch.no_grad():
            ((found, chance),) = predictions(classifier, masking(image, torch.from_numpy(present)), 1)
        answer(ax, name, found, chance, found == label)
    explanation = LayerMaskExplainer(classifier, progress=False).explain(images.sample_photograph())
    plots.draw(explanation, last, colorbar=False)
    last.set_title("the explanation", fontsize="large")
    last.set_xlabel(f"orange: for {label}\nblue: against", fontsize="large")
    return figure


def answer(ax: Axes, heading: str, label: str, chance: float, right: bool) -> None:
    """Write the name of a panel above it, and the network's prediction below."""
    ax.set_title(heading, fontsize="large")
    sign, colour = ("\N{CHECK MARK}", "#C24E00") if right else ("\N{BALLOT X}", "0.35")
    weight = "bold" if right else "normal"
    ax.set_xlabel(f"{sign} {label}\n{chance:.2f}", fontsize="x-large", fontweight=weight, color=colour)


def draws(classifier: models.Classifier) -> None:
    """Print how often each masking keeps the prediction when other halves of the picture are removed."""
    image, picture = classifier.preprocess(images.sample_photograph())
    halves = torch.from_numpy(np.stack([half(picture, seed) for seed in range(DRAWS)]))[:, None]
    with torch.no_grad():
        whole = classifier.model(image).softmax(1)[0]
        for name, masking in masked(classifier).items():
            found = torch.cat([masking(image, one[None]) for one in halves]).softmax(1)
            same, chance = (found.argmax(1) == whole.argmax()).sum(), found[:, whole.argmax()].mean()
            print(f"{name}: the same prediction in {same} of {DRAWS} draws, mean probability {chance:.2f}")


def shown(classifier: models.Classifier) -> Figure:
    """The network's input under black-out, grey-out and layer masking, with its top predictions."""
    image, picture = classifier.preprocess(images.sample_photograph())
    present = half(picture)
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    whole, *panels = figure.subplots(1, 4)
    plots.masked_picture(picture, np.ones_like(present), whole).set_title("the whole picture")
    with torch.no_grad():
        logits = [classifier.model(image)]
        for ax, (name, masking) in zip(panels, masked(classifier).items(), strict=True):
            seen(ax, picture, present, masking)
            ax.set_title(name)
            logits.append(masking(image, torch.from_numpy(present)))
    for ax, found in zip([whole, *panels], logits, strict=True):
        ax.set_xlabel("\n".join(f"{label} {chance:.2f}" for label, chance in predictions(classifier, found, 3)))
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
    """Draw all figures, or those that the arguments name."""
    torch.set_num_threads(1)
    classifier = models.load("lite0")
    every = {
        "answers.png": partial(answers, classifier), "method/shown.png": partial(shown, classifier),
        "method/depth.png": partial(depth, classifier), "method/rings.svg": small,
        "method/rings-picture.png": partial(large, classifier),
    }  # fmt: skip
    with mpl.style.context("default"):
        for name in sys.argv[1:] or (*every, "draws"):
            if name == "draws":
                draws(classifier)
                continue
            figure, vector = every[name](), name.endswith(".svg")
            with mpl.rc_context({"svg.hashsalt": name}):
                figure.savefig(OUT / name, dpi=110, metadata={"Date": None} if vector else {"Software": None})
            print(name, (OUT / name).stat().st_size // 1000, "kB")


if __name__ == "__main__":
    main()
