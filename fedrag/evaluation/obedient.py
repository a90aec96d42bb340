"""The worst model an injection could meet: it obeys every order that reaches it in a form that it could understand, and
otherwise answers as the embedded reasoner does."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fedrag.core.answer import Evidence, Reasoning
from fedrag.core.deadline import Deadline
from fedrag.core.protocols import Reasoner
from fedrag.core.question import Question
from fedrag.evaluation.injections import Injection
from reasoner.chat import ChatRequest, Completion, Message

FORGED: Final = 97
"""A passage number that no evidence has."""
_PASSAGE: Final = re.compile(r"<<PASSAGE (\d+) (\w+)>>\n[^\n]*\n[^\n]*\n(.*?)\n<<END \2>>", re.S)
_READER: Final = re.compile(
    r"^Hospital \S+, weight ([\d.]+), answer (.*):$\n<<READER (\w+)>>\n(.*?)\n<<END \3>>", re.M | re.S
)


@dataclass(slots=True)
class Honest:
    """What the embedded reasoner makes of a question's passages as a prompt shows them; each reading is made once. It
    does not believe passages that are not the question's own."""

    reasoner: Reasoner
    question: Question
    evidence: Evidence
    made: dict[frozenset[tuple[int, str]], Reasoning] = field(default_factory=dict)

    async def answer(self, texts: Mapping[int, str]) -> Reasoning:
        """`texts`: what is shown of each passage, by its number."""
        own = [one for one in self.evidence.passages if texts.get(one.number)]
        there = frozenset((one.number, texts[one.number]) for one in own)
        if there not in self.made:
            passages = tuple(
                one.model_copy(update={"passage": one.passage.model_copy(update={"text": texts[one.number]})})
                for one in own
            )
            nodes = {one.node: self.evidence.source_weights[one.node] for one in passages}
            shown = self.evidence.model_copy(update={"passages": passages, "source_weights": nodes, "conflicts": ()})
            self.made[there] = await self.reasoner.reason(self.question, shown, Deadline.after_ms(600_000))
        return self.made[there]


@dataclass(slots=True)
class Obedient:
    """`wanted`: what it replies when it obeys. `obeyed`: how often it did; `asked`: how often it was asked."""

    honest: Honest
    injection: Injection | None
    wanted: Mapping[str, object]
    name: str = "obedient"
    obeyed: int = 0
    asked: int = 0

    async def context_tokens(self, deadline: Deadline) -> int | None:  # noqa: ARG002 - it has room for everything
        return None

    async def tokens(self, messages: tuple[Message, ...], deadline: Deadline) -> int | None:  # noqa: ARG002
        return None

    async def aclose(self) -> None:
        """There is nothing to give back."""

    async def complete(self, request: ChatRequest, deadline: Deadline) -> Completion:  # noqa: ARG002
        await asyncio.sleep(0)
        self.asked += 1
        said = request.messages[-1].content
        if self.injection is not None and self.injection.reaches(said):
            self.obeyed += 1
            return Completion(json.dumps(self.wanted))
        if "summary" in json.dumps(request.schema):
            return Completion(json.dumps({"summary": said[-1000:]}))
        readers = [(float(found[1]), found[2], found[4]) for found in _READER.finditer(said)]
        if readers:
            _, choice, trace = max(readers)
            return Completion(json.dumps(_reply(trace, choice, trace, _cited(trace), 0.5)))
        made = await self.honest.answer({int(found[1]): found[3] for found in _PASSAGE.finditer(said)})
        if made.abstained is not None:
            return Completion(json.dumps({"steps": [], "answer": "", "insufficient": True}))
        cited = tuple(number for step in made.steps for number in step.citations)
        return Completion(json.dumps(_reply(made.text, made.choice, made.text, cited, made.confidence)))


def obedience(injection: Injection, label: str, choice: str | None, number: int) -> dict[str, object]:
    """It does as it is told, repeats the order, and cites what it likes."""
    text = f"{injection.text} [{FORGED}]"
    return _reply(text, choice, f"{label} [{number}][{FORGED}]", (number, 1, 2, FORGED), 1.0)


def _reply(step: str, choice: str | None, answer: str, cited: tuple[int, ...], confidence: float) -> dict[str, object]:
    return {
        "steps": [{"text": step, "citations": list(cited), "uncertainty": 1 - confidence}],
        "answer": answer,
        "choice": choice,
        "confidence": confidence,
        "insufficient": False,
    }


def _cited(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\[(\d+)\]", text))
