"""An account's way in: what may be configured, signing in, and trying it out."""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from appliance.errors import ApplianceError, CertificateRefused, UsageError
from appliance.fetch.imap import ImapSession
from appliance.fetch.link import OtherCertificate, Stopped, Target, Timeouts, trust
from appliance.fetch.pop3 import Pop3Session
from appliance.fetch.session import Session, Spool
from appliance.household import Account

__all__ = ["AccountTest", "check_account", "open_session", "shown_fingerprint", "test_account"]

_PROTOCOLS: Final = ("imap", "pop3")
_TLS: Final = ("implicit", "starttls", "none")
_TEST_TIMEOUTS: Final = Timeouts(connect_s=15.0, read_s=30.0)


@dataclass(frozen=True, slots=True)
class AccountTest:
    """What a try-out found. ``message`` is one line for a person, also when ``ok``.

    ``messages`` are those in INBOX, None if it was not reached; ``mailboxes`` the names
    that would be fetched; ``warning`` what the owner should know all the same.
    ``fingerprint`` is that of a refused certificate: the owner of the server may compare
    and pin it.
    """

    ok: bool
    message: str
    messages: int | None = None
    mailboxes: tuple[str, ...] = ()
    warning: str | None = None
    fingerprint: str | None = None


def check_account(account: Account) -> None:
    """Raises UsageError, or ConfigError for the pin's file, when it cannot be fetched like this."""
    name = account.name
    if account.protocol not in _PROTOCOLS:
        raise UsageError(f"account {name}: the protocol is imap or pop3, not {account.protocol!r}")
    if account.tls not in _TLS:
        raise UsageError(f"account {name}: tls is implicit, starttls or none, not {account.tls!r}")
    if not account.host.strip():
        raise UsageError(f"account {name}: the host is missing")
    if not 1 <= account.port <= 65535:
        raise UsageError(f"account {name}: the port is a number from 1 to 65535")
    if not account.user:
        raise UsageError(f"account {name}: the user name is missing")
    if account.pin is not None:
        trust(account.pin)
    if account.remove_after_days is not None:
        # Accepting the wish and not doing it would be a lie about somebody's mail.
        raise UsageError(
            f"account {name}: Hauspost does not remove mail from the server in this version; "
            "use --remove-after never"
        )


def insecure(account: Account) -> str | None:
    """The warning for an account that talks in the clear over a network, or None."""
    if account.tls != "none" or _loopback(account.host):
        return None
    return (
        f"account {account.name}: without TLS the password and all mail can be read on the way "
        f"to {account.host}"
    )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_session(
    account: Account,
    password: str,
    spool: Spool,
    timeouts: Timeouts | None = None,
    stop: threading.Event | None = None,
) -> Session:
    """A signed-in session. Raises RemoteError and its kinds, UsageError, ConfigError, Stopped."""
    check_account(account)
    target = Target(account.host, account.port, account.tls, account.pin)
    kind = ImapSession if account.protocol == "imap" else Pop3Session
    return kind.open(target, account.user, password, spool, timeouts, stop)


def test_account(
    account: Account,
    password: str,
    *,
    timeouts: Timeouts | None = None,  # noqa: PT028 - no test of ours: it tests an account
    stop: threading.Event | None = None,  # noqa: PT028 - as above
) -> AccountTest:
    """Connect, sign in, look at INBOX, leave. Never raises for what servers do."""
    # Nothing is retrieved, so nothing is spooled.
    spool = Spool(Path(), 0)
    try:
        session = open_session(account, password, spool, timeouts or _TEST_TIMEOUTS, stop)
    except Stopped:
        return AccountTest(False, "stopped")
    except CertificateRefused as error:
        return AccountTest(False, str(error), fingerprint=shown_fingerprint(account, timeouts))
    except ApplianceError as error:
        return AccountTest(False, str(error), warning=insecure(account))
    try:
        mailboxes = session.mailboxes(account.mailboxes)
        names = tuple(mailbox.name for mailbox in mailboxes)
        messages = len(session.examine(mailboxes[0]).uids) if mailboxes else None
        session.quit()
    except Stopped:
        return AccountTest(False, "stopped")
    except ApplianceError as error:
        return AccountTest(False, f"signed in, but: {error}", warning=insecure(account))
    finally:
        session.close()
    if messages is None:
        return AccountTest(False, "signed in, but no mailbox matches", 0, (), insecure(account))
    many = f"{len(names)} mailboxes" if len(names) != 1 else "1 mailbox"
    message = f"signed in to {account.host}: {many}, {messages} messages in {names[0]}"
    return AccountTest(True, message, messages, names, insecure(account))


def shown_fingerprint(account: Account, timeouts: Timeouts | None = None) -> str | None:
    """The SHA-256 fingerprint of the certificate the account's server shows, or None.

    Pinned to a certificate that nobody has, the connection ends right after the
    handshake: nothing is sent.
    """
    nobodys = replace(account, pin="00" * 32)
    try:
        open_session(nobodys, "", Spool(Path(), 0), timeouts or _TEST_TIMEOUTS).close()
    except OtherCertificate as error:
        return error.fingerprint
    except ApplianceError:
        return None
    return None


# pytest would take it for a test.
test_account.__test__ = False  # type: ignore[attr-defined]  # a mark on a function
