"""A small household with real mail in a real archive, indexed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

import pytest

from appliance.follow import Follower
from appliance.mail.types import Delivery, Flag, Origin, Seq
from appliance.search import Searcher
from appliance.store import Archive

START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


@dataclass
class World:
    """An archive with an index that follows on demand."""

    archive: Archive
    follower: Follower
    searcher: Searcher
    index: Path
    admitted: int = 0
    seqs: dict[str, Seq] = field(default_factory=dict)

    def admit(
        self,
        octets: bytes,
        owner: str = "anna",
        mailbox: str = "INBOX",
        flags: frozenset[Flag] = frozenset(),
        account: str = "home",
    ) -> Seq:
        self.admitted += 1
        origin = Origin(account, "INBOX", 1, str(self.admitted))
        when = START + timedelta(hours=self.admitted)
        (receipt,) = self.archive.admit([Delivery(octets, origin, owner, mailbox, when, flags)])
        return receipt.seq

    def found(self, owner: str, text: str) -> list[Seq]:
        return [hit.seq for hit in self.searcher.find(owner, text).hits]


def letter(subject: str, body: str, **fields: str) -> bytes:
    """A plain message in UTF-8."""
    head = {
        "From": "Anna Example <anna@example.org>",
        "To": "ben@example.org",
        "Subject": subject,
        "Message-ID": f"<{crc32((subject + body).encode())}@example.org>",
        "Content-Type": "text/plain; charset=utf-8",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    lines = [f"{name}: {value}" for name, value in head.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body + "\r\n").encode()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    index = tmp_path / "index"
    with Archive(tmp_path / "archive") as archive, Follower(archive, index) as follower:
        for owner in ("anna", "ben"):
            archive.provision(owner)
        accounts = {"anna": {"home", "office"}, "ben": {"home of ben"}}
        searcher = Searcher(archive, index, lambda owner, name: accounts[owner] & {name})
        yield World(archive, follower, searcher, index)
        searcher.close()


@pytest.fixture(scope="session")
def corpora() -> Path:
    beside = Path(__file__).parents[2].parent / "shared" / "corpora"
    path = Path(os.environ.get("HAUSPOST_CORPORA", beside))
    if not path.is_dir():
        pytest.skip("the mail corpora are not beside the checkout")
    return path
