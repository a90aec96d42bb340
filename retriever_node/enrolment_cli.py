"""`fedrag-node enroll`, `renew`, `tool-certificate`: who a node is to others, and how they know."""

from pathlib import Path
from typing import Annotated

import typer

from fedrag import terminal
from fedrag.core.errors import ConfigError
from retriever_node.home import NodeHome, open_certificate, open_config, own_root
from retriever_node.home import tool_certificate as certificate_for_tools

Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]


def enroll(
    home: Home,
    coordinator: Annotated[str, typer.Option(help="The coordinator's address, as its operator told you.")],
    url: Annotated[
        list[str], typer.Option(help="Where this node will be reached, https://HOST:PORT; again for each replica.")
    ],
    code: Annotated[
        str, typer.Option(envvar="FEDRAG_ENROLMENT_CODE", help="The one-time code; better in FEDRAG_ENROLMENT_CODE.")
    ],
    authority: Annotated[
        Path | None, typer.Option(help="PEM of whom to trust for TLS at these addresses, where it is not this node.")
    ] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy of yours ends TLS; the node itself speaks plain HTTP to it.")
    ] = False,
) -> None:
    """Join a federation: prove the one-time code, pin the coordinator. Your keys stay here; safe to repeat.

    With https addresses the node makes its own TLS certificate, signed by its own key, and asks callers for theirs.
    """
    import time
    from contextlib import closing

    from fedrag.http.invitation import InvitationCode
    from retriever_node import audit
    from retriever_node.enrolment import Joining, enrol
    from retriever_node.state import NodeState

    place = NodeHome(home)
    joining = Joining.plan(open_config(place), url, authority, behind_proxy=behind_proxy)
    enrolled = enrol(place, coordinator, InvitationCode.parse(code), joining)
    with closing(NodeState(place.state)) as state, state.transaction() as connection:
        audit.note(connection, "enrolled", time.time(), coordinator=enrolled.coordinator)
    terminal.out.print(
        f"joined {enrolled.coordinator}; its key is pinned in {place.config}\n"
        f"next: fedrag-node serve --home {home} --host ADDRESS",
        markup=False,
        soft_wrap=True,
    )


def renew(home: Home) -> None:
    """Make a new TLS certificate now; a running node presents it within seconds. It also does so by itself."""
    place = NodeHome(home)
    certificate = open_certificate(place, open_config(place))
    if certificate is None:
        raise ConfigError("TLS does not begin at this node", code="not_own_certificate")
    certificate.renew()
    terminal.out.print("new certificate made", markup=False)


def tool_certificate(
    home: Home,
    output: Annotated[Path, typer.Option(help="Folder for tool.pem (certificate and key) and root.crt.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is good for.")] = 365,
) -> None:
    """Make a certificate for your own monitoring, which reads /health and /metrics; it opens nothing else."""
    import os

    place = NodeHome(home)
    config = open_config(place)
    output.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(output / "tool.pem", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(certificate_for_tools(place, config, days))
    (output / "root.crt").write_text(own_root(place, config), encoding="utf-8")
    terminal.out.print(f"{output}/tool.pem and root.crt made", markup=False, soft_wrap=True)
