"""A hospital's own model, over what the hospital itself found: FERA's client.

    refine      the demonstrations nearest to the question are reasoned through again, shown the answer so far
    label       the question, with the passages, the demonstrations and what the others say
    doubt       mean token entropy, else what the model states

Any back end is such a model. One that is no language model (`extractive`) is asked as it is: without demonstrations,
and nothing of other sources reaches it.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Final

from pydantic import Field

from fedrag.core.answer import Evidence, EvidencePassage
from fedrag.core.config import Config, PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded, FedragError, ProtocolError
from fedrag.core.protocols import Encoder
from fedrag.core.question import Question
from fedrag.core.traces import Demonstration, LocalTask, LocalTrace, Said, TraceStep
from reasoner.answering import options_of
from reasoner.backends import BACKENDS, Backend, Surroundings
from reasoner.chains import Chain, chain
from reasoner.deliberation import cut
from reasoner.demonstrations import positions
from reasoner.generative import Generative
from reasoner.instructions import disarmed
from reasoner.prompts import Block
from reasoner.strategies import Parts

CLOSE_S: Final = 5.0


class Settings(Config):
    """`demonstrations`: shown for one question, at most; `redundancy` is λ of their choice; `refine`: of those shown,
    how many are reasoned through again from the second round on, each of which costs a call."""

    backend: PluginConfig
    demonstrations: Annotated[int, Field(ge=0, le=20)] = 5
    redundancy: Annotated[float, Field(ge=0, le=10)] = 0.5
    refine: Annotated[int, Field(ge=0, le=20)] = 0


@dataclass(frozen=True, slots=True)
class LocalModel:
    """The loop in which the model is asked is the reasoner's own: those who wait are threads of a node."""

    settings: Settings
    backend: Backend
    encoder: Encoder
    loop: asyncio.AbstractEventLoop = field(compare=False)
    thread: threading.Thread = field(compare=False)

    def trace(self, task: LocalTask, deadline: Deadline) -> LocalTrace:
        waiting = asyncio.run_coroutine_threadsafe(self._bounded(task, deadline), self.loop)
        return waiting.result()

    def close(self) -> None:
        """What is being asked ends unanswered."""
        if not self.loop.is_closed():
            asyncio.run_coroutine_threadsafe(self.backend.aclose(), self.loop).result(CLOSE_S)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(CLOSE_S)
            if not self.thread.is_alive():
                self.loop.close()

    async def _bounded(self, task: LocalTask, deadline: Deadline) -> LocalTrace:
        try:
            async with asyncio.timeout(deadline.remaining_ms() / 1000):
                return await self._trace(task, deadline)
        except TimeoutError:
            raise DeadlineExceeded("the hospital's model took too long") from None

    async def _trace(self, task: LocalTask, deadline: Deadline) -> LocalTrace:
        evidence, _ = disarmed(evidence_of(task), self.encoder)
        if not isinstance(self.backend, Generative):
            return await self._asked_plainly(task, evidence, deadline)
        parts = self.backend.parts
        shown = positions(
            task.question.text,
            task.demonstrations,
            self.encoder,
            self.settings.demonstrations,
            self.settings.redundancy,
        )
        examples = [task.demonstrations[at] for at in shown]
        if task.so_far is not None:
            examples = await self._refined(examples, task, parts, deadline)
        blocks = (*_example_blocks(examples), *_said_blocks(task))
        made = await chain(task.question, evidence, task.node, parts, deadline, blocks)
        if made.reply is None:
            raise ProtocolError("the hospital's model wrote nothing readable", code="model_unparsable")
        return _local(made, task.question, tuple(shown))

    async def _asked_plainly(self, task: LocalTask, evidence: Evidence, deadline: Deadline) -> LocalTrace:
        made = await self.backend.reason(task.question, evidence, deadline)
        steps = (TraceStep(text=one.text, citations=one.citations, uncertainty=one.uncertainty) for one in made.steps)
        silent = made.abstained is not None
        return LocalTrace(
            choice=None if silent else made.choice,
            answer="" if silent else made.text,
            steps=() if silent else tuple(steps),
            uncertainty=None if silent else 1 - made.confidence,
            signals={} if silent else {"confidence": made.confidence},
        )

    async def _refined(
        self, examples: Sequence[Demonstration], task: LocalTask, parts: Parts, deadline: Deadline
    ) -> list[Demonstration]:
        """D ∪ what the model makes of D's own questions, shown the question and its answer so far; the demonstration
        itself where its reply cannot be read. What has an answer keeps it: only how it is come by is written anew."""
        so_far = task.so_far
        if so_far is None or not (so_far.answer or so_far.trace):
            return list(examples)
        served = _example_blocks([Demonstration(task.question.text, so_far.trace, so_far.answer)])
        nothing = evidence_of(replace(task, passages=(), probabilities=()))

        async def again(one: Demonstration) -> Demonstration:
            try:
                question = Question(text=one.question)
                made = await chain(question, nothing, task.node, parts, deadline, served)
            except (FedragError, ValueError):
                return one
            if made.reply is None or made.checked is None or not made.said.trace:
                return one
            return Demonstration(one.question, made.said.trace, one.answer or made.reply.answer)

        first = await asyncio.gather(*(again(one) for one in examples[: self.settings.refine]))
        return [*first, *examples[self.settings.refine :]]


