"""Folders of pictures in the layouts that people have."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image
from tiny import paint

from xai_layermask.dataset import read_dataset
from xai_layermask.dataset.classes import class_table, find_class, wnids
from xai_layermask.errors import InputError
from xai_layermask.models import imagenet_labels

FOX, TABBY, BEAGLE = "n02119789", "n02123045", "n02088364"


def picture(path, size=(12, 10), level=255):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).save(path)
    return path


def found(dataset):
    return {one.name: one.label for one in dataset.items}


def test_classes_have_many_names():
    assert len(wnids()) == 1000 and list(wnids()) == sorted(wnids()) and list(wnids().values()) == list(range(1000))
    assert imagenet_labels()[wnids()[FOX]] == "kit fox" and imagenet_labels()[wnids()[TABBY]] == "tabby"
    assert [find_class(word) for word in (TABBY, "281", "Tabby", "kit_fox", "999")] == [281, 281, 281, 278, 999]
    assert [find_class(word) for word in ("1000", "n00000000", "fox", "")] == [None] * 4


def test_labels_csv(tmp_path):
    paint(tmp_path, "a.png")
    picture(tmp_path / "deep" / "b.jpg")
    (tmp_path / "labels.csv").write_text("image,class_index,more\na.png,3,x\ndeep/b.jpg,,y\n")
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {"a.png": 3, "deep/b.jpg": None} and dataset.skipped == ()
    assert dataset.name == tmp_path.name
    assert dataset.items[0].mask().sum() == 20 * 16 and dataset.items[1].mask() is None


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffimage,class_index\na.png,3\n",
        "image,class_index\r\na.png,3\r\n",
        "image, class_index\na.png, 3\n",
        '"class_index" , "image"\n"3", "a.png"\n',
        "note,class_index,image\n\"one, two\nthree\",3,a.png\n",
    ],
    ids=["byte order mark", "carriage returns", "blanks", "quotes", "commas and lines in quotes"],
)
def test_labels_are_found_however_a_spreadsheet_writes_them(tmp_path, text):
    paint(tmp_path, "a.png")
    (tmp_path / "labels.csv").write_bytes(text.encode())
    assert found(read_dataset(tmp_path)) == {"a.png": 3}


def test_labels_without_their_column_are_refused(tmp_path):
    paint(tmp_path, "a.png")
    (tmp_path / "labels.csv").write_text("image,label\na.png,3\n")
    with pytest.raises(InputError, match=r"^expected the columns image and class_index .*, got image, label"):
        read_dataset(tmp_path)


def test_wrong_items_are_named_and_skipped_or_refused(tmp_path):
    paint(tmp_path, "a.png")
    (tmp_path / "text.jpg").write_text("no picture")
    paint(tmp_path, "c.png")
    (tmp_path / "c_mask.png").write_bytes(b"")
    paint(tmp_path, "d.png")
    lines = ["image,class_index", "a.png,3", "lost.png,1", "text.jpg,1", "c.png,1", "d.png,dog", ",4", "a.png,3"]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {"a.png": 3}
    assert list(dataset.skipped) == [
        "expected readable files for 'lost.png', got no file 'lost.png'",
        "expected readable files for 'text.jpg', got 'text.jpg', which is not a picture",
        "expected readable files for 'c.png', got 'c_mask.png', which is not a picture",
        "expected an integer or nothing for the class_index of 'd.png', got 'dog'",
        "expected an image in line 7 of 'labels.csv', got none",
        "expected each picture once, got 'a.png' again",
    ]
    with pytest.raises(InputError, match=r"expected readable files for 'lost.png', got no file"):
        read_dataset(tmp_path, strict=True)


def test_folders_of_classes_with_parallel_masks(tmp_path):
    picture(tmp_path / "images" / FOX / "x.jpg")
    picture(tmp_path / "images" / "tabby" / "x.png")
    picture(tmp_path / "images" / "7" / "deep" / "x.png")
    (tmp_path / "images" / "7" / "notes.txt").write_text("")
    picture(tmp_path / "images" / "unicorn" / "x.png")
    picture(tmp_path / "masks" / FOX / "x.png")
    dataset = read_dataset(tmp_path, "imagefolder")
    assert found(dataset) == {"7/deep/x.png": 7, f"{FOX}/x.jpg": 278, "tabby/x.png": 281}
    assert [one.mask() is not None for one in dataset.items] == [False, True, False]
    assert len(dataset.skipped) == 1 and "got 'unicorn'" in dataset.skipped[0]
    assert read_dataset(tmp_path) == dataset


def test_pixel_imagenet(tmp_path):
    for name in ("a", "b"):
        picture(tmp_path / "train" / FOX / f"{name}.JPEG")
    picture(tmp_path / "pixel-imagenet-v2" / FOX / "a.png", level=1)
    picture(tmp_path / "pixel-imagenet-v2" / "other" / "a.png")
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {f"{FOX}/a.JPEG": 278}
    assert dataset.items[0].mask().min() == 1  # whatever is not black
    assert "expected folders named by a WordNet id of ImageNet, got 'other'" in dataset.skipped[0]


def test_salient_imagenet(tmp_path):
    data = tmp_path / "salient_imagenet_dataset"
    for name in ("a", "b", "c"):
        picture(tmp_path / "train" / FOX / f"{name}.JPEG", (16, 16))
    for feature, names, level in ((5, "ab", 51), (6, "a", 204), (9, "c", 255)):
        for name in names:
            picture(data / FOX / f"feature_{feature}" / f"{name}.JPEG", (8, 8), level)
    (data / FOX / "image_names_map.csv").write_text("5,6,9\na,a,c\nb,,\n")
    (data / TABBY).mkdir()
    answers = {5: ["main_object"] * 5, 6: ["background"] * 2 + ["main_object"] * 3,
               9: ["background", "separate_object", "background", "main_object", "main_object"]}  # fmt: skip
    lines = [f"278,{feature},{answer}" for feature, several in answers.items() for answer in several]
    with pytest.raises(InputError, match=r"expected discover_spurious_features.csv, which"):
        read_dataset(tmp_path)
    columns = "Input.class_index,Input.feature_index,Answer.main"
    (tmp_path / "discover_spurious_features.csv").write_text("\n".join([columns, *lines]))
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {f"{FOX}/a.JPEG": 278, f"{FOX}/b.JPEG": 278}  # 9 is spurious
    np.testing.assert_allclose([one.mask().mean() for one in dataset.items], [0.8, 0.2], atol=0.01)
    assert f"expected a readable image_names_map.csv of the class '{TABBY}'" in dataset.skipped[0]
    (tmp_path / "discover_spurious_features.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"expected .* columns Input\.class_index"):
        read_dataset(tmp_path)


def test_pets(tmp_path):
    for name in ("beagle_1", "Egyptian_Mau_2"):
        picture(tmp_path / "oxford-iiit-pet" / "images" / f"{name}.jpg")
        picture(tmp_path / "oxford-iiit-pet" / "annotations" / "trimaps" / f"{name}.png", level=2)
    (tmp_path / "oxford-iiit-pet" / "annotations" / "trimaps" / "._beagle_1.png").write_text("")
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {"beagle_1.jpg": wnids()[BEAGLE], "Egyptian_Mau_2.jpg": None} and dataset.skipped == ()
    assert dataset.items[0].mask().max() == 0
    (tmp_path / "classes.csv").write_text("category,class_index\nEgyptian_Mau,285\n")
    assert found(read_dataset(tmp_path)) == {"beagle_1.jpg": None, "Egyptian_Mau_2.jpg": 285}


def coco(tmp_path, objects):
    data = {
        "images": [{"id": 1, "file_name": "x.jpg"}, {"id": 2, "file_name": "y.jpg"}],
        "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"image_id": image, "category_id": category, "area": area, "segmentation": shape}
            for image, category, area, shape in objects
        ],
    }
    (tmp_path / "annotations").mkdir(exist_ok=True)
    (tmp_path / "annotations" / "instances_val.json").write_text(json.dumps(data))
    picture(tmp_path / "val" / "x.jpg")
    picture(tmp_path / "val" / "y.jpg")


def test_coco_takes_the_largest_category(tmp_path):
    one, other, third = ([[x, 0, x + 1, 0, x + 1, 3, x, 3]] for x in (0, 4, 8))
    coco(tmp_path, [(1, 17, 4, one), (1, 17, 4, other), (1, 18, 6, third)])
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {"val/x.jpg": None}  # y has no objects
    columns = dataset.items[0].mask().any(axis=0)
    assert np.flatnonzero(columns).tolist() == [0, 1, 4, 5]  # both cats
    (tmp_path / "classes.csv").write_text("category,class_index\ndog,207\n")
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {"val/x.jpg": 207}
    assert np.flatnonzero(dataset.items[0].mask().any(axis=0)).tolist() == [8, 9]


def test_coco_that_cannot_be_read_is_named(tmp_path):
    coco(tmp_path, [(1, 17, 4, [[0, 0, 3, 0, 3, 3]]), (2, 17, 4, {"counts": "abc", "size": [10, 12]})])
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {"val/x.jpg": None}
    assert "expected a list of polygons" in dataset.skipped[0]
    assert "got compressed run lengths: convert it" in dataset.skipped[0]
    assert dataset.skipped[0].endswith("in the objects of 'val/y.jpg'")
    (tmp_path / "annotations" / "instances_a.json").write_text("{}")
    assert read_dataset(tmp_path).skipped[0].startswith("expected COCO's categories, images and annotations in 'inst")


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected an existing folder for data"):
        read_dataset(tmp_path / "lost")
    with pytest.raises(InputError, match=r"one of the layouts labels.csv, .* the simplest is a labels.csv"):
        read_dataset(tmp_path)
    with pytest.raises(InputError, match=r"expected one of .* for layout, .* did you mean 'coco'"):
        read_dataset(tmp_path, "cocoa")
    (tmp_path / "labels.csv").write_text("image,class_index\nlost.png,1\n")
    with pytest.raises(InputError, match=r"'labels.csv' in .*, got none and 1 invalid ones, .* for 'lost.png'"):
        read_dataset(tmp_path)
    (tmp_path / "labels.csv").write_text("file,class\n")
    with pytest.raises(InputError, match=r"^expected the columns image and class_index .*, got file, class"):
        read_dataset(tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="expected a CSV file in UTF-8 with the columns image and class_index"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,index\na,1\n", "expected the columns category and class_index in .*, got name, index"),
        ("category,class_index\na,b\n", "a category and the index of its class in line 2 of .*, got 'a' and 'b'"),
        ("category,class_index\na\n", "line 2 of .*, got 'a' and ''"),
    ],
)
def test_a_wrong_table_of_classes_is_refused(tmp_path, text, words):
    (tmp_path / "classes.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        class_table(tmp_path / "classes.csv")


def test_files_outside_the_folder_are_named_and_left_out(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    paint(root, "a.png")
    paint(tmp_path, "secret.png")
    (root / "link").symlink_to(tmp_path)
    names = ["a.png", "../secret.png", str(tmp_path / "secret.png"), "/", ".", "link/../../secret.png", "\ud800.png",
             "link/secret.png", "n" * 5000]  # fmt: skip
    text = "image,class_index\n" + "".join(f"{name},3\n" for name in names)
    (root / "labels.csv").write_bytes(text.encode("utf-8", "surrogatepass").replace(b"\xed\xa0\x80", b"\x01"))
    dataset = read_dataset(root)
    assert found(dataset) == {"a.png": 3, "link/secret.png": 3}
    assert len(dataset.skipped) == 7
    for sentence in dataset.skipped[:6]:
        assert sentence.startswith("expected the name of a file inside the dataset's folder, got '")
    assert dataset.skipped[6].startswith("expected readable files for 'nnn") and len(dataset.skipped[6]) < 2000


@pytest.mark.parametrize("file", ["../secret.png", "/etc/passwd", 7, None, {"a": 1}])
def test_coco_may_not_name_files_outside_the_folder(tmp_path, file):
    coco(tmp_path, [(1, 17, 4, [[0, 0, 3, 0, 3, 3]]), (2, 17, 4, [[0, 0, 3, 0, 3, 3]])])
    path = tmp_path / "annotations" / "instances_val.json"
    data = json.loads(path.read_text())
    data["images"][1]["file_name"] = file
    path.write_text(json.dumps(data))
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {"val/x.jpg": None} and len(dataset.skipped) == 1


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"categories": [1]}', "9" * 5000, '{"categories": {"a": 1}}'])
def test_annotations_of_any_other_content_are_named(tmp_path, text):
    coco(tmp_path, [(1, 17, 4, [[0, 0, 3, 0, 3, 3]])])
    (tmp_path / "annotations" / "instances_a.json").write_text(text)
    assert read_dataset(tmp_path).skipped[0].startswith("expected COCO's categories, images and annotations in 'inst")


def test_areas_that_are_no_numbers_are_refused(tmp_path):
    shape = [[0, 0, 3, 0, 3, 3]]
    coco(tmp_path, [(1, 17, 4, shape), (2, 17, float("nan"), shape)])
    assert "expected finite areas of the objects of 'val/y.jpg'" in read_dataset(tmp_path).skipped[0]


def test_labels_of_thousands_of_digits_are_no_labels(tmp_path):
    paint(tmp_path, "a.png")
    paint(tmp_path, "b.png")
    (tmp_path / "labels.csv").write_text(f"image,class_index\na.png,3\nb.png,{'9' * 5000}\n")
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {"a.png": 3} and "for the class_index of 'b.png'" in dataset.skipped[0]
    assert find_class("9" * 5000) is None


def test_names_that_are_no_utf8_are_left_out(tmp_path):
    picture(tmp_path / "images" / FOX / "x.jpg")
    picture(tmp_path / "images" / FOX / os.fsdecode(b"\xff.jpg"))
    dataset = read_dataset(tmp_path)
    assert found(dataset) == {f"{FOX}/x.jpg": 278}
    assert "expected names in UTF-8 without control characters" in dataset.skipped[0]


def test_soft_masks_are_read_where_they_are_asked_for(tmp_path):
    paint(tmp_path, "a.png")
    Image.new("L", (48, 40), 51).save(tmp_path / "a_mask.png")
    (tmp_path / "labels.csv").write_text("image,class_index\na.png,3\n")
    np.testing.assert_allclose(read_dataset(tmp_path, masks="soft").items[0].mask(), 0.2)
    with pytest.raises(InputError, match=r"in 'a_mask.png', got the values 51: paint"):
        read_dataset(tmp_path).items[0].mask()
    with pytest.raises(InputError, match="expected one of binary, soft for masks, got 'grey'"):
        read_dataset(tmp_path, masks="grey")
