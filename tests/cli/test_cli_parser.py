"""Words that the command line does not understand, and what it says about them before anything is loaded."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from xai_layermask.cli.parser import parse
from xai_layermask.cli.types import model
from xai_layermask.errors import InputError


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("chek", "got 'chek': did you mean 'check'?"),
        ("help", "got 'help': did you mean --help?"),
        ("--verison", "xai-layermask has no option --verison: did you mean --version?"),
        ("--quiet explain", "--quiet must follow a command: write xai-layermask explain --quiet"),
        ("explain --samples=9 --sed=1", "explain has no option --sed: did you mean --seed?"),
        ("explain --n-samples 9", "explain has no option --n-samples: did you mean --samples?"),
        ("compare --masking grey", "compare has no option --masking: did you mean --maskings?"),
        ("check lite0 --segments slic", "check has no option --segments: see xai-layermask check --help"),
        ("explain a.png b.png", "takes one IMAGE, got 'b.png' as well: see xai-layermask explain --help"),
        ("explain -- -a.png --top 2", "--top must precede --, after which all words are names of files"),
        ("bench lite0", "bench takes only options, got 'lite0': see xai-layermask bench --help"),
        ("explain --model", "expected a value for --model, got none: see xai-layermask explain --help"),
        ("check", "check requires MODEL: see xai-layermask check --help"),
        ("evaluate", "evaluate requires PROTOCOL and --data: see xai-layermask evaluate --help"),
        ("report results.db --json=x", "expected no value for --json, got 'x': see xai-layermask report --help"),
    ],
)
def test_a_word_out_of_place_is_told_in_one_sentence(words, sentence):
    with pytest.raises(InputError) as caught:
        parse(words.split())
    assert str(caught.value).endswith(sentence)


def test_a_file_whose_name_begins_with_a_dash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-dash.jpg").touch()
    with pytest.raises(InputError, match=r"explain has no option -dash.jpg: for the file, write ./-dash.jpg$"):
        parse(["explain", "-dash.jpg"])
    assert parse(["explain", "./-dash.jpg"]).image == "./-dash.jpg"
    assert parse(["explain", "--model", "lite1", "--", "-dash.jpg"]).image == "-dash.jpg"


@pytest.mark.parametrize(
    ("words", "option", "hint"),
    [
        ("explain --model lite9", "--model", "did you mean 'lite2'?"),
        ("explain --model Lite0", "--model", "did you mean 'lite0'?"),
        ("explain --model resnet50", "--model", "did you mean 'torchvision:resnet50' or 'timm:resnet50'?"),
        ("explain --model resnt18", "--model", "got 'resnt18': did you mean 'torchvision:resnet18'?"),
        ("explain --model ResNet50", "--model", "did you mean 'torchvision:resnet50'?"),
        ("explain --model torchvison:resnet50", "--model", "did you mean 'torchvision:resnet50'?"),
        ("explain --model torchvision:", "--model", "did you mean 'torchvision:NAME'?"),
        ("check lite7", "MODEL", "did you mean 'lite2'?"),
        ("explain --masking gray", "--masking", "did you mean 'grey'?"),
        ("explain --masking layer-until", "--masking", "did you mean 'layer-until:MODULE'?"),
        ("explain --masking layer-threshold:2", "--masking", "for example layer-threshold:0.3"),
        ("explain --masking 255,0,0", "--masking", "for example '(255,0,0)'"),
        ("explain --masking (1,2,300)", "--masking", "for example '(255,0,0)'"),
        ("compare --maskings black,laier", "--maskings", "did you mean 'layer'?"),
        ("compare --maskings ,", "--maskings", "commas for --maskings, got ',': see xai-layermask compare --help"),
        ("explain --method LIME", "--method", "did you mean 'lime'?"),
        ("explain --method kernelshap", "--method", "did you mean 'shap'?"),
        ("explain --sampling ortho", "--sampling", "did you mean 'orthogonal'?"),
        ("explain --method rise --samples 2", "--samples", "of method 'rise', got 2"),
        ("explain --method shap --sampling orthogonal", "--sampling", "of --method shap, got 'orthogonal'"),
        ("explain --segments slick", "--segments", "did you mean 'slic'?"),
        ("explain --segments superpixels", "--segments", "did you mean 'slic'?"),
        ("explain --segments patches:0", "--segments", "for example patches:16"),
        ("explain --segments quickshift:3", "--segments", "leave '3' out"),
        ("explain --precision float", "--precision", "did you mean 'float32'?"),
        ("explain --device gpu:1", "--device", "did you mean 'cuda'?"),
        ("explain --device cdua", "--device", "did you mean 'cuda'?"),
        ("explain --samples 1", "--samples", "or auto for --samples, got 1: see xai-layermask explain --help"),
        ("explain --samples " + "9" * 30, "--samples", "got a number of 30 digits: see xai-layermask explain --help"),
        ("explain --samples 1000001", "--samples", "got 1000001: see xai-layermask explain --help"),
        ("explain --seed " + "9" * 5000, "--seed", "got a number of 5000 digits: see xai-layermask explain --help"),
        ("compare --dpi 100000", "--dpi", "got 100000: see xai-layermask compare --help"),
        ("check lite0 --shape 1,3,99999,99999", "--shape", "got 1,3,99999,99999: see xai-layermask check --help"),
        ("check lite0 --shape 1,3,3," + "9" * 5000, "--shape", "see xai-layermask check --help"),
        ("explain --seed -1", "--seed", "of at least 0 for --seed, got '-1': see xai-layermask explain --help"),
        ("explain --top 0", "--top", "of at least 1 for --top, got 0: see xai-layermask explain --help"),
        ("check lite0 --shape 3,32,32", "--shape", "for --shape, got '3,32,32': see xai-layermask check --help"),
        ("evaluate colors --data .", "PROTOCOL", "did you mean 'colours'?"),
        ("evaluate lime --data . --layout imagefolders", "--layout", "did you mean 'imagefolder'?"),
        ("evaluate lime --data . --set sample=9", "--set", "did you mean 'samples'?"),
        ("evaluate lime --data . --set ablator=gray", "--set ablator", "did you mean 'grey'?"),
        ("evaluate mask-shape --data . --set k=9", "mask-shape, which has no settings", "got 'k'"),
        ("evaluate lime --data . --weights lite=x.pt", "the model of --weights", "did you mean 'lite0'?"),
        ("report results.db --protocol robust", "--protocol", "did you mean 'robustness'?"),
        ("completion bsh", "SHELL", "did you mean 'bash'?"),
    ],
)
def test_a_wrong_value_is_told_with_its_option_and_the_nearest_right_one(words, option, hint):
    with pytest.raises(InputError) as caught:
        parse(words.split())
    sentence = str(caught.value)
    assert re.search(rf" for {re.escape(option)}[ ,]", sentence)
    assert sentence.endswith(hint)


def test_a_module_of_the_users_own_is_no_misspelling(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=r"there is no module 'tim': did you mean 'timm:make'"):
        model("tim:make")
    (tmp_path / "tim.py").touch()
    assert model("tim:make") == "tim:make"


def test_wrong_words_are_told_without_waiting_for_torch():
    program = (
        "import sys; from xai_layermask.cli import main\n"
        "for words in ('explain --masking gray', 'evaluate lime --data . --set sample=3', 'bench --model lite9'):\n"
        "    assert main(words.split()) == 2\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'skimage', 'PIL', 'shtab'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("did you mean") == 3
