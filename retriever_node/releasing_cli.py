"""`fedrag-node stop-releasing`, `resume-releasing`, `trust-clock`: whether anything leaves at all."""

from pathlib import Path
from typing import Annotated

import typer

from fedrag import terminal
from retriever_node.home import NodeHome, open_config

Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]


def stop_releasing(home: Home, reason: Annotated[str, typer.Option(help="Why, for your own audit log.")]) -> None:
    """Let nothing leave from now on: no offer, text, count, statistic or description, across replicas and restarts.

    What is in flight and not yet charged is denied too. Coordinators are told `releasing_stopped`.
    """
    import time

    from retriever_node import switch
    from retriever_node.state import NodeState

    place = NodeHome(home)
    open_config(place)
    with NodeState(place.state).transaction() as connection:
        switch.stop(connection, reason, time.time())
    terminal.out.print("nothing leaves; to undo it: fedrag-node resume-releasing", markup=False)


def resume_releasing(home: Home) -> None:
    """Let things leave again as policy.toml says."""
    import time

    from retriever_node import switch
    from retriever_node.state import NodeState

    place = NodeHome(home)
    open_config(place)
    with NodeState(place.state).transaction() as connection:
        resumed = switch.resume(connection, time.time())
    terminal.out.print("the policy decides again" if resumed else "releasing was not stopped", markup=False)


def trust_clock(home: Home) -> None:
    """Say that this machine's clock is right now, after it was wrong: what was charged to days to come counts for
    today, and the node releases again. Nothing is forgotten."""
    import time

    from retriever_node import audit, ledger
    from retriever_node.state import NodeState

    place = NodeHome(home)
    open_config(place)
    state = NodeState(place.state)
    with state.transaction() as connection:
        moved = ledger.trust_clock(connection, time.time())
        audit.note(connection, "clock_trusted", time.time(), figures={"charges": moved})
    state.close()
    terminal.out.print(f"{moved} charges of days to come count for today", markup=False)
