"""What the rooms of the store share: one catalog, one set of volumes, one bell."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from appliance.bell import Bell
from appliance.database import Database, moment
from appliance.errors import StoreError
from appliance.mail.types import Mailbox, Place, Seq, Uid
from appliance.store.codec import Codecs
from appliance.store.errors import NoSuchMailbox, NotAllowed
from appliance.store.schema import MIGRATIONS
from appliance.store.values import flags_of
from appliance.store.volume import Location, Volumes, volume_numbers

ALL_MAIL: Final = "\\All"
PLACE: Final = "mailbox, uid, seq, flags, keywords, modseq, internal_date"
_MAILBOX: Final = (
    "id, owner, name, special_use, uidvalidity, uidnext, highestmodseq, EXISTS (SELECT 1 FROM "
    "subscription s WHERE s.owner = mailbox.owner AND s.name = mailbox.name)"
)


class Room:
    """The base of the archive's rooms; each adds the verbs of one noun."""

    def __init__(self, root: Path, bell: Bell | None = None) -> None:
        self.root = root
        self._bell = bell
        directory = root / "volumes"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        catalog = root / "catalog.sqlite3"
        # A new one would show everybody empty mailboxes, and their programs would believe it.
        if volume_numbers(directory) and not catalog.exists():
            raise StoreError(f"{catalog}: the catalog is gone; bring it back from a backup")
        self._db = Database(catalog, MIGRATIONS)
        self._volumes = Volumes(directory)
        self._codecs = Codecs(self._dictionary)

    def close(self) -> None:
        """Close files and connections."""
        self._volumes.close()
        self._db.close()

    def modseq(self) -> int:
        """The newest change anywhere in the archive; cheap, for those who poll."""
        (modseq,) = self._db.read().execute("SELECT value FROM meta WHERE key='modseq'").fetchone()
        return int(modseq)

    def mailbox(self, owner: str, name: str) -> Mailbox:
        """A mailbox by its name; raises NoSuchMailbox."""
        name = mailbox_name(name)
        row = (
            self._db.read()
            .execute(
                f"SELECT {_MAILBOX} FROM mailbox WHERE owner=? AND name=? AND gone IS NULL",
                (owner, name),
            )
            .fetchone()
        )
        if row is None:
            raise NoSuchMailbox(name)
        return _mailbox(row)

    def mailboxes(self, owner: str) -> list[Mailbox]:
        """An owner's mailboxes, INBOX first, then by name."""
        rows = self._db.read().execute(
            f"SELECT {_MAILBOX} FROM mailbox WHERE owner=? AND gone IS NULL "
            "ORDER BY name <> 'INBOX', name",
            (owner,),
        )
        return [_mailbox(row) for row in rows]

    def _mailbox_of(self, mailbox: int) -> Mailbox:
        row = (
            self._db.read()
            .execute(f"SELECT {_MAILBOX} FROM mailbox WHERE id=? AND gone IS NULL", (mailbox,))
            .fetchone()
        )
        if row is None:
            raise NoSuchMailbox(str(mailbox))
        return _mailbox(row)

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell.ring()

    def _dictionary(self, number: int) -> bytes:
        row = (
            self._db.read()
            .execute("SELECT volume, at, length FROM dictionary WHERE number=?", (number,))
            .fetchone()
        )
        if row is None:
            raise NotAllowed(f"the archive has no dictionary {number}")
        header, payload = self._volumes.payload(Location(*row))
        return self._codecs.unpack(header.codec, 0, payload, header.size)


def next_modseq(tx: sqlite3.Connection) -> int:
    """A new modseq; one for everything a transaction changes."""
    (modseq,) = tx.execute(
        "UPDATE meta SET value = value + 1 WHERE key = 'modseq' RETURNING value"
    ).fetchone()
    return int(modseq)


def place_of(row: tuple[int, int, int, int, str, int, int]) -> Place:
    """The Place of a row selected as ``PLACE``."""
    mailbox, uid, seq, flags, keywords, modseq, date = row
    return Place(mailbox, Uid(uid), Seq(seq), flags_of(flags, keywords), modseq, moment(date))


def mailbox_name(name: str) -> str:
    """The name as we keep it: INBOX in upper case, also above its children (RFC 9051 §5.1)."""
    first, slash, rest = name.partition("/")
    if first.upper() == "INBOX":
        name = "INBOX" + slash + rest
    if not name or name[0] == "/" or name[-1] == "/" or "//" in name:
        raise NotAllowed(f"{name!r} cannot be a mailbox: a level of its name is empty")
    if len(name.encode("utf-8", "surrogatepass")) > 1000:
        raise NotAllowed("a mailbox name may have 1000 octets at most")
    if any(
        ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) < 0xE000 for letter in name
    ):
        raise NotAllowed(f"{name!r} cannot be a mailbox: it has a control character")
    return name


def _mailbox(row: tuple[int, str, str, str | None, int, int, int, int]) -> Mailbox:
    return Mailbox(*row[:7], subscribed=bool(row[7]))
