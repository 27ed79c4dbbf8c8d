"""A curve is the mean of its pictures with a band that loops over resamples confirm."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from matplotlib.colors import same_color, to_hex
from matplotlib.figure import Figure

from xai_layermask.errors import InputError
from xai_layermask.plots import curve, figure_bytes
from xai_layermask.plots.style import styles_of

X = [0.0, 0.5, 1.0]
VALUES = np.random.default_rng(1).random((30, 3))


def band(ax):
    """The lower and the upper line of the last band."""
    points = ax.collections[-1].get_paths()[0].vertices
    return [[[found(points[points[:, 0] == x, 1])] for x in X] for found in (min, max)]


def resampled(values, level, seed=0, times=4000):
    """What means of resampled pictures do, one resample after another."""
    generator = np.random.default_rng(seed)
    means = [values[generator.integers(len(values), size=len(values))].mean(0) for _ in range(times)]
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_line_is_the_mean_and_the_band_the_bootstrap_interval(level):
    ax = curve(X, VALUES, level=level)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), np.column_stack([X, VALUES.mean(0)]))
    low, high = (np.ravel(one) for one in band(ax))
    np.testing.assert_allclose([low, high], resampled(VALUES, level, seed=9), atol=0.02)


def test_a_wider_level_is_a_wider_band():
    (low, high), (lower, higher) = (band(curve(X, VALUES, level=level)) for level in (0.5, 0.99))
    assert (np.subtract(higher, lower) > 1.5 * np.subtract(high, low)).all()


def test_a_seed_makes_two_drawings_the_same():
    one, other, third = (band(curve(X, VALUES, seed=seed)) for seed in (3, 3, 4))
    assert one == other != third


def test_several_on_the_same_axes():
    left, right = Figure().subplots(1, 2)
    assert curve(X, VALUES, right, label="layer") is right
    curve(X, VALUES / 2, right, label="mine")
    curve(X, VALUES / 3, right, label="yours")
    assert not left.has_data()
    assert [line.get_label() for line in right.lines] == ["layer masking", "mine", "yours"]
    colours = [line.get_color() for line in right.lines]
    assert same_color(colours[0], styles_of(["layer"])["layer"].colour)
    assert len(set(colours)) == 3
    for line, area in zip(right.lines, right.collections, strict=True):
        assert same_color(line.get_color(), area.get_facecolor()[0, :3])


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("labels", [("layer", "mine", "grey"), ("mine", "layer", "yours", "black")])
def test_no_two_lines_have_one_colour(style, labels):
    with matplotlib.style.context(style):
        ax = None
        for label in labels:
            ax = curve(X, VALUES, ax, label)
        assert len({to_hex(line.get_color()) for line in ax.lines}) == len(labels)


def test_without_a_label_there_is_none():
    assert curve(X, VALUES).get_legend_handles_labels() == ([], [])


def test_a_missing_number_leaves_its_picture_out():
    values = np.array([[1.0, 0.0, np.nan], [0.0, 0.0, 0.25]])
    assert curve(X, values).lines[0].get_ydata().tolist() == [0.5, 0.0, 0.25]


def test_one_picture_has_no_band():
    ax = curve(X, [[1.0, 0.5, 0.0]])
    assert ax.lines[0].get_ydata().tolist() == [1.0, 0.5, 0.0]
    assert not any(len(path.vertices) for one in ax.collections for path in one.get_paths())
    assert figure_bytes(ax.figure, ".svg")


def test_style_sheets_are_obeyed():
    with matplotlib.style.context("dark_background"):
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
        assert curve(X, VALUES, label="mine").lines[0].get_color() == cycle[0]
    with mpl.rc_context({"lines.linewidth": 7.0}):
        assert curve(X, VALUES).lines[0].get_linewidth() == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, VALUES[0]), r"expected values \(n, 3\), a row for each picture and a column for each x, got \(3,\)"),
        ((X, VALUES.T), r"got \(3, 30\): pass a single curve as values\[None\]"),
        ((X, VALUES[:0]), r"expected values \(n, 3\)"),
        (([], VALUES), r"expected a non-empty vector of finite numbers for x"),
        (([0.0, np.nan, 1.0], VALUES), r"expected a non-empty vector of finite numbers for x"),
        ((X, [[1, 2], [3]]), r"expected an array of numbers for values, got list"),
        (("abc", VALUES), r"expected an array of numbers for x, got str"),
        ((X, VALUES, None, None, 95), r"expected a fraction between 0 and 1 for level, got 95"),
        ((X, VALUES, "ax"), r"expected matplotlib Axes for ax, got str"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(InputError, match=message):
        curve(*arguments)


def test_masked_elements_of_a_curve_are_refused():
    with pytest.raises(InputError, match="expected an array without masked elements for values, got 1 masked ones"):
        curve([0, 1], np.ma.masked_equal([[0.5, 9.0]], 9.0))
