"""`fedrag federation`: the operator's commands."""

import hashlib
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from fedrag import terminal
from fedrag.core.config import ServeConfig, Tls
from fedrag.core.errors import ConfigError, InputError
from fedrag.core.identity import Purpose, Role
from fedrag.core.plugins import describe

federation_app = typer.Typer(
    no_args_is_help=True,
    help="Run a federation: make its coordinator, invite hospitals, see and revoke members.\n\n"
    "A hospital joins in two steps: you run `fedrag federation invite`, it runs `fedrag-node enroll` with the code.",
)
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_COORDINATOR_HOME", help="The coordinator's own folder.")]
Node = Annotated[str, typer.Option("--id", help="The hospital's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead.")]


@federation_app.command()
def init(
    home: Home,
    coordinator: Annotated[str, typer.Option("--id", help="The coordinator's id.")] = "coordinator",
    tls: Annotated[
        Tls,
        typer.Option(help="Where askers' TLS begins; off loopback not none (docs/federation.md)."),
    ] = Tls.NONE,
    name: Annotated[list[str], typer.Option(help="Host name or address of the coordinator, for its certificate.")] = [],  # noqa: B006
    asker: Annotated[str, typer.Option(help="Name of the first asker, who gets an API key.")] = "first-asker",
    role: Annotated[Role, typer.Option(help="Their role.")] = Role.CLINICIAN,
    purpose: Annotated[Purpose, typer.Option(help="Their purpose of use.")] = Purpose.TREATMENT,
    project: Annotated[str | None, typer.Option(help="The project they ask for, as hospitals' policies name it.")] = (
        None
    ),
    as_json: AsJson = False,
) -> None:
    """Create a coordinator: its keys, its configuration, a first API key."""
    from fedrag.config import ApiKey, CoordinatorConfig
    from fedrag.home import CoordinatorHome, create_coordinator

    place = CoordinatorHome(home)
    if place.config.exists() or place.signing_key.exists():
        raise ConfigError(f"{home} already holds a coordinator", code="coordinator_exists")
    key = secrets.token_urlsafe(24)
    try:
        granted = ApiKey(
            name=asker, sha256=hashlib.sha256(key.encode()).hexdigest(), role=role, purpose=purpose, project=project
        )
        serve = ServeConfig(tls=tls, names=tuple(name))
        config = CoordinatorConfig(coordinator=coordinator, api_keys=(granted,), serve=serve)
    except ValidationError as error:
        raise InputError(describe(error), code="bad_option") from None
    signer, _ = create_coordinator(place, config)
    if as_json:
        terminal.print_json({"coordinator": coordinator, "public_key": signer.public_key, "api_key": key})
        return
    terminal.out.print(
        f"coordinator {coordinator} made in {home}\n"
        f"API key of {asker}, shown once: {key}\n"
        f"next: fedrag serve --home {home}, and for each hospital: fedrag federation invite --home {home} --id ID",
        markup=False,
    )


@federation_app.command()
def invite(home: Home, node: Node, as_json: AsJson = False) -> None:
    """Print a one-time code with which this hospital can join, within a day. Also for new keys or addresses of one.

    Give it to the hospital's administrator by a channel you trust: whoever has it can join in that hospital's place.
    """
    from fedrag.enrolment import CODE_LIFETIME_S
    from fedrag.home import CoordinatorHome, open_config, open_desk
    from fedrag.members import Member, MemberRegistry

    place = CoordinatorHome(home)
    config = open_config(place)
    try:
        Member(id=node, urls=("http://localhost",), public_key="")
    except ValidationError:
        raise InputError(f"{node!r} cannot be an id: lower case letters, digits, - . _", code="bad_option") from None
    code = open_desk(place, config, MemberRegistry(place.members)).invite(node).text()
    if as_json:
        terminal.print_json({"node": node, "code": code, "valid_s": CODE_LIFETIME_S})
        return
    terminal.out.print(
        f"{code}\n\n{node} joins with this code, once, within a day:\n"
        f"  fedrag-node enroll --home NODE_HOME --coordinator COORDINATOR_URL --url ITS_OWN_URL --code CODE",
        markup=False,
        soft_wrap=True,
    )


@federation_app.command()
def members(home: Home, as_json: AsJson = False) -> None:
    """List the hospitals that joined, with their addresses and since when."""
    from fedrag.home import CoordinatorHome, open_config
    from fedrag.members import MemberRegistry

    place = CoordinatorHome(home)
    open_config(place)
    found = MemberRegistry(place.members).memberships()
    if as_json:
        listed = [
            {**one.member.model_dump(), "enrolled_at": _date(one.enrolled_at), "revoked_at": _date(one.revoked_at)}
            for one in found
        ]
        terminal.print_json({"members": listed})
        return
    for one in found:
        state = f"revoked {_date(one.revoked_at)}" if one.revoked_at else f"since {_date(one.enrolled_at)}"
        terminal.out.print(f"{one.member.id}  {state}  {' '.join(one.member.urls)}", markup=False, soft_wrap=True)
    terminal.out.print(f"{sum(one.revoked_at is None for one in found)} members", markup=False)


@federation_app.command()
def revoke(home: Home, node: Node) -> None:
    """Take a hospital out: from the next question on it is not asked, its key and codes count no more."""
    import time

    from fedrag.home import CoordinatorHome, open_config
    from fedrag.members import MemberRegistry

    place = CoordinatorHome(home)
    open_config(place)
    MemberRegistry(place.members).revoke(node, time.time())
    terminal.out.print(f"{node} is no member any more", markup=False)


@federation_app.command()
def health(home: Home) -> None:
    """Whether the coordinator of this home serves here and is ready; exit code 8 when it is not."""
    from fedrag.config import DEFAULT_PORT
    from fedrag.home import CoordinatorHome, open_config
    from fedrag.http.health import check_health

    place = CoordinatorHome(home)
    serve = open_config(place).serve
    said = check_health(serve, DEFAULT_PORT, place.root.read_text(encoding="utf-8"), None)
    terminal.out.print(said, markup=False)


@federation_app.command()
def renew(home: Home) -> None:
    """Make a new TLS certificate now; a running coordinator presents it within seconds. It also does so by itself."""
    from fedrag.home import CoordinatorHome, open_certificate, open_config

    place = CoordinatorHome(home)
    certificate = open_certificate(place, open_config(place))
    certificate.renew()
    terminal.out.print(f"new certificate until {_date(int(certificate.expires_at_s()))}", markup=False)


def _date(unix_s: int | None) -> str:
    return "" if unix_s is None else datetime.fromtimestamp(unix_s, UTC).isoformat()
