"""`fedrag serve`."""

from pathlib import Path
from typing import IO

from fedrag import terminal, tracing
from fedrag.api.app import create_app
from fedrag.assemble import Coordinator, assemble
from fedrag.config import DEFAULT_PORT
from fedrag.core.config import Tls
from fedrag.home import CoordinatorHome
from fedrag.http.serving import address_of, listen, require_safe, serve
from fedrag.http.tls import LiveCertificate, server_context


def serve_coordinator(home: Path, host: str | None, port: int | None, until_closed: IO[str] | None) -> None:
    place = CoordinatorHome(home)
    coordinator = assemble(place)
    settings, limits = coordinator.config.serve, coordinator.config.limits
    host = settings.host if host is None else host
    port = next(one for one in (port, settings.port, DEFAULT_PORT) if one is not None)
    require_safe(settings, host)
    terminal.configure_logging()
    tracing.configure("fedrag-coordinator", coordinator.config.coordinator)
    listening = listen(host, port)
    presented = _presented(coordinator)
    tls = None if presented is None else server_context(presented, ())
    ready = {"coordinator": coordinator.config.coordinator, "url": address_of(listening, tls=tls is not None)}

    def upkeep() -> None:
        for certificate in {id(one): one for one in (coordinator.certificate, presented) if one is not None}.values():
            certificate.upkeep()

    serve(
        create_app(coordinator, place.feedback),
        listening,
        tls=tls,
        drain_s=settings.drain_s,
        grace_s=limits.deadline_ms / 1000 * 1.1 + 1,
        upkeep=upkeep,
        ready=lambda: terminal.print_line(ready),
        until_closed=until_closed,
    )


def _presented(coordinator: Coordinator) -> LiveCertificate | None:
    """What askers are shown: the coordinator's own certificate, or an operator's."""
    settings = coordinator.config.serve
    match settings.tls:
        case Tls.OWN:
            return coordinator.certificate
        case Tls.FILES if settings.tls_certificate is not None:
            return LiveCertificate(settings.tls_certificate, settings.tls_key)
        case _:
            return None
