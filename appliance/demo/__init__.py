"""``hauspost demo``: a household of two with sample mail, fetched for real.

    letters.py      the mail
    provider.py     real IMAP and POP3 servers on loopback that hold it
    pop3_server.py  the latter of them

The servers start again with ``hauspost run`` as long as the sample household is
there, so that "fetch now" on the accounts page does what it says.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Protocol

from appliance.bell import Bell
from appliance.config import Config
from appliance.demo.letters import letters
from appliance.demo.provider import Provider
from appliance.errors import UsageError
from appliance.fetch import Fetcher
from appliance.follow import Follower
from appliance.household import Account, Household
from appliance.store import Archive

PASSWORD: Final = "sommer-demo"  # noqa: S105 - of a sample household, printed for everybody to see


class Teller(Protocol):
    """What prints: ``cli.output.Output``."""

    def say(self, line: str) -> None:
        """A line for people."""

    def result(self, facts: dict[str, object], *lines: str) -> None:
        """The outcome."""


def build(
    config: Config, household: Household, archive: Archive, bell: Bell, teller: Teller
) -> None:
    """Make the household, serve its mail, fetch and index it, and say how to look at it."""
    if household.persons():
        raise UsageError(
            f"{config.data} has a household already; choose an empty directory with --data"
        )
    teller.say("Writing sample mail …")
    provider = Provider(config.data)
    provider.fill(letters(datetime.now(UTC)))
    facts = provider.start()
    try:
        household.add_person("anna", PASSWORD, "Anna Sommer")
        household.add_person("ben", PASSWORD, "Ben Sommer")
        household.add_address("anna", "anna@example.org")
        household.add_address("ben", "ben@example.net")
        for person in ("anna", "ben"):
            archive.provision(person)
        for name, person, protocol, port in (
            ("anna-imap", "anna", "imap", facts.imap_port),
            ("anna-pop", "anna", "pop3", facts.pop3_port),
            ("ben-imap", "ben", "imap", facts.imap_port),
        ):
            # Without TLS because it never leaves this machine.
            account = Account(name, person, protocol, "127.0.0.1", port, "none", name, every_s=300)
            household.add_account(account, facts.passwords[name])
        teller.say("Fetching three accounts from IMAP and POP3 servers on this machine …")
        runs = Fetcher(household, archive, config, bell).run()
        failed = [f"{run.account}: {run.error}" for run in runs if run.error]
        if failed:
            raise UsageError("; ".join(failed))
        teller.say("Indexing …")
        with Follower(archive, config.index, bell) as follower:
            follower.until_idle()
        devices = {p: household.add_device(p, "Demo device").password for p in ("anna", "ben")}
    finally:
        provider.stop()
    totals = archive.totals()
    teller.result(
        {
            "messages": totals.messages,
            "people": ["anna", "ben"],
            "password": PASSWORD,
            "device_passwords": devices,
            "web": f"http://{config.host}:{config.web_port}",
            "imap_port": config.imap_port,
            "imaps_port": config.imaps_port,
        },
        "",
        f"A sample household is ready: {totals.messages} messages of Anna and Ben.",
        "",
        f"  Web pages   http://{config.host}:{config.web_port}   sign in as anna or ben, "
        f"password {PASSWORD}",
        f"  IMAP        {config.host} port {config.imap_port} (TLS: {config.imaps_port}), "
        "one password per device:",
        f"              anna  {devices['anna']}",
        f"              ben   {devices['ben']}",
        "",
        "Try: search for Stromrechnung, from:oma or has:pdf; open the thread about the lake;",
        "open the same mailbox in Thunderbird or mutt and watch read marks follow.",
        "",
    )
