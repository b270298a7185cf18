"""Addresses that mail comes in for, and whose they are.

Every person has ``name@domain`` without asking; further addresses are a table.
Local parts are compared without regard to case: RFC 5321 §2.4 leaves that to
the receiving host, and nobody in a household is Anna but not anna.
"""

from __future__ import annotations

import re
import unicodedata

from appliance.database import Database
from appliance.errors import UsageError
from appliance.household.people import People
from appliance.household.text import scrubbed, shown

_LOCAL_PART = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,64}\Z")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z")


class Addresses:
    """The table of addresses."""

    def __init__(self, database: Database, people: People) -> None:
        self._database = database
        self._people = people

    def add(self, person: str, address: str) -> str:
        """The address as it is kept; raises UsageError when malformed or somebody else's."""
        kept = checked_address(address)
        self._people.get(person)
        with self._database.write() as connection:
            owner = self._owner(kept)
            if owner not in (None, person):
                raise UsageError(f"{kept} belongs to {owner} already")
            connection.execute(
                "INSERT OR IGNORE INTO address (address, person) VALUES (?, ?)", (kept, person)
            )
        return kept

    def of(self, person: str) -> list[str]:
        """A person's further addresses, sorted."""
        rows = self._database.read().execute(
            "SELECT address FROM address WHERE person = ? ORDER BY address", (person,)
        )
        return [row[0] for row in rows]

    def remove(self, address: str) -> str:
        """The person it belonged to; raises UsageError when nobody has it."""
        kept = checked_address(address)
        with self._database.write() as connection:
            owner = self._owner(kept)
            if owner is None:
                raise UsageError(f"nobody has the address {kept}")
            connection.execute("DELETE FROM address WHERE address = ?", (kept,))
        return owner

    def owner_of(self, address: str, domain: str) -> str | None:
        """Whose mail this is, or None. ``anna+shop@…`` is anna's (a detail, RFC 5233)."""
        local_part, at, host = _split(address)
        if local_part == "postmaster" and host in ("", domain.lower()):
            # RFC 5321 §4.5.1: postmaster is always there, with and without a domain.
            return self._named("postmaster") or self._keeper()
        if not at:
            return None
        for candidate in dict.fromkeys((local_part, local_part.partition("+")[0])):
            # A name comes before the table: nobody can take name@domain from its person.
            owner = self._named(candidate) if host == domain.lower() else None
            owner = owner or self._owner(f"{candidate}@{host}")
            if owner is not None:
                return owner
        return None

    def sign_in_names(self, login: str) -> tuple[str, ...]:
        """Whom a mail program may mean: a name, one of their addresses, or name@anything."""
        local_part, at, host = _split(login)
        meant = (self._owner(f"{local_part}@{host}") if at else None, self._named(local_part))
        return tuple(dict.fromkeys(filter(None, meant)))

    def _owner(self, kept: str) -> str | None:
        row = (
            self._database.read()
            .execute("SELECT person FROM address WHERE address = ?", (kept,))
            .fetchone()
        )
        return str(row[0]) if row else None

    def _named(self, name: str) -> str | None:
        person = self._people.find(name)
        return person.name if person else None

    def _keeper(self) -> str | None:
        keeper = self._people.keeper()
        return keeper.name if keeper else None


def checked_address(address: str) -> str:
    """``local_part@domain`` in lower case, the domain as A-labels; raises UsageError."""
    local_part, at, host = _split(address)
    labels = host.split(".")
    if not (at and _LOCAL_PART.match(local_part) and len(host) <= 253):
        raise UsageError(f"{shown(address)} is not a mail address such as anna@example.org")
    if local_part.startswith(".") or local_part.endswith(".") or ".." in local_part:
        raise UsageError(f"{shown(address)}: a dot neither begins nor ends the name nor repeats")
    if not all(_LABEL.match(label) for label in labels):
        raise UsageError(f"{shown(address)}: {shown(host)} is not a domain such as example.org")
    return f"{local_part}@{host}"


def _split(address: str) -> tuple[str, str, str]:
    """Local part, "@" or "", domain: each as it is compared."""
    text = unicodedata.normalize("NFC", scrubbed(address.strip(), 1024))
    local_part, at, host = text.rpartition("@") if "@" in text else (text, "", "")
    if len(local_part) > 1 and local_part[0] == local_part[-1] == '"':
        # RFC 5321 §4.1.2: a quoted local part is equivalent to the same without quotes.
        local_part = re.sub(r"\\(.)", r"\1", local_part[1:-1])
    return local_part.lower(), at, _a_labels(host.lower().rstrip("."))


def _a_labels(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host
