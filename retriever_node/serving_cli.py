"""`fedrag-node serve`, `health`: a node that answers."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fedrag import terminal
from retriever_node.config import DEFAULT_PORT
from retriever_node.home import NodeHome, open_config, own_root, tool_certificate

Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]


def serve(
    home: Home,
    host: Annotated[str | None, typer.Option(help="Address to listen on; off loopback needs TLS.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="Stop when standard input ends.")
    ] = False,
) -> None:
    """Answer the pinned coordinators until stopped. Prints one JSON line when ready."""
    from retriever_node.serving import serve_node

    serve_node(home, host, port, until_closed=sys.stdin if with_parent else None)


def health(home: Home) -> None:
    """Whether the node of this home serves here and is ready; exit code 8 when it is not."""
    import ssl
    from tempfile import NamedTemporaryFile

    from fedrag.core.config import Tls
    from fedrag.http.health import check_health

    place = NodeHome(home)
    config = open_config(place)
    root, own = own_root(place, config), None
    if config.serve.tls in (Tls.OWN, Tls.FILES):
        own = ssl.create_default_context(cadata=root)
        with NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(tool_certificate(place, config, days=1))
            pem.flush()
            own.load_cert_chain(pem.name)
    terminal.out.print(check_health(config.serve, DEFAULT_PORT, root, own), markup=False)
