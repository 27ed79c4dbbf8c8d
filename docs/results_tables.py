"""Write the tables of docs/results.md from reports: `python docs/results_tables.py IMAGES PHOTOS RIVALS`.

IMAGES, PHOTOS and RIVALS are folders that `xai-layermask report` has written: of the images with object masks, of the
photographs, and of the alternatives that are not in the paper. The tables go to docs/results/, the figures to
docs/images/results/.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from xai_layermask.experiments.paper import counterpart, paper_value

DOCS = Path(__file__).parent


class Named(NamedTuple):
    """A model's name, and its part of the names of figures."""

    name: str
    short: str


MODELS = {
    "torchvision:resnet50": Named("ResNet-50", "resnet50"),
    "torchvision:squeezenet1_1": Named("SqueezeNet 1.1", "squeezenet"),
    "lite0": Named("EfficientNet-Lite0", "lite0"),
    "deit:deit_tiny": Named("DeiT-Tiny", "deit"),
}
MASKINGS = {
    "black": "black", "grey": "grey", "mean": "mean colour", "red": "red", "green": "green", "blue": "blue",
    "neighbor": "neighbour fill", "layer-zero": "zero padding",
    "layer-until:relu": "layer masking up to `relu`", "layer-until:layer2": "layer masking up to `layer2`",
    "layer-unscaled": "layer masking, not rescaled", "layer": "layer masking",
    "layer-soft": "layer masking, soft presence", "layer-threshold:0.3": "layer masking, threshold 0.3",
    "calibrated-black": "black, calibrated", "calibrated-grey": "grey, calibrated",
    "calibrated-layer": "layer masking, calibrated",
}  # fmt: skip
#: The order of the page.
MODEL_PLACES, MASKING_PLACES = ({name: place for place, name in enumerate(names)} for names in (MODELS, MASKINGS))
ORDERS = {"random": "random", "most salient first": "most salient", "least salient first": "least salient"}
MINUS = "\N{MINUS SIGN}"
ACCURACY, ALIGNMENT = "accuracy ↑", "alignment ↑"
LIME = ("top-20 ablation accuracy ↓", ALIGNMENT, "top-20 Jaccard ↑")
#: The columns of differences in the table of alternatives.
CHANGED, FROM_LAYER = "minus the masking without the change", "minus layer masking"
Row = dict[str, str]


def read(report: Path, name: str) -> list[Row]:
    """The rows of a report's table, models and maskings in the order of the page; none if there is no such table."""
    path = report / "tables" / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        found = [
            row | {key: _without_file(row[key]) for key in ("masking", "minus") if key in row}
            for row in csv.DictReader(file)
        ]
    rows = [row for row in found if row.get("masking", "layer") in MASKINGS and row["model"] in MODELS]
    return sorted(rows, key=lambda row: (MODEL_PLACES[row["model"]], MASKING_PLACES[row.get("masking", "layer")]))


def _without_file(masking: str) -> str:
    """The name of a calibrated masking, without folder and digest of its map."""
    return re.sub(r"^calibrated:.*(calibrated-\w+)\.npz.*", r"\1", masking)


def place(row: Row) -> tuple[int, str]:
    """Where a row of LIME comes: by model, then by segmentation."""
    return MODEL_PLACES[row["model"]], row["segments"]


def beside_paper(rows: Sequence[Row]) -> list[Row]:
    """Accuracy of black, grey and layer masking, in the paper and here."""
    found: dict[tuple[str, ...], Row] = {}
    shown = ("black", "grey", "layer")
    for row in rows:
        known = counterpart(row["model"])
        if row["masking"] not in shown or known is None or not row[ACCURACY]:
            continue
        key = row["model"], row["segments"], row["order"]
        line = found.setdefault(key, dict(zip(("model", "segments", "order"), key, strict=True)) | {"n": row["n"]})
        values = [paper_value(known.model, *key[1:], "accuracy", masking) for masking in shown]
        line["paper"] = ", ".join(f"{value.value:.3f}" for value in values if value is not None)
        line["here"] = ", ".join(filter(None, (line.get("here", ""), f"{float(row[ACCURACY]):.3f}")))
    return [line for line in found.values() if line["paper"]]


