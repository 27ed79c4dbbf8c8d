"""Figures show what the scores say, on whatever axes they are given, and leave matplotlib as it was."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from explained import SETTINGS, explanation
from matplotlib.figure import Figure

from xai_layermask.errors import InputError
from xai_layermask.plots import colormap, comparison, draw, figure_bytes, overview

SCORES = [[3.0, -1.0, 0.0, 0.5], [0, 0, 0, 1]]


def heat(ax):
    """The image of the scores, whatever lies above and below it."""
    (image,) = [image for image in ax.images if image.get_array().ndim == 2]
    return image


def pixels(ax):
    """What the scores look like without the photograph: RGBA `(H, W, 4)`."""
    image = heat(ax)
    colours = image.cmap(image.norm(image.get_array()))
    colours[..., 3] = image.get_alpha()
    return colours


def composed(ax):
    """What the layers of an overlay look like together: RGB `(H, W, 3)`."""
    shown = np.ones(3)
    for image in ax.images:
        layer = pixels(ax) if image is heat(ax) else np.asarray(image.get_array())
        opacity = layer[..., 3:]
        shown = layer[..., :3] * opacity + shown * (1 - opacity)
    return shown


def test_orange_is_for_and_blue_is_against_and_nothing_is_white():
    colours = pixels(draw(explanation(scores=[[1.0, -1.0, 0.0, 0.5], [0, 0, 0, 1]])))
    speaks_for, against, nothing, half = colours[0, 0], colours[0, 8], colours[8, 0], colours[8, 8]
    assert speaks_for[0] > 1.5 * speaks_for[1] > 3 * speaks_for[2]
    assert against[2] > 1.5 * against[1] > 3 * against[0]
    assert nothing[:3].min() > 0.95
    assert (np.sort([nothing, half, speaks_for], axis=0)[1] == half).all()


def test_the_scale_is_symmetric_about_zero():
    assert heat(draw(explanation(scores=SCORES))).get_clim() == (-3, 3)


def test_colours_do_not_depend_on_how_bright_the_photograph_is():
    dark, bright = (draw(explanation(picture=np.full((16, 16, 3), value), scores=SCORES)) for value in (0, 255))
    np.testing.assert_allclose(composed(dark), composed(bright), atol=0.01)


def test_the_overlay_matches_its_bar():
    """On a photograph with detail: within a tenth of the bar's colour on average, and of its very hue."""
    one = explanation(scores=SCORES)
    shown, bar = composed(draw(one)), colormap()((np.array(SCORES[0]) + 3) / 6)[:, :3]
    for segment, colour in enumerate(bar):
        mean = shown[one.segments == segment].mean(axis=0)
        np.testing.assert_allclose(mean, colour, atol=0.1)
        np.testing.assert_allclose(mean / mean.sum(), colour / colour.sum(), atol=1e-6)


def test_the_photograph_shows_through_as_shades():
    flat, striped = np.full((16, 16, 3), 128), np.full((16, 16, 3), 128)
    striped[::4] = 255
    ranges = [np.ptp(composed(draw(explanation(picture=one, scores=SCORES)))[:8, :8]) for one in (flat, striped)]
    assert ranges[1] > ranges[0] + 0.05


def test_top_colours_only_the_strongest():
    ax = draw(explanation(scores=[[3.0, -5.0, 1.0, 0.5], [0, 0, 0, 1]]), top=2)
    np.testing.assert_array_equal(np.unique(heat(ax).get_array()), [-5, 0, 3])


@pytest.mark.parametrize(("sign", "shown", "ends"), [
    ("both", [-1, 0, 0.5, 3], (-3, 3)), ("positive", [0, 0.5, 3], (0, 3)), ("negative", [-1, 0], (-1, 0)),
])  # fmt: skip
def test_sign_selects_scores_and_the_part_of_the_bar(sign, shown, ends):
    ax = draw(explanation(scores=SCORES), sign=sign, scale="own")
    np.testing.assert_array_equal(np.unique(heat(ax).get_array()), shown)
    assert ax.figure.axes[1].get_xlim() == ends


