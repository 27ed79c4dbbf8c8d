"""Masks with and without their shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import classifier, item

from xai_layermask.experiments.protocols import MaskedClassifier, MaskShape
from xai_layermask.experiments.protocols.mask_shape import broken


def test_quarters_go_to_the_opposite_corners():
    mask = np.arange(36).reshape(6, 6)
    found = broken(mask)
    for rows, other in ((slice(0, 3), slice(3, 6)), (slice(3, 6), slice(0, 3))):
        for columns, across in ((slice(0, 3), slice(3, 6)), (slice(3, 6), slice(0, 3))):
            assert np.array_equal(found[rows, columns], mask[other, across])
    assert sorted(broken(np.arange(35).reshape(5, 7)).ravel()) == list(range(35))


def test_the_row_is_what_the_model_says_of_pictures_painted_by_hand(tmp_path):
    made, one = classifier(1), item(tmp_path, seed=4)
    (row,) = MaskShape().rows(MaskedClassifier(made), one, "black", "", 0)
    tensor, _ = made.preprocess(one.path)
    gone = made.preprocess.mask(one.mask()) >= 0.5
    black = made.preprocess.color((0, 0, 0))
    for column, hole in (("object_out", gone), ("broken_out", broken(gone))):
        painted = torch.where(torch.from_numpy(hole), black, tensor)
        assert row[column] == made.model(painted).argmax().item()
    assert row["object_share"] == gone.mean() and 0.1 < gone.mean() < 0.5
    assert row["whole"] == made.model(tensor).argmax().item() and row["kept"] == (row["whole"] == one.label)


@pytest.mark.parametrize(("level", "share"), [(0, 0), (255, 1)])
def test_a_picture_without_object_or_full_of_it_is_not_kept(level, share, tmp_path):
    from PIL import Image

    one = item(tmp_path)
    Image.new("L", (48, 40), level).save(one.source.path)
    masked = MaskedClassifier(classifier())
    one = item(tmp_path, label=int(masked.view(one).whole.argmax()))
    Image.new("L", (48, 40), level).save(one.source.path)
    (row,) = MaskShape().rows(masked, one, "layer", "", 0)
    assert row["label"] == row["whole"] and row["object_share"] == share and row["kept"] is False
