"""IMAPClient over our own Link: limits on what we hold, and errors in our own words.

imaplib reads whatever length a server names and ends a line at 1 000 000 octets; here a literal
above the limit is read past, not held, and a listing of a million messages fits a line. TLS is
the Link's, so IMAPClient never opens a socket and never falls back to plain text.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

from imapclient import IMAPClient  # type: ignore[import-untyped]  # IMAPClient ships no types
from imapclient.response_parser import (  # type: ignore[import-untyped]  # as above
    parse_response,
)

from appliance.errors import (
    ApplianceError,
    CredentialsRejected,
    RemoteError,
    RemoteProtocolError,
    TryLater,
    UsageError,
)
from appliance.fetch.link import Link, Stopped, Target, Timeouts
from appliance.fetch.names import Listed
from appliance.wire.buffer import LineTooLong, ReceiveBuffer

__all__ = ["Client", "Record"]

Record = dict[bytes, Any]
"""One message's FETCH response: item names in upper case → value."""

_LINE_OCTETS: Final = 32 * 1024 * 1024
_ANSWER_OCTETS: Final = 64 * 1024 * 1024
LITERAL_OCTETS: Final = 4 * 1024 * 1024
_SKIP_OCTETS: Final = 64 * 1024 * 1024
_CODE: Final = re.compile(r"\[([A-Z][A-Z0-9-]*)[^\]]*\]\s*")
_LATER: Final = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "OVERQUOTA"})
_LATER_WORDS: Final = re.compile(
    r"too many|try again|temporar|unavailable|not connected|\brate\b|throttl|busy|in use"
    r"|exceeded|bandwidth|overquota",
    re.IGNORECASE,
)
_RECORD_START: Final = re.compile(rb"\d+ \(")


