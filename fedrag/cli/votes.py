"""`fedrag votes`: which hospitals' own answers count in the vote, and why."""

from pathlib import Path
from typing import Annotated

import typer

from fedrag import terminal

votes_app = typer.Typer(no_args_is_help=True, help="Which hospitals' own answers count in the fitted vote.")
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_COORDINATOR_HOME", help="The coordinator's own folder.")]
Node = Annotated[str, typer.Option("--id", help="The hospital's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead.")]


@votes_app.command()
def show(home: Home, as_json: AsJson = False) -> None:
    """Every source of the vote: whether it counts, and what speaks for its having changed since it was judged."""
    from fedrag.home import CoordinatorHome, open_config
    from fedrag.kept_drift import DriftStore
    from fedrag.vote_watch import digest_of, drift_lines
    from reasoner.vote_model import configured

    place = CoordinatorHome(home)
    vote = configured(open_config(place).reasoner.settings)
    rows: tuple[tuple[str, bool, float, int, float], ...] = ()
    if vote is not None:
        store = DriftStore(place.drift)
        rows = drift_lines(vote, store.change(digest_of(vote), lambda known: known))
        store.close()
    if as_json:
        names = ("node", "counted", "suspicion", "left_out_times", "usual_agreement")
        terminal.print_json({"sources": [dict(zip(names, row, strict=True)) for row in rows]})
        return
    for node, counted, suspicion, times, usual in rows:
        standing = "counted" if counted else "not counted: it stopped agreeing with the others as when it was judged"
        terminal.out.print(
            f"{node}  {standing}; evidence that it changed: {suspicion:.0%} of what it takes; "
            f"left out {times} times; agreed with the others {usual:.0%} of the time when it was judged",
            markup=False,
            soft_wrap=True,
        )
    if not rows:
        terminal.out.print("no fitted vote is in use (vote_model)", markup=False)


@votes_app.command()
def count(home: Home, node: Node) -> None:
    """Count a hospital again, as if nothing had been seen of it yet: from the second question on."""
    from fedrag.core.errors import InputError
    from fedrag.home import CoordinatorHome, open_config
    from fedrag.kept_drift import DriftStore
    from fedrag.vote_watch import digest_of
    from reasoner.vote_model import configured

    place = CoordinatorHome(home)
    vote = configured(open_config(place).reasoner.settings)
    if vote is None or node not in vote.sources:
        raise InputError(f"{node} is no source of the vote in use", code="unknown_source")
    store = DriftStore(place.drift)
    store.change(digest_of(vote), lambda known: known.counting(node))
    store.close()
