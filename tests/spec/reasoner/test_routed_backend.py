"""Several models and a table that says which to ask. Oracle: the model's name in what a scripted server was asked."""

import numpy as np
import pytest

from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError
from fedrag.core.exchange import Processor, ProcessorPlace, Reader
from fedrag.core.question import Question
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Surroundings
from reasoner.model_choice import ModelTable

ENCODER = ENCODERS.build("hashing")
HEART, SKIN = "warfarin dose after atrial fibrillation", "eczema cream for dry skin"


def stored(path, comparable_with=ENCODER.identity.comparable_with):
    """Small answers questions on the heart as well as large does, at a tenth of the cost; on the skin it is lost."""
    sums = np.array([[[200, 200]] * 2, [[180, 190], [20, 190]], [[200, 2000]] * 2], dtype=np.float64)
    table = ModelTable(comparable_with, ENCODER.encode_queries([HEART, SKIN]), ("small", "large"), *sums)
    path.write_text(table.stored().model_dump_json())
    return path


def model(url, name, **settings):
    return {"name": "openai", "settings": {"base_url": url, "model": name} | settings}


def routed(tmp_path, models, **settings):
    surroundings = Surroundings(ENCODER, {}, lambda count: b"\xab" * count)
    given = {"table": str(stored(tmp_path / "models.json")), "models": models} | settings
    return BACKENDS.build("routed", given)(surroundings)


async def ask(backend, text, evidence):
    try:
        return await backend.reason(Question(text=text), evidence(("a", "Give 5 mg.")), Deadline.after_ms(20_000))
    finally:
        await backend.aclose()


@pytest.mark.parametrize(
    ("text", "cost_weight", "expected"),
    [(HEART, 0.0, "large"), (HEART, 0.05, "small"), (SKIN, 0.05, "large"), (SKIN, 1000.0, "small")],
)
async def test_each_question_goes_to_the_model_that_is_worth_its_cost(
    tmp_path, model_server, evidence, model_reply, model_completion, text, cost_weight, expected
) -> None:
    """One request, to that model, and the report names it."""
    model_server.script = [model_completion(model_reply())]
    models = {name: model(model_server.url, f"{name}-v1") for name in ("small", "large")}
    made = await ask(routed(tmp_path, models, cost_weight=cost_weight), text, evidence)
    assert [one["model"] for one in model_server.asked] == [f"{expected}-v1"]
    assert made.report.model == f"{expected}-v1"
    assert made.report.fallback == ""


async def test_a_model_that_is_away_is_passed_over(
    tmp_path, model_server, closed_port, evidence, model_reply, model_completion
) -> None:
    """For the next best, who answers."""
    model_server.script = [model_completion(model_reply())]
    models = {"small": model(model_server.url, "small"), "large": model(closed_port, "large")}
    made = await ask(routed(tmp_path, models), SKIN, evidence)
    assert [one["model"] for one in model_server.asked] == ["small"]
    assert made.report.model == "small"


async def test_a_model_that_answers_unreadably_is_not_asked_after_another(
    tmp_path, model_server, evidence, model_completion
) -> None:
    """Its time is spent: the extractive answer is given, as by that back end alone."""
    model_server.script = [model_completion("no JSON")]
    models = {name: model(model_server.url, name) for name in ("small", "large")}
    made = await ask(routed(tmp_path, models), SKIN, evidence)
    assert {one["model"] for one in model_server.asked} == {"large"}
    assert made.report.fallback == "model_unparsable"


async def test_with_every_model_away_the_answer_is_extractive(tmp_path, closed_port, evidence) -> None:
    """Never an error."""
    made = await ask(routed(tmp_path, {name: model(closed_port, name) for name in ("a", "b")}), HEART, evidence)
    assert made.report.fallback == "model_unavailable"


async def test_a_model_the_table_does_not_know_is_an_average_one(
    tmp_path, model_server, evidence, model_reply, model_completion
) -> None:
    """Asked before one that is known to be lost, after one that is known to be good."""
    model_server.script = [model_completion(model_reply())]
    backend = routed(tmp_path, {name: model(model_server.url, name) for name in ("new", "small", "large")})
    assert backend.order(Question(text=SKIN)) == ("large", "new", "small")
    await backend.aclose()


async def test_hospitals_are_told_of_every_model(tmp_path) -> None:
    """Each once, wherever it runs."""
    models = {
        "small": model("http://x/v1", "s"),
        "large": model("http://y/v1", "l", place="outside"),
        "again": model("http://z/v1", "s"),
    }
    backend = routed(tmp_path, models)
    assert backend.processor == Processor(
        model="s",
        place=ProcessorPlace.TRUST_DOMAIN,
        others=(Reader(model="l", place=ProcessorPlace.OUTSIDE),),
    )
    await backend.aclose()


def test_a_table_of_another_encoder_is_refused(tmp_path) -> None:
    """Its cells mean nothing under this one."""
    table = stored(tmp_path / "other.json", comparable_with="another")
    with pytest.raises(ConfigError) as refused:
        routed(tmp_path, {"small": model("http://x/v1", "s")}, table=str(table))
    assert refused.value.code == "other_encoder"


def test_a_back_end_that_reasons_at_hospitals_is_refused(tmp_path) -> None:
    """Whether their models are asked is settled before a model is chosen."""
    with pytest.raises(ConfigError) as refused:
        routed(tmp_path, {"small": model("http://x/v1", "s"), "theirs": {"name": "traces", "settings": {}}})
    assert refused.value.code == "bad_setting"


def test_without_models_or_table_nothing_is_built(tmp_path) -> None:
    """A misspelt back end, none at all, no file, a negative λ."""
    one = {"small": model("http://x/v1", "s")}
    for given in ({"models": {}}, {"models": one, "cost_weight": -1.0}, {"models": {"a": {"name": "nobody"}}}):
        with pytest.raises(ConfigError):
            routed(tmp_path, **given)
    with pytest.raises(ConfigError) as refused:
        routed(tmp_path, one, table=str(tmp_path / "absent.json"))
    assert refused.value.code == "missing_config"
