"""`xai-layermask evaluate`, from words to a store and what is said about it."""

from __future__ import annotations

import json

import pytest
from faked import dataset

from xai_layermask.cli.evaluate import run
from xai_layermask.cli.parser import parse
from xai_layermask.errors import InputError
from xai_layermask.experiments import Store
from xai_layermask.experiments.protocols import Robustness

WORDS = ("robustness", "--data", ".", "--model", "faked:tiny", "--segments", "patches:8", "--maskings", "black,layer",
         "--set", "orders=random", "--set", "fractions=0,.5,1", "--device", "cpu")  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of pictures to work in, one of them missing."""
    monkeypatch.chdir(tmp_path)
    items = dataset(tmp_path, "a.png", "b.png").items
    lines = [f"{item.name},{item.label}" for item in items]
    (tmp_path / "labels.csv").write_text("\n".join(["image,class_index", *lines, "gone.png,1"]))
    return tmp_path


def parsed(*words):
    return parse(["evaluate", *words])


def said(capsys, *words):
    assert run(parsed(*words)) == 0
    return capsys.readouterr()


def test_it_fills_a_store_and_says_what_was_left_out(folder, capsys):
    out, err = said(capsys, *WORDS)
    assert out == (
        "robustness with 2 pictures: 4 trials to do (16 forward passes), 0 already in the store\n"
        "4 trials written to results.db\n"
    )
    assert err.count("\n") == 1
    assert err.startswith("left out: ")
    assert "gone.png" in err
    with Store("results.db", create=False) as store:
        found = [(unit.picture, unit.masking, [row["fraction"] for row in rows]) for unit, rows in store.rows()]
        assert [json.loads(trial.settings) for trial in store.trials()] == [
            {"orders": ["random"], "fractions": [0, 0.5, 1]}
        ] * 4
    assert found == [(name, masking, [0, 0.5, 1]) for masking in ("black", "layer") for name in ("a.png", "b.png")]
    assert "0 trials to do (0 forward passes), 4 already in the store\n0 trials written" in said(capsys, *WORDS).out


def test_json_and_quiet(folder, capsys):
    answer = json.loads(said(capsys, *WORDS, "--json", "--limit", "1").out)
    assert answer.pop("skipped")
    assert answer == {
        "protocol": "robustness", "settings": {"orders": ["random"], "fractions": [0, 0.5, 1]}, "store": "results.db",
        "units": 2, "passes": 8, "done": 0, "pictures": 1, "written": 2, "elsewhere": 0, "problems": [],
    }  # fmt: skip
    assert said(capsys, *WORDS, "--quiet").out == ""


def test_a_dry_run_makes_nothing(folder, capsys, monkeypatch):
    monkeypatch.setattr("xai_layermask.experiments.runner.duration._SECONDS", 0.01)
    before = sorted(path.name for path in folder.iterdir())
    out = said(capsys, *WORDS, "--dry-run").out.splitlines()
    assert out[0] == "robustness with 2 pictures: 4 trials to do (16 forward passes), 0 already in the store"
    assert out[1].startswith("about ")
    assert out[1].endswith(" s with 1 worker, as measured on this machine")
    assert sorted(path.name for path in folder.iterdir()) == before
    said(capsys, *WORDS, "--limit", "1")
    answer = json.loads(said(capsys, *WORDS, "--dry-run", "--json").out)
    assert (answer["units"], answer["done"], answer["passes"]) == (2, 2, 8)
    assert answer["seconds"] > 0
    with Store("results.db") as store:
        assert len(store) == 2


def test_weights_and_preprocessing_are_for_the_model_that_is_named(folder, capsys):
    more = ["--maskings", "black", "--segments", "patches:4", "--limit", "1"]
    said(capsys, *WORDS, *more, "--model", "faked:tiny,faked:other", "--preprocess", "faked:other=caffe,crop=8")
    with Store("results.db") as store:
        rows = {unit.model: found for unit, found in store.rows()}
    assert {name: found[0]["segments_count"] for name, found in rows.items()} == {"faked:tiny": 16, "faked:other": 4}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--weights", "lite=x.pt"], r"expected one of faked:tiny for the model of --weights, got 'lite'"),
        (["--weights", "x.pt"], r"expected NAME=VALUE for --weights, got 'x.pt'"),
        (["--weights", "faked:tiny=x.pt"], r"expected an existing file for --weights, got 'x\.pt'"),
        (["--preprocess", "faked:tiny=caffee"], r"expected one of .* for preprocess.* did you mean 'caffe'"),
        (["--set", "orders"], r"expected NAME=VALUE for --set, got 'orders'"),
        (["--set", "orders=salient"], r"expected one value of 'orders' for --set, got 2"),
        (["--set", "order=random"], r"for --set of robustness, got 'order': did you mean 'orders'"),
        (["--strict"], r"gone.png"),
        (["--data", "nowhere"], r"expected an existing folder for data, got 'nowhere'"),
        (["--store", "nowhere/results.db"], r"expected an existing folder for store, got .*nowhere'"),
    ],
)
def test_wrong_words_are_told(folder, words, sentence):
    with pytest.raises(InputError, match=sentence):
        run(parsed(*WORDS, *words))


def test_an_unknown_protocol_is_told(folder):
    with pytest.raises(InputError, match=r"expected one of robustness, .* for PROTOCOL, got 'robust': did you mean"):
        run(parsed("robust", *WORDS[1:]))


PAPER = ("paper", "--data", ".", "--model", "faked:tiny", "--maskings", "black,layer", "--device", "cpu")


def test_a_table_of_the_paper_runs_what_it_needs(folder, capsys):
    out = said(capsys, *PAPER, "--table", "4,9", "--segments", "patches:8", "--limit", "1").out.splitlines()
    assert out[0].startswith("table 4, table 9: four curves of ResNet-50 while segments are removed; four")
    assert out[1] == "robustness with 1 picture: 2 trials to do (60 forward passes), 0 already in the store"
    with Store("results.db") as store:
        trials = list(store.trials())
    assert {trial.settings for trial in trials} == {Robustness().settings()}
    assert {trial.masking for trial in trials} == {"black", "layer"}
    # A figure of the same protocol finds the trials of the table.
    more = ["--figure", "4", "--segments", "patches:8", "--limit", "1"]
    answer = json.loads(said(capsys, *PAPER, *more, "--json").out)
    assert answer["undone"] == ["figure 4: the orders salient and least, which need object masks"]
    assert [(one["part"], one["units"], one["done"]) for one in answer["parts"]] == [("figure 4", 0, 2)]


def test_what_needs_masks_is_named_and_the_rest_is_done(folder, capsys):
    for path in folder.glob("*_mask*"):
        path.unlink()
    words = ["--figure", "4,6", "--segments", "patches:8", "--limit", "1"]
    out, err = said(capsys, *PAPER, *words)
    assert "figure 4" in out and "2 trials written" in out and "figure 6:" not in out
    assert "not done: figure 4: the orders salient and least, which need object masks" in err
    assert "not done: figure 6: expected pictures with object masks for mask-shape, got none" in err
    with pytest.raises(InputError, match="expected pictures with object masks for mask-shape, got none"):
        run(parsed(*PAPER, "--figure", "7"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([*PAPER, "--table", "14"], r"expected one of 1, 2, .*, 13 for --table, got '14'"),
        ([*PAPER, "--figure", "5"], r"expected one of 4, 6, .* for --figure, got '5'"),
        ([*PAPER, "--set", "k=3"], r"expected no --set for paper, got 'k': evaluate the protocol by its name"),
        ([*WORDS, "--table", "4"], r"expected paper as PROTOCOL for --table and --figure, got 'robustness'"),
    ],
)
def test_wrong_parts_are_told(folder, words, sentence):
    with pytest.raises(InputError, match=sentence):
        run(parsed(*words))