def lime_beside_paper(rows: Iterable[Row]) -> list[Row]:
    """Ablation, alignment and Jaccard of grey and of layer masking, in the paper and here."""
    found: dict[tuple[str, ...], Row] = {}
    for row in sorted(rows, key=place):
        known, masking = counterpart(row["model"]), row["masking"]
        if masking not in ("grey", "layer") or known is None:
            continue
        keys = ("model", "segments")
        line = found.setdefault(tuple(row[key] for key in keys), {key: row[key] for key in keys})
        line["n"] = row[f"{ALIGNMENT} n"]
        names = ("top-20 ablation accuracy", "alignment score", "top-20 Jaccard similarity")
        values = [paper_value(known.model, row["segments"], "", name, masking) for name in names]
        line[f"{masking}, paper"] = ", ".join(f"{value.value:.3f}" for value in values if value is not None)
        line[f"{masking}, here"] = ", ".join(f"{float(row[score]):.3f}" for score in LIME)
    return list(found.values())


def difference(rows: Iterable[Row], model: str, first: str, second: str, column: str) -> str:
    """The first masking minus the second; empty if there is no such row."""
    for row in rows:
        if row["model"] == model and (row["masking"], row["minus"]) == (first, second):
            return cell(row, column, signed=True)
        if row["model"] == model and (row["masking"], row["minus"]) == (second, first):
            ends = (("", ""), (" low", " high"), (" high", " low"))
            turned = {column + end: f"{-float(row[column + other])}" for end, other in ends}
            return cell(turned, column, signed=True)
    return ""


def rivals(report: Path) -> list[Row]:
    """Robustness and alignment of each masking, and the differences of alternatives from what they change."""
    found: list[Row] = []
    robust, alignment = read(report, "robustness-differences"), read(report, "lime-differences")
    aligned = {(row["model"], row["masking"]): row for row in read(report, "lime")}
    for row in read(report, "robustness"):
        model, masking = row["model"], row["masking"]
        base = masking.removeprefix("calibrated-") if masking.startswith("calibrated-") else "layer"
        lime = aligned.get((model, masking), {})
        found.append({
            "model": model, "masking": masking, "n": row[f"{ACCURACY} n"], "accuracy": cell(row, ACCURACY),
            CHANGED: difference(robust, model, masking, base, ACCURACY),
            "n of LIME": lime.get(f"{ALIGNMENT} n", ""), "alignment": cell(lime, ALIGNMENT),
            FROM_LAYER: difference(alignment, model, masking, "layer", ALIGNMENT),
        })  # fmt: skip
    return found


def short_rivals(rows: Sequence[Row]) -> list[Row]:
    """The differences of `rivals` for the alternatives alone, with a column for each network."""
    found: dict[tuple[str, str], Row] = {}
    for metric, column in (("accuracy", CHANGED), ("alignment", FROM_LAYER)):
        for row in rows:
            if row["masking"] in ("black", "grey", "layer") or not row[column]:
                continue
            line = found.setdefault((row["masking"], metric), {"masking": row["masking"], "difference in": metric})
            line[MODELS[row["model"]].name] = row[column]
    return sorted(found.values(), key=lambda line: MASKING_PLACES[line["masking"]])


def cell(row: Row, column: str, signed: bool = False) -> str:
    """A value with its interval; bold if the interval of a difference does not contain 0."""
    value, low, high = (row.get(column + end, "") for end in ("", " low", " high"))
    if not value:
        return ""
    number = round(float(value), 3) + 0.0  # never -0
    shown = f"{number:{'+' if signed and number else ''}.3f}".replace("-", MINUS)
    if not low:
        return shown
    if signed and (float(low) > 0 or float(high) < 0):
        shown = f"**{shown}**"
    bounds = (f"{round(float(bound), 3) + 0.0:.3f}".replace("-", MINUS) for bound in (low, high))
    return f"{shown} ({' to '.join(bounds)})"


def wide(rows: Iterable[Row], keys: Sequence[str], column: str, by: str = "masking", signed: bool = False) -> list[Row]:
    """One row for each value of the keys, with a column for each masking."""
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        line = found.setdefault(tuple(row[key] for key in keys), {key: row[key] for key in keys} | {"n": ""})
        line["n"] = max(line["n"], row[f"{column} n"], key=lambda n: int(n or 0))
        line[(f"{MINUS} " if signed else "") + MASKINGS[row[by]]] = cell(row, column, signed)
    return list(found.values())


def write(name: str, rows: Sequence[Row], names: dict[str, str] | None = None) -> None:
    """A CSV file, with models by their names."""
    if not rows:
        return
    columns = list(dict.fromkeys(column for row in rows for column in row))
    path = DOCS / "results" / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([(names or {}).get(column, column) for column in columns])
        for row in rows:
            known = {"model": {spec: one.name for spec, one in MODELS.items()}, "masking": MASKINGS, "order": ORDERS}
            cells = ((column, row.get(column, "")) for column in columns)
            writer.writerow([known.get(column, {}).get(text, text) for column, text in cells])


