"""A real vLLM, on the processor, with a tiny model: behind the back end `openai`, and inside a process as `vllm`.

    FEDRAG_VLLM=path/to/python python -m pytest tests/model_servers

The Python named there has vLLM; it needs no package of ours but those that the reasoner imports. What vLLM says of its
tokens is held against ONNX Runtime on the same weights.
"""

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import tiny_language_model

from fedrag.core.answer import Evidence, EvidencePassage
from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded
from fedrag.core.exchange import Citation, ReleasedPassage
from fedrag.core.question import Question
from fedrag.core.wire import ReleaseClass
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Surroundings
from reasoner.chat import ChatModel, ChatRequest, Completion, Message, PromptTooLong, TokenProbability
from reasoner.chat_server import ChatServer
from reasoner.confidence import choice_probability
from reasoner.local_model import LocalModel
from reasoner.prompts import answer_schema
from reasoner.served_model import ServedModel
from reasoner.uncertainty import mean_token_entropy

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("FEDRAG_VLLM", "")
STARTS_WITHIN_S = 900
CLOSE = 1e-3
SAID = (Message("system", "You help."), Message("user", "Which dose?"))
CHOICE: dict[str, object] = {
    "type": "object",
    "properties": {"choice": {"enum": ["A", "B", "C"]}},
    "required": ["choice"],
    "additionalProperties": False,
}
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))),
}
ENGINE = {
    "dtype": "float32",
    "max_model_len": 8192,
    "enforce_eager": True,
    "gpu_memory_utilization": 0.15,
    "kv_cache_memory_bytes": 2**28,
}
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not PYTHON, reason="FEDRAG_VLLM names no Python with vLLM"),
]


