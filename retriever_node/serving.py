"""A node that listens: `fedrag-node serve`."""

from dataclasses import replace
from pathlib import Path
from typing import IO

import structlog

from fedrag import terminal, tracing
from fedrag.core.config import Tls
from fedrag.core.errors import ConfigError
from fedrag.http.addresses import is_loopback
from fedrag.http.serving import address_of, listen, require_safe, serve
from retriever_node import switch
from retriever_node.assemble import assemble, assemble_reasoning
from retriever_node.config import DEFAULT_PORT, NodeConfig
from retriever_node.home import NodeHome, listening_tls, open_certificate, open_config
from retriever_node.metrics import NodeMetrics
from retriever_node.node import RetrieverNode
from retriever_node.service import create_app
from retriever_node.steady_clock import SteadyClock

_log = structlog.get_logger()


def serve_node(home: Path, host: str | None, port: int | None, until_closed: IO[str] | None) -> None:
    place = NodeHome(home)
    config = open_config(place)
    host = config.serve.host if host is None else host
    port = next(one for one in (port, config.serve.port, DEFAULT_PORT) if one is not None)
    require_safe_serving(config, host)
    terminal.configure_logging()
    tracing.configure("fedrag-node", config.node)
    certificate = open_certificate(place, config)
    tls = listening_tls(place, config, certificate)
    listening = listen(host, port)
    node = replace(assemble(place), ledger_clock=SteadyClock())
    look_around(node)
    ready = {
        "node": node.id,
        "url": address_of(listening, tls=tls is not None),
        "public_key": node.signer.public_key,
    }
    serve(
        create_app(
            node,
            NodeMetrics(certificate.expires_at_s if certificate else lambda: 0.0),
            assemble_reasoning(place, node),
        ),
        listening,
        tls=tls,
        drain_s=config.serve.drain_s,
        upkeep=certificate.upkeep if certificate else lambda: None,
        ready=lambda: terminal.print_line(ready),
        until_closed=until_closed,
    )


def look_around(node: RetrieverNode) -> None:
    """Says what keeps things from leaving, and makes the prototypes: seconds that no router should wait for."""
    with node.state.reading() as connection:
        stopped = switch.stopped(connection)
    if stopped is not None:
        _log.warning("releasing_stopped", since=stopped[0])
    else:
        node.describe()
    for served in node.collections.values():
        if served.redaction and (lacking := node.store.count_unredacted(served.id, served.redaction.version)):
            _log.warning("forms_missing", collection=served.id, passages=lacking)


def require_safe_serving(config: NodeConfig, host: str) -> None:
    """Wherever others may reach it, off loopback or behind a proxy, a node starts only with TLS and a pinned
    coordinator. Raises ConfigError(unsafe_serving)."""
    require_safe(config.serve, host)
    alone = is_loopback(host) and config.serve.tls is Tls.NONE
    if not config.coordinators and not alone:
        raise ConfigError("others can reach this node: enrol with a coordinator first", code="unsafe_serving")
