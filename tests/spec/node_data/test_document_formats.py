"""PDF, DOCX, HTML and CSV, built here byte by byte: the text that comes out is the text that went in."""

import io
import subprocess
import sys
import zipfile

import pytest
from document_files import PICTURE, docx, paragraph, pdf, row
from pypdf import PdfReader, PdfWriter

from fedrag.core.errors import ConfigError, MissingExtra
from retriever_node.documents import Document, Unreadable
from retriever_node.readers import READERS, read_folder
from retriever_node.readers.pdf import ranges


def read(root, **settings) -> list[Document | Unreadable]:
    return list(read_folder(root, "c", settings))


def one(root, **settings) -> Document:
    (found,) = read(root, **settings)
    assert isinstance(found, Document), found
    return found


def told(root, **settings) -> list[tuple[str, str]]:
    return [(item.code, item.reason) for item in read(root, **settings) if isinstance(item, Unreadable)]


def shown(document: Document) -> list[tuple[str, str]]:
    return [(section.heading, section.text) for section in document.sections]


def test_pdf_pages_are_sections_of_one_document(folder):
    """Each page says its number, where a citation shows it; a word broken at a line's end is whole again."""
    made = one(folder({"sepsis.pdf": pdf("Take cultures.\nGive antibio-\ntics.", "Weigh the child.", title="Sepsis")}))
    assert (made.title, made.name, made.document_id) == ("Sepsis", "sepsis.pdf", "sepsis.pdf")
    assert shown(made) == [("page 1", "Take cultures.\nGive antibiotics."), ("page 2", "Weigh the child.")]
    assert [section.start for section in made.sections] == [0, len("Take cultures.\nGive antibiotics.") + 2]


def test_scanned_pages_are_named_and_the_others_are_read(folder):
    """Pages that are pictures are a problem with their numbers; a page left blank is none."""
    root = folder({"mixed.pdf": pdf("Text.", PICTURE, PICTURE, b"q Q", "More text.", PICTURE)})
    assert told(root) == [("scanned_pages", "pages 2-3, 6 without text; run text recognition")]
    (made,) = (item for item in read(root) if isinstance(item, Document))
    assert shown(made) == [("page 1", "Text."), ("page 5", "More text.")]
    assert made.title == "mixed"


def test_a_scan_is_no_empty_document(folder):
    """Nothing but pictures: one problem, no document; nothing at all: empty."""
    root = folder({"scan.pdf": pdf(PICTURE), "blank.pdf": pdf(b"")})
    assert [(item.path, item.code) for item in read(root)] == [("blank.pdf", "empty"), ("scan.pdf", "scanned_pages")]


def encrypted(password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("Secret."))))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_encrypted_and_damaged_pdf(folder, monkeypatch):
    """A password is asked for, an empty one is tried; damage and size have codes of their own."""
    root = folder({"a.pdf": encrypted("pw"), "b.pdf": b"%PDF-1.4 rubbish", "c.pdf": b"", "d.pdf": pdf("x")[:150]})
    assert [(item.path, item.code) for item in read(root)] == [
        ("a.pdf", "encrypted"),
        ("b.pdf", "damaged"),
        ("c.pdf", "damaged"),
        ("d.pdf", "damaged"),
    ]
    assert shown(one(folder({"a.pdf": encrypted(""), "b.pdf": None, "c.pdf": None, "d.pdf": None})))[0][1] == "Secret."
    monkeypatch.setattr("retriever_node.readers.pdf.MAXIMUM_FILE_BYTES", 100)
    assert told(root)[0][0] == "too_large"


def test_pdf_with_too_many_pages_or_too_much_text(folder, monkeypatch):
    """Both limits stop the file, not the run."""
    root = folder({"a.pdf": pdf("one", "two", "three")})
    monkeypatch.setattr("retriever_node.readers.pdf._MAXIMUM_PAGES", 2)
    assert told(root) == [("too_large", "more than 2 pages")]
    monkeypatch.setattr("retriever_node.readers.pdf._MAXIMUM_PAGES", 3)
    monkeypatch.setattr("retriever_node.readers.pdf.MAXIMUM_BYTES", 5)
    assert told(root)[0][0] == "too_large"


