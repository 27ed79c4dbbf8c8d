"""Items: pictures, masks and fingerprints."""

from __future__ import annotations

import json
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import item, paint

from xai_layermask.dataset import Dataset, Item
from xai_layermask.dataset.masks import Painted, Squares
from xai_layermask.dataset.outlines import Outlines
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
    assert Painted(path, "soft").read(1, 3).tolist() == [[0, 0.2, 1]]
    with pytest.raises(InputError, match=r"expected a mask of 0 and 255, .* got the values 0, 51, 255: paint"):
        Painted(path).read(1, 3)
    assert Painted(path, "any").read(1, 3).tolist() == [[0, 1, 1]]
    with pytest.raises(InputError, match="expected only 1, 2 and 3 in trimap, got other values in"):
        Painted(path, "trimap").read(1, 3)
    Image.fromarray(np.array([[1, 2, 3]], np.uint8)).save(path)
    assert Painted(path, "trimap").read(1, 3).tolist() == [[1, 0, 1]]
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"expected a picture in one of the formats .* got the file 'm.png'"):
        Painted(path, "trimap").read(1, 3)
    with pytest.raises(InputError, match=r"expected one of .* for kind, got"):
        Painted(path, "gray")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.uint8([[0, 1, 255]]), "the values 0, 1, 255"),
        (np.uint8([[0, 20, 20]]), "the values 0, 20"),
        (np.uint16([[0, 1, 20]]), "the values 0, 1, 20"),
        (np.int32([[0, -1, 70000]]), "the values -1, 0, 70000"),
        (np.float32([[0, np.nan, 1]]), "the values 0, 1, nan"),
        (np.arange(256, dtype=np.uint8)[None], "the values 0, 1, 2 and 253 more"),
        (np.uint8([[[0, 0, 0], [128, 0, 0], [0, 0, 0]]]), "one that is coloured"),
        (np.uint8([[[0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 0]]]), "one that is transparent in places"),
    ],
    ids=["void", "a class", "classes in 16 bits", "integers", "NaN", "greys", "colours", "an object on nothing"],
)
def test_a_mask_of_other_values_is_refused(tmp_path, values, words):
    path = tmp_path / ("m.tif" if values.dtype in (np.int32, np.float32) else "m.png")
    Image.fromarray(values).save(path)
    with pytest.raises(InputError, match=f"expected a mask of 0 and 255, .* in 'm....', got {words}: paint"):
        Painted(path).read(1, 3)


def test_a_mask_of_sixteen_bits_in_colours_is_refused_as_it_would_become_empty(tmp_path):
    header = struct.pack(">IIBBBBB", 3, 1, 16, 2, 0, 0, 0)
    row = b"\0" + b"".join(struct.pack(">3H", *[value] * 3) for value in (0, 20, 20))
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(row)), (b"IEND", b"")]
    content = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    (tmp_path / "m.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    for kind in ("binary", "soft", "any"):
        with pytest.raises(InputError, match="got one of 16-bit colours"):
            Painted(tmp_path / "m.png", kind).read(1, 3)


@pytest.mark.parametrize("white", [1, 255, 65535])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, bool])
def test_the_object_is_one_or_white_in_any_type(tmp_path, white, dtype):
    if white > np.iinfo(np.uint8).max and dtype in (np.uint8, bool):
        return
    Image.fromarray((np.array([[0, white, 0]])).astype(dtype)).save(tmp_path / "m.tif")
    for kind in ("binary", "any"):
        assert Painted(tmp_path / "m.tif", kind).read(1, 3).tolist() == [[0, 1, 0]]


def test_soft_masks_of_any_depth_are_shares(tmp_path):
    for values in (np.uint8([[0, 51, 255]]), np.uint16([[0, 13107, 65535]]), np.float32([[0, 0.2, 1]])):
        Image.fromarray(values).save(tmp_path / "m.tif")
        np.testing.assert_allclose(Painted(tmp_path / "m.tif", "soft").read(1, 3), [[0, 0.2, 1]], atol=1e-6)
    for values in (np.uint8([[0, 1, 1]]), np.uint16([[0, 20, 255]]), np.float32([[0, np.nan, 1]])):
        Image.fromarray(values).save(tmp_path / "m.tif")
        with pytest.raises(InputError, match=r"expected a mask of 0 and 255, .* or choose soft masks for greys"):
            Painted(tmp_path / "m.tif", "soft").read(1, 3)


def test_the_digest_of_a_mask_that_is_binary_and_soft_is_one(tmp_path):
    Image.fromarray(np.uint8([[0, 255]])).save(tmp_path / "m.png")
    assert Painted(tmp_path / "m.png").fingerprint() == Painted(tmp_path / "m.png", "soft").fingerprint()


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


@pytest.mark.parametrize(
    "shape",
    [
        None, "abc", 7, [], [[]], [[1, 2]], [[1, 2, 3, 4]], [[0, 0, 3, 0, 3]], [[0, 0, 3, 0, 3, None]],
        [[[0, 0], [3, 3]]], [[0, 0, 3, 0, 3, float("nan")]], [[0, 0, 3, 0, 3, 1e300]], {},
        {"counts": [1, -2, 3], "size": [1, 2]},
        {"counts": [1.5, 0.5], "size": [1, 2]}, {"counts": [2], "size": None}, {"counts": "abc", "size": [1, 2]},
        {"counts": [True, 1], "size": [1, 2]},
    ],
)  # fmt: skip
def test_shapes_that_are_no_outlines_are_refused(shape):
    with pytest.raises(InputError, match=r"expected a list of polygons .* for segmentation, got"):
        Outlines(json.dumps([shape])).read(4, 5)


def test_run_lengths_of_a_huge_picture_allocate_nothing():
    with pytest.raises(InputError, match="expected uncompressed run lengths for a picture of 4 x 5 pixels"):
        Outlines(json.dumps([{"counts": [10**18], "size": [10**9, 10**9]}])).read(4, 5)


def test_squares_of_different_sizes_are_refused(tmp_path):
    for name, side in (("a", 8), ("b", 9)):
        Image.new("L", (side, side)).save(tmp_path / f"{name}.png")
    with pytest.raises(InputError, match=r"expected masks of one size beside 'a.png', got 2 sizes"):
        Squares((tmp_path / "a.png", tmp_path / "b.png")).read(8, 8)


def test_a_mask_of_16_bits_from_white_to_black(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    stored = np.full((2, 3), 65535, np.uint16)
    stored[0] = 0
    path = tmp_path / "mask.tif"
    tifffile.imwrite(path, stored, photometric="miniswhite")
    for kind in ("binary", "soft"):
        assert Painted(path, kind).read(2, 3).tolist() == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("white", [100, 65535])
def test_a_soft_mask_of_16_bits_of_the_other_byte_order(tmp_path, white):
    stored = np.array([[0, white], [0, 0]], np.uint16)
    found = []
    for order in "<>":
        path = tmp_path / f"{ord(order)}.tif"
        pytest.importorskip("tifffile").imwrite(path, stored, byteorder=order)
        try:
            found.append(Painted(path, "soft").read(2, 2).tolist())
        except InputError as error:
            found.append(str(error).partition(", got ")[2])
    assert found[0] == found[1]
