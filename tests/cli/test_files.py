"""Output files are checked before anything is computed, and those of others are never replaced."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from xai_layermask.cli.files import check_outputs, writing
from xai_layermask.errors import InputError
from xai_layermask.explain import is_replaceable

SUFFIXES = (".png", ".svg", ".pdf", ".html", ".npz", ".json")
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def foreign(name):
    """A file of another program."""
    suffix = os.path.splitext(name)[1]
    if suffix == ".npz":
        np.savez(name, words=np.arange(3))
    elif suffix == ".png":
        Image.new("RGB", (2, 2)).save(name)
    elif suffix in (".svg", ".pdf"):
        Figure().savefig(name)
    else:
        text = {".html": "<!DOCTYPE html><html>xai-layermask</html>", ".json": '{"mine": "xai-layermask"}'}[suffix]
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_others_are_refused_whatever_they_are(folder, suffix):
    name = f"mine{suffix}"
    assert is_replaceable(name)
    check_outputs([name], SUFFIXES, False)
    foreign(name)
    assert not is_replaceable(name)
    with pytest.raises(InputError, match=rf"got 'mine{suffix}', which another program wrote: put IMAGE before --out"):
        check_outputs([name], SUFFIXES, False)
    check_outputs([name], SUFFIXES, True)
    os.symlink(name, f"link{suffix}")
    with pytest.raises(InputError, match="another program wrote"):
        check_outputs([f"link{suffix}"], SUFFIXES, False)


def test_a_figure_of_matplotlib_alone_is_not_ours(folder):
    Figure().savefig("plot.png")
    assert b"Matplotlib" in (folder / "plot.png").read_bytes() and mpl.__version__
    assert not is_replaceable("plot.png")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("x.gif", r"for the suffix of 'x.gif', got '.gif'$"),
        ("x.pgn", "did you mean '.png'"),
        ("nowhere/x.png", "expected a path in an existing folder for --out, got 'nowhere/x.png': create"),
        ("deep.png", "expected a file for --out, got the folder 'deep.png'"),
        ("dangling.png", "expected a path in an existing folder for --out, got 'dangling.png': create '.*nowhere'"),
        ("pipe.png", "which another program wrote"),
        ("a\0b.png", "expected the name of a file for --out"),
    ],
)
def test_what_cannot_be_written_is_told_at_once(folder, path, words):
    (folder / "deep.png").mkdir()
    (folder / "dangling.png").symlink_to(folder / "nowhere" / "x.png")
    os.mkfifo("pipe.png")
    with pytest.raises(InputError, match=words):
        check_outputs([path], SUFFIXES, False)


def test_a_link_to_a_new_file_is_followed(folder):
    (folder / "new.png").symlink_to(folder / "target.png")
    check_outputs(["new.png"], SUFFIXES, False)


def test_folders_without_rights_and_full_disks_are_told_at_once(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"expected a file that can be written for --out, got 'x.png': check its perm"):
        check_outputs(["x.png"], SUFFIXES, False)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 10, 0))
    with pytest.raises(InputError, match=r"expected free space for --out, got a full disk at 'x.png': make room"):
        check_outputs(["x.png"], SUFFIXES, False)


def test_errors_of_writing_name_the_file():
    with pytest.raises(InputError, match=r"got 'x.png' \(No space left on device\)"), writing("x.png"):
        raise OSError(28, "No space left on device")