def test_page_ranges():
    """By hand."""
    assert [ranges(numbers) for numbers in ([], [1], [1, 2], [1, 2, 3, 7, 9, 10])] == ["", "1", "1-2", "1-3, 7, 9-10"]


def test_docx_headings_lists_tables_forms_and_tracked_changes(folder):
    """Sections by heading style, rows with their column's name, form fields and insertions in, deletions out."""
    body = (
        paragraph("Burns", "T")
        + paragraph("Read first.")
        + paragraph("First aid", "H1")
        + f"<w:sdt><w:sdtContent>{paragraph('Cool for 20 minutes.')}</w:sdtContent></w:sdt>"
        + paragraph("Fluids", "H2")
        + "<w:p><w:r><w:t>Give </w:t></w:r><w:ins><w:r><w:t>4 ml</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>9 ml</w:delText></w:r></w:del><w:r><w:t>/kg</w:t></w:r></w:p>"
        + paragraph("first", "LB")
        + paragraph("second", "LB")
        + paragraph("Small print", "H3")
        + "<w:tbl>"
        + row("Age", "Dose")
        + row("1 year", "10 mg")
        + row("2", "20 mg")
        + "</w:tbl>"
    )
    made = one(folder({"burns.docx": docx(body)}))
    assert (made.title, made.document_id) == ("Burns", "burns.docx")
    assert shown(made) == [
        ("", "Read first."),
        ("First aid", "Cool for 20 minutes."),
        (
            "First aid / Fluids",
            "Give 4 ml/kg\n\n- first\n- second\n\nSmall print\n\n- Age: 1 year; Dose: 10 mg\n- Age: 2; Dose: 20 mg",
        ),
    ]


def test_docx_that_is_none_and_one_that_unpacks_to_too_much(folder, monkeypatch):
    """Old and broken files have codes; a bomb is refused by its list of parts, before it is unpacked."""
    bomb = docx(paragraph("x"), bomb=bytes(1_000_000))
    root = folder({"a.docx": b"\xd0\xcf\x11\xe0" + bytes(99), "b.docx": b"PK\x03\x04", "c.docx": docx("")[:-30]})
    assert [code for code, _ in told(root)] == ["old_format", "damaged", "damaged"]
    assert len(bomb) < 10_000
    monkeypatch.setattr("retriever_node.readers.docx._MAXIMUM_UNPACKED", 900_000)
    monkeypatch.setattr("docx.Document", lambda _: pytest.fail("the bomb was unpacked"))
    root = folder({"a.docx": None, "b.docx": None, "c.docx": None, "bomb.docx": bomb})
    assert [code for code, _ in told(root)] == ["zip_bomb"]
    monkeypatch.setattr("retriever_node.readers.docx._MAXIMUM_UNPACKED", 10_000_000)
    monkeypatch.setattr("retriever_node.readers.docx.MAXIMUM_FILE_BYTES", 900_000)
    assert [code for code, _ in told(folder({"bomb.docx": docx(paragraph("x" * 1_000_000))}))] == ["zip_bomb"]


def test_docx_reads_no_file_and_expands_no_entity(folder, tmp_path):
    """An external entity stays what it is: the file it points to is not in the text."""
    secret = tmp_path / "secret.txt"
    secret.write_text("CANARY-51")
    body = paragraph("before &leak; after")
    package = io.BytesIO(docx(body))
    out = io.BytesIO()
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name).decode()
            if name == "word/document.xml":
                text = f'<!DOCTYPE d [<!ENTITY leak SYSTEM "{secret.as_uri()}">]>{text}'
            new.writestr(name, text)
    for item in read(folder({"a.docx": out.getvalue()})):
        assert "CANARY-51" not in repr(item)


