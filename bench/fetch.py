"""How fast accounts are fetched, and in how much memory; Debian's Dovecot is the origin.

    python -m bench.fetch speed    3 000 corpus messages: POP3, IMAP, and mbsync beside us
    python -m bench.fetch memory   one message of 200 MB by POP3 and by IMAP: peak RSS

The corpora are found as by the tests (HAUSPOST_CORPORA or ../shared/corpora). Each
measurement is a process of its own, so one does not weigh on the next.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from appliance.fetch import run_account
from appliance.household import Account
from appliance.store import Archive
from tests.accept.dovecot import DovecotOrigin

REPOSITORY = Path(__file__).resolve().parent.parent
CORPORA = Path(os.environ.get("HAUSPOST_CORPORA", REPOSITORY.parent / "shared" / "corpora"))
MESSAGES = 3000
LARGE_OCTETS = 200 * 1000 * 1000
_START = re.compile(rb"(?:\A|(?<=\n\n))From [^\n]*\n")


def corpus() -> Iterator[bytes]:
    """The bulk messages, with CR LF as a server sends them."""
    for path in sorted((CORPORA / "bulk").glob("*/*.mbox.gz")):
        data = gzip.decompress(path.read_bytes())
        starts = list(_START.finditer(data))
        ends = [found.start() for found in starts[1:]] + [len(data)]
        for found, end in zip(starts, ends, strict=True):
            octets = re.sub(rb"(?m)^>(>*From )", rb"\1", data[found.end() : end - 1])
            yield re.sub(rb"\r?\n", b"\r\n", octets)


def large() -> bytes:
    """One message of LARGE_OCTETS that no compression makes small: base64 of noise."""
    import base64

    noise = base64.encodebytes(os.urandom(LARGE_OCTETS * 3 // 4 * 76 // 78)).replace(b"\n", b"\r\n")
    head = (
        b"From: a@example.org\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: application/octet-stream; name="film.bin"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return head + noise


def peak_rss_mb() -> int:
    """This process's own peak (getrusage would tell its parent's as well)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return round(int(found[1]) * 1024 / 1e6)


def one_run(protocol: str, port: int, directory: Path) -> None:
    """The child: fetch, and print what it took as JSON."""
    with Archive(directory / "archive") as archive:
        archive.provision("anna")
        account = Account("bench", "anna", protocol, "127.0.0.1", port, "none", "anna")
        before = peak_rss_mb()
        used = time.process_time()
        run = run_account(account, "secret", archive, directory / "spool")
        used = time.process_time() - used
        again = run_account(account, "secret", archive, directory / "spool")
    peak = peak_rss_mb()
    assert run.error is None, run.error
    print(
        json.dumps(
            {
                "way": protocol,
                "messages": run.admitted + run.duplicates,
                "octets": run.octets,
                "seconds": run.seconds,
                "messages_per_s": round((run.admitted + run.duplicates) / run.seconds),
                "cpu_s": round(used, 2),
                "rss_before_mb": before,
                "rss_peak_mb": peak,
                "second_run_s": again.seconds,
                "second_run_octets": again.octets,
            }
        )
    )


def measured(protocol: str, origin: DovecotOrigin, directory: Path) -> None:
    """One fetch in a process of its own."""
    port = origin.imap_port if protocol == "imap" else origin.pop3_port
    command = [sys.executable, "-m", "bench.fetch", protocol, str(port), str(directory / protocol)]
    (directory / protocol).mkdir()
    subprocess.run(command, check=True, cwd=REPOSITORY)


def mbsync(origin: DovecotOrigin, directory: Path) -> None:
    """The same mailbox by mbsync, into a Maildir."""
    target = directory / "maildir"
    target.mkdir()
    settings = directory / "mbsyncrc"
    settings.write_text(
        f"IMAPAccount o\nHost 127.0.0.1\nPort {origin.imap_port}\nUser anna\nPass secret\n"
        "SSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount o\n\n"
        f"MaildirStore near\nInbox {target}/INBOX\nPath {target}/\n\n"
        "Channel c\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSync Pull New\n"
        f"SyncState {target}/state-\n"
    )
    started = time.monotonic()
    subprocess.run(["mbsync", "-q", "-c", str(settings), "c"], check=True)
    seconds = time.monotonic() - started
    count = len(list((target / "INBOX" / "new").iterdir()) + list((target / "INBOX/cur").iterdir()))
    print(
        json.dumps(
            {
                "way": "mbsync",
                "messages": count,
                "seconds": round(seconds, 3),
                "messages_per_s": round(count / seconds),
            }
        )
    )


def main() -> None:
    """As the module's docstring says."""
    what, *rest = sys.argv[1:] or ["speed"]
    if what in ("imap", "pop3"):
        one_run(what, int(rest[0]), Path(rest[1]))
        return
    with tempfile.TemporaryDirectory(prefix="hauspost-bench-") as name:
        directory = Path(name)
        with DovecotOrigin(directory, {"anna": "secret"}) as origin:
            if what == "memory":
                origin.load("anna", "INBOX", [large()])
            else:
                messages = (octets for _, octets in zip(range(MESSAGES), corpus(), strict=False))
                print(origin.load("anna", "INBOX", messages), "messages at the origin")
            for protocol in ("imap", "pop3"):
                measured(protocol, origin, directory)
            if what == "speed":
                mbsync(origin, directory)


if __name__ == "__main__":
    main()
