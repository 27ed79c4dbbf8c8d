"""Figures show the numbers, on whatever axes they are given, and obey the style sheet."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from matplotlib.colors import same_color, to_rgb
from matplotlib.figure import Figure

from xai_layermask.catalog import title
from xai_layermask.experiments.report.figures import add_legend, dots, drawable, panels, save, scatter
from xai_layermask.plots import bars, curves, styles_of
from xai_layermask.stats.intervals import Estimate, Interval

NAN = float("nan")


def numbers(*value):
    array = np.array(value, dtype=float)
    return Estimate(array, array - 0.1, array + 0.2, np.full(len(value), 9))


FOUND = {"grey": numbers(0.5, 0.25), "layer": numbers(0.75, 0.5)}


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: curves([0.0, 1.0], FOUND, ax=ax), lambda ax: bars(["a", "b"], FOUND, ax=ax),
        lambda ax: dots(["a", "b"], FOUND, ax=ax), lambda ax: scatter({"grey": (Interval(0, 0, 0, 1),) * 2}, ax=ax),
    ],
)
def test_draws_on_the_axes_that_it_is_given_and_returns_them(draw):
    left, right = Figure().subplots(1, 2)
    assert draw(right) is right
    assert right.has_data()
    assert not left.has_data()
    assert draw(None).figure is not right.figure


def test_curves_have_the_values_as_lines_and_the_intervals_as_bands():
    ax = curves([0.0, 1.0], FOUND)
    assert [line.get_label() for line in ax.lines] == ["grey-out", "layer masking"]
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[0.0, 0.75], [1.0, 0.5]])
    band = ax.collections[1].get_paths()[0].vertices
    assert {tuple(np.round(point, 6)) for point in band} == {(0, 0.65), (1, 0.4), (0, 0.95), (1, 0.7)}
    assert same_color(ax.lines[1].get_color(), ax.collections[1].get_facecolor()[0, :3])


def test_a_curve_of_one_point_still_shows_its_interval():
    ax = curves([0.5], {"layer": numbers(0.75)})
    (segment,) = ax.collections[0].get_segments()
    np.testing.assert_allclose(segment, [[0.5, 0.65], [0.5, 0.95]])


def test_bars_stand_in_groups_and_a_missing_one_is_left_out():
    ax = bars(["slic", "patches"], {"grey": numbers(0.5, NAN), "layer": numbers(0.75, 0.25)})
    assert [bar.get_height() for bar in ax.patches] == [0.5, 0.75, 0.25]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in ax.patches]
    assert middles == pytest.approx([-0.2, 0.2, 1.2])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["slic", "patches"]
    segments = [segment for one in ax.collections for segment in one.get_segments()]
    assert sorted(segment[:, 1].round(6).tolist() for segment in segments) == [[0.15, 0.45], [0.4, 0.7], [0.65, 0.95]]


def test_an_interval_that_is_missing_is_not_drawn():
    found = Estimate(np.array([0.5]), np.array([NAN]), np.array([NAN]), np.array([1]))
    for ax in (bars(["a"], {"grey": found}), dots(["a"], {"grey": found})):
        (segment,) = [segment for one in ax.collections for segment in one.get_segments()]
        assert np.ptp(segment, axis=0).tolist() == [0, 0]


def test_dots_have_the_first_group_at_the_top():
    ax = dots(["tabby", "fox"], {"grey": numbers(0.5, 0.25)})
    low, high = ax.get_ylim()
    assert low > high
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0.5, 0.0], [0.25, 1.0]])


def test_scatter_leaves_out_points_without_a_coordinate():
    there, nowhere = Interval(0.5, 0.4, 0.6, 9), Interval(NAN, NAN, NAN, 0)
    ax = scatter({"grey": (there, there), "layer": (there, nowhere)})
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[0.5, 0.5]]]


def test_one_legend_for_all_panels():
    figure, ((left, right),) = panels(1, 2)
    curves([0.0, 1.0], FOUND, ax=left)
    bars(["a", "b"], {"layer": FOUND["layer"], "black": FOUND["grey"]}, ax=right)
    add_legend(figure)
    (only,) = figure.legends
    assert [text.get_text() for text in only.get_texts()] == ["grey-out", "layer masking", "black-out"]


@pytest.mark.parametrize("name", ["layer-threshold:0.1234567", "x"])
def test_a_legend_fits_its_figure(name):
    figure, ((ax,),) = panels(1, 1)
    curves([0.0, 1.0], {f"{name}{number}": FOUND["grey"] for number in range(6)}, ax=ax)
    add_legend(figure)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_nothing_drawn_has_no_legend():
    figure, _ = panels(1, 1)
    add_legend(figure)
    assert not figure.legends


def test_a_masking_looks_the_same_everywhere():
    assert styles_of(["layer"])["layer"] == styles_of(["grey", "black", "mine", "layer"])["layer"]


def test_every_masking_has_a_style_of_its_own():
    names = ["black", "grey", "white", "red", "green", "blue", "mean", "blur", "neighbor", "layer-zero", "partial",
             "tokens", "layer", "layer-until:1", "layer-until:2", "layer-until:3"]
    found = list(styles_of(names).values())
    assert len({(style.colour, style.marker, style.line) for style in found}) == len(names)
    assert len({style.colour for style in styles_of(["grey", "layer", "a", "b", "c"]).values()}) == 5


def test_colours_are_told_apart_without_red_and_green():
    """As seen with deuteranopia (Vienot, Brettel and Mollon, 1999), the paper's maskings are far from each other."""
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    seen = np.eye(3)
    seen[1] = [0.494207, 0, 1.24827]
    change = np.linalg.inv(to_lms) @ seen @ to_lms
    names = ["black", "grey", "neighbor", "layer-zero", "layer"]
    colours = [change @ np.array(to_rgb(style.colour)) for style in styles_of(names).values()]
    apart = [np.abs(one - other).max() for place, one in enumerate(colours) for other in colours[:place]]
    assert min(apart) > 0.2


