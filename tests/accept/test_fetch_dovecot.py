"""Both protocols against Debian's Dovecot: what it serves is in the archive, octet for octet."""

from __future__ import annotations

import hashlib
import imaplib
import random
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.fetch import run_account, test_account
from appliance.fetch.link import EXTRA_CA
from appliance.household import Account
from appliance.mail.types import FLAGGED, SEEN
from appliance.store import Archive
from tests.accept.dovecot import DovecotOrigin, installed

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not installed(), reason="Dovecot is not installed"),
]

PLAIN = [f"Subject: letter {n}\r\n\r\nHello {n}\r\n".encode() for n in range(250)]
DOTS = b"Subject: dots\r\n\r\n.leading\r\n..two\r\n.\r\nend\r\n"
LONG_LINE = b"Subject: long\r\n\r\n" + b"x" * 70_000 + b"\r\n"
EIGHT_BIT = b"Subject: \xfc\r\n\r\n\xff\xfe no charset\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"".join(b"%075d\r\n" % n for n in range(40_000))
NO_LAST_LINE_END = b"Subject: stops\r\n\r\nin the middle"
ODD = [DOTS, LONG_LINE, EIGHT_BIT, LARGE]


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DovecotOrigin]:
    users = {"anna": "secret", "bert": 'pa ss"wo\\rd'}
    with DovecotOrigin(tmp_path, users, special={"Gesendet": "\\Sent"}) as running:
        monkeypatch.setenv(EXTRA_CA, str(running.ca))
        yield running


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as opened:
        opened.provision("anna")
        yield opened


def _account(origin: DovecotOrigin, protocol: str, tls: str, user: str = "anna") -> Account:
    port = {
        ("imap", "implicit"): origin.imaps_port,
        ("pop3", "implicit"): origin.pop3s_port,
        ("imap", "starttls"): origin.imap_port,
        ("pop3", "starttls"): origin.pop3_port,
        ("imap", "none"): origin.imap_port,
        ("pop3", "none"): origin.pop3_port,
    }[protocol, tls]
    return Account(
        name=f"{user}-{protocol}",
        person="anna",
        protocol=protocol,
        host="localhost" if tls != "none" else "127.0.0.1",
        port=port,
        tls=tls,
        user=user,
    )


def _served(origin: DovecotOrigin, user: str, password: str) -> dict[str, set[bytes]]:
    """What a witness (imaplib) is handed out: mailbox → digests."""
    context = ssl.create_default_context(cafile=str(origin.ca))
    witness = imaplib.IMAP4_SSL("localhost", origin.imaps_port, ssl_context=context)
    found: dict[str, set[bytes]] = {}
    with witness:
        witness.login(user, password)
        for line in witness.list()[1]:
            assert isinstance(line, bytes)
            name = line.rsplit(b' "/" ', 1)[1].strip(b'"').decode()
            _, (count,) = witness.select(f'"{name}"', readonly=True)
            if count == b"0":
                continue
            _, data = witness.fetch("1:*", "(BODY.PEEK[])")
            octets = [item[1] for item in data if isinstance(item, tuple)]
            found[name] = {hashlib.sha256(one).digest() for one in octets}
    return found


def _kept(archive: Archive, mailbox: str) -> set[bytes]:
    snapshot = archive.snapshot(archive.mailbox("anna", mailbox).id)
    return {hashlib.sha256(archive.octets(seq)).digest() for seq in snapshot.seqs}  # type: ignore[arg-type]  # array[int] holds Seq


@pytest.mark.parametrize("tls", ["implicit", "starttls", "none"])
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_everything_is_fetched_once_and_octet_for_octet(
    origin: DovecotOrigin, archive: Archive, tmp_path: Path, protocol: str, tls: str
) -> None:
    origin.load("anna", "INBOX", [*PLAIN, *ODD])
    account = _account(origin, protocol, tls)

    first = run_account(account, "secret", archive, tmp_path / "spool")
    second = run_account(account, "secret", archive, tmp_path / "spool")

    assert first.error is None
    assert (first.listed, first.admitted, first.failed) == (254, 254, ())
    assert (second.error, second.admitted, second.octets) == (None, 0, 0)
    assert _kept(archive, "INBOX") == _served(origin, "anna", "secret")["INBOX"]
    assert not list((tmp_path / "spool").glob("*"))


