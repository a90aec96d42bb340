"""What noise and floors cost a count of patients, and how many questions a patient's budget has room for.

The patients of `synthea_fhir` at the networks that treated them (FEDRAG_DATA), ten hospitals of 13 to 149 patients.

    through the product     as FHIR into ten node applications, asked over their HTTP interface, noise of the library
    by epsilon              the same mechanism (floor, noise, interval) drawn many times, also with every patient 10 and
                            100 times: hospitals of thousands
    budget                  different questions one after the other, until patients have spent theirs

Truth is counted from the records by this script. A count's relative error is |counted − true| / true.
"""

import argparse
import asyncio
import gzip
import json
import os
import sqlite3
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx2
import numpy as np
from reporting import Figure, Table, circumstances, goals

from fedrag.core.config import PluginConfig
from fedrag.core.identity import Asker
from fedrag.core.populations import UNITS, Concept, PopulationQuestion, Sex
from fedrag.core.wire import ReleaseClass, new_request_id
from fedrag.encoders import ENCODERS
from fedrag.http.client import RemoteNode, http_client
from fedrag.http.signing import Signer
from fedrag.populations import Census, estimates
from retriever_node.assemble import assemble, open_store
from retriever_node.config import CollectionConfig, CoordinatorConfig, CountsConfig, NodeConfig
from retriever_node.home import NodeHome, create_node
from retriever_node.ingest import ingest
from retriever_node.node import RetrieverNode
from retriever_node.noise import discrete_gaussian
from retriever_node.populations import SENSITIVITY, floored
from retriever_node.renyi import Budget, charge, patient_id, within_budget
from retriever_node.service import create_app

RULES: Final = 'version = 1\n[[rules]]\nname = "counts"\nclasses = ["patient"]\nrelease = "count"\nfloor = {floor}\n'
EPSILONS: Final = (0.25, 0.5, 1.0, 2.0)
SCALES: Final = (1, 10, 100)
DRAWS: Final = 20
AT: Final = (100, 300, 1000)
COMMONEST: Final = 24


@dataclass(frozen=True)
class Treated:
    """One patient at one hospital."""

    key: str
    sex: str
    born: str
    conditions: frozenset[str]
    medicines: frozenset[str]


Hospitals = dict[str, list[Treated]]


