"""Records of a file from anywhere: what is a value, and what it costs to look at a long one."""

import json
import time
from pathlib import Path

import pytest

from retriever_node.documents import Document, Unreadable
from retriever_node.records import RecordFields, record_document
from retriever_node.sources import SourceFile

SOURCE = SourceFile("a.jsonl", Path("a.jsonl"))


KINDS = ("yes", "fraction", "list", "object", "high", "low", "apart", "zero", "endless", "infinite")


def read(**record: object) -> Document | Unreadable:
    return record_document({"id": "1", "text": "t", **record}, RecordFields(), SOURCE, "c", "line 1: ")


@pytest.mark.parametrize("field", RecordFields.model_fields)
@pytest.mark.parametrize(
    "value", [True, 1.5, [], {}, "\ud800", "a\udfff", "\ud83dx\ude00", "a\x00b", 10**5000, float("inf")], ids=KINDS
)
def test_what_is_no_plain_text_costs_its_record(field, value):
    """In any field; the report names the field, never the value."""
    found = read(**{field: value})
    assert isinstance(found, Unreadable)
    assert (found.code, found.reason) == ("bad_record", f"line 1: {field} is not plain text")


@pytest.mark.parametrize("value", ["😀", "\ue000", "\uffff", "a\u2028b", 7, -3])
def test_any_other_text_or_whole_number_is_a_value(value):
    """Beyond the first plane, for private use, and numbers as they are written."""
    found = read(text=value)
    assert isinstance(found, Document)
    assert [part.text for part in found.sections] == [str(value)]


@pytest.mark.parametrize("field", RecordFields.model_fields)
@pytest.mark.parametrize("unit", ["a", " ", "\n", "a ", "é", "\u2003", "😀 ", "2026-01-01 ", '"', "\\"])
def test_a_long_field_is_looked_at_once(field, unit):
    """A million characters cost less than half a second of processor time, whatever they are."""
    value = unit * (1_000_000 // len(unit))
    began = time.process_time()
    found = read(**{field: value})
    took_s = time.process_time() - began
    assert isinstance(found, Document | Unreadable)
    assert took_s < 0.5
    if isinstance(found, Unreadable):
        assert len(json.dumps(found.reason)) < 100
