"""`fedrag demo`: the whole system on this machine, four questions that show what it is for."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer
from rich.rule import Rule

from fedrag import terminal
from fedrag.cli.encoder import set_up_encoder
from fedrag.cli.render import render
from fedrag.config import CoordinatorConfig, Limits
from fedrag.core.config import PluginConfig
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import NodeId
from fedrag.example_federation import example_hospitals
from fedrag.local_federation import LocalFederation

_MODEL_DEADLINE_MS: Final = 120_000


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """`kill` names a hospital whose process is ended just before the question is asked."""

    why: str
    text: str
    kill: NodeId | None = None


QUESTIONS: Final = (
    DemoQuestion(
        "the answer needs several hospitals",
        "How are hyperkalaemia and kidney function handled when a patient with heart failure takes spironolactone?",
    ),
    DemoQuestion(
        "two hospitals disagree",
        "Do patients with a transient ischaemic attack get aspirin and clopidogrel together?",
    ),
    DemoQuestion(
        "no hospital knows",
        "How often should the blades of a wind turbine be inspected for lightning damage?",
    ),
    DemoQuestion(
        "one hospital is killed on the way",
        "At what temperature does the neutropenic sepsis pathway start after chemotherapy?",
        kill="st-brannock",
    ),
)


def run_demo(*, leave: bool, llm: str | None, model: str | None, folder: Path | None, as_json: bool) -> None:
    set_up_encoder()
    with _workplace(folder) as place:
        federation = LocalFederation(place, example_hospitals(), _coordinator(llm, model))
        with federation:
            federation.create()
            with terminal.progress("hospitals reading their documents") as told:
                federation.ingest(told)
            federation.start(settle=False)
            _ask_all(federation, as_json=as_json)
            if leave or not sys.stdout.isatty():
                return
            _stay(federation)


def _coordinator(llm: str | None, model: str | None) -> CoordinatorConfig:
    if llm is None:
        return CoordinatorConfig(coordinator="demo")
    reasoner = PluginConfig(name="openai", settings={"base_url": llm, "model": model})
    return CoordinatorConfig(coordinator="demo", reasoner=reasoner, limits=Limits(deadline_ms=_MODEL_DEADLINE_MS))


def _ask_all(federation: LocalFederation, *, as_json: bool) -> None:
    with federation.client() as client:
        for number, question in enumerate(QUESTIONS, start=1):
            if not as_json:
                terminal.out.print(Rule(f"{number} of {len(QUESTIONS)}: {question.why}", align="left"))
            if question.kill is not None:
                federation.kill(question.kill)
            answer = client.ask(AskRequest(question=Question(text=question.text)))
            if as_json:
                terminal.print_json(answer)
            else:
                terminal.out.print(render(answer))


def _stay(federation: LocalFederation) -> None:
    # Not through the console: it would break lines that people copy.
    typer.echo(
        f"\nAsk your own: {federation.url}/#key={federation.key}\n"
        f"curl -s {federation.url}/v1/ask -H 'Authorization: Bearer {federation.key}' "
        "-H 'Content-Type: application/json' "
        """-d '{"question": {"text": "When is levothyroxine increased in pregnancy?"}}'\n"""
        "Ctrl-C ends the demo and every process it started."
    )
    while True:
        time.sleep(3600)


@contextmanager
def _workplace(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="fedrag-demo-") as temporary:
        yield Path(temporary)
