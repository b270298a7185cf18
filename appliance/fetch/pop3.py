"""A POP3 session (RFC 1939): list by unique-id, retrieve, leave everything on the server.

What a message is called for ever is its unique-id. Where the server has none
(UIDL is optional, RFC 1939 §7) or gives the same one twice, the message
is named by its header section (TOP) and size, and where that is not to be
had either, by the digest of its octets once it has come. A message number is
never a name: it belongs to one session.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from appliance.errors import ApplianceError, RemoteError, RemoteProtocolError
from appliance.fetch.link import Link, Stopped, Target, Timeouts
from appliance.fetch.session import (
    Answer,
    Incoming,
    Opened,
    Refused,
    RemoteMailbox,
    Spool,
    TooLarge,
    too_large,
)
from appliance.wire.pop3 import Pop3Machine, sasl_plain
from appliance.wire.pop3_events import (
    Capabilities,
    Challenge,
    Err,
    Event,
    Greeting,
    Listing,
    MessageChunk,
    MessageEnd,
    Ok,
    UniqueIds,
    refusal,
)

__all__ = ["Pop3Session"]

INBOX: Final = RemoteMailbox("INBOX", "INBOX", b"INBOX")
_WINDOW_MESSAGES: Final = 64
_WINDOW_OCTETS: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Entry:
    """One message of the maildrop in this session."""

    msn: int
    size: int


class Pop3Session:
    """Signed in to one maildrop; a ``Session``."""

    def __init__(self, link: Link, spool: Spool) -> None:
        self._link = link
        self._spool = spool
        self._machine = Pop3Machine()
        self._events: Iterator[Event] = iter(())
        self._capabilities = Capabilities({})
        self._entries: dict[str, _Entry] = {}
        self._unnamed: frozenset[str] = frozenset()
        self.greeting = ""

    @classmethod
    def open(
        cls,
        target: Target,
        user: str,
        password: str,
        spool: Spool,
        timeouts: Timeouts | None = None,
        stop: threading.Event | None = None,
    ) -> Pop3Session:
        """Connect, sign in. Raises CredentialsRejected, TryLater, CertificateRefused, Stopped."""
        session = cls(Link.connect(target, timeouts, stop), spool)
        try:
            session._greet(target)
            session._sign_in(user, password)
        except BaseException:
            session.close()
            raise
        return session

    def _greet(self, target: Target) -> None:
        match self._next():
            case Greeting(text=text):
                self.greeting = text
            case Err() as err:
                raise refusal(err)
            case event:
                raise _unexpected(event)
        if target.tls == "starttls":
            # Asked for whatever CAPA says: a stripped capability must not become plain text.
            answer = self._ask(self._machine.send_stls())
            if isinstance(answer, Err):
                raise RemoteError(
                    f"{target.name}: the server refuses STLS ({answer.text}); "
                    "the password was not sent. Choose implicit TLS if it has it"
                )
            self._link.start_tls()
            self._machine.tls_started()
        self._learn_capabilities()

    def _learn_capabilities(self) -> None:
        answer = self._ask(self._machine.send_capa())
        if isinstance(answer, Capabilities):
            self._capabilities = answer

    def _sign_in(self, user: str, password: str) -> None:
        mechanisms = {name.upper() for name in self._capabilities.entries.get("SASL", ())}
        if "PLAIN" in mechanisms and "USER" not in self._capabilities:
            self._sign_in_plain(user, password)
        else:
            self._accepted(self._ask(self._machine.send_user(user)))
            self._accepted(self._ask(self._machine.send_pass(password)))
        # What a server can do may change with signing in (RFC 2449 §5); so may PIPELINING.
        self._learn_capabilities()

    def _sign_in_plain(self, user: str, password: str) -> None:
        answer = self._ask(self._machine.send_auth("PLAIN"))
        if isinstance(answer, Challenge):
            answer = self._ask(self._machine.send_response(sasl_plain(user, password)))
        self._accepted(answer)

    # Listing

    def mailboxes(self, globs: Sequence[str] = ()) -> Sequence[RemoteMailbox]:
        """POP3 has one maildrop; it is our INBOX."""
        return [INBOX]

    def examine(self, mailbox: RemoteMailbox = INBOX) -> Opened:
        """The maildrop by lasting names, newest (highest message number) first."""
        answer = self._ask(self._machine.send_list())
        if not isinstance(answer, Listing):
            raise _error(answer)
        sizes = dict(answer.entries)
        names = self._unique_ids()
        repeated = {name for name, count in Counter(names.values()).items() if count > 1}
        by_content = [m for m in sizes if m not in names or names[m] in repeated]
        names |= self._names_by_header(by_content, sizes, names)
        self._entries = {name: _Entry(m, sizes[m]) for m, name in names.items() if m in sizes}
        nameless = {_placeholder(m): _Entry(m, sizes[m]) for m in sizes if m not in names}
        self._entries |= nameless
        self._unnamed = frozenset(nameless)
        newest_first = sorted(self._entries, key=lambda name: -self._entries[name].msn)
        doubt = None
        if answer.malformed:
            doubt = f"the server's listing has {len(answer.malformed)} lines that cannot be read"
        return Opened(0, newest_first, self._unnamed, doubt)

    def _unique_ids(self) -> dict[int, str]:
        answer = self._ask(self._machine.send_uidl())
        if isinstance(answer, UniqueIds):
            return dict(answer.entries)
        return {}

    def _names_by_header(
        self, msns: Sequence[int], sizes: dict[int, int], unique_ids: dict[int, str]
    ) -> dict[int, str]:
        """Names made of the header section's digest and the size.

        Messages with one unique-id and one such name are copies of one message: RFC 1939
        §7 allows that. Without a unique-id, two that come out the same may differ in
        their bodies: they get no name here, so each is fetched and compared whole.
        """
        found = {
            msn: f"top:{digest[:40]}:{sizes[msn]}"
            for msn, digest in self._header_digests(msns)
            if digest is not None
        }
        counts = Counter(name for msn, name in found.items() if msn not in unique_ids)
        names = {msn: name for msn, name in found.items() if counts[name] <= 1}
        for msn in msns:
            if msn not in names:
                unique_ids.pop(msn, None)
        return names

    def _header_digests(self, msns: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        for window in self._windows([_Entry(msn, 0) for msn in msns], alone=False):
            self._send(b"".join(self._machine.send_top(entry.msn, 0) for entry in window))
            for entry in window:
                digest = hashlib.sha256()
                while isinstance(event := self._next(), MessageChunk):
                    digest.update(event.octets)
                whole = isinstance(event, MessageEnd) and event.octets_total > 0
                yield entry.msn, digest.hexdigest() if whole else None

    # Retrieving

    def retrieve(self, uids: Sequence[str], *, alone: bool = False) -> Iterator[Answer]:
        """As ``Session.retrieve``; several RETR are under way where the server says PIPELINING."""
        asked: dict[int, str] = {}
        for uid in uids:
            entry = self._entries[uid]
            if entry.size > self._spool.limit_octets:
                yield Refused(uid, too_large(self._spool.limit_octets, entry.size))
            else:
                asked[entry.msn] = uid
        entries = [self._entries[uid] for uid in asked.values()]
        for window in self._windows(entries, alone):
            self._send(b"".join(self._machine.send_retr(entry.msn) for entry in window))
            for entry in window:
                yield self._message(asked[entry.msn])

    def _message(self, uid: str) -> Answer:
        digest = hashlib.sha256() if uid in self._unnamed else None
        overflow: str | None = None
        dropped = 0
        with self._spool.incoming() as incoming:
            while isinstance(event := self._next(), MessageChunk):
                if digest is not None:
                    digest.update(event.octets)
                if overflow is None:
                    overflow = _take(incoming, event.octets)
                    continue
                # RETR cannot be taken back: read on to its end, but not for ever.
                dropped += len(event.octets)
                if dropped > self._spool.limit_octets:
                    raise RemoteProtocolError(f"POP3: {overflow}, and its end does not come")
            if isinstance(event, Err):
                return Refused(uid, f"the server refuses the message: {event.text or 'no reason'}")
            if not isinstance(event, MessageEnd):
                raise _unexpected(event)
            if overflow is not None:
                return Refused(uid, overflow)
            if not incoming.size:
                return Refused(uid, "the server lists the message and hands out no octets (yet)")
            lasting = f"sha256:{digest.hexdigest()[:56]}" if digest is not None else uid
            return incoming.arrived(uid, lasting)

    def _windows(self, entries: Iterable[_Entry], alone: bool) -> Iterator[list[_Entry]]:
        """What is asked for at once; one by one without PIPELINING (RFC 2449 §6.6)."""
        most = 1 if alone or "PIPELINING" not in self._capabilities else _WINDOW_MESSAGES
        window: list[_Entry] = []
        octets = 0
        for entry in entries:
            if window and (len(window) >= most or octets + entry.size > _WINDOW_OCTETS):
                yield window
                window, octets = [], 0
            window.append(entry)
            octets += entry.size
        if window:
            yield window

    # Talking

    def _send(self, octets: bytes) -> None:
        # The machine wants its events taken before more is sent; there are none left by now,
        # and octets that nobody asked for are refused here.
        extra = next(self._events, None)
        if extra is not None:
            raise _unexpected(extra)
        self._link.send(octets)

    def _next(self) -> Event:
        while True:
            event = next(self._events, None)
            if event is not None:
                return event
            self._events = self._machine.receive(self._link.receive())

    def _ask(self, octets: bytes) -> Event:
        self._send(octets)
        return self._next()

    def _accepted(self, answer: Event) -> None:
        if not isinstance(answer, Ok):
            raise _error(answer)

    def quit(self) -> None:
        """QUIT, so the server leaves TRANSACTION in order (RFC 1939 §6); nothing was marked."""
        with contextlib.suppress(ApplianceError, Stopped):
            self._ask(self._machine.send_quit())
        self.close()

    def close(self) -> None:
        """Close without QUIT."""
        self._link.close()


def _take(incoming: Incoming, octets: bytes) -> str | None:
    """None, or why the message cannot be taken."""
    try:
        incoming.write(octets)
    except TooLarge as error:
        return str(error)
    return None


def _placeholder(msn: int) -> str:
    # A space cannot stand in a unique-id (RFC 1939 §7), so this is never taken for one.
    return f"message {msn}"


def _error(answer: Event) -> RemoteError:
    return refusal(answer) if isinstance(answer, Err) else _unexpected(answer)


def _unexpected(event: Event) -> RemoteProtocolError:
    return RemoteProtocolError(f"POP3: the server answered {type(event).__name__} out of order")
