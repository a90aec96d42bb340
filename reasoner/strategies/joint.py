"""One prompt with all evidence, weighted: the model reasons over everything at once.

fit the evidence → ask → parse → check citations → calibrate
"""

from dataclasses import dataclass

from fedrag.core.answer import Abstention, AbstentionCode, Evidence, Reasoning
from fedrag.core.config import Config
from fedrag.core.deadline import Deadline
from fedrag.core.question import Question
from reasoner.answering import answer_prompt, checked_steps, confidence_of, titled
from reasoner.strategies import Parts, Unreadable
from reasoner.usage import Usage


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Joint:
    async def reason(self, question: Question, evidence: Evidence, parts: Parts, deadline: Deadline) -> Reasoning:
        asked = await parts.model.ask(answer_prompt(question, parts.fence()), evidence, deadline)
        reply = asked.reply
        if reply is None:
            raise Unreadable(Usage.of(asked))
        checked = checked_steps(reply, {one.number for one in asked.evidence.passages})
        tokens = asked.completion.tokens if asked.completion else ()
        insufficient = Abstention(
            code=AbstentionCode.EVIDENCE_INSUFFICIENT,
            explanation="The model found that the released passages do not answer this question.",
        )
        return Reasoning(
            text="" if reply.insufficient else titled(question, reply.choice, checked.answer),
            choice=None if reply.insufficient else reply.choice,
            confidence=confidence_of(parts.head, question, reply, checked, tokens),
            abstained=insufficient if reply.insufficient else None,
            steps=checked.steps,
            report=parts.report(Usage.of(asked, checked.dropped), "joint"),
        )


def build(settings: Settings) -> Joint:  # noqa: ARG001 - has none
    return Joint()
