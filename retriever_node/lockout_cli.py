"""`fedrag-node lockout`: who is locked out of `patient` collections, and letting them go on."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fedrag import terminal
from retriever_node.home import NodeHome, open_config

lockout_app = typer.Typer(no_args_is_help=True, help="See who is locked out of records of patients, and unlock.")
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


@lockout_app.command("list")
def list_locks(home: Home, as_json: AsJson = False) -> None:
    """Who is locked, the longest first, since when and by asking which collection."""
    from retriever_node.lockout import locks
    from retriever_node.state import NodeState

    place = NodeHome(home)
    open_config(place)
    with NodeState(place.state).reading() as connection:
        found = locks(connection)
    if as_json:
        terminal.print_json({"locks": [asdict(one) for one in found]})
        return
    for one in found:
        at = datetime.fromtimestamp(one.at, UTC).isoformat(timespec="minutes")
        terminal.out.print(f"{one.asker}  since {at}  {one.collection}", markup=False, soft_wrap=True)
    if not found:
        terminal.out.print("nobody is locked", markup=False)


@lockout_app.command()
def unlock(
    home: Home,
    asker: Annotated[str, typer.Argument(help="The pseudonym, as `lockout list` shows it.", metavar="PSEUDONYM")],
    by: Annotated[str, typer.Option(help="Who decides: your name, for the hospital's own records.")],
) -> None:
    """Let an asker go on. What was counted begins again at nothing; the audit log keeps who unlocked."""
    from retriever_node import audit
    from retriever_node.lockout import unlock as unlock_asker
    from retriever_node.state import NodeState

    place = NodeHome(home)
    open_config(place)
    with NodeState(place.state).transaction() as connection:
        lock = unlock_asker(connection, asker)
        now_s = datetime.now(UTC).timestamp()
        audit.note(connection, "unlocked", now_s, collection=lock.collection, by=by, detail=asker)
    terminal.out.print(f"{asker} may ask again", markup=False, soft_wrap=True)
