"""How many patients' text one asker is given: at most the share of a collection's patients that it may have of its
passages. Who wants to know of many whether they are there would else ask for one passage of each."""

import sqlite3
from collections.abc import Sequence

from fedrag.core.errors import QuotaExceeded
from retriever_node.handles import Recipient
from retriever_node.ledger import DAY_S, PERIOD_DAYS, Disclosure
from retriever_node.store import PassageStore


def require_patient_share(
    connection: sqlite3.Connection,
    recipient: Recipient,
    disclosures: Sequence[Disclosure],
    collection: str,
    share: float,
    store: PassageStore,
    now_s: float,
) -> None:
    """Of these and of what is charged for 30 days. One patient is never too many; patients that nobody knows are not
    counted, their passages are.

    Raises QuotaExceeded(patient_quota); the surrounding transaction then leaves no trace.
    """
    charged = connection.execute(
        "SELECT DISTINCT passage FROM charges WHERE asker = ? AND collection = ? AND day > ?",
        (recipient.asker, collection, int(now_s) // DAY_S - PERIOD_DAYS),
    )
    given = {int(passage) for (passage,) in charged} | {
        one.passage_id for one in disclosures if one.collection == collection
    }
    whose = store.provenance(sorted(given)).values()
    patients = {patient for one in whose for patient in one.patients}
    if len(patients) > max(1.0, share * store.count_patients(collection)):
        raise QuotaExceeded("the disclosure quota is used up", code="patient_quota")
