"""The tables of ``household.sqlite3``; a change is a new last entry in ``MIGRATIONS``.

Times are microseconds since 1970 UTC. The audit log refuses UPDATE and DELETE.
"""

from __future__ import annotations

import sqlite3

from appliance.database import Migration, run_script

_TABLES = """
CREATE TABLE person (
    name TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    keeper INTEGER NOT NULL,
    password TEXT NOT NULL,           -- scrypt$ln$r$p$salt$hash
    created INTEGER NOT NULL
) STRICT;
CREATE TABLE device (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    person TEXT NOT NULL REFERENCES person ON DELETE CASCADE,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,             -- SHA-256 of the password
    created INTEGER NOT NULL,
    last_used INTEGER,
    last_peer TEXT NOT NULL DEFAULT '',
    last_client TEXT NOT NULL DEFAULT '',
    UNIQUE (person, name)
) STRICT;
CREATE TABLE address (
    address TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES person ON DELETE CASCADE
) STRICT;
CREATE INDEX address_person ON address (person);
CREATE TABLE account (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    person TEXT NOT NULL REFERENCES person ON DELETE CASCADE,
    protocol TEXT NOT NULL,
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    tls TEXT NOT NULL,
    user TEXT NOT NULL,
    every_s INTEGER NOT NULL,
    remove_after_days INTEGER,        -- NULL = never
    mailboxes TEXT NOT NULL,          -- JSON list of globs
    enabled INTEGER NOT NULL,
    created INTEGER NOT NULL,
    sealed BLOB NOT NULL              -- the password, see secrets.py
) STRICT;
CREATE TABLE fetch_request (
    account TEXT PRIMARY KEY COLLATE NOCASE REFERENCES account ON DELETE CASCADE,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE session (
    digest BLOB PRIMARY KEY,          -- SHA-256 of the token
    person TEXT NOT NULL REFERENCES person ON DELETE CASCADE,
    agent TEXT NOT NULL,
    opened INTEGER NOT NULL,
    seen INTEGER NOT NULL
) STRICT;
CREATE INDEX session_person ON session (person);
CREATE TABLE throttle (
    door TEXT NOT NULL,               -- 'password' or 'device'
    name TEXT NOT NULL,
    network TEXT NOT NULL,
    failures INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (door, name, network)
) STRICT;
CREATE INDEX throttle_last ON throttle (last);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    person TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL,
    link BLOB NOT NULL                -- SHA-256 over the link before and this entry
) STRICT;
CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_never_shrinks BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT
"""


def _create(connection: sqlite3.Connection) -> None:
    run_script(connection, _TABLES)


def _pin(connection: sqlite3.Connection) -> None:
    # The certificate a home server shows: its fingerprint, or its authority's file.
    connection.execute("ALTER TABLE account ADD COLUMN pin TEXT")


def _name_maildrops(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE maildrop (
            account TEXT NOT NULL COLLATE NOCASE,
            protocol TEXT NOT NULL,
            host TEXT NOT NULL COLLATE NOCASE,
            user TEXT NOT NULL,
            ledger TEXT NOT NULL UNIQUE,  -- Origin.account; rows outlive the account
            PRIMARY KEY (account, protocol, host, user)
        ) STRICT
        """
    )
    connection.execute("INSERT INTO maildrop SELECT name, protocol, host, user, name FROM account")


MIGRATIONS: tuple[Migration, ...] = (_create, _pin, _name_maildrops)
