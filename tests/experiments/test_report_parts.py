"""What the report says of each protocol, against numbers derived again and counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import summaries
from report_rows import BEST, COUNT, EVERY, FRACTIONS, TRIAL

from xai_layermask.experiments.protocols import PROTOCOLS
from xai_layermask.experiments.report import SECTIONS, sections
from xai_layermask.experiments.report.section import Section
from xai_layermask.stats import Difference, Interval, estimate


@pytest.fixture(scope="module")
def made():
    """The sections of made-up measurements, by protocol."""
    return {name: sections(measure())[0] for name, measure in EVERY.items()}


def table(section: Section, name: str):
    return next(one for one in section.tables if one.name == name)


def lines(section, name, **wanted):
    """The rows of a table as dictionaries, those with these entries."""
    one = table(section, name)
    rows = [dict(zip(one.header, row, strict=True)) for row in one.rows]
    return [row for row in rows if all(row[column] == value for column, value in wanted.items())]


def line(section, name, **wanted):
    (found,) = lines(section, name, **wanted)
    return found


def rows_of(protocol, masking, segments=None):
    """All rows of a series."""
    return [
        row
        for trial, rows in EVERY[protocol]()
        for row in rows
        if trial.masking == masking and segments in (None, trial.segments)
    ]


def close(value):
    return pytest.approx(value, nan_ok=True)


def test_every_protocol_has_a_part():
    assert set(SECTIONS) == set(PROTOCOLS) == set(EVERY)


ORDERS = {"random": "random", "salient": "most salient first", "least": "least salient first"}
CURVES = {
    "accuracy": "accuracy", "class entropy": "entropy", "WordNet similarity": "wordnet",
    "unchanged predictions": "unchanged",
}


@pytest.mark.parametrize(
    ("protocol", "segments"), [("robustness", "slic:100"), ("colours", ""), ("ablation", "patches:16")]
)
def test_curves_and_areas_derived_again(made, protocol, segments):
    for masking in ("grey", "layer"):
        rows = [row for row in rows_of(protocol, masking, segments) if row.get("part") != "lime"]
        for row in summaries.removal(rows):
            wanted = {"order": ORDERS[row["order"]], "masking": masking} | ({"segments": segments} if segments else {})
            if row["fraction"] is None:
                found = line(made[protocol], protocol, **wanted)
                arrow = " ↑"
            else:
                found = line(made[protocol], f"{protocol}-curves", removed=row["fraction"], **wanted)
                arrow = ""
            assert found["n"] == row["n"] == COUNT
            for title, column in CURVES.items():
                assert found[title + arrow].value == close(row[column])


def test_lime_derived_again(made):
    for masking in ("grey", "layer"):
        for segments in ("patches:16", "slic:250"):
            expected = summaries.lime(rows_of("lime", masking, segments))
            found = line(made["lime"], "lime", masking=masking, segments=segments)
            assert found["n"] == expected["n"] == COUNT - 1
            assert found["top-20 ablation accuracy ↓"].value == close(expected["ablation"])
            assert found["alignment ↑"].value == close(expected["alignment"])
            assert found["top-20 Jaccard ↑"].value == close(expected["jaccard"])
            assert found["top-20 Jaccard ↑"].n == COUNT - 2
            assert found["leave-one-out R²"].value == close(expected["r2"])
    assert f"n = {COUNT - 2} to {COUNT - 1} of {COUNT} pictures" in made["lime"].figures[0].caption


def test_mask_shape_derived_again(made):
    kinds = {"object masked out": "object_out", "broken mask": "broken_out", "broken minus object ↑": "gap"}
    for masking in ("grey", "layer"):
        expected = summaries.mask_shape(rows_of("mask-shape", masking))
        for mean, which in (("pictures", None), ("classes", "classes")):
            found = line(made["mask-shape"], "mask-shape", masking=masking, **{"mean over": mean})
            assert found["n"] == expected[which]["n"] == COUNT - 1
            for title, column in kinds.items():
                assert found[title].value == close(expected[which][column])
        for label in expected.keys() - {None, "classes"}:
            found = line(made["mask-shape"], "mask-shape-classes", masking=masking, **{"class": label})
            assert found["n"] == expected[label]["n"]
            for title, column in kinds.items():
                assert found[title.removesuffix(" ↑")].value == close(expected[label][column])


def test_linearity_derived_again(made):
    for masking in ("grey", "layer"):
        for size, expected in summaries.linearity(rows_of("linearity", masking)).items():
            found = line(made["linearity"], "linearity", masking=masking, size=str(size))
            assert found["n"] == COUNT
            assert found["cosine of whole and sum ↑"].value == close(expected["cosine"])
            assert found["length of a part / whole"].value == close(expected["part"])
            assert found["length of the sum / whole"].value == close(expected["sum"])


def test_collapse_derived_again(made):
    for masking in ("grey", "layer"):
        for size, expected in summaries.collapse(rows_of("collapse", masking)).items():
            found = line(made["collapse"], "collapse", masking=masking, size=str(size))
            assert found["n"] == COUNT
            between = found["cosine between pictures"]
            assert between.value == close(expected["between"])
            assert between.n == (COUNT - 1 if size == 64 else COUNT)
            assert found["absolute change ↓"].value == close(expected["change"])
            assert found["change of that cosine"].value == close(expected["signed"])
            assert found["cosine with the whole picture ↑"].value == close(expected["whole"])


def test_areas_are_averaged_over_segmentations_and_orders(made):
    for protocol, masking in (("robustness", "grey"), ("robustness", "layer")):
        areas = [
            row for cut in ("patches:16", "slic:100") for row in summaries.removal(rows_of(protocol, masking, cut))
            if row["fraction"] is None
        ]  # fmt: skip
        found = line(made[protocol], f"{protocol}-average", masking=masking)
        assert len(areas) == 6 and found["n"] == COUNT
        for title, column in CURVES.items():
            assert found[title + " ↑"].value == close(sum(row[column] for row in areas) / 6)
    assert not any(one.name.endswith("average") for one in made["colours"].tables)


def test_an_average_is_of_the_pictures_that_have_every_segmentation_and_order():
    measured = [accurate("grey", "a", 1, 1, 1), accurate("grey", "b", 1, 0, 0)]
    measured += [(replace(trial, segments="quickshift"), rows) for trial, rows in measured[:1]]
    measured += [accurate("layer", "a", 1, 1, 1)]
    section = sections(measured)[0]
    (found,) = lines(section, "robustness-average")  # layer lacks a segmentation
    assert (found["masking"], found["n"], found["accuracy ↑"].value) == ("grey", 1, 1.0)


def of_length(side, sizes, **extra):
    """Lengths of parts that are their share of an area of this side."""
    return [{"size": size, "cosine": 0.5, "norm_whole": 2.0, "norm_parts": 2.0 * (size / side) ** 2, "norm_sum": 1.0,
             **({"tiles": (side // size) ** 2} | extra)} for size in sizes]  # fmt: skip


def reference_line(section):
    (ax,) = [ax for ax in section.figures[0].figure.axes if ax.get_title() == "length of a part / whole"]
    return [one.get_ydata().tolist() for one in ax.lines if one.get_label() == "share of the area, n²"]


@pytest.mark.parametrize("side", [224, 448])
def test_the_length_of_a_part_has_an_exponent(side):
    measured = [(replace(TRIAL, protocol="linearity", picture=name), of_length(side, (112, 56, 16))) for name in "ab"]
    section = sections(measured)[0]
    assert line(section, "linearity-exponents")["exponent"].value == pytest.approx(2)
    (reference,) = reference_line(section)
    assert reference == pytest.approx([(size / side) ** 2 for size in (112, 56, 16)])


def test_there_is_no_reference_where_the_number_of_parts_is_not_known():
    measured = [(replace(TRIAL, protocol="linearity", picture="a"), of_length(224, (112, 56), tiles=None))]
    assert reference_line(sections(measured)[0]) == []


def test_classes_in_the_figure_are_those_in_which_maskings_differ_with_the_models_names():
    def shape(masking, picture, label, object_out, broken_out, name):
        row = {"label": label, "name": name, "whole": label, "kept": True, "object_share": 0.3,
               "object_out": object_out, "broken_out": broken_out}
        return replace(TRIAL, protocol="mask-shape", masking=masking, picture=picture), [row]

    measured = []
    for label, grey, layer in ((3, 9, 9), (4, 4, 9), (5, 9, 5)):  # equal, layer masking ahead, behind
        for masking, after in (("grey", grey), ("layer", layer)):
            measured += [shape(masking, f"{label}{n}", label, after, label, f"kind {label}") for n in range(2)]
    measured += [shape(masking, "6", 6, 6, 6, "kind 6") for masking in ("grey", "layer")]  # a single picture
    section = sections(measured)[0]
    (figure,) = [one for one in section.figures if one.name.endswith("classes")]
    labels = [text.get_text() for text in figure.figure.axes[0].get_yticklabels()]
    assert labels == ["kind 4 (2)", "kind 3 (2)", "kind 5 (2)"]
    assert {row["name"] for row in lines(section, "mask-shape-classes")} == {f"kind {n}" for n in (3, 4, 5, 6)}


def test_lime_of_the_ablation_derived_again(made):
    for masking in ("grey", "layer"):
        for removed, expected in summaries.lime_by_removal(rows_of("ablation", masking)).items():
            found = line(made["ablation"], "ablation-lime", masking=masking, removed=str(removed))
            assert found["n"] == expected["n"] == COUNT - 1
            assert found["alignment ↑"].value == close(expected["alignment"])
            assert found["top-20 Jaccard ↑"].value == close(expected["jaccard"])


def test_the_figure_of_the_ablations_lime_counts_the_pictures_that_were_explained(made):
    found = {figure.name: figure.caption for figure in made["ablation"].figures}
    assert f"n = {COUNT - 1} pictures" in found["ablation-lime-1-patches:16"]
    assert f"n = {COUNT}." in found["ablation-1-patches:16"]


def accurate(masking, picture, *right):
    """A picture of class 3 that is recognised at some of the fractions."""
    rows = [
        {"order": "random", "fraction": fraction, "label": 3, "prediction": 3 if hit else 8, "whole": 3}
        for fraction, hit in zip(FRACTIONS, right, strict=True)
    ]
    return replace(TRIAL, protocol="robustness", masking=masking, segments="slic", picture=picture), rows


def test_accuracies_counted_by_hand():
    measured = [accurate("grey", "a", 1, 1, 0), accurate("grey", "b", 1, 0, 0), accurate("grey", "c", 1, 0, 0)]
    section = sections(measured)[0]
    assert [row["accuracy"].value for row in lines(section, "robustness-curves")] == [1.0, pytest.approx(1 / 3), 0.0]
    # The paper's area is the plain mean of the points: (1 + 1/3 + 0) / 3.
    assert line(section, "robustness")["accuracy ↑"].value == pytest.approx(4 / 9)


def test_differences_are_of_the_pictures_that_both_have():
    measured = [
        accurate("grey", "a", 1, 0, 0), accurate("grey", "b", 1, 1, 0), accurate("grey", "c", 1, 1, 1),
        accurate("layer", "b", 1, 1, 1), accurate("layer", "c", 1, 1, 1), accurate("layer", "d", 0, 0, 0),
        accurate("layer", "e", 0, 0, 0),
    ]
    section = sections(measured)[0]
    found = line(section, "robustness-differences")
    assert (found["masking"], found["minus"]) == ("layer", "grey")
    assert (found["n"], found["only first"], found["only second"]) == (2, 2, 1)
    # b: 1 - 2/3, c: 1 - 1. Over all pictures grey is the better one.
    assert found["accuracy ↑"].value == pytest.approx(1 / 6)
    assert line(section, "robustness", masking="layer")["accuracy ↑"].value == pytest.approx(0.5)
    assert line(section, "robustness", masking="grey")["accuracy ↑"].value == pytest.approx((1 / 3 + 2 / 3 + 1) / 3)
    assert section.missing[:2] == (
        "lite0: grey with slic lacks 2 of 5 pictures.", "lite0: layer with slic lacks 1 of 5 pictures."
    )


def test_a_difference_leaves_out_pictures_where_one_side_is_not_defined():
    def one(masking, picture, alignment):
        row = {"kept": True, "label": 1, "whole": 1, "probability": 1.0, "alignment": alignment, "ablated": 1}
        return replace(TRIAL, protocol="lime", settings=BEST, masking=masking, segments="slic", picture=picture), [row]

    measured = [one("grey", "a", 0.1), one("grey", "b", None), one("grey", "c", 0.4),
                one("layer", "a", 0.2), one("layer", "b", 0.9), one("layer", "c", 0.7)]
    found = line(sections(measured)[0], "lime-differences")
    assert found["n"] == 3
    assert found["alignment ↑"].value == pytest.approx(0.2)
    assert found["alignment ↑"].n == 2
    assert found["top-20 ablation accuracy ↓"].n == 3


def test_maskings_without_a_picture_in_common_are_not_compared():
    section = sections([accurate("grey", "a", 1, 1, 0), accurate("layer", "b", 1, 1, 0)])[0]
    assert lines(section, "robustness-differences") == []
    assert len(lines(section, "robustness")) == 2


@pytest.mark.parametrize("protocol", ["mask-shape", "collapse", "lime"])
def test_pictures_in_common_may_have_no_number_in_common(protocol):
    """One masking has numbers for even pictures, the other one for odd ones."""
    measured = []
    for trial, rows in EVERY[protocol](count=4):
        odd = int(trial.picture[0]) % 2
        if odd != (trial.masking == "layer"):
            hidden = {"kept": False, "features": None, "alignment": None, "jaccard": None, "ablated": None}
            rows = [row | {name: value for name, value in hidden.items() if name in row} for row in rows]
        measured.append((trial, rows))
    section = sections(measured)[0]
    first = section.tables[1].header.index("only second") + 1
    compared = [row[first] for row in section.tables[1].rows]
    assert all(entry.n == 0 and math.isnan(entry.value) for entry in compared)
    assert len(lines(section, protocol)) >= 2


@pytest.mark.parametrize(("protocol", "sentence"), [
    ("lime", "lite0: no picture was explained, since no label is among the likeliest classes."),
    ("mask-shape", "lite0: no picture is classified correctly when whole, so there are no numbers."),
])  # fmt: skip
def test_sections_without_numbers_say_why(protocol, sentence):
    measured = [
        (trial, [{"kept": False, "label": row["label"], "whole": 7} for row in rows])
        for trial, rows in EVERY[protocol](count=3)
    ]
    assert sections(measured)[0].missing == (sentence,)


def test_top_segments_that_are_all_segments_are_named():
    def counted(count):
        for trial, (row,) in EVERY["lime"](count=3):
            yield trial, [row | {"segments_count": count} if trial.segments == "slic:250" else row]

    assert sections(counted(21))[0].missing == ()
    (sentence,) = sections(counted(20))[0].missing
    assert sentence.startswith("lite0: some pictures have at most 20 segments with slic:250. The 20 best are all of ")


def test_pictures_without_a_label_have_no_accuracy_but_the_rest():
    measured = []
    for trial, rows in (accurate("grey", "a", 1, 1, 0), accurate("layer", "a", 1, 1, 1)):
        measured.append((trial, [row | {"label": None} for row in rows]))
    found = line(sections(measured)[0], "robustness", masking="grey")
    assert math.isnan(found["accuracy ↑"].value)
    assert math.isnan(found["WordNet similarity ↑"].value)
    assert found["unchanged predictions ↑"] == Interval(pytest.approx(2 / 3), pytest.approx(math.nan, nan_ok=True),
                                                        pytest.approx(math.nan, nan_ok=True), 1)


def test_classes_beyond_imagenet_have_no_wordnet_similarity():
    trial, rows = accurate("grey", "a", 1, 1, 0)
    other, more = accurate("grey", "b", 1, 1, 0)
    strange = [row | {"prediction": 1000} for row in more]
    found = line(sections([(trial, rows), (other, strange)])[0], "robustness")
    assert math.isnan(found["WordNet similarity ↑"].value)
    assert found["accuracy ↑"].n == 2


def test_orders_that_were_asked_for_and_not_measured_are_missing():
    trial, rows = accurate("grey", "a", 1, 1, 0)
    asked = replace(trial, settings='{"orders":["random","salient"]}')
    assert sections([(asked, rows)])[0].missing == ("No trial removes segments in this order: most salient first.",)
    assert sections([(trial, rows)])[0].missing == ()


def test_a_single_fraction_has_points_but_no_area_and_no_curve():
    trial, rows = accurate("grey", "a", 1, 1, 0)
    section = sections([(trial, rows[:1])])[0]
    assert [one.name for one in section.tables] == ["robustness-curves"]
    assert section.figures == ()


def test_models_and_settings_have_rows_and_figures_of_their_own():
    measured = [*EVERY["colours"](), *EVERY["colours"](model="other"), *EVERY["colours"](settings='{"patch":8}')]
    section = sections(measured)[0]
    models = {row["model"] for row in lines(section, "colours")}
    assert models == {"lite0 (patch 8)", "lite0", "other"}
    assert len(section.figures) == 3


def test_unknown_protocols_and_those_asked_for_and_not_measured_are_named():
    strange = replace(TRIAL, protocol="mine", picture="a")
    (last,) = sections([(strange, []), (strange, [])], protocols=["robustness"])
    assert last.missing == (
        "robustness: measure it with xai-layermask evaluate robustness.",
        "mine: no report covers this protocol, which has 2 trials.",
    )


def test_nothing_is_said_of_experiments_that_nobody_asked_for():
    assert not any(section.missing for section in sections([accurate("grey", "a", 1, 1, 0)]))


def test_a_store_with_everything_lacks_nothing():
    measured = [pair for measure in EVERY.values() for pair in measure(count=2)]
    found = sections(measured)
    assert [section.title for section in found] == [
        "Robustness", "LIME", "Mask shape", "Linearity", "Collapse", "Ablation", "Colours",
        "Setups",
    ]
    assert not any(section.missing for section in found)


def test_setups_say_what_numbers_are_of():
    measured = [*EVERY["lime"](count=3, settings='{"k":5}', seed=2), *EVERY["colours"](count=2)]
    section = next(one for one in sections(measured) if one.title == "Setups")
    found = line(section, "setups", protocol="lime")
    # Two segmentations under two maskings.
    assert (found["model"], found["n"], found["trials"]) == ("lite0", 3, 12)
    assert (found["settings"], found["precision"], found["seed"]) == ('{"k":5}', "float32", "2")
    assert (found["version"], found["weights"]) == ("0.1.0", "abcdef012345")
    assert line(section, "setups", protocol="colours")["trials"] == 4


def test_every_caption_says_how_many_pictures(made):
    for section in made.values():
        assert section.figures
        for figure in section.figures:
            assert "n = " in figure.caption
            assert "95 %" in figure.caption
            assert len(figure.figure.legends) == 1


def fewer(protocol, fractions, **changes):
    """The measurements of a setup that has only some fractions."""
    settings = f'{{"fractions":{list(fractions)}}}'
    for trial, rows in EVERY[protocol](settings=settings, **changes):
        yield trial, [row for row in rows if row["fraction"] in fractions]


def test_setups_of_different_fractions_have_areas_of_their_own():
    both = [*fewer("robustness", (0.0, 0.5)), *fewer("robustness", (0.5, 1.0))]
    wanted = {"order": "random", "masking": "grey", "segments": "slic:100"}
    for fractions in ((0.0, 0.5), (0.5, 1.0)):
        (alone,) = lines(sections(fewer("robustness", fractions))[0], "robustness", **wanted)
        rows = lines(sections(both)[0], "robustness", **wanted)
        (beside,) = [row for row in rows if str([*fractions]) in row["model"]]
        assert beside["n"] == COUNT
        assert {**beside, "model": "lite0"} == alone
    assert lines(sections(both)[0], "robustness-differences", order="random")


def test_collapse_is_compared_with_the_largest_size_of_the_setup():
    small = [(replace(trial, settings='{"sizes":[64]}'), rows[1:]) for trial, rows in EVERY["collapse"]()]
    alone = line(sections(small)[0], "collapse", masking="grey", size="64")
    both = lines(sections([*EVERY["collapse"](), *small])[0], "collapse", masking="grey", size="64")
    assert alone["absolute change ↓"].value == 0
    assert [row["absolute change ↓"].value for row in both if "64" in row["model"]] == [0]


def test_the_best_segments_are_called_by_their_number():
    heads = {
        settings: table(sections(EVERY["lime"](settings=f'{{"k":{settings}}}'))[0], "lime").header
        for settings in (5, 20)
    }
    assert "top-5 Jaccard ↑" in heads[5] and "top-5 ablation accuracy ↓" in heads[5]
    assert "top-20 Jaccard ↑" in heads[20]
    mixed = [*EVERY["lime"](settings='{"k":5}'), *EVERY["lime"](settings='{"k":9}')]
    assert "top-k Jaccard ↑" in table(sections(mixed)[0], "lime").header
    five = sections(EVERY["ablation"](settings='{"k":5}'))[0]
    assert "top-5 Jaccard ↑" in table(five, "ablation-lime").header


def test_figures_count_the_pictures_that_they_show():
    measured = [
        (trial, [row for row in rows if row["order"] == "random" or trial.picture < "3"])
        for trial, rows in EVERY["robustness"]()
    ]
    assert f"n = 3 to {COUNT}." in sections(measured)[0].figures[0].caption


def test_panels_that_share_an_axis_cut_nothing_off():
    measured = [
        (trial, [row | {"prediction": int(trial.picture[0]) if row["order"] == "least" else 7} for row in rows])
        for trial, rows in EVERY["robustness"]()
    ]
    figure = sections(measured)[0].figures[0].figure
    figure.canvas.draw()
    for ax in figure.axes:
        tops = [line.get_ydata().max() for line in ax.lines] + [
            path.vertices[:, 1].max() for band in ax.collections for path in band.get_paths()
        ]
        assert max(tops) <= ax.get_ylim()[1]


def test_a_trial_that_comes_again_counts_once():
    twice = sections([*EVERY["lime"](), *EVERY["lime"]()])[0]
    once = sections(EVERY["lime"]())[0]
    assert [one.rows for one in twice.tables] == [one.rows for one in once.tables]


def test_only_the_protocols_that_were_asked_for_are_missed():
    (said,) = [one for one in sections(EVERY["lime"](), protocols=("lime", "collapse")) if one.missing]
    assert said.missing == ("collapse: measure it with xai-layermask evaluate collapse.",)


@pytest.mark.parametrize(
    ("protocol", "shown", "differences"),
    [
        ("robustness", 4 * 3 * (4 + 4), 2 * 3 * 4),  # series, orders, curves and their areas
        ("lime", 4 * 5, 2 * 5),  # series, measures
        ("mask-shape", 2 * 3 * (2 + 4), 3 * 2),  # series, measures, both means and every class
        ("linearity", 2 * 3, 2 * 3),  # series, measures over all sizes
        ("collapse", 2 * 4, 2 * 4),
        ("ablation", 2 * (4 + 4) + 2 * 2, 4 + 3 * 2),  # series, curves and areas; LIME's measures over all fractions
        ("colours", 2 * (4 + 4), 4),
    ],
)
def test_tables_and_figures_share_their_estimates(monkeypatch, protocol, shown, differences):
    kinds = []

    def count(statistic, *args):
        kinds.append(type(statistic))
        return estimate(statistic, *args)

    for module in ("series", "section", "mask_shape"):
        monkeypatch.setattr(f"xai_layermask.experiments.report.{module}.estimate", count)
    sections(EVERY[protocol]())
    assert kinds.count(Difference) == differences
    assert len(kinds) == shown + differences


@pytest.mark.parametrize("row", [{"x": 1}, {"kept": 3, "label": 1}, {"kept": True, "label": "cat"}, {"kept": None}])
def test_rows_of_another_program_are_counted_and_left_out(row):
    measured = list(EVERY["mask-shape"](count=3))
    foreign = [(replace(TRIAL, protocol="mask-shape", picture=f"{number}.png"), [row]) for number in range(2)]
    found = sections(measured + foreign)
    assert table(found[0], "mask-shape").rows == table(sections(measured)[0], "mask-shape").rows
    said = "mask-shape: 2 trials are left out, since they lack settings or the columns kept, label."
    assert said in found[-1].missing


def test_features_that_are_no_numbers_are_left_out():
    rows = [{"size": 224, "cosine_whole": 0.5, "features": "no base64"}]
    found = sections([(replace(TRIAL, protocol="collapse"), rows)])
    assert any(sentence.startswith("collapse: 1 trials are left out") for sentence in found[-1].missing)


@pytest.mark.parametrize("settings", ["7", "no json", "[" * 100_000])
def test_settings_that_are_no_object_are_left_out(settings):
    found = sections([(replace(TRIAL, protocol="lime", settings=settings), [{"kept": False}])])
    assert any(sentence.startswith("lime: 1 trials are left out") for sentence in found[-1].missing)
