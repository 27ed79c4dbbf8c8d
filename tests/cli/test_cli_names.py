"""The names of the command line are those of the modules that know them."""

from __future__ import annotations

import dataclasses

import pytest

from xai_layermask.cli import names
from xai_layermask.dataset import LAYOUTS
from xai_layermask.experiments.protocols import PROTOCOLS
from xai_layermask.experiments.report import PARTS
from xai_layermask.explain.subject import _PRECISIONS
from xai_layermask.explain.surrogate import METHODS
from xai_layermask.maskings import NAMES
from xai_layermask.models.loading import _KINDS
from xai_layermask.segments import segment


def test_names_are_those_that_are_known():
    assert sorted(names.MASKINGS) == sorted(NAMES)
    assert sorted(names.PRECISIONS) == sorted(_PRECISIONS)
    assert ("auto", *LAYOUTS) == names.LAYOUTS
    assert names.MODELS == _KINDS
    assert {name: method.schemes for name, method in METHODS.items()} == names.METHODS
    assert set(names.SAMPLINGS) == {"auto"}.union(*names.METHODS.values())


def test_torchvision_has_the_classifiers_that_are_suggested():
    models = pytest.importorskip("torchvision.models")
    assert {"resnet18", "vgg16"} <= set(names.TORCHVISION) <= set(models.list_models(module=models))


def test_protocols_and_their_settings_are_those_that_are_known():
    settings = {name: tuple(field.name for field in dataclasses.fields(one)) for name, one in PROTOCOLS.items()}
    assert settings == names.SETTINGS
    assert list(names.SETTINGS) == list(PARTS)


def test_every_segmentation_cuts_a_picture():
    from xai_layermask.images import sample_photograph

    picture = sample_photograph()[:112, :112]
    assert all(segment(picture, name).shape == (112, 112) for name in names.SEGMENTS)


def test_what_others_call_a_name_leads_to_a_name():
    known = {*names.DEVICES, *names.PRECISIONS, *names.METHODS, *names.MODELS, *names.SEGMENTS}
    assert set(names.ALIASES.values()) <= known
    assert not set(names.ALIASES) & known
