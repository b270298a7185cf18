"""Accounts elsewhere that we fetch from; their passwords are sealed beside them.

An account's name may come to mean another maildrop: its server or user is
changed, or it is removed and added again. The unique-ids of two maildrops are
strangers, and taking one's "7" for the other's is losing a message. So the
archive's ledger is asked with ``Account.ledger``, which is the name for the
first maildrop, ``name#2`` for the next, and the same again when one returns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from appliance.database import Database, moment, stamp
from appliance.errors import UsageError
from appliance.household.text import scrubbed, shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?\.?\Z|[0-9A-Fa-f:.]{2,45}\Z")
PROTOCOLS = ("imap", "pop3")
TLS_WAYS = ("implicit", "starttls", "none")
RESERVED = frozenset({"smtp", "append", "import", "imap", "pop3", "web", "local", "submission"})
"""Names the archive's ledger uses for doors that are not accounts (``Origin.account``)."""
SHORTEST_PERIOD_S = 10
_COLUMNS = (
    "name, person, protocol, host, port, tls, user, every_s, remove_after_days, mailboxes, "
    "enabled, created, pin"
)
_MAILDROP = (
    "(SELECT ledger FROM maildrop m WHERE m.account = account.name "
    "AND m.protocol = account.protocol AND m.host = account.host AND m.user = account.user)"
)
_SELECT = f"SELECT {_COLUMNS}, {_MAILDROP} FROM account"  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Account:
    """A maildrop to fetch for one person.

    ``protocol`` is imap or pop3, ``tls`` implicit, starttls or none.
    ``remove_after_days`` None = never remove anything from the server.
    ``mailboxes`` are globs (IMAP). ``created`` is set when it is added. ``pin`` is
    the SHA-256 fingerprint of the server's certificate or the path of a PEM file with
    its authority, for home servers; None = what this machine trusts. ``maildrop`` is
    set by the household; see ``ledger``.
    """

    name: str
    person: str
    protocol: str
    host: str
    port: int
    tls: str
    user: str
    every_s: int = 300
    remove_after_days: int | None = None
    mailboxes: tuple[str, ...] = ("*",)
    enabled: bool = True
    created: datetime | None = None
    pin: str | None = None
    maildrop: str = ""

    @property
    def ledger(self) -> str:
        """What the archive's ledger calls this maildrop (``Origin.account``)."""
        return self.maildrop or self.name


