"""`fedrag trust`: how far the hospitals' descriptions are believed."""

from pathlib import Path
from typing import Annotated

import typer

from fedrag import terminal

trust_app = typer.Typer(no_args_is_help=True, help="How far hospitals' descriptions are believed, and why.")
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_COORDINATOR_HOME", help="The coordinator's own folder.")]
Node = Annotated[str, typer.Option("--id", help="The hospital's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead.")]


@trust_app.command()
def show(home: Home, as_json: AsJson = False) -> None:
    """Every hospital's standing, what of its description counts, and what speaks for and against it."""
    from fedrag.encoders import ENCODERS
    from fedrag.home import CoordinatorHome, open_config
    from fedrag.kept_trust import TrustStore
    from fedrag.trust import standing_lines
    from router.trust import Trust

    place = CoordinatorHome(home)
    config = open_config(place)
    store = TrustStore(place.trust)
    dimension = ENCODERS.build(config.encoder.name, config.encoder.settings).identity.dimension
    declared = store.declared()
    trust = Trust(
        {node: record for node, (record, _) in store.records(dimension).items()},
        {node: one.organisation for node, one in declared.items()},
    )
    versions: dict[str, int] = {}
    for node, _, _, _ in store.chain():
        versions[node] = versions.get(node, 0) + 1
    store.close()
    lines = standing_lines(trust)
    if as_json:
        terminal.print_json(
            {
                "hospitals": [
                    {
                        "node": node,
                        "organisation": trust.organisations.get(node, node),
                        "standing": standing,
                        "why": reason,
                        "descriptions": versions.get(node, 0),
                    }
                    for node, standing, reason in lines
                ]
            }
        )
        return
    for node, standing, reason in lines:
        terminal.out.print(f"{node}  {standing}: {reason}", markup=False, soft_wrap=True)
    if not lines:
        terminal.out.print("no hospital has been seen yet", markup=False)


@trust_app.command()
def vouch(home: Home, node: Node) -> None:
    """Answer for a hospital: what it describes now counts at once. What it does from now on counts as for any other."""
    from fedrag.home import CoordinatorHome, open_config
    from fedrag.kept_trust import TrustStore

    place = CoordinatorHome(home)
    open_config(place)
    store = TrustStore(place.trust)
    store.declare(node, vouch=True)
    store.close()


@trust_app.command()
def organisation(
    home: Home, node: Node, name: Annotated[str, typer.Option(help="The organisation it belongs to.")]
) -> None:
    """Say that a hospital belongs to an organisation: where one of its hospitals is distrusted, all are."""
    from fedrag.home import CoordinatorHome, open_config
    from fedrag.kept_trust import TrustStore

    place = CoordinatorHome(home)
    open_config(place)
    store = TrustStore(place.trust)
    store.declare(node, name)
    store.close()
