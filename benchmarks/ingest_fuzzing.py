"""Hostile and broken files, one folder after the other, each ingested by a process of its own.

For each: what became documents, what was listed with which code, seconds, and the most memory the process held. In
every folder lie two sound files as well, first and last in order: they must be ingested whatever their neighbour is,
because one bad file never stops a run. A traceback, an unexpected code, a sound file that is missing, a word from
outside the folder, more memory or time than the bound: each is a failure, and shown.

The bound on memory is 1,000 MiB: a reader holds at most one file, up to 50 MB unpacked, and what its library makes of
it; JSON of 45 MB takes fourteen times its size. `--scale` makes the large files smaller, for a quick look.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from reporting import Figure, Table, circumstances, goals

from fedrag.encoders import ENCODERS
from fedrag.terminal import progress
from retriever_node.ingest import ingest
from retriever_node.store import PassageStore

BOUND_MIB: Final = 1_000
BOUND_S: Final = 120.0
COLLECTION: Final = "d"
SOUND: Final = "# Sound\n\nA sound neighbour says angina.\n"
LARGE: Final = 100_000_000
"""Bytes of a line that never ends."""

Make = Callable[[Path, float], None]


@dataclass(frozen=True)
class Case:
    """`codes`: those that may be listed; `documents`: beside the sound ones, None where any number is right."""

    name: str
    make: Make
    codes: frozenset[str]
    documents: int | None = 0


@dataclass(frozen=True)
class Outcome:
    documents: int
    codes: Mapping[str, int]
    sound: bool
    seconds: float
    peak_mib: float
    trouble: str = ""


CASES: list[Case] = []


def case(name: str, codes: str, documents: int | None = 0) -> Callable[[Make], Make]:
    def kept(make: Make) -> Make:
        CASES.append(Case(name, make, frozenset(codes.split()), documents))
        return make

    return kept


@case("400 truncated and bit-flipped PDFs", "damaged damaged_pages scanned_pages encrypted too_large empty", None)
def _pdfs(folder: Path, scale: float) -> None:
    _damaged(folder, ".pdf", pdf(), scale)


@case("400 truncated and bit-flipped DOCX files", "damaged zip_bomb old_format empty bad_xml too_large", None)
def _docx_files(folder: Path, scale: float) -> None:
    _damaged(folder, ".docx", docx("<w:p><w:r><w:t>angina</w:t></w:r></w:p>" * 50), scale)


@case("400 truncated and bit-flipped C-CDA files", "bad_xml unknown_format empty not_utf8 document_type", None)
def _ccda_files(folder: Path, scale: float) -> None:
    _damaged(folder, ".xml", clinical_document("<paragraph>angina</paragraph>" * 50), scale)


@case("400 truncated and bit-flipped FHIR bundles", "bad_json unknown_format empty unknown_patient no_patient", None)
def _fhir_files(folder: Path, scale: float) -> None:
    _damaged(folder, ".json", bundle("angina" * 50), scale)


@case("PDF whose page unpacks to 1 GB", "damaged damaged_pages scanned_pages too_large")
def _pdf_bomb(folder: Path, scale: float) -> None:
    packer = zlib.compressobj(9)
    spaces = b" " * 10_000_000
    page = b"".join([*(packer.compress(spaces) for _ in range(max(10, int(100 * scale)))), packer.flush()])
    (folder / "b.pdf").write_bytes(pdf(page, b"/Filter /FlateDecode"))


@case("PDF whose pages are their own parents", "damaged damaged_pages scanned_pages too_large empty", None)
def _pdf_circle(folder: Path, _: float) -> None:
    body = pdf().replace(b"/Kids [5 0 R]", b"/Kids [2 0 R]")
    (folder / "b.pdf").write_bytes(body)


@case("zip bomb DOCX: 4 GB of zeros in 4 MB", "zip_bomb")
def _zip_bomb(folder: Path, scale: float) -> None:
    with (
        zipfile.ZipFile(folder / "b.docx", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package,
        package.open("word/document.xml", "w", force_zip64=True) as part,
    ):
        for _ in range(max(100, int(4_000 * scale))):
            part.write(bytes(1_000_000))


@case("zip bomb DOCX that lies about its size", "zip_bomb damaged")
def _lying_bomb(folder: Path, scale: float) -> None:
    raw = docx(" " * int(200_000_000 * max(scale, 0.3)))
    told = zipfile.ZipFile(BytesIO(raw)).getinfo("word/document.xml").file_size
    (folder / "b.docx").write_bytes(raw.replace(told.to_bytes(4, "little"), (1_000).to_bytes(4, "little")))


@case("billion laughs in C-CDA, HTML and DOCX", "document_type damaged empty unknown_format", None)
def _laughs(folder: Path, _: float) -> None:
    laughs = _entities()
    (folder / "b.xml").write_bytes(laughs + b'<ClinicalDocument xmlns="urn:hl7-org:v3">&i9;</ClinicalDocument>')
    (folder / "b.xhtml").write_bytes(laughs + b"<html><body><p>&i9;</p></body></html>")
    (folder / "b.docx").write_bytes(docx("<w:p><w:r><w:t>&i9;</w:t></w:r></w:p>", laughs.decode()))


@case("external entities in C-CDA, HTML and DOCX", "document_type damaged empty unknown_format", None)
def _external(folder: Path, _: float) -> None:
    secret = folder.parent / "secret.txt"
    secret.write_text("CANARY-OUTSIDE", encoding="utf-8")
    head = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'.encode()
    (folder / "b.xml").write_bytes(head + b'<ClinicalDocument xmlns="urn:hl7-org:v3">&e;</ClinicalDocument>')
    (folder / "b.xhtml").write_bytes(head + b"<html><body><p>&e;</p></body></html>")
    (folder / "b.docx").write_bytes(docx("<w:p><w:r><w:t>&e;</w:t></w:r></w:p>", head.decode()))


@case("100,000 elements inside each other: C-CDA, HTML, DOCX", "too_deep bad_xml damaged unknown_format empty")
def _deep_xml(folder: Path, _: float) -> None:
    deep = 100_000
    (folder / "b.xml").write_bytes(clinical_document("<list><item>" * deep + "x" + "</item></list>" * deep))
    (folder / "b.html").write_bytes(b"<div>" * deep + b"x" + b"</div>" * deep)
    (folder / "b.docx").write_bytes(docx("<w:sdt><w:sdtContent>" * deep + "</w:sdtContent></w:sdt>" * deep))


@case("C-CDA of 45 MB of empty elements", "empty too_large unknown_format bad_xml")
def _wide_xml(folder: Path, scale: float) -> None:
    (folder / "b.xml").write_bytes(clinical_document("<br/>" * int(9_000_000 * scale)))


@case("HTML of 9 MB of empty elements", "empty too_large too_deep")
def _wide_html(folder: Path, scale: float) -> None:
    (folder / "b.html").write_bytes(b"<p>" * int(3_000_000 * scale))


@case("table that grows without end: HTML", "too_large", None)
def _table(folder: Path, scale: float) -> None:
    cell = f"<td rowspan=9999 colspan=64>{'x' * 10_000}</td>"
    (folder / "b.html").write_text(f"<table>{cell}{'<tr><td>y' * int(30_000 * scale)}</table>", encoding="utf-8")


@case("a line of 100 MB: JSONL, CSV, text, Markdown", "too_large bad_csv bad_json")
def _lines(folder: Path, scale: float) -> None:
    size = max(int(LARGE * scale), 11_000_000)
    for name, head in (("b.jsonl", '{"id": "1", "text": "'), ("b.csv", 'id,text\n1,"'), ("b.txt", ""), ("b.md", "# ")):
        with (folder / name).open("w", encoding="utf-8") as file:
            file.write(head)
            for _ in range(size // 1_000_000):
                file.write("x" * 1_000_000)


@case("one word of 9 MB: text, JSONL", "", 2)
def _word(folder: Path, scale: float) -> None:
    word = "x" * int(9_000_000 * scale)
    (folder / "b.txt").write_text(word, encoding="utf-8")
    (folder / "b.jsonl").write_text(json.dumps({"id": "1", "text": word}), encoding="utf-8")


@case(
    "UTF-16, Latin-1, zero bytes, broken UTF-8, lone surrogates in nine formats",
    "not_utf8 not_text bad_encoding unknown_encoding bad_json bad_record bad_xml bad_csv bad_header empty"
    " unknown_format damaged bad_front_matter",
    None,
)
def _encodings(folder: Path, _: float) -> None:
    said = "Ärztliche Anweisung: angina"
    raws = {
        "utf16": said.encode("utf-16"),
        "utf16le": said.encode("utf-16-le"),
        "latin1": said.encode("latin-1"),
        "zeros": b"angina\x00\x00",
        "broken": b"angina \xc3\x28 \xf0\x9f",
        "surrogate": b"angina \xed\xa0\x80",
        "bom": b"\xef\xbb\xbf",
    }
    for name, raw in raws.items():
        for suffix in (".txt", ".md", ".csv", ".jsonl", ".html", ".json", ".ndjson", ".xml", ".pdf"):
            (folder / f"{name}{suffix}").write_bytes(raw)
        (folder / f"quoted-{name}.csv").write_bytes(b'id,text\n1,"' + raw + b'"\n')
        (folder / f"quoted-{name}.jsonl").write_bytes(b'{"id": "' + name.encode() + b'", "text": "' + raw + b'"}\n')
    (folder / "escaped.jsonl").write_text('{"id": "escaped", "text": "angina \\ud800 \\u0000"}\n', encoding="utf-8")


@case("10,000 tiny files", "", 10_000)
def _tiny(folder: Path, scale: float) -> None:
    for number in range(int(10_000 * scale)):
        (folder / f"{number:05d}.txt").write_text(f"note {number}", encoding="utf-8")


@case("an empty file of every suffix, and one without", "empty damaged unknown_suffix bad_header")
def _empty(folder: Path, _: float) -> None:
    for suffix in (
        *(".csv", ".docx", ".html", ".json", ".json.gz", ".jsonl", ".md", ".ndjson", ".pdf", ".txt", ".xml"),
        *(".xhtml", ".exe", ""),
    ):
        (folder / f"empty{suffix}").touch()


@case("links out, in circles, to nothing; a pipe", "outside_folder linked_folder not_a_file not_readable")
def _links(folder: Path, _: float) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("CANARY-OUTSIDE", encoding="utf-8")
    (folder / "out.txt").symlink_to(outside / "secret.txt")
    (folder / "out").symlink_to(outside)
    (folder / "circle").symlink_to(folder)
    (folder / "self.txt").symlink_to(folder / "self.txt")
    (folder / "first.txt").symlink_to(folder / "second.txt")
    (folder / "second.txt").symlink_to(folder / "first.txt")
    (folder / "nothing.txt").symlink_to(folder / "missing.txt")
    os.mkfifo(folder / "pipe.txt")


@case("names with newlines, escapes, bytes that are not UTF-8; the longest path", "bad_name not_readable", None)
def _names(folder: Path, _: float) -> None:
    ugly = (
        b"new\nline.txt",
        b"\x1b[31mred.txt",
        b"\xff\xfe.txt",
        b"tab\t.txt",
        b"\xe2\x80\xae.txt",
        b"a" * 251 + b".txt",
    )
    for name in ugly:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"angina")
    deep = folder
    for _ in range(12):
        deep = deep / ("d" * 200)
        deep.mkdir()
    (deep / "b.txt").write_text("angina", encoding="utf-8")


@case("folders 400 deep", "bad_name not_readable", None)
def _folders(folder: Path, _: float) -> None:
    deep = folder
    for _ in range(400):
        deep = deep / "d"
        deep.mkdir()
    (deep / "b.txt").write_text("angina", encoding="utf-8")


@case("FHIR: JSON a million deep; extensions 400 deep", "bad_json empty unknown_format unknown_patient", None)
def _deep_json(folder: Path, _: float) -> None:
    deep = 1_000_000
    (folder / "arrays.json").write_text('{"resourceType": "Bundle", "entry": ' + "[" * deep + "]" * deep + "}")
    (folder / "objects.json").write_text('{"resourceType": ' * deep + "1" + "}" * deep)
    one: dict[str, object] = {"url": "x", "valueString": "angina"}
    for _ in range(400):
        one = {"url": "x", "extension": [one]}
    (folder / "extensions.json").write_text(
        json.dumps({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "extension": [one]})
    )


@case(
    "FHIR of 45 MB: a million resources; numbers of a million digits",
    "bad_json no_patient unknown_patient too_large empty",
    None,
)
def _wide_json(folder: Path, scale: float) -> None:
    one = '{"resource": {"resourceType": "Basic", "id": "1"}},'
    body = one * int(45_000_000 * scale / len(one))
    (folder / "b.json").write_text('{"resourceType": "Bundle", "entry": [' + body.rstrip(",") + "]}", encoding="utf-8")
    number = "9" * 1_000_000
    observed = '{"resourceType": "Observation", "subject": {"reference": "Patient/1"}, "code": {"text": "Pulse"}, '
    (folder / "n.json").write_text(observed + f'"valueQuantity": {{"value": {number}}}}}', encoding="utf-8")
    (folder / "e.json").write_text(observed + '"valueQuantity": {"value": 1e999999999}}', encoding="utf-8")


@case("a gzip bomb: FHIR, 4 GB in 4 MB", "too_large")
def _gzip_bomb(folder: Path, scale: float) -> None:
    packer = zlib.compressobj(9, wbits=31)
    with (folder / "b.json.gz").open("wb") as file:
        for _ in range(max(60, int(4_000 * scale))):
            file.write(packer.compress(b" " * 1_000_000))
        file.write(packer.flush())


@case(
    "patterns that make slow regular expressions slower",
    "bad_front_matter too_large bad_csv bad_header empty unknown_encoding",
    None,
)
def _patterns(folder: Path, scale: float) -> None:
    size = int(3_000_000 * scale)
    (folder / "blank.txt").write_text("\n" * size + "x", encoding="utf-8")
    (folder / "spaces.txt").write_text("A:" + " " * size + "x", encoding="utf-8")
    (folder / "lines.txt").write_text("\n \n" * size + "x", encoding="utf-8")
    (folder / "hashes.md").write_text("#" * size + "x", encoding="utf-8")
    (folder / "headings.md").write_text("# \n" * size, encoding="utf-8")
    (folder / "front.md").write_text("---\n" + "a: &a [*a,*a]\n" * 1000 + "---\nx", encoding="utf-8")
    (folder / "meta.html").write_text("<meta " + "charset=" * (size // 8), encoding="utf-8")
    (folder / "style.html").write_text(f"<p style='display{' ' * size}'>x", encoding="utf-8")
    (folder / "quotes.csv").write_text('id,text\n1,"' + '""' * size, encoding="utf-8")


@case("200 KB without a sentence: only abbreviations, only fences, only list marks", "empty", None)
def _no_sentences(folder: Path, scale: float) -> None:
    size = int(200_000 * scale)
    (folder / "abbreviations.txt").write_text("Dr. " * (size // 4), encoding="utf-8")
    (folder / "fences.md").write_text("```\n" * (size // 4), encoding="utf-8")
    (folder / "list.txt").write_text("- a\n" * (size // 4), encoding="utf-8")


def _damaged(folder: Path, suffix: str, content: bytes, scale: float) -> None:
    drawn = random.Random(7)  # noqa: S311 - which bytes are damaged
    for number in range(int(400 * scale)):
        damaged = bytearray(content)
        if number % 2:
            del damaged[drawn.randrange(len(damaged)) :]
        else:
            for _ in range(1 << drawn.randrange(8)):
                damaged[drawn.randrange(len(damaged))] ^= 1 << drawn.randrange(8)
        (folder / f"{number}{suffix}").write_bytes(damaged)


def pdf(page: bytes = b"BT /F1 12 Tf 72 700 Td (angina) Tj ET", filtered: bytes = b"") -> bytes:
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [5 0 R] >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(page), filtered, page),
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>"
        ),
    )
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 6\n0000000000 65535 f \n"
    return out + head + table + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(out)


def docx(body: str, head: str = "") -> bytes:
    relations = "http://schemas.openxmlformats.org"
    words = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    types = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    package = BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{relations}/package/2006/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{types}"/></Types>',
        )
        parts.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{relations}/package/2006/relationships"><Relationship Id="r1" '
            f'Type="{relations}/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>'
            "</Relationships>",
        )
        parts.writestr("word/document.xml", f'{head}<w:document xmlns:w="{words}"><w:body>{body}</w:body></w:document>')
    return package.getvalue()


def clinical_document(narrative: str) -> bytes:
    return (
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><title>T</title><recordTarget><patientRole><id root="1" '
        'extension="MRN-1"/></patientRole></recordTarget><component><structuredBody><component><section>'
        f"<title>Plan</title><text>{narrative}</text></section></component></structuredBody></component>"
        "</ClinicalDocument>"
    ).encode()


def bundle(words: str) -> bytes:
    patient = {"resourceType": "Patient", "id": "pat-1", "name": [{"family": "Brakspear"}]}
    of = {"reference": "Patient/pat-1"}
    condition = {"resourceType": "Condition", "id": "c", "subject": of, "code": {"text": words}}
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": patient}, {"resource": condition}]}).encode()


def _entities() -> bytes:
    lines = [b'<!ENTITY i0 "laugh">']
    lines += [b'<!ENTITY i%d "%s">' % (level, b"&i%d;" % (level - 1) * 10) for level in range(1, 10)]
    return b"<!DOCTYPE x [" + b"".join(lines) + b"]>"


def ingested_here(folder: Path) -> dict[str, object]:
    """In this process: what an ingest made of the folder, and the most memory that was ever held."""
    encoder = ENCODERS.build("hashing", {"dimension": 64})
    started = time.perf_counter()
    with TemporaryDirectory() as home:
        store = PassageStore.open(Path(home) / "passages.sqlite", encoder.identity)
        report = ingest(folder, COLLECTION, store, encoder)
        seconds = time.perf_counter() - started
        texts = [one.text for one in store.passages([int(one) for one in store.vectors(COLLECTION)[0]])]
        sound = sum("sound neighbour" in text for text in texts)
        leaked = sum("CANARY-OUTSIDE" in text for text in texts)
        store.close()
    return {
        "documents": report.added - sound,
        "codes": dict(Counter(one.code for one in report.unreadable)),
        "reasons": sorted({one.reason for one in report.unreadable if one.code == "reader_failed"}),
        "sound": sound == 2,
        "leaked": leaked,
        "seconds": seconds,
        "peak_mib": peak_mib(),
    }


def peak_mib() -> float:
    """Of this process since it began; what `getrusage` tells may be that of the process which started it."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found.group(1)) / 1024 if found else 0.0


