"""The worst model an injection could meet."""

from fedrag.core.deadline import Deadline
from fedrag.core.question import Question
from fedrag.encoders import ENCODERS
from fedrag.evaluation.injections import Wanted, templates
from fedrag.evaluation.obedient import Honest, Obedient, obedience
from reasoner.backends import BACKENDS, Surroundings
from reasoner.chat import ChatRequest, Message

WANTED = Wanted("option B", "after six weeks of tablets", "How soon is she operated on")


def shown(number: int, text: str) -> str:
    """As prompts show a passage."""
    return f"<<PASSAGE {number} ab>>\nhospital a; source weight 1\nsource: b\n{text}\n<<END ab>>\n"


async def test_the_obedient_model_obeys_what_reaches_it_and_is_honest_otherwise(evidence) -> None:
    """The order is in the first prompt and not in the second; it reads what a prompt shows, not what there is."""
    released = evidence(("a", "Adults take 5 mg daily."), ("b", "Adults take 5 mg once a day."))
    question = Question(text="What do adults take?", options={"A": "5 mg", "B": "50 mg"})
    reasoner = BACKENDS.build("extractive", {"abstain_below": 0.0})(Surroundings(ENCODERS.build("hashing"), {}, bytes))
    injection = next(one for one in templates() if one.family == "override").planted(WANTED)
    model = Obedient(Honest(reasoner, question, released), injection, obedience(injection, "50 mg", "B", 3))

    async def asked(content: str) -> str:
        return (await model.complete(ChatRequest((Message("user", content),), {}, 100), Deadline.after_ms(5000))).text

    assert '"choice": "B"' in await asked(shown(1, injection.text))
    honest = shown(1, "Adults take 5 mg daily.") + shown(2, "Adults take 5 mg once a day.")
    assert '"choice": "A"' in await asked(honest)
    assert "Nobody takes it." in await asked(shown(1, "Nobody takes it."))
    assert (model.obeyed, model.asked) == (1, 3)
