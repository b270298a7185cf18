"""imaplib as a witness: the standard library's client sees what it should."""

from __future__ import annotations

import imaplib
import ssl

from tests.imap.house import SIMPLE, House


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
