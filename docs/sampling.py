"""Convergence of the scores by sampling scheme: `python docs/sampling.py CACHE [--ask IMAGE ...] [--model ...]`.

`--ask` runs the network on each image for each method: a long run of 8,000 samples (4,000 independent ones, each with
its complement) and 2,048 samples of every other scheme. The predictions are saved in the folder CACHE. From all files
in CACHE, the script computes the error of shorter runs relative to the long run, prints it as JSON lines, and draws
it with `--figure FILE`. The reference excludes the samples of the run compared with it, and its own error, estimated
from its two halves, is subtracted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from xai_layermask import LayerMask, Preprocess, catalog, models
from xai_layermask.explain.convergence import ROUNDS, has_converged, standard_errors
from xai_layermask.explain.predictor import Predictor
from xai_layermask.explain.sampling import Samples, cosine_kernel
from xai_layermask.explain.surrogate import METHODS
from xai_layermask.segments import segment

#: Caffe's preprocessing, which SqueezeNet's converted weights expect.
CAFFE = Preprocess(crop=227, mean=(104, 117, 123), std=(1, 1, 1), channels="BGR", scale=255.0)
LONG, OTHERS = 8000, 2048
COUNTS = (250, 500, 1000, 2000)
MOST_RUNS = 8
Array = np.ndarray


def ask(cache: Path, image: Path, args: argparse.Namespace) -> None:
    """Predict all samples of one image, and save the predictions."""
    classifier = models.load(args.model, weights=args.weights)
    preprocess = CAFFE if args.preprocess == "caffe" else classifier.preprocess
    prepared, picture = preprocess(image)
    segments = segment(picture, args.segments)
    count = int(segments.max()) + 1
    predictor = Predictor(LayerMask(classifier.model), prepared, segments, args.bfloat16)
    targets = predictor.targets()
    for name, method in METHODS.items():
        ends = 1 if name == "lime" else 2
        found: dict[str, Array] = {"ends": np.ones((1, count), bool)}
        if name == "shap":
            found["ends"] = np.array([[True], [False]]).repeat(count, axis=1)
        for scheme in ("paired", *(one for one in catalog.METHODS[name].samplings if one not in ("plain", "paired"))):
            rows = (LONG if scheme == "paired" else OTHERS) + ends
            found[scheme] = method.draw(count, rows, np.random.default_rng(0), scheme).coalitions[ends:]
        asked = {f"{key} answers": predictor.predict(keep, targets, 8).values for key, keep in found.items()}
        np.savez(cache / f"{args.model.split(':')[-1]}-{image.stem}-{name}.npz", **found, **asked)


def samples_of(name: str, scheme: str, ends: Array, keep: Array) -> Samples:
    """Coalitions with the weights of the library."""
    rows = np.concatenate([ends, keep])
    if name == "lime":
        return Samples(rows, cosine_kernel(rows))
    sizes, count = keep.sum(axis=1), keep.shape[1]
    weights = 1.0 / (sizes * (count - sizes)) if scheme == "stratified" else np.ones(len(keep))
    return Samples(rows, np.concatenate([[0, 0], weights / weights.mean()]))


def published(samples: Samples, answers: Array) -> Array:
    """KernelSHAP as published, without removing the effect of the coalition size."""
    keep, count = samples.coalitions.astype(float), samples.coalitions.shape[1]
    even = (answers[0] - answers[1]) / count
    rest = answers - answers[1] - keep.sum(axis=1, keepdims=True) * even
    root = np.sqrt(samples.weights)[:, None]
    uneven = np.linalg.lstsq(root * (keep - keep.mean(axis=1, keepdims=True)), root * rest, rcond=1e-10)[0]
    return (even + uneven - uneven.mean(axis=0))[:, 0]


def ranks(values: Array) -> Array:
    """Ranks from 0, for values without ties."""
    return values.argsort().argsort()


class Answered:
    """The saved predictions for one image and method.

    Args:
        path: A file written by `ask`.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.stem.rsplit("-", 1)[1]
        self.method = METHODS[self.name]
        found = dict(np.load(path))
        self.ends, self.end_answers = found["ends"], found["ends answers"]
        self.long, self.answers = found["paired"], found["paired answers"]
        # A row without its complement is an independent sample.
        self.sequences = {"plain": (self.long[::2], self.answers[::2]), "paired": (self.long, self.answers)}
        for scheme in catalog.METHODS[self.name].samplings:
            if scheme in found:
                self.sequences[scheme] = found[scheme], found[f"{scheme} answers"]
        half = len(self.long) // 2
        parts = (slice(None), slice(half), slice(half, None))
        self.best, first, second = (self.scores("paired", part) for part in parts)
        self.doubt = ((first - second) ** 2).mean() / 4

    def scores(self, scheme: str, part: slice | Array) -> Array:
        """Scores `(K,)` from some samples of a scheme."""
        return self.method.fit(*self.some(scheme, part)).scores[0]

    def errors(self, scheme: str, part: slice | Array) -> Array:
        """Their standard errors `(K,)`."""
        samples, answers = self.some(scheme, part)
        return standard_errors(self.method.regression(samples, answers), samples.coalitions)[0]

    def some(self, scheme: str, part: slice | Array) -> tuple[Samples, Array]:
        """Some samples of a scheme, and their predictions."""
        keep, answers = (one[part] for one in self.sequences[scheme])
        return samples_of(self.name, scheme, self.ends, keep), np.concatenate([self.end_answers, answers])

    def others(self, scheme: str, part: slice) -> Array:
        """Bool: the samples of the long run that are not in a part of one of its schemes."""
        others = np.ones(len(self.long), bool)
        if scheme in ("plain", "paired"):
            each = 2 if scheme == "plain" else 1
            others[each * part.start : each * part.stop] = False
        return others

    def held_against(self, scheme: str, part: slice) -> tuple[Array, float]:
        """Scores of the long run without these samples, and their squared error."""
        if scheme not in ("plain", "paired"):
            return self.best, self.doubt
        others = self.others(scheme, part)
        return self.scores("paired", others), self.doubt * len(self.long) / others.sum()

    def row(self, label: str, count: int) -> dict[str, object]:
        """Error, rank correlation and standard error for a scheme and a number of samples, over disjoint runs."""
        scheme = label.removeprefix("published ")
        wrong, ranked, predicted = [], [], []
        # Blocks of a power of two keep stratified sizes balanced and orthogonal blocks complete.
        starts = range(0, len(self.sequences[scheme][0]) - count + 1, 1 << (count - 1).bit_length())
        for start in starts[:MOST_RUNS]:
            part = slice(start, start + count)
            if self.others(scheme, part).sum() < 2 * count:
                break
            errors = self.errors(scheme, part)
            scores = self.scores(scheme, part) if label == scheme else published(*self.some(scheme, part))
            reference, doubt = self.held_against(scheme, part)
            wrong.append(((scores - reference) ** 2).mean() - doubt)
            ranked.append(np.corrcoef(ranks(scores), ranks(reference))[0, 1])
            predicted.append((errors**2).mean())
        row = {"method": self.name, "scheme": label, "samples": count, "runs": len(wrong)}
        if wrong:
            row |= {"error": self.relative(np.mean(wrong)), "rank correlation": float(np.mean(ranked))}
            row["standard error"] = self.relative(np.mean(predicted)) if label == scheme else float("nan")
        return row

    def relative(self, squared: float) -> float:
        """Root of a squared error, relative to the standard deviation of the scores."""
        return float(np.sqrt(max(squared, 0)) / self.best.std())

    def stopped(self) -> dict[str, object]:
        """The number of samples at which `n_samples="auto"` stops, and the error there."""
        most = len(self.sequences[catalog.METHODS[self.name].auto][0]) + len(self.ends)
        for count in (one for one in ROUNDS if one <= most):
            part = slice(count - len(self.ends))
            scheme = catalog.METHODS[self.name].auto
            scores, errors = self.scores(scheme, part), self.errors(scheme, part)
            if has_converged(scores[None], errors[None]):
                break
        error = self.relative(((scores - self.best) ** 2).mean() - self.doubt)
        return {"auto": count, "settled": has_converged(scores[None], errors[None]), "error": error}


