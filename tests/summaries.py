"""The numbers of reports, derived again row by row and pair by pair, for comparison."""

from __future__ import annotations

import numpy as np

from xai_layermask.experiments.protocols import direction
from xai_layermask.metrics import auc, class_entropy, unchanged_predictions, wordnet_similarity

CURVES = ("accuracy", "entropy", "wordnet", "unchanged")


def mean(values):
    """The mean of numbers and flags; nan if there are none. None does not count."""
    numbers = [float(value) for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else float("nan")


def grouped(rows, *columns):
    """Rows by their values in some columns."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row.get(column) for column in columns), []).append(row)
    return groups


def removal(rows):
    """For every order and fraction the measures of the predictions; with fraction None the areas under their curves."""
    found = []
    for (order,), of_order in grouped(rows, "order").items():
        points = sorted(grouped(of_order, "fraction").items())
        curve = [{"order": order, "fraction": fraction, **_point(group)} for (fraction,), group in points]
        fractions = [row["fraction"] for row in curve]
        areas = {measure: auc(fractions, [row[measure] for row in curve], "mean") for measure in CURVES}
        found += [*curve, {"order": order, "fraction": None, "n": min(row["n"] for row in curve), **areas}]
    return found


def _point(rows):
    predictions, labels = [row["prediction"] for row in rows], [row["label"] for row in rows]
    return {
        "n": len(rows),
        "accuracy": mean(prediction == label for prediction, label in zip(predictions, labels, strict=True)),
        "entropy": class_entropy(predictions),
        "wordnet": wordnet_similarity(predictions, labels),
        "unchanged": unchanged_predictions([row["whole"] for row in rows], predictions),
    }


def lime(rows):
    kept = [row for row in rows if row["kept"]]
    means = {column: mean(row[column] for row in kept) for column in ("alignment", "jaccard", "r2")}
    return {"n": len(kept), "ablation": mean(row["ablated"] == row["label"] for row in kept), **means}


def lime_by_removal(rows):
    """The same for the ablation, by the fraction of segments that LIME removes."""
    kept = [row for row in rows if row["part"] == "lime" and row["kept"]]
    return {
        removed: {"n": len(group)} | {column: mean(row[column] for row in group) for column in ("alignment", "jaccard")}
        for (removed,), group in grouped(kept, "removed_at").items()
    }


def mask_shape(rows):
    """By class, over all pictures under None, and over classes under "classes"."""
    kept = [row for row in rows if row["kept"]]
    found = {label: _accuracies(group) for (label,), group in grouped(kept, "label").items()}
    classes = {column: mean(one[column] for one in found.values()) for column in ("object_out", "broken_out", "gap")}
    return found | {None: _accuracies(kept), "classes": {"n": len(kept), **classes}}


def _accuracies(rows):
    out, broken = (mean(row[column] == row["label"] for row in rows) for column in ("object_out", "broken_out"))
    return {"n": len(rows), "object_out": out, "broken_out": broken, "gap": broken - out}


def linearity(rows):
    return {
        size: {
            "cosine": mean(row["cosine"] for row in group),
            "part": mean(row["norm_parts"] / row["norm_whole"] for row in group),
            "sum": mean(row["norm_sum"] / row["norm_whole"] for row in group),
        }
        for (size,), group in grouped(rows, "size").items()
    }


def collapse(rows):
    """By size, means over every two pictures, and over pictures."""
    vectors = {
        (row["size"], row["picture"]): direction(row["features"]) for row in rows if row["features"] is not None
    }
    sizes, names = sorted({row["size"] for row in rows}), sorted({row["picture"] for row in rows})

    def cosine(size, one, other):
        if (size, one) not in vectors or (size, other) not in vectors:
            return None
        first, second = vectors[size, one], vectors[size, other]
        return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))

    found = {}
    for size in sizes:
        pairs = [(one, other) for place, one in enumerate(names) for other in names[:place]]
        both = [(cosine(size, *pair), cosine(sizes[-1], *pair)) for pair in pairs]
        found[size] = {
            "between": mean(now for now, _ in both),
            "change": mean(abs(now - before) for now, before in both if None not in (now, before)),
            "signed": mean(now - before for now, before in both if None not in (now, before)),
            "whole": mean(row["cosine_whole"] for row in rows if row["size"] == size),
        }
    return found
