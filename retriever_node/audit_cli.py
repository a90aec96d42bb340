"""`fedrag-node audit`: what the node did, printed, exported, and held against what others were told."""

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedrag import terminal

if TYPE_CHECKING:
    from retriever_node.state import NodeState

audit_app = typer.Typer(help="The audit log: who was given what, who decided what. Alone: print its lines.")
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]


@audit_app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")
    ] = None,
) -> None:
    """Print the audit log as JSON lines, oldest first, checking its chain; or one of the commands below."""
    from fedrag.core.errors import InputError
    from retriever_node import audit

    if context.invoked_subcommand is not None:
        return
    if home is None:
        raise InputError("which node? --home FOLDER", code="bad_option")
    with closing(_opened(home)) as state, state.reading() as connection:
        for line in audit.lines(connection):
            typer.echo(line)


@audit_app.command()
def verify(
    home: Home,
    anchor: Annotated[
        list[Path], typer.Option(help="Receipts from `fedrag receipts export`; once per coordinator.")
    ] = [],  # noqa: B006 - typer copies it
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Hold the log against itself, and against the receipts that coordinators keep; exit code 6 when it does not hold.

    Without an anchor only a change that left the chain as it was is found: whoever can write the file can also make the
    whole chain anew, or cut off its end.
    """
    from fedrag.http.signing import Signer
    from retriever_node import audit
    from retriever_node.home import NodeHome, open_config

    place = NodeHome(home)
    node, key = open_config(place).node, Signer.load(place.signing_key).public_key
    anchors = [receipt for path in anchor for receipt in audit.read_anchors(path, node, key)]
    with closing(_opened(home)) as state, state.reading() as connection, terminal.progress("audit lines") as tick:
        found = audit.check(connection, anchors, tick)
    if as_json:
        terminal.print_json(
            {"lines": found.lines, "head": found.head, "anchors": found.anchors, "unanchored": found.unanchored}
        )
        return
    vouched = (
        f"{found.anchors} heads that were given out stand in it; {found.unanchored} lines are newer than all of them"
        if found.anchors
        else "held against itself alone: an anchor (--anchor) shows what was cut off or written anew"
    )
    terminal.out.print(
        f"audit chain of {found.lines} lines intact; head {found.head}\n{vouched}", markup=False, soft_wrap=True
    )


@audit_app.command()
def export(
    home: Home,
    since: Annotated[str, typer.Option("--from", help="Only lines of YYYY-MM-DD or later (UTC).")] = "",
    until: Annotated[str, typer.Option("--until", help="Only lines of YYYY-MM-DD or earlier (UTC).")] = "",
    people: Annotated[bool, typer.Option("--for-people", help="A sentence per line instead of JSON.")] = False,
) -> None:
    """Print the log with position and head of each line, as JSON lines, checking its chain."""
    from retriever_node import audit

    with closing(_opened(home)) as state, state.reading() as connection:
        for entry in audit.entries(connection):
            event = json.loads(entry.line)
            day = event["at"][:10]
            if (since and day < since) or (until and day > until):
                continue
            typer.echo(
                sentence(event) if people else json.dumps({"position": entry.position, "head": entry.head, **event})
            )


def sentence(event: Mapping[str, object]) -> str:
    """One line of the log for people: when, what, to whom, how much, why."""
    told = [str(event["at"])[:19].replace("T", " "), f"{event['kind']:<18}"]
    if event.get("asker"):
        told.append(f"asker {str(event['asker'])[:12]} ({event.get('purpose') or 'no purpose'})")
    if event.get("coordinator"):
        told.append(f"by {event['coordinator']}")
    passages = event.get("passages")
    if isinstance(passages, list) and passages:
        told.append(f"{len(passages)} passages, {event.get('text_bytes', 0)} bytes")
    if event.get("processor"):
        told.append(f"to {event['processor']}")
    told += [f"{name} {event[name]}" for name in ("project", "collection", "by", "detail") if event.get(name)]
    figures = event.get("figures")
    if isinstance(figures, dict):
        told += [f"{name} {value}" for name, value in figures.items()]
    if event.get("request_id"):
        told.append(f"answer {event['request_id']}")
    return "  ".join(told)


def _opened(home: Path) -> "NodeState":
    from retriever_node.home import NodeHome, open_config
    from retriever_node.state import NodeState

    place = NodeHome(home)
    open_config(place)
    return NodeState(place.state)