PAGE = """<!DOCTYPE html><html><head><meta charset="windows-1252"><title>Gout &ndash; leaflet</title>
<style>p { color: CANARY }</style><script>var CANARY = "<p>x</p>";</script></head><body>
<nav><a href="/">CANARY home</a></nav><div hidden>CANARY</div><div style="display: none">CANARY</div>
<p>Caf\xe9 &amp; wine, 5&nbsp;&lt;&nbsp;6.</p>
<h1>Treatment</h1><p>Rest<br>and <b>ice</b>d wa<i>ter</i>.</p>
<h2>Medicines</h2>
<ul><li>Colchicine</li><li>Naproxen <p>with food</p></li></ul>
<table><caption>Doses</caption><thead><tr><th>Drug</th><th>Dose</th></tr></thead>
<tr><td rowspan="2">Colchicine</td><td>0.5 mg</td></tr><tr><td>1 mg</td></tr></table>
<h3>Later</h3><pre>a  b
c</pre><!-- CANARY -->
</body></html>"""


MEDICINES = """- Colchicine
- Naproxen

with food

Doses

- Drug: Colchicine; Dose: 0.5 mg
- Drug: Colchicine; Dose: 1 mg

Later

a b
c"""


def test_html_sections_entities_encoding_and_tables(folder):
    """What one sees of the page, in its declared encoding; scripts, styles, navigation and hidden parts are not."""
    made = one(folder({"gout.html": PAGE.encode("windows-1252")}))
    assert made.title == "Gout – leaflet"
    assert shown(made) == [
        ("", "Café & wine, 5 < 6."),
        ("Treatment", "Rest\nand iced water."),
        (
            "Treatment / Medicines",
            MEDICINES,
        ),
    ]
    assert "CANARY" not in repr(made)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("<p>naïve".encode(), "naïve"),
        (b"\xef\xbb\xbf" + "<meta charset=latin-1><p>naïve".encode(), "naïve"),
        ("<p>naïve".encode("utf-16"), "naïve"),
        ('<?xml version="1.0" encoding="iso-8859-1"?><html><p>naïve</p></html>'.encode("latin-1"), "naïve"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=koi8-r"><p>боль'.encode("koi8-r"), "боль"),
        ("<meta charset=shift_jis><p>痛み".encode("shift_jis"), "痛み"),
        ("<p>na\xefve".encode("latin-1"), "not_utf8"),
        (b"<meta charset=base64><p>x", "unknown_encoding"),
        (b"<meta charset=idna><p>x", "unknown_encoding"),
        (b"<meta charset=utf-8><p>na\xefve", "bad_encoding"),
        (b"<p>a\x00b", "not_text"),
        (b"   ", "empty"),
        (b"<script>only()</script>", "empty"),
        (b"<div>" * 1000 + b"x", "too_deep"),
    ],
)
def test_html_encodings_and_what_is_no_page(folder, raw, expected):
    """The text, or the code of what is wrong."""
    (item,) = read(folder({"p.htm": raw}))
    assert expected == (item.code if isinstance(item, Unreadable) else item.sections[0].text)


def test_html_title_falls_back(folder):
    """Title, else the first h1, else the file name."""
    assert one(folder({"a.html": "<h1>Gout</h1>x"})).title == "Gout"
    assert one(folder({"a.html": "<p>x"})).title == "a"


def test_a_layout_table_is_read_as_a_page(folder):
    """Old pages put everything into a table; headings inside still make sections."""
    made = one(folder({"a.html": "<table><tr><td>menu</td><td><h2>Signs</h2><p>Fever.</p></td></tr></table>"}))
    assert shown(made) == [("", "menu"), ("Signs", "Fever.")]


