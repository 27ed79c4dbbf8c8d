"""What is in a store, sorted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xai_layermask.catalog import masking_order
from xai_layermask.errors import InputError
from xai_layermask.experiments import Trial
from xai_layermask.experiments.report.series import group_results

TRIAL = Trial("robustness", '{"k":1}', "lite0", "abcdef012345", "grey", "slic", "a.jpg", "d1", 0, "float32", "0.1.0")
KEYS = {"robustness": ("order", "fraction")}


def rows(**columns):
    return [{"order": "random", "fraction": fraction, **columns} for fraction in (0.0, 0.5)]


def trial(picture, masking="grey", **changes):
    return replace(TRIAL, picture=picture, masking=masking, **changes)


def test_values_come_by_picture_whatever_the_order():
    measured = [(trial("b"), rows(value=2)), (trial("a"), rows(value=1)), (trial("c"), rows(value=None))]
    (setup,) = group_results(measured, KEYS)["robustness"]
    series = setup.series["slic", "grey"]
    assert series.pictures == (("a", "d1"), ("b", "d1"), ("c", "d1"))
    assert series.keys == (("random", 0.0), ("random", 0.5))
    np.testing.assert_array_equal(series.values("value", series.keys), [[1, 1], [2, 2], [np.nan, np.nan]])
    np.testing.assert_array_equal(series.values("value", series.keys[:1], [2, 1]), [[np.nan], [2]])


def test_what_a_picture_lacks_is_nan_before_and_after():
    measured = [
        (trial("a"), rows(value=1)),
        (trial("b"), [{"order": "random", "fraction": 0.5, "other": True}]),
        (trial("c"), rows(value=3, other=False)),
        (trial("d"), []),
    ]
    (setup,) = group_results(measured, KEYS)["robustness"]
    series = setup.series["slic", "grey"]
    at = [("random", 0.0), ("random", 0.5), ("least", 0.0)]
    np.testing.assert_array_equal(
        series.values("value", at),
        [[1, 1, np.nan], [np.nan, np.nan, np.nan], [3, 3, np.nan], [np.nan, np.nan, np.nan]],
    )
    np.testing.assert_array_equal(series.values("other", at[1:2])[:, 0], [np.nan, 1, 0, np.nan])
    assert np.isnan(series.values("nowhere", at)).all()


def test_words_are_kept_where_they_are_asked_for():
    measured = [(trial("b"), rows(word="two")), (trial("a"), rows())]
    (setup,) = group_results(measured, KEYS, {"robustness": ("word",)})["robustness"]
    series = setup.series["slic", "grey"]
    assert series.texts("word", ("random", 0.0)) == [None, "two"]
    assert series.texts("word", ("random", 0.0), [1]) == ["two"]
    assert series.texts("word", ("least", 0.0)) == [None, None]


@pytest.mark.parametrize("column", ["settings", "model", "model_digest", "seed", "precision", "version"])
def test_what_may_not_be_compared_is_never_mixed(column):
    other = {"settings": '{"k":2}', "seed": 1}.get(column, "other")
    measured = [(trial("a"), rows(value=1)), (trial("a", **{column: other}), rows(value=2))]
    found = group_results(measured, KEYS)["robustness"]
    assert len(found) == 2
    assert len({setup.name for setup in found}) == 2
    values = [one.series["slic", "grey"].values("value", [("random", 0.0)])[0, 0] for one in found]
    assert sorted(values) == [1, 2]


def test_protocols_that_nobody_asks_for_are_left_out():
    assert group_results([(trial("a", protocol="lime"), rows())], KEYS) == {}


def test_missing_names_what_one_series_has_and_another_lacks():
    measured = [(trial(name), rows()) for name in "abc"]
    measured += [(trial("a", "layer"), rows()), (trial("a", "layer", segments="patches:16"), rows())]
    (setup,) = group_results(measured, KEYS)["robustness"]
    assert setup.missing() == [
        "lite0: layer with patches:16 lacks 2 of 3 pictures.",
        "lite0: layer with slic lacks 2 of 3 pictures.",
        "lite0: grey with patches:16 was not measured.",
    ]


def test_a_picture_that_has_changed_is_told():
    measured = [(trial("a"), rows()), (trial("a", picture_digest="d2"), rows())]
    (setup,) = group_results(measured, KEYS)["robustness"]
    assert len(setup.missing()) == 1
    assert "1 additional versions of pictures" in setup.missing()[0]


def test_rows_that_the_keys_do_not_tell_apart_are_refused():
    with pytest.raises(InputError, match="expected rows of a that differ in order or fraction, got two with"):
        group_results([(trial("a"), rows() + rows())], KEYS)


def test_baselines_come_first_and_layer_masking_before_its_variants():
    found = sorted(["layer-until:1", "layer", "layer-zero", "neighbor", "(9,9,9)", "black"], key=masking_order)
    assert found == ["black", "neighbor", "layer-zero", "(9,9,9)", "layer", "layer-until:1"]
