"""`policy.toml`: read whole, or not at all. Every error names its line."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fedrag.core.errors import ConfigError
from fedrag.core.wire import ReleaseClass
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.policy import Kind, positions
from retriever_node.policy.rules import Policy, PolicyFile, Rule

MAXIMUM_BYTES: Final = 256 * 1024
Problem = tuple[positions.Path, str]
"""What is wrong, and where."""


def load(path: Path, config: NodeConfig) -> Policy:
    """Raises ConfigError: `missing_policy`, `bad_policy`."""
    return parse(read(path), config, path)


def read(path: Path) -> bytes:
    """Raises ConfigError: `missing_policy`; `bad_policy` where the system does not give it, or not all of it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist; the cautious one is written by: fedrag-node policy init", code="missing_policy"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.errno})", code="bad_policy") from None
    if len(content) > MAXIMUM_BYTES:
        raise ConfigError(f"{path} is longer than {MAXIMUM_BYTES} bytes", code="bad_policy")
    return content


def parse(content: bytes, config: NodeConfig, path: Path) -> Policy:
    """The policy that these bytes are for this node. Raises ConfigError(bad_policy) with every line to put right."""
    try:
        text = content.decode("utf-8")
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise _wrong(path, [(content.count(b"\n", 0, error.start) + 1, "not UTF-8")]) from None
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, [_of_toml(error, text)]) from None
    found: list[Problem] = []
    try:
        rules = PolicyFile.model_validate(table).rules
        found += problems(rules, config)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        found += [(one["loc"], _said(one)) for one in details]
    if found:
        lines = positions.lines(text.replace("\r\n", "\n"))
        raise _wrong(path, [(positions.line_of(where, lines), said) for where, said in found])
    return Policy.of(rules)


def rule_lines(path: Path) -> dict[str, int]:
    """Name of each rule → its line, of a file that is right."""
    text = read(path).decode("utf-8").replace("\r\n", "\n")
    lines = positions.lines(text)
    rules = tomllib.loads(text).get("rules", [])
    return {str(rule["name"]): positions.line_of(("rules", number), lines) for number, rule in enumerate(rules)}


def problems(rules: tuple[Rule, ...], config: NodeConfig) -> Iterator[Problem]:
    """What no single key shows: names that do not exist here, and what may not be let out."""
    names: set[str] = set()
    held = {one.id: one for one in config.collections}
    issuers = {one.name for one in config.issuers}
    for number, rule in enumerate(rules):
        at: positions.Path = ("rules", number)
        if rule.name in names:
            yield (*at, "name"), f"a second rule {rule.name!r}"
        names.add(rule.name)
        if rule.classes is None and rule.collections is None:
            yield at, f"rule {rule.name!r} does not say for what: add classes or collections"
        for one in (one for one in rule.collections or () if one not in held):
            yield (*at, "collections"), f"collection {one!r} is not in node.toml"
        for issuer in (one for one in rule.issuers or () if one not in issuers):
            yield (*at, "issuers"), f"issuer {issuer!r} is not in node.toml"
        yield from _too_open(rule, at, _covered(rule, held))


def _too_open(rule: Rule, at: positions.Path, collections: tuple[CollectionConfig, ...]) -> Iterator[Problem]:
    classes = {one.release_class for one in collections}
    classes |= set(rule.classes or ()) if rule.collections is None else set()
    if rule.direct and classes - {ReleaseClass.PUBLIC}:
        yield (*at, "direct"), "text goes along with offers of class public only: take out direct"
    if rule.direct and (rule.review or not rule.release.text):
        yield (*at, "direct"), "nothing can go along with offers: take out direct"
    if rule.review and not rule.release.text:
        yield (*at, "review"), f"release = {rule.release.value!r} lets out no text to review: take out review"
    if ReleaseClass.PATIENT in classes and rule.release is Kind.PASSAGE:
        yield (*at, "release"), 'passages of class patient leave in their redacted form alone: release = "redacted"'
    elif ReleaseClass.PATIENT in classes and rule.release.traces and not rule.review and not _treats(rule):
        said = f"rule {rule.name!r} lets out text about single patients (class patient)"
        yield (*at, "release"), f'{said}: add review = true, or purposes = ["treatment"]'
    if rule.release is Kind.REDACTED:
        for one in (one for one in collections if not one.redacts):
            yield (*at, "release"), f"collection {one.id!r} has no redacted form: redact = true in node.toml makes one"


def _treats(rule: Rule) -> bool:
    return rule.purposes is not None and set(rule.purposes) == {"treatment"}


def _covered(rule: Rule, held: dict[str, CollectionConfig]) -> tuple[CollectionConfig, ...]:
    return tuple(one for one in held.values() if rule.covers(one.id, one.release_class))


def _said(error: ErrorDetails) -> str:
    loc = error["loc"][2:] if len(error["loc"]) > 2 else error["loc"]
    key = ".".join(part for part in loc if isinstance(part, str))
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}"
    return f"{key} is missing" if error["type"] == "missing" else f"{key}: {error['msg']}"


def _of_toml(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    found = re.search(r"^(.*) \(at (?:line (\d+), column \d+|end of document)\)$", str(error), re.DOTALL)
    if found is None:
        return 1, "not TOML"
    return int(found[2]) if found[2] else text.count("\n") + 1, f"not TOML: {found[1]}"


def _wrong(path: Path, found: list[tuple[int, str]]) -> ConfigError:
    first: dict[int, str] = {}
    for line, what in found:
        first.setdefault(line, what)  # what follows from a mistake is told of the same line, behind it
    said = "; ".join(f"line {line}: {what}" for line, what in sorted(first.items()))
    return ConfigError(f"{path}, {said}", code="bad_policy")