@dataclass(frozen=True)
class Vllm:
    url: str
    name: str
    folder: Path

    def model(self, **settings: object) -> ServedModel:
        return ServedModel(ChatServer(self.url, **settings), self.name)

    def metric(self, name: str) -> float:
        """Of vLLM's own, summed over its labels."""
        told = httpx2.get(f"{self.url.removesuffix('/v1')}/metrics", trust_env=False).text
        lines = [line for line in told.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return tiny_language_model.write(tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Vllm]:
    """A model that thinks first, with a parser that takes its thinking apart and a budget that ends it."""
    folder = tiny_language_model.write(tmp_path_factory.mktemp("models") / "thoughtful", thinks=True)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--model", str(folder), "--served-model-name", "tiny"]
    options += ["--dtype", "float32", "--max-model-len", "8192", "--enforce-eager", "--max-num-seqs", "4"]
    options += ["--gpu-memory-utilization", "0.15", "--kv-cache-memory-bytes", str(2**28)]
    options += ["--reasoning-parser", "deepseek_r1", "--reasoning-config"]
    options += [json.dumps({"reasoning_start_str": "<think>", "reasoning_end_str": "</think>"})]
    options += ["--structured-outputs-config", json.dumps({"backend": "guidance", "disable_any_whitespace": True})]
    log = (folder / "server.log").open("wb")
    started = subprocess.Popen(
        [PYTHON, "-m", "vllm.entrypoints.openai.api_server", *options],
        env=os.environ | ENVIRONMENT,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url, waited = f"http://127.0.0.1:{port}/v1", time.monotonic()
    try:
        while not _listening(url):
            assert started.poll() is None, (folder / "server.log").read_text(errors="replace")[-3000:]
            assert time.monotonic() - waited < STARTS_WITHIN_S
            time.sleep(0.5)
        yield Vllm(url, "tiny", folder)
    finally:
        started.terminate()
        started.wait(timeout=60)
        log.close()


def _listening(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/models", trust_env=False, timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False


async def completed(model: ChatModel, request: ChatRequest, deadline_ms: float = 60_000) -> Completion:
    try:
        return await model.complete(request, Deadline.after_ms(deadline_ms))
    finally:
        await model.aclose()


def evidence(texts: int = 3) -> Evidence:
    passages = tuple(
        EvidencePassage(
            number=number,
            node=f"hospital{number}",
            passage=ReleasedPassage(
                handle=f"{number:064x}",
                text="Adults take five milligrams daily. " * 20,
                citation=Citation(document_id="d", document_name="d", locator="char=0,1"),
                release_class=ReleaseClass.PUBLIC,
            ),
            probability=0.8,
            weight=1 / texts,
        )
        for number in range(1, texts + 1)
    )
    weights = {one.node: one.weight for one in passages}
    return Evidence(passages=passages, source_weights=weights, few_sources=True, method="comparable")


def reasoner(server: Vllm, **settings: object):
    surroundings = Surroundings(ENCODERS.build("hashing"), {}, bytes)
    return BACKENDS.build("openai", {"base_url": server.url, "model": server.name} | settings)(surroundings)


async def test_what_vllm_says_of_its_tokens_is_what_another_engine_says(served) -> None:
    """Token entropy and the probability of the choice within 0.001 of ONNX Runtime's, with a form and without; the
    texts are the same."""
    local = LocalModel(served.folder, os.urandom)
    for schema in (CHOICE, {}):
        there = await completed(served.model(), ChatRequest(SAID, schema, 80, thinking_tokens=20))
        # vLLM counts the tag that ends the thinking into its budget and its limit, ours is what stands before it.
        own = ChatRequest(SAID, schema, 79, thinking_tokens=there.thinking_tokens - 1)
        here = await local.complete(own, Deadline.after_ms(60_000))
        assert there.text == here.text
        assert there.thinking == here.thinking
        assert mean_token_entropy(there.tokens) == pytest.approx(mean_token_entropy(here.tokens), abs=CLOSE)
        if schema:
            letter = json.loads(here.text)["choice"]
            probability = choice_probability(there.tokens, "ABC", letter)
            assert probability == pytest.approx(choice_probability(here.tokens, "ABC", letter), abs=CLOSE)
    await local.aclose()


async def test_thinking_is_apart_counted_and_within_its_budget(served) -> None:
    """The parser's field holds it; the budget of 20 ends it; the answer after it has the form of the schema."""
    made = await completed(served.model(), ChatRequest(SAID, CHOICE, 80, thinking_tokens=20))
    assert made.thinking
    assert made.thinking_field in ("reasoning", "reasoning_content")
    assert 15 <= made.thinking_tokens <= 26
    assert json.loads(made.text)["choice"] in ("A", "B", "C")
    assert "".join(one.token for one in made.tokens) == made.text.strip()


async def test_tokens_are_counted_as_vllm_reads_them(served) -> None:
    """`/tokenize` beforehand, and its own usage afterwards."""
    model = served.model()
    counted = await model.tokens(SAID, Deadline.after_ms(10_000))
    made = await completed(model, ChatRequest(SAID, CHOICE, 80, thinking_tokens=20))
    assert counted == made.prompt_tokens


async def test_what_is_too_long_is_told_with_the_limit(served) -> None:
    """As vLLM words it."""
    with pytest.raises(PromptTooLong) as raised:
        await completed(served.model(), ChatRequest((Message("user", "dose " * 9000),), {}, 64))
    assert raised.value.context_tokens == 8192


async def test_a_hang_up_stops_the_server(served) -> None:
    """8,000 tokens were asked for and given up after 0.3 s: soon nothing runs there any more."""
    with pytest.raises(DeadlineExceeded):
        await completed(served.model(), ChatRequest(SAID, {}, 8000), 300)
    for _ in range(50):
        if served.metric("vllm:num_requests_running") == 0:
            break
        await asyncio.sleep(0.1)
    assert served.metric("vllm:num_requests_running") == 0
    assert served.metric("vllm:generation_tokens_total") < 8000


async def test_overload_waits_its_turn(served) -> None:
    """Twelve questions for a server that writes four at a time: all are answered; with two at once from our side it
    never ran more than two."""
    model = served.model(at_once=2)
    asked = ChatRequest(SAID, CHOICE, 80, thinking_tokens=20)
    running, done = [], asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            running.append(await asyncio.to_thread(served.metric, "vllm:num_requests_running"))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    made = await asyncio.gather(*(model.complete(asked, Deadline.after_ms(60_000)) for _ in range(12)))
    done.set()
    await watching
    await model.aclose()
    assert len({one.text for one in made}) == 1
    assert max(running) <= 2


async def test_a_question_goes_through_end_to_end(served) -> None:
    """Strategies ask it; what random weights write is mostly broken: then the answer says so, and quotes instead."""
    backend = reasoner(served, maximum_tokens=200, thinking_tokens=32, temperature=1.0, strategy={"name": "isolated"})
    made = await backend.reason(Question(text="What is the adult dose?"), evidence(), Deadline.after_ms(120_000))
    await backend.aclose()
    assert made.report.backend == ("extractive" if made.report.fallback else "openai")
    assert made.report.fallback in ("", "model_unparsable")
    assert made.report.completion_tokens > 0
    assert all(set(step.citations) <= {1, 2, 3} for step in made.steps)
    assert made.text or made.abstained


async def test_broken_output_is_labelled(served) -> None:
    """Without a budget it thinks until it is cut off: asked again, then extracts; all is counted."""
    backend = reasoner(served, maximum_tokens=64)
    made = await backend.reason(Question(text="What is the adult dose?"), evidence(), Deadline.after_ms(120_000))
    await backend.aclose()
    assert (made.report.backend, made.report.fallback, made.report.retries) == ("extractive", "model_unparsable", 1)
    assert made.report.thinking_tokens == made.report.completion_tokens == 128


async def test_a_late_server_is_not_waited_for(served) -> None:
    """5,000 tokens within two seconds: the extractive answer comes in time."""
    backend, started = reasoner(served, maximum_tokens=5000), time.monotonic()
    made = await backend.reason(Question(text="What is the adult dose?"), evidence(), Deadline.after_ms(2000))
    await backend.aclose()
    assert made.report.fallback == "model_timed_out"
    assert time.monotonic() - started < 2.5


INSIDE = """
import asyncio, json, sys
from reasoner.backends import BACKENDS, Surroundings
from reasoner.chat import ChatRequest, Message
from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded
from fedrag.encoders import ENCODERS

async def main(told):
    backend = BACKENDS.build("vllm", told["settings"])(Surroundings(ENCODERS.build("hashing"), {}, bytes))
    model, made = backend.parts.model.model, []
    said = tuple(Message(*one) for one in told["said"])
    made.append(await model.tokens(said, Deadline.after_ms(60_000)))
    for schema, maximum, thinking in told["requests"]:
        one = await model.complete(ChatRequest(said, schema, maximum, 0.0, thinking), Deadline.after_ms(60_000))
        tokens = [[t.token, t.logprob, t.alternatives] for t in one.tokens]
        made.append([one.text, one.thinking, one.thinking_tokens, one.prompt_tokens, one.finish_reason, tokens])
    try:
        await model.complete(ChatRequest(said, {}, 7000), Deadline.after_ms(300))
        made.append("ended")
    except DeadlineExceeded:
        await asyncio.sleep(0.5)
        made.append(model.engine.output_processor.get_num_unfinished_requests())
    await backend.aclose()
    print("MADE " + json.dumps(made))

if __name__ == "__main__":
    asyncio.run(main(json.load(open(sys.argv[1]))))
"""


async def test_inside_a_process_it_says_the_same(plain, tmp_path) -> None:
    """Text, counts, token entropy and choice probability as ONNX Runtime's; a deadline takes the request out."""
    requests = [(CHOICE, 64, 0), ({}, 40, 0), (answer_schema(["A", "B"]), 60, 0)]
    settings = {"model": str(plain), "options": ENGINE}
    asked = {"settings": settings, "said": [(one.role, one.content) for one in SAID], "requests": requests}
    (tmp_path / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
    (tmp_path / "inside.py").write_text(INSIDE, encoding="utf-8")
    done = await asyncio.to_thread(
        subprocess.run,
        [PYTHON, str(tmp_path / "inside.py"), str(tmp_path / "asked.json")],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("MADE ")]
    assert told, done.stderr[-3000:]
    counted, *made, unfinished = json.loads(told[0].removeprefix("MADE "))
    local = LocalModel(plain, os.urandom)
    assert counted == await local.tokens(SAID, Deadline.after_ms(1000))
    for (schema, maximum, thinking), (text, thought, spent, read, ended, tokens) in zip(requests, made, strict=True):
        request = ChatRequest(SAID, schema, maximum, 0.0, thinking)
        here = await local.complete(request, Deadline.after_ms(20_000))
        assert (text, thought, spent, read, ended) == (here.text, "", 0, here.prompt_tokens, here.finish_reason)
        there = tuple(_token(*one) for one in tokens)
        assert mean_token_entropy(there) == pytest.approx(mean_token_entropy(here.tokens), abs=CLOSE)
        if schema == CHOICE:
            letter = json.loads(text)["choice"]
            probability = choice_probability(there, "ABC", letter)
            assert probability == pytest.approx(choice_probability(here.tokens, "ABC", letter), abs=CLOSE)
    assert unfinished == 0
    await local.aclose()


def _token(token: str, logprob: float, alternatives: list[list[object]]):

    return TokenProbability(token, logprob, tuple((str(other), float(value)) for other, value in alternatives))
