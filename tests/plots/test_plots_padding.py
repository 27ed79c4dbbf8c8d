"""Rings are drawn where loops fill them, with the numbers that loops find."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from xai_layermask.errors import InputError
from xai_layermask.plots import figure_bytes, rings

RNG = np.random.default_rng(4)
X = RNG.normal(size=(7, 9))
PRESENCE = np.zeros((7, 9), bool)
PRESENCE[2:4, 1:3] = PRESENCE[6, 8] = True


def filled(rounds, x=X):
    """The map after some rounds, and what is known then."""
    y, known = naive.neighbor_padding(x[None, None], PRESENCE[None, None], rounds)
    return y[0, 0], known[0, 0]


def outlined(ax):
    """The cells inside the outlines: how many lines are to the left of a cell, odd or even."""
    inside = np.zeros(PRESENCE.shape, bool)
    for (x0, y0), (x1, y1) in ax.collections[-1].get_segments() if ax.collections else ():
        if x0 == x1:
            rows = slice(round(min(y0, y1) + 0.5), round(max(y0, y1) + 0.5))
            inside[rows, round(x0 + 0.5) :] ^= True
    return inside


@pytest.mark.parametrize("rounds", [3, (1, 3), (2,)])
def test_panels_show_what_is_known_after_their_round(rounds):
    panels = rings(X, PRESENCE, rounds)
    after = (0, *(range(1, rounds + 1) if isinstance(rounds, int) else rounds))
    assert [ax.get_title() for ax in panels] == ["present", *(f"round {count}" for count in after[1:])]
    before = PRESENCE
    for ax, count in zip(panels, after, strict=True):
        values, known = filled(count)
        shown = ax.images[-1].get_array()
        np.testing.assert_array_equal(~np.ma.getmaskarray(shown), known)
        np.testing.assert_allclose(shown[known], values[known])
        np.testing.assert_array_equal(outlined(ax), known & ~before)
        before = known
    assert len({ax.images[-1].get_clim() for ax in panels}) == 1


@pytest.mark.parametrize(("x", "style"), [(X, ".1g"), (np.abs(X * 10).round() + 1, ".3g"), (X * 1e3, ".0f")])
def test_small_maps_have_their_numbers_and_large_ones_have_none(x, style):
    (_, ax) = rings(x, PRESENCE, 1)
    values, known = filled(1, x)
    written = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in ax.texts}
    assert written == {(i, j): f"{values[i, j]:{style}}" for i, j in np.argwhere(known)}
    assert not any(panel.texts for panel in rings(np.zeros((11, 3)), np.eye(11, 3), 1))


@pytest.mark.parametrize("scale", [1, 10, 100, 900])
@pytest.mark.parametrize("side", [4, 7, 10])
def test_numbers_fit_into_their_cells(scale, side):
    x = np.random.default_rng(side).normal(size=(side, side)) * scale
    (_, ax) = rings(x, np.eye(side), 1)
    ax.figure.draw_without_rendering()
    cell = ax.get_window_extent().width / side
    assert max(text.get_window_extent().width for text in ax.texts) < 1.2 * cell


def test_numbers_are_readable_on_their_cells():
    (ax, _) = rings(np.linspace(0, 1, 10).reshape(1, 10), np.ones((1, 10)), 1)
    for text, value in zip(ax.texts, np.linspace(0, 1, 10), strict=True):
        light = np.dot(ax.images[-1].cmap(value)[:3], [0.299, 0.587, 0.114])
        assert abs(light - (text.get_color() == "white")) > 0.4


def test_a_picture_is_filled_in_colour():
    picture = RNG.integers(0, 256, (*PRESENCE.shape, 3), dtype=np.uint8)
    for what in (picture, torch.from_numpy(picture.transpose(2, 0, 1) / 255.0)):
        (_, ax) = rings(what, torch.from_numpy(PRESENCE), (2,))
        shown = np.asarray(ax.images[-1].get_array())
        for channel in range(3):
            values, known = filled(2, picture[..., channel].astype(float))
            np.testing.assert_array_equal(shown[..., 3] == 255, known)
            np.testing.assert_array_equal(shown[known][:, channel], values[known].round())
    assert not ax.texts


def test_absent_cells_are_never_read():
    one, other = rings(X, PRESENCE, 2), rings(np.where(PRESENCE, X, np.nan), PRESENCE, 2)
    for ax, bx in zip(one, other, strict=True):
        assert np.ma.allequal(ax.images[-1].get_array(), bx.images[-1].get_array())


def test_nothing_present_is_all_board():
    for ax in rings(X, np.zeros_like(PRESENCE), 2):
        assert np.ma.getmaskarray(ax.images[-1].get_array()).all()
    assert figure_bytes(ax.figure, ".png")


def test_draws_on_the_axes_that_it_is_given_and_turns_off_the_rest():
    given = Figure().subplots(2, 2)
    panels = rings(X, PRESENCE, 2, axes=given)
    assert list(panels) == list(given.ravel()[:3])
    assert not given[1, 1].axison and all(ax.images for ax in panels)
    assert figure_bytes(given[0, 0].figure, ".svg").count(b"<image") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, PRESENCE, 0), "expected an integer of at least 1 or an increasing sequence for rounds, got 0"),
        ((X, PRESENCE, (2, 1)), r"expected an increasing sequence of integers for rounds, got \(2, 1\)"),
        ((X, PRESENCE, (0, 1)), "expected an integer .* for rounds"),
        ((X, PRESENCE, True), "expected an integer .* for rounds"),
        ((X, PRESENCE, 1.5), "expected an integer .* for rounds"),
        ((X[None, None], PRESENCE, 1), r"expected one channel \(H, W\) or a picture .* choose a channel, as in x\[0"),
        ((X.astype(str), PRESENCE, 1), "expected one channel"),
        ((np.where(PRESENCE, np.inf, 0), PRESENCE, 1), "expected finite numbers in the present cells of x"),
        ((X, PRESENCE.T, 1), "expected presence of the picture's size"),
        ((X, PRESENCE, 3, Figure().subplots(1, 3)), r"expected 4 or more matplotlib Axes for axes, got 3"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(InputError, match=message):
        rings(*arguments)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_map_of_a_model_in_low_precision(dtype):
    values, presence = torch.arange(12.0).view(3, 4), torch.eye(3, 4)
    expected = rings(values, presence, 1)
    found = rings(values.to(dtype).requires_grad_(), presence.to(dtype), 1)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.images[-1].get_array().filled(-1), other.images[-1].get_array().filled(-1))
