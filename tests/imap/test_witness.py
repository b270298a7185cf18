"""imaplib and IMAPClient as witnesses: other people's clients see what they should."""

from __future__ import annotations

import imaplib
import ssl

from imapclient import FLAGGED, SEEN, IMAPClient  # type: ignore[import-untyped]  # ships no types

from tests.imap.house import MIXED, SIMPLE, House


def test_imaplib_reads_flags_searches_appends_and_moves(house: House) -> None:
    house.deliver(SIMPLE)
    with imaplib.IMAP4("127.0.0.1", house.port) as client:
        client.login("maria", house.passwords["maria"])
        assert "IDLE" in client.capability()[1][0].decode()
        assert client.select("INBOX")[1] == [b"1"]
        _, data = client.fetch("1", "(UID FLAGS RFC822.SIZE BODY.PEEK[])")
        head = b"1 (UID 1 FLAGS () RFC822.SIZE %d BODY[] {%d}" % (len(SIMPLE), len(SIMPLE))
        assert data[0] == (head, SIMPLE)
        assert client.store("1", "+FLAGS", r"(\Flagged $Work)")[0] == "OK"
        assert client.search(None, "KEYWORD", "$work")[1] == [b"1"]
        assert client.append("Sent", r"(\Seen)", "", SIMPLE)[0] == "OK"
        assert client.uid("MOVE", "1", "Archive")[0] == "OK"
        assert client.select("Archive")[1] == [b"1"]
        assert client.select("INBOX")[1] == [b"0"]


def test_imaplib_signs_in_over_tls(house: House) -> None:
    context = ssl.create_default_context(cafile=str(house.config.tls / "certificate.pem"))
    with imaplib.IMAP4_SSL("localhost", house.tls_port, ssl_context=context) as client:
        assert (
            client.authenticate("PLAIN", lambda _: f"\0maria\0{house.passwords['maria']}".encode())[
                0
            ]
            == "OK"
        )
        assert client.list()[0] == "OK"
        large = b"Subject: large\r\n\r\n" + b"0123456789 over TLS\r\n" * 150_000
        assert client.append("INBOX", "", "", large)[0] == "OK"
        client.select("INBOX")
        _, data = client.fetch("1", "(BODY.PEEK[])")
        assert data[0] == (b"1 (BODY[] {%d}" % len(large), large)


def test_imapclient_goes_through_its_paces(house: House) -> None:
    house.deliver(SIMPLE)
    house.deliver(MIXED)
    with IMAPClient("127.0.0.1", house.port, ssl=False) as client:
        client.login("maria", house.passwords["maria"])
        client.enable("CONDSTORE")
        assert client.find_special_folder(b"\\Sent") == "Sent"
        client.create_folder("Größe & Co")
        assert client.folder_exists("Größe & Co")
        client.select_folder("INBOX")
        uids = client.search(["SUBJECT", "Grüße"], "UTF-8")
        assert uids == [2]
        fetched = client.fetch(uids, ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "INTERNALDATE"])[2]
        assert fetched[b"ENVELOPE"].message_id == b"<mixed@example.net>"
        assert fetched[b"BODYSTRUCTURE"].is_multipart
        client.add_flags(uids, [FLAGGED, "$Work"])
        client.idle()
        with IMAPClient("127.0.0.1", house.port, ssl=False) as other:
            other.login("maria", house.passwords["maria"])
            other.append("INBOX", SIMPLE, flags=[SEEN])
        assert (3, b"EXISTS") in client.idle_check(timeout=5)
        client.idle_done()
        client.move(uids, "Größe & Co")
        assert client.folder_status("Größe & Co", ["MESSAGES"]) == {b"MESSAGES": 1}
        client.delete_messages([1])
        client.expunge([1])
        assert client.search() == [3]
        changed = client.fetch([1, 2, 3], ["FLAGS"], modifiers=["CHANGEDSINCE 1"])
        assert list(changed) == [3]
        assert client.namespace().personal == (("", "/"),)
