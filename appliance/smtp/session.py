"""One client's conversation: aiosmtpd's commands, our DATA, our words.

aiosmtpd 1.4.6 gathers a DATA line without CRLF in memory whatever the size
limit, refuses lines over 1 001 octets, keeps the whole message in memory and
cuts a transfer that takes more than its five minutes. ``smtp_DATA`` is ours
for these reasons. The other changes: enhanced status codes on every reply (RFC
2034), no AUTH, limits per client rather than per process.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import re
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import AnyStr, Protocol

from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException, syntax

from appliance.errors import ApplianceError
from appliance.smtp.dots import DotStuffed
from appliance.smtp.incoming import Incoming
from appliance.smtp.trace import Transaction

IDLE_S = 300.0
"""RFC 5321 §4.5.3.2.7: a server waits five minutes for a command at least."""
STORING_S = 600.0
"""RFC 5321 §4.5.3.2.6: how long a client waits for our answer after the data."""
RECIPIENTS_LIMIT = 100
"""RFC 5321 §4.5.3.1.8: at least that many."""
COMMANDS_LIMIT = {"MAIL": 1000, "RCPT": 5000, "DATA": 1000, "RSET": 1000, "NOOP": 1000, "*": 50}
STRANGERS_LIMIT = 20
"""Recipients nobody knows, before the conversation ends: somebody is trying names."""
_GRACE_S = 600.0
_SLOWEST_OCTETS_PER_S = 4096
_EXCESS_OCTETS = 64 << 20
"""How much of an oversized message is read and thrown away, so that the client hears why."""
_READ_OCTETS = 1 << 22
_COMMAND_OCTETS = 2048
_PATH_LIMIT = 512
"""RFC 5321 §4.5.3.1.3 has 256; some senders' bounce addresses are longer."""
_REPLY = re.compile(r"([245]\d\d) (?!\d\.\d)")
_ENHANCED = {
    "220": "2.0.0",
    "221": "2.0.0",
    "250": "2.0.0",
    "252": "2.1.5",
    "421": "4.3.2",
    "451": "4.3.0",
    "452": "4.3.1",
    "454": "4.7.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "530": "5.7.0",
    "552": "5.3.4",
    "553": "5.1.3",
    "554": "5.0.0",
    "555": "5.5.4",
}
_log = logging.getLogger("hauspost.smtp")


def new_queue_id() -> str:
    """The time and 48 random bits: no two messages ever share one."""
    return f"{int(time.time()):x}{secrets.token_hex(6)}"


class Desk(Protocol):
    """What a conversation asks of the house."""

    def owner_of(self, address: str) -> str | None:
        """Whose mail it is, or None."""

    def is_ours(self, address: str) -> bool:
        """Whether the address is in our domain (then it is unknown, not relaying)."""

    def has_room(self, size: int) -> bool:
        """Whether the disk can take a message of that size."""

    def begin(self, queue_id: str, transaction: Transaction) -> Incoming:
        """Where the message goes."""

    def store(
        self, queue_id: str, transaction: Transaction, incoming: Incoming
    ) -> asyncio.Future[str]:
        """The reply, after the message is durable or could not be kept; closes ``incoming``."""

    def enter(self, talk: Talk, peer: str) -> bool:
        """Whether there is room for one more client from there."""

    def leave(self, talk: Talk, peer: str) -> None:
        """The client has gone."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How we present ourselves and what we allow."""

    domain: str
    message_limit_octets: int
    tls: ssl.SSLContext | None
    idle_s: float = IDLE_S
    clock_s: Callable[[], float] = time.monotonic


