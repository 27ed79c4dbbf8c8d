"""Completion in real shells, as far as they are here."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from xai_layermask.catalog import MASKINGS, PROTOCOL_SETTINGS
from xai_layermask.cli import main
from xai_layermask.cli.completion import _SHELLS, _VALUES
from xai_layermask.cli.parser import build

# What a shell may know nothing of: numbers, classes, addresses, and words with a value of the user's own.
FREE = {
    "allow_host", "host", "max_megabytes", "max_megapixels", "port",
    "batch", "batch_size", "best", "cmap", "dpi", "evaluate weights", "explanations", "jobs", "json", "limit",
    "preprocess", "rounds", "samples", "scheduler", "seed", "select", "shape", "shuffle_seed", "target", "top",
    "window",
}  # fmt: skip

HARNESS = """
source ./script
for line in "$@"; do
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
    _shtab_xai_layermask
    echo "${COMPREPLY[*]}"
done
"""


def script(capsys, shell):
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.fixture
def completed(tmp_path, capsys):
    """A function from lines to what bash offers at their ends, in a folder with a picture, a store and a folder."""
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    (tmp_path / "script").write_text(script(capsys, "bash"))
    (tmp_path / "harness").write_text(HARNESS)
    (tmp_path / "cat.jpg").touch()
    (tmp_path / "photos").mkdir()

    def ask(*lines):
        command = ["bash", "--norc", "harness", *lines]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return [line.split() for line in done.stdout.splitlines()]

    return ask


def test_bash_completes_commands_and_options(completed):
    commands, one, option, after_files = completed(
        "xai-layermask ", "xai-layermask ex", "xai-layermask explain --mas", "xai-layermask explain --out cat.jpg --js"
    )
    assert commands == list(build()[1])
    assert (one, option, after_files) == (["explain"], ["--masking"], ["--json"])


def test_bash_completes_values(completed):
    found = completed(
        "xai-layermask explain --masking ", "xai-layermask explain --sampling or", "xai-layermask evaluate ",
        "xai-layermask check l", "xai-layermask evaluate lime --layout im", "xai-layermask evaluate lime --set fr",
    )  # fmt: skip
    assert found == [
        list(MASKINGS), ["orthogonal"], [*PROTOCOL_SETTINGS, "paper"], ["lite0", "lite1", "lite2"], ["imagefolder"],
        ["fractions="],
    ]


def test_bash_completes_the_last_of_several_words(completed):
    found = completed(
        "xai-layermask compare --maskings black,gr", "xai-layermask report x.db --protocol robustness,li"
    )
    assert found == [["black,grey", "black,green"], ["robustness,lime", "robustness,linearity"]]


def test_bash_completes_files_and_folders(completed):
    found = completed(
        "xai-layermask explain c", "xai-layermask evaluate lime --data ", "xai-layermask report x.db --out p"
    )
    assert found == [["cat.jpg"], ["photos"], ["photos"]]


@pytest.mark.parametrize("shell", _SHELLS)
def test_the_script_is_one_that_the_shell_reads(shell, tmp_path, capsys):
    text = script(capsys, shell)
    assert "robustness" in text
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    (tmp_path / "script").write_text(text)
    done = subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_option_is_completed_or_free():
    """A new option is not forgotten."""
    for name, command in build()[1].items():
        for action in command._actions:
            if action.nargs != 0:
                known = f"{name} {action.dest}" in {*_VALUES, *FREE} or action.dest in {*_VALUES, *FREE}
                assert known, f"{name} {action.dest}"
