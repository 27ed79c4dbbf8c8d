from __future__ import annotations

import json

import pytest

from xai_layermask.cli import main
from xai_layermask.experiments.benchmark import EXPLANATIONS, FORWARDS, REFERENCE

MODEL = """
import torch

def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 5))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "benched.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_bench_prints_ratios_and_writes_them(folder, capsys):
    words = "bench --model benched:make --batch 2 --rounds 2 --samples 30 --segments patches:56 --json out.json"
    assert main(words.split()) == 0
    printed = capsys.readouterr().out
    found = json.loads((folder / "out.json").read_text())
    assert [one["name"] for one in found["forward"]] == list(FORWARDS)
    assert [one["name"] for one in found["explanations"]] == list(EXPLANATIONS)
    assert all(name in printed for name in (*FORWARDS, *EXPLANATIONS))
    ratios = {one["name"]: one["ratio"] for one in found["forward"]}
    assert ratios[REFERENCE] == 1
    assert min(ratios.values()) > 0
    memory = {one["name"]: one["memory"] for one in found["forward"]}
    assert memory[REFERENCE] in (1, None)
    assert found["segments"] == 16
    assert found["samples"] == 30


@pytest.fixture
def one_process(monkeypatch):
    """Memory is not measured: that takes a new process for each contender."""
    monkeypatch.setattr("xai_layermask.cli.bench._peak_memory", lambda setting, name, advance: None)


def test_bench_does_not_know_the_memory_of_a_process_that_was_killed(folder, capsys, monkeypatch):
    peaks = dict.fromkeys(FORWARDS, 3) | {REFERENCE: 2, "layer masking": None}
    monkeypatch.setattr("xai_layermask.cli.bench._peak_memory", lambda setting, name, advance: peaks[name])
    assert main("bench --model benched:make --batch 1 --rounds 1 --explanations 0 --json".split()) == 0
    found = json.loads(capsys.readouterr().out)
    memory = {one["name"]: one["memory"] for one in found["forward"]}
    assert memory == dict.fromkeys(FORWARDS, 1.5) | {REFERENCE: 1, "layer masking": None}


@pytest.mark.usefixtures("one_process")
def test_bench_without_explanations_is_quiet_when_told(folder, capsys):
    words = "bench --model benched:make --batch 1 --rounds 1 --explanations 0 --quiet --json out.json"
    assert main(words.split()) == 0
    assert capsys.readouterr().out == ""
    found = json.loads((folder / "out.json").read_text())
    assert found["explanations"] == []
    assert "overhead" not in found


@pytest.mark.usefixtures("one_process")
def test_bench_prints_json_and_nothing_else_where_no_file_is_named(folder, capsys):
    assert main("bench --model benched:make --batch 1 --rounds 1 --explanations 0 --json".split()) == 0
    out, err = capsys.readouterr()
    assert [one["name"] for one in json.loads(out)["forward"]] == list(FORWARDS)
    assert err == ""
    assert not list(folder.glob("*.json"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model benched:missing", "expected an importable function without arguments"),
        ("--rounds 0", "expected an integer of at least 1 for --rounds, got 0"),
        ("--segments slick", "did you mean 'slic'"),
        ("--json out.txt", "for the suffix of 'out.txt'"),
        ("--json nowhere/out.json", "expected a path in an existing folder for --json, got 'nowhere/out.json'"),
        ("benched:make", "bench takes only options, got 'benched:make'"),
        ("--device gpu", "did you mean 'cuda'"),
        ("--sample 3", "did you mean --samples"),
    ],
)
def test_bench_says_what_is_wrong(folder, capsys, words, message):
    assert main(["bench", *words.split()]) == 2
    assert message in capsys.readouterr().err
