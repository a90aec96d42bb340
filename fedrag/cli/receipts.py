"""`fedrag receipts`: what hospitals signed, to hold their audit logs against."""

from pathlib import Path
from typing import Annotated

import typer

from fedrag import terminal

receipts_app = typer.Typer(
    no_args_is_help=True,
    help="The receipts that hospitals signed: `fedrag-node audit verify --anchor` holds an audit log against them.",
)
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_COORDINATOR_HOME", help="The coordinator's own folder.")]


@receipts_app.command()
def show(home: Home) -> None:
    """How many receipts of which hospital are kept."""
    from fedrag.home import CoordinatorHome, open_config
    from fedrag.receipts import kept

    place = CoordinatorHome(home)
    open_config(place)
    for node, count in kept(place.receipts).items():
        terminal.out.print(f"{node}  {count} receipts", markup=False)


@receipts_app.command()
def export(home: Home, node: Annotated[str, typer.Option(help="The hospital's id.")]) -> None:
    """Print the receipts of one hospital, a line of JSON each: the anchor file to send to it, or to its auditor."""
    from fedrag.core.errors import NotFound
    from fedrag.home import CoordinatorHome, open_config
    from fedrag.receipts import receipts_of

    place = CoordinatorHome(home)
    open_config(place)
    found = False
    for receipt in receipts_of(place.receipts, node):
        found = True
        typer.echo(receipt)
    if not found:
        raise NotFound(f"no receipts of {node} are kept", code="no_receipts")
