"""`fedrag statistics`: what hospitals counted together."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedrag import terminal

if TYPE_CHECKING:
    from fedrag.kept_statistics import KeptStatistics

statistics_app = typer.Typer(no_args_is_help=True, help="Statistics of terms that the hospitals share.")
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_COORDINATOR_HOME", help="The coordinator's own folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead.")]


@statistics_app.command()
def show(home: Home, as_json: AsJson = False) -> None:
    """What the hospitals counted together, when, and who has it."""
    from fedrag.home import CoordinatorHome, open_config
    from fedrag.kept_statistics import StatisticsFile

    place = CoordinatorHome(home)
    open_config(place)
    kept = StatisticsFile(place.statistics).read()
    if kept is None:
        terminal.out.print("the hospitals have not counted together", markup=False)
        return
    _print(kept, as_json=as_json)


@statistics_app.command()
def run(home: Home, as_json: AsJson = False) -> None:
    """Have the hospitals count now, also while the coordinator serves. They refuse twice within their interval."""
    from fedrag.assemble import assemble
    from fedrag.core.errors import ConfigError
    from fedrag.home import CoordinatorHome
    from fedrag.kept_statistics import KeptStatistics

    async def once() -> KeptStatistics:
        coordinator = assemble(CoordinatorHome(home))
        try:
            if coordinator.statistics is None:
                raise ConfigError("statistics.share is false in coordinator.toml", code="statistics_off")
            await coordinator.descriptions.refresh()
            kept = await coordinator.statistics.renew()
            await coordinator.statistics.tell()
            return coordinator.statistics.file.read() or kept
        finally:
            await coordinator.aclose()

    _print(asyncio.run(once()), as_json=as_json)


def _print(kept: "KeptStatistics", *, as_json: bool) -> None:
    from fedrag.core.statistics import COUNTS

    counts = kept.shared.numbers()
    if counts is None:  # not read from disk, and not made
        return
    told = {
        "epoch": kept.shared.epoch,
        "made_at": kept.made_at.isoformat(),
        "passages": int(counts[0]),
        "terms": len(counts) - COUNTS,
        "terms_found": int((counts[COUNTS:] > 0).sum()),
        "hospitals": list(kept.shared.hospitals),
        "adopted": {node: at.isoformat() for node, at in kept.adopted.items()},
    }
    if as_json:
        terminal.print_json(told)
        return
    terminal.out.print(
        f"epoch {told['epoch']}, counted {told['made_at']} by {len(kept.shared.hospitals)} hospitals: "
        f"{told['passages']} passages, {told['terms_found']} of {told['terms']} terms found",
        markup=False,
        soft_wrap=True,
    )
    for node in sorted({*kept.shared.hospitals, *kept.adopted}):
        has = f"has it since {kept.adopted[node].isoformat()}" if node in kept.adopted else "does not have it yet"
        counted = "counted" if node in kept.shared.hospitals else "joined later"
        terminal.out.print(f"{node}  {counted}, {has}", markup=False, soft_wrap=True)
