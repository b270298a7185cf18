"""What must survive a power cut.

    <root>/volumes/00000001.hpv   append-only records; sealed files never change
    <root>/catalog.sqlite3        messages, places, mailboxes, ledger

Octets are written once, to a volume, and made durable (``fdatasync``) before the
catalog row that names them commits (WAL, ``synchronous=FULL``), and that commit
comes before anything is acknowledged to a server or a mail program. A record
without a row is litter that the next writer reads in again or cuts off; a row
without its record would be loss, and cannot happen in this order.

The catalog can be rebuilt from the volumes: ``receipt`` records say where each
message was found and where it was put. Removing takes places away, never octets.
"""

from appliance.store.errors import MailboxExists, NoSuchMailbox, NotAllowed
from appliance.store.store import Archive
from appliance.store.values import (
    Changes,
    Copied,
    Damage,
    Failure,
    FlagChange,
    FlagResult,
    Listed,
    MailboxStatus,
    Message,
    Removed,
    Snapshot,
    Totals,
    VerifyReport,
)

__all__ = [
    "Archive",
    "Changes",
    "Copied",
    "Damage",
    "Failure",
    "FlagChange",
    "FlagResult",
    "Listed",
    "MailboxExists",
    "MailboxStatus",
    "Message",
    "NoSuchMailbox",
    "NotAllowed",
    "Removed",
    "Snapshot",
    "Totals",
    "VerifyReport",
]