def of_layer(rows: Iterable[Row]) -> list[Row]:
    """The differences of layer masking to others, which become the columns."""
    found = [row for row in rows if row["masking"] == "layer" and row["minus"] in MASKINGS]
    return sorted(found, key=lambda row: (MODEL_PLACES[row["model"]], MASKING_PLACES[row["minus"]]))


def main(images: str, photos: str, others: str) -> None:
    """Write everything."""
    report, pictures = Path(images), Path(photos)
    removed = {"order": "removed first"}
    for where, name in ((report, "robustness"), (pictures, "photographs")):
        rows = [row for row in read(where, "robustness") if not row["masking"].startswith("layer-until")]
        keys = ("model", "segments", "order")
        write(name, wide(rows, keys, ACCURACY), removed)
        if name == "robustness":
            write("robustness-paper", beside_paper(rows), removed)
        differences = of_layer(read(where, "robustness-differences"))
        differences = [row for row in differences if not row["minus"].startswith("layer-until")]
        write(f"{name}-differences", wide(differences, keys, ACCURACY, "minus", signed=True), removed)
        random = [row for row in rows if row["order"] == "random"]
        for column in ("unchanged predictions ↑", "WordNet similarity ↑", "class entropy ↑"):
            write(f"{name}-{column.split()[0].lower()}", wide(random, keys[:2], column))
    average = [row for row in read(report, "robustness-average") if row["model"] == "torchvision:resnet50"]
    metrics = (ACCURACY, "class entropy ↑", "WordNet similarity ↑", "unchanged predictions ↑")
    write("table3", [
        {"masking": row["masking"], "n": row["n"]} | {metric[:-2]: cell(row, metric) for metric in metrics}
        for row in average
    ])  # fmt: skip
    keys, lime = ("model", "segments", "masking"), sorted(read(report, "lime"), key=place)
    write("lime-paper", lime_beside_paper(lime))
    write("lime", [
        {key: row[key] for key in keys}
        | {"n": row[f"{ALIGNMENT} n"]}
        | {score[:-2]: cell(row, score) for score in LIME}
        for row in lime
    ])  # fmt: skip
    write("lime-differences", [
        {key: row[key] for key in keys[:2]}
        | {"layer masking minus": MASKINGS[row["minus"]], "n": row[f"{ALIGNMENT} n"]}
        | {score[:-2]: cell(row, score, signed=True) for score in LIME}
        for row in sorted(of_layer(read(report, "lime-differences")), key=place)
    ])  # fmt: skip
    for name in ("mask-shape", "collapse", "linearity"):
        rows = [row for row in read(report, name) if row.get("mean over", "pictures") == "pictures"]
        columns = [column for column in rows[0] if f"{column} low" in rows[0]] if rows else []
        keys = tuple(key for key in ("model", "side", "size", "masking") if rows and key in rows[0])
        write(name, [
            {key: row[key] for key in keys} | {"n": row[f"{columns[0]} n"]}
            | {column.removesuffix(" ↑").removesuffix(" ↓"): cell(row, column) for column in columns}
            for row in rows
        ], {"size": "side"})  # fmt: skip
    write("exponents", [
        {"model": row["model"], "masking": row["masking"], "n": row["n"], "exponent": cell(row, "exponent")}
        for row in read(report, "linearity-exponents")
    ])  # fmt: skip
    write("colours", wide(read(pictures, "colours"), ("model",), ACCURACY))
    alternatives = rivals(Path(others))
    write("rivals", alternatives)
    write("rivals-differences", short_rivals(alternatives))
    figures(report)


def figures(report: Path) -> None:
    """Copy the figures of each model; the number in a figure's name is the model's place in the order of names."""
    for protocol in ("robustness", "lime", "mask-shape", "collapse", "linearity"):
        present = sorted({row["model"] for row in read(report, protocol)})
        for number, model in enumerate(present, 1):
            for path in (report / "figures").glob(f"{protocol}-{number}*.svg"):
                part = path.stem.removeprefix(f"{protocol}-{number}").replace("-patches-16", "")
                part = part.replace("slic-196", "slic")
                target = DOCS / "images" / "results" / f"{protocol}-{MODELS[model].short}{part}.svg"
                if target.exists():
                    shutil.copy(path, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
