"""An explanation is frozen, answers by target, and comes back from a file to the last bit."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from explained import SETTINGS, explanation
from hypothesis import given
from hypothesis import strategies as st

from xai_layermask import __version__
from xai_layermask.errors import InputError
from xai_layermask.explain import is_replaceable
from xai_layermask.explain.explanation import Explanation
from xai_layermask.explain.settings import Settings
from xai_layermask.images import Preprocess
from xai_layermask.metrics import alignment_score, topk_jaccard


def assert_same(one, other):
    for field in dataclasses.fields(Explanation):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b


@pytest.mark.parametrize("suffix", [".npz", ".json", ".JSON"])
def test_comes_back_from_a_file_to_the_last_bit(tmp_path, suffix):
    for seed in range(3):
        saved = explanation(seed)
        path = saved.save(tmp_path / f"x{suffix}")
        assert_same(Explanation.load(path), saved)


def test_json_is_plain_json_with_null_for_nan(tmp_path):
    text = explanation().save(str(tmp_path / "x.json")).read_text()

    def refuse(word):
        raise ValueError(word)

    content = json.loads(text, parse_constant=refuse)
    assert content["r2"] == [0.5, None]
    assert content["settings"]["preprocess"]["resize"] == [20, 30]
    assert content["picture"].startswith("data:image/png;base64,")


def test_npz_holds_no_pickles(tmp_path):
    path = explanation().save(tmp_path / "x.npz")
    with np.load(path, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)


def test_a_pickle_in_an_npz_is_refused_and_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    assert pickle.dumps(Trap())
    path = tmp_path / "x.npz"
    np.savez(path, words=np.array([Trap()], dtype=object))
    with pytest.raises(InputError, match=r"expected a saved explanation \(.npz\) in the file, got unreadable data"):
        Explanation.load(path)
    assert not (tmp_path / "sprung").exists()


def test_is_frozen_arrays_included():
    one = explanation()
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.scores = np.zeros((2, 4))
    for name in ("picture", "segments", "scores", "predictions", "probabilities", "intercept", "r2"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(one, name)[...] = 0


def test_does_not_share_memory_with_what_it_was_made_of():
    scores = np.zeros((2, 4))
    one = explanation(scores=scores)
    scores += 1
    assert (one.scores == 0).all()


@given(st.integers(0, 999))
def test_the_heatmap_holds_the_score_of_every_pixels_segment(seed):
    generator = np.random.default_rng(seed)
    segments = np.unique(generator.integers(0, 6, (5, 7)), return_inverse=True)[1].reshape(5, 7)
    count = int(segments.max()) + 1
    one = explanation(picture=np.zeros((5, 7, 3)), segments=segments, scores=generator.normal(size=(2, count)),
                      standard_errors=np.ones((2, count)))
    for row, target in enumerate((281, 7)):
        heat = one.heatmap(target)
        for y in range(5):
            for x in range(7):
                assert heat[y, x] == one.scores[row, segments[y, x]]


def test_top_gives_the_best_first_and_the_lower_id_of_equals():
    one = explanation(scores=[[0.1, 0.5, -2.0, 0.5], [1, 2, 3, 4]])
    assert one.top(3).tolist() == [1, 3, 0]
    assert one.top(k=2, target="cock").tolist() == [3, 2]
    assert one.top(99).tolist() == [1, 3, 0, 2]


def test_a_mask_holds_the_best_segments_of_a_sign():
    one = explanation(scores=[[0.1, 0.5, -2.0, 0.0], [1, 2, 3, 4]])
    for k, sign, ids in ((1, "positive", [1]), (9, "positive", [0, 1]), (1, "negative", [2]), (9, "negative", [2]),
                         (2, "both", [1, 2]), (9, "both", [0, 1, 2])):
        np.testing.assert_array_equal(one.mask(k, sign=sign), np.isin(one.segments, ids))
    np.testing.assert_array_equal(one.mask(2, "cock"), one.segments >= 2)
    hidden = explanation(scores=one.scores, played=np.array([True, False, True, True]))
    np.testing.assert_array_equal(hidden.mask(2), hidden.segments == 0)
    for wrong in ({"k": 0}, {"sign": "up"}, {"size": "half"}):
        with pytest.raises(InputError):
            one.mask(**wrong)


def test_heat_map_and_mask_lie_on_the_photograph():
    preprocess = Preprocess(resize=16, crop=16)
    shown = preprocess.prepare(np.zeros((40, 60, 3), np.uint8))
    settings = dataclasses.replace(SETTINGS, preprocess=preprocess, frame=shown.frame)
    one = explanation(scores=[[1.0, 2.0, 3.0, -4.0], [1, 2, 3, 4]], settings=settings)
    heat, mask = one.heatmap(size="original"), one.mask(1, size="original")
    assert heat.shape == mask.shape == (40, 60)
    seen = ~np.isnan(heat)
    assert seen[:, 10:50].all()  # the middle 40 x 40 of the photograph
    assert not seen[:, :10].any()
    assert not seen[:, 50:].any()
    assert heat[5, 15] == 1
    assert heat[35, 45] == -4
    np.testing.assert_array_equal(mask, heat == 3)
    with pytest.raises(InputError, match="preprocessing whose crop is known"):
        explanation().heatmap(size="original")


def test_a_table_has_a_row_for_each_target_and_segment(monkeypatch):
    one = explanation(played=np.array([True, True, True, False]))
    table = one.to_dataframe()
    assert len(table) == 8
    np.testing.assert_array_equal(table.score, one.scores.ravel())
    np.testing.assert_array_equal(table[table.target == 7].segment, range(4))
    assert table.label.unique().tolist() == list(one.labels)
    assert table.played.tolist() == [True, True, True, False] * 2
    assert table.iloc[2][["share", "x", "y"]].tolist() == [0.25, 3.5, 11.5]
    assert table.attrs["versions"] == SETTINGS.versions
    best = table.sort_values("score", ascending=False, kind="stable").query("target == 281")
    assert best.segment.tolist()[0] == one.top(1)[0] or not one.played[best.segment.tolist()[0]]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"expected the package pandas for to_dataframe, got .* pip install"):
        one.to_dataframe()


def test_heat_maps_fit_what_captum_draws():
    from captum.attr import visualization

    one = explanation()
    figure, axes = visualization.visualize_image_attr(
        one.heatmap()[..., None], one.picture, "blended_heat_map", sign="all", use_pyplot=False
    )
    assert axes.images[-1].get_array().shape == one.segments.shape
    assert figure.axes


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".html"])
def test_every_file_names_the_version_that_wrote_it(tmp_path, suffix):
    path = explanation().save(tmp_path / f"x{suffix}")
    assert f"xai-layermask {__version__}".encode() in path.read_bytes()
    assert is_replaceable(path)


@pytest.mark.parametrize("target", [7, np.int64(7), "cock", "COC", "7"])
def test_a_target_is_meant_by_index_or_name(target):
    one = explanation()
    assert one.row(target) == 1
    np.testing.assert_array_equal(one.heatmap(target), one.scores[1][one.segments])


@pytest.mark.parametrize("target", [8, -1, "dog", "0", "c", 7.5])
def test_a_target_that_was_not_explained_is_refused(target):
    with pytest.raises(InputError, match=r"explained classes 281 \(tabby & co <b>\), 7 \(cock\) for target, got"):
        explanation().heatmap(target)


@pytest.mark.parametrize("k", [0, -1, 2.0, True, "5"])
def test_top_of_no_segments_is_refused(k):
    with pytest.raises(InputError, match="expected an integer of at least 1 for k, got"):
        explanation().top(k)


def test_agrees_with_a_mask_as_the_metrics_say():
    one, mask = explanation(), np.zeros((16, 16))
    mask[:8, :8] = 1
    for row, target in ((0, None), (1, "cock")):
        assert one.alignment(mask, target) == alignment_score(one.scores[row], one.segments, mask)
        assert one.jaccard(mask, k=1, target=target) == topk_jaccard(one.scores[row], one.segments, mask, 1)
    with pytest.raises(InputError):
        one.alignment(mask[:5])


@pytest.mark.parametrize(
    "changes",
    [
        {"picture": np.zeros((16, 15, 3))},
        {"segments": np.zeros((16, 16))},
        {"scores": np.zeros((1, 4))},
        {"scores": np.zeros((2, 5))},
        {"labels": ("one",)},
        {"r2": np.zeros(3)},
        {"intercept": 0.0},
        {"targets": (), "labels": (), "scores": np.zeros((0, 4))},
    ],
)
def test_parts_that_do_not_fit_are_refused(changes):
    with pytest.raises(InputError, match=r"^expected picture .* for an explanation, got picture"):
        explanation(**changes)


def test_refuses_endings_and_folders_that_it_does_not_know(tmp_path):
    with pytest.raises(InputError, match=r"expected one of .npz, .* for the suffix of the file, got '.jpg'"):
        explanation().save(tmp_path / "x.jpg")
    with pytest.raises(InputError, match="expected a file in an existing folder"):
        explanation().save(tmp_path / "none" / "x.npz")
    with pytest.raises(InputError, match=r"expected one of .npz, .json for the suffix of the file, got '.png'"):
        Explanation.load(tmp_path / "x.png")
    with pytest.raises(InputError, match="expected an existing file"):
        Explanation.load(tmp_path / "x.npz")


@pytest.mark.parametrize("suffix", [".npz", ".json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1, 2", b"PK\x03\x04 not really", b"null"])
def test_refuses_files_that_are_something_else(tmp_path, suffix, content):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^expected .* file, got"):
        Explanation.load(path)


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_refuses_every_cut_of_a_file(tmp_path, suffix):
    whole = explanation().save(tmp_path / f"x{suffix}").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match="expected a saved explanation"):
            Explanation.load(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "another 7"),
        ("settings", None),
        ("settings", {"model": "lite0"}),
        ("labels", None),
        ("scores", [[0, 1]]),
        ("picture", "data:image/png;base64,AAAA"),
        ("targets", None),
    ],
)
def test_refuses_json_with_wrong_parts(tmp_path, key, value):
    path = explanation().save(tmp_path / "x.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(InputError, match=r"^expected .* got "):
        Explanation.load(path)


def test_npz_is_an_ordinary_archive(tmp_path):
    names = zipfile.ZipFile(explanation().save(tmp_path / "x.npz")).namelist()
    assert {"picture.npy", "segments.npy", "scores.npy"} <= set(names)


def test_settings_come_back_from_their_record():
    other = dataclasses.replace(SETTINGS, channels=(0, 2), additional=1, given="logits", by_region=True)
    for made in (SETTINGS, other):
        assert Settings.from_record(json.loads(json.dumps(made.record()))) == made
    newer = ("channels", "additional", "given", "by_region")
    older = {name: value for name, value in SETTINGS.record().items() if name not in newer}
    assert Settings.from_record(older) == SETTINGS
    for wrong in (None, [], {}, SETTINGS.record() | {"more": 1}, SETTINGS.record() | {"preprocess": {"x": 1}}):
        with pytest.raises(InputError, match=r"expected a record of settings with additional, .* got something else"):
            Settings.from_record(wrong)


def test_shows_itself():
    one = explanation()
    assert repr(one) == ("Explanation(tabby & co <b> 75.0%, cock 12.5%; 4 segments, lime with layer masking of lite0)")
    assert one._repr_png_().startswith(b"\x89PNG")
    html = one._repr_html_()
    assert "data:image/png;base64," in html
    assert "tabby &amp; co &lt;b&gt;" in html
    assert "<b>" not in html


def on_the_scale(output, predictions, probabilities):
    return explanation(
        settings=dataclasses.replace(SETTINGS, output=output), predictions=predictions, probabilities=probabilities
    )


@pytest.mark.parametrize(
    ("output", "prediction", "probability", "expected"),
    [
        ("probability", 0.75, 0.75, "75.0%"),
        ("sigmoid", 0.75, 0.75, "75.0%"),
        ("log_odds", 1.0986, 0.75, "75.0%"),
        ("logit", -3.25, 0.0312, "logit -3.25 (3.1%)"),
        ("log_probability", -0.288, 0.75, "log-probability -0.288 (75.0%)"),
        ("value", 37.21, np.nan, "37.21"),
        ("probability", 0.93, np.nan, "0.93"),
    ],
)
def test_shows_the_prediction_on_the_scale_that_is_explained(output, prediction, probability, expected):
    one = on_the_scale(output, [prediction, 0.0], [probability, 0.5])
    assert one.shown(0) == expected
    assert f"tabby & co <b> {expected}" in repr(one)
    assert expected in one._repr_html_()
    assert "probability (softmax of the outputs)" in one._repr_html_()


def test_targets_that_are_no_classes_come_back_from_a_file(tmp_path):
    saved = explanation(targets=(-1, -1), labels=("similarity", "similarity 2"), probabilities=[np.nan, np.nan])
    for suffix in (".npz", ".json"):
        assert_same(Explanation.load(saved.save(tmp_path / f"x{suffix}")), saved)
    assert saved.row("similarity 2") == 1
    assert saved.row("similarity") == 0


def test_the_page_holds_everything_itself(tmp_path):
    text = explanation().save(tmp_path / "x.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "http" not in text.replace("http-equiv", "")
    assert "<b>" not in text
    assert text.count('src="data:image/') == text.count("src=") == 1
    for word in ("seed", "n_samples", "patches:8", "BGR"):
        assert word in text


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_saves_figures(tmp_path, suffix, start):
    assert explanation().save(tmp_path / f"x{suffix}").read_bytes().startswith(start)


@pytest.mark.parametrize("suffix", [".npz", ".json"])
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("picture", np.full((16, 16, 3), 256), "expected uint8 for picture, got values from 256 to 256"),
        ("segments", -np.ones((16, 16)), "segments"),
        ("segments", np.full((16, 16), 0.5), "expected int64 for segments, got values from 0.5 to 0.5"),
        ("segments", np.full((16, 16), 2**64 - 1, np.uint64), "segments"),
        ("scores", np.full((2, 4), np.nan), "expected finite numbers for scores, got NaN or infinity"),
        ("scores", np.full((2, 4), 1j), "expected real numbers for scores, got complex128"),
        ("scores", np.full((2, 4), "1"), "expected real numbers for scores, got <U1"),
        ("targets", np.array([np.nan, 7]), "targets"),
        ("targets", np.array([281, -7]), "expected different classes of at least 0 for targets"),
        ("targets", np.array([7, 7]), "expected different classes of at least 0 for targets"),
        ("probabilities", np.array([0.5, 7]), "expected numbers from 0 to 1, or NaN, for probabilities"),
        ("reliability", np.array([0.5, 1.5]), "expected numbers from 0 to 1, or NaN, for reliability"),
        ("standard_errors", np.array([[0.1, 0, 0, -0.1], [0] * 4]), "expected numbers of at least 0, or NaN"),
        ("predictions", np.array([np.inf, 0]), "expected finite numbers for predictions"),
        ("r2", np.array([np.inf, 0]), "expected finite numbers for r2"),
        ("labels", "ab", "expected a list or tuple of labels, got str"),
    ],
)
def test_a_file_with_values_that_do_not_fit_is_refused(tmp_path, suffix, name, value, words):
    path = explanation().save(tmp_path / f"x{suffix}")
    if suffix == ".npz":
        with np.load(path) as arrays:
            parts = dict(arrays)
        if name == "labels":
            parts["words"] = np.array(json.dumps(json.loads(parts["words"].item()) | {name: value}))
        else:
            parts[name] = value
        np.savez(path, **parts)
    else:
        if name == "picture" or np.iscomplexobj(value):
            return  # neither is in JSON
        text = json.dumps(json.loads(path.read_text()) | {name: value if name == "labels" else value.tolist()})
        path.write_text(text)
        words = "expected" if "<U1" in words or not np.isfinite(value if name != "labels" else 0).all() else words
    with pytest.raises(InputError, match=words):
        Explanation.load(path)


def test_a_targets_array_that_is_no_class_is_allowed_twice():
    assert explanation(targets=(-1, -1)).targets == (-1, -1)


def test_a_lone_surrogate_in_a_label_is_written_as_its_number(tmp_path):
    one = explanation(labels=("\ud800", "cock"))
    assert one.labels == ("\\ud800", "cock")
    for suffix in (".npz", ".json", ".html", ".svg"):
        one.save(tmp_path / f"x{suffix}")


def header(shape, dtype="<f8"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize(
    "member", [header((10**13,)), header((2, 4)), header((-1, 2)), b"", b"\x93NUMPY\x09\x09", b"x" * 99]
)
def test_an_archive_that_claims_more_than_it_holds_allocates_nothing(tmp_path, member):
    path = explanation().save(tmp_path / "x.npz")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"scores.npy": member}).items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match="expected a saved explanation"):
        Explanation.load(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = explanation().save(tmp_path / "x.npz")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    bomb = header((1 << 22, 8)) + bytes(1 << 25)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (parts | {"scores.npy": bomb}).items():
            archive.writestr(name, content)
    assert path.stat().st_size < 1 << 17
    monkeypatch.setattr("xai_layermask.explain.archive._LARGEST", 1 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="expected a saved explanation"):
            Explanation.load(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 23
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"\xff\xfe", b'"\\ud800"'])
def test_json_of_any_other_content_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=r"^expected .* in the file, got"):
        Explanation.load(tmp_path / "x.json")


@pytest.mark.parametrize("name", ["a\0b", "n" * 5000])
def test_names_that_no_file_has_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="expected an existing file"):
        Explanation.load(tmp_path / f"{name}.npz")


@pytest.mark.parametrize(
    ("name", "value"), [("seed", "x"), ("model", 7), ("n_samples", None), ("device", ["cpu"]), ("select", 0.5)]
)
def test_settings_of_other_types_are_refused(name, value):
    with pytest.raises(InputError, match=rf"expected (str|int|str . int . None) for {name} in settings, got"):
        Settings.from_record(SETTINGS.record() | {name: value})


def test_missing_pixels_rank_below_all_segments():
    scores = [[-0.3, -0.1, -0.2, 0], [0.1, 0.2, -0.1, 0]]
    one = explanation(scores=scores, played=np.array([True, True, True, False]))
    assert one.top(4).tolist() == [1, 2, 0, 3]
    assert one.jaccard(one.segments == 1, k=1) == 1
    assert explanation(scores=scores).played.all()
    assert explanation(scores=scores).top(1).tolist() == [3]
    with pytest.raises(InputError, match=r"played \(K,\)"):
        explanation(played=np.ones(3, bool))


@pytest.mark.parametrize("suffix", [".npz", ".json"])
@pytest.mark.parametrize("missing", [True, False])
def test_a_file_of_before_played_was_recorded_has_missing_pixels_where_nothing_scored(tmp_path, suffix, missing):
    errors = np.full((2, 4), 0.1)
    errors[:, -1] *= not missing
    scores = np.array([[-0.3, -0.1, -0.2, 0], [0.1, 0.2, -0.1, 0]])
    path = explanation(scores=scores, standard_errors=errors).save(tmp_path / f"x{suffix}")
    if suffix == ".json":
        content = json.loads(path.read_text())
        assert content.pop("played") == [True] * 4
        path.write_text(json.dumps(content))
    else:
        with np.load(path) as arrays:
            np.savez(path, **{name: arrays[name] for name in arrays.files if name != "played"})
    assert Explanation.load(path).played.tolist() == [True] * 3 + [not missing]


def test_exact_scores_need_no_advice():
    equal = explanation(scores=np.ones((2, 4)), standard_errors=np.zeros((2, 4)), reliability=np.zeros(2))
    assert equal.advice == ""
    low = explanation(standard_errors=np.ones((2, 4)), reliability=np.array([0.9, 0.4]))
    assert low.advice.startswith("Reliability 0.40 is low")
