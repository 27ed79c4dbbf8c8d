"""The addresses of the playground."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files
from typing import Any
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from .. import __version__
from ..catalog import title
from ..images import Picture
from ..viewer import render
from .guard import REPORT_POLICY, Guard
from .network import COMPARED
from .pictures import EXAMPLES
from .playground import Playground
from .requests import HANDLERS, SMALL, read_body, read_json, sentence
from .session import Session

__all__ = ["application"]

# Files of the page in `data/templates`. Nothing else is served from the disk, and these are read once.
_ASSETS = ("app.css", "app.js", "app_answers.js", "app_editor.js", "app_report.js", "app_server.js")
_TYPES = {"css": "text/css", "js": "text/javascript"}
_NAME = 200  # characters of the name of a file

Endpoint = Callable[[Request], Awaitable[Response]]


def application(playground: Playground, names: Iterable[str] = ()) -> Guard:
    """Build the ASGI application.

    Args:
        playground: The playground to serve.
        names: Host names under which it may be reached, besides addresses.
    """
    page, api = _Page(playground), _Api(playground)
    routes = [
        Route("/", page.index),
        Route("/assets/{name}", page.asset),
        Route("/examples/{name}", page.thumbnail),
        Route("/reports/{key}", page.report),
        Route("/api/session", api.session, methods=["POST"]),
        Route("/api/example", api.mine(api.example), methods=["POST"]),
        Route("/api/upload", api.mine(api.upload), methods=["POST"]),
        Route("/api/view", api.mine(api.view)),
        Route("/api/segments", api.mine(api.segments)),
        Route("/api/predict", api.mine(api.predict), methods=["POST"]),
        Route("/api/explanation", api.mine(api.explain), methods=["POST"]),
        Route("/api/explanation", api.mine(api.explaining), methods=["GET"]),
        Route("/api/explanation", api.mine(api.cancel), methods=["DELETE"]),
    ]
    return Guard(Starlette(routes=routes, exception_handlers=HANDLERS), names)


class _Page:
    """What the browser loads."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        choices = playground.choices
        self._index = render(
            "app.html", version=__version__, models=list(playground.networks), choices=choices, examples=EXAMPLES,
            maskings={name: title(name) for name in choices.maskings}, limits=playground.limits,
            compared={name: title(name) for name in COMPARED},
        )  # fmt: skip
        folder = files("xai_layermask").joinpath("data", "templates")
        self._assets = {name: folder.joinpath(name).read_bytes() for name in _ASSETS}
        network = next(iter(playground.networks.values()))
        self._thumbnails = {name: _thumbnail(network.view(one.read()).photograph) for name, one in EXAMPLES.items()}

    async def index(self, request: Request) -> Response:
        return HTMLResponse(self._index)

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        return _file(self._assets.get(name), _TYPES.get(name.rpartition(".")[2], ""))

    async def thumbnail(self, request: Request) -> Response:
        return _file(self._thumbnails.get(request.path_params["name"]), "image/jpeg")

    async def report(self, request: Request) -> Response:
        report = self._playground.sessions.report(request.path_params["key"])
        # By the HTML standard, a sandboxed page with any other opener policy is a network error in a tab of its own.
        headers = {"Content-Security-Policy": REPORT_POLICY, "Cross-Origin-Opener-Policy": "unsafe-none"}
        if "download" in request.query_params:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(report.filename)}"
        return HTMLResponse(report.html, headers=headers)


class _Api:
    """What the page asks for. A session's id is a header, which no page of another site can set."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground

    def mine(self, answer: Callable[[Session, Request], Awaitable[Any]]) -> Endpoint:
        """An endpoint that passes the session of a request to `answer`."""

        async def endpoint(request: Request) -> Response:
            session = self._playground.sessions.get(request.headers.get("x-session", ""))
            return JSONResponse(await answer(session, request))

        return endpoint

    async def session(self, request: Request) -> Response:
        limits = self._playground.limits
        return JSONResponse({"session": self._playground.sessions.create().id, "bytes": limits.bytes})

    async def example(self, session: Session, request: Request) -> Any:
        return await self._playground.show_example(session, _word(request, "model"), _word(request, "name"))

    async def upload(self, session: Session, request: Request) -> Any:
        content = await read_body(request, self._playground.limits.bytes)
        name = unquote(request.headers.get("x-name", "photograph"))[:_NAME]
        return await self._playground.show_upload(session, _word(request, "model"), content, name)

    async def view(self, session: Session, request: Request) -> Any:
        return await self._playground.view(session, _word(request, "model"))

    async def segments(self, session: Session, request: Request) -> Any:
        return await self._playground.segments(session, _word(request, "model"), _word(request, "segments"))

    async def predict(self, session: Session, request: Request) -> Any:
        packed, picture = await read_body(request, SMALL), _word(request, "picture")
        number = int(picture) if picture.isdecimal() and len(picture) < 10 else 0
        return await self._playground.predict(session, _word(request, "model"), number, packed)

    async def explain(self, session: Session, request: Request) -> Any:
        return self._playground.explain(session, read_json(await read_body(request, SMALL)))

    async def explaining(self, session: Session, request: Request) -> Any:
        return self._playground.explaining(session)

    async def cancel(self, session: Session, request: Request) -> Any:
        return self._playground.cancel(session)


def _word(request: Request, name: str) -> str:
    return request.query_params.get(name, "")


def _file(content: bytes | None, kind: str) -> Response:
    if content is None:
        return sentence("expected an address of the playground, got another: go to its first page", 404)
    return Response(content, media_type=kind)


def _thumbnail(photograph: Picture) -> bytes:
    """A small JPEG."""
    from PIL import Image

    file, small = io.BytesIO(), Image.fromarray(photograph)
    small.thumbnail((160, 160))
    small.save(file, "JPEG", quality=88)
    return file.getvalue()
