"""FHIR files: JSON bundles and NDJSON, also packed with gzip, and finding a resource by its reference."""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NoReturn

from fedrag.core.errors import InputError
from retriever_node.documents import Unreadable
from retriever_node.fhir.datatypes import NOTHING, Resource, part, parts, string
from retriever_node.sources import MAXIMUM_FILE_BYTES, SourceFile


def resources_of(source: SourceFile) -> tuple[list[Resource], list[Unreadable]]:
    """The resources of a bundle, of a file with one resource, or of NDJSON, where a bad line costs itself only.

    Raises InputError: `not_readable`, `damaged`, `too_large`, `bad_json`, `unknown_format`, `empty`.
    """
    raw = _content(source)
    if not raw.strip():
        raise InputError("no text", code="empty")
    if ".ndjson" not in source.path.name.lower():
        return _unbundled(_json(raw)), []
    resources: list[Resource] = []
    problems: list[Unreadable] = []
    for number, line in enumerate(raw.splitlines(), start=1):
        if line.strip():
            try:
                resources.extend(_unbundled(_json(line)))
            except InputError as error:
                problems.append(source.unreadable(error.code, f"line {number}: {error.message}"))
    if not resources:
        raise InputError("no line is a FHIR resource", code=problems[0].code)
    return resources, problems


def _content(source: SourceFile) -> bytes:
    try:
        with (gzip.open if source.path.suffix.lower() == ".gz" else open)(source.path, "rb") as file:
            raw = file.read(MAXIMUM_FILE_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise InputError("not gzip, or damaged", code="damaged") from None
    except OSError:
        raise InputError("the file cannot be opened", code="not_readable") from None
    if len(raw) > MAXIMUM_FILE_BYTES:
        raise InputError(f"longer than {MAXIMUM_FILE_BYTES} bytes", code="too_large")
    return bytes(raw)


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError):
        raise InputError("not JSON", code="bad_json") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _unbundled(value: object) -> list[Resource]:
    """A resource alone, or those of a bundle, each with the address that others know it by."""
    whole = value if isinstance(value, Mapping) else NOTHING
    if not isinstance(whole.get("resourceType"), str):
        raise InputError("JSON, but no FHIR resource", code="unknown_format")
    if whole["resourceType"] != "Bundle":
        return [whole]
    entries = parts(whole.get("entry"))
    return [{**part(one, "resource"), "fullUrl": string(one.get("fullUrl"))} for one in entries if one.get("resource")]


class Index:
    """Resources by every name a reference may use: address, `Type/id`, `urn:uuid:id`."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self.patients = [one for one in resources if one.get("resourceType") == "Patient"]
        self.relatives: dict[str, list[Resource]] = {}
        self._found: dict[str, Resource] = {}
        for resource in resources:
            kind, own = string(resource.get("resourceType")), string(resource.get("id"))
            for name in (string(resource.get("fullUrl")), f"{kind}/{own}", f"urn:uuid:{own}"):
                self._found[name] = resource
        for resource in resources:
            if resource.get("resourceType") == "RelatedPerson":
                patient = self(string(part(resource, "patient").get("reference")))
                self.relatives.setdefault(string(patient.get("id")), []).append(resource)

    def __call__(self, reference: str) -> Resource:
        if not reference:
            return NOTHING
        return self._found.get(reference) or self._found.get(tail(reference), NOTHING)


def tail(reference: str) -> str:
    """`Patient/7` of `https://server/fhir/Patient/7/_history/2`."""
    return "/".join(reference.partition("/_history/")[0].split("/")[-2:])
