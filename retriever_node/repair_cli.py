"""`fedrag-node check`, `repair`, `backup`, `restore`: whether a node is whole, and making it so."""

from pathlib import Path
from typing import Annotated

import typer

from fedrag import terminal
from retriever_node.home import NodeHome, open_config
from retriever_node.setup_cli import say_denied

Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]


def check(home: Home) -> None:
    """Check configuration, policy, keys, passages, indexes, audit chain; exit code 6 when something is damaged."""
    from retriever_node import audit, switch
    from retriever_node.assemble import assemble

    place = NodeHome(home)
    _require_sound(place)
    node = assemble(place)
    with node.state.reading() as connection:
        chain = audit.check(connection)
        stopped = switch.stopped(connection)
    if stopped is not None:
        since, reason = stopped
        terminal.out.print(f"nothing leaves since {since}: {reason}", markup=False, soft_wrap=True)
    say_denied(place, open_config(place))
    for served in node.collections.values():
        if served.redaction and (lacking := node.store.count_unredacted(served.id, served.redaction.version)):
            terminal.out.print(
                f"{served.id}: {lacking} passages are not offered, they lack a redacted form: fedrag-node ingest",
                markup=False,
                soft_wrap=True,
            )
    terminal.out.print(f"{node.id}: 0 problems; audit chain of {chain.lines} lines intact", markup=False)


def repair(home: Home) -> None:
    """Take out what is damaged and can be made again, and say what was done; exit code 6 when something is left.

    The audit log and the ledger are never touched. A store that SQLite cannot read is put aside and what is whole of it
    saved: stop the node for that.
    """
    from datetime import UTC, datetime

    from retriever_node.repair import repair as repair_home

    place = NodeHome(home)
    for sentence in repair_home(place, datetime.now(UTC)):
        terminal.out.print(sentence, markup=False, soft_wrap=True)
    _require_sound(place)
    terminal.out.print("nothing is damaged", markup=False)


def backup(home: Home, output: Annotated[Path, typer.Option(help="The backup: a new folder.")]) -> None:
    """Copy a node, which may serve and ingest meanwhile. The copy holds its private key and every text: guard it."""
    from datetime import UTC, datetime

    from retriever_node.backup import backup as back_up

    about = back_up(NodeHome(home), output, datetime.now(UTC))
    terminal.out.print(f"backup of {about.node} made in {output}", markup=False, soft_wrap=True)


def restore(
    home: Home, source: Annotated[Path, typer.Option("--from", help="The backup: a folder that `backup` made.")]
) -> None:
    """Make a node of a backup, in a new folder; exit code 6 when the backup is damaged. Then ingest."""
    from datetime import UTC, datetime

    from retriever_node.backup import restore as restore_node

    about = restore_node(source, NodeHome(home), datetime.now(UTC))
    terminal.out.print(
        f"{about.node} as it was at {about.made_at.isoformat()}; quotas spent and requests seen since are forgotten\n"
        f"next: fedrag-node ingest --home {home}",
        markup=False,
        soft_wrap=True,
    )


def _require_sound(place: NodeHome) -> None:
    from retriever_node.repair import examine

    findings = examine(place)
    for found in findings:
        terminal.out.print(f"damaged: {found.part}: {found.code} ({found.count})", markup=False)
    if findings:
        raise typer.Exit(6)