class Accounts:
    """The table of accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, person: str | None = None) -> list[Account]:
        """Accounts by name, of everybody or of one person."""
        rows = self._database.read().execute(
            f"{_SELECT} WHERE ? IS NULL OR person = ? ORDER BY name", (person, person)
        )
        return [_account(row) for row in rows]

    def ledgers(self, person: str, name: str) -> list[str]:
        """The ledger's names for the maildrops of a person's account; none if it is not theirs."""
        rows = self._database.read().execute(
            "SELECT ledger FROM maildrop m JOIN account a ON a.name = m.account "
            "WHERE a.name = ? AND a.person = ? ORDER BY ledger",
            (scrubbed(name, 65), person),
        )
        return [row[0] for row in rows]

    def find(self, name: str) -> Account | None:
        """The account, capitals or not; None when there is none."""
        row = (
            self._database.read()
            .execute(f"{_SELECT} WHERE name = ?", (scrubbed(name, 65),))
            .fetchone()
        )
        return _account(row) if row else None

    def get(self, name: str) -> Account:
        """The account; raises UsageError when there is none."""
        found = self.find(name)
        if found is None:
            raise UsageError(f"there is no account {shown(name)}")
        return found

    def sealed(self, name: str) -> bytes:
        """The sealed password; raises UsageError when there is no such account."""
        account = self.get(name)
        row = self._database.read().execute(
            "SELECT sealed FROM account WHERE name = ?", (account.name,)
        )
        return bytes(row.fetchone()[0])

    def any(self) -> bool:
        """Whether there is an account at all."""
        return self._database.read().execute("SELECT 1 FROM account").fetchone() is not None

    def add(self, account: Account, seal: Callable[[], bytes], created: datetime) -> Account:
        """The account as added; raises UsageError when the name is taken.

        ``seal`` is called before the row exists, when ``any()`` still speaks of the others.
        """
        with self._database.write() as connection:
            taken = self.find(account.name)
            if taken is not None:
                raise UsageError(f"there is an account {taken.name} already")
            connection.execute(
                f"INSERT INTO account ({_COLUMNS}, sealed) "  # noqa: S608 - a constant
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*_row(replace(account, created=created)), seal()),
            )
            self._name_maildrop(account)
        return self.get(account.name)

    def update(self, account: Account, sealed: bytes | None) -> None:
        """Replace all but name and creation; the password only when one is given."""
        with self._database.write() as connection:
            before = self.get(account.name)
            values = _row(replace(account, name=before.name, created=before.created))
            connection.execute(
                "UPDATE account SET person = ?, protocol = ?, host = ?, port = ?, tls = ?, "
                "user = ?, every_s = ?, remove_after_days = ?, mailboxes = ?, enabled = ?, "
                "created = ?, pin = ?, sealed = coalesce(?, sealed) WHERE name = ?",
                (*values[1:], sealed, before.name),
            )
            self._name_maildrop(replace(account, name=before.name))

    def remove(self, name: str) -> Account:
        """The account that was; raises UsageError."""
        with self._database.write() as connection:
            account = self.get(name)
            connection.execute("DELETE FROM account WHERE name = ?", (account.name,))
        return account

    def request_fetch(self, name: str, now: datetime) -> None:
        """Ask for a run soon; asking twice is asking once. Raises UsageError."""
        account = self.get(name)
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO fetch_request VALUES (?, ?)", (account.name, stamp(now))
            )

    def take_fetch_requests(self) -> list[str]:
        """Accounts somebody asked to fetch, oldest request first; they are asked for no more."""
        asked = "SELECT account FROM fetch_request ORDER BY at, account"
        if not self._database.read().execute(asked).fetchone():
            return []  # nothing written while nobody asks
        with self._database.write() as connection:
            names = [row[0] for row in connection.execute(asked)]
            connection.execute("DELETE FROM fetch_request")
        return names

    def _name_maildrop(self, account: Account) -> None:
        """Give the maildrop its name in the ledger, unless it has had one before."""
        with self._database.write() as connection:
            (before,) = connection.execute(
                "SELECT count(*) FROM maildrop WHERE account = ?", (account.name,)
            ).fetchone()
            ledger = f"{account.name}#{before + 1}" if before else account.name
            connection.execute(
                "INSERT OR IGNORE INTO maildrop VALUES (?, ?, ?, ?, ?)",
                (account.name, account.protocol, account.host, account.user, ledger),
            )


def checked_account(account: Account) -> Account:
    """The account if it can be fetched; raises UsageError naming the field."""
    name = account.name
    if not _NAME.match(name) or name.lower() in RESERVED:
        raise UsageError(
            f"{shown(name)} cannot be an account's name: use 1 to 64 of letters, digits and "
            "._@+-, and none of " + ", ".join(sorted(RESERVED))
        )
    _require(account.protocol in PROTOCOLS, name, "protocol", "imap or pop3", account.protocol)
    _require(account.tls in TLS_WAYS, name, "tls", "implicit, starttls or none", account.tls)
    _require(bool(_HOST.match(account.host)), name, "host", "a host name or address", account.host)
    _require(0 < account.port < 65536, name, "port", "1-65535", account.port)
    usable = 0 < len(account.user) <= 320 and account.user.isprintable()
    _require(usable, name, "user", "the sign-in name at the provider", account.user)
    often = SHORTEST_PERIOD_S <= account.every_s <= 31 * 86400
    _require(often, name, "every", f"{SHORTEST_PERIOD_S} s to 31 days", account.every_s)
    days = account.remove_after_days
    _require(days is None or 0 <= days <= 36500, name, "remove-after", "never or days", days)
    globs = account.mailboxes and all(g and g.isprintable() for g in account.mailboxes)
    _require(bool(globs), name, "mailboxes", "one or more globs", account.mailboxes)
    pinned = account.pin is None or (account.pin.isprintable() and 0 < len(account.pin) <= 4096)
    _require(pinned, name, "pin", "a fingerprint or the path of a PEM file", account.pin)
    return account


def checked_secret(account: str, password: str) -> str:
    """The account's password if a protocol can carry it; raises UsageError."""
    if not password or len(password) > 16384 or any(c in password for c in "\0\r\n"):
        raise UsageError(f"account {account}: the password is empty, too long or has line ends")
    return password


def _require(good: bool, account: str, field: str, wanted: str, given: object) -> None:
    if not good:
        raise UsageError(f"account {account}: {field}: must be {wanted}, is {shown(str(given))}")


def _row(account: Account) -> tuple[Any, ...]:
    assert account.created is not None
    mailboxes = json.dumps(list(account.mailboxes), ensure_ascii=False)
    return (
        *(account.name, account.person, account.protocol, account.host, account.port),
        *(account.tls, account.user, account.every_s, account.remove_after_days),
        *(mailboxes, account.enabled, stamp(account.created), account.pin),
    )


def _account(row: tuple[Any, ...]) -> Account:
    *plain, mailboxes, enabled, at, pin, maildrop = row
    name, person, protocol, host, port, tls, user, every_s, days = plain
    return Account(
        *(name, person, protocol, host, port, tls, user, every_s, days),
        mailboxes=tuple(json.loads(mailboxes)),
        enabled=bool(enabled),
        created=moment(at),
        pin=pin,
        maildrop=maildrop,
    )
