"""uvicorn in a thread of the agent, on a socket bound beforehand, so that a port in use is an error at the start."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn

from ..errors import ConfigError

_STOP_SECONDS = 5.0


class HttpServer:
    """Serves one ASGI app."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=int(_STOP_SECONDS) - 1
        )
        self._server = uvicorn.Server(config)
        self._socket = _bind(host, port)
        self._thread = threading.Thread(target=self._run, name="shadow-http", daemon=True)

    @property
    def address(self) -> str:
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"SHADOW_HTTP_HOST={host!r} is no address of this machine: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"port {port} on {host} cannot be used ({error.strerror}); set SHADOW_HTTP_PORT to a free one"
        ) from error
    bound.listen(128)
    return bound
