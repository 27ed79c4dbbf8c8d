"""What all protocols share: settings, variants, randomness, rows that JSON can hold."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from tiny import SIDE, classifier, item
from torch import nn

from xai_layermask.errors import InputError
from xai_layermask.experiments.protocols import (
    PROTOCOLS,
    Ablation,
    Lime,
    Linearity,
    MaskedClassifier,
    MaskShape,
    Robustness,
)
from xai_layermask.experiments.protocols.protocol import finite, random_generator

SMALL = {"samples": "20", "sizes": "112,56", "fractions": "0,.5,1", "removals": ".5", "patch": "8", "k": "3"}


def small(name):
    """The protocol with as little work as it can have."""
    fields = json.loads(PROTOCOLS[name]().settings())
    return PROTOCOLS[name].configured({key: word for key, word in SMALL.items() if key in fields})


def test_the_protocols_of_the_paper_are_there():
    assert list(PROTOCOLS) == ["robustness", "lime", "mask-shape", "linearity", "collapse", "ablation", "colours"]


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("masking", ["grey", "layer"])
def test_rows_are_flat_repeatable_and_no_dearer_than_announced(name, masking, tmp_path):
    label = int(MaskedClassifier(classifier()).view(item(tmp_path)).whole.argmax())  # LIME wants a likely one
    one, protocol, asked = item(tmp_path, label=label), small(name), []
    with_classes = classifier()
    with_classes.model.register_forward_pre_hook(lambda module, args: asked.append(len(args[0])))
    cut = "patches:8" if protocol.segments else ""
    masked = MaskedClassifier(with_classes)
    rows = list(protocol.rows(masked, one, masking, cut, 3))
    assert rows and all(isinstance(value, float | int | str | bool | None) for row in rows for value in row.values())
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert rows == list(protocol.rows(MaskedClassifier(classifier()), one, masking, cut, 3))
    if masking == "grey" and name not in ("linearity", "collapse"):  # which ask a copy
        assert abs(sum(asked) - protocol.passes(SIDE, SIDE, cut)) <= 1
    assert pickle.loads(pickle.dumps(protocol)) == protocol


def test_settings_come_from_words_and_are_canonical():
    assert Robustness().settings() == Robustness.configured({}).settings()
    made = Robustness.configured({"fractions": "0, .5", "orders": "random"})
    assert made == Robustness(orders=("random",), fractions=(0.0, 0.5))
    assert made.settings() == '{"fractions":[0.0,0.5],"orders":["random"]}'
    assert Lime.configured({"samples": "9", "ablator": "black"}) == Lime(samples=9, ablator="black")
    with pytest.raises(InputError, match=r"expected one of .* for setting of lime, .* did you mean 'samples'"):
        Lime.configured({"sample": "9"})
    with pytest.raises(InputError, match=r"expected an integer for samples of lime, got '9.5'"):
        Lime.configured({"samples": "9.5"})
    with pytest.raises(InputError, match="expected an integer each for sizes of linearity, got '9,b'"):
        Linearity.configured({"sizes": "9,b"})
    with pytest.raises(InputError, match="expected a value for sizes of linearity, got ','"):
        Linearity.configured({"sizes": ","})
    assert Ablation.configured({"removals": "none"}).removals == ()
    with pytest.raises(InputError, match="expected one or more different values for sizes, got none"):
        Linearity.configured({"sizes": "none"})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Robustness(orders=("up",)), "expected one of .* for orders, got"),
        (lambda: Robustness(orders=("least", "least")), "expected one or more different values for orders, got least"),
        (lambda: Robustness(fractions=(0.5, 0.5)), "expected one or more different values for fractions, got 0.5, 0.5"),
        (lambda: Ablation(fractions=()), "expected one or more different values for fractions, got none"),
        (lambda: Ablation(removals=(1.5,)), "expected a number from 0 to 1 for removals, got 1.5"),
        (lambda: Ablation(k=0), "expected an integer of at least 1 for k, got 0"),
        (lambda: Lime(samples=1), "expected an integer of at least 2 for samples, got 1"),
        (lambda: Linearity(sizes=(0,)), "expected an integer from 1 to 112 for sizes, got 0"),
        (lambda: PROTOCOLS["collapse"](sizes=(300,)), "expected an integer from 1 to 224 for sizes, got 300"),
        (lambda: Linearity(sizes=(56, 56)), "expected one or more different values for sizes, got 56, 56"),
        (lambda: PROTOCOLS["colours"](patch=0), "expected an integer of at least 1 for patch, got 0"),
    ],
)
def test_wrong_settings_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_variants_pair_maskings_with_segments():
    assert Robustness().variants(("a", "b"), ("x", "y")) == (("a", "x"), ("b", "x"), ("a", "y"), ("b", "y"))
    assert len(Robustness().variants()) == 9
    assert MaskShape().variants(("a",)) == (("a", ""),)
    with pytest.raises(InputError, match="expected no segments for protocol 'mask-shape', got slic"):
        MaskShape().variants((), ("slic",))


def test_randomness_is_the_same_in_every_process():
    home = "xai_layermask.experiments.protocols.protocol"
    code = f"from {home} import random_generator; print(random_generator(4, 'fox').integers(10**9))"
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    }
    assert found == {str(random_generator(4, "fox").integers(10**9))}
    draws = {random_generator(*key).integers(10**9) for key in ((4, "fox"), (5, "fox"), (4, "cat"), (4, "f", "ox"))}
    assert len(draws) == 4


def test_numbers_that_are_not_finite_are_none():
    assert finite(float("inf")) is None and finite(float("nan")) is None and finite(2) == 2.0


def test_labels_and_masks_that_are_missing_are_named(tmp_path):
    masked = MaskedClassifier(classifier())
    with pytest.raises(InputError, match=r"expected a label of 'a.png', got none"):
        list(Lime().rows(masked, item(tmp_path, label=None), "grey", "patches:8", 0))
    with pytest.raises(InputError, match=r"expected a label from 0 to 5 for 'a.png', got 6"):
        list(Robustness().rows(masked, item(tmp_path, label=6), "grey", "patches:8", 0))
    with pytest.raises(InputError, match=r"expected an object mask of 'a.png', got none"):
        list(MaskShape().rows(masked, item(tmp_path, masked=False), "grey", "", 0))
    with pytest.raises(InputError, match=r"expected an object mask of 'a.png', got none"):
        list(Robustness(orders=("least",)).rows(masked, item(tmp_path, masked=False), "grey", "patches:8", 0))


@pytest.mark.parametrize("masking", ["grey", "layer"])
def test_a_network_that_ends_in_a_softmax_gives_the_same_numbers(masking, tmp_path):
    logits = classifier()
    softmaxed = replace(logits, model=nn.Sequential(*logits.model, nn.Softmax(1)))
    halves = np.arange(SIDE)[:, None] * 2 // SIDE + np.zeros(SIDE, int)
    keep = np.array([[True, False], [True, True]])
    one = item(tmp_path)
    for order in ("view first", "predict first"):
        masked, known = MaskedClassifier(softmaxed), MaskedClassifier(logits)
        if order == "view first":
            np.testing.assert_allclose(masked.view(one).whole, known.view(one).whole, atol=1e-6)
        image = known.view(one).image
        expected = known.predict(image, masking, halves, keep)
        np.testing.assert_allclose(masked.predict(image, masking, halves, keep), expected, atol=1e-6)
    np.testing.assert_allclose(expected.sum(1), 1)


@pytest.mark.parametrize(
    ("end", "got"),
    [
        (nn.Sequential(nn.Linear(6, 6), nn.Sigmoid()), r"independent probabilities \(1, 6\)"),
        (nn.Linear(6, 1), r"an output \(1, 1\)"),
        (nn.Unflatten(1, (6, 1, 1)), r"an output \(1, 6, 1, 1\)"),
    ],
)
def test_what_is_no_classifier_is_refused_in_one_sentence(end, got, tmp_path):
    made = classifier()
    made = replace(made, model=nn.Sequential(*made.model, end))
    message = f"classes that exclude each other from the model, got {got}: experiments count correct predictions"
    with pytest.raises(InputError, match=message):
        MaskedClassifier(made).view(item(tmp_path))