def test_a_style_sheet_has_the_last_word_on_colours():
    with matplotlib.style.context("dark_background"):
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
        assert {style.colour for style in styles_of(["black", "grey", "layer"]).values()} <= set(cycle)
        ax = bars(["a", "b"], FOUND)
        assert same_color(ax.figure.get_facecolor(), "black")
        assert all(same_color(one.get_edgecolor()[0], "white") for one in ax.collections)
    with mpl.rc_context({"lines.linewidth": 7.0}):
        assert curves([0.0, 1.0], FOUND).lines[0].get_linewidth() == 7


def test_unknown_maskings_keep_their_names():
    assert title("layer-until:layer1") == "layer-until:layer1"


def test_saves_a_picture_and_a_drawing_the_same_each_time(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        figure, ((ax,),) = panels(1, 1)
        curves([0.0, 1.0], FOUND, ax=ax)
        before = figure.get_layout_engine()
        save(figure, folder / "v1.5")
        assert figure.get_layout_engine() is before
    assert sorted(path.name for path in first.iterdir()) == ["v1.5.png", "v1.5.svg"]
    assert (first / "v1.5.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (first / "v1.5.svg").read_bytes()
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_pyplot_is_never_imported():
    program = (
        "import sys, numpy as np; from xai_layermask.plots import curves\n"
        "from xai_layermask.stats.intervals import Estimate\n"
        "curves([0.0], {'layer': Estimate(*np.zeros((3, 1)), np.ones(1))})\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_few_pictures_have_no_intervals():
    """Fewer than ten are too few for one, in figures as in tables."""
    array = np.array([0.5, 0.25])
    few = drawable(Estimate(array, array - 0.1, array + 0.2, np.array([9, 10])))
    assert np.isnan([few.low[0], few.high[0]]).all()
    np.testing.assert_allclose([few.low[1], few.high[1]], [0.15, 0.45])
    ax = dots(["a", "b"], {"grey": few})
    segments = ax.containers[0].lines[2][0].get_segments()
    lengths = [abs(segment[1][0] - segment[0][0]) for segment in segments]
    np.testing.assert_allclose(lengths, [0.0, 0.3])
