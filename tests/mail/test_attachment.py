"""Text inside files, in a child process that may die."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.mail.attachment import AttachmentText, Extractor, Limits, attachment_text
from appliance.mail.decoding import decoded
from appliance.mail.extraction import extract
from appliance.mail.structure import structure_of

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def zipped(files: dict[str, str | bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return whole.getvalue()


def docx(body: str) -> bytes:
    return zipped({"word/document.xml": f"<w:document {W}>{body}</w:document>"})


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    with Extractor() as one:
        yield one


CALENDAR = (
    b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\n"
    b'ORGANIZER;CN="Eve":mailto:eve@x.test\r\nSUMMARY:Som\r\n merfest\r\n'
    b"DESCRIPTION:Bring\\, cake\\nand tea\r\nDTSTART:20260801T100000Z\r\nEND:VEVENT\r\n"
)
CARD = (
    b"BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BC=\nller;Jo\n"
    b"PHOTO;ENCODING=BASE64:AAAABBBB\nitem1.EMAIL:jo@x.test\nEND:VCARD\n"
)
FILES = [
    pytest.param("text/plain", "a.txt", "Grüße".encode("latin-1"), "Grüße", id="text"),
    pytest.param(
        "text/plain; charset=koi8-r", "a.txt", "Привет".encode("koi8-r"), "Привет", id="charset"
    ),
    pytest.param("application/octet-stream", "A.CSV", b"a;b\n1;2", "a;b\n1;2", id="by its ending"),
    pytest.param("text/x-log", None, b"a log", "a log", id="by its type"),
    pytest.param("text/html", "x", b"<p>a<script>b</script>", "a", id="HTML"),
    pytest.param(
        "text/calendar",
        None,
        CALENDAR,
        "Eve mailto:eve@x.test\nSommerfest\nBring, cake\nand tea\n20260801T100000Z",
        id="RFC 5545",
    ),
    pytest.param("text/vcard", None, CARD, "Müller Jo\njo@x.test", id="vCard"),
    pytest.param("message/rfc822", None, b"Subject: s\nFrom: a@b\n\nhi", "s\na@b\nhi", id="eml"),
    pytest.param(
        "application/octet-stream",
        "scan.dat",
        docx("<w:p><w:r><w:t>one</w:t><w:t>more</w:t></w:r></w:p><w:p><w:t>two</w:t></w:p>"),
        "onemore\ntwo",
        id="a Word file under another name",
    ),
    pytest.param(
        "x/y",
        "a.xlsx",
        zipped(
            {
                "xl/workbook.xml": "<w><sheets><sheet name='Budget'/></sheets></w>",
                "xl/sharedStrings.xml": "<sst><si><t>Ta</t><t>xi</t></si></sst>",
                "xl/worksheets/sheet1.xml": "<s><row><c t='s'><v>0</v></c><c><v>12</v></c></row>"
                "<row><c t='inlineStr'><is><t>in</t></is></c><c t='s'><v>99</v></c></row></s>",
            }
        ),
        "Budget\nTaxi 12\nin",
        id="a table",
    ),
    pytest.param(
        "x/y",
        "a.pptx",
        zipped(
            {
                "ppt/presentation.xml": "<p/>",
                "ppt/slides/slide10.xml": "<s xmlns:a='a'><a:p><a:t>ten</a:t></a:p></s>",
                "ppt/slides/slide2.xml": "<s xmlns:a='a'><a:p><a:t>two</a:t></a:p></s>",
            }
        ),
        "two\nten",
        id="slides in their order",
    ),
    pytest.param(
        "x/y",
        "a.odt",
        zipped({"content.xml": "<o xmlns:t='t'><t:h>Title</t:h><t:p>a<t:s/>b<b>c</b></t:p></o>"}),
        "Title\na bc",
        id="OpenDocument",
    ),
]


@pytest.mark.parametrize(("media_type", "filename", "octets", "expected"), FILES)
def test_words_are_found_in_files(
    extractor: Extractor, media_type: str, filename: str | None, octets: bytes, expected: str
) -> None:
    found = extractor.text(media_type, filename, octets)
    assert (found.text, found.failure) == (expected, None)


LAUGHS = "<!DOCTYPE d [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]>"
REFUSED = [
    pytest.param("a.docx", b"PK\x03\x04 broken", "the file is damaged", id="no zip file"),
    pytest.param("a.docx", docx("<w:p>"), "the file is damaged (ExpatError)", id="no XML"),
    pytest.param(
        "a.zip", zipped({"a.txt": "x"}), "no text is read from inside an archive", id="zip"
    ),
    pytest.param(
        "a.doc", b"\xd0\xcf\x11\xe0", "no text can be read from this kind", id="old office"
    ),
    pytest.param("a.jpg", b"\xff\xd8\xff", "no text can be read from this kind", id="a picture"),
    pytest.param("a.pdf", b"%PDF-1.4 nothing", "the PDF file is damaged", id="a broken PDF"),
    pytest.param(
        "laughs.docx",
        zipped({"word/document.xml": LAUGHS + f"<w:d {W}><w:t>&b;</w:t></w:d>"}),
        "the file holds a document type definition",
        id="a billion laughs",
    ),
    pytest.param(
        "bomb.docx",
        zipped({"word/document.xml": b"<w>" + b" " * (65 << 20)}),
        "the file unpacks to more than is read",
        id="a zip bomb",
    ),
]


@pytest.mark.parametrize(("filename", "octets", "reason"), REFUSED)
def test_what_cannot_be_read_says_why(
    extractor: Extractor, filename: str, octets: bytes, reason: str
) -> None:
    found = extractor.text("application/octet-stream", filename, octets)
    assert found.text == ""
    assert found.failure is not None
    assert found.failure.startswith(reason)


def test_no_more_text_is_kept_than_the_limit() -> None:
    limits = Limits(text_characters=100)
    found = extract("text/plain", "a.txt", b"word " * 1000, limits)
    assert len(found.text) <= 100
    assert found.failure is not None
    assert found.failure.startswith("only the beginning was read")


def test_a_file_over_the_limit_is_not_even_sent() -> None:
    with Extractor(Limits(input_octets=10)) as one:
        assert one.text("text/plain", None, b"x" * 11) == AttachmentText(
            "", failure="the file is too large to read its text"
        )


def test_one_call_for_one_file() -> None:
    assert attachment_text("text/plain", None, b"alone") == AttachmentText("alone")


def test_a_child_that_dies_is_replaced(extractor: Extractor) -> None:
    assert extractor.text("text/plain", None, b"one").text == "one"
    child = extractor._child
    assert child is not None
    child.kill()
    child.wait()
    assert extractor.text("text/plain", None, b"two").text == "two"
    assert extractor._child is not child


def test_a_child_that_takes_too_long_is_ended_and_the_next_file_is_read() -> None:
    with Extractor(Limits(timeout_s=0.0)) as one:
        found = one.text("text/plain", None, b"x")
        assert found == AttachmentText("", failure="reading the file took too long")
        one._limits = Limits()
        assert one.text("text/plain", None, b"next").text == "next"


def test_a_file_that_needs_too_much_memory_is_a_failure_of_that_file() -> None:
    with Extractor(Limits(memory_octets=160 << 20)) as one:
        found = one.text("text/plain", None, b"word\n" * (10 << 20))
        assert found.failure is not None
        assert one.text("text/plain", None, b"next").text == "next"


def test_the_child_ends_with_its_parent() -> None:
    with Extractor() as one:
        one.text("text/plain", None, b"x")
        assert one._child is not None
        pid = one._child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_public_attachments_give_their_words(extractor: Extractor, corpora: Path) -> None:
    folder = corpora / "attachments" / "unstructured"
    pytest.importorskip("pypdfium2", reason="reading PDF files needs the extra [pdf]")
    begun = time.monotonic()
    missing = []
    read = 0
    for one in json.loads((folder / "index.json").read_text("utf-8")):
        if one["file"].rpartition(".")[2] not in ("pdf", "docx", "xlsx", "pptx", "odt", "csv"):
            continue
        octets = (folder / one["file"]).read_bytes()
        found = extractor.text("application/octet-stream", one["file"], octets)
        lost = [word for word in one["sample_words"] if word not in found.text]
        read += not lost
        if len(lost) * 4 > len(one["sample_words"]):
            missing.append((one["file"], found.failure, lost))
    assert missing == []
    assert read > 20
    assert time.monotonic() - begun < 20


def test_files_inside_handmade_messages_give_their_words(
    extractor: Extractor, corpora: Path
) -> None:
    pytest.importorskip("pypdfium2", reason="reading PDF files needs the extra [pdf]")
    folder = corpora / "torture" / "handmade"
    wanted = {"pdf_text": "zq035wssmfh", "itip_request": "zq235tqbjrz", "itip_reply": "zq237fgzvjd"}
    for name, word in wanted.items():
        octets = (folder / f"{name}.eml").read_bytes()
        texts = []
        for _, part in structure_of(octets).walk():
            if not part.parts and part.filename:
                kind = f"{part.media_type}/{part.subtype}"
                texts.append(extractor.text(kind, part.filename, decoded(octets, part)).text)
        assert word in " ".join(texts)
    for name in ("docx_billion_laughs", "zip_bomb", "gz_bomb"):
        octets = (folder / f"{name}.eml").read_bytes()
        for _, part in structure_of(octets).walk():
            if not part.parts and part.filename:
                found = extractor.text("application/zip", part.filename, decoded(octets, part))
                assert (found.text, bool(found.failure)) == ("", True)


def test_a_file_that_needs_too_much_processor_time_is_a_failure_of_that_file() -> None:
    endless = docx("<w:t>x</w:t>" * 5_000_000)
    with Extractor(Limits(cpu_s=1, text_characters=1 << 30)) as one:
        found = one.text("x/y", "a.docx", endless)
        assert found == AttachmentText("", failure="reading the file took too long")
        assert one.text("text/plain", None, b"next").text == "next"
