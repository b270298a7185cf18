"""One archive in several programs at once: what one of them does, all the others see.

mbsync over TLS, neomutt, curl and imaplib against the running service, and the web
page as a browser has it. What each does alone is in test_imap_clients.py.
"""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accept.house import RunningHouse, look, plain_name
from tests.accept.programs import CURL, MBSYNC, NEOMUTT, SCRIPT, configure_neomutt, press, run

pytestmark = pytest.mark.peers

HERE = ("INBOX", "Archive", "Familie/Übersee", "Listen")
EACH = 12


def letter(box: str, n: int) -> bytes:
    return (
        f"From: Oma <oma@example.org>\r\nTo: anna@hauspost.local\r\nSubject: {_subject(box, n)}\r\n"
        f"Date: Tue, 01 Mar 2022 10:{n:02}:00 +0100\r\n"
        f"Message-ID: <{n}.{HERE.index(box)}@example.org>\r\n\r\nNumber {n} of that.\r\n"
    ).encode()


def _subject(box: str, n: int) -> str:
    return f"letter {HERE.index(box)}-{n:02}"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[RunningHouse]:
    with RunningHouse(tmp_path) as made:
        made.person("anna")
        for box in HERE:
            folder = tmp_path / f"letters-{HERE.index(box)}"
            folder.mkdir()
            for n in range(EACH):
                folder.joinpath(f"{n:02}.eml").write_bytes(letter(box, n))
            assert made.ok("import", str(folder), "--mailbox", box)["admitted"] == EACH
        made.start()
        yield made