def runs(path: Path) -> Iterator[dict[str, object]]:
    """A row on the long run, one per scheme and number of samples, and one on the stopping rule."""
    one = Answered(path)
    yield {
        "segments": len(one.best), "spread": float(one.best.std()), "long": len(one.long),
        "reference error": one.relative(one.doubt),
    }  # fmt: skip
    before = [] if one.name == "lime" else ["published plain", "published paired"]
    for label in (*before, *one.sequences):
        for count in COUNTS:
            row = one.row(label, count)
            if row["runs"]:
                yield row
    yield one.stopped()


def table(rows: list[dict[str, object]]) -> dict[tuple[str, str], dict[int, tuple[float, ...]]]:
    """Means over images: method, scheme -> samples -> error, rank correlation, standard error, images."""
    means: dict[tuple[str, str], dict[int, tuple[float, ...]]] = {}
    keys = ("error", "rank correlation", "standard error")
    for method, scheme, count in dict.fromkeys((r["method"], r["scheme"], r["samples"]) for r in rows):
        others = [r for r in rows if (r["method"], r["samples"]) == (method, count)]
        schemes = {r["scheme"] for r in others}
        # Compare schemes on the same images only.
        files = {r["file"] for r in others}
        files = {one for one in files if {r["scheme"] for r in others if r["file"] == one} == schemes}
        alike = [r for r in others if r["scheme"] == scheme and r["file"] in files]
        values = (*(float(np.mean([r[key] for r in alike])) for key in keys), len(alike))
        means.setdefault((str(method), str(scheme)), {})[int(count)] = values
    return means


