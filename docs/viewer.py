"""Draw the pictures of `viewer.md`: screenshots of a page in the system's Chromium.

Usage: python docs/viewer.py
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from xai_layermask.cli import main

IMAGES = Path(__file__).parent / "images"


def write(folder: Path) -> Path:
    """Compare three maskings of the sample photograph."""
    path = folder / "comparison.html"
    if main(["compare", "--out", str(path), "--quiet"]):
        raise SystemExit(1)
    return path


def save(shot: bytes, name: str) -> None:
    """Write a screenshot as a small file."""
    Image.open(io.BytesIO(shot)).convert("RGB").save(IMAGES / name, optimize=True)


def draw(html: Path) -> None:
    """Take the screenshots."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])

        def opened(width: int, height: int, scheme: str) -> Page:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(html.as_uri())
            page.wait_for_selector("body[data-ready]")
            page.locator("#stage").focus()
            page.keyboard.press("Home")
            page.keyboard.press("Enter")
            page.evaluate("document.activeElement.blur()")
            return page

        save(opened(1180, 968, "light").screenshot(), "viewer.png")
        save(opened(1180, 940, "light").locator("#measures").screenshot(), "viewer-compare.png")
        phones = [opened(390, 844, scheme).screenshot() for scheme in ("light", "dark")]
        browser.close()
    both = Image.new("RGB", (2 * 390 + 30, 844), "white")
    for place, shot in enumerate(phones):
        both.paste(Image.open(io.BytesIO(shot)), (place * 420, 0))
    both.save(IMAGES / "viewer-phone.png", optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        draw(write(Path(folder)))
