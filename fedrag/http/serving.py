"""Listening: a port that is really ours, TLS wherever the network begins, a graceful end."""

import asyncio
import logging
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from math import ceil
from types import FrameType
from typing import IO, Final

import structlog
import uvicorn
from fastapi import FastAPI

from fedrag.core.config import ServeConfig, Tls
from fedrag.core.errors import ConfigError
from fedrag.core.logs import without_error_text
from fedrag.http.addresses import is_loopback

_UPKEEP_S: Final = 2.0
_log = structlog.get_logger()


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises ConfigError (port_in_use, bad_address)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        both = host == "::" and socket.has_dualstack_ipv6()
        listening = socket.create_server((host, port), family=family, backlog=1024, dualstack_ipv6=both)
    except OSError as error:
        code = "port_in_use" if error.errno in (98, 48) else "bad_address"
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}", code=code) from None
    # Accepted connections inherit it. Without, the second write of a response waits 40 ms for the caller's delayed ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def address_of(listening: socket.socket, *, tls: bool) -> str:
    host, port = listening.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def require_safe(serve: ServeConfig, host: str) -> None:
    """Off loopback a service starts only with TLS or behind a proxy that has it. Raises ConfigError(unsafe_serving)."""
    if serve.tls is Tls.NONE and not is_loopback(host):
        raise ConfigError(f'{host} is not loopback: set tls = "own", "files" or "proxy"', code="unsafe_serving")


def serve(
    app: FastAPI,
    listening: socket.socket,
    *,
    tls: ssl.SSLContext | None = None,
    drain_s: float = 0,
    grace_s: float = 10,
    upkeep: Callable[[], None] = lambda: None,
    ready: Callable[[], None] = lambda: None,
    until_closed: IO[str] | None = None,
) -> None:
    """Serve until told to stop; then drain: tell `app.state.draining` for `drain_s`, stop listening, and give running
    requests `grace_s` to finish.

    `upkeep` is called every few seconds, between requests. `until_closed`: also stop when this stream ends, as a pipe
    does whose other end has died, however it died.
    """
    app.state.draining = False

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if sig == signal.SIGTERM:  # being told to stop is no failure: uvicorn itself would end by the signal
                self.should_exit = True
            else:
                super().handle_exit(sig, frame)

        async def main_loop(self) -> None:
            keeping = asyncio.create_task(_repeat(upkeep))
            await super().main_loop()
            app.state.draining = True
            await asyncio.sleep(drain_s)
            keeping.cancel()

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=ceil(grace_s),
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
    logging.getLogger("uvicorn.error").addFilter(without_error_text)
    server = Server(config)

    def watch(stream: IO[str]) -> None:
        # Below the stream's own buffer, whose lock would be held when the interpreter ends.
        while os.read(stream.fileno(), 1024):
            pass
        server.should_exit = True

    if until_closed is not None:
        threading.Thread(target=watch, args=(until_closed,), daemon=True).start()
    server.run(sockets=[listening])


async def _repeat(upkeep: Callable[[], None]) -> None:
    """On the loop's own thread: a TLS context must not change while another thread begins a handshake with it."""
    while True:
        await asyncio.sleep(_UPKEEP_S)
        try:
            upkeep()
        except Exception as error:  # noqa: BLE001 - it is tried again; the service goes on with what it has
            _log.error("upkeep_failed", error=type(error).__name__, code=getattr(error, "code", ""))
