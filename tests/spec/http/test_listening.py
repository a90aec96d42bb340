"""A port that is really ours, and that answers without waiting."""

import socket

import pytest

from fedrag.core.errors import ConfigError
from fedrag.http.serving import listen


def test_accepted_connections_send_at_once() -> None:
    """With Nagle's algorithm on, every response of two writes would wait for the caller's delayed acknowledgement."""
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_port_that_is_taken_is_told() -> None:
    """Before anything else is done."""
    with listen("127.0.0.1", 0) as taken, pytest.raises(ConfigError) as refused:
        listen("127.0.0.1", taken.getsockname()[1])
    assert refused.value.code == "port_in_use"
