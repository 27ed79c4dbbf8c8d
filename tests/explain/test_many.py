"""Many pictures come in their order, each as if it were alone, and a bad one does not stop the others."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from xai_layermask import InputError, LayerMaskExplainer, Preprocess

OPTIONS = {"segments": "patches:8", "n_samples": 30, "progress": False}


class Counting(nn.Module):
    """Counts the pictures of each forward pass; pictures that are red all over have no finite output."""

    def __init__(self):
        super().__init__()
        self.inner = tiny.classifier().model
        self.sizes = []

    def forward(self, x):
        self.sizes.append(len(x))
        red = (x[:, 0] > 0.9).flatten(1).all(1)
        return torch.where(red[:, None], torch.nan, self.inner(x))


def plain(model, **options):
    preprocess = Preprocess(tiny.SIDE, tiny.SIDE, mean=(0, 0, 0), std=(1, 1, 1))
    return LayerMaskExplainer(model, preprocess=preprocess, **(OPTIONS | options))


def pictures(count, seed=0):
    return torch.rand(count, 3, tiny.SIDE, tiny.SIDE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("masking", ["layer", "black"])
@pytest.mark.parametrize("method", ["lime", "ablation"])
def test_each_is_as_if_it_were_alone(masking, method):
    more = {"n_samples": "auto"} if method == "ablation" else {}
    explainer = plain(tiny.classifier().model, masking=masking, method=method, batch_size=7, **more)
    several = pictures(4)
    found = list(explainer.explain_many(several, targets=[1, 3]))
    assert [one.index for one in found] == [0, 1, 2, 3]
    for picture, one in zip(several, found, strict=True):
        alone = explainer.explain(picture, targets=[1, 3])
        np.testing.assert_allclose(one.explanation.scores, alone.scores, atol=1e-4)
        np.testing.assert_allclose(one.explanation.standard_errors, alone.standard_errors, atol=1e-4)
        assert one.explanation.settings == alone.settings
        np.testing.assert_array_equal(one.explanation.segments, alone.segments)


def test_batches_are_filled_across_pictures():
    model = Counting().eval()
    explainer = plain(model, masking="black", batch_size=16, n_samples=31)
    assert all(one.explanation for one in explainer.explain_many(pictures(8)))
    batches = [size for size in model.sizes if size > 1]
    assert batches == [16] * 15  # 8 x 30 samples; one by one they take 8 x 2
    assert sum(model.sizes) == 8 * 31


def test_a_bad_picture_is_told_and_the_others_go_on(tmp_path, caplog):
    good, _ = tiny.paint(tmp_path, "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    red = torch.zeros(3, tiny.SIDE, tiny.SIDE)
    red[0] = 1
    sources = [good, tmp_path / "b.png", red, pictures(1)[0], str(tmp_path / "c.png")]
    explainer = plain(Counting(), masking="black", batch_size=64)
    with caplog.at_level(logging.WARNING, logger="xai_layermask"):
        found = list(explainer.explain_many(sources))
    assert [one.explanation is not None for one in found] == [True, False, False, True, False]
    assert [one.source for one in found] == [str(good), str(tmp_path / "b.png"), "2", "3", str(tmp_path / "c.png")]
    assert "finite" in found[2].problem
    assert "expected an existing file" in found[4].problem
    assert sum("is left out" in record.getMessage() for record in caplog.records) == 3
    with pytest.raises(InputError, match=r"b\.png: expected"):
        list(explainer.explain_many(sources, strict=True))


def test_a_picture_that_fails_in_a_shared_batch_fails_alone():
    class Sometimes(Counting):
        def forward(self, x):
            found = self.inner(x)
            blue = (x[:, 2] > 0.9).flatten(1).any(1) & (x[:, 2] == 0).flatten(1).any(1)  # once a part is removed
            return torch.where(blue[:, None], torch.nan, found)

    several = pictures(3) * 0.8 + 0.05
    several[1, 2, :4, :4] = 0.95
    explainer = plain(Sometimes(), masking="black", batch_size=256)
    found = list(explainer.explain_many(several))
    assert [one.problem == "" for one in found] == [True, False, True]
    np.testing.assert_allclose(found[2].explanation.scores, explainer.explain(several[2]).scores, atol=1e-4)


def test_pictures_are_read_as_they_are_needed():
    read = []

    def endless():
        while True:
            read.append(len(read))
            yield pictures(1)[0]

    found = plain(tiny.classifier().model, masking="black", batch_size=8).explain_many(endless())
    assert [next(found).index for _ in range(3)] == [0, 1, 2]
    assert len(read) <= 5


def test_sizes_that_differ_do_not_share_a_batch():
    explainer = LayerMaskExplainer(
        tiny.classifier().model, masking="black", preprocess=Preprocess(None, None), **(OPTIONS | {"batch_size": 100})
    )
    several = [torch.rand(3, 32, 32), torch.rand(3, 24, 40), torch.rand(3, 32, 32)]
    found = [one.explanation for one in explainer.explain_many(several)]
    assert [one.segments.shape for one in found] == [(32, 32), (24, 40), (32, 32)]
    for picture, one in zip(several, found, strict=True):
        np.testing.assert_allclose(one.scores, explainer.explain(picture).scores, atol=1e-4)
