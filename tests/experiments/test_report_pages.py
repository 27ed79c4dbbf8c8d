"""The report as files."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser

import pytest
from report_rows import EVERY

from xai_layermask.errors import InputError
from xai_layermask.experiments.report import write_report
from xai_layermask.experiments.report.figures import panels
from xai_layermask.experiments.report.pages import write
from xai_layermask.experiments.report.section import ReportFigure, Section
from xai_layermask.experiments.report.tables import Table
from xai_layermask.plots import curves
from xai_layermask.stats.intervals import estimate
from xai_layermask.stats.statistic import Mean


def section(title="Robust <ness>"):
    figure, ((ax,),) = panels(1, 1)
    curves([0.0, 1.0], {"grey": estimate(Mean([[1.0, 0.0]]))}, ax=ax)
    return Section(
        title, "What was done.",
        (Table("short", "A & B.", ("a",), (("x",),)), Table("long:1", "C.", ("b",), (("y",),), shown=False)),
        (ReportFigure("lite0-slic:100", "Curves of <n = 1>.", figure),),
        ("lite0: nothing of that.",),
    )


class Links(HTMLParser):
    """What a page refers to, and whether its elements are closed in the right order."""

    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def links(page):
    parser = Links()
    parser.feed(page)
    assert parser.open == []
    return parser.found


def test_pages_show_everything_and_every_link_leads_to_a_file(tmp_path):
    files = write(tmp_path / "new" / "report", "Title", ["From a store."], [section()])
    root = tmp_path / "new" / "report"
    assert {path for path in root.rglob("*") if path.is_file()} == set(files)
    assert files[0] == root / "index.md"
    markdown, html = (root / "index.md").read_text(), (root / "index.html").read_text()
    for page, found in ((markdown, re.findall(r"\]\(([^)]+)\)", markdown)), (html, links(html))):
        assert {(root / link) for link in found} == set(files) - {root / "index.md", root / "index.html"}
        for words in ("Title", "From a store.", "What was done.", "lite0: nothing of that.", "lite0-slic:100"):
            assert words in page
    assert "| x |" in markdown
    assert "| y |" not in markdown
    assert "<td>x</td>" in html
    assert "<td>y</td>" not in html
    assert "Robust &lt;ness&gt;" in html
    assert (root / "tables" / "long-1.csv").read_text() == "b\ny\n"
    assert (root / "tables" / "short.md").read_text() == "A & B.\n\n| a |\n| --- |\n| x |\n"


def test_the_name_of_a_store_that_is_not_utf_8_is_shown(tmp_path):
    page, html, *_ = write(tmp_path, "Title", ["From " + os.fsdecode(b"\xff.db.")], [])
    assert r"From \udcff.db." in page.read_text("utf-8")
    assert r"From \udcff.db." in html.read_text("utf-8")


def test_an_earlier_report_is_overwritten_and_other_files_stay(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    write(tmp_path, "First", [], [section()])
    write(tmp_path, "Second", [], [section()])
    assert (tmp_path / "index.md").read_text().startswith("# Second")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"expected a folder that can be written for out, got .*file': check"):
        write(tmp_path / "file", "Title", [], [])


def test_the_same_measurements_give_the_same_report(tmp_path):
    measured = [*EVERY["lime"](count=3), *EVERY["colours"](count=3)]
    first = write_report(measured, tmp_path / "a", "results.db")
    second = write_report(reversed(measured), tmp_path / "b", "results.db")
    assert [path.relative_to(tmp_path / "a") for path in first.files] == [
        path.relative_to(tmp_path / "b") for path in second.files
    ]
    for one, other in zip(first.files, second.files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_report_says_what_is_missing_and_of_what(tmp_path):
    measured = [pair for pair in EVERY["colours"](count=2) if pair[0].picture != "1.jpg" or pair[0].masking == "grey"]
    report = write_report(measured, tmp_path, "results.db", protocols=["robustness", "colours"])
    assert report.missing[0] == "Colours: lite0: layer lacks 1 of 2 pictures."
    assert "- robustness: measure it with xai-layermask evaluate robustness." in (tmp_path / "index.md").read_text()
    assert "From results.db, by xai-layermask " in (tmp_path / "index.md").read_text()
