"""The command line where its surroundings are odd: closed pipes, no home, other languages, files of other users."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import faked
import pytest
from faked import dataset

HERE = Path(faked.__file__).parent
MODEL = ("--model", "faked:tiny", "--segments", "patches:8", "--device", "cpu")


def environment(**changes):
    paths = os.pathsep.join([str(HERE.parent), str(HERE)])
    found = {**os.environ, "PYTHONPATH": paths, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", **changes}
    return {name: value for name, value in found.items() if value is not None}


def command(*words):
    return [sys.executable, "-m", "xai_layermask", *words]


def run(folder, *words, prefix=(), **changes):
    words = [*prefix, *command(*words)]
    return subprocess.run(words, cwd=folder, env=environment(**changes), capture_output=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    items = dataset(folder, "a.png", "b.png").items
    (folder / "labels.csv").write_text("\n".join(["image,class_index", *(f"{one.name},{one.label}" for one in items)]))
    return folder


def test_a_reader_that_leaves_is_no_error(folder):
    """As in `explain ... | head -1`."""
    words = command("explain", "a.png", *MODEL, "--samples", "20", "--quiet", "--json")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=folder, env=environment(), **pipes) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert b"Traceback" not in errors
    assert b"Exception ignored" not in errors


def test_no_home_and_no_utf_8(folder, tmp_path):
    shutil.copy(folder / "a.png", tmp_path / "ä b.png")
    plain = {"HOME": None, "XDG_CACHE_HOME": None, "MPLCONFIGDIR": None, "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0",
             "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": None}  # fmt: skip
    found = run(tmp_path, "explain", "ä b.png", *MODEL, "--samples", "20", "--out", "x.png", "--out", "x.json", **plain)
    assert found.returncode == 0, found.stderr
    assert b"Traceback" not in found.stderr
    assert json.loads((tmp_path / "x.json").read_bytes())["settings"]["n_samples"] == 20
    missing = run(tmp_path, "explain", "ö.png", *MODEL, **plain)
    assert missing.returncode == 2
    assert b"expected an existing file for image" in missing.stderr
    assert missing.stderr.count(b"\n") == 1


# --- another user's files ---


@pytest.fixture
def nobody(tmp_path):
    """Words in front of a command that run it as a user without rights, and a folder that this user may read."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    for parent in (tmp_path, *tmp_path.parents):
        if not os.stat(parent).st_mode & stat.S_IXOTH:
            if parent.stat().st_uid != 0 or Path(parent.anchor) == parent:
                pytest.skip(f"another user cannot reach {parent}")
            parent.chmod(parent.stat().st_mode | 0o011)
    reach = subprocess.run([*prefix, sys.executable, "-c", "import torch"], env=environment(), check=False)
    if reach.returncode or not os.access(HERE, os.R_OK):
        pytest.skip("another user cannot reach this Python")
    return prefix


def test_files_of_another_user(nobody, folder, tmp_path):
    theirs = tmp_path / "theirs"
    shutil.copytree(folder, theirs)
    (theirs / "b.png").chmod(0o600)
    theirs.chmod(0o755)
    (theirs / "a.png").chmod(0o644)
    plain = {"HOME": None, "XDG_CACHE_HOME": None, "TMPDIR": None}
    words = (*MODEL, "--samples", "20")
    # What cannot be read is named, and nothing else happens.
    found = run(theirs, "explain", "b.png", *words, prefix=nobody, **plain)
    assert (found.returncode, found.stderr.count(b"\n")) == (2, 1), found.stderr
    assert b"expected a readable file for image, got 'b.png' (Permission denied)" in found.stderr
    # What cannot be written is named before anything is computed.
    found = run(theirs, "explain", "a.png", *words, prefix=nobody, **plain)
    assert (found.returncode, found.stderr.count(b"\n")) == (2, 1), found.stderr
    assert not list(theirs.glob("explanation*"))
    # A store of another user can be read, not written.
    evaluate = ("evaluate", "robustness", "--data", ".", *MODEL, "--maskings", "black", "--set", "fractions=0,1")
    assert run(theirs, *evaluate).returncode == 0
    assert run(theirs, *evaluate, "--seed", "1", prefix=nobody, **plain).returncode == 2
    report = tmp_path / "report"
    report.mkdir()
    report.chmod(0o777)
    found = run(theirs, "report", "results.db", "--out", str(report / "x"), prefix=nobody, **plain)
    assert found.returncode == 0, found.stderr
    assert (report / "x" / "index.html").exists()
