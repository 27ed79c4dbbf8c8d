"""Pages in a real browser: what they show, by mouse, by keyboard, and to a screen reader."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from shown import PATCH, SCORES, SEGMENTS, SIDE, patches
from test_page import HOSTILE, removal

from xai_layermask.viewer import Entry, embed, index, page

MINUS = "\u2212"


def hover(shown, segment):
    """Move the mouse to the middle of a patch."""
    box = shown.locator("#stage").bounding_box()
    x = (segment % 4 + 0.5) * PATCH / SIDE * box["width"]
    y = (segment // 4 + 0.5) * PATCH / SIDE * box["height"]
    shown.mouse.move(box["x"] + x, box["y"] + y)
    return box["x"] + x, box["y"] + y


def facts(shown):
    terms = shown.locator("#readout dt").all_inner_texts()
    return dict(zip(terms, shown.locator("#readout dd").all_inner_texts(), strict=True))


def colour(shown, segment):
    """The painted colour in the middle of a patch, RGB."""
    script = """([column, row]) => {
        const canvas = document.getElementById("picture");
        const at = [Math.floor((column + 0.5) * canvas.width / 4), Math.floor((row + 0.5) * canvas.height / 4)];
        return [...canvas.getContext("2d").getImageData(at[0], at[1], 1, 1).data].slice(0, 3);
    }"""
    return shown.evaluate(script, [segment % 4, segment // 4])


def slide(shown, name, value):
    shown.locator(f"#{name}").fill(str(value))
    shown.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_pointing_reads_a_segment_and_a_click_keeps_it(show):
    shown = show(page(patches()))
    x, y = hover(shown, 15)
    assert facts(shown) == {"score": "+1.00", "standard error": "0.080", "rank": "1 of 16", "area": "6.3 %"}
    assert "Segment 15" in shown.locator("#readout").inner_text()
    hover(shown, 0)
    assert facts(shown)["score"] == f"{MINUS}0.50"
    assert "Opposes tabby" in shown.locator("#readout").inner_text()
    hover(shown, 5)
    assert "interval contains 0" in shown.locator("#readout").inner_text() or facts(shown)["score"] == "0.00"
    shown.mouse.click(x, y)
    hover(shown, 0)
    shown.mouse.move(1, 1)
    assert "Segment 15" in shown.locator("#readout").inner_text()
    assert "kept" in shown.locator("#readout").inner_text()


def test_targets_and_maskings_switch(show):
    shown = show(page([patches("grey"), patches("layer", scores=np.stack([-SCORES, SCORES]))]))
    hover(shown, 15)
    assert facts(shown)["score"] == f"{MINUS}1.00"
    shown.get_by_role("radio", name="cock").check()
    hover(shown, 15)
    assert facts(shown)["score"] == "+1.00"
    shown.get_by_role("radio", name="grey-out").check()
    hover(shown, 15)
    assert facts(shown)["score"] == f"{MINUS}0.50"
    # Of its own scale, half of the largest score of all is the strongest colour.
    shared = colour(shown, 15)
    shown.get_by_role("radio", name="Own scale").check()
    own = colour(shown, 15)
    assert own[0] < shared[0] - 20
    assert shown.locator("#low").inner_text() == f"{MINUS}0.50"


def test_sliders_blend_and_dim(show):
    shown = show(page(patches(picture=np.full((SIDE, SIDE, 3), (200, 40, 40), np.uint8))))
    slide(shown, "opacity", 0)
    assert colour(shown, 15) == [200, 40, 40]
    slide(shown, "opacity", 100)
    red, green, blue = colour(shown, 15)
    assert red > 180 > 110 > green > blue
    assert colour(shown, 0)[2] > colour(shown, 0)[0] + 50
    assert shown.locator("#opacity-shown").inner_text() == "100 %"
    slide(shown, "best", 2)
    assert shown.locator("#best-shown").inner_text() == "2 of 16"
    assert np.ptp(colour(shown, 0)) == 0  # dimmed to grey
    assert np.ptp(colour(shown, 14)) > 60
    assert shown.locator("#lines .chosen").count() == 2
    slide(shown, "best", 16)
    shown.get_by_role("radio", name="Against").check()
    assert np.ptp(colour(shown, 15)) == 0
    assert colour(shown, 0)[2] > colour(shown, 0)[0] + 50
    shown.get_by_label("Outlines of all segments").check()
    assert shown.locator("#lines .thin").count() == 1


def test_the_keyboard_reaches_everything(show):
    shown = show(page([patches("grey"), patches("layer")]))
    reached = set()
    for _ in range(40):
        shown.keyboard.press("Tab")
        reached.add(shown.evaluate(
            "document.activeElement.id || document.activeElement.name || document.activeElement.tagName"
        ))  # fmt: skip
    wanted = {"stage", "target", "masking", "opacity", "best", "sign", "scale", "outlines"}
    assert wanted | {"save-png", "save-csv", "save-json", "more", "copy", "command-text", "SUMMARY"} <= reached
    shown.locator("#stage").focus()
    shown.keyboard.press("Home")
    assert facts(shown)["rank"] == "1 of 16"
    for key, segment in (
        ("ArrowUp", 11), ("ArrowLeft", 10), ("ArrowDown", 14), ("ArrowRight", 15), ("PageDown", 14), ("PageUp", 15),
        ("End", 0),
    ):  # fmt: skip
        shown.keyboard.press(key)
        assert f"Segment {segment} " in shown.locator("#readout").inner_text().replace("\n", " "), key
    shown.keyboard.press("Enter")
    assert "kept" in shown.locator("#readout").inner_text()
    shown.keyboard.press("Escape")
    assert shown.locator("#readout").inner_text() == "No segment chosen."
    shown.locator("input[name=target]").first.focus()
    shown.keyboard.press("ArrowDown")
    assert "cock" in shown.locator("#trust").inner_text()
    shown.locator("#best").focus()
    shown.keyboard.press("ArrowLeft")
    assert shown.locator("#best").get_attribute("aria-valuetext") == "15 of 16"


def test_the_table_lists_segments_and_keeps_them(show):
    shown = show(page(patches()))
    rows = shown.locator("#segments tbody tr")
    assert rows.count() == 10
    assert re.sub(r"\s+", " ", rows.first.inner_text()).strip() == "1 Segment 15 +1.00 ± 0.16 6.3 %"
    shown.get_by_role("button", name="Show all 16").click()
    assert rows.count() == 16
    shown.get_by_role("button", name="Segment 3", exact=True).click()
    assert shown.get_by_role("button", name="Segment 3", exact=True).get_attribute("aria-pressed") == "true"
    assert "Segment 3" in shown.locator("#readout").inner_text()


def saved(shown, button):
    with shown.expect_download() as download:
        shown.locator(button).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_downloads(show):
    one = patches(labels=("=tabby, the cat", "cock"))
    shown = show(page(one, source="my <cat>.png"))
    name, content = saved(shown, "#save-csv")
    assert name == "my-cat-scores.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert len(rows) == 32
    assert [float(row["score"]) for row in rows[:16]] == one.scores[0].tolist()
    assert rows[15] | {"x": "", "y": ""} == {
        "masking": "layer masking", "target": "281", "label": "'=tabby, the cat", "segment": "15", "score": "1",
        "standard_error": "0.08", "rank": "1", "area": "0.0625", "x": "", "y": "",
    }  # fmt: skip
    name, content = saved(shown, "#save-json")
    assert [row["score"] for row in json.loads(content)["scores"][16:]] == one.scores[1].tolist()
    slide(shown, "best", 2)
    name, content = saved(shown, "#save-png")
    image = Image.open(io.BytesIO(content))
    assert image.size == (1024, 1024)
    assert image.getpixel((900, 900)) != image.getpixel((100, 100))


def test_copying_gives_each_command_a_line(show):
    shown = show(page([patches("grey"), patches("layer")], source="a.png"))
    shown.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    shown.locator("#copy").click()
    shown.get_by_role("button", name="Copied").wait_for()
    lines = shown.evaluate("window.copied").split("\n")
    assert [line.split()[:3] for line in lines] == [["xai-layermask", "explain", "a.png"]] * 2
    assert "\n".join(lines) == shown.locator("#command").inner_text()


def test_hostile_names_are_shown_as_they_are(show):
    name = "<script>alert(1)</script>.png"
    one = patches(labels=(HOSTILE, "<img src=x onerror=alert(2)>"))
    shown = show(page({HOSTILE: one}, source=name, curves={HOSTILE: [removal(281), removal(7)]}, mask=SEGMENTS > 7))
    assert shown.locator(".file").inner_text() == name
    assert name in shown.locator("#command").inner_text().replace("\n", "")
    hover(shown, 15)
    assert "alert(1)" in shown.locator("#readout").inner_text()
    shown.get_by_role("radio").nth(1).check()
    assert shown.locator("#charts img, #readout img, #segments img, fieldset img").count() == 0


def test_curves_and_measures(show):
    curves = {"grey-out": [removal(281), removal(7)], "layer masking": [removal(281, (0.8, 0.4)), removal(7)]}
    shown = show(page([patches("grey"), patches("layer")], mask=SEGMENTS >= 8, curves=curves))
    assert shown.locator("#charts svg").count() == 2
    assert shown.locator("#charts polyline").count() == 4
    table = [row.split("\t") for row in shown.locator("#measured").inner_text().splitlines()]
    assert [cell.strip() for cell in table[0]][:4] == ["Masking", "Deletion AUC ↓", "Insertion AUC ↑", "Alignment ↑"]
    assert [row[1] for row in table[1:]] == ["0.500", "0.600"]
    assert table[1][5] == "still predicted"
    assert "removed by grey" in shown.locator("#measures-note").inner_text()


def test_missing_pixels_have_no_rank(show):
    scores = np.stack([np.append(SCORES[:15] + 0.2, 0.0)] * 2)
    errors = np.full((2, 16), 0.05)
    errors[:, -1] = 0.0
    shown = show(page(patches(scores=scores, standard_errors=errors, played=np.arange(16) < 15)))
    hover(shown, 15)
    assert facts(shown)["rank"] == "none"
    assert "Missing pixels" in shown.locator("#readout").inner_text()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_fits_the_screen(show, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    curves = {"grey-out": [removal(281), removal(7)], "layer masking": [removal(281), removal(7)]}
    html = page([patches("grey"), patches("layer")], mask=SEGMENTS >= 8, curves=curves, source="a" * 90 + ".png")
    listed = index([Entry("x.html", "w" * 60 + ".png", "", "tabby", "75.0%"), Entry("", "b.png", note="No picture.")],
                   title="Pictures")  # fmt: skip
    for one, wait in ((html, "body[data-ready]"), (listed, "#filter:not([hidden])")):
        shown = show(one, width, 844, scheme, wait, bypass_csp=True)
        if one is html:
            hover(shown, 15)
            shown.locator("summary").click()
        found = axe.Axe().run(shown).response["violations"]
        assert [(each["id"], each["impact"], [node["html"] for node in each["nodes"]]) for each in found] == []
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(247, 246, 243)" if scheme == "light" else "rgb(19, 21, 24)"
        )


def test_touch_reads_a_segment(show):
    shown = show(page(patches()), 390, 844, has_touch=True, is_mobile=True)
    box = shown.locator("#stage").bounding_box()
    shown.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])
    assert facts(shown)["rank"] == "1 of 16"


def test_without_scripts_there_is_a_picture(browser, tmp_path):
    (tmp_path / "x.html").write_text(page(patches()), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto((tmp_path / "x.html").as_uri())
    assert shown.locator("noscript img").is_visible()
    assert not shown.locator("#stage").is_visible()
    context.close()


def test_a_frame_shows_the_page_in_another_one(show):
    shown = show(f"<!DOCTYPE html><body>{embed(page(patches()), fallback='<p>still</p>')}", wait=None)
    frame = shown.frame_locator("iframe")
    frame.locator("body[data-ready]").wait_for(timeout=20000)
    frame.locator("#stage").focus()
    shown.keyboard.press("Home")
    assert "Segment 15" in frame.locator("#readout").inner_text()
    with shown.expect_download() as download:
        frame.locator("#save-csv").click()
    assert download.value.suggested_filename == "explanation-scores.csv"


def test_prints_the_picture_and_the_table(show):
    shown = show(page(patches()))
    shown.emulate_media(media="print")
    assert shown.locator("#segments").is_visible()
    assert shown.locator("#picture").is_visible()
    assert not shown.locator("#opacity").is_visible()


def test_the_index_filters_and_links(show, tmp_path):
    (tmp_path / "a b.html").write_text(page(patches()), encoding="utf-8")
    entries = [Entry.of(patches(), "a%20b.html", "a b.png"), Entry("", "broken.png", note="expected a picture")]
    shown = show(index(entries, title="Two"), wait="#filter:not([hidden])")
    shown.get_by_label("Filter").fill("tab")
    assert shown.locator(".entry:visible").count() == 1
    assert shown.locator("#count").inner_text() == "1 of 2 pictures"
    shown.get_by_role("link").click()
    shown.wait_for_selector("body[data-ready]")
    assert "tabby" in shown.title()
