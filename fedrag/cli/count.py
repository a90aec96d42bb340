"""One population question to a running federation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fedrag import terminal
from fedrag.client import Client
from fedrag.core.errors import InputError
from fedrag.core.plugins import describe
from fedrag.core.populations import ConceptKind, Estimate, PopulationAnswer, PopulationRequest

_SYSTEMS = ("snomed", "rxnorm", "loinc", "icd10cm", "icd9cm", "cvx", "cpt")


def count_once(
    text: str | None,
    having: Sequence[str],
    also: Sequence[str],
    limits: Mapping[str, object],
    url: str,
    key: str,
    *,
    authority: Path | None,
    as_json: bool,
) -> None:
    """`limits`: sex and age, where they are given."""
    if (text is None) == (not having) or (text is not None and (also or limits)):
        raise InputError("either a question in quotation marks, or --with and its further options", code="bad_option")
    question = {"having": [_concept(one) for one in having], "also": [_concept(one) for one in also], **limits}
    try:
        request = PopulationRequest.model_validate({"text": text} if text is not None else {"question": question})
    except ValidationError as error:
        raise InputError(describe(error)) from None
    with Client(url, key, authority=authority) as client:
        answer = client.count(request)
    if as_json:
        terminal.print_json(answer)
    else:
        terminal.out.print(render(answer))


def render(answer: PopulationAnswer) -> RenderableType:
    """The numbers with their doubt first, then what they cost and who counted."""
    title = Text(f"Q: {answer.understood}", style="bold")
    if answer.patients is None:
        said = Text(f"No number: {answer.not_counted}", style="bold cyan")
        return Panel(Group(said, _hospitals(answer)), title=title, title_align="left", padding=(0, 1))
    lines: list[RenderableType] = []
    if answer.with_also is not None:
        lines.append(_line("with both", answer.with_also))
        lines.append(_line("of patients", answer.patients))
        lines.append(_share(answer.share))
    else:
        lines.append(_line("patients", answer.patients))
    lines += [
        Text(
            f"{answer.hospitals} hospitals counted, noise of each added before anyone saw a number; "
            f"one with fewer than {answer.floor} such patients counts none."
        ),
        Text(
            f"This answer tells about one patient of one hospital at most epsilon {answer.epsilon:.2g}, "
            f"delta {answer.delta:g}. Asked again over the same records it is the same answer, and tells nothing more."
        ),
        *(Text(f"Note: {notice}", style="magenta") for notice in answer.notices),
        _hospitals(answer),
    ]
    return Panel(Group(*lines), title=title, title_align="left", padding=(0, 1))


def _line(name: str, one: Estimate) -> Text:
    hidden = f", of which up to {one.hidden} hidden by floors" if one.hidden else ""
    return Text(f"{name}: about {one.value:.0f}", style="bold green").append(
        f"  ({one.low:.0f} to {one.high:.0f} with probability 0.95{hidden})", style="green"
    )


def _share(share: Estimate | None) -> Text:
    if share is None:
        return Text("share: not known, there may be no such patient", style="bold cyan")
    return Text(f"share: {share.value:.0%}", style="bold green").append(
        f"  ({share.low:.0%} to {share.high:.0%} with probability 0.95)", style="green"
    )


def _hospitals(answer: PopulationAnswer) -> Table:
    table = Table(title="Hospitals", title_justify="left", show_edge=False, pad_edge=False)
    for heading in ("hospital", "what became of it"):
        table.add_column(heading)
    for outcome in answer.coverage:
        table.add_row(outcome.node, outcome.status.replace("_", " ") + (f" ({outcome.code})" if outcome.code else ""))
    return table


def _concept(written: str) -> dict[str, str]:
    """`snomed:49436004`, `medication:apixaban`, or a label by itself."""
    first, colon, rest = written.partition(":")
    if colon and first in _SYSTEMS:
        return {"system": first, "code": rest.strip()}
    if colon and first in tuple(ConceptKind):
        return {"kind": first, "label": rest.strip()}
    return {"label": written}
