"""The plan of an evaluation, before anything runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from faked import MODEL, Fake, dataset

from xai_layermask import Fill, __version__
from xai_layermask.dataset import Dataset, Item
from xai_layermask.errors import InputError
from xai_layermask.experiments import Store, Trial
from xai_layermask.experiments.protocols import Lime, MaskedClassifier
from xai_layermask.experiments.runner import ModelSpec, estimate_duration, model_digest, select_items, work_plan
from xai_layermask.experiments.runner.duration import measure_speed
from xai_layermask.maskings import Calibrated


def test_trials_are_every_combination_once(tmp_path):
    data = dataset(tmp_path, "a.png", "b.png")
    models = [MODEL, ModelSpec("faked:other"), MODEL]
    found = work_plan(Fake("x"), data, models, ["black", "layer", "black"], ["patches:8", "patches:4"], seed=5)
    expected = [
        Trial("fake", '{"folder":"x","pause":0.0}', model.name, model_digest(model.load()), masking, cut, item.name,
             item.digest(), 5, "float32", __version__)
        for model in models[:2] for item in data.items
        for cut in ("patches:8", "patches:4") for masking in ("black", "layer")
    ]  # fmt: skip
    assert [entry.trial for entry in found.planned] == expected
    assert len({trial.key for trial in expected}) == 16
    assert (found.passes, found.done, found.pictures, found.skipped) == (48, 0, 2, ())


def test_what_is_in_the_store_is_not_to_be_done(tmp_path):
    data = dataset(tmp_path, "a.png", "b.png")
    with Store(tmp_path / "results.db") as store:
        for entry in work_plan(Fake(), data, [MODEL]).planned[::2]:
            store.put(entry.trial, [], 0.0, "")
        found = work_plan(Fake(), data, [MODEL], store=store)
    assert [entry.trial.masking for entry in found.planned] == ["layer", "layer"]
    assert (found.done, found.passes) == (2, 6)


def refit(path, seed):
    """Save a map of logits that depends on the seed, and return its name."""
    model = MODEL.load()
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    Calibrated(Fill(model.model, "black", model.preprocess), images, draws=1, patch=4, steps=2).save(path)
    return f"calibrated:{path}"


def test_a_map_that_was_fitted_again_is_measured_again(tmp_path):
    data = dataset(tmp_path, "a.png")
    with Store(tmp_path / "results.db") as store:
        name = refit(tmp_path / "map.npz", 0)
        (first,) = work_plan(Fake(), data, [MODEL], [name], store=store).planned
        store.put(first.trial, [], 0.0, "")
        same = work_plan(Fake(), data, [MODEL], [name], store=store)
        refit(tmp_path / "map.npz", 1)
        (second,) = work_plan(Fake(), data, [MODEL], [name], store=store).planned
    assert (same.planned, same.done) == ((), 1)
    assert first.trial.key != second.trial.key
    classifier = MaskedClassifier(MODEL.load())
    assert classifier.masking(second.trial.masking).name == second.trial.masking
    with pytest.raises(InputError, match="the file has changed"):
        classifier.masking(first.trial.masking)


def test_the_settings_of_lime_have_the_content_of_its_ablator(tmp_path):
    first, second = (Lime(ablator=refit(tmp_path / "map.npz", seed)).settings() for seed in (0, 1))
    assert first != second


def test_a_limit_takes_the_first_and_a_seed_shuffles():
    data = Dataset("x", tuple(Item(f"{number}.png", Path()) for number in range(50)), ("one was wrong",))
    names = lambda found: [item.name for item in found.items]  # noqa: E731
    assert names(select_items(data)) == names(data)
    assert names(select_items(data, 3)) == ["0.png", "1.png", "2.png"]
    shuffled = names(select_items(data, shuffle_seed=1))
    assert sorted(shuffled) == sorted(names(data)) != shuffled
    assert names(select_items(data, 20, 1)) == shuffled[:20] == names(select_items(data, 20, 1))
    assert shuffled != names(select_items(data, shuffle_seed=2))
    assert select_items(data, 3).skipped == ("one was wrong",)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"maskings": ["lair"]}, r"expected one of .* for masking, got 'lair': did you mean 'layer'"),
        ({"segments": ["slik"]}, r"'slik'.* did you mean 'slic'"),
        ({"models": [ModelSpec("lite7")]}, r"expected one of .* for model, got 'lite7'"),
        ({"precision": "float8"}, r"expected one of .* for precision, got 'float8'"),
    ],
)
def test_wrong_names_fail_before_anything_runs(tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence):
        work_plan(**{"protocol": Fake(), "dataset": dataset(tmp_path, "a.png"), "models": [MODEL], **options})


def test_wrong_pictures_are_left_out_by_name(tmp_path):
    data = dataset(tmp_path, "a.png", "gone.png", "b.png")
    data.items[1].path.unlink()
    data = dataclasses.replace(data, items=(*data.items, data.items[0]), skipped=("'x.png' is no picture.",))
    found = work_plan(Fake(), data, [MODEL])
    assert [entry.trial.picture for entry in found.planned] == ["a.png", "a.png", "b.png", "b.png"]
    assert len(found.skipped) == 3
    assert found.skipped[0] == "'x.png' is no picture."
    assert found.skipped[1].startswith("expected readable files for 'gone.png'")
    assert found.skipped[2] == "expected unique names of pictures, got several 'a.png': rename them"
    with pytest.raises(InputError, match=r"'x.png' is no picture"):
        work_plan(Fake(), data, [MODEL], strict=True)
    with pytest.raises(InputError, match=r"expected readable files for 'gone.png'"):
        work_plan(Fake(), dataclasses.replace(data, skipped=()), [MODEL], strict=True)


class NeedsMasks(Fake):
    needs_masks: ClassVar[bool] = True


def test_pictures_without_a_mask_are_left_out_where_masks_are_needed(tmp_path):
    sentence = (
        r"expected a picture that can be measured in dataset 'fakes', got none, since "
        r"expected an object mask of 'a.png' for fake, got none"
    )
    with pytest.raises(InputError, match=sentence):
        work_plan(NeedsMasks(), dataset(tmp_path, "a.png"), [MODEL])


def test_the_estimate_adds_what_each_masking_takes(tmp_path, monkeypatch):
    rates = {"black": 100.0, "layer": 50.0}
    measured = "xai_layermask.experiments.runner.duration.measure_speed"
    monkeypatch.setattr(measured, lambda classifier, masking: rates[masking])
    plan = work_plan(Fake(), dataset(tmp_path, "a.png", "b.png"), [MODEL])
    assert estimate_duration(plan, "cpu", workers=2) == pytest.approx((6 / 100 + 6 / 50) / 2)


def test_speed_is_measured(monkeypatch):
    monkeypatch.setattr("xai_layermask.experiments.runner.duration._SECONDS", 0.01)
    assert measure_speed(MaskedClassifier(MODEL.load(), batch_size=2), "layer") > 0
