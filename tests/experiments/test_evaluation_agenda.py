"""What there is to do, before anything is done."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import pytest
from faked import SOURCE, Fake, dataset

from xai_layermask import __version__
from xai_layermask.dataset import Dataset, Item
from xai_layermask.errors import InputError
from xai_layermask.experiments.runner import Source, agenda, chosen, digest, estimate
from xai_layermask.experiments.runner.speed import speed
from xai_layermask.experiments.store import Store, Unit


def test_units_are_every_combination_once(tmp_path):
    data = dataset(tmp_path, "a.png", "b.png")
    sources = [SOURCE, Source("faked:other"), SOURCE]
    found = agenda(Fake("x"), data, sources, ["black", "layer", "black"], ["patches:8", "patches:4"], seed=5)
    expected = [
        Unit("fake", '{"folder":"x","pause":0.0}', source.name, digest(source.load()), masking, cut, item.name,
             item.digest(), 5, "float32", __version__)
        for source in sources[:2] for item in data.items
        for cut in ("patches:8", "patches:4") for masking in ("black", "layer")
    ]  # fmt: skip
    assert [entry.unit for entry in found.entries] == expected
    assert len({unit.key for unit in expected}) == 16
    assert (found.passes, found.done, found.pictures, found.skipped) == (48, 0, 2, ())


def test_what_is_in_the_store_is_not_to_be_done(tmp_path):
    data = dataset(tmp_path, "a.png", "b.png")
    with Store(tmp_path / "results.db") as store:
        for entry in agenda(Fake(), data, [SOURCE]).entries[::2]:
            store.put(entry.unit, [], 0.0, "")
        found = agenda(Fake(), data, [SOURCE], store=store)
    assert [entry.unit.masking for entry in found.entries] == ["layer", "layer"]
    assert (found.done, found.passes) == (2, 6)


def test_a_limit_takes_the_first_and_a_seed_shuffles():
    data = Dataset("x", tuple(Item(f"{number}.png", Path()) for number in range(50)), ("one was wrong",))
    names = lambda found: [item.name for item in found.items]  # noqa: E731
    assert names(chosen(data)) == names(data)
    assert names(chosen(data, 3)) == ["0.png", "1.png", "2.png"]
    shuffled = names(chosen(data, shuffle_seed=1))
    assert sorted(shuffled) == sorted(names(data)) != shuffled
    assert names(chosen(data, 20, 1)) == shuffled[:20] == names(chosen(data, 20, 1))
    assert shuffled != names(chosen(data, shuffle_seed=2))
    assert chosen(data, 3).skipped == ("one was wrong",)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"maskings": ["lair"]}, r"expected one of .* for masking, got 'lair': did you mean 'layer'"),
        ({"segments": ["slik"]}, r"'slik'.* did you mean 'slic'"),
        ({"sources": [Source("lite7")]}, r"expected one of .* for model, got 'lite7'"),
        ({"precision": "float8"}, r"expected one of .* for precision, got 'float8'"),
    ],
)
def test_wrong_names_fail_before_anything_runs(tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence):
        agenda(**{"protocol": Fake(), "dataset": dataset(tmp_path, "a.png"), "sources": [SOURCE], **options})


def test_wrong_pictures_are_left_out_by_name(tmp_path):
    data = dataset(tmp_path, "a.png", "gone.png", "b.png")
    data.items[1].path.unlink()
    data = dataclasses.replace(data, items=(*data.items, data.items[0]), skipped=("'x.png' is no picture.",))
    found = agenda(Fake(), data, [SOURCE])
    assert [entry.unit.picture for entry in found.entries] == ["a.png", "a.png", "b.png", "b.png"]
    assert len(found.skipped) == 3
    assert found.skipped[0] == "'x.png' is no picture."
    assert found.skipped[1].startswith("expected readable files for 'gone.png'")
    assert found.skipped[2] == "the name 'a.png' must be that of one picture, but several have it: rename them."
    with pytest.raises(InputError, match=r"'x.png' is no picture"):
        agenda(Fake(), data, [SOURCE], strict=True)
    with pytest.raises(InputError, match=r"expected readable files for 'gone.png'"):
        agenda(Fake(), dataclasses.replace(data, skipped=()), [SOURCE], strict=True)


class NeedsMasks(Fake):
    needs_masks: ClassVar[bool] = True


def test_pictures_without_a_mask_are_left_out_where_masks_are_needed(tmp_path):
    sentence = r"dataset 'fakes' must have a picture that can be measured, but none is left: 'a.png' must have an obj"
    with pytest.raises(InputError, match=sentence):
        agenda(NeedsMasks(), dataset(tmp_path, "a.png"), [SOURCE])


def test_the_estimate_adds_what_each_masking_takes(tmp_path, monkeypatch):
    rates = {"black": 100.0, "layer": 50.0}
    monkeypatch.setattr("xai_layermask.experiments.runner.speed.speed", lambda source, masking, *rest: rates[masking])
    todo = agenda(Fake(), dataset(tmp_path, "a.png", "b.png"), [SOURCE])
    assert estimate(todo, "cpu", workers=2) == pytest.approx((6 / 100 + 6 / 50) / 2)


def test_speed_is_measured(monkeypatch):
    monkeypatch.setattr("xai_layermask.experiments.runner.speed._SECONDS", 0.01)
    assert speed(SOURCE, "layer", "float32", "cpu", 2) > 0
