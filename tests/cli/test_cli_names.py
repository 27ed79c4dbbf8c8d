"""The names of the command line are those of the modules that know them."""

from __future__ import annotations

import dataclasses

from xai_layermask.cli import names
from xai_layermask.dataset import LAYOUTS
from xai_layermask.experiments.protocols import PROTOCOLS
from xai_layermask.experiments.report import PARTS


def test_names_are_those_that_are_known():
    assert ("auto", *LAYOUTS) == names.LAYOUTS


def test_protocols_and_their_settings_are_those_that_are_known():
    settings = {name: tuple(field.name for field in dataclasses.fields(one)) for name, one in PROTOCOLS.items()}
    assert settings == names.SETTINGS
    assert list(names.SETTINGS) == list(PARTS)
