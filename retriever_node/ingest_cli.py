"""`fedrag-node ingest`: folders read into passages."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedrag import terminal
from retriever_node.home import NodeHome, open_config

if TYPE_CHECKING:
    from retriever_node.ingest import IngestReport

Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def ingest(
    home: Home,
    as_json: AsJson = False,
    demonstrations: Annotated[
        Path | None,
        typer.Option(
            help="Only this: worked examples for the model of this hospital, JSON Lines of question, trace, answer."
        ),
    ] = None,
) -> None:
    """Read every folder, encode what is new or changed, forget what is gone. Safe to stop and to repeat."""
    if demonstrations is not None:
        from retriever_node.demonstrations_cli import ingest_demonstrations

        ingest_demonstrations(NodeHome(home), demonstrations, as_json=as_json)
        return
    from retriever_node.assemble import open_encoder, open_store
    from retriever_node.ingest import ingest as ingest_folder
    from retriever_node.ingest import redacted_again
    from retriever_node.redaction import redaction_of

    place = NodeHome(home)
    config = open_config(place)
    encoder = open_encoder(config)
    store = open_store(place, encoder)
    reports: dict[str, IngestReport] = {}
    for collection in config.collections:
        with terminal.progress(f"{config.node}/{collection.id}") as tick:
            reports[collection.id] = ingest_folder(
                collection.folder,
                collection.id,
                store,
                encoder,
                reader=collection.reader,
                redaction=redaction_of(collection),
                readings=place.readings / collection.id,
                progress=tick,
            )
    for collection in config.collections:  # what a later one told of patients of an earlier one
        reports[collection.id] = redacted_again(reports[collection.id], collection.id, store, redaction_of(collection))
    _record(place, reports)
    if as_json:
        terminal.print_json({name: asdict(report) for name, report in reports.items()})
    else:
        _tell(reports)
    if any(report.unreadable for report in reports.values()):
        raise typer.Exit(9)


def _tell(reports: Mapping[str, "IngestReport"]) -> None:
    for name, report in reports.items():
        terminal.out.print(
            f"{name}: {report.passages} passages; documents +{report.added} ~{report.changed} "
            f"={report.unchanged} -{report.deleted}; unreadable {len(report.unreadable)}",
            markup=False,
        )
        for bad in report.unreadable:
            terminal.out.print(f"  {bad.path}: {bad.code}: {bad.reason}", markup=False)
        if report.redaction is not None:
            found = ", ".join(f"{one.category} {one.count}" for one in report.redaction.found) or "none"
            terminal.out.print(
                f"  redacted {report.redaction.redacted} passages, withheld {report.redaction.withheld}; "
                f"identifiers in their texts: {found}",
                markup=False,
                soft_wrap=True,
            )
    if not all(report.compacted for report in list(reports.values())[-1:]):
        terminal.out.print(
            "Deleted text may still be in the store's log, because another process was reading it: "
            "the next ingest takes it out.",
            soft_wrap=True,
        )


def _record(place: NodeHome, reports: Mapping[str, "IngestReport"]) -> None:
    """In the audit log, a line or two of each collection."""
    for name, report in reports.items():
        counts = {
            "passages": report.passages,
            "added": report.added,
            "changed": report.changed,
            "deleted": report.deleted,
            "unreadable": len(report.unreadable),
        }
        _note(place, "ingest", name, counts)
        if report.redaction is not None:
            redacted = {"redacted": report.redaction.redacted, "withheld": report.redaction.withheld}
            found = {f"found {one.category}": one.count for one in report.redaction.found}
            _note(place, "redaction", name, {**redacted, **found})


def _note(place: NodeHome, kind: str, collection: str, figures: Mapping[str, float]) -> None:
    import time
    from contextlib import closing

    from retriever_node import audit
    from retriever_node.state import NodeState

    with closing(NodeState(place.state)) as state, state.transaction() as connection:
        audit.note(connection, kind, time.time(), collection=collection, figures=figures)
