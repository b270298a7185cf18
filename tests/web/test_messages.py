"""One message: its head, text, page, files, source, and the thread."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator

import pytest

from appliance.errors import RecordDamaged, RecordMissing, StoreError
from appliance.mail.types import SEEN, Seq
from appliance.store import Archive
from tests.web import samples
from tests.web.conftest import Browser, Rooms


def test_a_plain_message_is_text_with_links_and_quotes(rooms: Rooms, anna: Browser) -> None:
    page = anna.get(f"/message/{rooms.seqs['plain']}").text
    assert "Grüße aus München" in page
    assert "&lt;b&gt;Nicht fett&lt;/b&gt;" in page
    assert '<a href="https://example.net/fotos?a=1&amp;b=2" target="_blank" ' in page
    assert '<span class="quote">&gt; Wann kommt ihr?' in page
    assert "<iframe" not in page


def test_an_html_message_stands_in_a_sandboxed_frame(rooms: Rooms, anna: Browser) -> None:
    page = anna.get(f"/message/{rooms.seqs['html']}").text
    frame = re.search(r"<iframe[^>]*>", page)
    assert frame
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame.group()
    assert f'src="/message/{rooms.seqs["html"]}/body"' in frame.group()
    assert "1 picture on the internet is not loaded" in page
    text = anna.get(f"/message/{rooms.seqs['html']}?view=text").text
    assert "everything must go" in text
    assert "<iframe" not in text


def test_the_frames_page_has_its_own_policy_and_nothing_that_acts(
    rooms: Rooms, anna: Browser
) -> None:
    answer = anna.get(f"/message/{rooms.seqs['html']}/body")
    assert answer.headers["Content-Security-Policy"] == (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
        "img-src 'self' data:; style-src 'unsafe-inline'; font-src 'none'; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'"
    )
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "X-Frame-Options" not in answer.headers
    body = answer.text.split("<body>")[1]
    for word in ("script", "onload", "onclick", "javascript", "iframe", "t.example", "url("):
        assert word not in body
    assert 'href="https://shop.example/go"' in body
    assert 'rel="noopener noreferrer nofollow"' in body
    assert '<h1 style="color: #336699">' in body


def inline_address(anna: Browser, seq: int) -> str:
    body = anna.get(f"/message/{seq}/body").text
    found = re.search(r'<img src="(/inline/[^"]+)"', body)
    assert found
    return found.group(1).replace("&amp;", "&")


def test_inline_images_come_by_signed_addresses_without_a_cookie(
    rooms: Rooms, anna: Browser, stranger: Browser
) -> None:
    address = inline_address(anna, rooms.seqs["html"])
    answer = stranger.get(address)
    assert (answer.status_code, answer.data) == (200, samples.PNG)
    assert answer.mimetype == "image/png"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(
    "change",
    [
        lambda a, _: re.sub(r"s=.", "s=0" if "s=0" not in a else "s=1", a),
        lambda a, _: re.sub(r"e=\d+", f"e={int(time.time()) + 10**6}", a),
        lambda a, _: re.sub(r"u=anna", "u=ben", a),
        lambda a, r: re.sub(r"/inline/\d+", f"/inline/{r.seqs['secret']}", a),
        lambda a, _: re.sub(r"(/inline/\d+)/[\d.]+", r"\1/1", a),
        lambda a, _: a.partition("?")[0],
        lambda a, _: re.sub(r"s=\w+", "s=ü", a),
    ],
    ids=["signature", "expiry", "person", "message", "part", "nothing signed", "not ascii"],
)
def test_a_changed_address_shows_nothing(
    rooms: Rooms, anna: Browser, stranger: Browser, change: object
) -> None:
    address = inline_address(anna, rooms.seqs["html"])
    changed = change(address, rooms)  # type: ignore[operator]  # a lambda of the table
    assert changed != address
    assert stranger.get(changed).status_code == 403


def test_an_address_that_is_over_shows_nothing(
    rooms: Rooms, anna: Browser, stranger: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = inline_address(anna, rooms.seqs["html"])
    later = time.time() + 8 * 3600
    monkeypatch.setattr("web.messages.time.time", lambda: later)
    assert stranger.get(address).status_code == 403


def test_opening_a_message_makes_it_read_everywhere(rooms: Rooms, anna: Browser) -> None:
    seq = rooms.seqs["plain"]
    anna.get(f"/message/{seq}", headers={"Sec-Purpose": "prefetch"})
    assert not any(SEEN in place.flags for place in rooms.archive.places_of("anna", seq))
    anna.get(f"/message/{seq}")
    assert all(SEEN in place.flags for place in rooms.archive.places_of("anna", seq))


def test_the_buttons_of_a_message_act_in_its_mailbox(rooms: Rooms, anna: Browser) -> None:
    seq, box = rooms.seqs["plain"], rooms.mailbox("anna", "INBOX")
    anna.post(f"/message/{seq}/act", {"verb": "delete", "box": str(box)})
    trash = rooms.mailbox("anna", "Trash")
    assert trash in {place.mailbox for place in rooms.archive.places_of("anna", seq)}
    again = anna.post(f"/message/{seq}/act", {"verb": "delete", "box": str(box)})
    assert again.status_code == 404


def test_the_source_is_the_message_octet_for_octet(rooms: Rooms, anna: Browser) -> None:
    answer = anna.get(f"/message/{rooms.seqs['html']}/source")
    assert answer.data == samples.octets_of(samples.HTML)
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].endswith(".eml")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_header_is_shown_as_it_came_and_escaped(rooms: Rooms, anna: Browser) -> None:
    page = anna.get(f"/message/{rooms.seqs['html']}/header").text
    assert "Subject: Spring sale &lt;script&gt;" in page
    assert "Content-Type: multipart/mixed" in page


@pytest.mark.parametrize(
    ("part", "octets", "name"),
    [
        ("2", b"<script>alert(1)</script>", 'filename="evil.html"'),
        ("3", b"%PDF-1.4 not really\r\n" * 40, "filename*=UTF-8''Rechnung%20M%C3%A4rz%20"),
    ],
)
def test_files_are_downloads_with_harmless_names(
    rooms: Rooms, anna: Browser, part: str, octets: bytes, name: str
) -> None:
    answer = anna.get(f"/message/{rooms.seqs['html']}/part/{part}")
    assert answer.data == octets
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment;")
    assert name in disposition
    assert not {"/", "\\", "\r", "\n"} & set(disposition.replace("UTF-8''", ""))
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize("part", ["0", "9", "1.9", "x", "1..2", "-1", "9" * 10, "1." * 300 + "1"])
def test_a_part_that_is_not_there_is_not_found(rooms: Rooms, anna: Browser, part: str) -> None:
    assert anna.get(f"/message/{rooms.seqs['html']}/part/{part}").status_code == 404


def test_a_thread_shows_the_whole_conversation_oldest_first(rooms: Rooms, anna: Browser) -> None:
    page = anna.get(f"/thread/{rooms.seqs['reply']}").text
    assert page.index("Am Freitag") < page.index("Fein, bis Freitag")
    assert "2 messages" in page
    assert "Conversation: 2 messages" in anna.get(f"/message/{rooms.seqs['plain']}").text


def test_a_large_file_comes_whole_though_decoded_in_pieces(rooms: Rooms, anna: Browser) -> None:

    octets = bytes(range(256)) * 20_000
    lines = base64.encodebytes(octets).decode()
    text = (
        "From: a@example.net\nSubject: large\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="m"\n\n--m\n\nhello\n--m\n'
        "Content-Type: application/zip; name=big.zip\nContent-Transfer-Encoding: base64\n\n"
        f"{lines}--m--\n"
    )
    (receipt,) = rooms.archive.admit([samples.delivery(text, number=50)])
    answer = anna.get(f"/message/{receipt.seq}/part/2")
    assert answer.data == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n",
        b"no header at all",
        b"Subject: x\r\n\r\n\xff\xfe\x00",
        b"\x00" * 100,
        b"Content-Type: text/html\r\n\r\n" + b"<div>" * 5000 + b"deep",
    ],
    ids=["nothing", "blank line", "no header", "not text", "zeros", "deep"],
)
def test_any_octets_make_a_page(rooms: Rooms, anna: Browser, octets: bytes) -> None:
    (receipt,) = rooms.archive.admit([samples.delivery(octets, number=60)])
    for path in ("", "?view=page", "?view=text", "/header", "/source"):
        assert anna.get(f"/message/{receipt.seq}{path}").status_code == 200
    assert anna.get(f"/thread/{receipt.seq}").status_code == 200


@pytest.mark.parametrize("error", [RecordDamaged, RecordMissing])
def test_a_damaged_message_is_named_and_takes_no_other_with_it(
    rooms: Rooms, anna: Browser, monkeypatch: pytest.MonkeyPatch, error: type[StoreError]
) -> None:
    whole = type(rooms.archive).chunks

    def chunks(archive: Archive, seq: Seq, *where: int) -> Iterator[bytes | memoryview]:
        if seq == rooms.seqs["plain"]:
            raise error("volume 1 at 4096: the digest is wrong; run hauspost verify")
        return whole(archive, seq, *where)

    monkeypatch.setattr(type(rooms.archive), "chunks", chunks)
    page = anna.get(f"/message/{rooms.seqs['plain']}").text
    assert "Grüße aus München" in page
    assert "run hauspost verify" in page
    thread = anna.get(f"/thread/{rooms.seqs['reply']}").text
    assert "run hauspost verify" in thread
    assert "Fein, bis Freitag" in thread
    source = anna.get(f"/message/{rooms.seqs['plain']}/source")
    assert source.status_code == 503
    assert "run hauspost verify" in source.text


def test_html_that_is_too_large_is_shown_as_its_text(rooms: Rooms, anna: Browser) -> None:
    body = "<p>hello there</p>" * 120_000
    text = f"Subject: huge\nContent-Type: text/html\n\n{body}\n"
    (receipt,) = rooms.archive.admit([samples.delivery(text, number=61)])
    page = anna.get(f"/message/{receipt.seq}").text
    assert "too large to show" in page
    assert "hello there" in page
