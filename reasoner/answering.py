"""A question put to a language model, and its reply made into steps and an answer that cite released passages only."""

from dataclasses import dataclass
from typing import Final

from fedrag.core.answer import ReasoningStep
from fedrag.core.question import Question
from reasoner.chat import TokenProbability
from reasoner.citations import check_numbers, check_text, marks
from reasoner.confidence import choice_probability, mean_token_probability, model_confidence
from reasoner.heads import Head
from reasoner.language_model import Prompt
from reasoner.parsing import Reply, parse
from reasoner.prompts import Block, answer_schema, messages
from reasoner.verdict import asked_for

UNSTATED_UNCERTAINTY: Final = 0.5


def answer_prompt(question: Question, fence: str, *blocks: Block) -> Prompt[Reply]:
    """`blocks` stand behind the evidence."""
    options = options_of(question)
    return Prompt(
        messages=lambda evidence: messages(question, evidence, fence, *blocks),
        schema=answer_schema(sorted(options)),
        read=lambda text: parse(text, options),
    )


def options_of(question: Question) -> dict[str, str]:
    """What "choice" may be: the options by letter, yes / no / maybe for a closed question, nothing for an open one."""
    if question.options:
        return dict(question.options)
    closed = asked_for(question)
    return {word: word for word in closed} if closed else {}


@dataclass(frozen=True, slots=True)
class CheckedReply:
    """A reply whose citations all name released passages. `cited_share` counts steps and answer alike."""

    steps: tuple[ReasoningStep, ...]
    answer: str
    cited_share: float
    dropped: int


def checked_steps(reply: Reply, released: set[int]) -> CheckedReply:
    """Citations of anything else are dropped and counted. A step that is left without any is wholly uncertain and says
    so; an answer that marks none gets those of its steps."""
    steps, dropped = [], 0
    for thought in reply.thoughts:
        text, listed = check_text(thought.text, released), check_numbers(thought.citations, released)
        dropped += text.dropped + listed.dropped
        citations = tuple(dict.fromkeys((*listed.citations, *text.citations)))
        uncertainty = UNSTATED_UNCERTAINTY if thought.uncertainty is None else thought.uncertainty
        steps.append(
            ReasoningStep(
                text=text.text if citations else f"{text.text} (no source)",
                citations=citations,
                uncertainty=uncertainty if citations else 1.0,
            )
        )
    answer = check_text(reply.answer, released)
    used = tuple(dict.fromkeys(number for step in steps for number in step.citations))
    shown = answer.text if answer.citations or not used else f"{answer.text} {marks(used)}".strip()
    cited = [bool(step.citations) for step in steps] + [bool(answer.citations or used)]
    return CheckedReply(tuple(steps), shown, sum(cited) / len(cited), dropped + answer.dropped)


def titled(question: Question, choice: str | None, answer: str) -> str:
    """The letter and its option stand first, whatever the model wrote around them."""
    option = question.options.get(choice) if choice else None
    if option is None or answer.startswith(f"{choice}."):
        return answer or (choice or "")
    return f"{choice}. {option}\n{answer}".strip()


def confidence_of(
    head: Head, question: Question, reply: Reply, checked: CheckedReply, tokens: tuple[TokenProbability, ...]
) -> float:
    """P(this reply is right), of what the model states, its tokens, and what it cites."""
    by_choice = choice_probability(tokens, options_of(question), reply.choice) if reply.choice else None
    return model_confidence(
        head,
        stated=reply.confidence,
        token=mean_token_probability(tokens) if by_choice is None else by_choice,
        cited_share=checked.cited_share,
        dropped=checked.dropped,
    )
