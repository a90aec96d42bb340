"""An answer for people at a terminal."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fedrag.core.answer import Answer, EvidencePassage

_QUOTE_CHARACTERS = 160
_STEP_CHARACTERS = 120


def render(answer: Answer) -> RenderableType:
    """The answer, what it rests on, what hospitals disagree about, what became of each and what each gave away."""
    parts: list[RenderableType] = [_verdict(answer)]
    if answer.steps:
        parts.append(Text("Steps", style="bold"))
        for number, step in enumerate(answer.steps, start=1):
            cited = "".join(f"[{citation}]" for citation in step.citations)
            text = _shortened(step.text, _STEP_CHARACTERS)
            parts.append(Text(f"  {number}. {text} {cited}  (uncertainty {step.uncertainty:.2f})"))
    for conflict in answer.evidence.conflicts:
        first, second = (_source(answer, quote.citation) for quote in (conflict.first, conflict.second))
        parts.append(Text(f"Hospitals disagree ({conflict.kind})", style="bold yellow"))
        parts.append(Text(f"  {first}: “{conflict.first.text}”\n  {second}: “{conflict.second.text}”", style="yellow"))
    cited_numbers = {citation for step in answer.steps for citation in step.citations}
    cited_passages = [passage for passage in answer.evidence.passages if passage.number in cited_numbers]
    if cited_passages:
        parts.append(Text("Sources", style="bold"))
        parts.extend(_passage(passage) for passage in cited_passages)
    parts.extend(Text(f"Note: {notice.message}", style="magenta") for notice in answer.notices)
    parts += [_hospitals(answer), _bounds(answer)]
    parts.append(Text(answer.intended_use, style="dim"))
    title = Text(f"Q: {answer.question.text}", style="bold")
    return Panel(Group(*parts), title=title, title_align="left", padding=(0, 1))


def _verdict(answer: Answer) -> Text:
    if answer.abstained:
        return Text(f"No answer ({answer.abstained.code}): {answer.abstained.explanation}", style="bold cyan")
    doubt = f"\n(confidence {answer.confidence:.2f}, {answer.reasoner.backend})"
    return Text(answer.text, style="bold green").append(doubt, style="green")


def _source(answer: Answer, number: int) -> str:
    passage = answer.evidence.passages[number - 1]
    date = passage.passage.citation.effective_date
    return f"[{number}] {passage.node}, {passage.passage.citation.title}" + (f", {date}" if date else "")


def _passage(evidence: EvidencePassage) -> Text:
    citation = evidence.passage.citation
    text = " ".join(evidence.passage.text.split())
    quote = _shortened(text, _QUOTE_CHARACTERS)
    place = " · ".join(
        part
        for part in (
            evidence.node,
            citation.document_name,
            f"§ {citation.section}" if citation.section else "",
            f"v{citation.version}" if citation.version else "",
            str(citation.effective_date or ""),
        )
        if part
    )
    also = f" (also held by {', '.join(evidence.also_held_by)})" if evidence.also_held_by else ""
    return Text(f"  [{evidence.number}] {place}{also}\n      “{quote}”")


def _hospitals(answer: Answer) -> Table:
    table = Table(title="Hospitals", title_justify="left", show_edge=False, pad_edge=False)
    for heading in ("hospital", "what became of it", "ms", "weight", "gave away"):
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
            f"{given.passages} passages, {given.text_bytes} bytes, {given.patients} patients" if given else "nothing",
        )
    return table


def _bounds(answer: Answer) -> Text:
    bounds = sorted(
        {one.bound if one.epsilon is None else f"epsilon {one.epsilon:g}" for one in answer.disclosure.hospitals}
    )
    return Text(f"Privacy of what was given away: {'; '.join(bounds) or 'nothing left a hospital'}.", style="dim")


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[:characters].rsplit(" ", 1)[0] + " …"