def test_a_table_that_grows_without_end_is_refused(folder, monkeypatch):
    """A cell that spans a thousand rows is said in each of them, up to the limit of a document."""
    monkeypatch.setattr("retriever_node.outline.MAXIMUM_BYTES", 10_000)
    table = f"<table><tr><td rowspan=1000>{'x' * 100}<td>1" + "<tr><td>2" * 999 + "</table>"
    assert told(folder({"a.html": table})) == [("too_large", "more than 10000 characters of text")]


def test_csv_columns_by_name_quotes_and_bad_rows(folder):
    """A row is a document under the same settings as a JSON line; a bad row costs only itself."""
    text = (
        b"\xef\xbb\xbfdoc;question;answer;on\r\n"
        b'7;What is gout?;"Crystals; in joints.\nPainful ""toes""."; 2025-01-02\r\n'
        b"8;too;many;fields;here\r\n"
        b";;;\r\n"
        b"9;No text;;\r\n"
        b";No id;text;\r\n"
        b"10;Latin;caf\xe9;\r\n"
        b"11;Date;text;soon\r\n"
        b"12;;Last.;\r\n"
    )
    columns = {"id": "doc", "title": "question", "text": "answer", "effective_date": "on", "delimiter": ";"}
    items = read(folder({"qa.csv": text}), csv=columns)
    first, last = (item for item in items if isinstance(item, Document))
    assert (first.document_id, first.title, str(first.effective_date)) == ("7", "What is gout?", "2025-01-02")
    assert first.sections[0].text == 'Crystals; in joints.\nPainful "toes".'
    assert (last.document_id, last.title, last.sections[0].text) == ("12", "12", "Last.")
    assert [(item.code, item.reason.split(":")[0]) for item in items if isinstance(item, Unreadable)] == [
        ("bad_record", "row 3"),
        ("empty", "row 5"),
        ("bad_record", "row 6"),
        ("not_utf8", "row 7"),
        ("bad_record", "row 8"),
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty"), (b"id,body\n1,x\n", "bad_header"), (b"id,text,id\n1,x,2\n", "bad_header")],
)
def test_csv_without_its_columns(folder, content, code):
    """One problem for the file, not one for each row."""
    assert [found for found, _ in told(folder({"a.csv": content}))] == [code]


def test_csv_field_that_never_ends(folder, monkeypatch):
    """An open quote swallows at most the limit of a document, then the file is given up."""
    monkeypatch.setattr("retriever_node.readers.csv.MAXIMUM_BYTES", 1000)
    items = read(folder({"a.csv": 'id,text\n1,good\n2,"' + "line\n" * 1000}))
    assert [item.code if isinstance(item, Unreadable) else item.document_id for item in items] == ["1", "bad_csv"]


def test_csv_delimiter_is_one_character(folder):
    """A delimiter that could not separate is a setting error."""
    for delimiter in ("", ";;", '"', "\n"):
        with pytest.raises(ConfigError):
            read(folder({}), csv={"delimiter": delimiter})


def test_a_missing_library_costs_its_format_only(folder, monkeypatch):
    """Without the extra the files of the format are listed with its name; settings for it are an error at once."""
    monkeypatch.delitem(sys.modules, "retriever_node.readers.pdf")
    monkeypatch.setitem(sys.modules, "pypdf", None)
    root = folder({"a.pdf": pdf("x"), "b.md": "text"})
    assert told(root) == [("missing_extra", "pdf needs pypdf: pip install 'fedrag[documents]'")]
    assert [item.name for item in read(root) if isinstance(item, Document)] == ["b.md"]
    with pytest.raises(MissingExtra):
        read(root, pdf={})


def test_libraries_are_loaded_when_a_file_needs_them():
    """Importing the readers, and reading text, loads no parser of other formats."""
    program = (
        "import sys; from retriever_node.readers import READERS; READERS.build('text'); READERS.build('fhir');"
        " READERS.build('ccda'); print([name for name in ('lxml', 'docx', 'pypdf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_reader_is_a_file():
    """The names are those of the modules."""
    assert READERS.names == ("ccda", "csv", "docx", "fhir", "html", "jsonl", "markdown", "pdf", "text")
