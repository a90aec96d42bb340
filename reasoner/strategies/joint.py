"""One prompt with all evidence, weighted: the model reasons over everything at once.

fit the evidence → ask → parse → check citations → calibrate
"""

from dataclasses import dataclass

from fedrag.core.answer import Abstention, AbstentionCode, Evidence, ReasonerReport, Reasoning
from fedrag.core.config import Config
from fedrag.core.deadline import Deadline
from fedrag.core.question import Question
from reasoner.answering import answer_prompt, checked_steps, options_of, titled
from reasoner.confidence import choice_probability, mean_token_probability, model_confidence
from reasoner.strategies import Parts, Unreadable


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Joint:
    async def reason(self, question: Question, evidence: Evidence, parts: Parts, deadline: Deadline) -> Reasoning:
        asked = await parts.model.ask(answer_prompt(question, parts.fence()), evidence, deadline)
        reply = asked.reply
        if reply is None:
            raise Unreadable(asked)
        checked = checked_steps(reply, {one.number for one in asked.evidence.passages})
        tokens = asked.completion.tokens if asked.completion else ()
        by_choice = choice_probability(tokens, options_of(question), reply.choice) if reply.choice else None
        confidence = model_confidence(
            parts.head,
            stated=reply.confidence,
            token=mean_token_probability(tokens) if by_choice is None else by_choice,
            cited_share=checked.cited_share,
            dropped=checked.dropped,
        )
        insufficient = Abstention(
            code=AbstentionCode.EVIDENCE_INSUFFICIENT,
            explanation="The model found that the released passages do not answer this question.",
        )
        return Reasoning(
            text="" if reply.insufficient else titled(question, reply.choice, checked.answer),
            choice=None if reply.insufficient else reply.choice,
            confidence=confidence,
            abstained=insufficient if reply.insufficient else None,
            steps=checked.steps,
            report=ReasonerReport(
                backend=parts.backend,
                model=parts.model.model.name,
                strategy="joint",
                citations_dropped=checked.dropped,
                passages_trimmed=asked.trimmed,
                retries=asked.retries,
                prompt_tokens=asked.prompt_tokens,
                completion_tokens=asked.completion_tokens,
            ),
        )


def build(settings: Settings) -> Joint:  # noqa: ARG001 - has none
    return Joint()
