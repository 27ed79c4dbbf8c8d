"""Templates escape what they show, and a value that is missing is an error."""

from __future__ import annotations

import jinja2
import pytest

from xai_layermask.explain import render


def test_values_are_escaped_everywhere():
    shown = {"figure": 'x" onerror="run()', "labels": ("<b>",), "rows": [(0, "<script>", "<u>", 0.0, 0.9, 0.5)]}
    page = render("explanation_page.html", **shown, output="<q>", advice="<s>", settings={"<i>": "'&"})
    for word in ("<b>", "<script>", "<i>", "<u>", "<q>", "<s>", 'x" onerror'):
        assert word not in page
    tags = (f"&lt;{tag}&gt;" for tag in ("b", "script", "i", "u", "q", "s"))
    for word in (*tags, "&#39;&amp;", "x&#34; onerror"):
        assert word in page


def test_a_missing_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'rows' is undefined"):
        render("explanation.html", figure="", labels=())
