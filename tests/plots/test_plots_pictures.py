"""What is absent is seen to be absent, and what stood there is gone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from xai_layermask.errors import InputError
from xai_layermask.plots import figure_bytes, masked_picture

RNG = np.random.default_rng(2)
PICTURE = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)
PRESENCE = RNG.random((12, 17)) < 0.5


@pytest.mark.parametrize(
    "presence",
    [PRESENCE, PRESENCE.astype(float), torch.from_numpy(PRESENCE), torch.from_numpy(PRESENCE)[None, None].float()],
)
def test_absent_pixels_are_transparent_above_a_checkerboard(presence):
    ax = masked_picture(PICTURE, presence)
    board, picture = (np.asarray(image.get_array()) for image in ax.images)
    np.testing.assert_array_equal(picture[PRESENCE][:, :3], PICTURE[PRESENCE])
    np.testing.assert_array_equal(picture[..., 3], np.where(PRESENCE, 255, 0))
    assert len(np.unique(picture[~PRESENCE][:, :3])) == 1  # no colour of a hidden pixel can shine through
    assert ax.images[0].get_zorder() < ax.images[1].get_zorder()
    assert (board[1:] != board[:-1]).all() and (board[:, 1:] != board[:, :-1]).all()
    assert ax.images[0].get_extent() == ax.images[1].get_extent()


def test_the_same_picture_as_any_kind():
    tensor = torch.from_numpy(PICTURE.transpose(2, 0, 1) / 255.0)
    one, other = (masked_picture(what, PRESENCE).images[-1].get_array() for what in (PICTURE, tensor))
    np.testing.assert_array_equal(one, other)


def test_rendered_pixels_show_the_board_where_the_picture_is_absent():
    ax = Figure(figsize=(2.4, 2.4), dpi=100).add_axes((0, 0, 1, 1))
    half = np.zeros((24, 24), bool)
    half[:, :12] = True
    masked_picture(np.full((24, 24, 3), (200, 10, 10), np.uint8), half, ax)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    assert (pixels[5:-5, 5:110] == (200, 10, 10)).all()
    right = pixels[5:-5, 130:-5]
    assert (np.ptp(right, axis=2) == 0).all()  # greys
    assert len(np.unique(right)) >= 2


def test_draws_on_the_axes_that_it_is_given_and_without_ticks():
    left, right = Figure().subplots(1, 2)
    assert masked_picture(PICTURE, PRESENCE, right) is right
    assert not left.images
    assert not right.get_xticks().size
    assert b"<image" in figure_bytes(right.figure, ".svg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((PICTURE, PRESENCE[1:]), r"expected presence of the picture's size \(12, 17\), got \(11, 17\)"),
        ((PICTURE, np.ones((2, 1, 12, 17))), r"expected presence of the picture's size"),
        ((PICTURE, PRESENCE / 2), "expected only 0 and 1 in presence, got other values"),
        (("no.png", PRESENCE), "expected an existing file for image, got"),
        ((PICTURE, PRESENCE, Figure()), "expected matplotlib Axes for ax, got Figure"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(InputError, match=message):
        masked_picture(*arguments)
