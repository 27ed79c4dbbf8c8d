"""Every masking under its name."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
from torch import nn

from xai_layermask.errors import InputError
from xai_layermask.images import Preprocess
from xai_layermask.maskings import NAMES, Fill, LayerMask, make


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def draw():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 16, 16, generator=generator), torch.rand(2, 1, 16, 16, generator=generator) < 0.5


EQUIVALENTS = {
    "layer": LayerMask,
    "layer-zero": lambda model: LayerMask(model, padding="zero"),
    "partial": lambda model: LayerMask(model, padding="partial"),
    "layer-until:1": lambda model: LayerMask(model, until="1"),
    "layer-threshold:0.6": lambda model: LayerMask(model, threshold=0.6),
    "grey": lambda model: Fill(model, "grey"),
    "road": lambda model: Fill(model, "road"),
    "(255,0,12.5)": lambda model: Fill(model, (255, 0, 12.5)),
    "( 1, 2, 3 )": lambda model: Fill(model, (1, 2, 3)),
}


@pytest.mark.parametrize("name", EQUIVALENTS)
def test_names_are_short_for(name):
    model, (x, presence) = network(), draw()
    assert torch.equal(make(name, model)(x, presence), EQUIVALENTS[name](model)(x, presence))


def test_every_name_makes_a_masking_of_its_own_that_keeps_its_name():
    model, (x, presence) = network(), draw()
    presence[..., 9:] = False  # so that some cells of the last map are absent
    answers = []
    for name in set(NAMES) - {"tokens"}:
        masking = make(name, model)
        assert masking.name == name
        assert masking.model is model
        assert torch.equal(masking(x), model(x))
        answers.append(masking(x, presence))
    assert len({tuple(answer.flatten().tolist()) for answer in answers}) == len(NAMES) - 1


def test_tokens_are_masked_in_a_transformer():
    model = nn.Sequential(network(), nn.MultiheadAttention(4, 1))
    assert isinstance(make("tokens", model), LayerMask)


def test_names_of_settings_are_made_again_by_their_name():
    model = network()
    for masking in (LayerMask(model, until="1"), Fill(model, (1, 2, 3.5)), LayerMask(model, padding="partial")):
        again = make(masking.name, model)
        x, presence = draw()
        assert again.name == masking.name
        assert torch.equal(again(x, presence), masking(x, presence))


def test_colours_get_the_preprocessing():
    x, presence = draw()
    plain = Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    shown = make("white", nn.Identity(), plain)(x, presence)
    torch.testing.assert_close(shown, torch.where(presence, x, 1.0))


def test_an_unknown_name():
    with pytest.raises(InputError, match=r"expected one of .* for masking, got 'layers': did you mean 'layer'"):
        make("layers", network())


def test_a_name_that_is_none():
    with pytest.raises(InputError, match=r"expected one of black, .* for masking, got None"):
        make(None, network())


@pytest.mark.parametrize("name", ["(red)", "(1;2;3)", "(-1,0,0)", "()", "(1,,2)"])
def test_colours_that_are_none(name):
    message = f"expected a colour (r,g,b) from 0 to 255 for masking, got {name!r}: for example '(255,0,0)'"
    with pytest.raises(InputError, match=re.escape(message)):
        make(name, network())


@pytest.mark.parametrize("name", ["(1,2)", "(1,2,256)", "(1,2,3,4)"])
def test_colours_of_the_wrong_length_or_size(name):
    with pytest.raises(InputError, match=r"expected a colour \(r,g,b\) from 0 to 255 for masking, got"):
        make(name, network())


def test_tokens_need_attention():
    message = "expected a transformer for masking 'tokens', got a model without attention: use 'layer'"
    with pytest.raises(InputError, match=message):
        make("tokens", network())


def test_until_a_module_that_there_is_not():
    with pytest.raises(InputError, match=r"expected one of 0, 1, .* for until, got '9'"):
        make("layer-until:9", network())


def test_a_threshold_asks_for_more_of_a_window():
    model, (x, presence) = network(), draw()
    masking = make("layer-threshold:0.6", model)
    assert masking.name == "layer-threshold:0.6"
    assert not torch.equal(masking(x, presence), make("layer", model)(x, presence))
    assert torch.equal(make("layer-threshold:0", model)(x, presence), make("layer", model)(x, presence))


@pytest.mark.parametrize("name", ["layer-threshold:2", "layer-threshold:nan", "layer-threshold:-1"])
def test_thresholds_that_are_none(name):
    message = f"expected layer-threshold:T with T from 0 to 1 for masking, got {name!r}: for example"
    with pytest.raises(InputError, match=re.escape(message)):
        make(name, network())


def test_the_name_of_any_settings_makes_them_again():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    model.add_module("a-soft", nn.ReLU())
    every = itertools.product(
        ("neighbor", "zero", "partial"), (None, "1", "a-soft"), (True, False), (0.0, 1e-05, 0.1234567891, 1 / 3, 1.0),
        (True, False), (True, False),
    )  # fmt: skip
    names = set()
    for options in every:
        masking = LayerMask(model, *options)
        again = make(masking.name, model)
        assert (again.settings, again.until, again.name) == (masking.settings, masking.until, masking.name)
        names.add(masking.name)
    assert len(names) == 3 * 3 * 2 * 5 * 2 * 2


@pytest.mark.parametrize("rgb", [(255, 0, 0), (0.00001, 123.456789, 1 / 3), (-0.0, 1.0, 2.5)])
def test_the_name_of_any_colour_makes_it_again(rgb):
    model = nn.Conv2d(3, 4, 3)
    assert make(Fill(model, rgb).name, model).rgb == rgb
