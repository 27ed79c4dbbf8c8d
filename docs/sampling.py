"""How far LIME's scores can be trusted: `python docs/sampling.py CACHE [--ask IMAGE ...] [--model ...]`.

`--ask` runs the network on each image and saves its logits in the folder CACHE: a long run of independent samples, each
with its complement, and a short one of orthogonal blocks. From all files in CACHE, the script computes the scores of
short runs for every estimator, scale and sampling, and compares them with those of the long run. The reference excludes
the samples of the run compared with it, and its own error, estimated from its two halves, is subtracted. Means over
files are printed as tables; `--figure FILE` draws them.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata

from xai_layermask import LayerMask, Preprocess, metrics, models
from xai_layermask.explain import METHODS, Samples, cosine_kernel, fit, kernels
from xai_layermask.models import Scale
from xai_layermask.segments import presence_of, segment

#: Caffe's preprocessing, which SqueezeNet's converted weights expect.
CAFFE = Preprocess(crop=227, mean=(104, 117, 123), std=(1, 1, 1), channels="BGR", scale=255.0)
COUNTS = (100, 200, 256, 300, 500)
#: A reference that correlates less than this with the truth says little.
TRUSTED = 0.8
SCALES = {"probability": Scale("probability", "logits"), "log-odds": Scale("log_odds", "logits")}
Array = np.ndarray


def ask(image: Path, args: argparse.Namespace) -> dict[str, Array]:
    """Logits of all samples of one image."""
    classifier = models.load(args.model, weights=args.weights)
    preprocess = CAFFE if args.preprocess == "caffe" else classifier.preprocess
    prepared, picture = preprocess(image)
    segments = segment(picture, args.segments)
    count = int(segments.max()) + 1
    half = np.random.default_rng(1).random((args.samples // 2, count)) < 0.5
    short = METHODS["lime"].draw(count, args.orthogonal + 1, np.random.default_rng(0), "orthogonal").coalitions[1:]
    drawn = {"paired": np.stack([half, ~half], axis=1).reshape(-1, count), "orth": short}
    bound = LayerMask(classifier.model).bind(prepared)
    found = {"seg": segments, "pic": picture, "image": np.array(image.name), **drawn}
    with torch.no_grad():
        found["whole"] = classifier.model(prepared)[0].numpy()
        for name, rows in drawn.items():
            batches = (presence_of(segments, torch.from_numpy(rows[i : i + 8])) for i in range(0, len(rows), 8))
            found[f"{name}_logits"] = np.concatenate([bound(presence).numpy() for presence in batches])
    return found


class Run(NamedTuple):
    """A short run: coalitions and predictions, and those of the long run that it does not share."""

    coalitions: Array
    predictions: Array
    rest: Array
    rest_predictions: Array
    paired: bool  # whether complements were drawn together


def runs(found: dict[str, Array], scale: Scale, target: int) -> dict[tuple[str, int], Run]:
    """The short runs of a file, by sampling and number of samples."""
    answers = {
        name: scale(torch.from_numpy(found[f"{name}_logits"]))[:, target].numpy()
        for name in ("paired", "orth")
        if name in found
    }
    made = {}
    for count in COUNTS:
        long, all_of_it = found["paired"], answers["paired"]
        if 4 * count <= len(long):
            used, rest = slice(0, 2 * count, 2), slice(2 * count, None)
            made["plain", count] = Run(long[used], all_of_it[used], long[rest], all_of_it[rest], False)
        if "orth" in answers and count <= len(found["orth"]):
            made["orthogonal", count] = Run(found["orth"][:count], answers["orth"][:count], long, all_of_it, True)
    return made


def published(coalitions: Array, predictions: Array) -> Array:
    """LIME's scores from many samples."""
    return fit("lime", Samples(coalitions, cosine_kernel(coalitions)), predictions[:, None]).scores[0]


def compared(run: Run, priors: object, segments: Array, mask: Array | None) -> dict[str, float] | None:
    """A short run's scores beside those of the long run; None if the long run is too short to tell."""
    half = len(run.rest) // 4 * 2
    reference = published(run.rest, run.rest_predictions)
    halves = (published(run.rest[part], run.rest_predictions[part]) for part in (slice(half), slice(half, None)))
    doubt = (np.subtract(*halves) ** 2).mean() / 4
    spread = np.sqrt(max(reference.var() - doubt, 0))
    trusted = spread / reference.std()
    if trusted < TRUSTED:
        return None
    samples = Samples(run.coalitions, cosine_kernel(run.coalitions), run.paired)
    one = fit("lime", samples, run.predictions[:, None], priors)
    scores, errors = one.scores[0], one.standard_errors[0]
    ranks = np.corrcoef(rankdata(scores), rankdata(reference))[0, 1]
    found = {
        "error": np.sqrt(max(((scores - reference) ** 2).mean() - doubt, 0)) / spread,
        "correlation": min(np.corrcoef(scores, reference)[0, 1] / trusted, 1),
        "rank correlation": min(ranks / trusted, 1),
        "standard error": np.sqrt((errors**2).mean()) / spread,
        "reliability": one.reliability[0],
        "leave-one-out R2": one.r2[0],
    }
    return found if mask is None else found | {"alignment": metrics.alignment_score(scores, segments, mask)}


