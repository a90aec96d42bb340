"""An answer for people at a terminal."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fedrag.core.answer import Answer, AnswerPart, Conflict, EvidencePassage, NodeDisclosure, Quote, Reliability
from fedrag.core.exchange import Citation

_QUOTE_CHARACTERS = 160
_STEP_CHARACTERS = 120


def render(answer: Answer) -> RenderableType:
    """The answer, what it rests on, what hospitals disagree about, what became of each and what each gave away."""
    parts: list[RenderableType] = [_verdict(answer)]
    if answer.rewritten:
        parts.append(Text(f"You wrote: {answer.rewritten.asked}  (made to stand alone by {answer.rewritten.by})"))
    if answer.parts:
        parts.append(Text("Asked one by one", style="bold"))
        parts.extend(_part(number, part) for number, part in enumerate(answer.parts, start=1))
    if answer.steps:
        parts.append(Text("Steps", style="bold"))
        for number, step in enumerate(answer.steps, start=1):
            cited = "".join(f"[{citation}]" for citation in step.citations)
            text = _shortened(step.text, _STEP_CHARACTERS)
            parts.append(Text(f"  {number}. {text} {cited}  (uncertainty {step.uncertainty:.2f})"))
    for conflict in answer.evidence.conflicts:
        parts.append(Text(f"Hospitals disagree ({conflict.kind})", style="bold yellow"))
        parts.extend(_side(answer, conflict, quote) for quote in (conflict.first, conflict.second))
    cited_numbers = {citation for step in answer.steps for citation in step.citations}
    cited_passages = [passage for passage in answer.evidence.passages if passage.number in cited_numbers]
    if cited_passages:
        parts.append(Text("Sources", style="bold"))
        parts.extend(_passage(passage) for passage in cited_passages)
    told = (notice for notice in answer.notices if notice.code != "awaiting_release")
    parts.extend(Text(f"Note: {notice.message}", style="magenta") for notice in told)
    if answer.awaiting:
        nodes = ", ".join(one.node for one in answer.awaiting)
        parts.append(Text(f"Awaiting release at {nodes}; fedrag answer {answer.id} shows it later", style="magenta"))
    if answer.completed:
        nodes = ", ".join(answer.completed.released)
        first = f"{answer.completed.first_answered_at:%Y-%m-%d %H:%M} UTC"
        parts.append(Text(f"Completed with what {nodes} released since; first answered {first}", style="green"))
    parts.append(_hospitals(answer))
    if (own := _own_answers(answer)) is not None:
        parts.append(own)
    if answer.certificate:
        parts.append(Text(answer.certificate.explanation))
    parts.append(_bounds(answer))
    parts.append(Text(f"Was it right? fedrag feedback {answer.id} --correct (or --wrong) --helpful 1,3", style="dim"))
    parts.append(Text(answer.intended_use, style="dim"))
    title = Text(f"Q: {answer.question.text}", style="bold")
    return Panel(Group(*parts), title=title, title_align="left", padding=(0, 1))


def _part(number: int, part: AnswerPart) -> Text:
    asked_of = ", ".join(part.asked_of) or "nobody"
    became = f"no answer ({part.abstained.code})" if part.abstained else f"confidence {part.confidence:.2f}"
    short = ", cut short" if part.cut_short else ""
    return Text(f"  {number}. {part.question}  ({became}, asked of {asked_of}{short}; {part.id})")


def _verdict(answer: Answer) -> Text:
    if answer.abstained:
        return Text(f"No answer ({answer.abstained.code}): {answer.abstained.explanation}", style="bold cyan")
    doubt = f"\n(confidence {answer.confidence:.2f}, {answer.reasoner.backend})"
    return Text(answer.text, style="bold green").append(doubt, style="green")


def _side(answer: Answer, conflict: Conflict, quote: Quote) -> Text:
    """One side of a conflict: who says it, in which version, since when, and what."""
    passage = answer.evidence.passages[quote.citation - 1]
    later = ", the newer" if conflict.newer == quote.citation else ""
    title = passage.passage.citation.title
    place = " · ".join(part for part in (passage.node, title, *_document(passage.passage.citation)) if part)
    return Text(f"  [{quote.citation}] {place}{later}: “{quote.text}”", style="yellow")


def _document(citation: Citation) -> tuple[str, ...]:
    """Document, section, version and date, as far as they are known."""
    return (
        citation.document_name,
        f"§ {citation.section}" if citation.section else "",
        f"v{citation.version}" if citation.version else "",
        str(citation.effective_date or ""),
    )


def _passage(evidence: EvidencePassage) -> Text:
    citation = evidence.passage.citation
    text = " ".join(evidence.passage.text.split())
    quote = _shortened(text, _QUOTE_CHARACTERS)
    place = " · ".join(part for part in (evidence.node, *_document(citation)) if part)
    also = f" (also held by {', '.join(evidence.also_held_by)})" if evidence.also_held_by else ""
    return Text(f"  [{evidence.number}] {place}{also}\n      “{quote}”")


def _hospitals(answer: Answer) -> Table:
    table = Table(title="Hospitals", title_justify="left", show_edge=False, pad_edge=False)
    for heading in ("hospital", "what became of it", "ms", "weight", "proved right", "gave away"):
        table.add_column(heading)
    gave = {one.node: one for one in answer.disclosure.hospitals}
    for outcome in answer.coverage:
        code = f" ({outcome.code})" if outcome.code else ""
        weight = answer.evidence.source_weights.get(outcome.node)
        given = gave.get(outcome.node)
        table.add_row(
            outcome.node,
            outcome.status.replace("_", " ") + code,
            f"{outcome.elapsed_ms:.0f}",
            f"{weight:.2f}" if weight is not None else "",
            _proved(answer.evidence.reliability.get(outcome.node)),
            _gave_away(given) if given else "nothing",
        )
    return table


def _gave_away(given: NodeDisclosure) -> str:
    thought = f", {given.traces} chains of thought" if given.traces else ""
    return f"{given.passages} passages{thought}, {given.text_bytes} bytes, {given.patients} patients"


def _own_answers(answer: Answer) -> Text | None:
    """What hospitals that reason themselves chose."""
    own = [f"{one.node} {one.choice or 'nothing'}" for one in answer.chains if one.at_hospital]
    return Text(f"Hospitals' own models chose: {', '.join(own)}") if own else None


def _proved(reliability: Reliability | None) -> str:
    if reliability is None:
        return ""
    return f"{reliability.mean:.2f} of {reliability.outcomes}" if reliability.outcomes else "no outcomes yet"


def _bounds(answer: Answer) -> Text:
    bounds = sorted(
        {one.bound if one.epsilon is None else f"epsilon {one.epsilon:g}" for one in answer.disclosure.hospitals}
    )
    return Text(f"Privacy of what was given away: {'; '.join(bounds) or 'nothing left a hospital'}.", style="dim")


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[:characters].rsplit(" ", 1)[0] + " …"