class Mbsync:
    """Anna's whole tree in Maildirs, pulled and pushed over TLS with the house's certificate."""

    def __init__(self, house: RunningHouse, home: Path) -> None:
        self._home = home
        self._mail = home / "mail"
        self._mail.mkdir(parents=True)
        (home / "mbsyncrc").write_text(
            f"""
IMAPAccount ours
Host localhost
Port {house.ports.imaps}
User anna
Pass {house.secrets.device["anna"]}
SSLType IMAPS
CertificateFile {house.data / "tls" / "certificate.pem"}

IMAPStore far
Account ours

MaildirStore near
Path {self._mail}/
Inbox {self._mail}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""
        )

    def sync(self) -> None:
        assert MBSYNC
        run([MBSYNC, "-c", str(self._home / "mbsyncrc"), "-a"], self._home)

    def boxes(self) -> dict[str, dict[str, mailbox.MaildirMessage]]:
        """Mailbox → subject → message."""
        found = {}
        for path in self._mail.rglob("cur"):
            box = mailbox.Maildir(path.parent, create=False)
            name = plain_name(str(path.parent.relative_to(self._mail)))
            messages = list(box)
            found[name] = {str(message["Subject"]): message for message in messages}
            assert len(found[name]) == len(messages), f"{name} has a message twice"
        return found

    def flags(self, box: str, subject: str) -> set[str]:
        return set(self.boxes()[box][subject].get_flags())


def imap_subjects(house: RunningHouse, box: str) -> set[str]:
    """What imaplib sees."""
    with house.imap("anna") as witness:
        assert witness.select(box, readonly=True)[0] == "OK"
        _, answers = witness.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        fields = [answer[1] for answer in answers if isinstance(answer, tuple)]
        return {field.decode().partition(":")[2].strip() for field in fields}


@pytest.mark.skipif(MBSYNC is None, reason="mbsync is not installed")
def test_mbsync_pulls_the_whole_tree(house: RunningHouse, tmp_path: Path) -> None:
    program = Mbsync(house, tmp_path / "mbsync")
    program.sync()
    boxes = program.boxes()
    for box in HERE:
        assert set(boxes[box]) == {_subject(box, n) for n in range(EACH)}
    assert len(boxes["All Mail"]) == len(HERE) * EACH
    assert {"Sent", "Drafts", "Trash", "Junk"} <= set(boxes)
    text = boxes["Familie/Übersee"][_subject("Familie/Übersee", 3)].get_payload()
    assert text == "Number 3 of that.\n"
    program.sync()
    assert {box: set(found) for box, found in program.boxes().items()} == {
        box: set(found) for box, found in boxes.items()
    }


@pytest.mark.skipif(None in (MBSYNC, NEOMUTT, SCRIPT), reason="neomutt is not installed")
def test_what_one_program_does_all_the_others_see(house: RunningHouse, tmp_path: Path) -> None:
    mbsync = Mbsync(house, tmp_path / "mbsync")
    neomutt = tmp_path / "neomutt"
    configure_neomutt(neomutt, "anna", house.secrets.device["anna"], house.ports.imap)
    pages = house.pages("anna")
    mbsync.sync()
    assert mbsync.flags("INBOX", "letter 0-00") == set()

    # neomutt reads 00, stars 01, moves 03 to the Archive.
    press(
        neomutt,
        "<first-entry><display-message><exit>"
        "<next-entry><flag-message>"
        "<limit>~s 0-03<enter><save-message>=Archive<enter><limit>all<enter>"
        "<sync-mailbox><quit>",
    )
    inbox, archived = pages.lines("INBOX"), pages.lines("Archive")
    assert [subject for subject, line in inbox.items() if not line.unread] == ["letter 0-00"]
    assert [subject for subject, line in inbox.items() if line.starred] == ["letter 0-01"]
    assert "letter 0-03" not in inbox
    assert "letter 0-03" in archived
    mbsync.sync()
    assert mbsync.flags("INBOX", "letter 0-00") == {"S"}
    assert mbsync.flags("INBOX", "letter 0-01") == {"F"}
    assert "letter 0-03" not in mbsync.boxes()["INBOX"]
    assert "letter 0-03" in mbsync.boxes()["Archive"]
    assert "letter 0-03" in imap_subjects(house, "Archive")
    assert "letter 0-03" not in imap_subjects(house, "INBOX")

    # The web page stars 05, un-reads 00, moves 06 to the Trash and 07 to another mailbox.
    pages.act("INBOX", "flag", "letter 0-05")
    pages.act("INBOX", "unread", "letter 0-00")
    pages.act("INBOX", "delete", "letter 0-06")
    pages.act("INBOX", "move", "letter 0-07", "Familie/Übersee")
    mbsync.sync()
    boxes = mbsync.boxes()
    assert mbsync.flags("INBOX", "letter 0-05") == {"F"}
    assert mbsync.flags("INBOX", "letter 0-00") == set()
    assert "letter 0-06" in boxes["Trash"]
    assert "letter 0-07" in boxes["Familie/Übersee"]
    assert not {"letter 0-06", "letter 0-07"} & set(boxes["INBOX"])
    assert "letter 0-07" not in imap_subjects(house, "INBOX")
    assert imap_subjects(house, "Trash") == {"letter 0-06"}

    # "All Mail" has had each of them all along, once.
    assert len(boxes["All Mail"]) == len(HERE) * EACH
    assert house.ok("status")["messages"] == len(HERE) * EACH


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
def test_curl_fetches_over_tls_with_the_certificate_of_the_house(
    house: RunningHouse, tmp_path: Path
) -> None:
    assert CURL
    arguments = [CURL, "-s", "-S", "-u", f"anna:{house.secrets.device['anna']}"]
    url = f"imaps://localhost:{house.ports.imaps}/INBOX;UID=5"
    certificate = str(house.data / "tls" / "certificate.pem")
    octets = run([*arguments, "--cacert", certificate, url], tmp_path)
    assert octets == letter("INBOX", 4)
    with pytest.raises(AssertionError, match=r"certificate"):
        run([*arguments, url], tmp_path)
    with house.imap("anna") as witness:
        assert len(look(witness, "INBOX").digests) == EACH
