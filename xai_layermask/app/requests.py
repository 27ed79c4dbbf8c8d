"""Requests and failures: bodies within limits, and every error as a sentence."""

from __future__ import annotations

import json
from typing import Any

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ..errors import CaptureError, InputError, UnsupportedOperator
from .jobs import Busy, Superseded
from .playground import worded
from .session import UnknownSession

__all__ = ["HANDLERS", "SMALL", "read_body", "read_json", "sentence"]

#: The maximum number of bytes of a request other than an upload.
SMALL = 1 << 20
_PATIENCE = 60.0  # seconds for a request to arrive


class TooLarge(Exception):
    """A request has too many bytes."""


async def read_body(request: Request, most: int) -> bytes:
    """The body of a request. One that is too large is read to its end and dropped: browsers ignore earlier responses.

    Raises:
        TooLarge: If it has more than `most` bytes.
    """
    kept, size = bytearray(), 0
    with anyio.fail_after(_PATIENCE):
        async for chunk in request.stream():
            size += len(chunk)
            if size <= most:
                kept += chunk
            else:
                kept.clear()
            if size > 8 * most:
                break
    if size > most:
        raise TooLarge(f"expected at most {most / 1e6:.3g} MB, got more: make the picture smaller")
    return bytes(kept)


def read_json(content: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        InputError: If the content is anything else.
    """
    try:
        found = json.loads(content)
    except ValueError as error:  # also bytes that are not UTF-8
        raise InputError.expected("a JSON object for the request", "something else") from error
    except RecursionError as error:
        raise InputError.expected("a JSON object for the request", "one that is nested too deeply") from error
    if not isinstance(found, dict):
        raise InputError.expected("a JSON object for the request", type(found).__name__)
    return found


_STATUS: dict[type[Exception], int] = {
    InputError: 400, CaptureError: 400, UnsupportedOperator: 400, Busy: 503, Superseded: 409, UnknownSession: 410,
    TooLarge: 413, TimeoutError: 408, ClientDisconnect: 400,
}  # fmt: skip
_SENTENCES: dict[type[Exception], str] = {
    Superseded: "expected the last question of the page, got an older one: ask again",
    UnknownSession: "expected an open session, got one that has expired: load the page again",
    TimeoutError: f"expected the whole request within {_PATIENCE:.0f} seconds, got a part of it: try again",
    ClientDisconnect: "expected the whole request, got a part of it: try again",
}


async def _failed(request: Request, error: Exception) -> Response:
    kind = next((one for one in _STATUS if isinstance(error, one)), None)
    if kind is not None:
        return sentence(_SENTENCES.get(kind) or str(error), _STATUS[kind])
    status = getattr(error, "status_code", 500)
    if status == 500:
        return sentence(worded(error), 500)
    return sentence("expected an address of the playground, got another: go to its first page", status)


def sentence(text: str, status: int) -> Response:
    """An error as the page reads it."""
    return JSONResponse({"error": text}, status)


#: The handler of each kind of error.
HANDLERS: dict[Any, Any] = dict.fromkeys((*_STATUS, Exception, 404, 405), _failed)
