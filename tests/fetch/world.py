"""One account on a scripted server, one archive, and what must hold between them."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from appliance.fetch import Patience, Progress, run_account
from appliance.fetch.link import Timeouts
from appliance.household import Account
from appliance.mail.types import FetchRun, Seq
from appliance.store import Archive
from tests.servers.imap_server import ScriptedImap
from tests.servers.maildrop import Faults, Maildrop
from tests.servers.pop3_server import ScriptedPop3
from tests.servers.server import ScriptedServer

SERVERS: dict[str, type[ScriptedServer]] = {"imap": ScriptedImap, "pop3": ScriptedPop3}
QUICK = Patience(Timeouts(connect_s=5.0, read_s=5.0), losses=3, pause_s=0.0)


def letter(number: int, size: int = 200) -> bytes:
    """A message like no other, of about so many octets."""
    head = (
        f"Received: from a by b; Mon, 6 Jan 2020 10:{number % 60:02d}:00 +0100\r\n"
        f"Subject: letter {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\n"
    )
    body = f"This is letter {number}.\r\n.with a dot\r\n"
    lines = max(1, (size - len(head)) // len(body))
    return (head + body * lines).encode()


class World:
    """Context manager: the server runs meanwhile."""

    def __init__(
        self,
        protocol: str,
        tmp_path: Path,
        archive: Archive,
        *,
        tls: str = "none",
        context: ssl.SSLContext | None = None,
        pin: str | None = None,
    ) -> None:
        self.protocol = protocol
        self.maildrop = Maildrop()
        self.faults = Faults()
        self.archive = archive
        self.spool = tmp_path / "spool"
        self.server = SERVERS[protocol](
            self.maildrop, self.faults, tls=context, implicit=tls == "implicit"
        )
        self.tls = tls

    def __enter__(self) -> World:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def account(self, **changes: object) -> Account:
        """The account, with these fields changed."""
        settings: dict[str, object] = {
            "name": "home",
            "person": "anna",
            "protocol": self.protocol,
            "host": "127.0.0.1",
            "port": self.server.port,
            "tls": self.tls,
            "user": self.maildrop.user,
        }
        return Account(**{**settings, **changes})  # type: ignore[arg-type]  # fields by name

    def fetch(
        self,
        *,
        report: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
        archive: Archive | None = None,
        limit_octets: int = 64 * 1024 * 1024,
        patience: Patience = QUICK,
        **changes: object,
    ) -> FetchRun:
        """One run."""
        return run_account(
            self.account(**changes),
            self.maildrop.password,
            archive or self.archive,
            self.spool,
            report,
            stop,
            limit_octets=limit_octets,
            patience=patience,
        )

    def kept(self, mailbox: str = "INBOX") -> list[bytes]:
        """The octets of a mailbox of ours, sorted."""
        found = self.archive.snapshot(self.archive.mailbox("anna", mailbox).id)
        return sorted(self.archive.octets(Seq(seq)) for seq in found.seqs)

    def kept_anywhere(self) -> set[bytes]:
        """The octets of every message in the archive that anna may see."""
        found = self.archive.snapshot(self.archive.mailbox("anna", "All Mail").id)
        return {self.archive.octets(Seq(seq)) for seq in found.seqs}

    def messages(self) -> list[bytes]:
        """What the server's INBOX holds, sorted."""
        return sorted(one.octets for one in self.maildrop.inbox.held)