def test_targets_share_a_scale_unless_each_has_its_own():
    one = explanation(scores=[[3.0, -1.0, 0.0, 0.5], [0, 0, 0, -0.25]])
    shared, own = overview(one), overview(one, scale="own")
    assert [heat(ax).get_clim() for ax in shared.axes[1:3]] == [(-3, 3), (-3, 3)]
    assert [heat(ax).get_clim() for ax in own.axes[1:3]] == [(-3, 3), (-0.25, 0.25)]
    assert [ax.get_xlabel() for ax in shared.axes[1:3]] == ["largest score 3", "largest score \N{MINUS SIGN}0.25"]
    assert (len(shared.axes), len(own.axes)) == (4, 5)  # with colour bars
    assert heat(draw(one, target=7)).get_clim() == (-3, 3)
    assert heat(draw(one, target=7, scale="own")).get_clim() == (-0.25, 0.25)


def test_maskings_share_a_scale_unless_each_has_its_own():
    columns = [named("grey", 1, 1.0), named("layer", 2, 0.01)]
    most = max(abs(one.scores).max() for one in columns)
    figure = comparison(columns)
    assert {heat(ax).get_clim() for ax in figure.axes[1:5]} == {(-most, most)}
    (bar,) = figure.axes[5:]
    assert [label.get_text() for label in bar.get_xticklabels()] == [f"\N{MINUS SIGN}{most:.2g}", "0", f"{most:.2g}"]
    own = comparison(columns, scale="own")
    assert [heat(ax).get_clim()[1] for ax in own.axes[1:5]] == [
        abs(one.scores[row]).max() for row in (0, 1) for one in columns
    ]
    assert len(own.axes) == 1 + 4 + 4


def test_a_comparison_can_be_limited_to_the_best_segments():
    columns = [named("grey", 1), named("layer", 2)]
    for ax, one in zip(comparison(columns, top=2).axes[1:3], columns, strict=True):
        assert np.count_nonzero(heat(ax).get_array()) == 2 * 64
        assert np.abs(heat(ax).get_array()).max() == np.abs(one.scores[0]).max()


def test_vmax_sets_the_scale_and_the_bar_shows_that_scores_exceed_it():
    ax = draw(explanation(scores=SCORES), vmax=2)
    assert heat(ax).get_clim() == (-2, 2)
    bar = ax.figure.axes[1]
    assert [label.get_text() for label in bar.get_xticklabels()] == ["\N{MINUS SIGN}2", "0", "2"]
    assert len(bar._colorbar.ax.patches) == 1  # the arrow at the upper end


def test_another_colour_map():
    assert heat(draw(explanation(), cmap="PuOr")).cmap.name == "PuOr"
    assert heat(draw(explanation(), cmap=mpl.colormaps["PRGn"])).cmap.name == "PRGn"
    with pytest.raises(
        InputError, match="expected a colour map of matplotlib for cmap, got 'PurOr': for example 'PuOr'"
    ):
        draw(explanation(), cmap="PurOr")


def test_the_heatmap_has_the_colours_of_the_bar_and_the_borders_of_segments():
    ax = draw(explanation(scores=SCORES), style="heatmap")
    np.testing.assert_allclose(composed(ax)[0, 0], colormap()(1.0)[:3])
    lines = sorted(line.tolist() for line in ax.collections[-1].get_segments())
    assert lines == [[[-0.5, 7.5], [15.5, 7.5]], [[7.5, -0.5], [7.5, 15.5]]]


