"""The sample household's providers: real IMAP and POP3 servers on loopback, of our own.

Their mail lies in a small archive of its own below the data directory, so that the
accounts of the sample household can be fetched again whenever the service runs.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.config import Config
from appliance.demo.letters import Letter
from appliance.demo.pop3_server import Pop3Server
from appliance.household import Household
from appliance.imap import ImapServer
from appliance.imap.server import Doors
from appliance.mail.types import Delivery, Origin, Seq
from appliance.store import Archive

FOLDER = "demo"
_FACTS = "provider.json"


@dataclass(slots=True)
class Facts:
    """Ports, and the passwords the providers gave out; all for loopback and sample mail."""

    imap_port: int
    pop3_port: int
    passwords: dict[str, str]


class Provider:
    """The servers, in a thread of their own. ``start`` answers when they listen."""

    def __init__(self, data: Path) -> None:
        self._config = Config(data=data / FOLDER, imaps_port=0, smtp_port=0, web_port=0)
        self._stop: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None

    @staticmethod
    def there(data: Path) -> bool:
        """Whether this data directory has a sample household."""
        return (data / FOLDER / _FACTS).exists()

    def fill(self, letters: list[Letter]) -> None:
        """Make the providers' mailboxes; once."""
        self._config.prepare()
        passwords: dict[str, str] = {}
        with Archive(self._config.archive) as archive, Household(self._config.data) as household:
            for account in sorted({letter.account for letter in letters}):
                household.add_person(account, "sample household")
                archive.provision(account)
                passwords[account] = household.add_device(account, "Hauspost").password
            archive.admit(
                Delivery(
                    letter.octets,
                    Origin("sample", letter.account, 0, str(n)),
                    letter.account,
                    letter.mailbox,
                    letter.date,
                    letter.flags,
                )
                for n, letter in enumerate(letters)
            )
        self._save(Facts(0, 0, passwords))

    def start(self) -> Facts:
        """Listen where we listened before, else on ports that are free."""
        facts = self._load()
        listening: list[Facts | OSError] = []
        ready = threading.Event()

        def serve() -> None:
            try:
                asyncio.run(self._serve(facts, listening, ready))
            except OSError as error:
                listening.append(error)
                ready.set()

        self._thread = threading.Thread(target=serve, name="sample providers", daemon=True)
        self._thread.start()
        ready.wait(30.0)
        if not listening:
            raise OSError("the sample providers did not start")
        if isinstance(listening[0], OSError):
            raise listening[0]
        self._save(listening[0])
        return listening[0]

    def stop(self) -> None:
        """Listen no more."""
        self._stop()
        if self._thread is not None:
            self._thread.join(5.0)

    async def _serve(
        self, facts: Facts, listening: list[Facts | OSError], ready: threading.Event
    ) -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(end.set)

        with ExitStack() as stack:
            archive = stack.enter_context(Archive(self._config.archive))
            household = stack.enter_context(Household(self._config.data))
            imap = ImapServer(archive, household, None, self._config, None, self._config.spool)
            await imap.start(Doors(plain=facts.imap_port, tls=None))
            inbox = archive.snapshot(archive.mailbox("anna-pop", "INBOX").id)
            messages = [archive.octets(Seq(seq)) for seq in inbox.seqs]
            pop3 = Pop3Server("anna-pop", facts.passwords["anna-pop"], messages)
            port = await pop3.start(facts.pop3_port)
            assert imap.addresses.plain is not None
            self._stop = stop
            listening.append(Facts(imap.addresses.plain[1], port, facts.passwords))
            ready.set()
            await end.wait()
            await pop3.stop()
            await imap.stop()

    def _save(self, facts: Facts) -> None:
        path = self._config.data / _FACTS
        fresh = path.with_suffix(".tmp")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(asdict(facts)))
        fresh.replace(path)

    def _load(self) -> Facts:
        return Facts(**json.loads((self._config.data / _FACTS).read_text()))
