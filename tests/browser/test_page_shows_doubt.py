"""What the page makes of doubt: support of each step, hospitals' own chains of thought, answer sets, budgets."""

import re
from importlib.resources import files

import pytest
from doubtful_answer import ASKED, HOSTILE, full

pytestmark = pytest.mark.browser


@pytest.fixture
def tab(serve, browser):
    """The page with that answer."""
    site = serve()
    site.answer = full()
    opened = browser.open(site.address)
    opened.ask(ASKED.text, site.key)
    return opened


def named(tab, role: str) -> list[str]:
    return [name for found, name in tab.spoken() if found == role]


def test_a_step_that_is_not_borne_out_stands_out_and_no_other(tab) -> None:
    """In words, by its own look, and at a glance above; the others keep to a bar. One click leads there, the keyboard
    with it."""
    marked = "[...document.querySelectorAll('li.unsupported')].map((one) => one.textContent)"
    (step,) = tab.evaluate(marked)
    assert "Aspirin is never stopped" in step
    assert "not borne out by what it cites" in step
    assert tab.text.count("not borne out by what it cites ·") == 1
    assert "1 of 3 steps not borne out by what it cites" in named(tab, "button")
    look = "getComputedStyle(document.getElementById('step-{}')).backgroundColor"
    assert tab.evaluate(look.format(2)) != tab.evaluate(look.format(1)) == tab.evaluate(look.format(3))
    tab.evaluate(
        "[...document.querySelectorAll('button.label')].find((one) => /borne out/.test(one.textContent)).click()"
    )
    assert tab.evaluate("document.activeElement.id") == "step-2"


def test_support_is_told_to_a_screen_reader(tab) -> None:
    """The browser's own accessibility tree: the bars have words, a step without a citation has none."""
    told = [name for name in named(tab, "image") if "borne out" in name.casefold()]
    assert told == [
        "Borne out by what it cites: 93 % likely to be",
        "Probably not borne out by what it cites: 7 % likely to be",
    ]
    assert tab.evaluate("document.querySelector('#step-1 .support > i').style.width") == "93%"
    assert tab.evaluate("document.querySelector('#step-1 .support').title").startswith("Borne out")


def test_everything_that_can_be_used_has_a_name(tab) -> None:
    """Fields, buttons, boxes and regions, as a screen reader would tell them."""
    wanted = {"button", "textbox", "combobox", "checkbox", "spinbutton", "DisclosureTriangle", "region", "link"}
    unnamed = [role for role, name in tab.spoken() if role in wanted and not name]
    assert unnamed == []
    assert {"Source 1", "Source 2"} <= set(named(tab, "button"))
    assert {"Source 1 helped", "Source 2 helped"} <= set(named(tab, "checkbox"))
    headings = [name.casefold() for name in named(tab, "heading")]
    assert headings == [
        "ask the hospitals",
        "answer",
        "reasoning",
        "hospital by hospital",
        "sources",
        "hospitals",
        "was it right?",
    ]


def test_who_answered_what_is_told_at_once_and_its_words_when_unfolded(tab) -> None:
    """Three hospitals: one as the answer, one otherwise, one that was late and has no words to unfold."""
    lines = tab.evaluate(
        "[...document.querySelectorAll('.chain')].map((one) => (one.querySelector('summary') || one).textContent)"
    )
    north, south, east = (" ".join(line.split()) for line in lines)
    assert north.startswith("northB · 5 mg read here, alone")
    assert "weight in the vote 57 % · believed to 80 % · states an uncertainty of 0.21" in north
    assert north.endswith("admits 1 gap")
    assert "otherwise" not in north
    assert "southC · 9 mg" in south
    assert "otherwise" in south
    assert "its own model" in south
    assert "stayed there" not in south
    assert "states an uncertainty of 0.00" in south
    assert east.startswith("eastnothing: did not answer in time not counted its own model; its documents stayed there")
    assert east.endswith("it stopped agreeing with the others")
    assert "not counted" not in north + south
    assert tab.evaluate("[...document.querySelectorAll('details.chain')].map((one) => one.open)") == [False, False]
    shown = "document.querySelectorAll('details.chain')[1].querySelector('.words').checkVisibility()"
    assert not tab.evaluate(shown)
    tab.evaluate("document.querySelectorAll('details.chain')[1].querySelector('summary').focus()")
    tab.press("Enter")
    tab.wait(shown)


