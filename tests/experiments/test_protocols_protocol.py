"""What all protocols share: settings, variants, randomness, rows that JSON can hold."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest
from tiny import SIDE, classifier, item

from xai_layermask.errors import InputError
from xai_layermask.experiments.protocols import PROTOCOLS, Ablation, Asker, Lime, Linearity, MaskShape, Robustness
from xai_layermask.experiments.protocols.protocol import defined, generator, grouped, mean

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
    label = int(Asker(classifier()).view(item(tmp_path)).whole.argmax())  # LIME wants a likely one
    one, protocol, asked = item(tmp_path, label=label), small(name), []
    with_classes = classifier()
    with_classes.model.register_forward_pre_hook(lambda module, args: asked.append(len(args[0])))
    cut = "patches:8" if protocol.segments else ""
    asker = Asker(with_classes)
    rows = list(protocol.rows(asker, one, masking, cut, 3))
    assert rows and all(isinstance(value, float | int | str | bool | None) for row in rows for value in row.values())
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert rows == list(protocol.rows(Asker(classifier()), one, masking, cut, 3))
    summary = protocol.summarise(rows)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
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
    with pytest.raises(InputError, match=r"setting 'samples' of lime must be a whole number, but '9.5' came"):
        Lime.configured({"samples": "9.5"})
    with pytest.raises(InputError, match="setting 'sizes' of linearity must be whole numbers, but '9,b' came"):
        Linearity.configured({"sizes": "9,b"})
    with pytest.raises(InputError, match="must have a value, but nothing came"):
        Linearity.configured({"sizes": ","})
    assert Ablation.configured({"removals": "none"}).removals == ()
    with pytest.raises(InputError, match="sizes must be different numbers of pixels from 1 to 112"):
        Linearity.configured({"sizes": "none"})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Robustness(orders=("up",)), "expected one of .* for orders, got"),
        (lambda: Robustness(orders=("random", "random")), "orders must be different ones, but random, random came"),
        (lambda: Robustness(fractions=(0.5, 0.5)), "fractions must be different numbers from 0 to 1, but 0.5, 0.5"),
        (lambda: Ablation(fractions=()), "fractions must be different numbers from 0 to 1, but nothing came"),
        (lambda: Ablation(removals=(1.5,)), "removals must be different numbers from 0 to 1, but 1.5 came"),
        (lambda: Ablation(k=0), "k must be at least 1, but 0 came"),
        (lambda: Lime(samples=1), "samples must be at least 2, but 1 came"),
        (lambda: Linearity(sizes=(0,)), "sizes must be different numbers of pixels from 1 to 112"),
        (lambda: PROTOCOLS["collapse"](sizes=(300,)), "sizes must be different numbers of pixels from 1 to 224"),
        (lambda: Linearity(sizes=(56, 56)), "sizes must be different numbers of pixels from 1 to 112, but 56, 56 came"),
        (lambda: PROTOCOLS["colours"](patch=0), "patch must be a number of pixels, but 0 came"),
    ],
)
def test_wrong_settings_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_variants_pair_maskings_with_segments():
    assert Robustness().variants(("a", "b"), ("x", "y")) == (("a", "x"), ("b", "x"), ("a", "y"), ("b", "y"))
    assert len(Robustness().variants()) == 9
    assert MaskShape().variants(("a",)) == (("a", ""),)
    with pytest.raises(InputError, match="protocol 'mask-shape' cuts no segments, but slic came"):
        MaskShape().variants((), ("slic",))


def test_randomness_is_the_same_in_every_process():
    home = "xai_layermask.experiments.protocols.protocol"
    code = f"from {home} import generator; print(generator(4, 'fox').integers(10**9))"
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    }
    assert found == {str(generator(4, "fox").integers(10**9))}
    draws = {generator(*key).integers(10**9) for key in ((4, "fox"), (5, "fox"), (4, "cat"), (4, "f", "ox"))}
    assert len(draws) == 4


def test_small_helpers():
    assert mean([1, None, 2]) == 1.5 and mean([None]) is None
    assert defined(float("inf")) is None and defined(2) == 2.0
    assert list(grouped([{"a": 1}, {"b": 1}, {"a": 1, "b": 2}], "a")) == [(1,), (None,)]


def test_labels_and_masks_that_are_missing_are_named(tmp_path):
    asker = Asker(classifier())
    with pytest.raises(InputError, match=r"'a.png' must have a label for this protocol"):
        list(Lime().rows(asker, item(tmp_path, label=None), "grey", "patches:8", 0))
    with pytest.raises(InputError, match=r"the label of 'a.png' must be one of the model's 6 classes, but 6 came"):
        list(Robustness().rows(asker, item(tmp_path, label=6), "grey", "patches:8", 0))
    with pytest.raises(InputError, match=r"'a.png' must have an object mask for this protocol"):
        list(MaskShape().rows(asker, item(tmp_path, masked=False), "grey", "", 0))
    with pytest.raises(InputError, match=r"'a.png' must have an object mask for this protocol"):
        list(Robustness(orders=("least",)).rows(asker, item(tmp_path, masked=False), "grey", "patches:8", 0))
