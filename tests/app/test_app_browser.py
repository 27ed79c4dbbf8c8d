"""The playground in a real browser: paint, click, keys, upload, explain, and what goes wrong."""

from __future__ import annotations

import re
from contextlib import contextmanager

import numpy as np
import pytest
from app.served import Client, networks, picture, png, serving

from xai_layermask.app import Choices, Limits, Playground

CHOICES = Choices(("layer", "grey"), ("patches:8", "patches:16"), (60, "auto"))


@pytest.fixture(scope="module")
def url():
    playground = Playground(networks(), CHOICES, Limits(bytes=60_000, pixels=40_000))
    playground.warm_up()
    with serving(playground) as found:
        yield found


@pytest.fixture
def show(browser, url):
    """Opens the page; afterwards nothing may have failed, and no request may have left the server."""
    contexts, problems, requests = [], [], []

    def show(width=1280, height=1000, scheme="light", at=url):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        # The browser logs answers that are no success, which the page shows as sentences; `pixel` reads the canvas.
        page.on("console", lambda one: one.text.startswith(("Failed to load", "Canvas2D")) or problems.append(one.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append("a dialog"), dialog.dismiss()))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(at)
        page.wait_for_selector("body[data-answered]")
        return page

    yield show
    for context in contexts:
        context.close()
    assert problems == []
    assert [one for one in requests if not one.startswith((url, "data:", "blob:", "http://127.0.0.1"))] == []


def answers(page):
    return page.locator("#cards .bars").all_inner_texts()


@contextmanager
def answered(page):
    """Wait for new answers after what happens in the block."""
    before = int(page.locator("body").get_attribute("data-answered"))
    yield
    page.wait_for_selector(f"body:not([data-answered='{before}']):not(.busy)")


def drag(page, start, end):
    box = page.locator("#picture").bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=8)
    page.mouse.up()


def removed(page):
    return page.locator("#removed").inner_text()


def pixel(page, x, y):
    """The colour of the canvas at a place from 0 to 1."""
    return page.evaluate("""([x, y]) => {
        const canvas = document.getElementById("picture");
        return [...canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data].slice(0, 3);
    }""", [x, y])


def test_painting_changes_the_numbers(show):
    page = show()
    with answered(page):
        page.click("#clear")
    whole = page.locator(".whole .bars").inner_text()
    assert removed(page) == "0 % removed"
    assert all(one == whole for one in answers(page))  # nothing is removed
    page.locator("#size").fill("96")
    with answered(page):
        drag(page, (0.2, 0.5), (0.8, 0.5))
    painted, share = answers(page), removed(page)
    assert painted != [whole] * 4
    assert int(share.split()[0]) > 20
    with answered(page):
        page.click("[data-tool=eraser]")
        drag(page, (0.1, 0.5), (0.9, 0.5))
    assert removed(page) == "0 % removed"
    with answered(page):
        page.click("#undo")
    assert (removed(page), answers(page)) == (share, painted)
    with answered(page):
        page.click("#redo")
    assert removed(page) == "0 % removed"
    with answered(page):
        page.click("#invert")
    assert removed(page) == "100 % removed"


def test_segments_are_outlined_and_removed_by_clicks(show):
    page = show()
    with answered(page):
        page.click("#clear")
    page.click("[data-tool=segments]")
    before = pixel(page, 0.375, 0.251)
    page.hover("#picture", position={"x": 150, "y": 150})
    assert pixel(page, 0.375, 0.251) != before  # the frame of the segment under the mouse
    with answered(page):
        page.click("#picture", position={"x": 150, "y": 150})
    assert removed(page) == "6 % removed"  # one of 16
    with answered(page):
        page.click("#picture", position={"x": 150, "y": 150})
    assert removed(page) == "0 % removed"


def test_everything_by_keyboard(show):
    page = show()
    with answered(page):
        page.click("#clear")
    page.focus("#clear")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "picture"
    page.keyboard.press("ArrowRight")
    said = page.locator("#announce").inner_text()
    assert re.fullmatch(r"Segment \d+ of 16, \w+ \w+, 6\.[23] % of the picture\.", said)
    page.keyboard.press("ArrowRight")
    assert page.locator("#announce").inner_text() != said
    with answered(page):
        page.keyboard.press("Enter")
    assert page.locator("#announce").inner_text().endswith(": removed.")
    assert removed(page) == "6 % removed"
    assert page.locator("#summary").inner_text().startswith("black-out: class ")
    with answered(page):
        page.keyboard.press("u")
    assert removed(page) == "0 % removed"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "masking"  # the picture does not hold the focus


