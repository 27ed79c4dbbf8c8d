"""The web server of the playground."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

import uvicorn

from ..errors import InputError
from .playground import Playground
from .routes import application

__all__ = ["Server"]

_CONNECTIONS = 256
_PATIENCE = 10  # seconds that open requests have to finish when the server stops


class _Uvicorn(uvicorn.Server):
    """Cancels requests that wait for a model when the server stops, instead of waiting for them."""

    def __init__(self, config: uvicorn.Config, playground: Playground) -> None:
        super().__init__(config)
        self._playground = playground

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._playground.stop()
        await super().shutdown(sockets)


class Server:
    """The server of a playground. Its socket is open from the start; requests wait until `run` serves them.

    Args:
        playground: The playground to serve.
        host: The address to listen on.
        port: The port; 0 for any free one.
        names: Host names that requests may use, in addition to localhost, this machine's name, `host` and IP addresses.

    Attributes:
        url: The address of the page.

    Raises:
        InputError: If host or port cannot be used.
    """

    def __init__(self, playground: Playground, host: str, port: int, names: Iterable[str] = ()) -> None:
        self._socket = _listen(host, port)
        address, number = self._socket.getsockname()[:2]
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{number}/"
        app = application(playground, ("localhost", socket.gethostname(), host, *names))
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, proxy_headers=False, ws="none",
            lifespan="off", limit_concurrency=_CONNECTIONS, timeout_graceful_shutdown=_PATIENCE,
        )  # fmt: skip
        self._playground = playground
        self._server = _Uvicorn(config, playground)

    def run(self) -> None:
        """Serve until `stop`, or until the process is interrupted.

        Raises:
            KeyboardInterrupt: After Ctrl-C, once everything is closed.
        """
        try:
            with self._socket:
                self._server.run(sockets=[self._socket])
        finally:
            self._playground.close()

    def stop(self) -> None:
        """Make `run` return; for use from another thread."""
        self._server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            wanted = "an address of this machine for --host"
            raise InputError.expected(wanted, f"{host!r} ({error.strerror})") from error
        raise InputError.expected(
            "a free port for --port", f"{port} ({error.strerror})", "choose another, or 0 for any"
        ) from error
