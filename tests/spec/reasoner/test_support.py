"""Whether a step is borne out by what it cites, told beside it; and citations that no model can forge."""

import random
import re

import numpy as np
import pytest

from fedrag.core.answer import ReasonerReport, Reasoning, ReasoningStep
from fedrag.core.deadline import Deadline
from fedrag.core.question import Question
from fedrag.encoders import ENCODERS
from reasoner.answering import checked_steps
from reasoner.backends import BACKENDS, Surroundings
from reasoner.parsing import Reply, Thought
from reasoner.support import BEARINGS, Bearing, Passages, features, judged, load
from reasoner.training.fit_support import Pair, f1, fit_support, left_out, macro_f1, probabilities

TEXT = "Adults take 5 mg of bisoprolol once a day. Children never take it. Stop it when the pulse is under 50."


def reasoning(*steps: tuple[str, tuple[int, ...]]) -> Reasoning:
    return Reasoning(
        text="x",
        choice=None,
        confidence=0.5,
        abstained=None,
        steps=tuple(ReasoningStep(text=text, citations=cited, uncertainty=0.1) for text, cited in steps),
        report=ReasonerReport(backend="b", model="m", strategy="joint"),
    )


@pytest.fixture(scope="module")
def encoder():
    return ENCODERS.build("minilm")


def test_what_is_said_elsewhere_is_marked_and_what_is_quoted_is_not(encoder, evidence) -> None:
    """A quotation is sure; a statement about something else is marked; one without a source is left alone."""
    released = evidence(("a", TEXT))
    made = judged(
        reasoning(
            ("Children never take it. [1]", (1,)),
            ("The kidney registrar is called when a bag turns cloudy [1]", (1,)),
            ("A guess (no source)", ()),
        ),
        released,
        encoder,
    )
    quoted, invented, guess = made.steps
    assert (quoted.support, quoted.unsupported) == (1.0, False)
    assert invented.support is not None
    assert invented.support < load().threshold
    assert invented.unsupported
    assert (guess.support, guess.unsupported, guess.text) == (None, False, "A guess (no source)")


def test_another_number_supports_less(encoder, evidence) -> None:
    """The same sentence with ten times the dose."""
    right, wrong = judged(
        reasoning(
            ("Adults are given 5 mg of bisoprolol daily", (1,)), ("Adults are given 70 mg of bisoprolol daily", (1,))
        ),
        evidence(("a", TEXT)),
        encoder,
    ).steps
    assert right.support > wrong.support


def test_the_passage_that_is_cited_counts_and_no_other(encoder, evidence) -> None:
    """The very words stand in passage 1; who cites passage 2 is not borne out."""
    released = evidence(("a", TEXT), ("b", "Wash your hands before you touch the line."))
    there, elsewhere = judged(
        reasoning(("Adults take 5 mg of bisoprolol", (1,)), ("Adults take 5 mg of bisoprolol", (2,))), released, encoder
    ).steps
    assert there.support == 1.0
    assert elsewhere.support < load().threshold


def test_features_of_a_turned_statement() -> None:
    """Counted by hand: three of four stems, no number, one rises where the other falls."""
    cited = Passages(("Statins reduce mortality.", "Nothing else."), np.eye(2, dtype=np.float32))
    found = features("Statins increase mortality", np.array([0.8, 0.1], dtype=np.float32), cited)
    assert found[0] == pytest.approx(0.8)
    assert found[1] == pytest.approx(0.1)
    assert found[2] == pytest.approx(2 / 3)
    assert found[4:8] == (0.5, 0.0, 1.0, 1.0)


def test_a_fitted_head_tells_three_made_classes_apart() -> None:
    """One column each; left out of the fit as well; against numbers worked out by hand for F1."""
    chance = np.random.default_rng(1)
    wanted = [BEARINGS[at % 3] for at in range(90)]
    rows = np.eye(3)[[at % 3 for at in range(90)]] * 3 + chance.normal(size=(90, 3)) * 0.1
    assert (probabilities(fit_support(rows, wanted), rows).argmax(axis=1) == [at % 3 for at in range(90)]).all()
    pairs = [Pair("c", ("s",), one, str(at)) for at, one in enumerate(wanted)]
    assert (left_out(pairs, rows).argmax(axis=1) == [at % 3 for at in range(90)]).all()
    yes, no, none = Bearing.SUPPORTED, Bearing.CONTRADICTED, Bearing.NOT_SAID
    assert f1([yes, yes, no, none], [yes, no, no, none], yes) == pytest.approx(2 / 3)
    assert macro_f1([yes, yes, no, none], [yes, no, no, none]) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_no_citation_can_be_forged() -> None:
    """Random replies of a random model, 500 of them: every number and every mark of what is left was released."""
    chance = random.Random(9)  # noqa: S311 - a test
    for _ in range(500):
        released = set(chance.sample(range(1, 30), chance.randint(1, 6)))

        def said() -> str:
            marks = ["[{}]", "[{}, 3]", " [{};{}]", "[ {} ]", "[0{}]", "[{}][{}]", "[[{}]]", "[1[{}]2]", "【{}】"]
            pieces = [chance.choice(marks).replace("{}", str(chance.randint(0, 120))) for _ in range(3)]
            return "word ".join(pieces)

        thoughts = tuple(
            Thought(said(), tuple(chance.randint(-3, 120) for _ in range(3)), chance.random()) for _ in range(3)
        )
        made = checked_steps(Reply(thoughts, said(), None, 1.0, False), released)
        cited = {number for step in made.steps for number in step.citations}
        assert cited <= released
        for text in (made.answer, *(step.text for step in made.steps)):
            assert {int(number) for number in re.findall(r"[\[【]\s*(\d+)\s*[\]】]", text)} <= released


@pytest.mark.parametrize("strategy", ["joint", "isolated", "fera"])
async def test_every_strategy_s_steps_are_checked(
    strategy, model_server, evidence, model_reply, model_completion
) -> None:
    """The server's model cites what says nothing of the kind: the step is marked."""
    step = {"text": "The kidney registrar is called when a bag turns cloudy.", "citations": [1, 77], "uncertainty": 0}
    model_server.script = [model_completion(model_reply(answer="Call [1][77].", steps=[step]))]
    settings = {"base_url": model_server.url, "model": "tiny", "strategy": {"name": strategy}}
    reasoner = BACKENDS.build("openai", settings)(Surroundings(ENCODERS.build("minilm"), {}, bytes))
    made = await reasoner.reason(
        Question(text="What do adults take?"), evidence(("a", TEXT)), Deadline.after_ms(60_000)
    )
    await reasoner.aclose()
    assert made.report.fallback == ""
    assert made.steps[0].support is not None
    assert made.steps[0].unsupported
    assert "77" not in made.text
    assert all(set(step.citations) <= {1} for step in made.steps)
