"""`fedrag-node policy`: the owner's rules, looked at from every side before they count."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedrag import terminal
from fedrag.core.errors import InputError
from fedrag.core.identity import Purpose, Role
from retriever_node.home import NodeHome, open_config, write_policy

policy_app = typer.Typer(
    no_args_is_help=True,
    help="What may leave, and to whom: policy.toml in the node's folder. A running node follows it at once; while it "
    "has a mistake nothing leaves.",
)
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]
File = Annotated[Path | None, typer.Option("--policy", help="Another file than the node's own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


@policy_app.command()
def init(home: Home) -> None:
    """Write the cautious policy with an example of every class, where there is none."""
    place = NodeHome(home)
    open_config(place)
    if not write_policy(place):
        raise InputError(f"{place.policy} is there already", code="policy_exists")
    terminal.out.print(f"{place.policy} written", markup=False, soft_wrap=True)


@policy_app.command()
def check(home: Home, policy: File = None) -> None:
    """Every mistake with its line, exit code 78; or how many rules there are."""
    from retriever_node.policy import file

    place = NodeHome(home)
    path = policy or place.policy
    read = file.load(path, open_config(place))
    terminal.out.print(f"{path}: {len(read.rules)} rules, version {read.version[:16]}", markup=False, soft_wrap=True)


@policy_app.command()
def show(home: Home, as_json: AsJson = False) -> None:
    """The rules in their order, and of each collection those that are about it."""
    from retriever_node.policy import file

    place = NodeHome(home)
    config = open_config(place)
    read = file.load(place.policy, config)
    if as_json:
        rules = [rule.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for rule in read.rules]
        terminal.print_json({"version": read.version, "rules": rules})
        return
    for rule in read.rules:
        written = rule.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        narrowed = "; ".join(f"{key} {_words(value)}" for key, value in written.items() if key != "name")
        terminal.out.print(f"{rule.name}: {narrowed}", markup=False, soft_wrap=True)
    for one in config.collections:
        about = [rule.name for rule in read.rules if rule.covers(one.id, one.release_class)]
        said = " > ".join(about) or "no rule, nothing leaves"
        terminal.out.print(f"{one.id} (class {one.release_class}): {said}", markup=False, soft_wrap=True)


@policy_app.command()
def explain(
    home: Home,
    collection: Annotated[str | None, typer.Option(help="One collection; by default all.")] = None,
    role: Annotated[Role | None, typer.Option(help="The asker's role.")] = None,
    purpose: Annotated[Purpose, typer.Option(help="The purpose of use.")] = Purpose.UNSTATED,
    project: Annotated[str | None, typer.Option(help="The project.")] = None,
    issuer: Annotated[str | None, typer.Option(help="Who vouches; by default the first issuer of node.toml.")] = None,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Without a token: role and purpose do not count.")] = (
        False
    ),
    policy: File = None,
    as_json: AsJson = False,
) -> None:
    """What somebody would be given, which rule says so, and why the rules before it do not."""
    from retriever_node.policy import NodeAsker, file
    from retriever_node.policy.explain import explain as explained_by
    from retriever_node.policy.explain import sentences

    place = NodeHome(home)
    config = open_config(place)
    path = policy or place.policy
    read, lines = file.load(path, config), file.rule_lines(path)
    some = [one for one in config.collections if collection in (None, one.id)]
    if not some:
        raise InputError("no such collection in node.toml", code="unknown_collection")
    trusted = issuer or next((one.name for one in config.issuers), "an issuer")
    asker = NodeAsker("", role, purpose, trusted, project)
    if anonymous:
        asker = NodeAsker("", None, Purpose.UNSTATED, None)
    explained = [explained_by(read, one, asker, lines) for one in some]
    if as_json:
        terminal.print_json({one.collection: asdict(one) for one in explained})
        return
    for one in explained:
        for sentence in sentences(one, str(path)):
            terminal.out.print(sentence, markup=False, soft_wrap=True)


@policy_app.command("dry-run")
def dry_run(
    home: Home,
    policy: Annotated[Path, typer.Option("--policy", help="The changed file.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back.")] = 7,
    as_json: AsJson = False,
) -> None:
    """What a changed policy would have released of what was released, from the audit log: passages, bytes, askers."""
    import sqlite3
    from contextlib import closing
    from datetime import UTC, datetime

    from retriever_node import audit
    from retriever_node.assemble import open_encoder, open_store
    from retriever_node.policy import dry_run as replay
    from retriever_node.policy import file

    place = NodeHome(home)
    config = open_config(place)
    read = file.load(policy, config)
    collections = {one.id: one.release_class for one in config.collections}
    with closing(open_store(place, open_encoder(config))) as store:
        sizes = {one: store.counts(one).passages for one in collections}
    with closing(sqlite3.connect(f"{place.state.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        found = replay.dry_run(read, collections, sizes, audit.lines(connection), days, datetime.now(UTC))
    if as_json:
        terminal.print_json(asdict(found))
        return
    terminal.out.print(
        f"last {found.days} days: {found.requests} requests, to {found.served} of which this policy would offer text; "
        f"{found.releases} releases with {found.passages} passages",
        markup=False,
        soft_wrap=True,
    )
    for said, rows in (
        ("would have left", found.released),
        ("would have waited for review", found.waiting),
        ("would not have left", found.withheld),
    ):
        for row in rows:
            terminal.out.print(
                f"  {said}, {row.rule}: {row.passages} passages, {row.text_bytes} bytes, {row.askers} askers",
                markup=False,
                soft_wrap=True,
            )


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {of}" for key, of in value.items())
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value).lower()
