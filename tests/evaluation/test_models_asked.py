"""Models that the evaluation asks itself, over real HTTP: closed book, judge, and the arms of MIRAGE beside them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from made_answers import made, silent

from fedrag.core.answer import Answer
from fedrag.core.errors import Unavailable
from fedrag.core.exchange import NodeOutcome, NodeStatus
from fedrag.core.question import AskRequest, Question
from fedrag.evaluation.answers import Judgement, Reply
from fedrag.evaluation.baselines.closed_book import closed_book
from fedrag.evaluation.judge import judged_table
from fedrag.evaluation.model_server import ModelServer
from fedrag.evaluation.report import NOT_RUN, Findings
from fedrag.evaluation.run import Half, Run, Service
from fedrag.evaluation.suites import mirage
from reasoner.chat import ChatRequest, Message

OPTIONS = {"A": "heparin", "B": "vitamin K"}


@dataclass
class Server:
    """`reply` makes the text of an answer, or (status, complaint), from the body of a request."""

    url: str = ""
    reply: Callable[[dict[str, object]], str | tuple[int, str]] = lambda _: "{}"
    asked: list[dict[str, object]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    scripted = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            scripted.asked.append(body)
            said = scripted.reply(body)
            status, content = (
                (
                    200,
                    {
                        "choices": [{"message": {"content": said}}],
                        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
                    },
                )
                if isinstance(said, str)
                else (said[0], {"error": {"message": said[1]}})
            )
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        scripted.url = f"http://127.0.0.1:{listening.server_port}/v1"
        yield scripted
        listening.shutdown()
        thread.join()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(data=None, limit=None, half=Half.SEEN, output=tmp_path, progress=silent, command="test", identity="one")


def test_what_a_server_refuses_is_given_up_once(server) -> None:
    """The first call finds out that there is no JSON schema here, the second does not ask for it again."""
    server.reply = lambda body: (
        (400, "response_format json_schema is not supported") if "response_format" in body else "x"
    )
    model = ModelServer(server.url, "tiny")
    request = ChatRequest((Message("user", "hello"),), {"type": "object"}, 10)
    assert model.complete(request).text == "x"
    before = len(server.asked)
    assert before > 1
    assert model.complete(request).text == "x"
    assert len(server.asked) == before + 1


def test_a_server_that_refuses_everything_is_an_error(server) -> None:
    """Not an endless loop."""
    server.reply = lambda _: (400, "no")
    with pytest.raises(Unavailable):
        ModelServer(server.url, "tiny").complete(ChatRequest((Message("user", "hello"),), {"type": "object"}, 10))


@pytest.mark.parametrize(
    ("said", "choice", "confidence"),
    [
        ('{"steps": [], "choice": "B", "confidence": 0.7}', "B", 0.7),
        ('<think>A or B?</think>{"choice": "B"}', "B", 0.5),
        ("I cannot say.", None, 0.0),
        ('{"choice": "Z", "confidence": 1}', None, 0.0),
    ],
)
def test_closed_book(said: str, choice: str | None, confidence: float, server) -> None:
    """The model sees question and options, and no passage; what it does not choose readably is no choice."""
    server.reply = lambda _: said
    found = closed_book("What reverses warfarin?", OPTIONS, ModelServer(server.url, "tiny"))
    assert (found.choice, found.confidence, found.tokens) == (choice, confidence, 10)
    assert server.asked[0]["messages"][-1]["content"] == (
        "What reverses warfarin?\n\nOptions:\nA. heparin\nB. vitamin K"
    )


def judgements(*texts: str) -> list[Judgement]:
    request = AskRequest(question=Question(text="how much?"))
    return [Judgement(Reply(made(request, text=text), "", None), correct=True) for text in texts]


def test_a_judge_sees_each_statement_once_with_what_it_cites(run, server) -> None:
    """Of three answers the first is supported, the second half, the third cites nothing: 1, 1/2, 0. Asked anew, the
    judge is not asked."""
    verdicts = {"Give 5 mg": "true", "Give 6 mg": "false", "Give 7 mg": "what?"}

    def reply(body: dict[str, object]) -> str:
        asked = body["messages"][-1]["content"]
        assert "Give 5 mg daily." in asked.partition("Statement:")[0]
        verdict = verdicts[asked.partition("Statement:\n")[2]]
        return verdict if "?" in verdict else json.dumps({"supported": json.loads(verdict)})

    server.reply = reply
    judged = judgements("Give 5 mg [1].", "Give 5 mg [1]. Give 6 mg [1].", "Give 7 mg [1]. Give 8 mg")
    judging = replace(run, judge=ModelServer(server.url, "tiny"), limit=1)
    for _ in range(2):
        (table,) = judged_table("own", {"all": judged}, judging)
        assert table.rows == (("all", 3, 0.5),)
        assert "3 statements judged, 1 verdicts unreadable" in table.note
        assert len(server.asked) == 3
    assert judged_table("own", {"all": judged}, run) == ()


CORPORA = ("pubmed", "statpearls", "textbooks", "wikipedia")


@dataclass
class Federation:
    """Chooses A, except where it is asked among fewer hospitals or is the central one: then B."""

    requests: list[tuple[str, AskRequest]] = field(default_factory=list)
    nodes: tuple[str, ...] = CORPORA

    def client(self, url: str, key: str, authority: Path | None = None):
        assert key == "key"

        @contextmanager
        def opened() -> Iterator[object]:
            yield self
            self.url = ""

        self.url = url
        return opened()

    def ask(self, request: AskRequest) -> Answer:
        self.requests.append((self.url, request))
        better = request.nodes is not None or "central" in self.url
        answer = made(request, text="B. vitamin K [1]" if better else "A. heparin [1]", choice="B" if better else "A")
        coverage = tuple(NodeOutcome(node=node, status=NodeStatus.ANSWERED, elapsed_ms=1) for node in self.nodes)
        return answer.model_copy(update={"coverage": coverage})


def mirage_run(run: Run, folder: Path, **options: object) -> Run:
    package = folder / "mirage"
    package.mkdir(parents=True)
    lines = [
        {
            "id": f"q{number}",
            "dataset": "mmlu",
            "question": f"question {number}",
            "options": OPTIONS,
            "answer": "B",
            "relevant_corpora": ["pubmed", "textbooks"],
        }
        for number in range(8)
    ]
    (package / "questions_dev.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return replace(run, data=folder, **options)


def accuracies(found: Findings) -> dict[str, object]:
    return {str(row[0]): row[1] for row in found.tables[0].rows}


def test_every_arm_of_mirage(run, server, tmp_path, monkeypatch) -> None:
    """Five arms over the same questions, retrieved for without their options; only the oracle is told which corpora
    held the best passages."""
    federation = Federation()
    monkeypatch.setattr(mirage, "Client", federation.client)
    server.reply = lambda _: '{"steps": [], "choice": "B", "confidence": 0.9}'
    service = Service("http://here", "key", central="http://central")
    chosen = mirage_run(run, tmp_path / "data", service=service, model=ModelServer(server.url, "tiny"))
    found = mirage.Mirage().evaluate(chosen)
    figures = accuracies(found)
    assert figures["questions"] == 8
    assert {name: figures[name] for name in (mirage.ROUTED, mirage.BROADCAST)} == {
        mirage.ROUTED: 0.0,
        mirage.BROADCAST: 0.0,
    }
    assert [figures[name] for name in (mirage.CENTRAL, mirage.ORACLE, mirage.CLOSED)] == [1.0, 1.0, 1.0]
    assert not any(request.search_options for _, request in federation.requests)
    told = [request for url, request in federation.requests if request.nodes is not None]
    assert len(told) == 8
    assert {request.nodes for request in told} == {("pubmed", "textbooks")}
    assert len(federation.requests) == 4 * 8
    assert any("Estimated per arm, from 5 questions" in note for note in found.notes)
    assert any("pubmed, statpearls, textbooks, wikipedia" in note for note in found.notes)


def test_arms_that_lack_something_say_so(run, tmp_path, monkeypatch) -> None:
    """No number without a model, a central federation, or hospitals that can be told apart."""
    federation = Federation(nodes=("north", "south"))
    monkeypatch.setattr(mirage, "Client", federation.client)
    chosen = mirage_run(run, tmp_path / "data", service=Service("http://here", "key"), limit=3)
    found = mirage.Mirage().evaluate(chosen)
    figures = accuracies(found)
    assert [figures[name] for name in mirage.WANTING] == [NOT_RUN] * 3
    assert all(any(note.startswith(name) for note in found.notes) for name in mirage.WANTING)
    assert len(federation.requests) == 2 * 3
