"""Items: pictures, masks and fingerprints."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import item, paint

from xai_layermask.dataset import Dataset, Item
from xai_layermask.dataset.masks import Outlines, Painted, Squares
from xai_layermask.errors import InputError


def test_an_item_reads_its_picture_and_mask(tmp_path):
    one = item(tmp_path)
    assert one.picture().shape == (40, 48, 3)
    expected = np.zeros((40, 48))
    expected[10:30, 12:28] = 1
    assert np.array_equal(one.mask(), expected)
    assert item(tmp_path, masked=False).mask() is None
    again = pickle.loads(pickle.dumps(one))
    assert again == one and hash(again) == hash(one)
    assert len(Dataset("x", (one, again))) == 2


def test_the_digest_changes_with_picture_mask_and_label_alone(tmp_path):
    one = item(tmp_path)
    before = one.digest()
    assert len(before) == 16 and int(before, 16) >= 0
    (tmp_path / "deep").mkdir()
    moved = item(tmp_path / "deep")
    assert moved.digest() == before  # the same files elsewhere
    others = {before, item(tmp_path, label=3).digest(), item(tmp_path, label=None).digest()}
    others.add(item(tmp_path, masked=False).digest())
    others.add(Item("a.png", one.path, 2, Painted(one.source.path, "any")).digest())
    paint(tmp_path, seed=1)
    others.add(one.digest())
    assert len(others) == 6


def test_a_mask_of_another_size_is_refused(tmp_path):
    one = item(tmp_path)
    Image.new("L", (5, 4)).save(one.source.path)
    with pytest.raises(InputError, match=r"expected a mask of the picture's size, 40 x 48, for 'a.png', got 4 x 5"):
        one.mask()


def test_missing_files_have_no_digest(tmp_path):
    with pytest.raises(InputError, match=r"^expected readable files for 'x', got .*No such file"):
        Item("x", tmp_path / "x.png").digest()


def test_an_open_item_opens_each_file_once(tmp_path, monkeypatch):
    one, opened = item(tmp_path), []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or read(path))
    open_item = one.open()
    assert open_item.digest == one.digest()
    opened.clear()
    assert np.array_equal(open_item.picture, one.picture()) and np.array_equal(open_item.mask, one.mask())
    assert sorted(opened) == ["a.png", "a.png", "a_mask.png"]  # by the item alone


def test_kinds_of_painted_masks(tmp_path):
    path = tmp_path / "m.png"
    Image.fromarray(np.array([[0, 51, 255]], np.uint8)).save(path)
    assert Painted(path).read(1, 3).tolist() == [[0, 0.2, 1]]
    assert Painted(path, "any").read(1, 3).tolist() == [[0, 1, 1]]
    with pytest.raises(InputError, match="expected only 1, 2 and 3 in trimap, got other values in"):
        Painted(path, "trimap").read(1, 3)
    Image.fromarray(np.array([[1, 2, 3]], np.uint8)).save(path)
    assert Painted(path, "trimap").read(1, 3).tolist() == [[1, 0, 1]]
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="expected a picture for trimap, got"):
        Painted(path, "trimap").read(1, 3)
    with pytest.raises(InputError, match=r"expected one of .* for kind, got"):
        Painted(path, "gray")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.uint8([[0, 1, 1]]), "nowhere brighter than 1 of 255"),
        (np.uint16([[0, 255, 255]]), "nowhere brighter than 1 of 255"),
        (np.uint8([[[0, 0, 0], [128, 0, 0], [0, 0, 0]]]), "coloured"),
        (np.uint8([[[0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 0]]]), "transparent in places"),
    ],
    ids=["zeros and ones", "sixteen bits", "colours of classes", "an object on nothing"],
)
def test_a_mask_that_is_not_white_on_black_is_refused(tmp_path, values, words):
    path = tmp_path / "m.png"
    Image.fromarray(values).save(path)
    with pytest.raises(InputError, match=f"expected a mask .* in 'm.png', got one that is {words}: paint"):
        Painted(path).read(1, 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "CMYK"])
def test_white_on_black_is_read_in_any_mode(tmp_path, mode):
    grey = Image.fromarray(np.uint8([[0, 255, 0]]))
    if mode == "I;16":
        grey = Image.fromarray(np.uint16([[0, 65535, 0]]))
    path = tmp_path / ("m.tif" if mode == "CMYK" else "m.png")
    (grey if mode == "I;16" else grey.convert("RGB").convert(mode)).save(path)
    assert Painted(path).read(1, 3).tolist() == [[0, 1, 0]]
    Image.new("L", (3, 1)).save(path)
    assert not Painted(path).read(1, 3).any()  # no object in the picture


def test_squares_lie_at_the_centre_and_the_highest_counts(tmp_path):
    for name, level in (("a", 255), ("b", 51)):
        values = np.full((8, 8), 51, np.uint8)
        values[:, :4] = level
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    found = Squares((tmp_path / "b.png", tmp_path / "a.png")).read(8, 14)
    assert found[:, :3].max() == 0 == found[:, 11:].max()
    assert np.allclose(found[:, 3:7], 1) and np.allclose(found[:, 7:11], 0.2)


def test_outlines_are_polygons_or_run_lengths():
    square = [[1, 1, 3, 1, 3, 2, 1, 2]]
    found = Outlines(f"[{square}]").read(4, 5)
    assert found[1:3, 1:4].all() and found.sum() == 6
    runs = '[{"counts": [1, 2, 3], "size": [2, 3]}]'
    assert Outlines(runs).read(2, 3).tolist() == [[0, 1, 0], [1, 0, 0]]  # down the columns
    with pytest.raises(InputError, match="expected uncompressed run lengths for a picture of 3 x 3 pixels"):
        Outlines(runs).read(3, 3)
