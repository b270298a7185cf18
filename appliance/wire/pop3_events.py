"""What a POP3 server says, as values (RFC 1939, RFC 2449).

``command`` in an event is the keyword the server answers, "" for the greeting;
``msn`` the message number, where the command had one. Texts are for people:
UTF-8, and what is not is shown escaped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from appliance.errors import CredentialsRejected, RemoteError, TryLater


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first line. ``apop_challenge`` is the timestamp ``<…>`` or None (RFC 1939 §7)."""

    text: str
    apop_challenge: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ok:
    """+OK to a command that has no values of its own."""

    command: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Err:
    """-ERR. ``code``: the response code in upper case, as IN-USE, SYS/TEMP (RFC 2449 §8)."""

    command: str
    text: str = ""
    code: str | None = None
    msn: int | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """``+``: the server wants a response to AUTH; base64 undone (RFC 5034)."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capability list: name in upper case → its arguments as written (RFC 2449 §5)."""

    entries: dict[str, tuple[str, ...]]

    def __contains__(self, name: str) -> bool:
        return name in self.entries


@dataclass(frozen=True, slots=True)
class MaildropStatus:
    """STAT: how many messages, how many octets."""

    count: int
    octets: int


@dataclass(frozen=True, slots=True)
class Listing:
    """LIST: (message number, size in octets) in the server's order.

    ``malformed`` are lines that are no scan listing, as they came: the rest
    of the maildrop can be fetched all the same.
    """

    entries: tuple[tuple[int, int], ...]
    malformed: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class UniqueIds:
    """UIDL: (message number, unique-id) in the server's order.

    A unique-id is octets 0x21–0x7E (RFC 1939 §7); whatever else a server sends
    is kept one character an octet (Latin-1), so it compares as it came.
    """

    entries: tuple[tuple[int, str], ...]
    malformed: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageChunk:
    """Octets of a message, byte-stuffing undone; at least one. RETR or TOP of ``msn``."""

    msn: int
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """The message is complete: its chunks together are its octets, ``octets_total`` of them."""

    msn: int
    octets_total: int


Event = (
    Greeting
    | Ok
    | Err
    | Challenge
    | Capabilities
    | MaildropStatus
    | Listing
    | UniqueIds
    | MessageChunk
    | MessageEnd
)

_SIGNING_IN: Final = frozenset({"USER", "PASS", "APOP", "AUTH"})
_LATER: Final = frozenset({"IN-USE", "LOGIN-DELAY", "SYS/TEMP"})
# Servers older than RFC 2449 say it in words: UW, Dovecot, Exchange, GMX, Courier.
_LATER_WORDS: Final = re.compile(
    r"\block(ed)?\b|in use|again in|later|too (many|often|frequent)|temporar|busy|already|exceeded"
    r"|wait|unavailable|not available|internal|timed? ?out|maintenance|overload",
    re.IGNORECASE,
)


def refusal(err: Err) -> RemoteError:
    """The error an -ERR means, by its response code and, without one, by what it answers.

    ``AUTH`` says the credentials are wrong, ``SYS/PERM`` that the owner must ask
    the provider (RFC 3206); IN-USE, LOGIN-DELAY and SYS/TEMP pass by themselves.
    """
    asked, reason = err.command or "our connection", err.text or "no reason"
    what = f"the server answered {asked} with -ERR: {reason}"
    if err.code in _LATER:
        return TryLater(what)
    if err.code == "AUTH":
        return CredentialsRejected(what)
    if err.code is None and _LATER_WORDS.search(err.text):
        return TryLater(what)
    if err.code is None and err.command in _SIGNING_IN:
        return CredentialsRejected(what)
    # Before the greeting there was nobody to refuse: a server that is not ready yet.
    return TryLater(what) if not err.command else RemoteError(what)