def test_upload_explain_and_download(show, url):
    page, content = show(), png(picture(7))
    with answered(page):
        page.set_input_files("#file", {"name": "<b>mine.png", "mimeType": "image/png", "buffer": content})
    assert page.locator("#story").inner_text() == "<b>mine.png"
    reference = Client(url)
    top = reference.upload(content)["whole"]["top"][0]
    assert page.locator(".whole .bars li").first.inner_text().split("\n")[0] == top["label"]
    page.select_option("#masking", "grey")
    page.click("#explain")
    page.wait_for_selector("#result:not([hidden])")
    frame = page.frame_locator("#report")
    frame.locator("body[data-ready]").wait_for()
    assert "grey-out" in frame.locator("body").inner_text()
    assert frame.locator("body").evaluate("() => window.origin") == "null"  # its code cannot reach the server
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "-b-mine-explained.html"
    text = download.value.path().read_text("utf-8")
    assert "<b>mine" not in text
    with page.context.expect_page() as opened:
        page.click("#open")
    opened.value.wait_for_selector("body[data-ready]")
    assert opened.value.evaluate("[window.origin, window.opener]") == ["null", None]
    opened.value.close()


def test_an_explanation_can_be_cancelled(show):
    page = show()
    page.select_option("#samples", "auto")
    page.evaluate("""() => document.getElementById("cancel").addEventListener("x", () => {})""")
    page.click("#explain")
    page.click("#cancel")
    page.wait_for_selector("#running", state="hidden")
    assert page.locator("#explain").is_enabled()
    assert page.locator("#result").is_hidden()


def test_a_second_session_sees_its_own_picture(show):
    first, second = show(), show()
    for page, seed in ((first, 1), (second, 2)):
        with answered(page):
            file = {"name": f"{seed}.png", "mimeType": "image/png", "buffer": png(picture(seed))}
            page.set_input_files("#file", file)
    shown = [page.locator(".whole .bars").inner_text() for page in (first, second)]
    assert shown[0] != shown[1]
    colours = [pixel(page, 0.5, 0.5) for page in (first, second)]
    assert colours[0] != colours[1]
    for page, whole in zip((first, second), shown, strict=True):
        with answered(page):
            page.click("#invert")
        with answered(page):
            page.click("#clear")
        assert answers(page) == [whole] * 4


@pytest.mark.parametrize(("content", "sentence"), [
    (b"x" * 70_000, "expected at most 0.06 MB, got 0.1 MB: make the picture smaller"),
    (b"no picture", "expected a picture in one of the formats"),
    (png(picture())[:900], "expected a complete picture"),
    (png(np.zeros((500, 500, 3), np.uint8)), "expected a picture of at most 0.04 million pixels"),
])  # fmt: skip
def test_a_bad_upload_ends_in_a_sentence(show, content, sentence):
    page = show()
    before = answers(page)
    page.set_input_files("#file", {"name": "bad.png", "mimeType": "image/png", "buffer": content})
    page.wait_for_selector("#error:not([hidden])")
    assert page.locator("#error").inner_text().startswith(sentence)
    assert answers(page) == before
    with answered(page):  # and the page goes on
        page.click("[data-example=cat]")
    assert page.locator("#error").is_hidden()


def test_a_session_that_expired_is_opened_again(browser):
    playground = Playground(networks()[:1], CHOICES, Limits(sessions=1))
    with serving(playground) as url:
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("body[data-answered]")
        with answered(page):
            page.click("[data-example=cat]")  # the second photograph of this session, and the first of the next one
        Client(url)  # takes its place
        with answered(page):
            page.click("#clear")
        whole = page.locator(".whole .bars").inner_text()
        with answered(page):
            page.click("#invert")
        with answered(page):
            page.click("#clear")
        assert answers(page) == [whole] * 4
        context.close()


def test_another_model_can_be_chosen(show):
    page = show()
    before = page.locator(".whole .bars").inner_text()
    with answered(page):
        page.select_option("#model", "other")
    assert page.locator(".whole .bars").inner_text() != before


def test_a_photograph_is_shown_by_the_model_that_was_chosen_meanwhile(show, url):
    page, content = show(), png(picture(7))
    page.evaluate("""() => {
        const own = window.fetch;
        window.fetch = async (address, options) => {
            const answer = await own(address, options);
            if (String(address).startsWith("api/upload")) await new Promise((done) => setTimeout(done, 1500));
            return answer;
        };
    }""")
    page.set_input_files("#file", {"name": "mine.png", "mimeType": "image/png", "buffer": content})
    page.select_option("#model", "other")
    page.locator("#story", has_text="mine.png").wait_for()
    wanted = [Client(url, model).upload(content)["whole"]["top"][0]["label"] for model in ("other", "tiny")]
    shown = page.locator(".whole .bars li").first.inner_text()
    assert wanted[0] != wanted[1]
    assert shown.split("\n")[0] == wanted[0]
    page.wait_for_selector("body:not(.busy)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_and_is_accessible(show, axe, width, scheme):
    page = show(width=width, height=844, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert axe(page) == []
    page.click("#explain")
    page.wait_for_selector("#result:not([hidden])")
    page.set_input_files("#file", {"name": "bad.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.wait_for_selector("#error:not([hidden])")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