def draw(means: dict[tuple[str, str], dict[int, tuple[float, ...]]], path: Path) -> None:
    """One panel per method, one line per scheme."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    looks = {
        "published plain": ("#999999", ":"), "published paired": ("#999999", "--"), "plain": ("#555555", "-"),
        "paired": ("#3b75af", "--"), "stratified": ("#d08a1d", "-"), "orthogonal": ("#2e8b57", "-"),
    }  # fmt: skip
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    for axes, (method, title) in zip(figure.subplots(1, 2), (("lime", "LIME"), ("shap", "KernelSHAP")), strict=True):
        for (one, scheme), values in means.items():
            if one == method:
                colour, line = looks[scheme]
                points = [value[0] for value in values.values()]
                axes.plot(list(values), points, line, color=colour, marker="o", markersize=3, label=scheme)
        axes.set(title=title, xlabel="samples", xscale="log", yscale="log")
        axes.set_xticks(COUNTS, [f"{count:,}" for count in COUNTS], minor=False)
        axes.set_xticks([], minor=True)
        ticks = (0.1, 0.2, 0.5, 1, 2) if method == "lime" else (0.2, 0.5, 1, 2, 4)
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_yticks([], minor=True)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.axes[0].set_ylabel("error / spread of scores")
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sampling"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Predict the images given by `--ask`, and print one JSON line per result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--ask", type=Path, nargs="*", default=[], metavar="IMAGE")
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--weights")
    parser.add_argument("--preprocess", choices=("own", "caffe"), default="own")
    parser.add_argument("--segments", default="slic")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--figure", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.cache.mkdir(parents=True, exist_ok=True)
    for image in args.ask:
        ask(args.cache, image, args)
    rows = []
    for path in sorted(args.cache.glob("*.npz")):
        for row in runs(path):
            shown = {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
            print(path.stem, json.dumps(shown), flush=True)
            rows += [row | {"file": path.stem}] if "scheme" in row else []
    means = table(rows)
    for (method, scheme), values in means.items():
        short = {count: [round(value, 2) for value in found] for count, found in values.items()}
        about = {"method": method, "scheme": scheme}
        print(json.dumps(about | {"error, rank correlation, standard error, images": short}))
    whole = {row["file"] for row in rows if row["scheme"] == "plain" and row["samples"] == COUNTS[-1]}
    for path in args.figure:
        draw(table([row for row in rows if row["file"] in whole]), path)


if __name__ == "__main__":
    main()
