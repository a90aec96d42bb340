"""Listening: a port that is really ours, TLS wherever the network begins, a graceful end."""

import ipaddress
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

import uvicorn
from fastapi import FastAPI

from fedrag.core.errors import ConfigError

_DRAIN_S: Final = 10


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises ConfigError (port_in_use, bad_address)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        code = "port_in_use" if error.errno in (98, 48) else "bad_address"
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}", code=code) from None


def address_of(listening: socket.socket, *, tls: bool) -> str:
    host, port = listening.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def without_error_text(record: logging.LogRecord) -> bool:
    """A log filter: of an exception only its type is kept, for its text may hold a question or a passage."""
    if record.exc_info and record.exc_info[0] is not None:
        record.msg = f"{record.getMessage().strip()} ({record.exc_info[0].__name__})"
        record.args, record.exc_info, record.exc_text = (), None, None
    return True


def serve(
    app: FastAPI,
    listening: socket.socket,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    client_ca: Path | None = None,
    ready: Callable[[], None] = lambda: None,
    until_closed: IO[str] | None = None,
) -> None:
    """Serve until told to stop, then let running requests finish. With `client_ca`, callers must show a certificate.

    `until_closed`: also stop when this stream ends, as a pipe does whose other end has died, however it died.
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_ca_certs=str(client_ca) if client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if client_ca else ssl.CERT_NONE,
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