def measured(one: Case, scale: float) -> Outcome:
    with TemporaryDirectory() as place:
        folder = Path(place) / "documents"
        folder.mkdir()
        for name in ("! first.md", "~ last.md"):
            (folder / name).write_text(SOUND, encoding="utf-8")
        one.make(folder, scale)
        command = [sys.executable, __file__, "--ingest", str(folder)]
        started = time.perf_counter()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=5 * BOUND_S, check=False)
        except subprocess.TimeoutExpired:
            return Outcome(0, {}, False, time.perf_counter() - started, 0.0, "did not end")
    if done.returncode or done.stderr:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return Outcome(0, {}, False, time.perf_counter() - started, 0.0, f"ended with {done.returncode}: {last[:200]}")
    told = json.loads(done.stdout)
    outcome = Outcome(told["documents"], told["codes"], told["sound"], told["seconds"], told["peak_mib"])
    expected = None if one.documents is None else int(one.documents * scale) if one.documents > 100 else one.documents
    unexpected = sorted(set(outcome.codes) - one.codes)
    troubles = [
        f"unexpected codes {unexpected} {told['reasons']}" * bool(unexpected),
        "a sound file is missing" * (not outcome.sound),
        "what lies outside was read" * bool(told["leaked"]),
        f"{outcome.documents} documents, not {expected}" * (expected not in (None, outcome.documents)),
        f"over {BOUND_MIB} MiB" * (outcome.peak_mib > BOUND_MIB),
        f"over {BOUND_S:.0f} s" * (outcome.seconds > BOUND_S),
    ]
    return Outcome(**{**vars(outcome), "trouble": "; ".join(filter(None, troubles))})


