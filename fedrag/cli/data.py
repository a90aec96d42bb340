"""`fedrag data`: the data packages that evaluation reads."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fedrag import terminal
from fedrag.core.errors import ConfigError, InputError

if TYPE_CHECKING:
    from fedrag.evaluation.data.install import State
    from fedrag.evaluation.data.package import Package

data_app = typer.Typer(
    no_args_is_help=True,
    help="See and fetch the public data sets that `fedrag evaluate` reads: docs/data.md.",
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead.")]

ALL: Final = "all"
CACHE: Final = ".origins"


@data_app.command("list")
def list_packages(
    data: Annotated[Path | None, typer.Option(envvar="FEDRAG_DATA", help="Folder of the data packages.")] = None,
    as_json: AsJson = False,
) -> None:
    """Which packages there are, under which licences, and whether yours are exactly what they should be."""
    from fedrag.evaluation.data import PACKAGES
    from fedrag.evaluation.data.install import State, state

    states = {one.name: state(one, data) if data else State.ABSENT for one in PACKAGES}
    if as_json:
        terminal.print_json({"packages": [_described(one, states[one.name]) for one in PACKAGES]})
        return
    for one in PACKAGES:
        records, size = sum(file.records for file in one.records), sum(file.bytes for file in one.records)
        typer.echo(f"{one.name}: {states[one.name]} ({records:,} records, {size / 1e6:.1f} MB)")
        typer.echo(f"  {one.what}\n  licence: {one.licence}")
    if data is None:
        typer.echo("FEDRAG_DATA names no folder, so nothing was looked at.")


@data_app.command("fetch")
def fetch_package(
    name: Annotated[str, typer.Argument(help="The package, as `fedrag data list` names it; all for every one.")],
    into: Annotated[Path | None, typer.Option(envvar="FEDRAG_DATA", help="Folder of the data packages.")] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A folder that holds the origins already, where there is no way to the internet."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Make it anew where other records are there.")] = False,
    proxy: Annotated[str | None, typer.Option(help="Proxy to use; proxy variables are not read.")] = None,
    as_json: AsJson = False,
) -> None:
    """Get the pinned origin, check every byte, make the records, check them, put them in place."""
    from fedrag.evaluation.data import PACKAGES, package
    from fedrag.evaluation.data.install import State

    if into is None:
        raise ConfigError("where to? give --into, or set FEDRAG_DATA to the folder of the packages", code="no_data")
    chosen = PACKAGES if name == ALL else (package(name),)
    for one in chosen:
        terminal.err.print(f"{one.name}: licence: {one.licence}", markup=False)
        fetched = _fetch(one, into, source, proxy, replace=replace)
        if not as_json:
            typer.echo(f"{one.name}: {'made in' if fetched else 'is already in'} {into / one.name}")
    if as_json:
        terminal.print_json({"packages": [_described(one, State.COMPLETE) for one in chosen]})


def _fetch(one: "Package", into: Path, source: Path | None, proxy: str | None, *, replace: bool) -> bool:
    from fedrag.evaluation.data.github import GitHub, http_client
    from fedrag.evaluation.data.install import fetch, from_folder

    try:
        if source is not None:
            return fetch(one, into, from_folder(source), replace=replace)
        with http_client(proxy) as client:
            github = GitHub(client, terminal.progress)
            return fetch(one, into, lambda origin: github.files(origin, into / CACHE), replace=replace)
    except OSError as error:
        raise InputError(f"{error.strerror}: {error.filename}", code="file_error") from None


def _described(one: "Package", state: "State") -> dict[str, object]:
    return {
        "name": one.name,
        "state": state.value,
        "what": one.what,
        "licence": one.licence,
        "citation": one.citation,
        "origins": [f"https://github.com/{origin.repository}/tree/{origin.commit}" for origin in one.origins],
        "files": [
            {"name": file.name, "records": file.records, "bytes": file.bytes, "sha256": file.sha256}
            for file in one.records
        ],
    }
