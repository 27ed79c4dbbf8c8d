"""Damaged files are read, or refused with one sentence; nothing else happens."""

from __future__ import annotations

import random

import pytest

from xai_layermask.errors import InputError

from . import cases, sound
from .__main__ import campaign, table
from .cases import KINDS, run_case
from .mutate import bytes_mutated, json_mutated

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged files

COUNT = 301


@pytest.fixture(scope="module")
def outcomes():
    return campaign(COUNT)


def test_no_case_fails(outcomes):
    assert [(one.kind, one.seed, one.text) for one in outcomes if one.result == "failed"] == []
    assert len(outcomes) == COUNT and {one.kind for one in outcomes} == set(KINDS)


# Found by longer campaigns.
@pytest.mark.parametrize(("kind", "seed"), [("explanations (.json)", 5218), ("stores", 6858)])
def test_what_has_failed_once(kind, seed, tmp_path):
    outcome = run_case(kind, seed, tmp_path)
    assert outcome.result == "refused", outcome.text


def test_most_damage_is_noticed_and_some_is_harmless(outcomes):
    for kind in KINDS:
        results = [one.result for one in outcomes if one.kind == kind]
        assert results.count("refused") > 0.2 * len(results), kind
    assert any(one.result == "read" for one in outcomes)
    assert table(outcomes).splitlines()[-1].startswith(f"| all | {COUNT} | ")


@pytest.mark.parametrize("kind", KINDS)
def test_sound_files_are_read(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "bytes_mutated", lambda draw, content, other=b"": content)
    monkeypatch.setattr(cases, "json_mutated", lambda draw, value: value)
    monkeypatch.setattr(cases, "ODD", (3,))
    first = sound.pictures()[:1]
    monkeypatch.setattr(sound, "pictures", lambda: first)
    draw = random.Random(0)
    monkeypatch.setattr(draw, "random", lambda: 0.0)
    KINDS[kind](draw, tmp_path)


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (InputError.expected("a file", "none"), "refused"), (InputError("two\nlines, expected one"), "failed"),
        (ValueError("expected"), "failed"), (RecursionError(), "failed"), (AssertionError("wrong"), "failed"),
    ],
)  # fmt: skip
def test_what_counts_as_refused(monkeypatch, tmp_path, error, result):
    def case(draw, folder):
        raise error

    monkeypatch.setitem(KINDS, "pictures", case)
    assert run_case("pictures", 0, tmp_path).result == result


def test_mutations_change_something_and_are_the_same_for_a_seed():
    content, value = bytes(range(200)), sound.COCO
    assert sum(bytes_mutated(random.Random(seed), content) != content for seed in range(50)) > 40
    assert bytes_mutated(random.Random(1), content) == bytes_mutated(random.Random(1), content)
    assert sum(repr(json_mutated(random.Random(seed), value)) != repr(value) for seed in range(50)) > 40
