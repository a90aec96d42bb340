"""The page in a real browser: headless Chromium, the real API, real hospitals, and a hostile passage."""

from dataclasses import dataclass

import pytest

from fedrag.core.deadline import Deadline
from fedrag.core.traces import LocalTask, LocalTrace, TraceStep
from retriever_node.config import TracesConfig

HOSTILE = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
DOCUMENTS = {
    "heart": f"# Warfarin\n\n## Reversal\nFor major bleeding on warfarin give vitamin K 10 mg by vein. {HOSTILE}\n",
    "lung": "# Warfarin here\n\n## Reversal\nFor major bleeding on warfarin give vitamin K 5 mg by vein.\n",
}
QUESTION = "How is major bleeding on warfarin reversed?"
pytestmark = pytest.mark.browser


@pytest.fixture
def site(workshop, serve):
    return serve(*(workshop.hospital(name, {"d.md": text}).remote for name, text in DOCUMENTS.items()))


def test_an_answer_with_everything_it_rests_on_is_shown(site, browser) -> None:
    """Answer, steps, sources, coverage, disclosure; the hostile passage is inert text and nothing else was loaded."""
    tab = browser.open(site.address)
    tab.ask(QUESTION, site.key)
    for expected in (
        "vitamin K 10 mg",
        "hospitals disagree in 1 place",
        "Hospitals disagreedifferent numbers",
        "heart Warfarin",
        "lung Warfarin here",
        "d.md · § Reversal",
        "Reasoning",
        "Sources",
        "answered",
        "no outcomes yet",
        "text released",
        "how clearly the evidence decides",
        "The question was shown to heart, lung as text.",
        "Not a medical device",
    ):
        assert expected in tab.text, expected
    assert HOSTILE in tab.text
    assert tab.evaluate("document.title") == "fedrag · ask the hospitals"
    assert tab.evaluate("document.querySelectorAll('#answer img, #answer script').length") == 0
    assert tab.evaluate("document.querySelectorAll('#answer button.cite').length") > 0
    assert {path for path in site.paths if not path.startswith("/page/")} == {"/", "/v1/ask"}


def test_the_page_s_policy_stops_what_would_make_text_into_script(site, browser) -> None:
    """Should the page ever put text into the document as markup, the browser refuses; nor does it run a script that
    came without a file, or ask anybody for a picture."""
    tab = browser.open(site.address)
    refused = (
        "(() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return error.name; } return ''; })()"
    )
    assert tab.evaluate(refused) == "TypeError"
    tab.evaluate("""{
        const script = document.createElement("script");
        try {
            script.append(document.createTextNode("document.title = 'pwned'"));
            document.body.append(script);
        } catch {}
        document.body.append(Object.assign(document.createElement("img"), { src: "/picture" }));
    }""")
    tab.evaluate("new Promise((done) => setTimeout(done, 200))")
    assert tab.evaluate("document.title") == "fedrag · ask the hospitals"
    assert "/picture" not in site.paths


def test_a_wrong_key_is_told_plainly(site, browser) -> None:
    """The coordinator's own words and code, no stack trace, no answer."""
    tab = browser.open(site.address)
    tab.ask(QUESTION, "wrong")
    assert tab.evaluate("document.getElementById('status').textContent") == (
        "this API key is not known here (unknown_key)"
    )
    assert tab.evaluate("document.getElementById('answer').textContent") == ""


def test_abstaining_is_not_an_error(site, browser) -> None:
    """A question that nothing answers shows a reason, and still what became of every hospital."""
    tab = browser.open(site.address)
    tab.ask("zzz qqq vvv xxx", site.key)
    assert "No answer." in tab.text
    assert "Reason: evidence insufficient" in tab.text or "Reason: no evidence" in tab.text
    assert tab.evaluate("document.querySelectorAll('#answer tbody th[scope=row]').length") >= len(DOCUMENTS)
    assert tab.evaluate("document.getElementById('status').className") == "ui"


def test_the_key_leaves_the_address(site, browser) -> None:
    """A fragment never reaches a server, and is gone from the address bar once read; the question stays unsent."""
    tab = browser.open(f"{site.address}#key={site.key}&question=Why%3F")
    tab.wait(f"document.getElementById('key').value === '{site.key}'")
    assert tab.evaluate("location.href") == site.address
    assert tab.evaluate("document.getElementById('text').value") == "Why?"
    assert not [path for path in site.paths if site.key in path or path == "/v1/ask"]


@dataclass(frozen=True)
class Hostile:
    """A hospital's own model that writes markup."""

    choice: str

    def trace(self, task: LocalTask, deadline: Deadline) -> LocalTrace:
        deadline.require()
        return LocalTrace(self.choice, f"Answered {HOSTILE}", (TraceStep(text=f"Thought {HOSTILE}"),), 0.4)

    def close(self) -> None:
        return


def test_what_hospitals_themselves_reasoned_is_shown_as_text(workshop, serve, browser) -> None:
    """Two real hospitals whose models answer over the wire, and a vote: who chose what, and every character of their
    words, folded away until wanted."""
    traces = TracesConfig.model_validate({"reasoner": {"name": "recorded"}})
    remotes = [
        workshop.hospital(name, {"d.md": DOCUMENTS[name]}, traces=traces, reasoner=Hostile(choice)).remote
        for name, choice in (("heart", "yes"), ("lung", "no"))
    ]
    site = serve(*remotes, reasoner={"name": "traces"})
    tab = browser.open(site.address)
    tab.ask("Is vitamin K given for major bleeding on warfarin?", site.key)
    chains = tab.evaluate("[...document.querySelectorAll('details.chain')].map((one) => [one.open, one.textContent])")
    assert [is_open for is_open, _ in chains] == [False, False]
    assert [text.count(HOSTILE) for _, text in chains] == [2, 2]
    assert all("weight in the vote 50" in text for _, text in chains)
    assert sum("otherwise" in text for _, text in chains) == 1
    assert tab.evaluate("document.querySelectorAll('#answer img, #answer script').length") == 0
    assert tab.evaluate("document.title") == "fedrag · ask the hospitals"
    assert "1 chain of thought" in tab.text
