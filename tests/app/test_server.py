"""The server, over HTTP: answers are those of the library, users do not mix, and what is foreign is refused."""

from __future__ import annotations

import base64
import io
import json
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from app.served import CHOICES, TINY, Client, networks, picture, png, serving
from PIL import Image
from tiny import classifier

from xai_layermask import LayerMaskExplainer
from xai_layermask.app import COMPARED, EXAMPLES, Network, Playground
from xai_layermask.maskings import make


@pytest.fixture(scope="module")
def url():
    playground = Playground(networks(), CHOICES, TINY)
    playground.warm_up()
    with serving(playground) as found:
        yield found


@pytest.fixture
def client(url):
    return Client(url)


@cache
def maskings(seed):
    own = classifier(seed)
    return own, {name: make(name, own.model, own.preprocess) for name in COMPARED}


def expected(pixels, presence, seed=0):
    """What each masking answers, by the library alone."""
    own, made = maskings(seed)
    image, seen = own.preprocess(pixels)
    with torch.no_grad():
        mask = torch.from_numpy(presence)[None, None]
        return seen, {name: masking(image, mask).softmax(1)[0] for name, masking in made.items()}


def check(answer, wanted):
    assert [one["masking"] for one in answer["answers"]] == list(COMPARED)
    for one in answer["answers"]:
        values, classes = wanted[one["masking"]].topk(3)
        assert [row["class"] for row in one["top"]] == classes.tolist()
        np.testing.assert_allclose([row["probability"] for row in one["top"]], values, atol=1e-5)


def test_the_answers_are_those_of_the_library(client):
    pixels, presence = picture(), np.random.default_rng(1).random((32, 32)) < 0.5
    seen, wanted = expected(pixels, presence)
    view = client.upload(png(pixels))
    assert (view["width"], view["height"], view["name"]) == (32, 32, "mine.png")
    shown = np.array(Image.open(io.BytesIO(base64.b64decode(view["image"].partition(",")[2]))))
    np.testing.assert_array_equal(shown, seen)
    answer = client.predict(presence, view["picture"])
    check(answer, wanted)
    assert answer["present"] == pytest.approx(presence.mean())
    target = view["whole"]["top"][0]["class"]
    for one in answer["answers"]:
        assert one["target"]["class"] == target
        assert one["target"]["probability"] == pytest.approx(float(wanted[one["masking"]][target]), abs=1e-5)


def test_all_and_nothing_present(client):
    view = client.upload(png(picture()))
    whole = client.predict(np.ones((32, 32), bool), view["picture"])
    for one in whole["answers"]:
        assert one["top"][0]["class"] == view["whole"]["top"][0]["class"]
        assert one["top"][0]["probability"] == pytest.approx(view["whole"]["top"][0]["probability"], abs=1e-5)
    nothing = client.predict(np.zeros((32, 32), bool), view["picture"])
    assert all(np.isfinite([row["probability"] for row in one["top"]]).all() for one in nothing["answers"])


def test_another_model_sees_the_same_photograph(client):
    pixels, presence = picture(3), np.random.default_rng(2).random((32, 32)) < 0.5
    view = client.upload(png(pixels))
    other = client.ask("GET", "api/view", model="other")
    assert other["picture"] == view["picture"]
    check(client.predict(presence, view["picture"], "other"), expected(pixels, presence, seed=1)[1])


def test_users_do_not_mix(url):
    """Each asks about a picture of its own, at the same time."""

    def use(seed):
        client, rng = Client(url), np.random.default_rng(seed)
        pixels = picture(seed)
        view = client.upload(png(pixels), f"{seed}.png")
        for _ in range(3):
            presence = rng.random((32, 32)) < 0.5
            check(client.predict(presence, view["picture"]), expected(pixels, presence)[1])
        return client.ask("GET", "api/view", model="tiny")["name"]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(use, range(3))) == ["0.png", "1.png", "2.png"]


def test_a_question_about_an_earlier_photograph_is_not_answered(client):
    first = client.upload(png(picture(0)))["picture"]
    client.upload(png(picture(1)))
    status, answer = client.reply("POST", "api/predict", np.packbits(np.ones((32, 32), bool)).tobytes(), model="tiny",
                                  picture=first)
    assert status == 409
    assert "got an older one" in answer["error"]