def read(data: Path) -> Hospitals:
    found: Hospitals = defaultdict(list)
    with gzip.open(data / "synthea_fhir" / "patients_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        for one in map(json.loads, lines):
            at: dict[str, dict[str, set[str]]] = defaultdict(lambda: {"conditions": set(), "medications": set()})
            for encounter in one["encounters"]:
                for kind, names in at[encounter["node"]].items():
                    names.update(_names(encounter.get(kind, ())))
            for node, facts in at.items():
                found[node].append(
                    Treated(
                        one["patient_id"],
                        one["gender"],
                        one["identifiers"]["birth_date"],
                        frozenset(facts["conditions"]),
                        frozenset(facts["medications"]),
                    )
                )
    return dict(sorted(found.items()))


def _names(entries: Any) -> Iterator[str]:
    for one in entries:
        name = one if isinstance(one, str) else one.get("name") or one.get("display") or one.get("code")
        if name:
            yield str(name)


def bundle(patients: list[Treated]) -> str:
    entries: list[dict[str, object]] = []
    for one in patients:
        about = {"subject": {"reference": f"Patient/{one.key}"}}
        entries.append({"resourceType": "Patient", "id": one.key, "gender": one.sex, "birthDate": one.born})
        entries += [
            {"resourceType": "Condition", "id": f"c{n}-{one.key}", "code": {"text": name}, **about}
            for n, name in enumerate(sorted(one.conditions))
        ]
        entries += [
            {
                "resourceType": "MedicationRequest",
                "id": f"m{n}-{one.key}",
                "status": "active",
                "medicationCodeableConcept": {"text": name},
                **about,
            }
            for n, name in enumerate(sorted(one.medicines))
        ]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": e} for e in entries]})


def questions(hospitals: Hospitals) -> list[tuple[str, Sex | None]]:
    """The commonest conditions, of everyone and of women."""
    often = Counter(name for patients in hospitals.values() for one in patients for name in one.conditions)
    return [(name, sex) for name, _ in often.most_common(COMMONEST) for sex in (None, Sex.FEMALE)]


def sizes(hospitals: Hospitals, name: str, sex: Sex | None) -> list[int]:
    """Patients per hospital."""
    return [
        sum(name in one.conditions and sex in (None, one.sex) for one in patients) for patients in hospitals.values()
    ]


def made(
    folder: Path, name: str, patients: list[Treated], signer: Signer, floor: int
) -> tuple[RetrieverNode, RemoteNode]:
    source, home = folder / name / "records", NodeHome(folder / name / "home")
    source.mkdir(parents=True)
    (source / "records.json").write_text(bundle(patients), encoding="utf-8")
    config = NodeConfig(
        node=name,
        name=name,
        encoder=PluginConfig(name="hashing"),
        index=PluginConfig(name="faiss_flat"),
        collections=(CollectionConfig(id="records", folder=source, release_class=ReleaseClass.PATIENT),),
        coordinators=(CoordinatorConfig(id="benchmark", public_key=signer.public_key),),
        counts=CountsConfig(questions_per_asker_per_day=1_000_000),
    )
    create_node(home, config)
    home.policy.write_text(RULES.format(floor=floor), encoding="utf-8")
    encoder = ENCODERS.build("hashing")
    store = open_store(home, encoder)
    ingest(source, "records", store, encoder)
    store.close()
    node = assemble(home)
    client = http_client(transport=httpx2.ASGITransport(app=create_app(node)))
    return node, RemoteNode(name, f"http://{name}", node.signer.public_key, "benchmark", signer, client)


async def through_the_product(hospitals: Hospitals, floor: int, folder: Path) -> Table:
    signer = Signer.generate()
    ids = {name: name.replace("_", "-") for name in hospitals}
    both = [made(folder, ids[name], patients, signer, floor) for name, patients in hospitals.items()]
    nodes = {remote.id: remote for _, remote in both}
    census = Census(lambda: nodes, None)
    asked = questions(hospitals)
    rows, errors, inside, took_s = [], [], 0, []
    for name, sex in asked:
        truth = sum(sizes(hospitals, name, sex))
        question = PopulationQuestion(having=(Concept(label=name[:200]),), sex=sex)
        began_s = time.perf_counter()
        answer = await census.count(question, Asker(name="benchmark"), new_request_id())
        took_s.append(time.perf_counter() - began_s)
        found = answer.patients
        errors.append(abs(found.value - truth))
        inside += found.low <= truth <= found.high
        if sex is None and len(rows) < 8:
            rows.append((name, truth, int(found.value), f"{found.low:.0f} to {found.high:.0f}", found.hidden))
    for node, _ in both:
        node.store.close()
        node.state.close()
    return Table(
        f"Through ten node applications, floor {floor}, epsilon {CountsConfig().question_epsilon:g}",
        ("patients with", "true", "counted", "0.95 interval", "up to so many hidden by floors"),
        tuple(rows),
        note=f"{len(asked)} questions: mean error {statistics.mean(errors):.1f} patients; {inside} true numbers inside "
        f"their interval; {statistics.median(took_s):.2f} s each, of which 0.25 s are the pace.",
    )


def by_epsilon(hospitals: Hospitals, floor: int, draws: int) -> tuple[Table, Table]:
    asked = questions(hospitals)
    rows, figures, all_inside = [], [], 1.0
    for scale in SCALES:
        for epsilon in EPSILONS:
            sigma = Budget.of(epsilon, 8.0, 1e-6).sigma(SENSITIVITY / UNITS)
            noise, _ = discrete_gaussian(sigma * UNITS, SENSITIVITY)
            errors, relative, inside = [], [], 0
            for name, sex in asked:
                there = [scale * one for one in sizes(hospitals, name, sex)]
                for _ in range(draws):
                    noisy = sum(noise(floored(one, floor)) for one in there) / UNITS
                    found, _, _ = estimates((noisy,), sigma * len(there) ** 0.5, len(there) * (floor - 1))
                    errors.append(abs(found.value - sum(there)))
                    relative.append(errors[-1] / max(sum(there), 1))
                    inside += found.low <= sum(there) <= found.high
            all_inside = min(all_inside, inside / len(errors))
            if (scale, epsilon) == (SCALES[-1], CountsConfig().question_epsilon):
                error = statistics.median(relative)
                figures.append(
                    Figure(
                        "counts",
                        "median relative error, hospitals of thousands",
                        f"{error:.3f}",
                        "≤ 0.02",
                        error <= 0.02,
                    )
                )
            rows.append(
                (
                    f"×{scale}",
                    epsilon,
                    f"{sigma:.1f}",
                    f"{statistics.mean(errors):.1f}",
                    f"{statistics.median(relative):.3f}",
                    f"{inside / len(errors):.3f}",
                )
            )
    figures.append(
        Figure("counts", "true numbers inside 0.95 intervals, least", f"{all_inside:.3f}", "≥ 0.95", all_inside >= 0.95)
    )
    return goals(figures), Table(
        f"By epsilon, floor {floor}",
        ("patients", "epsilon of a question", "σ of a hospital", "mean error", "median relative error", "inside 0.95"),
        tuple(rows),
        note="An interval allows for all that floors may hide, so more than 0.95 lie inside.",
    )


def budget_table(hospitals: Hospitals) -> Table:
    """Questions of two conditions, sex and medicines drawn at random, never one twice; of the largest hospital."""
    patients = max(hospitals.values(), key=len)
    ids = {one: patient_id(b"b" * 32, one.key) for one in patients}
    names = sorted({name for one in patients for name in one.conditions | one.medicines})
    weights = np.array([sum(name in one.conditions | one.medicines for one in patients) for name in names], float)
    rows = []
    for epsilon in EPSILONS:
        budget = Budget.of(epsilon, 8.0, 1e-6)
        generator = np.random.default_rng(0)
        with sqlite3.connect(":memory:") as ledger:
            ledger.execute("CREATE TABLE losses (patient BLOB PRIMARY KEY, rho REAL NOT NULL, counts INTEGER NOT NULL)")
            first, left = None, {}
            for number in range(1, AT[-1] + 1):
                (concept,) = generator.choice(names, 1, p=weights / weights.sum())
                sex = generator.choice([None, "female", "male"])
                about = frozenset(
                    ids[one] for one in patients if concept in one.conditions | one.medicines and sex in (None, one.sex)
                )
                there = within_budget(ledger, about, budget.question, budget.total)
                charge(ledger, there, budget.question)
                if first is None and there != about:
                    first = number
                if number in AT:
                    full = within_budget(ledger, frozenset(ids.values()), budget.question, budget.total)
                    left[number] = 1 - len(full) / len(patients)
        room = int(budget.total / budget.question)
        rows.append((epsilon, room, first or f"> {AT[-1]}", *(f"{left[number]:.0%}" for number in AT)))
    return Table(
        "Questions until budgets are spent: epsilon 8 per patient, delta 1e-6",
        ("epsilon of a question", "counts that one patient fits in", "first patient left out at question",
         *(f"left out after {number}" for number in AT)),
        tuple(rows),
        note="One concept each, as often as it occurs, of both sexes or one, at the largest hospital: the commonest "
        "concepts are asked about most, so that this is a hard month.",
    )  # fmt: skip


def twice(hospitals: Hospitals) -> Table:
    seen = Counter(one.key for patients in hospitals.values() for one in patients)
    return Table(
        "Patients at several hospitals",
        ("patients", "counted, summed over hospitals", "at two or more", "counted too often"),
        ((len(seen), sum(seen.values()), sum(one > 1 for one in seen.values()), sum(seen.values()) - len(seen)),),
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--data", type=Path, default=os.environ.get("FEDRAG_DATA"))
    arguments.add_argument("--floor", type=int, default=11)
    arguments.add_argument("--draws", type=int, default=DRAWS, help="of every count, by epsilon")
    chosen = arguments.parse_args()
    if chosen.data is None:
        sys.exit("set FEDRAG_DATA to the folder of the data packages")
    hospitals = read(chosen.data)
    with TemporaryDirectory() as folder:
        tables = [
            asyncio.run(through_the_product(hospitals, chosen.floor, Path(folder))),
            *by_epsilon(hospitals, chosen.floor, chosen.draws),
            budget_table(hospitals),
            twice(hospitals),
        ]
    print("\n".join(table.as_markdown() for table in tables))
    print(circumstances())


if __name__ == "__main__":
    main()
