"""The colours of scores can be told apart whatever one's colour vision."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from xai_layermask.plots import colormap

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE
# Transactions on Visualization and Computer Graphics 15(6), 2009, table 1, severity 1.0; on linear RGB.
SIMULATED = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour, vision):
    """CIELAB of a colour of sRGB as someone with this colour vision sees it."""
    srgb = np.asarray(to_rgb(colour))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(SIMULATED[vision]) @ linear, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))


def distance(one, other, vision):
    """CIEDE2000."""
    return float(deltaE_ciede2000(lab(one, vision), lab(other, vision)))


@pytest.mark.parametrize("vision", SIMULATED)
def test_for_and_against_stay_apart(vision):
    """The ends by 49, scores of half the strength by 33. A just noticeable difference is about 1."""
    assert distance(colormap()(0.0), colormap()(1.0), vision) > 49
    assert distance(colormap()(0.25), colormap()(0.75), vision) > 33


@pytest.mark.parametrize("vision", SIMULATED)
def test_strength_is_seen_on_either_side(vision):
    """Equal steps of the score are similar steps of colour, and each is darker than the one before."""
    for side in (np.linspace(0.5, 1, 5), np.linspace(0.5, 0, 5)):
        colours = [colormap()(place) for place in side]
        steps = [distance(one, other, vision) for one, other in pairwise(colours)]
        assert min(steps) > 5
        lightness = [lab(colour, vision)[0] for colour in colours]
        assert (np.diff(lightness) < -5).all()


def test_the_check_sees_that_a_deuteranope_confuses_red_and_green():
    assert distance("#d71a29", "#0d943d", "normal") > 60
    assert distance("#d71a29", "#0d943d", "deuteranopia") < 10
