"""`POST /v1/populations`: how many patients, over all hospitals."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends

from fedrag.core.errors import InputError
from fedrag.core.identity import Asker
from fedrag.core.populations import PopulationAnswer, PopulationQuestion, PopulationRequest
from fedrag.core.protocols import Redactor
from fedrag.core.wire import new_request_id
from fedrag.http import problem
from fedrag.population_grammar import parse
from fedrag.populations import Census

_EXAMPLES: Final = [
    {"text": "How many patients with atrial fibrillation take apixaban?"},
    {"question": {"having": [{"kind": "condition", "code": "49436004", "system": "snomed"}], "sex": "female"}},
]
_PROBLEMS: Final = {
    status: {"model": problem.Problem, "content": {problem.MEDIA_TYPE: {}}} for status in (400, 401, 413, 500, 502, 503)
}


def population_routes(census: Census, redactor: Redactor, asker: Callable[..., Any]) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/populations", responses=_PROBLEMS)  # type: ignore[arg-type] # FastAPI takes any mapping of statuses
    async def post_population(
        who: Annotated[Asker, Depends(asker)], request: Annotated[PopulationRequest, Body(examples=_EXAMPLES)]
    ) -> PopulationAnswer:
        """Count patients, with noise: `understood` says what was asked, `low` and `high` where the true number lies."""
        return await census.count(understood(request, redactor), who, new_request_id())

    return router


def understood(request: PopulationRequest, redactor: Redactor) -> PopulationQuestion:
    """What is asked. Raises InputError: `question_not_understood`; `identifiers_in_label` where somebody is named."""
    question = request.question or parse(request.text or "")
    labels = [concept.label for concept in (*question.having, *question.also) if concept.label]
    if any(redactor.redact(text)[1] for text in (request.text or "", *labels)):
        raise InputError("the question seems to name a person: nobody is counted by name", code="identifiers_in_label")
    return question
