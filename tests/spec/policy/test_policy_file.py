"""`policy.toml` is read whole or not at all, and every mistake is told with its line."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedrag.core.config import load_toml
from fedrag.core.errors import ConfigError
from fedrag.core.identity import Purpose, Role
from fedrag.core.wire import ReleaseClass
from retriever_node.config import CollectionConfig, IssuerConfig, NodeConfig
from retriever_node.home import NodeHome, create_node, write_policy
from retriever_node.policy import Kind, NodeAsker, file, positions
from retriever_node.policy.rules import Policy
from retriever_node.policy.written import CAUTIOUS

CONFIG = NodeConfig(
    node="heart",
    name="Heart",
    collections=tuple(
        CollectionConfig(id=name, folder=Path("x"), release_class=kind, redact=redact)
        for name, kind, redact in (
            ("library", ReleaseClass.PUBLIC, None),
            ("ward", ReleaseClass.PROTOCOL, None),
            ("letters", ReleaseClass.PROTOCOL, True),
            ("records", ReleaseClass.PATIENT, None),
        )
    ),
    issuers=(IssuerConfig(name="hospital", public_key="AAAA"),),
)
PATH = Path("policy.toml")


def parse(text: str) -> Policy:
    return file.parse(text.encode(), CONFIG, PATH)


def wrong(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        parse(text)
    assert error.value.code == "bad_policy"
    return error.value.message


def rule(*lines: str) -> str:
    """A rule whose keys begin in line 5 (`name` is line 4)."""
    return "\n".join(("version = 1", "", "[[rules]]", 'name = "one"', *lines, ""))


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "version is missing"),
        ("version = 2\n", 1, "version: Input should be 1"),
        ("version = 1\nrulez = 1\n", 2, "unknown key 'rulez'"),
        (rule('classes = ["public"]'), 3, "release is missing"),
        (rule('classes = ["public"]', 'release = "passage"', "rolls = 1"), 7, "unknown key 'rolls'"),
        (rule('classes = ["publik"]', 'release = "passage"'), 5, "classes: Input should be"),
        (rule('classes = ["public"]', "# text", 'release = "all"'), 7, "release: Input should be"),
        (rule('classes = ["public"]', 'release = "passage"', 'review = "no"'), 7, "review: Input should be a valid"),
        (rule('classes = ["public"]', 'release = "passage"', "roles = []"), 7, "roles: Tuple should have at least 1"),
        (rule('classes = ["public"]', 'release = "count"', "floor = 4"), 7, "floor: Input should be greater"),
        (rule('classes = ["public"]', 'release = "passage"', "quota = { per_weak = 1 }"), 7, "key 'quota.per_weak'"),
        (rule('classes = ["public"]', 'release = "passage"', "[rules.quota]", "", "per_day = -1"), 9, "quota.per_day"),
        (rule('classes = ["public"]', 'release = "passage"', "quota.share_per_30_days = 0"), 7, "quota.share_per_30"),
        (rule("roles = [", '  "clinician",', '  "nurse",', "]", 'release = "count"'), 5, "roles: Input should be"),
        (rule('release = "passage"'), 3, "does not say for what"),
        (rule('collections = ["wards"]', 'release = "passage"'), 5, "collection 'wards' is not in node.toml"),
        (rule('classes = ["public"]', 'release = "passage"', 'issuers = ["x"]'), 7, "issuer 'x' is not in node.toml"),
        (rule('classes = ["patient"]', 'release = "passage"'), 6, 'release = "redacted"'),
        (rule('classes = ["patient"]', 'release = "redacted"'), 6, 'add review = true, or purposes = ["treatment"]'),
        (rule('collections = ["records"]', 'release = "extract"'), 6, "add review = true"),
        (
            rule('classes = ["patient"]', 'purposes = ["treatment", "research"]', 'release = "redacted"'),
            7,
            "lets out text about single patients",
        ),
        (rule('classes = ["protocol"]', 'release = "redacted"'), 6, "collection 'ward' has no redacted form"),
        (rule('classes = ["protocol"]', 'release = "passage"', "direct = true"), 7, "class public only"),
        (rule('collections = ["ward"]', 'release = "passage"', "direct = true"), 7, "class public only"),
        (rule('classes = ["public"]', 'release = "count"', "direct = true"), 7, "nothing can go along"),
        (rule('classes = ["public"]', 'release = "nothing"', "review = true"), 7, "no text to review"),
        ("version = 1\nrules = 3\n", 2, "rules: Input should be a valid tuple"),
        ("version = 1\n\n[[rules]\n", 3, "not TOML"),
        ('version = 1\nx = "\n', 2, "not TOML"),
        ("version = 1\nversion = 1\n", 2, "not TOML"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, says: str) -> None:
    """Schema, names, and what may not be let out."""
    said = wrong(text)
    assert said.startswith("policy.toml, ")
    assert f"line {line}: " in said
    assert says in said


def test_all_mistakes_are_told_at_once_in_the_order_of_lines() -> None:
    """Whoever mends a file sees the whole of it."""
    said = wrong(rule('classes = ["publik"]', 'release = "all"', "rolls = 1"))
    assert re.findall(r"line (\d+):", said) == ["5", "6", "7"]


def test_a_second_rule_of_one_name_is_told_where_it_stands() -> None:
    """Audit lines name rules."""
    two = rule('classes = ["public"]', 'release = "passage"') + "\n[[rules]]\n" + 'name = "one"\n'
    assert "line 9: a second rule 'one'" in wrong(two + 'classes = ["protocol"]\nrelease = "passage"\n')


def test_text_of_records_leaves_for_treatment_or_after_review() -> None:
    """The two ways there are."""
    parse(rule('classes = ["patient"]', 'purposes = ["treatment"]', 'release = "redacted"'))
    parse(rule('classes = ["patient"]', "review = true", 'release = "extract"'))
    parse(rule('classes = ["patient"]', 'release = "count"'))


def test_a_file_that_is_not_utf8_or_too_long_is_told(tmp_path: Path) -> None:
    """The line of the byte; and no more than a bound is read."""
    with pytest.raises(ConfigError, match=r"line 2: not UTF-8"):
        file.parse(b"version = 1\n\xff\n", CONFIG, PATH)
    path = tmp_path / "policy.toml"
    path.write_bytes(b"#" * (file.MAXIMUM_BYTES + 1))
    with pytest.raises(ConfigError, match=r"longer than"):
        file.read(path)


def test_a_file_that_is_missing_names_the_command_that_makes_one(tmp_path: Path) -> None:
    """A home from before there were policies."""
    with pytest.raises(ConfigError) as error:
        file.load(tmp_path / "policy.toml", CONFIG)
    assert error.value.code == "missing_policy"
    assert "fedrag-node policy init" in error.value.message


def test_a_policy_in_node_toml_is_an_error_that_says_where_it_went(tmp_path: Path) -> None:
    """Migration: nothing is ignored silently."""
    (tmp_path / "node.toml").write_text(
        'node = "a"\nname = "A"\n[[collections]]\nid = "d"\nfolder = "d"\nrelease_class = "public"\n'
        '[collections.policy]\nname = "deny"\n'
    )
    with pytest.raises(ConfigError) as error:
        load_toml(tmp_path / "node.toml", NodeConfig)
    assert "policy.toml" in error.value.message
    assert "fedrag-node policy init" in error.value.message


def test_a_new_node_begins_cautiously(tmp_path: Path) -> None:
    """Literature to anyone and along with the offers, guidance inside the trust domain, records to nobody; and the file
    is never written over."""
    home = NodeHome(tmp_path / "home")
    create_node(home, CONFIG)
    policy = file.load(home.policy, CONFIG)
    doctor = NodeAsker("d", Role.CLINICIAN, Purpose.TREATMENT, "hospital")
    anybody = NodeAsker("coordinator:c", None, Purpose.UNSTATED, None)
    for asker in (doctor, anybody):
        public, protocol, patient = (policy.grant("c", one, asker) for one in ReleaseClass)
        assert (public.release, public.direct, len(public.processors.places)) == (Kind.PASSAGE, True, 3)
        assert (protocol.release, protocol.direct, len(protocol.processors.places)) == (Kind.PASSAGE, False, 2)
        assert patient.release is Kind.NOTHING
    home.policy.write_text("version = 1\n")
    assert not write_policy(home)
    assert home.policy.read_text() == "version = 1\n"


def test_the_examples_beside_the_cautious_rules_are_rules() -> None:
    """With their # taken out all of them are valid, and each class has one."""
    _, _, examples = CAUTIOUS.partition("one about more.\n")
    lines = [re.sub(r"^# ?", "", line) for line in examples.splitlines()]
    text = "\n".join(line if re.match(r"\[\[|\w+ = ", line) else "" for line in lines)
    policy = parse(f"version = 1\n{text}")
    assert [rule.name for rule in policy.rules] == [
        "library", "ward-guidance", "treatment", "reviewed-study", "counting",
    ]  # fmt: skip


