"""Wu-Palmer similarity equals its definition, and the shipped table is what the script makes."""

from __future__ import annotations

import importlib.util
import itertools
import os
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_layermask.errors import InputError
from xai_layermask.metrics import wordnet_matrix, wordnet_similarity
from xai_layermask.metrics.wordnet import wu_palmer


def naive_wu_palmer(above, one, other):
    """Word by word, with every path to the root spelt out; `above` lists the hypernyms of each synset."""

    def paths(node):
        return [[node]] if not above[node] else [[node, *path] for up in above[node] for path in paths(up)]

    def ancestors(node):
        return {member for path in paths(node) for member in path}

    def between(low, high):
        return min(
            first.index(shared) + second.index(shared)
            for first, second in itertools.product(paths(low), paths(high))
            for shared in set(first) & set(second)
        )

    common = ancestors(one) & ancestors(other)
    lowest = max(min(map(len, paths(node))) for node in common)
    candidates = sorted(node for node in common if min(map(len, paths(node))) == lowest)
    subsumer = one if one in candidates else candidates[0]
    depth = max(map(len, paths(subsumer)))
    return 2 * depth / (between(one, subsumer) + between(other, subsumer) + 2 * depth)


@st.composite
def taxonomies(draw):
    """Hypernyms of up to nine synsets, one root, no cycles; the numbering is not by height."""
    size = draw(st.integers(1, 9))
    name = draw(st.permutations(range(size)))
    above = {name[0]: []}
    for node in range(1, size):
        ups = draw(st.lists(st.integers(0, node - 1), min_size=1, max_size=3, unique=True))
        above[name[node]] = [name[up] for up in ups]
    return [above[node] for node in range(size)]


@settings(max_examples=60, deadline=None)
@given(taxonomies())
def test_equals_its_definition(above):
    hypernyms = np.array([len(ups) for ups in above], dtype=np.uint8)
    parents = np.array([up for ups in above for up in ups], dtype=np.uint16)
    every = np.arange(len(above))
    found = wu_palmer(hypernyms, parents, every)
    assert found == pytest.approx(np.array([[naive_wu_palmer(above, a, b) for b in every] for a in every]))


def test_shipped_hypernyms_by_the_definition():
    with files("xai_layermask").joinpath("data", "wordnet.npz").open("rb") as file:
        table = dict(np.load(file))
    ends = np.cumsum(table["hypernyms"])
    above = [
        table["parents"][end - count : end].tolist()
        for count, end in zip(table["hypernyms"], ends, strict=True)
    ]
    assert [len(ups) for ups in above].count(0) == 1  # "entity"
    pairs = np.random.default_rng(0).integers(0, 1000, (150, 2)).tolist() + [
        [c, c] for c in range(0, 1000, 40)
    ]
    nodes = table["classes"].tolist()
    for one, other in pairs:
        expected = naive_wu_palmer(above, nodes[one], nodes[other])
        assert wordnet_matrix()[one, other] == pytest.approx(expected, abs=1e-12)


def test_matrix():
    matrix = wordnet_matrix()
    assert matrix.shape == (1000, 1000) and matrix.dtype == np.float64
    assert (matrix == matrix.T).all()
    assert matrix.min() == pytest.approx(2 / 27) and matrix.max() == 1
    assert (np.diag(matrix) < 1).sum() == 107
    assert matrix is wordnet_matrix()
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 0
    # A fingerprint of the reference table, which NLTK's formula made from WordNet 3.0.
    assert matrix.mean() == pytest.approx(0.44528147, abs=1e-7)
    assert (matrix * np.arange(1000)).mean() == pytest.approx(216.54153, abs=1e-4)


def test_similarity_is_the_mean_over_pictures():
    predictions, targets = [281, 151, 0], [282, 151, 999]
    expected = sum(wordnet_matrix()[one, other] for one, other in zip(predictions, targets, strict=True)) / 3
    assert wordnet_similarity(predictions, torch.tensor(targets)) == pytest.approx(expected)
    assert type(wordnet_similarity(7, 8)) is float
    assert wordnet_similarity(0, 0) == 1
    assert wordnet_similarity(281, 282) > wordnet_similarity(281, 151) > wordnet_similarity(281, 918)


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        ([1000], [0], r"^expected class indices from 0 to 999 for predictions, got 1000$"),
        ([0], [-1], r"^expected class indices from 0 to 999 for targets, got -1"),
        ([0.5], [0], r"^expected integer class indices for predictions, got float64"),
        (
            [0, 1],
            [0],
            r"^expected predictions and targets of the same pictures, got 2 and 1 classes",
        ),
    ],
)
def test_malformed_classes(predictions, targets, message):
    with pytest.raises(InputError, match=message):
        wordnet_similarity(predictions, targets)


def script():
    path = Path(__file__).parents[2] / "docs" / "wordnet_table.py"
    spec = importlib.util.spec_from_file_location("wordnet_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DATA = """\
  1 This software and database is being provided to you
00000010 03 n 01 entity 0 001 ~ 00000020 n 0000 | that which exists
00000020 03 n 02 Animal 0 beast 0 002 @ 00000010 n 0000 ~ 00000030 n 0000 | a | living | thing
00000030 05 n 01 cat 0 001 @ 00000020 n 0000 | feline
00000040 05 n 01 Tom 0 002 @i 00000030 n 0000 + 00000099 v 0101 | a cat of that name
00000050 05 n 01 dog 0 001 @ 00000020 n 0000 | not asked for
"""
INDEX = """\
  1 This software and database is being provided to you
animal n 1 2 @ ~ 1 0 00000020
beast n 1 2 @ ~ 1 0 00000020
cat n 2 1 @ 2 1 00000050 00000030
dog n 1 1 @ 1 0 00000050
entity n 1 1 ~ 1 0 00000010
tom n 1 2 @i + 1 0 00000040
"""


def test_script_reads_wordnets_files(tmp_path):
    (tmp_path / "data.noun").write_text(DATA)
    (tmp_path / "index.noun").write_text(INDEX)
    hypernyms, name = script().nouns(tmp_path)
    assert hypernyms == {10: [], 20: [10], 30: [20], 40: [30], 50: [20]}
    assert name == {10: "entity.n.01", 20: "animal.n.01", 30: "cat.n.02", 40: "tom.n.01", 50: "dog.n.01"}
    table = script().table(tmp_path, ["n00000040", "n00000030"])
    # animal, cat, entity, tom: by name, and no dog.
    assert {key: value.tolist() for key, value in table.items()} == {
        "hypernyms": [1, 1, 0, 1],
        "parents": [2, 0, 1],
        "classes": [3, 1],
    }
    assert wu_palmer(**table) == pytest.approx(np.array([[1, 6 / 7], [6 / 7, 1]]))


@pytest.mark.skipif("WNSEARCHDIR" not in os.environ, reason="WNSEARCHDIR does not say where WordNet 3.0 lies")
def test_shipped_table_is_what_the_script_makes():
    pytest.importorskip("timm")
    module = script()
    made = module.table(Path(os.environ["WNSEARCHDIR"]), module.imagenet_wnids())
    with files("xai_layermask").joinpath("data", "wordnet.npz").open("rb") as file:
        shipped = dict(np.load(file))
    assert made.keys() == shipped.keys()
    assert all((made[key] == shipped[key]).all() for key in made)
