"""Real mail programs against our IMAP server: mbsync, neomutt, curl."""

from __future__ import annotations

import mailbox
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.mail.types import Seq
from tests.accept.programs import CURL, MBSYNC, NEOMUTT, SCRIPT, configure_neomutt, press, run
from tests.imap.house import MIXED, SIMPLE, House
from tests.imap.house import house as a_house

pytestmark = pytest.mark.peers


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    data = tmp_path / "data"
    data.mkdir()
    with a_house(data) as made:
        yield made


def _subjects(house: House, name: str) -> list[str]:
    archive = house.archive
    snapshot = archive.snapshot(archive.mailbox("maria", name).id)
    rows = archive.columns([Seq(seq) for seq in snapshot.seqs], ["subject"])
    return sorted(rows[Seq(seq)][0] for seq in snapshot.seqs)


def _flags(house: House, name: str, subject: str) -> set[str]:
    archive = house.archive
    box = archive.mailbox("maria", name)
    snapshot = archive.snapshot(box.id)
    uids = archive.containing(box.id, "subject", subject)
    [at] = [at for at, uid in enumerate(snapshot.uids) if uid in uids]
    return set(snapshot.flags[at])


def letter(n: int) -> bytes:
    return (
        b"From: peer@example.org\r\nTo: maria@home.example\r\nSubject: letter %03d\r\n"
        b"Date: Tue, 1 Mar 2022 10:%02d:00 +0100\r\nMessage-ID: <letter.%d@example.org>\r\n"
        b"\r\nletter number %d\r\n" % (n, n % 60, n, n)
    )


class Mbsync:
    """A Maildir that mbsync keeps equal to maria's mail, over TLS."""

    def __init__(self, house: House, home: Path) -> None:
        self.home = home
        self.mail = home / "mail"
        self.mail.mkdir(parents=True)
        self.inbox = mailbox.Maildir(self.mail / "INBOX", create=True)
        (home / "mbsyncrc").write_text(
            f"""
IMAPAccount ours
Host localhost
Port {house.tls_port}
User maria
Pass {house.passwords["maria"]}
SSLType IMAPS
CertificateFile {house.config.tls / "certificate.pem"}
PipelineDepth 50

IMAPStore far
Account ours

MaildirStore near
Path {self.mail}/
Inbox {self.mail}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns * "!All Mail"
Create Both
Expunge Both
SyncState *
CopyArrivalDate yes
"""
        )

    def sync(self) -> None:
        assert MBSYNC
        run([MBSYNC, "-c", str(self.home / "mbsyncrc"), "-a"], self.home)


@pytest.mark.skipif(MBSYNC is None, reason="mbsync is not installed")
def test_mbsync_keeps_both_sides_equal(house: House, tmp_path: Path) -> None:
    for n in range(120):
        house.deliver(letter(n), "INBOX", *(("\\Seen",) if n % 2 else ()))
    program = Mbsync(house, tmp_path / "home")
    program.sync()
    assert len(program.inbox) == 120
    pulled = {
        re.search(rb"Message-ID: (\S+)", octets)[1]: octets  # type: ignore[index]  # all have one
        for octets in (program.inbox.get_bytes(key) for key in program.inbox.iterkeys())
    }
    # mbsync writes LF and adds a field of its own.
    plain = re.sub(rb"X-TUID: .*\n", b"", pulled[b"<letter.7@example.org>"])
    assert plain == letter(7).replace(b"\r\n", b"\n")

    # Changes on both sides at once: flags and a new message here, flags and a removal there.
    def subject(key: str) -> str:
        return str(program.inbox[key]["Subject"])

    keys = {subject(key): key for key in program.inbox.iterkeys()}
    flagged = program.inbox[keys["letter 003"]]
    flagged.add_flag("F")
    program.inbox[keys["letter 003"]] = flagged
    trashed = program.inbox[keys["letter 004"]]
    trashed.add_flag("T")
    program.inbox[keys["letter 004"]] = trashed
    program.inbox.add(b"Subject: pushed\nFrom: maria@home.example\n\nfrom here\n")
    with house.signed_in() as wire:
        wire.ok(b"SELECT INBOX")
        wire.ok(b"STORE 6 +FLAGS (\\Answered)")
        wire.ok(b"UID MOVE 10:19 Archive")
    program.sync()
    program.sync()

    expected = {f"letter {n:03}" for n in range(120) if n != 4 and not 9 <= n <= 18} | {"pushed"}
    assert set(_subjects(house, "INBOX")) == expected
    assert {subject(key) for key in program.inbox.iterkeys()} == expected
    assert _flags(house, "INBOX", "letter 003") == {"\\Seen", "\\Flagged"}
    assert "\\Answered" in _flags(house, "INBOX", "letter 005")
    archive_box = mailbox.Maildir(program.mail / "Archive", create=False)
    assert len(archive_box) == 10
    # What was expunged is still in the archive, octet for octet.
    seq = next(seq for seq in house.archive.removed("maria"))
    assert house.archive.octets(seq.seq) == letter(4)


@pytest.mark.skipif(NEOMUTT is None or SCRIPT is None, reason="neomutt is not installed")
def test_neomutt_reads_flags_copies_deletes_and_searches(house: House, tmp_path: Path) -> None:
    for n in range(6):
        house.deliver(letter(n))
    house.deliver(MIXED)
    home = tmp_path / "home"
    configure_neomutt(home, "maria", house.passwords["maria"], house.port)
    keys = (
        "<first-entry><display-message><exit>"  # letter 000 is read
        "<next-entry><flag-message>"  # the sync of 001
        "<delete-message>"  # of 002: flagging went on to the next
        "<limit>~b inside<enter><first-entry><tag-entry><copy-message>=Archive<enter>"
        "<limit>all<enter><sync-mailbox><quit>"
    )
    press(home, keys)
    assert _flags(house, "INBOX", "letter 000") >= {"\\Seen"}
    flagged = [
        n for n in range(6) if n != 2 and "\\Flagged" in _flags(house, "INBOX", f"letter {n:03}")
    ]
    assert flagged == [1]
    assert "letter 002" not in _subjects(house, "INBOX")
    assert _subjects(house, "Archive") == ["Grüße and a file"]


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
def test_curl_lists_fetches_searches_and_appends(house: House, tmp_path: Path) -> None:
    assert CURL
    house.deliver(SIMPLE)
    house.deliver(MIXED)
    url = f"imap://127.0.0.1:{house.port}"
    user = f"maria:{house.passwords['maria']}"

    def curl(*arguments: str) -> str:
        return run([CURL, "-s", "-S", "-u", user, *arguments], tmp_path).decode()

    assert "\\Sent" in curl(f"{url}/")
    assert "Garden party" in curl(f"{url}/INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert "SEARCH 2" in curl(f"{url}/INBOX?CC%20lisa")
    sent = tmp_path / "sent.eml"
    sent.write_bytes(letter(1))
    curl("-T", str(sent), f"{url}/Sent")
    assert _subjects(house, "Sent") == ["letter 001"]
    curl(f"{url}/INBOX", "-X", "UID STORE 1 +FLAGS (\\Flagged)")
    assert _flags(house, "INBOX", "Garden") == {"\\Flagged", "\\Seen"}
    secure = curl(
        "--cacert",
        str(house.config.tls / "certificate.pem"),
        f"imaps://localhost:{house.tls_port}/",
    )
    assert "INBOX" in secure
