"""A real browser, the system's Chromium, for all tests of pages."""

from __future__ import annotations

import os
import shutil

import pytest

__all__ = ["EXECUTABLE", "axe", "browser"]

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; a test without it is skipped."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
    if EXECUTABLE is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=EXECUTABLE, args=["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        )
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe():
    """Checks the accessibility of a page: its serious and critical findings by axe-core."""
    package = pytest.importorskip(
        "axe_playwright_python", reason="axe is not installed: pip install '.[test]'"
    )
    from importlib.resources import files

    source = files(package).joinpath("axe.min.js").read_text("utf-8")

    def check(page):
        page.evaluate(f"{source}\n;0")
        found = page.evaluate("() => axe.run(document, {iframes: false})")
        return [
            (one["id"], [node["html"] for node in one["nodes"]])
            for one in found["violations"] if one["impact"] in ("serious", "critical")
        ]

    return check
