"""The command line, from words to files, tables and exit codes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import xai_layermask
from xai_layermask import Explanation, Preprocess
from xai_layermask.catalog import DEVICES, LAYOUTS, MASKINGS, METHODS, PRECISIONS, PROTOCOL_SETTINGS, SAMPLINGS
from xai_layermask.cli import main
from xai_layermask.cli.output import table
from xai_layermask.cli.parser import build, parse
from xai_layermask.viewer import page

FACTORY = """
import torch
from torch import nn
from xai_layermask.models import Classifier
from xai_layermask.images import Preprocess

def make():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    return Classifier(model, Preprocess(32, 32), ("ant", "bee", "cow"), "tiny")

class Odd(nn.Module):
    def forward(self, x):
        return torch.cumsum(x, 3).mean((2, 3))

def odd():
    return nn.Sequential(nn.Conv2d(3, 4, 3), Odd())

class Running(nn.Module):
    def forward(self, x):
        return torch.cumprod(x, 3)

def sequence():
    return nn.Sequential(nn.Conv2d(3, 4, 3), Running(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = make().model

    def forward(self, x):
        return {"species": self.net(x), "age": self.net(x)[:, :1] + 30}

def heads():
    return Classifier(Heads(), Preprocess(32, 32), (), "heads")

def buggy():
    raise KeyboardInterrupt
"""

FAST = ["--segments", "patches:8", "--samples", "30"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a module of models and a picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # the commands add the folder to it
    monkeypatch.delitem(sys.modules, "tiny_models", raising=False)
    (tmp_path / "tiny_models.py").write_text(FACTORY)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path


def run(capsys, *words):
    """The exit code, stdout and stderr of a command."""
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


def refused(capsys, *words):
    """The one sentence on stderr with which a command refuses."""
    code, out, err = run(capsys, *words)
    assert code == 2
    assert out == ""
    assert err.startswith("xai-layermask: ")
    assert err.count("\n") == 1
    return err


def test_nothing_heavy_is_imported_to_answer_help():
    program = (
        "import sys; from xai_layermask.cli import main; main(['explain', '--help']); main(['--version'])\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'skimage', 'sklearn', 'PIL', 'captum', 'lime'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--samples" in done.stdout


def test_module_runs_as_the_command():
    command = [sys.executable, "-m", "xai_layermask", "explian"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "xai-layermask: expected one of explain, compare, app, check, bench, evaluate, report, completion for command, "
        "got 'explian': did you mean 'explain'?\n"
    )


@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["explian"], 2)])
def test_a_process_without_stdout_ends_as_any_other(words, code):
    program = "import sys; sys.stdout = None; from xai_layermask.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_version_is_the_packages(capsys):
    assert run(capsys, "--version") == (0, f"xai-layermask {xai_layermask.__version__}\n", "")


def test_no_words_show_the_help_with_first_steps(capsys):
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    assert all(f"    {command} " in out for command in build()[1])
    assert "first steps:\n  xai-layermask explain " in out


def test_help_names_every_masking_method_and_precision(capsys):
    words = run(capsys, "explain", "--help")[1].replace("\n", " ").replace(",", " ").split()
    known = {*MASKINGS, *METHODS, *PRECISIONS, *SAMPLINGS, *DEVICES}
    assert not known - {word.strip("();") for word in words}
    assert not {*LAYOUTS, *PROTOCOL_SETTINGS} - set(run(capsys, "evaluate", "--help")[1].replace(",", " ").split())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("explain missing.jpg", "expected an existing file for image, got 'missing.jpg'"),
        ("explain photo.png --model nowhere:make", "an importable function without arguments for model 'nowhere:make'"),
        ("explain photo.png --target bea --model tiny_models:make", "did you mean 'bee'?"),
        ("explain photo.png --target 7 --model tiny_models:make", "expected an integer from 0 to 2 or a class name"),
        ("explain photo.png --device mps --model nowhere:make", "'auto' or an available device for device, got 'mps'"),
        ("explain photo.png --weights no.pt --model tiny_models:make", "existing file for weights, got 'no.pt'"),
        ("explain photo.png --out a.gif", "for the suffix of 'a.gif', got '.gif'"),
        ("explain photo.png --out nowhere/a.png", "an existing folder for --out, got 'nowhere/a.png'"),
        ("compare photo.png --out a.npz", "for the suffix of 'a.npz', got '.npz'"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(folder, capsys, words, sentence):
    assert sentence in refused(capsys, *words.split())


def test_explain_prints_tables_and_writes_every_kind_of_file(folder, capsys):
    names = ["a.png", "a.svg", "a.pdf", "a.html", "a.npz", "a.json"]
    words = ["explain", "photo.png", "--model", "tiny_models:make", *FAST, "--top", "2", "--out", *names]
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert all((folder / name).stat().st_size > 500 for name in names)
    loaded = Explanation.load("a.npz")
    lines = out.splitlines()
    assert lines[0].split() == ["prediction", "index", "probability", "reliability"]
    assert lines[1].split()[:3] == [
        loaded.labels[0], str(loaded.targets[0]), f"{loaded.probabilities[0]:.3f}"
    ]
    best = loaded.top(1)[0]
    first = lines[lines.index(next(line for line in lines if line.startswith("segment "))) + 1].split()
    interval = f"{1.96 * loaded.standard_errors[0, best]:.3f}"
    assert first[:5] == [str(best), f"{loaded.scores[0, best]:.3f}", "±", interval, "6.2%"]  # 1 of 4 x 4 patches
    assert f"Segments with the highest scores for {loaded.labels[1]}" in out
    assert lines[-6:] == [f"wrote {name}" for name in names]


def test_centres_of_segments_are_in_pixels_from_the_top_left(folder, capsys):
    words = ["explain", "photo.png", "--model", "tiny_models:make", *FAST, "--json"]
    segments = json.loads(run(capsys, *words)[1])["targets"][0]["segments"]
    where = {one["segment"]: (one["x"], one["y"]) for one in segments}
    assert where[1] == (12, 4)  # the second patch of the first row: columns 8 to 15, rows 0 to 7
    assert where[4] == (4, 12)


def test_output_and_select_say_what_is_explained(folder, capsys):
    words = ["explain", "photo.png", "--model", "tiny_models:make", *FAST, "--target", "bee", "--output", "logit"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    header, row = (line.split() for line in out.splitlines()[:2])
    assert header[:4] == ["prediction", "index", "logit", "probability"]
    image = Preprocess(32, 32)("photo.png").tensor
    with torch.no_grad():
        logits = sys.modules["tiny_models"].make().model.eval()(image)[0]
    assert row[:4] == ["bee", "1", f"{logits[1]:.3f}", f"{logits.softmax(0)[1]:.3f}"]
    assert "explained: logit, as the model returns it" in out
    heads = ["explain", "photo.png", "--model", "tiny_models:heads", *FAST, "--json", "--select"]
    record = json.loads(run(capsys, *heads, "age", "--output", "value")[1])
    assert (record["output"], record["settings"]["select"]) == ("the model's output as it is, from 'age'", "age")
    assert 25 < record["targets"][0]["prediction"] < 35
    assert record["targets"][0]["probability"] is None
    code, out, _ = run(capsys, "compare", "photo.png", "--model", "tiny_models:heads", *FAST, "--top", "1",
                       "--maskings", "grey,layer", "--select", "species", "--output", "probability")  # fmt: skip
    assert code == 0 and "explained: probability (softmax of the outputs)" in out
    assert "choose select of Output(...) from its keys 'species', 'age'" in refused(capsys, *heads[:-1])
    assert "did you mean 'log_odds'?" in refused(capsys, *words[:-1], "logodds")


def test_default_output_is_a_picture(folder, capsys):
    words = ["explain", "photo.png", "--model", "tiny_models:make", *FAST]
    assert run(capsys, *words)[1].endswith("wrote explanation.png\n")
    assert Image.open("explanation.png").width > 300
    assert run(capsys, *words)[0] == 0  # our own picture may be written over


def test_without_an_image_the_photograph_of_scikit_image_is_explained(folder, capsys):
    code, out, _ = run(capsys, "explain", "--model", "tiny_models:make", *FAST, "--json")
    assert code == 0
    assert json.loads(out)["image"] == "coffee"


def test_json_agrees_with_the_saved_explanation(folder, capsys):
    words = ["explain", "photo.png", "--model", "tiny_models:make", *FAST, "--target", "bee", "--target", "0"]
    code, out, _ = run(capsys, *words, "--json", "--out", "a.json")
    assert code == 0
    answer, loaded = json.loads(out), Explanation.load("a.json")
    assert [one["label"] for one in answer["targets"]] == ["bee", "ant"] == list(loaded.labels)
    assert answer["files"] == ["a.json"]
    for row, target in enumerate(answer["targets"]):
        scores = {one["segment"]: one["score"] for one in target["segments"]}
        assert scores == dict(enumerate(loaded.scores[row].tolist()))
        assert target["segments"] == sorted(target["segments"], key=lambda one: -one["score"])


def test_quiet_prints_nothing(folder, capsys):
    words = ["explain", "photo.png", "--model", "tiny_models:make", *FAST, "--quiet"]
    assert run(capsys, *words) == (0, "", "")
    assert (folder / "explanation.png").exists()


def test_same_seed_same_scores(folder, capsys):
    words = ["explain", "photo.png", "--model", "tiny_models:make", *FAST, "--json", "--seed"]
    first, again, other = (run(capsys, *words, seed)[1] for seed in ("3", "3", "4"))
    assert first == again
    assert json.loads(first)["targets"] != json.loads(other)["targets"]


def test_a_photograph_is_never_written_over(folder, capsys):
    before = (folder / "photo.png").read_bytes()
    # The image after --out reads as another file to write.
    sentence = refused(capsys, "explain", "--model", "tiny_models:make", *FAST, "--out", "a.npz", "photo.png")
    assert "got 'photo.png', which another program wrote: put IMAGE before --out" in sentence
    assert (folder / "photo.png").read_bytes() == before


def test_results_replace_earlier_ones_and_with_overwrite_anything(folder, capsys):
    files = ["a.png", "a.svg", "a.pdf", "a.html", "a.json", "a.npz"]
    words = ["explain", "photo.png", "--model", "tiny_models:make", *FAST, "--out", *files]
    assert run(capsys, *words)[0] == 0
    assert run(capsys, *words)[0] == 0
    for name in files:
        (folder / name).write_bytes(b"\x89PNG <?xml %PDF <!DOCTYPE html> {} PK of another program")
        assert f"got '{name}', which another program wrote" in refused(capsys, *words)
        assert run(capsys, *words, "--overwrite")[0] == 0
    (folder / "a.npz").write_bytes(b"")  # nothing is lost
    assert run(capsys, *words)[0] == 0


def test_what_a_model_prints_does_not_mix_with_the_document(folder, capsys):
    (folder / "talking.py").write_text("from tiny_models import make\nprint('hello from the module')\n")
    code, out, err = run(capsys, "explain", "photo.png", "--model", "talking:make", *FAST, "--json")
    assert code == 0 and json.loads(out)["image"] == "photo.png" and "hello from the module" in err


def test_compare_draws_a_column_for_each_masking(folder, capsys):
    words = ["compare", "photo.png", "--model", "tiny_models:make", *FAST, "--top", "2"]
    code, out, err = run(capsys, *words, "--maskings", "black,(255,0,0),layer")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split("  ")[-3:] == ["reliability black", "reliability (255,0,0)", "reliability layer"]
    assert len(out.split("\n\n")[0].splitlines()) == 3
    three = Image.open("comparison.png").size
    assert run(capsys, *words, "--maskings", "black,layer", "--out", "two.png")[0] == 0
    two = Image.open("two.png").size
    assert three[1] == two[1]
    assert three[0] > two[0]


def test_compare_writes_a_page_with_curves_and_agreement_with_a_mask(folder, capsys):
    mask = np.zeros((40, 50), np.uint8)
    mask[:20] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    words = ["compare", "photo.png", "--model", "tiny_models:make", *FAST, "--top", "1", "--maskings", "grey,layer"]
    words += ["--mask", "mask.png", "--out", "a.html", "--json"]
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    text = (folder / "a.html").read_text("utf-8")
    content = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert content["command"] == shlex.join(["xai-layermask", *words])
    assert [one["name"] for one in content["maskings"]] == ["grey-out", "layer masking"]
    found = json.loads(out)["maskings"]
    for name, one in zip(("grey", "layer"), content["maskings"], strict=True):
        scores = {each["segment"]: each["score"] for each in found[name]["targets"][0]["segments"]}
        assert one["scores"][0] == [scores[segment] for segment in sorted(scores)]
        measures = one["measures"][0]
        assert {"alignment", "jaccard"} < set(measures)
        assert measures["deletion"]["by"] == "grey-out"
        assert measures["deletion"]["x"][0] == 0 and measures["deletion"]["x"][-1] == 1
        # Nothing removed is the whole picture, whichever curve.
        assert measures["deletion"]["y"][0] == measures["insertion"]["y"][-1]
    Image.fromarray(mask[:5]).save(folder / "mask.png")
    assert "expected" in refused(capsys, *words)


def test_the_command_on_a_page_repeats_the_explanation(folder, capsys):
    words = ["explain", "photo.png", "--model", "tiny_models:make", *FAST, "--seed", "3", "--top", "2"]
    assert run(capsys, *words, "--method", "shap", "--masking", "grey", "--out", "a.npz")[0] == 0
    one = Explanation.load("a.npz")
    content = json.loads(re.search(r'id="data">(.*?)</script>', page(one, source="photo.png"))[1])
    assert run(capsys, *shlex.split(content["command"])[1:], "--out", "b.npz")[0] == 0
    again = Explanation.load("b.npz")
    assert (again.scores == one.scores).all()
    assert again.settings == one.settings


def test_compare_shows_as_many_predictions_as_there_are(folder, capsys):
    words = ["compare", "photo.png", "--model", "tiny_models:make", *FAST, "--top", "7", "--maskings", "black,layer"]
    code, out, err = run(capsys, *words)
    assert code == 0
    assert err.strip().endswith("--top 7: the model has 3")
    assert len(out.split("\n\n")[0].splitlines()) == 1 + 3


def test_a_mask_of_the_picture_is_cropped_where_the_model_sees_as_many_pixels(folder, capsys):
    Image.open(folder / "photo.png").resize((32, 32)).save(folder / "small.png")
    mask = np.full((32, 32), 255, np.uint8)
    mask[8:24, 8:24] = 0  # all that the model sees
    Image.fromarray(mask).save(folder / "mask.png")
    words = ["compare", "small.png", "--model", "tiny_models:make", *FAST, "--maskings", "grey,black", "--quiet"]
    words += ["--preprocess", "resize=64", "--mask", "mask.png", "--out", "a.html"]
    assert run(capsys, *words)[0] == 0
    content = json.loads(re.search(r'id="data">(.*?)</script>', (folder / "a.html").read_text("utf-8"))[1])
    assert [one["measures"][0]["alignment"] for one in content["maskings"]] == [None, None]


def test_a_mask_of_another_size_is_refused(folder, capsys):
    Image.fromarray(np.full((39, 50), 255, np.uint8)).save(folder / "mask.png")
    words = ["compare", "photo.png", "--model", "tiny_models:make", *FAST, "--maskings", "grey", "--out", "a.html"]
    assert run(capsys, *words, "--mask", "mask.png") == (
        2, "", "xai-layermask: expected a mask of the picture's size, 40 x 50, for --mask, got 39 x 50\n"
    )


@pytest.mark.parametrize("command", ["explain", "compare"])
def test_a_picture_is_decoded_once(folder, capsys, monkeypatch, command):
    opened = []

    def counted(path, *args, **kwargs):
        opened.append(path)
        return pil_open(path, *args, **kwargs)

    pil_open = Image.open
    monkeypatch.setattr(Image, "open", counted)
    assert run(capsys, command, "photo.png", "--model", "tiny_models:make", *FAST)[0] == 0
    assert len(opened) == 1


def test_compare_explains_the_same_targets_everywhere(folder, capsys):
    words = ["compare", "photo.png", "--model", "tiny_models:make", *FAST, "--json"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    columns = json.loads(out)["maskings"]
    assert list(columns) == ["black", "grey", "layer"]
    targets = [[one["index"] for one in column["targets"]] for column in columns.values()]
    assert targets[0] == targets[1] == targets[2]
    assert len(targets[0]) == 3
    assert not (folder / "comparison.png").exists()


def test_check_says_that_a_model_is_supported(folder, capsys):
    code, out, err = run(capsys, "check", "tiny_models:make")
    assert (code, err) == (0, "")
    assert ["aten.conv2d.default", "1", "yes"] in [line.split() for line in out.splitlines()]
    assert out.endswith("tiny_models:make is supported at 1 x 3 x 32 x 32.\n")


def test_check_names_what_is_missing_and_where(folder, capsys):
    code, out, err = run(capsys, "check", "tiny_models:sequence", "--shape", "1,3,16,16")
    assert code == 2
    assert "No support for aten.cumprod.default in:\n  1\n" in out
    assert "got none for aten.cumprod.default in tiny_models:sequence: add it" in err
    code, out, _ = run(capsys, "check", "tiny_models:odd", "--shape", "1,3,16,16", "--json")
    assert code == 2
    answer = json.loads(out)
    assert answer["unsupported"] == {"aten.cumsum.default": ["1"]}
    assert answer["masked_operators"]["aten.conv2d.default"] == "yes"
    assert answer["shape"] == [1, 3, 16, 16]


def test_check_is_quiet_when_told_and_the_code_says_all(folder, capsys):
    assert run(capsys, "check", "tiny_models:make", "--quiet") == (0, "", "")
    assert "none for aten.cumsum.default in tiny_models:odd" in refused(capsys, "check", "tiny_models:odd", "--quiet")


@pytest.mark.parametrize("words", ["check tiny_models:make", "check tiny_models:odd --shape 2,3,16,16"])
def test_check_captures_the_model_once(folder, capsys, monkeypatch, words):
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return torch_export(*args, **kwargs)

    torch_export = torch.export.export
    monkeypatch.setattr(torch.export, "export", counted)
    run(capsys, *words.split())
    assert len(calls) == 1


def test_check_downloads_no_weights(folder, capsys, monkeypatch):
    pytest.importorskip("torchvision")
    import torch.hub

    def refuse(*args, **kwargs):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    code, out, _ = run(capsys, "check", "torchvision:squeezenet1_1")
    assert code == 0
    assert out.endswith("supported at 1 x 3 x 224 x 224.\n")
    assert "did you mean 'torchvision:resnet18'?" in refused(capsys, "check", "torchvision:resnt18")


def test_an_unsupported_model_is_refused_before_anything_runs(folder, capsys):
    sentence = refused(capsys, "explain", "photo.png", "--model", "tiny_models:sequence", *FAST)
    assert "aten.cumprod.default in 1" in sentence


def test_interruption_and_mistakes_leave_no_traceback(folder, capsys, monkeypatch):
    assert run(capsys, "check", "tiny_models:buggy") == (130, "", "xai-layermask: interrupted\n")

    def broken(*args):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("xai_layermask.cli.check.architecture", broken)
    code, _, err = run(capsys, "check", "tiny_models:make")
    assert code == 1
    assert "internal error, ZeroDivisionError (division by zero)" in err
    monkeypatch.setenv("XAI_LAYERMASK_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["check", "tiny_models:make"])


def test_a_file_that_cannot_be_written_is_one_sentence(folder, capsys, monkeypatch):
    def full(self, path, **options):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Explanation, "save", full)
    sentence = refused(capsys, "explain", "photo.png", "--model", "tiny_models:make", *FAST)
    assert "No space left on device" in sentence


def test_maskings_are_split_at_commas_outside_parentheses():
    assert parse(["compare", "--maskings", "black, (1,2,3),layer"]).maskings == ["black", "(1,2,3)", "layer"]


def test_table_lines_up():
    assert table(("name", "x"), [("a", 1), ("bcdefg", 12)]).splitlines() == ["name     x", "a        1", "bcdefg  12"]
