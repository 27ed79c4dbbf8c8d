"""Progress shows on a terminal only, and is erased at the end."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from xai_layermask.cli import output
from xai_layermask.cli.output import progress_bar, shows_progress, status


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    found = Terminal()
    monkeypatch.setattr(output, "sys", SimpleNamespace(stderr=found))  # pytest sets sys.stderr itself
    return found


def options(quiet=False):
    return argparse.Namespace(quiet=quiet)


def test_a_terminal_sees_what_goes_on_until_it_ends(terminal):
    with status("loading", options()) as say:
        assert terminal.getvalue().endswith("loading ...")
        say("writing")
        assert terminal.getvalue().endswith("writing ...")
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_it_is_wiped_away_before_an_error_is_told(terminal):
    with pytest.raises(ZeroDivisionError), status("loading", options()):
        raise ZeroDivisionError
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_bar_moves_on(terminal):
    with progress_bar(3, "rounds", options()) as advance:
        assert "0/3" in terminal.getvalue()
        for _ in range(3):
            advance()
    assert terminal.getvalue().startswith("\rrounds:")


def test_nothing_is_shown_to_a_file_or_when_told_to_be_quiet(terminal, monkeypatch):
    assert not shows_progress(options(quiet=True))
    with status("loading", options(quiet=True)) as say, progress_bar(1, "rounds", options(quiet=True)) as advance:
        say("more")
        advance()
    file = io.StringIO()
    monkeypatch.setattr(output, "sys", SimpleNamespace(stderr=file))
    with status("loading", options()) as say, progress_bar(1, "rounds", options()) as advance:
        say("more")
        advance()
    assert terminal.getvalue() == file.getvalue() == ""


def program(code, **kwargs):
    """Run the command line in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, **kwargs)


MAIN = "import sys; from xai_layermask.cli import main; "


def test_without_stderr_the_sentence_is_not_on_stdout():
    done = program(MAIN + "sys.stderr = None; sys.exit(main(['explain', '--sed', '1']))")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_behind_stdout_is_one_sentence():
    with open("/dev/full", "w") as full:
        code = MAIN + "sys.exit(main(['completion', 'bash']))"
        done = subprocess.run([sys.executable, "-c", code], check=False, stdout=full, stderr=-1, text=True)
    assert done.returncode == 2
    assert done.stderr == "xai-layermask: expected free space for the output, got a full disk: make room\n"


def test_characters_that_the_terminal_lacks_are_written_as_numbers():
    code = MAIN + r"sys.exit(main(['explain', '--model', 'caf\u00e9\ud800']))"
    done = program(code, env={**os.environ, "LANG": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 2 and done.stderr.startswith("xai-layermask: expected one of lite0")
    assert "\\xe9" in done.stderr