class Talk(SMTP):
    """A connection."""

    # The reader's limit too: how much waits in memory before the client is held back.
    line_length_limit = 128 * 1024

    def __init__(
        self, desk: Desk, manner: Manner, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(
            Answers(desk, manner),
            data_size_limit=manner.message_limit_octets,
            enable_SMTPUTF8=True,
            hostname=manner.domain,
            ident="Hauspost",
            tls_context=manner.tls,
            timeout=manner.idle_s,
            command_call_limit=dict(COMMANDS_LIMIT),
            loop=loop,
        )
        # aiosmtpd keeps these on the class: one client's EHLO changed everybody's limits.
        self.command_size_limits = collections.defaultdict(lambda: _COMMAND_OCTETS)
        self.command_size_limit = _COMMAND_OCTETS
        del self._smtp_methods["AUTH"]
        self._desk = desk
        self._manner = manner
        self._enhanced = False
        self._peer: str | None = None
        self.storing = False
        """Whether a message is being made durable right now."""

    # A method and no properties: aiosmtpd reads every attribute before there is a session.
    def transaction(self) -> Transaction:
        """What has been agreed so far."""
        assert self.envelope is not None
        assert self.session is not None
        path = self.envelope.mail_from or ""
        return Transaction(
            reverse_path="" if path == "<>" else path,
            recipients=tuple(self.envelope.rcpt_tos),
            helo=self.session.host_name or "",
            peer=self._peer or "",
            extended=self.session.extended_smtp,
            encrypted=self._tls_protocol is not None,
            utf8=self.envelope.smtp_utf8,
        )

    # -- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come, or has switched to TLS."""
        if self._peer is None:
            name = transport.get_extra_info("peername")
            peer = str(name[0]) if isinstance(name, tuple) and name else ""
            if not self._desk.enter(self, peer):
                assert isinstance(transport, asyncio.WriteTransport)
                transport.write(b"421 4.7.0 Too many connections; try again later\r\n")
                transport.close()
                return
            self._peer = peer
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone; one we never let in leaves nothing behind."""
        if self._peer is not None and self.session is not None:
            self._desk.leave(self, self._peer)
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """The client has closed its side."""
        return super().eof_received() if self._peer is not None else False

    def say_goodbye(self, why: str = "4.3.2 Shutting down") -> None:
        """End the conversation from our side: 421 (RFC 5321 §3.8)."""
        if self.transport is not None and not self.transport.is_closing():
            self._writer.write(f"421 {why}; try again later\r\n".encode())
            self.transport.close()

    def _timeout_cb(self) -> None:
        # aiosmtpd closes without a word; RFC 5321 §3.8 has 421 for this.
        self.say_goodbye("4.4.2 Nothing was heard for too long")

    async def push(self, status: AnyStr) -> None:
        """Send a reply, with an enhanced status code where aiosmtpd has none."""
        text = status if isinstance(status, str) else status.decode("utf-8", "replace")
        bare = _REPLY.match(text) if self._enhanced else None
        if bare and bare[1] in _ENHANCED:
            text = f"{bare[1]} {_ENHANCED[bare[1]]} {text[4:]}"
        # What a client typed comes back in some replies: no line of its own, no surrogates.
        clean = "".join(c if c.isprintable() else "?" for c in text)
        await super().push(clean.encode("utf-8", "replace"))

    # -- commands

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname: str) -> None:
        """RFC 2034 §4: the replies to greeting, HELO and EHLO have no enhanced code."""
        self._enhanced = False
        await super().smtp_EHLO(hostname)
        self._enhanced = True

    @syntax("HELO hostname")
    async def smtp_HELO(self, hostname: str) -> None:
        """Without extensions."""
        self._enhanced = False
        await super().smtp_HELO(hostname)
        self._enhanced = True

    @syntax("VRFY <address>")
    async def smtp_VRFY(self, arg: str) -> None:
        """RFC 5321 §7.3: who lives here is nobody's business, and 252 says so politely."""
        await self.push("252 2.1.5 Cannot VRFY user, but will take mail for people who live here")

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:
        """Take a message in; 250 only when it is durable."""
        if await self.check_helo_needed():
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        transaction = self.transaction()
        if not transaction.recipients:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        queue_id = new_queue_id()
        incoming = self._desk.begin(queue_id, transaction)
        try:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            whole = await self._read_message(incoming)
        except BaseException:
            incoming.close()
            raise
        if not whole:
            incoming.close()
            await self._give_up(incoming)
            return
        self.storing = True
        self._reset_timeout(STORING_S)
        try:
            # A client that goes away now does not stop the message half-way.
            stored = self._desk.store(queue_id, transaction, incoming)
            status = await asyncio.shield(stored)
        finally:
            self.storing = False
        self._reset_timeout()
        self.envelope = self._create_envelope()
        await self.push(status)

    async def _read_message(self, incoming: Incoming) -> bool:
        """Whether the end of the data has come; False when it does not come in reason."""
        dots = DotStuffed()
        started = self._manner.clock_s()
        received = 0
        while not dots.ended:
            chunk = await self._reader.read(_READ_OCTETS)
            if not chunk:
                raise asyncio.CancelledError  # the client is gone, as in eof_received
            received += len(chunk)
            self._reset_timeout()
            incoming.write(dots.feed(chunk))
            late_s = self._manner.clock_s() - started - _GRACE_S
            if incoming.excess > _EXCESS_OCTETS or late_s * _SLOWEST_OCTETS_PER_S > received:
                return False
        if dots.rest and not self._reader.at_eof():
            # The read took everything that was there, so the rest is next in line again.
            self._reader.feed_data(dots.rest)
        return True

    async def _give_up(self, incoming: Incoming) -> None:
        """Nothing was kept; without the end of the data the conversation cannot go on."""
        if incoming.excess:
            limit = self._manner.message_limit_octets
            await self.push(f"552 5.3.4 Message too large: at most {limit} octets are taken")
        else:
            await self.push("421 4.4.2 Too slow; try again later")
        if self.transport is not None:
            self.transport.close()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        try:
            return super()._getaddr(arg)
        except (IndexError, ValueError, AttributeError, RecursionError):
            return None, None  # the standard library's parser trips over some addresses


class Answers:
    """aiosmtpd's handler: what we say to EHLO, MAIL, RCPT and to a failure of our own."""

    def __init__(self, desk: Desk, manner: Manner) -> None:
        self._desk = desk
        self._manner = manner
        self._strangers = 0

    async def handle_EHLO(
        self, talk: Talk, session: Session, envelope: Envelope, hostname: str, offers: list[str]
    ) -> list[str]:
        """The extensions we have; aiosmtpd would offer AUTH after STARTTLS."""
        session.host_name = hostname
        kept = [line for line in offers if not line.startswith(("250-AUTH", "250 HELP"))]
        return [*kept, "250-PIPELINING", "250-ENHANCEDSTATUSCODES", "250 HELP"]

    async def handle_MAIL(
        self, talk: Talk, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Begin a transaction, unless the disk could not take the message."""
        refusal = _address_refusal(address, envelope)
        if refusal:
            return refusal
        declared = next((o[5:] for o in options if o.startswith("SIZE=")), "0")
        if not self._desk.has_room(int(declared)):
            return "452 4.3.1 Insufficient system storage; try again later"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, talk: Talk, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept people who live here, and nobody else."""
        if len(envelope.rcpt_tos) >= RECIPIENTS_LIMIT:
            return "452 4.5.3 Too many recipients"
        refusal = _address_refusal(address, envelope)
        if refusal:
            return refusal
        try:
            owner = self._desk.owner_of(address)
        except ApplianceError as error:
            _log.error("recipient not looked up: %s", error)
            return "451 4.3.0 Try again later"
        if owner is not None:
            envelope.rcpt_tos.append(address)
            return "250 2.1.5 OK"
        self._strangers += 1
        if self._strangers > STRANGERS_LIMIT:
            _log.warning("refused: peer=%s tried too many unknown recipients", session.peer)
            talk.loop.call_soon(talk.say_goodbye, "4.7.0 Too many unknown recipients")
            return "550 5.7.1 Nobody of that name is here"
        if self._desk.is_ours(address):
            return "550 5.1.1 No such person here"
        return "550 5.7.1 Relaying denied: mail is taken only for people who live here"

    async def handle_exception(self, error: Exception) -> str:
        """Our own fault: no details to the client, all of them to the log."""
        if isinstance(error, TLSSetupException):
            _log.info("a client gave up the TLS handshake: %r", error.__cause__)
            return "454 4.7.0 TLS not available"
        _log.error("a command failed", exc_info=error)
        return "451 4.3.0 Local error; try again later"


def _address_refusal(address: str, envelope: Envelope) -> str | None:
    path = "" if address == "<>" else address
    if not path.isprintable() or "<" in path or ">" in path or len(path) > _PATH_LIMIT:
        return "553 5.1.3 Malformed address"
    if not path.isascii() and not envelope.smtp_utf8:
        return "553 5.6.7 An address beyond ASCII needs SMTPUTF8"
    return None