def evidence_of(task: LocalTask) -> Evidence:
    """The hospital's own passages, numbered as they were found; nobody else has a say."""
    return Evidence(
        passages=tuple(
            EvidencePassage(number=number, node=task.node, passage=passage, probability=probability, weight=1.0)
            for number, (passage, probability) in enumerate(
                zip(task.passages, task.probabilities, strict=True), start=1
            )
        ),
        source_weights={task.node: 1.0},
        few_sources=True,
        method="own",
    )


def _example_blocks(examples: Sequence[Demonstration]) -> tuple[Block, ...]:
    told = (
        "Worked examples of this hospital: other questions, which show how to reason. They are no evidence; do not "
        "cite them."
    )
    return tuple(
        Block("EXAMPLE", told if at == 0 else "A further example:", _written(one)) for at, one in enumerate(examples)
    )


def _written(one: Demonstration) -> str:
    parts = (("Question", one.question), ("Reasoning", cut(one.trace)), ("Answer", one.answer))
    return "\n".join(f"{name}: {text}" for name, text in parts if text)


def _said_blocks(task: LocalTask) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if task.so_far is not None:
        told = (
            "All hospitals together have answered as follows. It may be wrong: answer from your own passages, and cite "
            f"only their numbers. Choice so far: {task.so_far.choice or 'none'}."
        )
        blocks.append(Block("ANSWER SO FAR", told, cut(_words(task.so_far))))
    if task.own is not None:
        told = (
            "Others came to another answer. Check your own against what they say: keep it or change it, whichever your "
            f"passages and their reasons support. You answered before: {task.own.choice or 'nothing'}."
        )
        blocks.append(Block("YOUR ANSWER", told, cut(_words(task.own))))
    blocks += [Block("OTHERS", "Of those who answered otherwise:", cut(summary)) for summary in task.others]
    return tuple(blocks)


def _words(said: Said) -> str:
    return "\n".join(part for part in (said.trace, said.answer) if part)


def _local(made: Chain, question: Question, shown: tuple[int, ...]) -> LocalTrace:
    """A source that finds its passages insufficient says nothing."""
    if not made.answered or made.checked is None or made.reply is None:
        return LocalTrace(None, shown=shown)
    signals = {"confidence": made.confidence, "admissions": float(made.said.gaps)}
    if made.said.uncertainty is not None:
        signals["token_entropy"] = made.said.uncertainty
    if made.reply.confidence is not None:
        signals["stated"] = made.reply.confidence
    stated = None if made.reply.confidence is None else 1 - made.reply.confidence
    return LocalTrace(
        choice=made.reply.choice if options_of(question) else None,
        answer=made.checked.answer,
        steps=tuple(
            TraceStep(text=one.text, citations=one.citations, uncertainty=one.uncertainty) for one in made.checked.steps
        ),
        uncertainty=stated if made.said.uncertainty is None else made.said.uncertainty,
        signals=signals,
        shown=shown,
    )


def build(
    settings: Settings, encoder: Encoder, environment: Mapping[str, str], entropy: Callable[[int], bytes]
) -> LocalModel:
    """Raises ConfigError for what the back end's settings are wrong about."""
    backend = BACKENDS.build(settings.backend.name, settings.backend.settings)(
        Surroundings(encoder, environment, entropy)
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="local reasoner", daemon=True)
    thread.start()
    return LocalModel(settings, backend, encoder, loop, thread)
