"""Ask a running federation the seen questions and keep the evidence it had released.

fedrag demo      # in another terminal; prints the address and a key
python -m reasoner.training.collect_evidence --url URL --key KEY --questions examples/questions --output evidence.jsonl
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx2

from reasoner.training.cases import as_question, load_examples

TIMEOUT_S: Final = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reasoner.training.collect_evidence")
    parser.add_argument("--url", required=True, help="address of the coordinator")
    parser.add_argument("--key", required=True, help="API key")
    parser.add_argument("--questions", type=Path, required=True, help="folder of question files (*.jsonl)")
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    headers = {"authorization": f"Bearer {chosen.key}"}
    with (
        httpx2.Client(base_url=chosen.url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client,
        chosen.output.open("w", encoding="utf-8") as output,
    ):
        for example in load_examples(chosen.questions):
            question = as_question(example).model_dump(mode="json")
            answer = client.post("/v1/ask", json={"question": question}).raise_for_status().json()
            output.write(json.dumps({"id": example.id, "evidence": answer["evidence"]}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
