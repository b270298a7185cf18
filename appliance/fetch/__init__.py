"""The doors we go out of: POP3 and IMAP accounts, fetched into the archive.

    link.py          a socket: TCP, verified TLS, time limits, stopping
    session.py       what both protocols answer: mailboxes, uids, messages; the spool
    pop3.py          … over the POP3 machine of wire
    imap.py          … over IMAPClient; imap_client.py limits what a server may make us hold
    names.py         the provider's mailbox names → ours
    connection.py    an account's settings → a session; the try-out
    intake.py        messages → batches → ``archive.admit``
    run.py           one run of one account, through lost connections and bad messages
    backoff.py       how long an account that keeps failing is left in peace
    fetcher.py       all accounts side by side, one run at a time each
    progress.py      what is going on, for every process to read
    discover.py  providers.toml      an address → its provider's servers

There is no cursor: what to fetch is what the server lists minus what the ledger knows,
by the whole remote identity (account, mailbox, uidvalidity, uid). A run may be killed
anywhere. Nothing on a server is ever changed: no flag, no message.
"""

from appliance.fetch.backoff import resting_until
from appliance.fetch.connection import (
    AccountTest,
    check_account,
    insecure,
    shown_fingerprint,
    test_account,
)
from appliance.fetch.discover import Preset, hint_for, presets, presets_for
from appliance.fetch.fetcher import AccountLock, Fetcher
from appliance.fetch.progress import Progress, ProgressBoard
from appliance.fetch.run import LIMIT_OCTETS, Patience, run_account

__all__ = [
    "LIMIT_OCTETS",
    "AccountLock",
    "AccountTest",
    "Fetcher",
    "Patience",
    "Preset",
    "Progress",
    "ProgressBoard",
    "check_account",
    "hint_for",
    "insecure",
    "presets",
    "presets_for",
    "resting_until",
    "run_account",
    "shown_fingerprint",
    "test_account",
]
