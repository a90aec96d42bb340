"""An answer for people at a terminal."""

from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from fedrag.cli.printable import line, shortened
from fedrag.cli.render_hospitals import bounds, hospital_by_hospital, hospitals, only_hospital
from fedrag.core.answer import Answer, AnswerPart, AnswerSet, Conflict, EvidencePassage, Quote, ReasoningStep
from fedrag.core.exchange import Citation
from fedrag.core.purse import Cost

_QUOTE_CHARACTERS: Final = 160
_STEP_CHARACTERS: Final = 120


def render(answer: Answer) -> RenderableType:
    """The answer, what it rests on, what hospitals disagree about, what became of each and what each gave away."""
    parts: list[RenderableType] = [_verdict(answer)]
    if answer.rewritten:
        parts.append(line(f"You wrote: {answer.rewritten.asked}  (made to stand alone by {answer.rewritten.by})"))
    if answer.parts:
        parts.append(line("Asked one by one", "bold"))
        parts.extend(_part(number, part) for number, part in enumerate(answer.parts, start=1))
    if answer.steps:
        parts.append(line("Steps", "bold"))
        parts.extend(_step(number, step) for number, step in enumerate(answer.steps, start=1))
    for conflict in answer.evidence.conflicts:
        parts.append(line(f"Hospitals disagree ({conflict.kind})", "bold yellow"))
        parts.extend(_side(answer, conflict, quote) for quote in (conflict.first, conflict.second))
    cited_numbers = {citation for step in answer.steps for citation in step.citations}
    cited_passages = [passage for passage in answer.evidence.passages if passage.number in cited_numbers]
    if cited_passages:
        parts.append(line("Sources", "bold"))
        parts.extend(_passage(passage) for passage in cited_passages)
    told = (notice for notice in answer.notices if notice.code != "awaiting_release")
    parts.extend(line(f"Note: {notice.message}", "magenta") for notice in told)
    if answer.awaiting:
        nodes = ", ".join(one.node for one in answer.awaiting)
        parts.append(line(f"Awaiting release at {nodes}; fedrag answer {answer.id} shows it later", "magenta"))
    if answer.completed:
        nodes = ", ".join(answer.completed.released)
        first = f"{answer.completed.first_answered_at:%Y-%m-%d %H:%M} UTC"
        parts.append(line(f"Completed with what {nodes} released since; first answered {first}", "green"))
    parts.extend(hospital_by_hospital(answer))
    parts.append(hospitals(answer))
    parts.append(bounds(answer))
    parts.append(_cost(answer))
    parts.append(line(f"Was it right? fedrag feedback {answer.id} --correct (or --wrong) --helpful 1,3", "dim"))
    parts.append(Text(answer.intended_use, "dim"))
    title = line(f"Q: {answer.question.text}", "bold")
    return Panel(Group(*parts), title=title, title_align="left", padding=(0, 1))


def _part(number: int, part: AnswerPart) -> Text:
    asked_of = ", ".join(part.asked_of) or "nobody"
    became = f"no answer ({part.abstained.code})" if part.abstained else f"confidence {part.confidence:.2f}"
    short = ", cut short" if part.cut_short else ""
    return line(f"  {number}. {part.question}  ({became}, asked of {asked_of}{short}; {part.id})")


def _verdict(answer: Answer) -> Text:
    if answer.abstained:
        return line(f"No answer ({answer.abstained.code}): {answer.abstained.explanation}", "bold cyan")
    report = answer.reasoner
    rests = f", made of {', '.join(report.signals).replace('_', ' ')}" if report.signals else ""
    instead = f" in place of the model ({report.fallback})" if report.fallback else ""
    doubts = [f"(confidence {answer.confidence:.2f}{rests}; {report.backend}{instead})"]
    if answer.answer_set:
        doubts.append(_possible(answer.answer_set))
    if alone := only_hospital(answer):
        doubts.append(f"It rests on {alone} alone.")
    if report.instructions_found:
        doubts.append(
            f"Sentences of the sources that told the reader what to do, left out: {report.instructions_found}."
        )
    if report.cut_short:
        doubts.append("It ended early: this is the best answer until then.")
    return line(answer.text, "bold green").append_text(line("\n".join(("", *doubts)), "green"))


def _possible(found: AnswerSet) -> str:
    """The answer set, in a sentence."""
    missed = (
        f"such a set misses the right choice in at most {found.error:.0%} of questions like the {found.judged} judged"
    )
    return f"{' or '.join(found.choices)}: {missed} ones."


def _step(number: int, step: ReasoningStep) -> Text:
    text = shortened(step.text, _STEP_CHARACTERS)
    cited = "".join(mark for citation in step.citations if (mark := f"[{citation}]") not in text)
    support = "" if step.support is None else f"support {step.support:.2f}, "
    told = f"  {number}. {f'{text} {cited}'.strip()}  ({support}uncertainty {step.uncertainty:.2f})"
    return line(f"{told}  NOT BORNE OUT by what it cites", "red") if step.unsupported else line(told)


def _cost(answer: Answer) -> Text:
    """What was spent of each kind, of its cap where there is one."""
    spent, caps = answer.budget.spent, answer.budget.caps
    told = []
    for cost in Cost:
        used, cap = getattr(spent, cost.value), getattr(caps, cost.value)
        if used:
            told.append(f"{cost} {used:.0f}" + ("" if cap is None else f" of {cap}"))
    thinking = f"; {answer.reasoner.thinking_tokens} tokens of thinking" if answer.reasoner.thinking_tokens else ""
    return line(f"Spent: {', '.join(told) or 'nothing'}{thinking}.", "dim")


def _side(answer: Answer, conflict: Conflict, quote: Quote) -> Text:
    """One side of a conflict: who says it, in which version, since when, and what."""
    passage = answer.evidence.passages[quote.citation - 1]
    later = ", the newer" if conflict.newer == quote.citation else ""
    title = passage.passage.citation.title
    place = " · ".join(part for part in (passage.node, title, *_document(passage.passage.citation)) if part)
    return line(f"  [{quote.citation}] {place}{later}: “{quote.text}”", "yellow")


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
    quote = shortened(evidence.passage.text, _QUOTE_CHARACTERS)
    place = " · ".join(part for part in (evidence.node, *_document(citation)) if part)
    also = f" (also held by {', '.join(evidence.also_held_by)})" if evidence.also_held_by else ""
    return line(f"  [{evidence.number}] {place}{also}\n      “{quote}”")