def measure(path: Path, masks: Path | None) -> dict[tuple[str, str, str, int], dict[str, float]]:
    """All short runs of a file: by estimator, scale, sampling and number of samples."""
    found = dict(np.load(path))
    priors, target = kernels(found["seg"]), int(found["whole"].argmax())
    mask = object_mask(found, path, masks) if masks else None
    rows = {}
    for name, scale in SCALES.items():
        for (sampling, count), run in runs(found, scale, target).items():
            for estimator, prior in (("ridge", None), ("spatial", priors)):
                one = compared(run, prior, found["seg"], mask)
                if one is not None:
                    rows[estimator, name, sampling, count] = one
    return rows


def object_mask(found: dict[str, Array], path: Path, masks: Path) -> Array:
    """The object mask of a file's image, over its crop."""
    from PIL import Image

    with Image.open(masks / f"{Path(str(found['image'])).stem}_mask.png") as image:
        drawn = np.asarray(image.convert("L")) > 127
    preprocess = CAFFE if path.stem.startswith("squeeze") else Preprocess()
    return preprocess.mask(drawn)


def variances(path: Path) -> tuple[float, float, float]:
    """Variance of the log-odds by the surrogate, and by interactions that complements do not and do share."""
    found = dict(np.load(path))
    answers = SCALES["log-odds"](torch.from_numpy(found["paired_logits"]))[:, int(found["whole"].argmax())].numpy()
    long = found["paired"]
    explained = (long[::2] - 0.5) @ published(long, answers)
    odd, even = (answers[::2] - answers[1::2]) / 2 - explained, (answers[::2] + answers[1::2]) / 2
    free = len(odd) / max(len(odd) - long.shape[1], 1)
    return explained.var(), odd.var() * free, even.var()


def tables(files: list[Path], masks: Path | None) -> dict[tuple[str, ...], dict[str, float]]:
    """Print and return means over files: by network and segmentation, estimator, scale, sampling and samples."""
    together: dict[tuple[str, ...], list[dict[str, float]]] = defaultdict(list)
    for path in files:
        network, segments = path.stem.split("-")[:2]
        ratio = variances(path)
        print(f"{path.stem}: variance linear {ratio[0]:.2f}, odd {ratio[1]:.2f}, even {ratio[2]:.2f}")
        for (estimator, scale, sampling, count), row in measure(path, masks).items():
            together[network, segments, estimator, scale, sampling, str(count)].append(row)
    means = {}
    heads = ("error", "correlation", "rank correlation", "standard error", "reliability", "leave-one-out R2")
    heads += ("alignment",) if masks else ()
    print("| " + " | ".join(("network", "segments", "estimator", "scale", "sampling", "samples", "n", *heads)) + " |")
    for key, rows in sorted(together.items(), key=lambda item: (*item[0][:2], int(item[0][5]), *item[0][2:5])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            means[key] = {head: float(np.nanmean([row[head] for row in rows])) for head in heads} | {"n": len(rows)}
        numbers = [f"{means[key][head]:.2f}" for head in heads]
        print("| " + " | ".join((*key, str(len(rows)), *numbers)) + " |")
    return means


def draw(means: dict[tuple[str, ...], dict[str, float]], path: Path) -> None:
    """A panel for each network and segmentation: correlation with the settled scores against samples."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    styles = {
        ("ridge", "probability", "plain"): ("#8c8c8c", ":", "published: ridge, probability, plain"),
        ("ridge", "log-odds", "orthogonal"): ("#e69f00", "--", "ridge, log-odds, orthogonal"),
        ("spatial", "log-odds", "orthogonal"): ("#0072b2", "-", "default: spatial, log-odds, orthogonal"),
    }
    places = sorted({key[:2] for key in means})
    columns = min(len(places), 4)
    rows = -(-len(places) // columns)
    figure = Figure(figsize=(2.7 * columns, 3.2 * rows), layout="constrained")
    for ax, place in zip(figure.subplots(rows, columns, sharey=True, squeeze=False).flat, places, strict=False):
        for how, (colour, line, label) in styles.items():
            points = [(int(key[5]), row) for key, row in means.items() if key[:2] == place and key[2:5] == how]
            points.sort(key=lambda one: one[0])
            if points:
                counts = [count for count, _ in points]
                ax.plot(counts, [row["correlation"] for _, row in points], line, color=colour, marker="o", label=label)
                if how[0] == "spatial":
                    ax.plot(counts, [row["reliability"] for _, row in points], "x", color="black", label="reliability")
        ax.set(title=f"{place[0]}, {place[1]}", xlabel="samples", ylim=(0, 1.02))
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    figure.supylabel("correlation with settled scores")
    figure.axes[0].legend(frameon=False, fontsize=7, loc="lower right")
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sampling"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Predict the images given by `--ask`, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--ask", type=Path, nargs="*", default=[], metavar="IMAGE")
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--weights")
    parser.add_argument("--preprocess", choices=("own", "caffe"), default="own")
    parser.add_argument("--segments", default="slic:64")
    parser.add_argument("--samples", type=int, default=2400, help="of the long run")
    parser.add_argument("--orthogonal", type=int, default=512, help="of the short run")
    parser.add_argument("--masks", type=Path, help="folder with NAME_mask.png, for the alignment")
    parser.add_argument("--figure", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.cache.mkdir(parents=True, exist_ok=True)
    for image in args.ask:
        name = f"{args.model.split(':')[-1]}-{args.segments.replace(':', '')}-{image.stem}.npz"
        np.savez(args.cache / name, **ask(image, args))
    means = tables(sorted(args.cache.glob("*.npz")), args.masks)
    for path in args.figure:
        draw(means, path)


if __name__ == "__main__":
    main()