def test_the_documents_examples_are_policies() -> None:
    """Every block of TOML in docs/policy.md."""
    page = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        assert parse(block if "version = 1" in block else f"version = 1\n{block}").rules


def test_a_collection_that_redacts_keeps_to_its_form_whatever_the_rule_says() -> None:
    """`passage` for a collection with redact = true is no mistake: the stricter of the two holds at release."""
    assert parse(rule('collections = ["letters"]', 'release = "redacted"')).rules
    assert parse(rule('collections = ["letters"]', 'release = "passage"')).rules


WORD = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
VALUE = st.one_of(
    st.integers(0, 9).map(str),
    st.just("[\n  1,\n  # two\n  2,\n]"),
    st.just('"""\n[[rules]]\nname = 1\n"""'),
    st.just("'''\na = 1\n'''"),
    st.just('{ deep = { deeper = "=" } }'),
    st.just('"# [x]"'),
)


@given(
    st.lists(st.tuples(st.sampled_from(["", "# note", "  "]), WORD, VALUE), max_size=8, unique_by=lambda one: one[1])
)
def test_each_statement_is_found_in_its_line(statements) -> None:
    """Oracle: the text is written line by line, and what spans lines is counted by hand."""
    text, expected = "", {}
    for header in range(2):
        expected["rules", header] = text.count("\n") + 1
        text += "[[rules]]\n"
        for before, key, value in statements:
            text += f"{before}\n"
            expected["rules", header, key] = text.count("\n") + 1
            text += f"{key} = {value}\n"
    tomllib.loads(text)
    found = positions.lines(text)
    assert {path: line for path, line in found.items() if path in expected} == expected
    assert all(len(path) > 3 for path in found if path not in expected)
