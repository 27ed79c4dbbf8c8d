"""A playground of a tiny network on a real port, and a client for it."""

from __future__ import annotations

import http.client
import io
import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
from PIL import Image
from tiny import classifier

from xai_layermask.app import Choices, Limits, Network, Server

CHOICES = Choices(("layer", "grey"), ("patches:8", "patches:16"), (60, "auto"))
TINY = Limits(bytes=60_000, pixels=40_000, sessions=4, waiting=1, questions=16)


def networks():
    return [Network(classifier(), seed=0), Network(replace(classifier(seed=1), name="other"), seed=0)]


@contextmanager
def serving(playground, names=()):
    """Run a server in a thread."""
    server = Server(playground, "127.0.0.1", 0, names)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


def picture(seed=0, size=(48, 40)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class Client:
    """What the page does, in one session."""

    def __init__(self, url, model="tiny"):
        self.at = urlsplit(url)
        self.model = model
        self.session = self.ask("POST", "api/session")["session"]

    def raw(self, method, path, body=None, headers=None, **query):
        connection = http.client.HTTPConnection(self.at.hostname, self.at.port, timeout=60)
        connection.request(method, f"/{path}?{urlencode(query)}", body, headers or {})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, content

    def reply(self, method, path, body=None, headers=None, **query):
        own = {"X-Session": self.session} if hasattr(self, "session") else {}
        response, content = self.raw(method, path, body, own | (headers or {}), **query)
        return response.status, json.loads(content)

    def ask(self, *args, **query):
        status, answer = self.reply(*args, **query)
        assert status == 200, answer
        return answer

    def upload(self, content, name="mine.png"):
        return self.ask("POST", "api/upload", content, {"X-Name": quote(name)}, model=self.model)

    def predict(self, presence, number, model=None):
        return self.ask("POST", "api/predict", np.packbits(presence).tobytes(), model=model or self.model,
                        picture=number)
