"""Opens pages in the browser."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest


@dataclass
class Opened:
    """A page, and what went wrong in it."""

    page: object
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def show(browser, tmp_path):
    """Opens HTML; afterwards nothing may have failed, and no request may have left the page."""
    opened, contexts = [], []

    def show(html, width=1280, height=900, scheme="light", wait="body[data-ready]", **options):
        path = tmp_path / f"page{len(opened)}.html"
        path.write_text(html, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True, **options
        )
        one = Opened(context.new_page())
        one.page.on("console", lambda message: one.problems.append(message.text))
        one.page.on("pageerror", lambda error: one.problems.append(str(error)))
        one.page.on("dialog", lambda dialog: (one.problems.append("a dialog"), dialog.dismiss()))
        one.page.on("request", lambda request: one.requests.append(request.url))
        one.page.goto(path.as_uri())
        if wait:
            one.page.wait_for_selector(wait, timeout=20000, state="attached")
        opened.append(one)
        contexts.append(context)
        return one.page

    yield show
    for one in opened:
        assert one.problems == []
        assert [url for url in one.requests if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
    for context in contexts:
        context.close()