@pytest.mark.parametrize("style", ["outlines", "top"])
def test_lines_surround_the_strongest_segments(style):
    one = explanation(scores=SCORES)
    ax = draw(one, style=style, top=2)
    colours = {tuple(lines.get_edgecolor()[0]) for lines in ax.collections if len(lines.get_segments())}
    assert colours == {(1, 1, 1, 1), colormap()(0.0), colormap()(1.0)}
    shown = ax.images[0].get_array()
    same = (shown == one.picture).all(axis=2)
    assert same[one.segments < 2].all()
    assert same[one.segments > 1].all() == (style == "outlines")


def test_twenty_segments_are_outlined_by_default():
    one = explanation(segments=np.arange(256).reshape(16, 16), scores=np.arange(1, 513).reshape(2, 256),
                      standard_errors=np.ones((2, 256)))
    shown = draw(one, style="top").images[0].get_array()
    assert (shown == one.picture).all(axis=2).sum() == 20


def below(figure):
    """The caption, whatever its line breaks."""
    return " ".join(figure.get_supxlabel().split())


class Unsure:
    """An explanation with standard errors."""

    def __init__(self, one, errors, reliability=None):
        self._one, self.standard_errors = one, np.asarray(errors)
        self.reliability = np.full(2, np.nan) if reliability is None else reliability

    def __getattr__(self, name):
        return getattr(self._one, name)


def test_scores_whose_interval_contains_0_are_pale():
    one = Unsure(explanation(scores=SCORES), [[1.0, 1.0, 1.0, 0.2], [1, 1, 1, 1]])
    ax = draw(one)
    assert [heat(ax).get_alpha()[one.segments == segment].max() for segment in range(4)] == [1, 0.25, 0.25, 1]
    assert (heat(draw(explanation(scores=SCORES))).get_alpha() == 1).all()
    assert "pale: the 95 % interval contains 0" in below(overview(one))
    assert "interval" not in below(overview(explanation()))


def test_scores_whose_interval_contains_0_are_hatched_in_a_heatmap():
    one = Unsure(explanation(scores=SCORES), [[1.0, 1.0, 1.0, 0.2], [1, 1, 1, 1]])
    ax = draw(one, style="heatmap")
    (hatched,) = [found for found in ax.collections if getattr(found, "hatches", None)]
    (path,) = [path for path in hatched.get_paths() if len(path.vertices)]
    assert [path.contains_point(point) for point in [(3, 3), (12, 3), (3, 12), (12, 12)]] == [False, True, False, False]
    assert (heat(ax).get_alpha() == 1).all()
    assert "hatched: the 95 % interval contains 0" in below(comparison([one], style="heatmap"))


def test_the_caption_says_how_scores_were_computed():
    assert below(overview(explanation())) == (
        "LIME, layer masking; 4 segments; 50 samples; probability (softmax of the outputs)"
    )
    both = comparison([named("grey", 1), named("layer", 2)])
    assert below(both) == "LIME; 4 segments; 50 samples; probability (softmax of the outputs)"
    missing = explanation(played=np.array([True, True, True, False]))
    assert below(overview(missing)).startswith("LIME, layer masking; 3 segments; ")


def test_the_caption_fits_the_figure():
    figure = overview(explanation(output="a long text about what is explained, " * 5))
    figure.draw_without_rendering()
    extent = figure._supxlabel.get_window_extent()
    assert figure._supxlabel.get_text().count("\n") >= 2
    assert 0 <= extent.x0 < extent.x1 <= figure.bbox.width


def test_draws_on_the_axes_that_it_is_given_and_returns_them():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert explanation().plot(ax=right, target="cock") is right
    assert not left.images
    assert right.get_title() == "cock 12.5%"
    np.testing.assert_array_equal(heat(right).get_array(), explanation().heatmap("cock"))


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
    assert (pixels(ax)[..., :3] > 0.95).all()


