"""Reports: the same figures in three forms, and a page that needs no network."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from fedrag.evaluation.pictures import bars, curves, distribution
from fedrag.evaluation.report import NOT_RUN, Findings, Picture, Report, Table, quantile, shown

TABLE = Table("Share <right>", ("system", "all"), (("ours & theirs", 0.5), ("later", NOT_RUN), ("many", 12345.6)))
CURVE = curves("Recall", "asked", "recall", {"ours": [(1.0, 0.2), (2.0, 0.9)], "oracle": [(1.0, 1.0), (2.0, 1.0)]})
REPORT = Report("small", Findings((TABLE,), (CURVE,), ("mind <this>",)), (("command", "fedrag evaluate small"),))


def test_the_three_forms_hold_the_same_figures(tmp_path) -> None:
    """Markdown, JSON and HTML; what was not run says so in each."""
    REPORT.write(tmp_path)
    text, page = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()
    table = json.loads((tmp_path / "report.json").read_text())["tables"][0]
    assert table["rows"][0] == ["ours & theirs", 0.5]
    assert "0.500" in text
    assert "0.500" in page
    assert "12,346" in page
    assert all(NOT_RUN in form for form in (text, page, json.dumps(table)))
    assert "fedrag evaluate small" in text
    assert "fedrag evaluate small" in page


def test_the_page_needs_no_network_and_escapes_what_it_shows() -> None:
    """No address, no script, no outside style; dark and light."""
    page = REPORT.as_html()
    assert not re.search(r"https?:|<script|<link|@import|url\(", page)
    assert "Share &lt;right&gt;" in page
    assert "mind &lt;this&gt;" in page
    assert "prefers-color-scheme:dark" in page


@pytest.mark.parametrize(
    "picture",
    [
        CURVE,
        curves("None", "x", "y", {}),
        curves("One", "x", "y", {"a": [(3.0, 0.0)]}, diagonal=True),
        bars("Bars", {"a & b": 3.0, "c": 0.0}, "ms"),
        bars("No bars", {}, ""),
        distribution("Latency", "ms", {"whole": [3.0, 1.0, 2.0]}),
    ],
    ids=lambda picture: picture.title,
)
def test_a_picture_is_well_formed_and_inside_its_sheet(picture: Picture) -> None:
    """Every coordinate lies on the sheet."""
    sheet = ET.fromstring(picture.svg)  # noqa: S314 - our own drawing
    _, _, width, height = map(float, sheet.attrib["viewBox"].split())
    for line in sheet.iter("polyline"):
        for x, y in (map(float, pair.split(",")) for pair in line.attrib["points"].split()):
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_higher_values_stand_higher() -> None:
    """The oracle's line lies above ours: a smaller y on the sheet."""
    ours, oracle = (
        [float(pair.split(",")[1]) for pair in line.attrib["points"].split()]
        for line in ET.fromstring(CURVE.svg).iter("polyline")  # noqa: S314 - our own drawing
    )
    assert ours[0] > ours[1] > oracle[1]


def test_quantiles_are_values_that_occurred() -> None:
    """Nearest rank."""
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.95) == 4.0
    assert quantile([], 0.5) == 0.0
    assert shown(0.12345) == "0.123"
