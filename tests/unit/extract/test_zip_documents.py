"""OOXML and OpenDocument: a needle in every place where text can stand, runs joined, what is aside set aside."""

from collections.abc import Mapping

import pytest

from documents.archive_writer import locked, zipped
from documents.reading import read, reasons, text_of
from mailseal.policy.inspection import GapReason

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
O = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'  # noqa: E741  as the prefixes above
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
PROPERTIES = 'xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties"'


def ooxml(parts: Mapping[str, str | bytes]) -> bytes:
    return zipped(
        {"[Content_Types].xml": XML + TYPES, **{k: v if isinstance(v, bytes) else XML + v for k, v in parts.items()}}
    )


def odf(parts: Mapping[str, str], kind: str = "text") -> bytes:
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    return zipped({"mimetype": mimetype, "META-INF/manifest.xml": "<m/>", **{k: XML + v for k, v in parts.items()}})


def word(body: str) -> str:
    return f"<w:document {W}><w:body>{body}</w:body></w:document>"


RUNS = "<w:r><w:t>%s</w:t></w:r>"

PLACES = {
    "docx body": ooxml({"word/document.xml": word("<w:p><w:r><w:t>needle</w:t></w:r></w:p>")}),
    "docx any part name": ooxml({"a/b.xml": word("<w:p><w:r><w:t>nee</w:t></w:r><w:r><w:t>dle</w:t></w:r></w:p>")}),
    "docx no ending": ooxml({"a/b": word("<w:p><w:r><w:t>nee</w:t></w:r><w:r><w:t>dle</w:t></w:r></w:p>")}),
    "docx header": ooxml({"word/header1.xml": f"<w:hdr {W}><w:p>{RUNS % 'needle'}</w:p></w:hdr>"}),
    "docx footnote": ooxml({"word/footnotes.xml": f"<w:footnotes {W}>{RUNS % 'needle'}</w:footnotes>"}),
    "docx comment": ooxml({"word/comments.xml": f"<w:comments {W}>{RUNS % 'needle'}</w:comments>"}),
    "docx deleted": ooxml({"word/document.xml": word("<w:del><w:r><w:delText>needle</w:delText></w:r></w:del>")}),
    "docx field": ooxml({"word/document.xml": word("<w:r><w:instrText>needle</w:instrText></w:r>")}),
    "docx link": ooxml({"word/_rels/document.xml.rels": '<R><Relationship Target="https://needle/"/></R>'}),
    "docx alt": ooxml({"word/document.xml": word('<wp:docPr id="1" descr="needle"/>')}),
    "docx title": ooxml({"docProps/core.xml": "<cp:coreProperties><dc:title>needle</dc:title></cp:coreProperties>"}),
    "docx company": ooxml({"docProps/app.xml": f"<Properties {PROPERTIES}><Company>needle</Company></Properties>"}),
    "docx custom": ooxml({"docProps/custom.xml": "<Properties><property name='needle'/></Properties>"}),
    "docx comment of XML": ooxml({"word/document.xml": word("<!-- needle -->")}),
    "docx CDATA": ooxml({"word/document.xml": word("<w:t><![CDATA[nee]]></w:t><w:t>dle</w:t>")}),
    "docx entities": ooxml({"word/document.xml": word("<w:t>&#x6E;eed&#108;e</w:t>")}),
    "docx UTF-16": ooxml({"word/document.xml": word("<w:t>needle</w:t>").encode("utf-16")}),
    "docx embedded": ooxml(
        {"word/embeddings/a.xlsx": ooxml({"xl/sharedStrings.xml": f"<sst {S}><t>needle</t></sst>"})}
    ),
    "docx printer": ooxml({"word/printerSettings1.bin": b"\0\1\2 the needle \0\3"}),
    "docx file name": ooxml({"needle.dat": b"\0\1\2\3"}),
    "pptx slide": ooxml({"ppt/slides/slide1.xml": f"<p:sld {A}><a:t>nee</a:t><a:t>dle</a:t></p:sld>"}),
    "pptx notes": ooxml({"ppt/notesSlides/n.xml": f"<p:notes {A}><a:t>needle</a:t></p:notes>"}),
    "xlsx sheet name": ooxml({"xl/workbook.xml": f'<workbook {S}><sheet name="needle" state="hidden"/></workbook>'}),
    "xlsx uncached": ooxml({"xl/worksheets/s.xml": f'<worksheet {S}><c><f>CONCAT("needle")</f></c></worksheet>'}),
    "xlsx header": ooxml({"xl/worksheets/s.xml": f"<worksheet {S}><oddHeader>&amp;Lneedle</oddHeader></worksheet>"}),
    "xlsx comment": ooxml({"xl/comments1.xml": f"<comments {S}><r><t>nee</t></r><r><t>dle</t></r></comments>"}),
    "xlsx validation": ooxml({"xl/worksheets/s.xml": f'<worksheet {S}><dataValidation prompt="needle"/></worksheet>'}),
    "odt body": odf({"content.xml": f"<d {O}><text:p>nee<text:span>dle</text:span></text:p></d>"}),
    "odt header": odf({"styles.xml": f"<d {O}><style:header><text:p>needle</text:p></style:header></d>"}),
    "odt annotation": odf(
        {"content.xml": f"<d {O}><office:annotation><text:p>needle</text:p></office:annotation></d>"}
    ),
    "odt title": odf({"meta.xml": f"<d {O}><dc:title>needle</dc:title><dc:creator>x</dc:creator></d>"}),
    "odt link": odf({"content.xml": f'<d {O}><text:a xlink:href="https://needle/">x</text:a></d>'}),
    "ods value": odf({"content.xml": f'<d {O}><table:table-cell office:string-value="needle"/></d>'}, "spreadsheet"),
    "ods sheet": odf({"content.xml": f'<d {O}><table:table table:name="needle"/></d>'}, "spreadsheet"),
    "odp notes": odf({"content.xml": f"<d {O}><presentation:notes><text:p>needle</text:p></presentation:notes></d>"}),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_needle_is_found_in(place: str) -> None:
    found = read(PLACES[place])
    assert "needle" in text_of(found)
    assert reasons(found) <= ({GapReason.UNKNOWN_FORMAT} if place == "docx file name" else set())


@pytest.mark.parametrize(
    "body",
    [
        "<w:p>{41}{11}</w:p>",
        "<w:p>\n  {41}\n  {11}\n</w:p>",
        "<w:p>{41}<w:proofErr/><w:bookmarkStart w:id='0'/>{11}</w:p>",
        "<w:p>{41}<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>{11}</w:p>",
        "<w:p>{41}<w:r><w:instrText>PAGE</w:instrText></w:r>{11}</w:p>",
        "<w:p>{41}<x a='>'/>{11}</w:p>",
        "<w:p>{41}<!-- x -->{11}</w:p>",
        "<w:p>{41}<w:unheardOf/>{11}</w:p>",
        "<w:p>{41}<w:r><w:sym w:font='Arial' w:char='0031'/></w:r>{1}</w:p>",
    ],
)
def test_runs_are_joined(body: str) -> None:
    runs = body.replace("{", "<w:r><w:t>").replace("}", "</w:t></w:r>")
    assert "4111" in text_of(read(ooxml({"word/document.xml": word(runs)})))


def test_paragraphs_and_cells_are_not_joined() -> None:
    cells = "<w:tc><w:p><w:r><w:t>41</w:t></w:r></w:p></w:tc>"
    found = text_of(read(ooxml({"word/document.xml": word(f"<w:p>{cells}{cells}</w:p>")})))
    assert "4141" not in found


def test_notes_do_not_take_the_text_apart_of_open_document() -> None:
    note = "<office:annotation><dc:creator>x</dc:creator><text:p>note</text:p></office:annotation>"
    found = text_of(read(odf({"content.xml": f"<d {O}><text:p>41{note}11</text:p></d>"})))
    assert "4111" in found
    assert "note" in found


def test_entities_of_a_document_are_read_and_told_of() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "needle"><!ENTITY b "&a;&a;&a;">]>' + word("<w:t>&b;</w:t>")
    found = read(ooxml({"word/document.xml": bomb}))
    assert "needle" in text_of(found)
    assert reasons(found) == {GapReason.UNSUPPORTED}


def test_a_document_whose_files_have_a_password_is_a_gap() -> None:
    assert reasons(read(locked(PLACES["docx body"]))) == {GapReason.ENCRYPTED}


@pytest.mark.parametrize(
    "piece", ["<", "<w:p>", "<!--", "<![CDATA[", "<a b='", '<!ENTITY a "', "<note>", "&", "<a name="]
)
def test_no_xml_is_slow(piece: str) -> None:
    found = read(ooxml({"word/document.xml": word(piece * 100_000 + "needle")}))
    assert "needle" in text_of(found) or "needle" in piece