def test_a_hostile_chain_of_thought_stays_text(tab) -> None:
    """Every character of it is shown, nothing of it became an element or ran, and its citation is a button."""
    words = "document.querySelectorAll('details.chain')[1].textContent"
    assert tab.evaluate(words).count(HOSTILE.replace(" [1] ", " 1 ")) == 2
    inside = "document.querySelectorAll('.chain img, .chain script, .chain details').length"
    assert tab.evaluate(inside) == 0
    assert tab.evaluate("document.querySelectorAll('.chain').length") == 3
    assert tab.evaluate("document.title") == "fedrag · ask the hospitals"
    assert tab.evaluate("document.querySelectorAll('details.chain')[1].querySelectorAll('button.cite').length") == 3


def test_what_else_bears_on_trust_is_in_plain_words(tab) -> None:
    """Answer set with its error rate, certificate, labels, signals, budgets against caps, chains given away."""
    for expected in (
        (
            "B (5 mg) or C (9 mg), unless this is one of the at most 10 % of questions where such a set misses the "
            "right choice (learned of 240 judged questions)."
        ),
        "Read one by one, the hospitals choose B. Alone they would choose: north B, south C, east nothing.",
        "ended early: the best answer until then",
        "1 sentence of the sources told the reader what to do: left out",
        "what each hospital's choices have proved worth; how many agree; of tomorrow",
        "4,396 of 5,000 tokens read and written",
        "300 of them written",
        "4 of 4 calls of a model",
        "812 milliseconds",
        "4,096 tokens read, 300 written, 120 of them thinking",
        "1 sentence that instructs the reader",
        "0 passages, 2 chains of thought, 1,234 bytes, 0 patients",
    ):
        assert expected in tab.text, expected
    assert "rests on" not in tab.text


def test_an_answer_of_one_hospital_says_so(serve, browser) -> None:
    """Only cited passages count, and hospitals that chose the same; with one of them left, it is named."""
    site = serve()
    answer = full()
    site.answer = answer.model_copy(update={"steps": answer.steps[:1], "chains": ()})
    tab = browser.open(site.address)
    tab.ask(ASKED.text, site.key)
    assert "rests on north alone" in tab.text
    assert "borne out by what it cites ·" not in tab.text
    assert "Hospital by hospital" in tab.text


def test_the_keyboard_goes_where_a_citation_points(tab) -> None:
    tab.evaluate("document.querySelector('#step-2 button.cite').focus()")
    tab.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "source-2"


def test_a_source_that_the_answer_does_not_cite_is_folded_until_somebody_points_at_it(serve, browser) -> None:
    """South's chain of thought cites it: following that unfolds it and takes the keyboard there."""
    site = serve()
    answer = full()
    site.answer = answer.model_copy(update={"steps": answer.steps[:1]})
    tab = browser.open(site.address)
    tab.ask(ASKED.text, site.key)
    seen = "[1, 2].map((number) => document.getElementById(`source-${number}`).checkVisibility())"
    assert "1 more passage was released and is not cited" in tab.text
    assert tab.evaluate(seen) == [True, False]
    tab.evaluate("document.querySelectorAll('details.chain')[1].querySelector('li > button.cite').click()")
    assert tab.evaluate(seen) == [True, True]
    assert tab.evaluate("document.activeElement.id") == "source-2"


@pytest.mark.parametrize("width", [320, 1000])
def test_nothing_is_wider_than_the_screen(tab, width: int) -> None:
    """Tables scroll by themselves; unfolded too."""
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    tab.resize(width, 800)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_pair_of_colours_can_be_read() -> None:
    """Contrast of at least 4.5 (WCAG 2.2 AA), in light and dark, of text on whatever it stands on."""
    style = (files("fedrag.api") / "page" / "style.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    grounds = ("paper", "card", "accent-soft", "warn-soft", "bad-soft", "mark")
    pairs = [("ink", one) for one in grounds]
    pairs += [("soft", one) for one in grounds]
    pairs += [("accent", "paper"), ("accent", "card"), ("accent", "accent-soft"), ("paper", "accent")]
    pairs += [("warn", "paper"), ("warn", "warn-soft"), ("bad", "paper"), ("bad", "bad-soft")]
    for colours in (light, dark):
        for text, ground in pairs:
            lighter, darker = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)


def test_the_page_is_as_dark_as_its_reader_wants_it(serve, browser) -> None:
    """What the browser paints is what the style sheet says for each."""
    ground = "getComputedStyle(document.body).backgroundColor"
    address = serve().address
    assert browser.open(address).evaluate(ground) == "rgb(251, 250, 247)"
    assert browser.open(address, dark=True).evaluate(ground) == "rgb(20, 24, 27)"
