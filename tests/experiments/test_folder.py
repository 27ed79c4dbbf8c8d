"""A folder of pictures becomes a folder of results that can be continued, and nothing of others is overwritten."""

from __future__ import annotations

import csv
import dataclasses
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import faked
import foldered
import numpy as np
import pytest
import torch

from xai_layermask import Explanation, Fill
from xai_layermask.cli.explain import run as run_command
from xai_layermask.cli.parser import parse
from xai_layermask.errors import InputError
from xai_layermask.experiments.folder import list_pictures
from xai_layermask.maskings import Calibrated
from xai_layermask.version import __version__


@pytest.fixture
def folder(tmp_path):
    foldered.paint(tmp_path / "in", "a.png", "b b.png", "sub/c.png")
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no picture")
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def table(out):
    with (out / "scores.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def times(out):
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.rglob("*.np*")}


def test_a_masking_from_a_file_that_has_changed_is_explained_again(tmp_path, out):
    foldered.paint(tmp_path / "in", "a.png")
    model = faked.tiny()
    seen = []
    for seed in (0, 0, 1):
        images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
        plain = Fill(model.model, "black", model.preprocess)
        Calibrated(plain, images, draws=1, patch=4, steps=2).save(tmp_path / "map.npz")
        how = foldered.recipe(masking=f"calibrated:{tmp_path / 'map.npz'}")
        summary = foldered.run(tmp_path / "in", out, how=how)
        seen.append((summary.written, summary.skipped))
    assert seen == [(1, 0), (0, 1), (1, 0)]


