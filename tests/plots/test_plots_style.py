"""A masking has one style in every figure, whatever is drawn beside it."""

from __future__ import annotations

import matplotlib.style
import pytest

from xai_layermask.catalog import MASKINGS
from xai_layermask.plots.style import masking_style, styles_of


@pytest.mark.parametrize("sheet", ["default", "ggplot", "dark_background"])
@pytest.mark.parametrize("others", [(), ("mine",), ("mine", "yours", *reversed(MASKINGS))])
def test_a_masking_has_one_style(sheet, others):
    with matplotlib.style.context(sheet):
        for masking in MASKINGS:
            assert styles_of([*others, masking])[masking] == masking_style(masking)


def test_maskings_differ_in_colour_and_marker():
    styles = styles_of(MASKINGS).values()
    assert len({style.colour for style in styles}) == len({style.marker for style in styles}) == len(MASKINGS)


def test_other_series_take_colours_that_no_masking_in_the_figure_has():
    styles = styles_of(["road", "one", "inpaint", "two", "mean", "three"])
    assert len({style.colour for style in styles.values()}) == 6
    assert masking_style("one") is None