class _Transport(imaplib.IMAP4):
    """imaplib's connection, with our Link for a socket (the hooks that IMAP4_stream uses too)."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._buffer = ReceiveBuffer()
        self._held = 0
        super().__init__()

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """The Link is open already."""

    def read(self, size: int) -> bytes:
        """A literal. One above the limit is read past: b"", and its record cannot be read."""
        if size > _SKIP_OCTETS:
            raise RemoteProtocolError(f"IMAP: the server announces a literal of {size} octets")
        keep = size <= LITERAL_OCTETS
        if keep:
            self._count(size)
        pieces: list[bytes] = []
        rest = size
        while rest:
            if not len(self._buffer):
                self._buffer.feed(self._link.receive())
            piece = self._buffer.take(rest)
            rest -= len(piece)
            if keep:
                pieces.append(piece)
        return b"".join(pieces)

    def readline(self) -> bytes:
        """The next line with its line end."""
        try:
            while (line := self._buffer.line(_LINE_OCTETS)) is None:
                self._buffer.feed(self._link.receive())
        except LineTooLong as error:
            raise RemoteProtocolError(f"IMAP: {error}") from None
        self._count(len(line))
        return line

    def _count(self, octets: int) -> None:
        # A server that never comes to the end of its answer must not fill our memory.
        self._held += octets
        if self._held > _ANSWER_OCTETS:
            raise RemoteProtocolError(
                f"IMAP: the server sent more than {_ANSWER_OCTETS} octets in one answer"
            )

    def send(self, data: Any) -> None:
        """Send a command, or a part of one; a new answer begins."""
        self._held = 0
        self._link.send(bytes(data))

    def shutdown(self) -> None:
        """Close."""
        self._link.close()

    def switch_to_tls(self) -> None:
        """After the OK to STARTTLS. Forgets everything the server said before (RFC 9051 §11.1)."""
        if len(self._buffer):
            raise RemoteProtocolError("IMAP: the server sent octets between STARTTLS and TLS")
        self._link.start_tls()
        self.untagged_responses.clear()
        self._get_capabilities()


class Client(IMAPClient):  # type: ignore[misc]  # its base is untyped
    """IMAPClient as a session needs it. Methods raise RemoteError and its kinds, Stopped."""

    def __init__(self, link: Link, target: Target) -> None:
        self._link = link
        with translated("the greeting"):
            super().__init__(target.host, target.port, ssl=False)
        self.folder_encode = False
        # imaplib formats every line for its log, whether or not anybody reads it.
        self._imap.debug = 0

    @classmethod
    def connect(
        cls, target: Target, timeouts: Timeouts | None, stop: threading.Event | None
    ) -> Client:
        """Connected and, unless ``tls`` is none, inside verified TLS; not signed in."""
        link = Link.connect(target, timeouts, stop)
        try:
            client = cls(link, target)
            if target.tls == "starttls":
                client._start_tls(target)
            return client
        except BaseException:
            link.close()
            raise

    # IMAPClient's own hooks: it neither opens a socket nor sets its timeout.

    def _create_IMAP4(self) -> _Transport:
        return _Transport(self._link)

    def _set_read_timeout(self) -> None:
        pass

    def _start_tls(self, target: Target) -> None:
        # PREAUTH would make us talk in the clear: STARTTLS is then impossible (RFC 9051 §11.1).
        if self._imap.state != "NONAUTH":
            raise RemoteProtocolError(
                f"{target.name}: the server signs us in before TLS (PREAUTH): refused"
            )
        # Asked for whatever CAPABILITY says: a stripped capability must not become plain text.
        with translated("STARTTLS"):
            answer, text = self._imap._simple_command("STARTTLS")
            if answer != "OK":
                raise RemoteError(
                    f"{target.name}: the server refuses STARTTLS ({_said(text)}); the password was "
                    "not sent. Choose implicit TLS if it has it"
                )
            self._imap.switch_to_tls()
        self._starttls_done = True
        self._cached_capabilities = None

    def sign_in(self, user: str, password: str) -> None:
        """Raises CredentialsRejected, TryLater (come back later), UsageError (cannot be sent)."""
        if self._imap.state == "AUTH":
            return  # PREAUTH inside TLS: the server knows us by the connection
        if any(octet in user + password for octet in "\r\n\0") or not user:
            raise UsageError("the user name or the password holds what cannot be sent")
        try:
            if self.has_capability("AUTH=PLAIN"):
                self.plain_login(user, password)
            elif self.has_capability("LOGINDISABLED"):
                raise RemoteError("the server takes no password on this connection: choose TLS")
            elif not (user + password).isascii():
                raise UsageError("the server takes only ASCII in user names and passwords")
            else:
                self.login(_quoted_user(user), password)
        except imaplib.IMAP4.abort as error:
            raise TryLater(f"the server ended the sign-in: {_clean(str(error))}") from None
        except imaplib.IMAP4.error as error:
            raise _sign_in_error(str(error)) from None
        except (ValueError, IndexError, AssertionError) as error:
            raise RemoteProtocolError(f"IMAP: sign-in: {error}") from None
        if self.has_capability("ID"):
            # Some providers (163.com) open no mailbox to a program that does not say its name.
            with contextlib.suppress(imaplib.IMAP4.error), translated("ID"):
                self.id_({"name": "Hauspost"})

    # What a session asks

    def listed(self) -> list[Listed]:
        """LIST "" "*"."""
        with translated("LIST"):
            return [
                Listed(
                    frozenset(_text(attribute) for attribute in attributes or ()),
                    _text(delimiter) if delimiter else None,
                    name if isinstance(name, bytes) else str(name).encode("utf-8"),
                )
                for attributes, delimiter, name in self.list_folders()
            ]

    def personal_prefix(self) -> str:
        """The personal namespace's prefix, as ``INBOX.``; "" without NAMESPACE (RFC 2342)."""
        try:
            with translated("NAMESPACE"):
                if not self.has_capability("NAMESPACE"):
                    return ""
                personal = self.namespace().personal
                return _text(personal[0][0]) if personal else ""
        except (TryLater, RemoteProtocolError):
            raise
        except RemoteError:
            return ""

    def is_gmail(self) -> bool:
        """Whether the server has Gmail's extensions."""
        with translated("CAPABILITY"):
            return bool(self.has_capability("X-GM-EXT-1"))

    def examine(self, raw: bytes) -> Record:
        """EXAMINE: nothing on the server changes by it (RFC 9051 §6.3.3)."""
        quoted = b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        with translated("EXAMINE"):
            self._command_and_check("select", quoted, True)
            found: Record = self._process_select_response(self._imap.untagged_responses)
            return found

    def exists(self) -> int:
        """How many messages the server said last that the open mailbox has."""
        said = self._imap.untagged_responses
        last = said.get("EXISTS", [b"0"])[-1]
        return max(0, (int(last) if last.isdigit() else 0) - len(said.get("EXPUNGE", ())))

    def search_uids(self, criteria: str) -> list[int]:
        """UID SEARCH."""
        with translated("UID SEARCH"):
            return [int(uid) for uid in self.search(criteria)]

    def uid_fetch(self, uids: str, items: str) -> Iterator[Record]:
        """UID FETCH. Left out: records without UID (unsolicited), and unreadable ones."""
        with translated("UID FETCH"):
            answer, data = self._imap.uid("FETCH", uids, items)
            self._checkok("UID FETCH", answer, data)
        for record in _records(data):
            if b"UID" in record:
                yield record

    def farewell(self) -> None:
        """LOGOUT, then close; never raises."""
        with contextlib.suppress(ApplianceError, Stopped, imaplib.IMAP4.error, ValueError):
            self.logout()
        self._link.close()

    def close(self) -> None:
        """Close without LOGOUT."""
        self._link.close()


