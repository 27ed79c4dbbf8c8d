"""Figures show what the scores say, on whatever axes they are given, and leave matplotlib as it was."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from test_explanation import SETTINGS, explanation

from xai_layermask.errors import InputError
from xai_layermask.plots import comparison, draw, figure_bytes, overview


def pixels(ax):
    """What the scores look like: RGBA `(H, W, 4)` of the upper image."""
    image = ax.images[-1]
    return image.cmap(image.norm(image.get_array()))


def test_green_is_for_and_red_is_against_and_nothing_is_clear():
    ax = draw(explanation(scores=[[1.0, -1.0, 0.0, 0.5], [0, 0, 0, 1]]))
    colours = pixels(ax)
    speaks_for, against, nothing, half = colours[0, 0], colours[0, 8], colours[8, 0], colours[8, 8]
    assert speaks_for[1] > 2 * speaks_for[0]
    assert against[0] > 2 * against[1]
    assert nothing[3] == pytest.approx(0, abs=0.01)
    assert half[3] == pytest.approx(speaks_for[3] / 2, abs=0.01)
    assert speaks_for[3] == against[3]


def test_the_scale_is_symmetric_about_zero():
    image = draw(explanation(scores=[[3.0, -1.0, 0.0, 0.5], [0, 0, 0, 1]])).images[-1]
    assert image.norm.vmin == -3
    assert image.norm.vmax == 3


def test_top_colours_only_the_strongest():
    ax = draw(explanation(scores=[[3.0, -5.0, 1.0, 0.5], [0, 0, 0, 1]]), top=2)
    np.testing.assert_array_equal(np.unique(ax.images[-1].get_array()), [-5, 0, 3])


def test_draws_on_the_axes_that_it_is_given_and_returns_them():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert explanation().plot(ax=right, target="cock") is right
    assert not left.images
    assert right.get_title() == "cock 12.5%"
    np.testing.assert_array_equal(right.images[-1].get_array(), explanation().heatmap("cock"))


def letters(figure):
    """What matplotlib draws of the titles and labels, where it sets no mathematics."""
    texts = [text for ax in figure.axes for text in (ax.title, ax.xaxis.label, ax.yaxis.label)]
    return "\n".join(shown for shown, mode in (text._preprocess_math(text.get_text()) for text in texts) if not mode)


def test_names_are_shown_letter_by_letter():
    explained = explanation(labels=["$5_000$", "from $1_a to $2"])
    assert "$5_000$ " in letters(overview(explained)) and "from $1_a to $2 " in letters(overview(explained))
    assert "$5_000$\n" in letters(comparison([explained]))


def test_draws_scores_that_are_all_zero():
    ax = explanation(scores=np.zeros((2, 4))).plot()
    assert (pixels(ax)[..., 3] < 0.01).all()


def test_a_colorbar_comes_on_demand():
    assert len(explanation().plot().figure.axes) == 1
    bar = explanation().plot(colorbar=True).figure.axes[1]
    assert bar.get_xlabel() == "against  ←  score  →  for"


@pytest.mark.parametrize("top", [0, 1.5, True])
def test_a_strange_top_is_refused(top):
    with pytest.raises(InputError, match="expected an integer of at least 1 for top, got"):
        explanation().plot(top=top)


def test_the_overview_shows_the_picture_and_every_target():
    one = explanation()
    figure = overview(one)
    first, tabby, cock = figure.axes[:3]
    np.testing.assert_array_equal(first.images[0].get_array(), one.picture)
    np.testing.assert_array_equal(tabby.images[-1].get_array(), one.heatmap(281))
    np.testing.assert_array_equal(cock.images[-1].get_array(), one.heatmap(7))


def named(masking, seed):
    return explanation(
        picture=np.full((16, 16, 3), 99),
        scores=np.random.default_rng(seed).normal(size=(2, 4)),
        settings=replace(SETTINGS, masking=masking),
    )


def test_a_comparison_has_a_row_for_each_target_and_a_column_for_each_masking():
    columns = [named("black", 1), named("grey", 2), named("layer", 3)]
    figure = comparison(columns)
    shown, *panels = figure.axes
    np.testing.assert_array_equal(shown.images[0].get_array(), columns[0].picture)
    grid = np.array(panels).reshape(2, 3)
    assert [ax.get_title() for ax in grid[0]] == ["black-out", "grey-out", "layer masking"]
    assert [ax.get_ylabel() for ax in grid[:, 0]] == ["tabby & co <b>\n75.0%", "cock\n12.5%"]
    for row, target in enumerate((281, 7)):
        for ax, one in zip(grid[row], columns, strict=True):
            np.testing.assert_array_equal(ax.images[-1].get_array(), one.heatmap(target))


def test_a_comparison_draws_on_the_figure_that_it_is_given():
    figure = Figure()
    assert comparison([named("layer", 0)], figure) is figure
    assert len(figure.axes) == 1 + 2


def test_a_comparison_of_nothing_or_of_different_things_is_refused():
    with pytest.raises(InputError, match="expected at least one explanation, got none"):
        comparison([])
    with pytest.raises(InputError, match="expected explanations of the same picture"):
        comparison([explanation(0), explanation(1)])
    other = explanation(0, targets=(1, 2))
    with pytest.raises(InputError, match="expected one of the explained classes"):
        comparison([explanation(0), other])


def test_matplotlib_is_left_as_it_was():
    before = dict(mpl.rcParams)
    figure_bytes(overview(explanation()), ".png")
    comparison([explanation()])
    assert dict(mpl.rcParams) == before


def test_works_without_pyplot(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it raises from here on
    assert explanation()._repr_png_()
    assert comparison([explanation()]).axes


def test_obeys_style_sheets():
    with mpl.style.context("dark_background"):
        dark = overview(explanation())
    light = overview(explanation())
    assert dark.get_facecolor() != light.get_facecolor()


def test_svg_keeps_words_as_vectors_and_pictures_as_pixels():
    svg = figure_bytes(comparison([explanation()]), ".svg").decode()
    assert "<svg" in svg
    assert "<path" in svg
    assert svg.count("<image") >= 3


def test_a_comparison_draws_on_the_axes_that_it_is_given():
    columns = [named("grey", 1), named("layer", 2)]
    figure = Figure()
    given = figure.subplots(2, 3)
    assert comparison(columns, axes=given) is figure
    np.testing.assert_array_equal(given[0, 0].images[0].get_array(), columns[0].picture)
    assert not given[1, 0].images and not given[1, 0].axison
    for row, target in enumerate((281, 7)):
        for ax, one in zip(given[row, 1:], columns, strict=True):
            np.testing.assert_array_equal(ax.images[-1].get_array(), one.heatmap(target))
    with pytest.raises(InputError, match=r"expected 2x3 matplotlib Axes for axes, got 1x6: make them with"):
        comparison(columns, axes=Figure().subplots(1, 6, squeeze=False))
    with pytest.raises(InputError, match="expected either a figure or axes, got both"):
        comparison(columns, Figure(), given)


def test_the_overview_draws_on_the_axes_that_it_is_given():
    whole = Figure()
    part, _ = whole.subfigures(1, 2)
    given = part.subplots(1, 3)
    assert overview(explanation(), axes=given) is whole
    np.testing.assert_array_equal(given[1].images[-1].get_array(), explanation().heatmap(281))
    with pytest.raises(InputError, match="expected 3 or more matplotlib Axes for axes, got 2"):
        overview(explanation(), axes=given[:2])
    with pytest.raises(InputError, match="expected either a figure or axes, got both"):
        overview(explanation(), Figure(), given)


EVERY = (
    "import sys, numpy as np\n"
    "from xai_layermask import plots\n"
    "picture, presence = np.zeros((9, 9, 3), np.uint8), np.eye(9)\n"
    "drawn = [plots.curve([0, 1], np.eye(2)), plots.mask_shape_bars({'layer': ([0, 1], [1, 1])}),\n"
    "         plots.masked_picture(picture, presence), plots.rings(picture, presence, 2)[0]]\n"
    "for ax in drawn:\n"
    "    for suffix in ('.png', '.svg', '.pdf'):\n"
    "        assert plots.figure_bytes(ax.figure, suffix)\n"
)


def test_no_plot_needs_pyplot():
    program = EVERY + "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_no_plot_changes_the_settings_of_matplotlib():
    before = dict(mpl.rcParams)
    exec(EVERY, {})
    assert dict(mpl.rcParams) == before
