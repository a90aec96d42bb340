"""`fedrag-node ingest --demonstrations`."""

from dataclasses import asdict
from pathlib import Path

from fedrag import terminal
from fedrag.core.errors import ConfigError
from retriever_node.home import NodeHome, open_config


def ingest_demonstrations(place: NodeHome, source: Path, *, as_json: bool) -> None:
    """Worked examples in place of those there are. Raises ConfigError(no_traces), InputError(bad_demonstration)."""
    import time
    from contextlib import closing

    from fedrag.redaction import pattern_detector
    from retriever_node import audit
    from retriever_node.assemble import open_encoder, open_store
    from retriever_node.demonstrations import take_in
    from retriever_node.redaction import Redaction
    from retriever_node.state import NodeState

    config = open_config(place)
    if config.traces is None:
        raise ConfigError("node.toml has no [traces]: nothing would be shown them", code="no_traces")
    with closing(open_store(place, open_encoder(config))) as store:
        key = store.document_key
    made = take_in(source, place.demonstrations, config.traces.demonstrations_class, Redaction(pattern_detector()), key)
    with closing(NodeState(place.state)) as state, state.transaction() as connection:
        audit.note(connection, "demonstrations", time.time(), figures=asdict(made))
    if as_json:
        terminal.print_json(asdict(made))
        return
    terminal.out.print(
        f"{made.kept} demonstrations kept, {made.withheld} withheld; a running node shows them after a restart",
        markup=False,
    )
