"""What each hospital answered by itself, what became of it and what it gave away, for people at a terminal."""

from collections.abc import Iterator
from typing import Final

from rich.table import Table
from rich.text import Text

from fedrag.cli.printable import line, shortened
from fedrag.core.answer import Answer, NodeDisclosure, Reliability, SourceChain
from fedrag.core.exchange import NodeStatus

_WORDS_CHARACTERS: Final = 160


def hospital_by_hospital(answer: Answer) -> Iterator[Text]:
    """Each source's own answer in a line, with the end of its chain of thought below; then the certificate."""
    if answer.chains or answer.certificate:
        yield line("Hospital by hospital", "bold")
    for one in answer.chains:
        differs = answer.choice is not None and one.choice not in (None, answer.choice)
        told = "; ".join((_chose(answer, one), *(("otherwise",) if differs else ()), *_about(one)))
        yield line(f"  {one.node}: {told}", "yellow" if differs else "")
        if words := one.answer or (one.steps[-1].text if one.steps else ""):
            yield line(f"      “{shortened(words, _WORDS_CHARACTERS)}”")
    if answer.certificate:
        yield line(answer.certificate.explanation)


def only_hospital(answer: Answer) -> str:
    """The one that the answer rests on, by what it cites and by who chose the same; "" where there are more."""
    cited = {number for step in answer.steps for number in step.citations}
    behind = {one.node for one in answer.evidence.passages if one.number in cited}
    chose = {one.node for one in answer.chains if one.at_hospital and one.choice and one.choice == answer.choice}
    return next(iter(behind | chose)) if len(behind | chose) == 1 else ""


def _chose(answer: Answer, one: SourceChain) -> str:
    if one.choice is not None:
        option = answer.question.options.get(one.choice)
        return f"{one.choice}. {option}" if option else one.choice
    if one.confidence is not None:
        return "answers in words"
    became = next((each.status for each in answer.coverage if each.node == one.node), NodeStatus.ANSWERED)
    return "nothing" if became is NodeStatus.ANSWERED else f"nothing ({became.replace('_', ' ')})"


def _about(one: SourceChain) -> Iterator[str]:
    yield "its own model" if one.at_hospital else "read here, alone"
    if not one.counted:
        yield "not counted, for it stopped agreeing with the others"
    if one.weight is not None:
        yield f"weight in the vote {one.weight:.2f}"
    if one.confidence is not None:
        yield f"believed to {one.confidence:.2f}"
    if one.uncertainty is not None:
        yield f"states an uncertainty of {one.uncertainty:.2f}"
    if one.gaps:
        yield f"admits {one.gaps} {'gap' if one.gaps == 1 else 'gaps'}"


def hospitals(answer: Answer) -> Table:
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


def bounds(answer: Answer) -> Text:
    told = sorted(
        {one.bound if one.epsilon is None else f"epsilon {one.epsilon:g}" for one in answer.disclosure.hospitals}
    )
    return line(f"Privacy of what was given away: {'; '.join(told) or 'nothing left a hospital'}.", "dim")


def _gave_away(given: NodeDisclosure) -> str:
    thought = f", {given.traces} chains of thought" if given.traces else ""
    return f"{given.passages} passages{thought}, {given.text_bytes} bytes, {given.patients} patients"


def _proved(reliability: Reliability | None) -> str:
    if reliability is None:
        return ""
    return f"{reliability.mean:.2f} of {reliability.outcomes}" if reliability.outcomes else "no outcomes yet"