def report(found: Mapping[str, Outcome], base_mib: float) -> str:
    worst_mib = max(one.peak_mib for one in found.values())
    troubles = [name for name, one in found.items() if one.trouble]
    fine, slowest_s = len(found) - len(troubles), max(one.seconds for one in found.values())
    figures = [
        Figure(
            "fuzz", "folders of hostile files ingested as they should", f"{fine} of {len(found)}", "all", not troubles
        ),
        Figure("fuzz", "most memory of an ingest, MiB", f"{worst_mib:.0f}", f"≤ {BOUND_MIB}", worst_mib <= BOUND_MIB),
        Figure("fuzz", "slowest ingest, s", f"{slowest_s:.1f}", f"≤ {BOUND_S:.0f}", slowest_s <= BOUND_S),
    ]
    rows = tuple(
        (
            name,
            one.documents,
            ", ".join(f"{code} {count}" for code, count in sorted(one.codes.items())) or "none",
            f"{one.seconds:.1f}",
            f"{one.peak_mib:.0f}",
            one.trouble or "as it should",
        )
        for name, one in found.items()
    )
    table = Table(
        "Folders of hostile files, a sound one first and last in each",
        ("folder", "documents", "listed as", "s", "peak MiB", "verdict"),
        rows,
        note=f"An ingest of the sound files alone peaks at {base_mib:.0f} MiB: interpreter and libraries.",
    )
    return "\n".join([goals(figures).as_markdown(), table.as_markdown(), circumstances()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of the large ones; the shapes stay as they are")
    parser.add_argument("--only", help="cases whose name holds this")
    parser.add_argument("--ingest", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ingest:
        print(json.dumps(ingested_here(chosen.ingest)))
        return
    base = measured(Case("sound files alone", lambda *_: None, frozenset()), chosen.scale)
    cases = [one for one in CASES if not chosen.only or chosen.only.lower() in one.name.lower()]
    found = {}
    with progress("hostile folders") as told:
        for done, one in enumerate(cases):
            told(done, len(cases))
            found[one.name] = measured(one, chosen.scale)
        told(len(cases), len(cases))
    print(report(found, base.peak_mib))


if __name__ == "__main__":
    main()
