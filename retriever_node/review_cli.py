"""`fedrag-node review`: what waits for somebody of the hospital."""

import unicodedata
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from fedrag import terminal
from fedrag.core.errors import InputError
from retriever_node.home import NodeHome
from retriever_node.review import Entry, State

if TYPE_CHECKING:
    from retriever_node.reviewer import Reviewer, Shown

review_app = typer.Typer(no_args_is_help=True, help="Look at what waits for a release, and decide.")
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]
Number = Annotated[int, typer.Argument(help="The entry, as `review list` numbers it.")]
By = Annotated[str, typer.Option(help="Who decides: your name, for the hospital's own records.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


@review_app.command("list")
def list_entries(
    home: Home,
    every: Annotated[bool, typer.Option("--all", help="Also what was decided or has expired.")] = False,
    as_json: AsJson = False,
) -> None:
    """What waits, oldest first."""
    entries = _open(home).entries(tuple(State) if every else (State.PENDING,))
    if as_json:
        terminal.print_json({"entries": [asdict(one) for one in entries]})
        return
    for one in entries:
        again = f", asked {one.again + 1} times" if one.again else ""
        terminal.out.print(
            f"{one.id}  {one.state}  {len(one.held)} passages  {one.asked.recipient.purpose}  until {_at(one.until)}"
            f"{again}\n   {_plain(one.asked.question) or '(the question was shown as a vector alone)'}",
            markup=False,
            soft_wrap=True,
        )
    if not entries:
        terminal.out.print("nothing waits", markup=False)


@review_app.command()
def show(home: Home, entry: Number, as_json: AsJson = False) -> None:
    """Who asks what and why, and each passage exactly as it would leave; what redaction put in is marked."""
    found, shown = _open(home).entry(entry)
    if as_json:
        cited = [one.citation.model_dump(mode="json") if one.citation else None for one in shown]
        passages = [{**asdict(one), "citation": of} for one, of in zip(shown, cited, strict=True)]
        terminal.print_json({"entry": asdict(found), "passages": passages})
        return
    for line in _told(found):
        terminal.out.print(line, markup=False, soft_wrap=True)
    for one in shown:
        terminal.out.print(_passage(one), soft_wrap=True)


@review_app.command()
def approve(
    home: Home,
    entry: Number,
    by: By,
    passages: Annotated[str, typer.Option(help="Which of them: 1,3. All, where this is left out.")] = "",
) -> None:
    """Let these passages leave, to who asked and for what was stated, and none of the others."""
    reviewer = _open(home)
    numbers = [part.strip() for part in passages.split(",") if part.strip()]
    if not all(number.isdecimal() for number in numbers):
        raise InputError("--passages takes numbers: 1,3", code="bad_option")
    chosen = [int(number) for number in numbers] or [one.number for one in reviewer.entry(entry)[1]]
    decided = reviewer.approve(entry, chosen, by)
    terminal.out.print(
        f"approved: {len(set(chosen))} of {len(decided.held)} passages leave when they are asked for, "
        f"until {_at(decided.until)}",
        markup=False,
        soft_wrap=True,
    )


@review_app.command()
def deny(
    home: Home,
    entry: Number,
    by: By,
    reason: Annotated[str, typer.Option(help="Why, for the hospital's own records; nobody outside learns it.")] = "",
) -> None:
    """Let nothing leave. Who asked sees no difference to a question that found nothing."""
    _open(home).deny(entry, by, reason)
    terminal.out.print("denied", markup=False)


@review_app.command()
def stats(home: Home, as_json: AsJson = False) -> None:
    """How many wait, what was decided, and how long that took."""
    numbers = asdict(_open(home).numbers())
    if as_json:
        terminal.print_json(numbers)
        return
    for name, value in numbers.items():
        terminal.out.print(f"{name.replace('_', ' ')}: {'–' if value is None else value}", markup=False)


@review_app.command()
def serve(
    home: Home,
    by: By,
    port: Annotated[int, typer.Option(help="Port on this machine; 0 takes a free one.")] = 0,
) -> None:
    """A page on this machine alone, to look and decide; its address, printed here, opens it once."""
    from retriever_node.review_page import serve_page

    serve_page(_open(home), by, port)


def _open(home: Path) -> "Reviewer":
    from retriever_node.reviewer import open_reviewer

    return open_reviewer(NodeHome(home))


def _told(one: Entry) -> list[str]:
    asked, recipient = one.asked, one.asked.recipient
    lines = [
        f"entry {one.id}: {one.state}",
        f"question:    {_plain(asked.question) or '(shown as a vector alone)'}",
        f"reason:      {_plain(asked.reason)}",
        f"purpose:     {recipient.purpose}",
        f"asker:       {recipient.asker}, {asked.role or 'no role'}, issuer {_plain(asked.issuer) or 'none'}",
        f"project:     {recipient.project or 'none'}",
        f"coordinator: {recipient.coordinator}, request {recipient.request_id}",
        f"asked:       {_at(one.made_at)}, over {_at(one.until)}",
    ]
    if one.decided_at is not None:
        lines.append(f"decided:     {_at(one.decided_at)} by {_plain(one.decided_by)} {_plain(one.note)}".rstrip())
    return lines


def _passage(one: "Shown") -> Text:
    chosen = " · approved" if one.held.approved else ""
    head = f"\n[{one.number}] {one.held.collection} · P(relevant) {one.held.probability:.2f}{chosen}"
    if one.text is None or one.citation is None:
        return Text(f"{head}\n    can no longer leave: gone, not what was asked for, or not by the policy of now")
    cited = (one.citation.document_name, one.citation.title, one.citation.section, one.citation.version)
    told = Text(head, style="bold").append(f"\n    {_plain(' · '.join(part for part in cited if part))}\n", style="dim")
    at = 0
    for start, end in one.marked:
        told.append(_plain(one.text[at:start]), style="not bold")
        told.append(_plain(one.text[start:end]), style="reverse not bold")
        at = end
    return told.append(_plain(one.text[at:]), style="not bold")


def _plain(text: str) -> str:
    """Without what a terminal would obey, or what turns the order of letters."""
    return "".join(
        "�" if character != "\n" and unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs") else character
        for character in text
    )


def _at(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M} UTC"
