"""`fedrag-node policy`: what the owner sees before rules count. Oracle: what the node then does."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fedrag.core.errors import ConfigError, InputError
from fedrag.core.wire import ReleaseClass
from retriever_node.cli import app

DOCUMENT = {"d.md": "# D\n\n## S\nWarfarin bleeding is reversed with vitamin K.\n"}
QUESTION = "How is warfarin bleeding reversed?"
RULES = """version = 1

[[rules]]
name = "study"
classes = ["protocol"]
projects = ["stroke"]
release = "extract"

[[rules]]
name = "treating"
classes = ["protocol"]
identified = true
roles = ["clinician"]
purposes = ["treatment"]
release = "passage"
cite_as = "St. Example"
quota = { per_asker_per_day = 5 }
"""


@pytest.fixture
def hospital(workshop):
    return workshop.hospital("heart", DOCUMENT, ReleaseClass.PROTOCOL, RULES)


def run(hospital, *arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(app, ["policy", command, "--home", str(hospital.home.folder), *rest])


def words(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("asker", "says"),
    [
        (
            ("--role", "clinician", "--purpose", "treatment"),
            (
                "documents (class protocol): passages leave rule 'study', line 3: project none is not among: stroke "
                "rule 'treating', line 9: decides for models in: coordinator, trust_domain cited as: St. Example "
                "counts of at least 11 patients at most 5 passages a day for each asker"
            ),
        ),
        (("--project", "stroke"), "the sentences that bear on the question leave rule 'study', line 3: decides"),
        (
            ("--role", "researcher", "--purpose", "research"),
            (
                "nothing leaves rule 'study', line 3: project none is not among: stroke rule 'treating', line 9: "
                "role researcher is not among: clinician; purpose research is not among: treatment to change it: edit "
            ),
        ),
        (("--anonymous", "--role", "clinician"), "is for askers with a token of a trusted issuer; role none is not"),
    ],
)
def test_explain_names_the_rule_and_why_others_do_not_decide(hospital, asker, says: str) -> None:
    """In the order of the file, with lines; for a denial, what to do about it."""
    assert says in words(run(hospital, "explain", *asker))


def test_explain_says_what_the_node_does(workshop, hospital, put_question) -> None:
    """The test's asker treats, without a role that the rule leaves out: explained and answered alike."""
    explained = json.loads(words(run(hospital, "explain", "--role", "clinician", "--purpose", "treatment", "--json")))
    assert explained["documents"]["decision"] == "passages leave"
    answer = put_question(workshop.coordinator(hospital.remote), QUESTION, "en", deadline_ms=30_000)
    assert [one.passage.citation.document_name for one in answer.evidence.passages] == ["St. Example"]


def test_explain_of_what_is_not_there(hospital) -> None:
    """A misspelt collection is no denial."""
    result = run(hospital, "explain", "--collection", "document")
    assert isinstance(result.exception, InputError)


def test_check_tells_of_another_file_without_taking_it_in(hospital, tmp_path: Path) -> None:
    """A mistake with its line; the node's own file stays what it was."""
    other = tmp_path / "new.toml"
    other.write_text(RULES + "rolls = 1\n")
    failed = run(hospital, "check", "--policy", str(other))
    assert isinstance(failed.exception, ConfigError)
    assert f"{other}, line 18: unknown key 'rolls'" in failed.exception.message
    assert "2 rules" in words(run(hospital, "check"))


def test_show_prints_rules_and_what_they_are_about(hospital) -> None:
    """In their order; JSON holds what is written."""
    shown = words(run(hospital, "show"))
    assert "study: classes protocol; projects stroke; release extract" in shown
    assert "documents (class protocol): study > treating" in shown
    rules = json.loads(run(hospital, "show", "--json").output)["rules"]
    assert [rule["name"] for rule in rules] == ["study", "treating"]
    hospital.home.policy.write_text("version = 1\n")
    assert "documents (class protocol): no rule, nothing leaves" in words(run(hospital, "show"))


def test_init_writes_where_there_is_none(hospital) -> None:
    """And never over what there is."""
    assert isinstance(run(hospital, "init").exception, InputError)
    hospital.home.policy.unlink()
    run(hospital, "init")
    assert "2 rules" in words(run(hospital, "check"))


def test_a_dry_run_foretells_what_changed_rules_do(workshop, hospital, put_question, tmp_path: Path) -> None:
    """Two answers were given. Under rules with a quota of one passage one would have been: the log says so, and so does
    the node when it is asked again."""
    coordinator = workshop.coordinator(hospital.remote)
    sizes = [
        len(put_question(coordinator, QUESTION, "en", deadline_ms=30_000).evidence.passages[0].passage.text.encode())
        for _ in range(2)
    ]
    new = tmp_path / "new.toml"
    new.write_text(RULES.replace("per_asker_per_day = 5", "per_asker_per_day = 1"))
    for path, left, kept in ((hospital.home.policy, 2, 0), (new, 1, 1)):
        told = json.loads(words(run(hospital, "dry-run", "--policy", str(path), "--days", "1", "--json")))
        assert (told["requests"], told["served"], told["releases"], told["passages"]) == (2, 2, 2, 2)
        assert [(row["rule"], row["passages"], row["text_bytes"]) for row in told["released"]] == [
            ("treating", left, sum(sizes[:left]))
        ]
        assert sum(row["passages"] for row in told["withheld"]) == kept
    printed = words(run(hospital, "dry-run", "--policy", str(new)))
    assert "last 7 days: 2 requests, to 2 of which this policy would offer text; 2 releases with 2 passages" in printed
    assert "would not have left, treating, quota: 1 passages" in printed
    assert "vitamin" not in printed
    hospital.home.policy.write_text(new.read_text())
    assert put_question(coordinator, QUESTION, "en", deadline_ms=30_000).coverage[0].code == "asker_quota"


def test_init_and_check_name_what_is_denied(tmp_path: Path) -> None:
    """The rule, or that there is none, and the command that explains it."""
    for name in ("leaflets", "records"):
        (tmp_path / name).mkdir()
    home = tmp_path / "home"
    arguments = ["init", "--home", str(home), "--id", "heart", "--encoder", "hashing", "--index", "faiss_flat"]
    for name, kind in (("leaflets", "public"), ("records", "patient")):
        arguments += ["--folder", f"{tmp_path / name}={kind}"]
    for command in (arguments, ["check", "--home", str(home)]):
        said = words(CliRunner().invoke(app, command))
        assert "records: nothing leaves (no rule for class patient of" in said
        assert f"fedrag-node policy explain --home {home} --collection records" in said
        assert "leaflets: nothing leaves" not in said
    (home / "policy.toml").write_text(
        'version = 1\n[[rules]]\nname = "shut"\nclasses = ["public"]\nrelease = "nothing"\n'
    )
    assert "leaflets: nothing leaves (rule 'shut', line 2 of" in words(
        CliRunner().invoke(app, ["check", "--home", str(home)])
    )
