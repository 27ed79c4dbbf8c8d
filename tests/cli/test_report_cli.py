"""`xai-layermask report`: from a store to files."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from report_rows import EVERY

from xai_layermask.cli.parser import parse
from xai_layermask.cli.report import run
from xai_layermask.errors import InputError
from xai_layermask.experiments import Store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a store."""
    monkeypatch.chdir(tmp_path)
    with Store("results.db") as store:
        for protocol in ("mask-shape", "linearity"):
            for trial, rows in EVERY[protocol](count=3):
                store.put(trial, rows, seconds=1.0, worker="here")
    return tmp_path


def report(*words):
    return run(parse(["report", *words]))


def test_writes_pages_tables_and_figures(folder, capsys):
    assert report("results.db") == 0
    out = capsys.readouterr().out
    files = [path for path in (folder / "report").rglob("*") if path.is_file()]
    assert out.splitlines()[0] == f"wrote report/index.md and {len(files) - 1} other files"
    assert "robustness" not in out
    for name in ("index.html", "tables/mask-shape.csv", "tables/linearity-differences.md", "figures/linearity-1.svg"):
        assert (folder / "report" / name).is_file()


def test_a_protocol_that_was_asked_for_is_missed(folder, capsys):
    assert report("results.db", "--protocol", "linearity,robustness") == 0
    out = capsys.readouterr().out
    assert "  Not in the store: robustness: measure it with xai-layermask evaluate robustness." in out


def test_json_lists_the_files_and_what_is_missing(folder, capsys):
    assert report("results.db", "--out", "there", "--protocol", "linearity", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["files"][0] == "there/index.md"
    assert sorted(found["files"]) == sorted(
        str(path.relative_to(folder)) for path in (folder / "there").rglob("*") if path.is_file()
    )
    assert not any("mask-shape" in name for name in found["files"])
    assert found["missing"] == []


def test_a_protocol_named_twice_is_reported_once_and_no_other_is_missed(folder, capsys):
    report("results.db", "--protocol", "linearity,linearity", "--json")
    assert json.loads(capsys.readouterr().out)["missing"] == []
    lines = (folder / "report" / "tables" / "linearity.csv").read_text().splitlines()
    assert {line.split(",")[3] for line in lines[1:]} == {"3"}


def test_quiet_says_nothing(folder, capsys):
    report("results.db", "--protocol", "linearity", "--quiet")
    assert capsys.readouterr().out == ""
    assert (folder / "report" / "index.md").is_file()


def test_a_store_that_is_not_there_is_refused_and_not_made(folder):
    with pytest.raises(InputError, match=r"expected an existing file for store, got 'nowhere\.db'"):
        report("nowhere.db")
    assert not (folder / "nowhere.db").exists()
    assert not (folder / "report").exists()


def test_an_empty_store_is_refused(folder):
    Store("empty.db").close()
    with pytest.raises(InputError, match=r"expected results in store 'empty\.db', got none: run"):
        report("empty.db")


@pytest.mark.usefixtures("folder")
def test_a_protocol_that_was_not_measured_is_refused():
    with pytest.raises(InputError, match=r"expected results of lime or colours in store 'results\.db', got none"):
        report("results.db", "--protocol", "lime,colours")


@pytest.mark.usefixtures("folder")
def test_an_unknown_protocol_is_refused():
    with pytest.raises(InputError, match=r"for --protocol, got 'robustnes': did you mean 'robustness'"):
        report("results.db", "--protocol", "robustnes")


def test_nothing_heavy_is_imported_to_read_the_options():
    program = (
        "import sys; import xai_layermask.cli.report\n"
        "heavy = {'torch', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_report_replaces_an_earlier_one_and_nothing_of_others(folder):
    report("results.db", "--quiet")
    report("results.db", "--quiet")
    (folder / "site" / "tables").mkdir(parents=True)
    for name in ("index.html", "index.md", "tables/mask-shape.csv"):
        path = folder / "site" / name
        path.write_text("mine")
        with pytest.raises(InputError, match=f"for out, got 'site', whose '{name}' another program wrote"):
            report("results.db", "--out", "site", "--quiet")
        assert path.read_text() == "mine"
        assert [one.name for one in (folder / "site").rglob("*") if one.is_file()] == [path.name]
        path.unlink()
    (folder / "site" / "index.html").write_text("mine")
    report("results.db", "--out", "site", "--quiet", "--overwrite")
    assert "mine" not in (folder / "site" / "index.html").read_text()


def test_a_report_needs_the_name_of_a_folder(folder):
    with pytest.raises(InputError, match=r"expected the name of a folder for out, got '': use '.' for"):
        report("results.db", "--out", "")
    (folder / "file").write_text("")
    with pytest.raises(InputError, match=r"that can be written for out, got 'file/deep': check '.*file'"):
        report("results.db", "--out", "file/deep")
