"""Calibrated maskings: the map, what it is fitted to, and where it must not act."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xai_layermask import Fill, InputError, LayerMask, Preprocess
from xai_layermask.maskings import Calibrated, make


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


def test_a_saved_map_is_a_masking_of_the_catalog(tmp_path):
    model, preprocess = Bright(), Preprocess(mean=(0, 0, 0), std=(1, 1, 1))
    fitted = Calibrated(make("grey", model, preprocess), pictures(5, 0), draws=2, patch=4)
    path = str(tmp_path / "map.npz")
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


def test_wrong_arguments_are_told():
    with pytest.raises(InputError, match="expected a masking to calibrate, got Bright: pass for example"):
        Calibrated(Bright(), pictures(2, 0))
    with pytest.raises(InputError, match="expected an integer of at least 1 for draws, got 0"):
        Calibrated(black(Bright()), pictures(2, 0), draws=0)
    single = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    with pytest.raises(InputError, match=r"expected logits \(N, K\) of at least 2 classes from the model, got "):
        Calibrated(black(single), pictures(2, 0))
