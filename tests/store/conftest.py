"""A real archive in a scratch directory, and messages to put into it."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.mail.types import Delivery, Flag, Origin, Placing
from appliance.store import Archive

START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as opened:
        yield opened


def letter(n: int, body: str = "Hello, this is a letter.", **fields: str) -> bytes:
    """A plain message that no other number gives."""
    head = {
        "From": "Anna Example <anna@example.org>",
        "To": "ben@example.org",
        "Subject": f"Letter {n}",
        "Date": "Wed, 01 May 2024 12:00:00 +0000",
        "Message-ID": f"<letter.{n}@example.org>",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    lines = [f"{name}: {value}" for name, value in head.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body + "\r\n").encode()


def with_file(n: int, content: bytes, line: int = 76, eol: bytes = b"\r\n") -> bytes:
    """A message with an attachment whose base64 has lines of this length."""
    encoded = base64.b64encode(content)
    lines = [encoded[at : at + line] for at in range(0, len(encoded), line)]
    return eol.join(
        [
            b"From: anna@example.org",
            b"Subject: File %d" % n,
            b"Message-ID: <file.%d@example.org>" % n,
            b"MIME-Version: 1.0",
            b'Content-Type: multipart/mixed; boundary="cut"',
            b"",
            b"--cut",
            b"Content-Type: text/plain",
            b"",
            b"See the file.",
            b"--cut",
            b'Content-Type: application/octet-stream; name="data.bin"',
            b"Content-Transfer-Encoding: base64",
            b'Content-Disposition: attachment; filename="data.bin"',
            b"",
            *lines,
            b"--cut--",
            b"",
        ]
    )


def noise(size: int, seed: int = 1) -> bytes:
    """Octets that do not compress."""
    return random.Random(seed).randbytes(size)


def delivery(
    octets: bytes,
    uid: str = "1",
    owner: str = "anna",
    mailbox: str = "INBOX",
    account: str = "home",
    flags: frozenset[Flag] = frozenset(),
    placing: Placing = Placing.ONCE,
    minutes: int = 0,
    remote: str = "INBOX",
) -> Delivery:
    return Delivery(
        octets,
        Origin(account, remote, 7, uid),
        owner,
        mailbox,
        START + timedelta(minutes=minutes),
        flags,
        placing,
    )