def test_segments(client):
    client.upload(png(picture()))
    found = client.ask("GET", "api/segments", model="tiny", segments="patches:8")
    ids = np.frombuffer(base64.b64decode(found["ids"]), "<u2").reshape(32, 32)
    assert found["count"] == 16
    np.testing.assert_array_equal(np.unique(ids), range(16))
    assert ids[0, 0] == ids[7, 7] != ids[8, 8]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(client, name):
    view = client.ask("POST", "api/example", model="tiny", name=name)
    bits = np.unpackbits(np.frombuffer(base64.b64decode(view["presence"]), np.uint8), count=32 * 32)
    assert 0.05 < bits.mean() < 0.9
    response, content = client.raw("GET", f"examples/{name}")
    assert response.status == 200
    assert max(Image.open(io.BytesIO(content)).size) <= 160


def explained(client, **changes):
    request = {"model": "tiny", "masking": "layer", "segments": "patches:8", "samples": 60} | changes
    state = client.ask("POST", "api/explanation", json.dumps(request))
    while state["state"] in ("waiting", "running"):
        time.sleep(0.02)
        state = client.ask("GET", "api/explanation")
    return state


def test_an_explanation_becomes_a_report(client):
    pixels = picture(5)
    client.upload(png(pixels), "my <cat>.png")
    state = explained(client)
    assert (state["state"], state["done"], state["total"]) == ("done", 59, 59)
    response, content = client.raw("GET", f"reports/{state['report']}")
    assert response.status == 200
    policy = response.headers["Content-Security-Policy"]
    assert "sandbox allow-scripts allow-downloads;" in f"{policy};"
    assert "default-src 'none'" in policy
    assert response.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"  # a sandboxed page with another is an error
    assert b"patches:8" in content
    saved, same = client.raw("GET", f"reports/{state['report']}", download=1)
    assert same == content
    assert saved.headers["Content-Disposition"] == "attachment; filename*=UTF-8''my--cat--explained.html"


def test_an_explanation_is_that_of_the_library():
    network, pixels, counted = networks()[0], picture(5), []
    found = network.explain(pixels, "grey", "patches:8", 60, 3, lambda done, total: counted.append((done, total)))
    wanted = LayerMaskExplainer(classifier(), masking="grey", segments="patches:8", n_samples=60, progress=False)
    np.testing.assert_allclose(found.scores, wanted.explain(pixels, top=3).scores, atol=1e-6)
    assert counted[0] == (0, 59)
    assert counted[-1] == (59, 59)


def test_a_network_of_two_classes_without_labels():
    own = classifier()
    two = replace(own, model=torch.nn.Sequential(own.model, torch.nn.Linear(6, 2)), labels=())
    found = Network(two, seed=0).explain(picture(5), "grey", "patches:8", 20, 3, lambda done, total: None)
    assert sorted(found.targets) == [0, 1]


def test_an_explanation_can_be_cancelled(client):
    client.upload(png(picture()))
    client.ask("POST", "api/explanation",
               json.dumps({"model": "tiny", "masking": "layer", "segments": "patches:8", "samples": "auto"}))
    client.ask("DELETE", "api/explanation")
    for _ in range(200):
        state = client.ask("GET", "api/explanation")
        if state["state"] not in ("waiting", "running"):
            break
        time.sleep(0.02)
    assert state["state"] == "cancelled"
    assert explained(client)["state"] == "done"  # the queue is free again


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"model": "torch.hub:load"}, "expected one of tiny, other for model, got 'torch.hub:load'"),
    ({"masking": "blur"}, "expected one of layer, grey for masking, got 'blur'"),
    ({"segments": "patches:1"}, "expected one of patches:8, patches:16 for segments, got 'patches:1'"),
    ({"samples": 10**9}, "expected one of 60, auto for samples, got '1000000000'"),
])  # fmt: skip
def test_only_what_is_offered_can_be_chosen(client, changes, sentence):
    client.upload(png(picture()))
    request = {"model": "tiny", "masking": "layer", "segments": "patches:8", "samples": 60} | changes
    status, answer = client.reply("POST", "api/explanation", json.dumps(request))
    assert status == 400
    assert answer["error"].startswith(sentence)


def test_without_a_photograph(client):
    request = {"model": "tiny", "masking": "layer", "segments": "patches:8", "samples": 60}
    for method, path, body in (("POST", "api/explanation", json.dumps(request)), ("GET", "api/view", None)):
        status, answer = client.reply(method, path, body, model="tiny")
        assert (status, answer["error"]) == (400, "expected a photograph, got none: choose or upload one")