def test_every_picture_has_its_files_a_row_and_a_thumbnail(folder, out):
    summary = foldered.run(folder, out)
    assert (summary.written, summary.skipped, list(summary.problems)) == (3, 0, ["bad.jpg"])
    rows = table(out)
    assert [row["picture"] for row in rows] == ["a.png", "b b.png", "sub/c.png"]
    for row in rows:
        name = row["picture"]
        one = Explanation.load(out / "explanations" / f"{name}.npz")
        maps = np.load(out / row["heatmap"], allow_pickle=False)
        np.testing.assert_array_equal(maps[0], one.heatmap().astype(np.float32))
        assert float(row["reliability"]) == one.reliability[0]
        assert int(row["class_index"]) == one.targets[0]
        assert int(row["best_segment"]) == one.top(1)[0]
        assert row["written_by"] == f"xai-layermask {__version__}"
        assert (out / "heatmaps" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (out / "pages" / f"{name}.html").read_text().startswith("<!DOCTYPE html>")
    index = (out / "index.html").read_text()
    assert 'href="pages/b%20b.png.html"' in index
    assert "bad.jpg" in index
    assert not list(out.rglob("*.part"))


def test_several_targets_have_a_row_and_a_map_each(folder, out):
    foldered.run(folder, out, how=foldered.recipe(targets=("3", "1")))
    assert [row["class_index"] for row in table(out)] == ["3", "1"] * 3
    assert np.load(out / "heatmaps" / "a.png.npy").shape[0] == 2


def test_a_second_run_does_what_is_left(folder, out):
    foldered.run(folder, out)
    before, rows = times(out), table(out)
    (out / "pages" / "a.png.html").unlink()
    foldered.paint(folder, "d.png")
    summary = foldered.run(folder, out)
    assert (summary.written, summary.skipped) == (2, 2)  # the new picture, and the one that lacks a file
    after = times(out)
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {
        place for name in ("a.png", "d.png") for place in (f"explanations/{name}.npz", f"heatmaps/{name}.npy")
    }
    assert [row for row in table(out) if row["picture"] != "d.png"] == rows


def test_other_options_or_another_picture_are_explained_anew(folder, out):
    foldered.run(folder, out)
    foldered.paint(folder, "a.png", dark=True)
    assert foldered.run(folder, out).written == 1
    assert foldered.run(folder, out, how=foldered.recipe(n_samples=24)).written == 3
    assert {row["samples"] for row in table(out)} == {"24"}


def test_classes_with_other_names_are_explained_anew(folder, out, monkeypatch):
    foldered.run(folder, out)
    renamed = dataclasses.replace(faked.tiny(), labels=("cat", "dog", "fox", "owl"))
    monkeypatch.setattr(faked, "tiny", lambda: renamed)
    assert foldered.run(folder, out).written == 3
    assert {row["label"] for row in table(out)} <= {*renamed.labels}
    assert foldered.run(folder, out, how=foldered.recipe(labels=renamed.labels)).skipped == 3


def test_files_of_another_recipe_are_not_counted_as_finished(folder, out):
    ablation = foldered.recipe(method="ablation", n_samples="auto")
    foldered.run(folder, out)
    first = table(out)
    assert foldered.run(folder, out, how=ablation).written == 3
    assert foldered.run(folder, out).written == 3
    assert table(out) == first
    for row in first:
        assert Explanation.load(out / "explanations" / f"{row['picture']}.npz").settings.method == "lime"
    assert foldered.run(folder, out).skipped == 3


def test_a_picture_that_was_edited_and_restored_is_explained_anew(folder, out):
    before = (folder / "a.png").read_bytes()
    foldered.run(folder, out)
    kept = np.load(out / "heatmaps" / "a.png.npy")
    foldered.paint(folder, "a.png", dark=True)
    foldered.run(folder, out)
    (folder / "a.png").write_bytes(before)
    assert foldered.run(folder, out).written == 1
    np.testing.assert_array_equal(np.load(out / "heatmaps" / "a.png.npy"), kept)


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_a_run_that_ends_between_the_files_of_a_picture_leaves_it_unfinished(folder, out, allowed, monkeypatch):
    foldered.run(folder, out)
    replace, done = os.replace, []

    def stop(source, target):
        if len(done) == allowed:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        foldered.run(folder, out, how=foldered.recipe(method="ablation", n_samples="auto"))
    monkeypatch.undo()
    assert foldered.run(folder, out).written == 1
    assert Explanation.load(out / "explanations" / "a.png.npz").settings.method == "lime"


def test_names_may_be_as_long_as_the_disk_allows_and_longer_ones_are_left_out(folder, out):
    longest, too_long = f"{'x' * 246}.png", f"{'y' * 248}.png"
    foldered.paint(folder, longest, too_long)
    summary = foldered.run(folder, out)
    assert summary.written == 4
    assert sorted(summary.problems) == ["bad.jpg", too_long]
    assert summary.problems[too_long].startswith("expected a file that can be written in the folder, got ")
    assert summary.problems[too_long].endswith("(File name too long)")
    assert longest in [row["picture"] for row in table(out)]
    assert not [path for path in out.rglob("*") if path.name.startswith("y") or path.suffix == ".part"]
    (folder / "bad.jpg").unlink()
    with pytest.raises(InputError, match=r"^y+\.png: expected a file that can be written"):
        foldered.run(folder, out, strict=True)


def test_names_that_are_not_utf_8_are_left_out_and_named(folder, out):
    name = os.fsdecode(b"\xff.png")
    try:
        (folder / name).write_bytes((folder / "a.png").read_bytes())
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 only")
    summary = foldered.run(folder, out)
    assert summary.written == 3
    assert summary.problems[name] == r"expected a name in UTF-8, got '\udcff.png': rename the file"
    assert r"\udcff.png" in (out / "index.html").read_text("utf-8")


@pytest.mark.parametrize(("number", "ends"), [(errno.EACCES, False), (errno.ENOSPC, True)])
def test_a_picture_that_cannot_be_written_is_left_out_but_a_full_disk_ends_the_run(
    folder, out, number, ends, monkeypatch
):
    write = Path.write_bytes

    def refuse(path, content):
        if path.parent.name == "sub":
            raise OSError(number, os.strerror(number))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    if ends:
        with pytest.raises(InputError, match="No space left on device"):
            foldered.run(folder, out)
        return
    summary = foldered.run(folder, out)
    assert summary.written == 2
    assert "Permission denied" in summary.problems["sub/c.png"]
    monkeypatch.undo()
    assert (foldered.run(folder, out).written, len(table(out))) == (1, 3)


def test_a_number_that_is_the_name_of_a_class_means_that_class(folder, out):
    foldered.run(folder, out, how=foldered.recipe(labels=("a", "3", "b", "c"), targets=("3", "2")))
    assert [(row["class_index"], row["label"]) for row in table(out)] == [("1", "3"), ("2", "b")] * 3


def test_results_of_an_earlier_run_are_no_pictures(folder):
    found = list(list_pictures(folder, folder / "run1"))
    foldered.run(folder, folder / "run1")
    assert list(list_pictures(folder, folder / "run2")) == found
    with pytest.raises(InputError, match=r"expected pictures in the folder .* got none"):
        list_pictures(folder / "run1", folder / "run2")


def test_strict_ends_and_a_folder_without_good_pictures_is_an_error(folder, out):
    with pytest.raises(InputError, match=r"^bad\.jpg: expected"):
        foldered.run(folder, out, strict=True)
    for name in ("a.png", "b b.png", "sub/c.png"):
        (folder / name).unlink()
    with pytest.raises(InputError, match=r"at least one picture that can be explained, got 1 others, such as 'bad"):
        foldered.run(folder, out)


@pytest.mark.parametrize("kept", ["notes.txt", "scores.csv"])
def test_a_folder_of_others_is_refused(folder, out, kept):
    out.mkdir()
    (out / kept).write_text("mine")
    with pytest.raises(InputError, match=f"expected a new or empty folder.*which holds '{kept}'"):
        foldered.run(folder, out)
    assert [path.name for path in out.iterdir()] == [kept]


@pytest.mark.parametrize(
    "place", ["explanations/d.png.npz", "heatmaps/d.png.npy", "heatmaps/d.png.png", "pages/d.png.html", "scores.csv",
              "index.html"],
)
def test_a_file_of_others_in_the_folder_is_not_overwritten(folder, out, place):
    foldered.run(folder, out)
    foldered.paint(folder, "d.png")
    (out / place).write_text("mine")
    with pytest.raises(InputError, match=r"expected .* of an earlier run"):
        foldered.run(folder, out)
    assert (out / place).read_text() == "mine"


def test_pictures_are_found_but_neither_masks_nor_results(tmp_path):
    foldered.paint(tmp_path, "a.png", "a_mask.png", "only_mask.png", "out/x.png", ".hidden.png", "deep/b.PNG")
    (tmp_path / "labels.csv").write_text("image")
    assert list(list_pictures(tmp_path, tmp_path / "out")) == ["a.png", "deep/b.PNG", "only_mask.png"]
    with pytest.raises(InputError, match=r"expected pictures in the folder .* got none"):
        list_pictures(tmp_path / "out", tmp_path / "out")
    with pytest.raises(InputError, match="expected an existing folder of pictures"):
        list_pictures(tmp_path / "nowhere", tmp_path)


def test_killing_the_run_loses_nothing_that_was_finished(tmp_path, out):
    names = [f"{number:03}.png" for number in range(200)]
    foldered.paint(tmp_path / "in", *names)
    folders = [str(Path(foldered.__file__).parent), str(Path(foldered.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    run = subprocess.Popen([sys.executable, foldered.__file__, str(tmp_path / "in"), str(out)], env=environment)
    deadline = time.monotonic() + 120
    while len(list(out.glob("pages/*.html"))) < 5:
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    finished = len(list(out.glob("pages/*.html")))
    assert finished < 200
    for path in out.glob("explanations/*.npz"):
        Explanation.load(path)  # none is torn
    for name in names[finished + 3 :]:
        (tmp_path / "in" / name).unlink()
    before = times(out)
    summary = foldered.run(tmp_path / "in", out)
    assert summary.skipped >= finished - 1  # the last one may have been killed before its row
    assert summary.written + summary.skipped == finished + 3 == len(table(out))
    assert sum(times(out)[name] != then for name, then in before.items()) <= 2


def test_processes_share_the_work_and_a_deadly_picture_is_left_out(tmp_path, out):
    foldered.paint(tmp_path / "in", "a.png", "c.png")
    foldered.paint(tmp_path / "in", "b.png", dark=True)
    how = foldered.recipe("foldered:deadly")
    path = str(Path(foldered.__file__).parent)
    assert path in sys.path
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path + os.pathsep + os.environ.get("PYTHONPATH", ""))
        summary = foldered.run(tmp_path / "in", out, jobs=2, how=how)
    assert summary.problems == {"b.png": "its worker died twice: check the memory"}
    assert [row["picture"] for row in table(out)] == ["a.png", "c.png"]


def test_a_dask_cluster_does_the_same(folder, tmp_path, out):
    distributed = pytest.importorskip("distributed")
    foldered.run(folder, tmp_path / "here")
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster:
        summary = foldered.run(folder, out, scheduler=cluster.scheduler_address)
    assert (summary.written, list(summary.problems)) == (3, ["bad.jpg"])
    for one, other in zip(table(out), table(tmp_path / "here"), strict=True):
        assert one["picture"] == other["picture"]
        assert float(one["best_score"]) == pytest.approx(float(other["best_score"]), abs=1e-5)


WORDS = ("--model", "faked:tiny", "--segments", "patches:4", "--samples", "20", "--masking", "black", "--device", "cpu")


def command(*words):
    return run_command(parse(["explain", *map(str, words)]))


def test_the_command_says_what_it_did(folder, out, capsys):
    assert command(folder, "--out", out, *WORDS) == 0
    said = capsys.readouterr()
    assert said.out.startswith("4 pictures: 3 explained, 0 explained before, 1 left out\nwrote ")
    assert said.err.startswith("left out: bad.jpg: expected ")
    assert command(folder, "--out", out, *WORDS, "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert command(folder, "--out", out, *WORDS, "--json") == 0
    assert '"skipped": 3' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "expected one folder for --out, for a folder of pictures, got none"),
        (["--out", "a", "b"], "expected one folder for --out, for a folder of pictures, got 2 names"),
        (["--out", "o", "--valid", "m.png"], "expected no --valid for a folder of pictures"),
        (["--out", "o", "--overwrite"], "expected no --overwrite for a folder of pictures"),
        (["--out", "o", "--strict"], r"bad\.jpg: expected"),
    ],
)
def test_options_that_do_not_fit_a_folder_are_refused(folder, words, sentence, monkeypatch):
    monkeypatch.chdir(folder.parent)
    with pytest.raises(InputError, match=sentence):
        command(folder, *words, *WORDS)


@pytest.mark.parametrize("option", [["--strict"], ["--jobs", "2"], ["--scheduler", "tcp://x:1"]])
def test_options_of_folders_are_refused_for_a_picture(folder, option):
    with pytest.raises(InputError, match=rf"expected a folder for IMAGE with {option[0]}, got .*a\.png"):
        command(folder / "a.png", *option, *WORDS)