def test_mailboxes_flags_and_internal_dates_are_kept(
    origin: DovecotOrigin, archive: Archive, tmp_path: Path
) -> None:
    origin.load("anna", "INBOX", PLAIN[:3], flags=["\\Seen", "\\Flagged"], internal_date=1e9)
    origin.load("anna", "Gesendet", PLAIN[3:5], flags=["\\Seen"])
    origin.load("anna", "Familie/Übersee", PLAIN[5:9])
    origin.load("anna", "Familie", [PLAIN[0], NO_LAST_LINE_END])

    run = run_account(_account(origin, "imap", "implicit"), "secret", archive, tmp_path / "spool")

    served = _served(origin, "anna", "secret")
    assert run.error is None
    assert (run.listed, run.admitted, run.duplicates) == (11, 10, 1)
    assert _kept(archive, "Sent") == served["Gesendet"]
    assert _kept(archive, "Familie/Übersee") == served["Familie/&ANw-bersee"]
    assert _kept(archive, "Familie") == served["Familie"]
    inbox = archive.snapshot(archive.mailbox("anna", "INBOX").id)
    assert set(inbox.flags) == {frozenset({SEEN, FLAGGED})}
    assert set(inbox.dates) == {10**9 * 10**6}


def test_a_wrong_password_is_said_in_plain_words(origin: DovecotOrigin, archive: Archive) -> None:
    for protocol in ("imap", "pop3"):
        found = test_account(_account(origin, protocol, "implicit"), "wrong")
        assert not found.ok
        assert "sign-in" in found.message or "PASS" in found.message
        assert "wrong" not in found.message


def test_an_account_can_be_tried_out(origin: DovecotOrigin) -> None:
    origin.load("bert", "INBOX", PLAIN[:2])
    for protocol in ("imap", "pop3"):
        found = test_account(_account(origin, protocol, "implicit", "bert"), origin.users["bert"])
        assert found.ok, found.message
        assert found.messages == 2


def test_a_certificate_nobody_vouches_for_is_refused(
    origin: DovecotOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(EXTRA_CA)
    for protocol in ("imap", "pop3"):
        for tls in ("implicit", "starttls"):
            found = test_account(_account(origin, protocol, tls), "secret")
            assert not found.ok
            assert "certificate is signed by itself" in found.message


_CHILD = """
import sys
from pathlib import Path
from appliance.fetch import run_account
from appliance.household import Account
from appliance.store import Archive

protocol, port, directory = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
account = Account("home", "anna", protocol, "127.0.0.1", port, "none", "anna")
with Archive(directory / "archive") as archive:
    archive.provision("anna")
    print("ready", flush=True)
    run = run_account(account, "secret", archive, directory / "spool")
    print(run.error, run.admitted, run.octets, flush=True)
"""


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_kill_9_at_any_moment_and_a_rerun_give_the_same(
    origin: DovecotOrigin, tmp_path: Path, protocol: str
) -> None:
    chance = random.Random(protocol)
    origin.load("anna", "INBOX", [*PLAIN, *ODD] * 2)
    port = str(origin.imap_port if protocol == "imap" else origin.pop3_port)
    command = [sys.executable, "-c", _CHILD, protocol, port, str(tmp_path)]
    repository = Path(__file__).resolve().parent.parent.parent
    killed = 0
    for number in range(8):
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=repository) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            try:
                child.wait(number * chance.uniform(0.0, 0.1))
            except subprocess.TimeoutExpired:
                killed += 1
            child.kill()
    for last in (b"None", b"None 0 0"):
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=repository)
        assert done.stdout.splitlines()[1].startswith(last)
    assert killed
    with Archive(tmp_path / "archive") as archive:
        inbox = archive.snapshot(archive.mailbox("anna", "INBOX").id)
        assert len(inbox.seqs) == len(set(inbox.seqs)) == 254
        assert list(inbox.uids) == sorted(set(inbox.uids))
        assert _kept(archive, "INBOX") == _served(origin, "anna", "secret")["INBOX"]
