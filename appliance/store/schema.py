"""The catalog's tables. Migrations are a list that only ever grows at its end.

    source     (account, mailbox, uidvalidity) of the ledger, by number
    ledger     what was seen where: source and uid → seq
    volume     how far each volume is durable
    part       where a shared part's record stands
    message    one row a message: where its record stands, and what lists show
    reading    what IMAP asks of every message, ready-made (ENVELOPE, BODYSTRUCTURE)
    place      a message in a mailbox; ``vanished`` what was a place once
    thread_key message-ids → thread

Times are microseconds since 1970. ``modseq`` is one counter for the whole
archive; everybody who follows (IMAP, web, index) reads on from where they were.
The counts in ``mailbox`` are kept by triggers, so that a mailbox tree costs one
row a mailbox however much mail there is.
"""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Final

from appliance.database import Migration, run_script

_TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

CREATE TABLE volume (
    number INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    sealed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE dictionary (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,
    volume INTEGER NOT NULL, at INTEGER NOT NULL, length INTEGER NOT NULL
);
CREATE TABLE part (
    digest BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    volume INTEGER NOT NULL, at INTEGER NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    volume INTEGER NOT NULL, at INTEGER NOT NULL, length INTEGER NOT NULL,
    size INTEGER NOT NULL,
    header_size INTEGER NOT NULL,
    internal_date INTEGER NOT NULL,
    sent INTEGER,
    thread INTEGER NOT NULL,
    has_attachments INTEGER NOT NULL,
    message_id TEXT,
    list_id TEXT,
    subject TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipients TEXT NOT NULL,
    copied TEXT NOT NULL,
    blind TEXT NOT NULL,
    preview TEXT NOT NULL,
    variant BLOB,
    problem TEXT
);
CREATE INDEX message_thread ON message (thread);
CREATE INDEX message_message_id ON message (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX message_variant ON message (variant) WHERE variant IS NOT NULL;

CREATE TABLE reading (
    seq INTEGER PRIMARY KEY REFERENCES message (seq),
    envelope BLOB NOT NULL,
    bodystructure BLOB NOT NULL,
    structure BLOB NOT NULL
);
CREATE TABLE thread_key (key BLOB PRIMARY KEY, thread INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX thread_key_thread ON thread_key (thread);

CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    special_use TEXT,
    uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL DEFAULT 1,
    highestmodseq INTEGER NOT NULL,
    messages INTEGER NOT NULL DEFAULT 0,
    unseen INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    octets INTEGER NOT NULL DEFAULT 0,
    gone INTEGER
);
CREATE UNIQUE INDEX mailbox_name ON mailbox (owner, name) WHERE gone IS NULL;
CREATE TABLE subscription (
    owner TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (owner, name)
) WITHOUT ROWID;

CREATE TABLE place (
    mailbox INTEGER NOT NULL REFERENCES mailbox (id),
    uid INTEGER NOT NULL,
    seq INTEGER NOT NULL REFERENCES message (seq),
    flags INTEGER NOT NULL,
    keywords TEXT NOT NULL,
    modseq INTEGER NOT NULL,
    internal_date INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX place_seq ON place (seq);
CREATE INDEX place_modseq ON place (mailbox, modseq);
CREATE INDEX place_date ON place (mailbox, internal_date, uid);

CREATE TABLE vanished (
    mailbox INTEGER NOT NULL REFERENCES mailbox (id),
    uid INTEGER NOT NULL,
    seq INTEGER NOT NULL REFERENCES message (seq),
    flags INTEGER NOT NULL,
    keywords TEXT NOT NULL,
    modseq INTEGER NOT NULL,
    internal_date INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX vanished_seq ON vanished (seq);
CREATE INDEX vanished_modseq ON vanished (mailbox, modseq);

CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL, mailbox TEXT NOT NULL, uidvalidity INTEGER NOT NULL,
    UNIQUE (account, mailbox, uidvalidity)
);
CREATE TABLE ledger (
    source INTEGER NOT NULL REFERENCES source (id),
    uid TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES message (seq),
    PRIMARY KEY (source, uid)
) WITHOUT ROWID;
CREATE INDEX ledger_seq ON ledger (seq);
CREATE TABLE failure (
    account TEXT NOT NULL, mailbox TEXT NOT NULL, uidvalidity INTEGER NOT NULL, uid TEXT NOT NULL,
    reason TEXT NOT NULL,
    tries INTEGER NOT NULL,
    next_try INTEGER NOT NULL,
    PRIMARY KEY (account, mailbox, uidvalidity, uid)
) WITHOUT ROWID;
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    started INTEGER NOT NULL,
    seconds REAL NOT NULL,
    listed INTEGER NOT NULL, admitted INTEGER NOT NULL, duplicates INTEGER NOT NULL,
    removed INTEGER NOT NULL, octets INTEGER NOT NULL,
    failed TEXT NOT NULL,
    error TEXT
);
CREATE INDEX run_account ON run (account, id);

CREATE TRIGGER place_added AFTER INSERT ON place BEGIN
    UPDATE mailbox SET
        messages = messages + 1,
        unseen = unseen + (NEW.flags & 1 = 0),
        deleted = deleted + (NEW.flags >> 3 & 1),
        octets = octets + (SELECT size FROM message WHERE seq = NEW.seq),
        uidnext = max(uidnext, NEW.uid + 1),
        highestmodseq = max(highestmodseq, NEW.modseq)
    WHERE id = NEW.mailbox;
END;
CREATE TRIGGER place_flagged AFTER UPDATE OF flags, keywords, modseq ON place BEGIN
    UPDATE mailbox SET
        unseen = unseen + (NEW.flags & 1 = 0) - (OLD.flags & 1 = 0),
        deleted = deleted + (NEW.flags >> 3 & 1) - (OLD.flags >> 3 & 1),
        highestmodseq = max(highestmodseq, NEW.modseq)
    WHERE id = NEW.mailbox;
END;
CREATE TRIGGER place_taken AFTER DELETE ON place BEGIN
    UPDATE mailbox SET
        messages = messages - 1,
        unseen = unseen - (OLD.flags & 1 = 0),
        deleted = deleted - (OLD.flags >> 3 & 1),
        octets = octets - (SELECT size FROM message WHERE seq = OLD.seq)
    WHERE id = OLD.mailbox;
END;
CREATE TRIGGER vanished_added AFTER INSERT ON vanished BEGIN
    UPDATE mailbox SET highestmodseq = max(highestmodseq, NEW.modseq) WHERE id = NEW.mailbox;
END;
"""


def _first(connection: sqlite3.Connection) -> None:
    run_script(connection, _TABLES)
    connection.executemany(
        "INSERT INTO meta (key, value) VALUES (?, ?)",
        [
            ("archive_id", os.urandom(16)),
            ("modseq", 1),
            ("uidvalidity", int(time.time())),
            ("dictionary", 0),
        ],
    )


MIGRATIONS: Final[tuple[Migration, ...]] = (_first,)