def test_a_colorbar_has_numbers_and_can_be_left_out():
    (ax,) = explanation(scores=SCORES).plot(colorbar=False).figure.axes
    assert ax.get_xlabel() == "largest score 3"
    bar = explanation(scores=SCORES).plot().figure.axes[1]
    assert [label.get_text() for label in bar.get_xticklabels()] == ["\N{MINUS SIGN}3", "0", "3"]
    assert bar.get_xlabel() == "against  ←  score  →  for"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style": "overlays"}, "expected one of overlay, heatmap, outlines, top for style, got 'overlays'"),
        ({"scale": "common"}, "expected one of shared, own for scale, got 'common'"),
        ({"sign": "+"}, "expected one of both, positive, negative for sign, got '\\+'"),
        ({"vmax": 0}, "expected a number above 0 for vmax, got 0"),
    ],
)
def test_a_strange_option_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        explanation().plot(**options)


@pytest.mark.parametrize("top", [0, 1.5, True])
def test_a_strange_top_is_refused(top):
    with pytest.raises(InputError, match="expected an integer of at least 1 for top, got"):
        explanation().plot(top=top)


def test_the_overview_shows_the_picture_and_every_target():
    one = explanation()
    figure = overview(one)
    first, tabby, cock = figure.axes[:3]
    np.testing.assert_array_equal(first.images[0].get_array(), one.picture)
    np.testing.assert_array_equal(heat(tabby).get_array(), one.heatmap(281))
    np.testing.assert_array_equal(heat(cock).get_array(), one.heatmap(7))


@pytest.mark.parametrize("scale", ["shared", "own"])
@pytest.mark.parametrize("drawing", [overview, lambda one, scale: comparison([one, one], scale=scale)])
def test_the_picture_is_level_with_the_panels_beside_it(drawing, scale):
    figure = drawing(explanation(), scale=scale)
    figure.draw_without_rendering()
    picture, *panels = (ax.get_position() for ax in figure.axes[:3])
    for panel in panels:
        assert (panel.y0, panel.y1) == pytest.approx((picture.y0, picture.y1), abs=1e-3)


def named(masking, seed, scale=1.0):
    return explanation(
        picture=np.full((16, 16, 3), 99),
        scores=np.random.default_rng(seed).normal(size=(2, 4)) * scale,
        settings=replace(SETTINGS, masking=masking),
    )


def test_a_comparison_has_a_row_for_each_target_and_a_column_for_each_masking():
    columns = [named("black", 1), named("grey", 2), named("layer", 3)]
    figure = comparison(columns)
    shown, *panels, _ = figure.axes
    np.testing.assert_array_equal(shown.images[0].get_array(), columns[0].picture)
    grid = np.array(panels).reshape(2, 3)
    assert [ax.get_title() for ax in grid[0]] == ["black-out", "grey-out", "layer masking"]
    assert [ax.get_ylabel() for ax in grid[:, 0]] == ["tabby & co <b>\n75.0%", "cock\n12.5%"]
    for row, target in enumerate((281, 7)):
        for ax, one in zip(grid[row], columns, strict=True):
            np.testing.assert_array_equal(heat(ax).get_array(), one.heatmap(target))


def test_a_comparison_draws_on_the_figure_that_it_is_given():
    figure = Figure()
    assert comparison([named("layer", 0)], figure) is figure
    assert len(figure.axes) == 1 + 2 + 1


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
            np.testing.assert_array_equal(heat(ax).get_array(), one.heatmap(target))
    with pytest.raises(InputError, match=r"expected 2x3 matplotlib Axes for axes, got 1x6: make them with"):
        comparison(columns, axes=Figure().subplots(1, 6, squeeze=False))
    with pytest.raises(InputError, match="expected either a figure or axes, got both"):
        comparison(columns, Figure(), given)


def test_the_overview_draws_on_the_axes_that_it_is_given():
    whole = Figure()
    part, _ = whole.subfigures(1, 2)
    given = part.subplots(1, 3)
    assert overview(explanation(), axes=given) is whole
    np.testing.assert_array_equal(heat(given[1]).get_array(), explanation().heatmap(281))
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