def huge(width=60_000, height=60_000):
    """A PNG of a few bytes whose header states many pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("content", "status", "sentence"), [
    (b"x" * 70_000, 413, "expected at most 0.06 MB, got more: make the picture smaller"),
    (b"x" * 700_000, 413, "expected at most 0.06 MB, got more"),
    (huge(500, 500), 400, "expected a picture of at most 0.04 million pixels, got 500 x 500 in the file 'bad.png'"),
    (huge(), 400, "expected a readable picture for image, got the file 'bad.png'"),
    (png(picture())[:600], 400, "expected a complete picture for image, got the file 'bad.png' that cannot be"),
    (b"%PDF-1.7 nothing", 400, "expected a picture in one of the formats"),
    (b"<svg onload=alert(1)>", 400, "expected a picture in one of the formats"),
    (b"", 400, "expected a picture for image, got the empty file 'bad.png'"),
])  # fmt: skip
def test_bad_uploads_end_in_a_sentence(client, content, status, sentence):
    view = client.upload(png(picture()))
    found, answer = client.reply("POST", "api/upload", content, {"X-Name": "bad.png"}, model="tiny")
    assert found == status
    assert answer["error"].startswith(sentence)
    assert client.ask("GET", "api/view", model="tiny")["picture"] == view["picture"]  # the one before stays


@pytest.mark.parametrize("body", [b"", b"\0" * 127, b"\0" * 129, b"\0" * 2_000_000])
def test_presence_of_another_size(client, body):
    number = client.upload(png(picture()))["picture"]
    status, answer = client.reply("POST", "api/predict", body, model="tiny", picture=number)
    assert (status, answer["error"][:8]) in ((400, "expected"), (413, "expected"))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"model": {}}'])
def test_requests_that_are_no_request(client, body):
    client.upload(png(picture()))
    status, answer = client.reply("POST", "api/explanation", body)
    assert status == 400
    assert answer["error"].startswith("expected")


@pytest.mark.parametrize("host", ["attacker.example", "attacker.example:8760", "127.0.0.1.attacker.example", ""])
def test_a_name_that_was_rebound_is_refused(client, host):
    for method, path in (("GET", ""), ("POST", "api/session")):
        response, content = client.raw(method, path, headers={"Host": host})
        assert response.status == 403
        assert json.loads(content)["error"].startswith("expected the address of this server for Host")


@pytest.mark.parametrize("headers", [
    {"Origin": "https://attacker.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost:1"}, {"Sec-Fetch-Site": "same-site"},
])  # fmt: skip
def test_posts_of_other_pages_are_refused(client, headers):
    response, content = client.raw("POST", "api/session", headers=headers)
    assert response.status == 403
    assert "another page" in json.loads(content)["error"]


def test_posts_of_its_own_page_are_answered(client, url):
    own = {"Origin": url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.raw("POST", "api/session", headers=own)[0].status == 200
    by_name = {"Host": f"localhost:{urlsplit(url).port}", "Origin": f"http://localhost:{urlsplit(url).port}"}
    assert client.raw("POST", "api/session", headers=by_name)[0].status == 200


def test_further_names_can_be_allowed():
    playground = Playground(networks()[:1], CHOICES, TINY)
    with serving(playground, ["lab.example"]) as url:
        assert Client(url).raw("GET", "", headers={"Host": "lab.example"})[0].status == 200


@pytest.mark.parametrize("path", [
    "assets/../../../../etc/passwd", "assets/..%2f..%2fapp%2fserver.py", "assets/%2e%2e/app.html", "assets/app.html",
    "assets/viewer.js", "reports/", "reports/1", "examples/nothing", "api/nothing", "..%2f..%2fsetup.cfg", "assets/",
])  # fmt: skip
def test_no_other_file_is_served(client, path):
    response, content = client.raw("GET", path)
    assert response.status in (404, 410)
    assert set(json.loads(content)) == {"error"}


def test_the_page_allows_nothing_from_elsewhere(client):
    response, content = client.raw("GET", "")
    page = content.decode()
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    for name in ("nosniff", "no-referrer", "no-store"):
        assert name in response.headers.values()
    assert "://" not in page.replace('href="data:,"', "")
    for name in ("app.css", "app.js", "app_editor.js", "app_answers.js", "app_report.js", "app_server.js"):
        found, source = client.raw("GET", f"assets/{name}")
        assert found.status == 200
        assert b"://" not in source.replace(b"http://www.w3.org", b"")


def test_sessions_are_bounded(url):
    clients = [Client(url) for _ in range(TINY.sessions + 1)]
    status, answer = clients[0].reply("GET", "api/view", model="tiny")
    assert (status, answer["error"]) == (410, "expected an open session, got one that has expired: load the page again")
    assert clients[-1].reply("GET", "api/view", model="tiny")[0] == 400  # it is there, without a photograph


@pytest.mark.parametrize("key", ["", "x", "../", "é"])
def test_unknown_sessions(client, key):
    status, answer = client.reply("GET", "api/view", headers={"X-Session": key}, model="tiny")
    assert (status, set(answer)) == (410, {"error"})
