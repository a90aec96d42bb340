"""An answer with every kind of doubt in it, for the tests of what people are shown."""

from made_answers import made

from fedrag.core.answer import (
    Answer,
    AnswerSet,
    BudgetUsed,
    Certificate,
    NodeDisclosure,
    ReasonerReport,
    ReasoningStep,
    SourceChain,
)
from fedrag.core.exchange import NodeOutcome, NodeStatus
from fedrag.core.purse import Caps, Spent
from fedrag.core.question import AskRequest, Question

HOSTILE = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script> [1] </details>"
ASKED = Question(text="Which dose of warfarin?", options={"A": "2 mg", "B": "5 mg", "C": "9 mg"})


def full() -> Answer:
    """North reads as the answer does, south otherwise, east is late; one step is borne out, one is not, one cites
    nothing."""
    answer = made(AskRequest(question=ASKED), text="B. 5 mg\nGive 5 mg daily [1].", choice="B")
    steps = (
        ReasoningStep(text="Adults take 5 mg daily [1]", citations=(1,), uncertainty=0.1, support=0.93),
        ReasoningStep(text="Aspirin is never stopped", citations=(2,), uncertainty=0.2, support=0.07, unsupported=True),
        ReasoningStep(text="So 5 mg it is (no source)", citations=(), uncertainty=1.0),
    )
    heard = ReasoningStep(text=f"We give 9 mg {HOSTILE}", citations=(2,), uncertainty=0.3)
    chains = (
        SourceChain(node="north", choice="B", uncertainty=0.21, gaps=1, confidence=0.8, weight=0.57, steps=steps[:1]),
        SourceChain(
            node="south",
            choice="C",
            uncertainty=0.0,
            confidence=0.5,
            weight=0.43,
            at_hospital=True,
            answer=f"Nine {HOSTILE}",
            steps=(heard,),
        ),
        SourceChain(node="east", choice=None, at_hospital=True, counted=False),
    )
    outcomes = (("east", NodeStatus.TIMED_OUT), ("north", NodeStatus.ANSWERED), ("south", NodeStatus.ANSWERED))
    disclosure = answer.disclosure.model_copy(
        update={"hospitals": (NodeDisclosure(node="south", passages=0, text_bytes=1234, patients=0, traces=2),)}
    )
    certificate = Certificate(
        choice="B",
        agrees=True,
        withstands=1,
        votes={"north": "B", "south": "C", "east": None},
        weights={"B": 0.57, "C": 0.43},
        explanation="Read one by one, the hospitals choose B.",
    )
    return answer.model_copy(
        update={
            "steps": steps,
            "chains": chains,
            "answer_set": AnswerSet(choices=("B", "C"), error=0.1, judged=240),
            "certificate": certificate,
            "coverage": tuple(NodeOutcome(node=node, status=status, elapsed_ms=120.0) for node, status in outcomes),
            "disclosure": disclosure,
            "reasoner": ReasonerReport(
                backend="openai",
                model="m",
                strategy="isolated",
                signals=("judged_votes", "agreement", "of_tomorrow"),
                cut_short=True,
                instructions_found=1,
                prompt_tokens=4096,
                completion_tokens=300,
                thinking_tokens=120,
            ),
            "budget": BudgetUsed(
                nodes_asked=3,
                messages=6,
                bytes_received=9000,
                model_tokens=4396,
                spent=Spent(tokens=4396, written=300, calls=4, ms=812.4, passages=2, hospitals=3),
                caps=Caps(tokens=5000, calls=4),
            ),
        }
    )
