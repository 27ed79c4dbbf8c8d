"""Access control of the playground: foreign hosts and pages are refused, and headers restrict what its pages may do.

A page of another site can send requests to a server on this machine. It cannot choose the headers Host and Origin, so
a name that was rebound to this machine, and a form that posts to it, are recognised by them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["PAGE_POLICY", "REPORT_POLICY", "Guard", "is_trusted"]

#: Content security policy of the page: nothing from elsewhere, no inline code, in no frame of another page.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: Of a report, a page with code of its own: it has no origin, and cannot reach the server or any other.
REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts allow-downloads"
)
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_trusted(host: str, names: Iterable[str]) -> bool:
    """Whether a Host header names this machine: by an address, which cannot be rebound, or by a known name.

    Args:
        host: The header, with or without a port.
        names: Known names, in lower case.

    Example:
        >>> is_trusted("127.0.0.1:8760", ()), is_trusted("[::1]:8760", ()), is_trusted("localhost", ("localhost",))
        (True, True, True)
        >>> is_trusted("attacker.example:8760", ("localhost",)), is_trusted("", ("localhost",))
        (False, False)
    """
    name = _name(host)
    if name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")


class Guard:
    """Refuses requests from foreign pages, and adds headers to every response.

    Args:
        app: The application that it protects.
        names: Names of this machine.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(Headers(scope=scope), scope["method"])
        answer = self._app if not refusal else JSONResponse({"error": refusal}, 403)
        await answer(scope, receive, send_guarded)

    def _refusal(self, headers: Headers, method: str) -> str:
        """Why a request is refused; empty if it is not."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not is_trusted(host, self._names):
            return "expected the address of this server for Host, got another name: open it by its address"
        foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
        if foreign or (method not in ("GET", "HEAD") and headers.get("sec-fetch-site", "same-origin") != "same-origin"):
            return "expected a request of this server's own page, got one of another page"
        return ""
