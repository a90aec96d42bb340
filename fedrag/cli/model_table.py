"""A table of which model to ask, from logs of questions that models have answered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError

from fedrag import terminal
from fedrag.cli.encoder import set_up_encoder
from fedrag.core.config import Config
from fedrag.core.errors import InputError
from fedrag.core.plugins import describe
from fedrag.core.protocols import Encoder
from fedrag.core.question import Text
from fedrag.core.wire import Name
from fedrag.encoders import ENCODERS
from fedrag.model_learning import Groups, Log, cells_of, counted
from reasoner.model_choice import ModelTable, load


class Asked(Config):
    """One line: a question, the model it was put to, how right the answer was, and what it cost in any one unit."""

    question: Text
    model: Name
    correct: Annotated[float, Field(ge=0, le=1)]
    cost: Annotated[float, Field(ge=0, allow_inf_nan=False)]


def learn_table(logs: Sequence[Path], onto: Path | None, encoder: str, output: Path) -> None:
    """Each log is one party's. `onto`: a table whose cells are kept, and to which is added."""
    if encoder == "minilm":
        set_up_encoder()
    made = ENCODERS.build(encoder)
    parties = [read(path, made) for path in logs]
    table = learned(parties) if onto is None else added(load(onto), parties)
    fresh = output.with_suffix(".new")
    fresh.write_text(table.stored().model_dump_json(), encoding="utf-8")
    fresh.replace(output)
    for at, model in enumerate(table.models):
        asked = table.asked[:, at].sum()
        right, cost = table.right[:, at].sum() / asked, table.cost[:, at].sum() / asked
        terminal.out.print(f"{model:24} {asked:8,.0f} questions  right {right:.3f}  cost {cost:,.4g}", markup=False)


def learned(parties: Sequence[Log]) -> ModelTable:
    """Cells from every party's own groups, and the sums of all."""
    centres = cells_of([Groups.of(one.vectors) for one in parties])
    return added(ModelTable(parties[0].comparable_with, centres, (), *np.zeros((3, len(centres), 0))), parties)


def added(table: ModelTable, parties: Sequence[Log]) -> ModelTable:
    """Raises InputError(bad_questions) where the table is another encoder's."""
    for one in parties:
        if one.comparable_with != table.comparable_with:
            raise InputError("the table was learned under another encoder", code="bad_questions")
        table = table.plus(counted(one, table.centres, tuple(dict.fromkeys(one.models))))
    return table


def read(path: Path, encoder: Encoder) -> Log:
    """Raises InputError(bad_questions) naming the line and the field, never what stands there."""
    asked: list[Asked] = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path} cannot be read", code="bad_questions") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            asked.append(Asked.model_validate_json(line))
        except ValidationError as error:
            raise InputError(f"{path.name}, line {number}: {describe(error)}", code="bad_questions") from None
    if not asked:
        raise InputError(f"{path.name}: no questions", code="bad_questions")
    with terminal.progress("encoding questions") as told:
        vectors = []
        for done, one in enumerate(asked, start=1):
            vectors.append(encoder.encode_queries([one.question])[0])
            told(done, len(asked))
    return Log(
        encoder.identity.comparable_with,
        np.stack(vectors),
        tuple(one.model for one in asked),
        np.array([one.correct for one in asked]),
        np.array([one.cost for one in asked]),
    )
