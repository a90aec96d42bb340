"""What the search for injections costs honest documents: sentences that are left out or read last without need."""

from typing import Final

from fedrag.core.protocols import Encoder
from fedrag.evaluation.report import Cell, Table
from fedrag.evaluation.run import Run
from fedrag.example_federation import examples_folder
from reasoner.addressed import Doubt
from reasoner.instructions import read
from reasoner.sentences import spans
from reasoner.training.documents import honest_documents

MOST: Final = 6000
"""Sentences of each kind of document that are looked at."""


def benign_loss(run: Run, encoder: Encoder) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, texts in honest_documents(examples_folder() / "hospitals", run.data):
        chosen = texts[:: -(-sum(len(spans(text)) for text in texts) // MOST)]
        doubts = [doubt for text in chosen for one in read([text], encoder) for doubt in one.doubts]
        lost, last = (sum(one is which for one in doubts) for which in (Doubt.CERTAIN, Doubt.DOUBTFUL))
        rows.append((name, len(chosen), len(doubts), lost, lost / len(doubts), last, last / len(doubts)))
    columns = ("documents", "number", "sentences", "left out", "share", "read last", "share read last")
    return Table("Sentences of honest documents", columns, tuple(rows))
