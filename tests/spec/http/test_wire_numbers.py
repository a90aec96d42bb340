"""What JSON calls a number, and nothing else; base64 in its one form."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fedrag.core.exchange import NodeOutcome
from fedrag.core.question import AskRequest
from fedrag.core.wire import Base64


@pytest.mark.parametrize("sent", ["true", '"3"', "3.5", "null3", "[3]"])
def test_what_is_no_integer_is_refused(sent: str) -> None:
    """Neither true nor "3" is three passages."""
    with pytest.raises(ValidationError):
        AskRequest.model_validate_json(f'{{"question": {{"text": "x"}}, "passages": {sent}}}')


@pytest.mark.parametrize("sent", ["3", "3.0"])
def test_integers(sent: str) -> None:
    """3.0 is an integer in JSON Schema."""
    assert AskRequest.model_validate_json(f'{{"question": {{"text": "x"}}, "passages": {sent}}}').passages == 3


@pytest.mark.parametrize("sent", ["true", '"5"'])
def test_what_is_no_number_is_refused(sent: str) -> None:
    """The same for milliseconds."""
    with pytest.raises(ValidationError):
        NodeOutcome.model_validate_json(f'{{"node": "n", "status": "answered", "elapsed_ms": {sent}}}')


@given(raw=st.binary(max_size=40), stray=st.sampled_from("ABCDEFGH"))
def test_the_schema_and_the_code_agree_on_base64(raw: bytes, stray: str) -> None:
    """The pattern that the schema shows takes what the code takes: one spelling of each byte string."""
    adapter = TypeAdapter(Base64)
    pattern = re.compile(adapter.json_schema()["pattern"])
    right = base64.b64encode(raw).decode()
    assert adapter.validate_python(right) == right
    assert pattern.search(right)
    if right.endswith("="):
        at = right.index("=") - 1
        other = right[:at] + stray + right[at + 1 :]
        taken = True
        try:
            adapter.validate_python(other)
        except ValidationError:
            taken = False
        assert bool(pattern.search(other)) is taken
