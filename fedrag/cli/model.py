"""What a model server can do, told before it is needed."""

import asyncio
import os

from fedrag import terminal
from reasoner.model_check import check


def check_model(url: str, model: str | None, key_variable: str, *, as_json: bool) -> None:
    report = asyncio.run(check(url, model, os.environ.get(key_variable, "")))
    if as_json:
        terminal.print_json(report)
        return
    for name, value in report.model_dump(mode="json").items():
        terminal.out.print(f"{name.replace('_', ' '):24} {value}", markup=False)