def _records(data: Sequence[Any]) -> Iterator[Record]:
    """imaplib's pieces, a message at a time, so one that cannot be read spoils no other."""
    pieces: list[Any] = []
    for piece in data:
        if piece is None:
            continue
        pieces.append(piece)
        if isinstance(piece, tuple):
            continue  # a literal: the record goes on
        record = _record(pieces)
        pieces = []
        if record is not None:
            yield record


def _record(pieces: list[Any]) -> Record | None:
    start = pieces[0][0] if isinstance(pieces[0], tuple) else pieces[0]
    if not _RECORD_START.match(start):
        return None
    try:
        parsed = parse_response(pieces)
        items = parsed[1]
        return {bytes(items[n]).upper(): items[n + 1] for n in range(0, len(items), 2)}
    except (imaplib.IMAP4.error, ValueError, IndexError, TypeError):
        return None


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """imaplib's errors as ours: what the other server did, fit for a person."""
    try:
        yield
    except imaplib.IMAP4.abort as error:
        raise TryLater(f"the connection ended at {doing}: {_clean(str(error))}") from None
    except imaplib.IMAP4.error as error:
        text = _clean(str(error))
        kind = TryLater if _LATER_WORDS.search(text) else RemoteError
        raise kind(f"the server refuses {doing}: {text}") from None
    except (ValueError, IndexError, KeyError, TypeError, AssertionError) as error:
        raise RemoteProtocolError(f"IMAP: the answer to {doing} cannot be read ({error})") from None


def _sign_in_error(text: str) -> RemoteError:
    found = _CODE.search(text)
    code = found[1] if found else None
    said = f"the server refuses the sign-in: {_clean(text)}"
    if code in _LATER or (code != "AUTHENTICATIONFAILED" and _LATER_WORDS.search(text)):
        return TryLater(said)
    return CredentialsRejected(said)


def _quoted_user(user: str) -> str:
    # imaplib quotes the password and not the user name.
    return '"' + user.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _clean(text: str) -> str:
    """A server's words without imaplib's wrapping: ``command: SELECT => b'…'``."""
    inner = re.sub(r"^(command: \S+ => |\S+ failed: )+", "", text.strip())
    quoted = re.fullmatch(r"b(['\"])(.*)\1", inner, re.DOTALL)
    return (quoted[2] if quoted else inner).strip() or "no reason"


def _said(data: Any) -> str:
    return _text(data[0]) if data and data[0] else "no reason"


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
