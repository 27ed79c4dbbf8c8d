"""Panels show what a trace holds, and what is absent in it as missing."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from xai_layermask.errors import InputError
from xai_layermask.plots import activations, figure_bytes
from xai_layermask.trace import Activation, Trace

GENERATOR = torch.Generator().manual_seed(0)


def activation(channels, height, width):
    value = torch.randn(2, channels, height, width, generator=GENERATOR)
    presence = torch.rand(2, 1, height, width, generator=GENERATOR) < 0.5
    value = torch.where(presence, value, 0.0).requires_grad_()
    return Activation(value, presence, value)


TRACE = Trace({"stem": activation(4, 8, 10), "layer1": activation(6, 4, 5)}, None)


def test_paths_are_shown_letter_by_letter():
    (ax,) = activations(Trace({"a$b.c_d$": TRACE["stem"]}, None))
    assert ax.title._preprocess_math(ax.get_title())[0].startswith("a$b.c_d$\n")


@pytest.mark.parametrize(
    ("channels", "chosen"),
    [
        (None, lambda value, place: value.mean(0)),
        (2, lambda value, place: value[2]),
        ([1, 5], lambda value, place: value[[1, 5][place]]),
    ],
)
@pytest.mark.parametrize("image", [0, 1])
def test_panels_hold_the_chosen_channel_and_leave_absent_cells_out(channels, chosen, image):
    panels = activations(TRACE, channels=channels, image=image)
    for place, (ax, found) in enumerate(zip(panels, TRACE.values(), strict=True)):
        shown, mask = ax.images[-1].get_array(), found.presence[image, 0].numpy()
        np.testing.assert_array_equal(~np.ma.getmaskarray(shown), mask)
        expected = chosen(found.value[image].detach().double(), place).numpy()
        np.testing.assert_allclose(shown[mask], expected[mask])
        assert ax.images[-1].get_clim() == pytest.approx((expected[mask].min(), expected[mask].max()))
        assert ax.images[0].get_zorder() < ax.images[-1].get_zorder()
        assert ax.images[-1].cmap(np.ma.masked)[3] == 0


def test_titles_say_the_module_the_size_and_what_is_present():
    share = 100 * TRACE["layer1"].presence[0].float().mean().item()
    assert [ax.get_title() for ax in activations(TRACE)][1] == f"layer1\n6 x 4 x 5\n{share:.0f} % present"


def test_draws_on_the_axes_that_it_is_given():
    given = Figure().subplots(1, 3)
    assert list(activations(TRACE, given)) == list(given[:2])
    assert not given[2].axison
    assert b"<svg" in figure_bytes(given[0].figure, ".svg")


def test_nothing_present_is_all_board():
    nothing = Activation(torch.zeros(1, 2, 3, 3), torch.zeros(1, 1, 3, 3, dtype=torch.bool), torch.zeros(1, 2, 3, 3))
    (ax,) = activations(Trace({"": nothing}, None))
    assert np.ma.getmaskarray(ax.images[-1].get_array()).all()
    assert ax.get_title().startswith("the model\n")
    assert figure_bytes(ax.figure, ".png")


def test_the_colour_map_is_the_style_sheet_s():
    with mpl.rc_context({"image.cmap": "cividis"}):
        assert {ax.images[-1].cmap.name for ax in activations(TRACE)} == {"cividis"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 4}, "expected an integer from 0 to 3 for channels of 'stem', got 4"),
        ({"channels": [0]}, "expected one channel for each of 2 activations for channels, got 1"),
        ({"image": 2}, "expected an integer from 0 to 1 for image, got 2"),
        ({"axes": Figure().subplots(1, 1)}, "expected 2 or more matplotlib Axes for axes"),
        ({"axes": [1, 2]}, "expected 2 or more matplotlib Axes for axes, got int"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(InputError, match=message):
        activations(TRACE, **options)
    with pytest.raises(InputError, match="expected at least one activation in trace"):
        activations(Trace({}, None))
