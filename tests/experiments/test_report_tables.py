"""Tables as Markdown, CSV and HTML."""

from __future__ import annotations

import csv
import io

from xai_layermask.experiments.report.tables import Table
from xai_layermask.stats.intervals import Interval
from xai_layermask.viewer import render

NAN = float("nan")
ROWS = (
    ("grey | <b>", 40, Interval(0.25, 0.125, 0.5, 40), Interval(-0.0001, -0.2, 0.2, 40)),
    ("layer", 40, Interval(0.5, NAN, NAN, 1), Interval(0.3, 0.1, 0.5, 39)),
    ("black", 2, Interval(NAN, NAN, NAN, 0), Interval(-0.5, -0.7, -0.3, 2)),
)
TABLE = Table("t", "What.", ("masking", "n", "height", "gap"), ROWS, bold_from=3)


def test_markdown_shows_intervals_and_pictures_where_they_differ_from_the_row():
    assert TABLE.markdown().splitlines() == [
        "| masking | n | height | gap |",
        "| --- | ---: | ---: | ---: |",
        "| grey \\| <b> | 40 | 0.250 [0.125, 0.500] | 0.000 [-0.200, 0.200] |",
        "| layer | 40 | 0.500 (n = 1) | **0.300 [0.100, 0.500] (n = 39)** |",
        "| black | 2 | - | -0.500 |",
    ]


def test_what_looks_like_0_is_not_bold():
    rows = ((Interval(1e-7, 1e-9, 2e-7, 10),), (Interval(0.02, 0.001, 0.03, 10),))
    table = Table("t", "", ("gap",), rows, bold_from=0)
    assert table.markdown().splitlines()[2:] == ["| 0.000 [0.000, 0.000] |", "| **0.020 [0.001, 0.030]** |"]


def test_fewer_than_ten_pictures_are_too_few_for_an_interval():
    rows = [(Interval(0.02, 0.01, 0.03, n),) for n in (3, 9, 10)]
    table = Table("t", "", ("gap",), tuple(rows), bold_from=0)
    assert table.markdown().splitlines()[2:] == ["| 0.020 |", "| 0.020 |", "| **0.020 [0.010, 0.030]** |"]
    assert [cell.bold for (cell,) in table.cells()] == [False, False, True]


def test_csv_has_every_digit_and_four_columns_for_an_interval():
    head, *rows = csv.reader(io.StringIO(TABLE.csv()))
    assert head == [
        "masking", "n", "height", "height low", "height high", "height n", "gap", "gap low", "gap high", "gap n"
    ]
    assert rows[0] == ["grey | <b>", "40", "0.25", "0.125", "0.5", "40", "-0.0001", "-0.2", "0.2", "40"]
    assert rows[1][2:6] == ["0.5", "", "", "1"]
    assert rows[2][2:6] == ["", "", "", "0"]


def test_csv_keeps_columns_that_hold_numbers_now_and_intervals_then():
    table = Table("t", "", ("a", "b"), ((0.5, "x"), (Interval(0.25, 0.0, 1.0, 3), "y")))
    assert list(csv.reader(io.StringIO(table.csv()))) == [
        ["a", "a low", "a high", "a n", "b"], ["0.5", "", "", "", "x"], ["0.25", "0.0", "1.0", "3", "y"]
    ]


def test_html_is_escaped_and_bold_where_the_interval_excludes_0():
    lines = [line for line in render("report_table.html", table=TABLE).splitlines() if "<td" in line]
    assert "<td>grey | &lt;b&gt;</td>" in lines[0]
    assert '<td class="number">0.000 [-0.200, 0.200]</td>' in lines[0]
    assert '<td class="number"><b>0.300 [0.100, 0.500] (n = 39)</b></td>' in lines[1]


def test_a_table_without_rows_is_its_header():
    empty = Table("t", "", ("a", "b"), ())
    assert empty.markdown() == "| a | b |\n| --- | --- |"
    assert empty.csv() == "a,b\n"
