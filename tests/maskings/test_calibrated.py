"""Calibrated maskings: the map, what it is fitted to, and where it must not act."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from xai_layermask import Fill, InputError, LayerMask, Preprocess
from xai_layermask.maskings import Calibrated, Reference, make
from xai_layermask.maskings.registry import pin


class Bright(nn.Module):
    """Three classes as bright as the colours, with a shift of the first: zeros look like class 0."""

    def forward(self, x):
        return x.mean((2, 3)) * 8 + torch.tensor([2.0, 0.0, 0.0])


def pictures(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 1, 1, generator=generator).expand(-1, -1, 16, 16).contiguous()


def loss(masking, images, seed=9):
    """Cross-entropy of masked answers with those for whole images."""
    kept = torch.rand(len(images), 1, 4, 4, generator=torch.Generator().manual_seed(seed)) < 0.5
    presence = kept.repeat_interleave(4, 2).repeat_interleave(4, 3)
    whole = masking.model(images).softmax(1)
    return -(whole * masking(images, presence).log_softmax(1)).sum(1).mean().item()


def black(model):
    return Fill(model, "black", Preprocess(mean=(0, 0, 0), std=(1, 1, 1)))


@pytest.mark.parametrize("full", [False, True])
def test_it_brings_masked_answers_nearer_on_other_images(full):
    plain = black(Bright())
    fitted = Calibrated(plain, pictures(40, 0), draws=4, patch=4, full=full)
    others = pictures(40, 1)
    assert loss(fitted, others) < loss(plain, others) - 0.02
    assert fitted.matrix.dim() == 1 + full
    with torch.no_grad():
        torch.testing.assert_close(fitted(others), plain.model(others))
        assert torch.equal(fitted(others, torch.ones(1, 1, 16, 16)), plain.model(others))


def test_there_is_nothing_to_correct_where_masked_answers_are_those_for_whole_images():
    # Layer masking sees the same colour in any part of these pictures.
    same = Calibrated(LayerMask(Bright()), pictures(20, 0), draws=2, patch=4, penalty=0.0)
    torch.testing.assert_close(same.matrix, torch.ones(3, dtype=torch.float64), atol=1e-3, rtol=0)
    torch.testing.assert_close(same.shift, torch.zeros(3, dtype=torch.float64), atol=1e-3, rtol=0)


def test_a_penalty_keeps_it_at_no_correction_and_seeds_repeat_it():
    plain = black(Bright())
    kept = Calibrated(plain, pictures(5, 0), draws=2, patch=4, penalty=1e6)
    torch.testing.assert_close(kept.matrix, torch.ones(3, dtype=torch.float64), atol=1e-4, rtol=0)
    one, same, other = (Calibrated(plain, pictures(5, 0), draws=2, patch=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.matrix, same.matrix) and not torch.equal(one.matrix, other.matrix)


@pytest.mark.parametrize("name", ["map.npz", "map"])
def test_a_saved_map_is_a_masking_of_the_catalog(tmp_path, name):
    model, preprocess = Bright(), Preprocess(mean=(0, 0, 0), std=(1, 1, 1))
    fitted = Calibrated(make("grey", model, preprocess), pictures(5, 0), draws=2, patch=4)
    path = str(tmp_path / name)
    fitted.save(path)
    again = make(f"calibrated:{path}", model, preprocess)
    presence = torch.ones(1, 1, 16, 16)
    presence[..., :8] = 0
    assert torch.equal(again(pictures(2, 3), presence), fitted(pictures(2, 3), presence))
    assert again.name == f"calibrated:{path}"
    (tmp_path / "other.npz").write_bytes(b"nothing")
    for wrong in ("other.npz", "gone.npz"):
        with pytest.raises(InputError, match=r"expected a file of Calibrated\.save, got"):
            make(f"calibrated:{tmp_path / wrong}", model, preprocess)


class Layered(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def saved(masking, path):
    Calibrated(masking, pictures(2, 0), draws=1, patch=4, steps=2).save(path)
    return f"calibrated:{path}"


@pytest.mark.parametrize(
    "settings",
    [{"threshold": 0.3, "soft": True}, {"pool_padding": False}, {"soft": True, "until": "1"},
     {"padding": "zero", "threshold": 0.3}, {"padding": "partial", "soft": True}],
)  # fmt: skip
def test_a_saved_map_of_any_settings_is_loaded(tmp_path, settings):
    model = Layered().eval()
    masking = LayerMask(model, **settings)
    again = make(saved(masking, tmp_path / "map.npz"), model)
    assert (again.masking.settings, again.masking.until) == (masking.settings, masking.until)


def test_a_masking_that_has_no_name_for_make_is_not_saved(tmp_path):
    class Own(Fill):
        pass

    for masking in (Own(Bright(), "grey"), Reference(Layered().eval())):
        with pytest.raises(InputError, match=r"expected a masking that make builds by its name, got (Own|Reference) '"):
            saved(masking, tmp_path / "map.npz")
    assert not (tmp_path / "map.npz").exists()


def test_a_map_is_of_its_model_in_any_precision(tmp_path):
    model = Layered().eval()
    name = saved(LayerMask(model), tmp_path / "map.npz")
    make(name, copy.deepcopy(model).double())
    other = copy.deepcopy(model)
    other[0].weight.data[0, 0, 0, 0] += 0.1
    with pytest.raises(InputError, match=r"expected the model that '.*map\.npz' was fitted to, got other weights"):
        make(name, other)


def test_a_fill_keeps_its_preprocessing(tmp_path):
    model, half = Bright(), Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3)
    name = saved(Fill(model, "black", half), tmp_path / "map.npz")
    make(name, model, half)
    for other in (None, Preprocess(mean=(0, 0, 0), std=(1, 1, 1))):
        with pytest.raises(InputError, match=r"expected the preprocessing that '.*' was fitted with, got one"):
            make(name, model, other)


def test_a_pinned_name_is_of_one_content(tmp_path):
    model, path = Bright(), tmp_path / "map.npz"
    first = pin(saved(Fill(model, "mean"), path))
    assert first == pin(first) and make(first, model).name == first
    second = pin(saved(Fill(model, "blur"), path))
    assert first != second
    with pytest.raises(InputError, match=r"npz' with the digest \w{16}, got \w{16}: the file has changed"):
        make(first, model)
    assert pin("grey") == "grey"


@pytest.mark.parametrize("cut", [0, 40, -30])
def test_a_broken_file_is_told(tmp_path, cut):
    path = tmp_path / "map.npz"
    name = saved(Fill(Bright(), "mean"), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"expected a file of Calibrated\.save, got"):
        make(name, Bright())


def test_wrong_arguments_are_told():
    with pytest.raises(InputError, match="expected a masking to calibrate, got Bright: pass for example"):
        Calibrated(Bright(), pictures(2, 0))
    with pytest.raises(InputError, match="expected an integer of at least 1 for draws, got 0"):
        Calibrated(black(Bright()), pictures(2, 0), draws=0)
    single = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    with pytest.raises(InputError, match=r"expected logits \(N, K\) of at least 2 classes from the model, got "):
        Calibrated(black(single), pictures(2, 0))


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.Sigmoid()])
def test_probabilities_are_no_logits(last):
    message = "expected logits from the model, got probabilities: calibrate the model without its last softmax"
    with pytest.raises(InputError, match=message):
        Calibrated(black(nn.Sequential(Bright(), last)), pictures(2, 0))


@pytest.mark.parametrize(
    "changed",
    [
        {"matrix": np.ones(2)},
        {"matrix": np.ones((3, 3, 3))},
        {"matrix": np.ones(1), "shift": np.zeros(1)},
        {"matrix": np.ones(3, complex)},
        {"matrix": np.array(["1"] * 3)},
        {"shift": np.full(3, np.nan)},
        {"masking": "itself"},
    ],
)
def test_a_map_that_is_none_is_refused(tmp_path, changed):
    path = tmp_path / "map.npz"
    Calibrated(LayerMask(Bright()), pictures(2, 0), draws=1, patch=4).save(path)
    with np.load(path) as file:
        content = dict(file)
    about = json.loads(str(content["about"]))
    if "masking" in changed:
        about["masking"] = f"calibrated:{path}"
    np.savez(path, **{**content, "about": np.array(json.dumps(about)), **changed})
    with pytest.raises(InputError, match=r"expected a file of Calibrated\.save, got"):
        make(f"calibrated:{path}", Bright())
