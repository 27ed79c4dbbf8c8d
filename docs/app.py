"""Take the pictures of `docs/app.md`: `python docs/app.py`. Needs the extras `demo`, `app` and `test`, and Chromium."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

OUT = Path(__file__).parent / "images"
SIZES = {"": (1280, 900), "-phone": (390, 844)}


def picture(page: Page, name: str, whole: bool) -> None:
    """Save what the page shows."""
    shot = Image.open(io.BytesIO(page.screenshot(full_page=whole))).convert("RGB")
    shot.quantize(palette=shot.quantize(256)).save(OUT / name, optimize=True)  # dithered
    sys.stdout.write(f"{name} {shot.width} x {shot.height}, {(OUT / name).stat().st_size // 1000} kB\n")


def main() -> None:
    """Start a playground, and look at it at two widths in light and dark."""
    command = [sys.executable, "-m", "xai_layermask", "app", "--port", "0", "--quiet"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url = server.stdout.readline().strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for suffix, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme,
                                        has_touch=width < 500)
                page.goto(url)
                page.wait_for_selector("body[data-answered]:not(.busy)", timeout=120_000)
                page.wait_for_timeout(500)
                picture(page, f"app{suffix}-{scheme}.png", whole=suffix != "")
                if not suffix and scheme == "light":
                    page.select_option("#samples", "100")
                    page.click("#explain")
                    page.wait_for_selector("#result:not([hidden])", timeout=300_000)
                    page.frame_locator("#report").locator("body[data-ready]").wait_for()
                    page.locator("#explain-title").scroll_into_view_if_needed()
                    page.evaluate("document.getElementById('explain-title').scrollIntoView()")
                    page.wait_for_timeout(1500)
                    picture(page, "app-report-light.png", whole=False)
                page.close()
        browser.close()
    server.send_signal(2)
    server.wait()


if __name__ == "__main__":
    main()
