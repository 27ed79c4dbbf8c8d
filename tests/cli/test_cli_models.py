"""Models on the command line: where they are looked for, what they print and raise, their labels and preprocessing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xai_layermask.cli import main
from xai_layermask.cli.inputs import add_working_directory

ROOT = Path(__file__).parents[2]
FACTORY = """
import torch
from torch import nn
from xai_layermask.models import Classifier
from xai_layermask.images import Preprocess

print("imported")

class Talking(nn.Module):
    def forward(self, x):
        print("forward")
        return x

def body(channels=3):
    return [nn.Conv2d(channels, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)]

def make():
    torch.manual_seed(0)
    return Classifier(nn.Sequential(*body(), Talking()), Preprocess(32, 32), ("ant", "bee", "cow"), "tiny")

def bare():
    return Classifier(nn.Sequential(*body()), Preprocess(32, 32), (), "tiny")

def five_channels():
    return Classifier(nn.Sequential(*body(5)), Preprocess(32, 32), (), "tiny")

def fixed_size():
    return Classifier(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 3)), Preprocess(32, 32), (), "tiny")

class Failing(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error
    def forward(self, x):
        raise self.error

def raising():
    return Classifier(Failing(KeyError("weights")), Preprocess(32, 32), (), "tiny")

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def mute():
    return Classifier(Failing(Mute()), Preprocess(32, 32), (), "tiny")

class Siamese(nn.Module):
    def forward(self, x, other):
        return (x - other).mean((2, 3))

def two_inputs():
    return Classifier(Siamese(), Preprocess(32, 32), (), "tiny")

def on_meta():
    with torch.device("meta"):
        return bare()

def never():
    raise AssertionError("the model was loaded")
"""
FAST = ["--segments", "patches:8", "--samples", "30"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a module of models and a data set of one picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # the commands add the folder to it
    monkeypatch.delitem(sys.modules, "own_models", raising=False)
    (tmp_path / "own_models.py").write_text(FACTORY)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    (tmp_path / "labels.csv").write_text("image,class_index\nphoto.png,1\n")
    return tmp_path


def refused(capsys, *words):
    """The one sentence on stderr with which a command refuses."""
    capsys.readouterr()
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    sentence = err.splitlines()[-1]
    assert sentence.startswith("xai-layermask: ")
    return sentence


# --- models that do not take the picture ---

FAILURES = {
    "five_channels": r"takes an image of shape (1, 3, 32, 32), got RuntimeError (Given groups=1, weight of size [6",
    "fixed_size": "takes an image of shape (1, 3, 32, 32), got RuntimeError (mat1 and mat2 shapes cannot be multiplied",
    "raising": "got KeyError ('weights') in own_models.py, line 35 (raise self.error): check size, channels and number",
    "mute": "got Mute (Mute) in own_models.py, line 35 (raise self.error): check size, channels and number type",
    "two_inputs": "expected the further input other of the model, got only an image",
    "on_meta": "a model with values for model 'own_models:on_meta', got parameters on the meta device: build it on",
}


@pytest.mark.parametrize(("name", "words"), FAILURES.items(), ids=FAILURES)
@pytest.mark.parametrize("command", ["explain", "compare", "evaluate"])
def test_a_model_that_cannot_take_the_picture_is_named(folder, capsys, command, name, words):
    model = ["--model", f"own_models:{name}"]
    if command == "evaluate":
        options = ["robustness", "--data", ".", "--segments", "patches:16", "--maskings", "grey", *model]
    else:
        options = ["photo.png", *model, *FAST]
    # Only the explainer knows how a picture of other channels is read.
    if name == "five_channels" and command != "evaluate":
        words = "expected an image of 5 channels, which the model takes, got 3: pass a raster of 5 bands"
    assert words in refused(capsys, command, *options)


@pytest.mark.parametrize("masking", ["grey", "layer"])
def test_check_and_every_masking_say_the_same(folder, capsys, masking):
    said = refused(capsys, "explain", "photo.png", "--model", "own_models:fixed_size", "--masking", masking, *FAST)
    assert said == refused(capsys, "check", "own_models:fixed_size")


# --- what the user's module prints ---


@pytest.mark.parametrize("command", [["explain", "photo.png", *FAST], ["compare", "photo.png", *FAST]])
def test_what_a_module_prints_does_not_precede_the_document(folder, capsys, command):
    assert main([*command, "--model", "own_models:make", "--json"]) == 0
    out, err = capsys.readouterr()
    json.loads(out)
    assert {"imported", "forward"} <= set(err.split())


def test_what_a_module_prints_in_check_and_evaluate(folder, capsys):
    assert main(["check", "own_models:make", "--json"]) == 0
    json.loads(capsys.readouterr().out)
    words = ["robustness", "--data", ".", "--segments", "patches:16", "--maskings", "grey"]
    words += ["--model", "own_models:make"]
    for more in ([], ["--dry-run"]):
        assert main(["evaluate", *words, "--json", *more]) == 0
        json.loads(capsys.readouterr().out)


def test_workers_print_to_stderr(folder):
    words = ["robustness", "--data", ".", "--segments", "patches:16", "--maskings", "grey", "--jobs", "2", "--json"]
    command = [sys.executable, "-m", "xai_layermask", "evaluate", *words, "--model", "own_models:make"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert json.loads(done.stdout)["written"] > 0
    assert "forward" in done.stderr


# --- where modules are looked for ---


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("model", ["lite0", "own_models:bare"])
def test_a_file_does_not_stand_for_an_installed_package(folder, model):
    for name in ("efficientnet_lite_pytorch", "torch", "timm", "numpy", "json"):
        (folder / f"{name}.py").write_text("open('run', 'w').close()\nraise SystemExit(3)\n")
    if model == "lite0":
        pytest.importorskip("efficientnet_lite_pytorch")
    command = [sys.executable, "-m", "xai_layermask", "check", model, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not (folder / "run").exists()


def test_the_working_directory_is_for_factories_and_comes_last(folder):
    before = list(sys.path)
    add_working_directory(["lite0", "torchvision:resnet18", "timm:resnet18", f"hf:{folder}"])
    assert sys.path == before
    add_working_directory(["lite0", "own_models:make"])
    assert sys.path == [*before, str(folder)]


# --- preprocessing and labels ---


def predicted(capsys, *words):
    assert main(["explain", "photo.png", "--model", "own_models:bare", *FAST, "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "ant\nbee\n cow \n"),
        ("a.names", "\ufeffant\r\nbee\r\ncow"),
        ("a.csv", "ant\nbee\n\ncow\n"),
        ("a.csv", "class,name\n2,cow\n0,ant\n1,bee\n"),
        ("a.csv", "ant,0\nbee,1\ncow,2\n"),
        ("a.json", '["ant", "bee", "cow"]'),
        ("a.json", '{"0": "ant", "2": "cow", "1": "bee"}'),
        ("a.json", '{"0": ["n01", "ant"], "1": ["n02", "bee"], "2": ["n03", "cow"]}'),
    ],
)
def test_labels_of_a_file(folder, capsys, name, content):
    (folder / name).write_text(content, "utf-8", newline="")
    found = predicted(capsys, "--labels", name, "--target", "cow")["targets"]
    assert [(one["label"], one["index"]) for one in found] == [("cow", 2)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", "", "a name for each class in the file of labels, got 'a.txt' with something else"),
        ("a.txt", "ant\n\ncow", "a name for each class in the file of labels, got 'a.txt' with an empty name"),
        ("a.csv", "1,2,3\n4,5,6", "got 'a.csv' (expected one column of names, or two of indices and names)"),
        ("a.csv", "ant,bee\ncow,dog", "got 'a.csv' (expected a column of indices)"),
        ("a.csv", "0,ant\n2,bee\n3,cow", "expected the keys 0 to 2 for labels, got '0', '2', '3'"),
        ("a.json", '{"a": 3}', "a name for each class in the file of labels, got 'a.json' with something else"),
        ("a.json", "[" * 100_000, "expected a text, CSV or JSON file for labels, got 'a.json' ("),
        ("a.json", "{", "expected a text, CSV or JSON file for labels, got 'a.json' (Expecting property name"),
        ("a.txt", "ant\nbee", "expected one label for each of the model's 3 outputs for labels, got 2"),
    ],
)
def test_wrong_files_of_labels_are_named(folder, capsys, name, content, words):
    (folder / name).write_text(content)
    assert words in refused(capsys, "explain", "photo.png", "--model", "own_models:bare", *FAST, "--labels", name)


def test_binary_labels_are_named(folder, capsys):
    (folder / "a.txt").write_bytes(b"\xff\xfe\x00")
    assert "expected a text, CSV or JSON file for labels, got 'a.txt' ('utf-8' codec can't" in refused(
        capsys, "explain", "photo.png", "--model", "own_models:bare", *FAST, "--labels", "a.txt"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--labels", "gone.txt"], "expected an existing file for labels, got 'gone.txt'"),
        (["--weights", "gone.pt"], "expected an existing file for weights, got 'gone.pt'"),
        (["--preprocess", "cafe"], "expected one of imagenet, half, caffe for preprocess, got 'cafe': did you mean"),
        (["--labels", "a.txt", "--target", "cat"], "expected the name or index of a class for target, got 'cat'"),
        (["--labels", "a.txt", "--target", "7"], "expected an integer from 0 to 2 or a class name for target, got 7"),
        (["--out", "a.gif"], "for the suffix of 'a.gif', got '.gif'"),
    ],
)
def test_wrong_options_are_refused_before_the_model_is_loaded(folder, capsys, words, sentence):
    (folder / "a.txt").write_text("ant\nbee\ncow")
    assert sentence in refused(capsys, "explain", "photo.png", "--model", "own_models:never", *words)


def test_targets_of_named_models_are_refused_before_a_download(folder, capsys, monkeypatch):
    pytest.importorskip("torchvision")

    def refuse(*args, **kwargs):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    words = ["explain", "photo.png", "--model", "torchvision:resnet18", "--target", "tabbby"]
    assert "got 'tabbby': did you mean 'tabby'?" in refused(capsys, *words)


def test_preprocessing_is_changed(folder, capsys):
    settings = predicted(capsys, "--preprocess", "caffe,crop=24")["settings"]
    assert "24" in str(settings["preprocess"])
    assert "BGR" in str(settings["preprocess"])
    assert main(["compare", "photo.png", "--model", "own_models:bare", *FAST, "--preprocess", "crop=16", "--json"]) == 0
    capsys.readouterr()
    assert main(["check", "own_models:bare", "--preprocess", "crop=48"]) == 0
    assert capsys.readouterr().out.endswith("own_models:bare is supported at 1 x 3 x 48 x 48.\n")
