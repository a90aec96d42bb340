"""Asking a service on this machine whether it is well: for container health checks and people."""

import ssl

import httpx2

from fedrag.core.config import ServeConfig, Tls
from fedrag.core.errors import Unavailable
from fedrag.http.tls import WILDCARDS

_TIMEOUT_S = 5.0


def check_health(serve: ServeConfig, default_port: int, authority: str, own: ssl.SSLContext | None) -> str:
    """What `/health/ready` of the service configured here says. Raises Unavailable(not_ready, unreachable).

    Args:
        authority: our own root, PEM; with it the answer is known to be ours.
        own: a context that presents a certificate which the service accepts, where it asks for one.
    """
    port = serve.port or default_port
    host = "127.0.0.1" if serve.host in WILDCARDS else serve.host
    host = f"[{host}]" if ":" in host else host
    scheme = "https" if serve.tls in (Tls.OWN, Tls.FILES) else "http"
    verify = own if own is not None else ssl.create_default_context(cadata=authority)
    if serve.tls is Tls.FILES:  # an operator's certificate need not name this machine's loopback address
        verify.check_hostname, verify.verify_mode = False, ssl.CERT_NONE
    try:
        with httpx2.Client(verify=verify, trust_env=False, timeout=_TIMEOUT_S) as client:
            response = client.get(f"{scheme}://{host}:{port}/health/ready")
    except httpx2.HTTPError as error:
        raise Unavailable(f"no answer on port {port} ({type(error).__name__})", code="unreachable") from None
    if not response.is_success:
        raise Unavailable(f"status {response.status_code}", code="not_ready")
    return "ready"
