"""What it saves that prompts of one question begin alike: tokens a second with vLLM's prefix caching and without.

    PYTHONPATH=.:tests PYTHON_WITH_VLLM benchmarks/prefix_caching.py

Each question asks every source for its chain of thought over its own passages, and once more with what the others
found (the rounds of `fera`). The weights are random: how fast a model reads does not depend on what it has learned.
One engine runs all arms in turn; `without` begins every prompt with a number of its own, so that the cache never helps.
"""

import argparse
import asyncio
import itertools
import secrets
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tiny_language_model

from fedrag.core.answer import Evidence, EvidencePassage
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import Citation, ReleasedPassage
from fedrag.core.question import Question
from fedrag.core.wire import ReleaseClass
from reasoner.chains import of_source
from reasoner.chat import ChatRequest, Completion, Message
from reasoner.prompts import FENCE_BYTES, Block, messages
from reasoner.vllm_model import VllmModel

WORDS = ("dose", "adults", "renal failure", "daily", "warfarin", "bleeding", "stop", "within hours", "risk")
ENGINE = {"dtype": "float32", "enforce_eager": True, "gpu_memory_utilization": 0.15, "kv_cache_memory_bytes": 2**30}
WAIT_MS = 600_000.0


@dataclass(frozen=True)
class Arm:
    """`alike`: whether prompts begin alike at all; `marks`: whether those of a question carry the same mark."""

    name: str
    alike: bool
    marks: bool


ARMS = (Arm("without", False, True), Arm("with, a mark per prompt", True, False), Arm("with", True, True))


def evidence(sources: int, words: int, salt: int) -> Evidence:
    drawn = itertools.cycle(WORDS)

    def text(number: int) -> str:
        return f"Case {salt}, source {number}. " + " ".join(
            f"{next(drawn)} {salt * at % 97}" for at in range(words // 2)
        )

    passages = tuple(
        EvidencePassage(
            number=number,
            node=f"hospital{number}",
            passage=ReleasedPassage(
                handle=f"{number:064x}",
                text=text(number),
                citation=Citation(document_id="d", document_name="d", locator="char=0,1"),
                release_class=ReleaseClass.PUBLIC,
            ),
            probability=0.8,
            weight=1 / sources,
        )
        for number in range(1, sources + 1)
    )
    weights = {one.node: one.weight for one in passages}
    return Evidence(passages=passages, source_weights=weights, few_sources=False, method="comparable")


async def question(model: VllmModel, arm: Arm, found: Evidence, salt: int, written: int) -> list[Completion]:
    """Two rounds of all sources at once."""
    asked = Question(text=f"Question {salt}: which dose?", options={"A": "2 mg", "B": "5 mg", "C": "none"})
    mark = secrets.token_hex(FENCE_BYTES)

    def prompt(node: str, blocks: tuple[Block, ...]) -> tuple[Message, ...]:
        own = mark if arm.marks else secrets.token_hex(FENCE_BYTES)
        rules, *rest = messages(asked, of_source(found, node), own, *blocks)
        return (rules if arm.alike else Message(rules.role, f"{secrets.token_hex(4)} {rules.content}"), *rest)

    made: list[Completion] = []
    for blocks in ((), (Block("OTHERS", "Others came to another answer.", f"Case {salt}: 5 mg, they say. " * 8),)):
        requests = [ChatRequest(prompt(node, blocks), {}, written) for node in found.source_weights]
        deadline = Deadline.after_ms(WAIT_MS)
        made += await asyncio.gather(*(model.complete(request, deadline) for request in requests))
    return made


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=6)
    parser.add_argument("--words", type=int, default=300, help="of each source's passages")
    parser.add_argument("--written", type=int, default=32, help="tokens of each reply")
    parser.add_argument("--questions", type=int, default=5)
    parser.add_argument("--layers", type=int, default=8, help="of the model, whose width is 512")
    given = parser.parse_args()
    shape = tiny_language_model.Shape(hidden=512, layers=given.layers, heads=8, key_heads=2, head=64, inner=1536)
    with tempfile.TemporaryDirectory() as folder:
        path = str(tiny_language_model.write(Path(folder) / "model", shape))
        model = VllmModel(path, 8192, prefix_caching=True, options=ENGINE)
        seen: dict[str, list[tuple[float, float, float]]] = {arm.name: [] for arm in ARMS}
        for salt in range(given.questions + 1):
            for place, arm in enumerate(ARMS):
                own = salt * len(ARMS) + place + 1  # no arm finds another's text in the cache
                found = evidence(given.sources, given.words, own)
                started = time.perf_counter()
                made = await question(model, arm, found, own, given.written)
                elapsed_s = time.perf_counter() - started
                prompts = sum(one.prompt_tokens for one in made)
                tokens = prompts + sum(one.completion_tokens for one in made)
                if salt:  # the first warms up
                    cached = sum(one.cached_tokens for one in made)
                    seen[arm.name].append((tokens / elapsed_s, elapsed_s, cached / prompts))
        await model.aclose()
    length = prompts / len(made)
    print(f"{given.layers} layers of 512, {given.sources} sources, 2 rounds, {length:.0f} tokens a prompt; medians")
    print("| prefix caching | tokens/s | s per question | share of the prompts read from the cache |")
    print("| --- | --- | --- | --- |")
    for name, figures in seen.items():
        speed, seconds, share = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"| {name} | {speed:,.0f} | {seconds:.2f} | {share:.2f} |")


if __name__ == "__main__":
    asyncio.run(main())
