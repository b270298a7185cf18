"""One connection from greeting to BYE: events in, commands done one after another.

Each command's errors are caught here, once: what the client got wrong is BAD or
NO with its code, what the archive could not do is NO in plain words, and the
session lives. Only a client that is gone, silent too long or hopeless ends it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final, assert_never

from appliance.errors import ClientError, DiskFull, StoreError
from appliance.imap import listing, mailboxes, messages, signing_in
from appliance.imap.appending import Spool, append, checked_target
from appliance.imap.client import Client, Refused, Services, WrongState
from appliance.imap.connection import Connection, ConnectionLost
from appliance.imap.contents import UnknownEncoding
from appliance.imap.fetching import BrokenOff, NotOffered
from appliance.imap.selected import NoSuchNumber
from appliance.store import MailboxExists, NoSuchMailbox, NotAllowed
from appliance.wire import imap_commands as c
from appliance.wire import imap_grammar
from appliance.wire import imap_responses as responses
from appliance.wire.imap_syntax import (
    BadLine,
    Command,
    Event,
    Line,
    LiteralChunk,
    LiteralEnd,
    LiteralWanted,
)

_log = logging.getLogger(__name__)

SIGN_IN_S: Final = 30.0
IDLE_S: Final = 30 * 60.0
"""RFC 9051 §5.4: at least 30 minutes."""
_BYE_S: Final = 2.0
"""Who does not take it by then does not hear it."""
_BAD_BEFORE_SIGN_IN: Final = 10
"""So many commands that are none: that is no mail program."""
_BAD: Final = (c.BadCommand, WrongState, NotOffered, NoSuchNumber)
"""The client broke the protocol; whatever else went wrong is NO."""


class Session:
    """One connection. ``run`` returns when it is over; cancelling it says BYE."""

    def __init__(self, services: Services, connection: Connection) -> None:
        self._client = Client(services, connection)
        self._connection = connection
        self._services = services
        self._spools: list[Spool] = []
        self._bad = 0

    async def run(self) -> None:
        """Serve the client."""
        client = self._client
        self._services.hub.watch(client.woken)
        try:
            await client.send(
                responses.condition("*", "OK", "Hauspost is ready", client.capabilities())
            )
            await self._serve()
        except TimeoutError:
            await self._bye("silent for too long")
        except BrokenOff as error:
            _log.error("%s", error)
        except ConnectionLost as error:
            _log.debug("%s: %s", self._connection.peer, error)
        except asyncio.CancelledError:
            # Inside a literal a BYE would be taken for a part of it.
            if not self._connection.streaming:
                await self._bye("the server is being stopped")
        finally:
            self._services.hub.forget(client.woken)
            if client.owner is not None:
                self._services.signed_in[client.owner] -= 1
            self._drop_spools()
            await self._connection.close()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + SIGN_IN_S
        while not self._client.leaving:
            waiting_until = until if self._client.owner is None else loop.time() + IDLE_S
            async with asyncio.timeout_at(waiting_until):
                event = await self._connection.event()
            await self._take(event)

    async def _take(self, event: Event) -> None:
        match event:
            case Command():
                try:
                    await self._answer(event)
                finally:
                    self._drop_spools()
            case LiteralWanted():
                await self._literal(event)
            case LiteralChunk():
                if self._spools[-1].add(event.octets):
                    await self._client.waiting(self._spools[-1].flush)
            case LiteralEnd():
                await self._client.waiting(self._spools[-1].flush)
            case BadLine():
                self._drop_spools()
                await self._refuse_line(event)
            case Line():
                await self._client.send(responses.condition("*", "BAD", "nobody asked for a line"))
            case _:
                assert_never(event)

    async def _literal(self, wanted: LiteralWanted) -> None:
        if wanted.name == "APPEND" and (wanted.sync or wanted.streamed):
            try:
                await self._check_target(wanted)
            except ClientError as error:
                # Refused before the message is sent; one that comes unasked is skipped.
                self._connection.framing.refuse()
                self._drop_spools()
                await self._client.send(refusal(wanted.tag, error))
                return
        if wanted.streamed:
            self._spools.append(Spool(self._services.spool))
        self._connection.framing.accept()
        if wanted.sync:
            await self._client.send(responses.continuation("go on"))

    async def _check_target(self, wanted: LiteralWanted) -> None:
        client = self._client
        name = imap_grammar.append_mailbox(wanted)
        await client.blocking(checked_target, self._services.archive, client.person(), name)

    async def _refuse_line(self, bad: BadLine) -> None:
        tag = bad.tag or "*"
        if bad.too_big and bad.name == "APPEND":
            answer = responses.condition(tag, "NO", bad.reason, b"TOOBIG")
        else:
            answer = responses.condition(tag, "BAD", bad.reason)
        await self._client.send(answer)
        self._count_bad()
        if bad.fatal:
            await self._bye("that is too much")

    def _count_bad(self) -> None:
        self._bad += 1
        if self._client.owner is None and self._bad >= _BAD_BEFORE_SIGN_IN:
            self._client.leaving = True

    async def _answer(self, framed: Command) -> None:
        """Do one command; whatever goes wrong becomes its tagged answer."""
        tag = framed.tag
        self._connection.streaming = False
        try:
            await self._do(imap_grammar.parse(framed))
        except (ConnectionLost, BrokenOff, TimeoutError):
            raise
        except _BAD as error:
            await self._client.send(refusal(tag, error))
            self._count_bad()
        except (ClientError, StoreError) as error:
            if isinstance(error, StoreError):
                _log.error("%s failed: %s", framed.name, error)
            await self._client.send(refusal(tag, error))
        except Exception:
            # A bug of ours: the person sees a sentence, the log the place.
            _log.exception("%s failed", framed.name)
            words = "an error of the server; its log says more"
            await self._client.send(responses.condition(tag, "NO", words, b"SERVERBUG"))

    async def _do(self, command: c.ImapCommand) -> None:
        client = self._client
        match command:
            case c.Noop() | c.Check():
                await mailboxes.noop(client, command)
            case c.Fetch():
                await messages.fetch(client, command)
            case c.Store():
                await messages.store(client, command)
            case c.Search():
                await messages.search(client, command)
            case c.Idle():
                await self._idle(command)
            case c.Append():
                await append(client, command, self._spools)
            case c.Copy():
                await messages.copy(client, command)
            case c.Move():
                await messages.move(client, command)
            case c.Expunge():
                await messages.expunge(client, command)
            case c.Status():
                await listing.status(client, command)
            case c.Select():
                await mailboxes.select(client, command)
            case c.Close():
                await mailboxes.close(client, command)
            case c.Unselect():
                await mailboxes.unselect(client, command)
            case c.List():
                await listing.list_(client, command)
            case c.Lsub():
                await listing.lsub(client, command)
            case c.Xlist():
                await listing.xlist(client, command)
            case c.Namespace():
                await listing.namespace(client, command)
            case c.Create():
                await mailboxes.create(client, command)
            case c.Delete():
                await mailboxes.delete(client, command)
            case c.Rename():
                await mailboxes.rename(client, command)
            case c.Subscribe() | c.Unsubscribe():
                await mailboxes.subscribe(client, command)
            case c.Capability():
                await signing_in.capability(client, command)
            case c.Id():
                await signing_in.id_(client, command)
            case c.Login():
                await signing_in.login(client, command)
            case c.Authenticate():
                await signing_in.authenticate(client, command)
            case c.Enable():
                await signing_in.enable(client, command)
            case c.Logout():
                await self._logout(command)
            case _:
                raise NotOffered(f"{type(command).__name__.upper()} is not offered")

    async def _logout(self, command: c.Logout) -> None:
        await self._client.send(
            responses.condition("*", "BYE", "until next time"),
            responses.condition(command.tag, "OK", "signed out"),
        )
        self._client.leaving = True

    async def _idle(self, command: c.Idle) -> None:
        """IDLE (RFC 2177): tell what changes until the client says DONE."""
        client = self._client
        client.person()
        await client.send(responses.continuation("idling"))
        self._connection.framing.expect_line()
        line = asyncio.ensure_future(self._connection.event())
        try:
            await client.tell(expunge=True, look=True)
            async with asyncio.timeout(IDLE_S):
                while not line.done():
                    await self._told_or(line)
        finally:
            if not line.done():
                line.cancel()
                with suppress(asyncio.CancelledError, ConnectionLost):
                    await line
        event = line.result()
        if isinstance(event, Line) and event.octets.strip().upper() == b"DONE":
            await client.done(command.tag, "IDLE completed")
        else:
            raise c.BadCommand(command.tag, "DONE was expected")

    async def _told_or(self, line: asyncio.Future[Event]) -> None:
        """Wait for the client's line, and for something to tell."""
        woken = asyncio.ensure_future(self._client.woken.wait())
        try:
            await asyncio.wait((line, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        if self._client.woken.is_set() and not line.done():
            self._client.woken.clear()
            await self._client.tell(expunge=True, look=True)

    async def _bye(self, words: str) -> None:
        self._client.leaving = True
        with suppress(ConnectionLost, TimeoutError):
            async with asyncio.timeout(_BYE_S):
                await self._client.send(responses.condition("*", "BYE", words))

    def _drop_spools(self) -> None:
        for spool in self._spools:
            spool.close()
        self._spools.clear()


def refusal(tag: str, error: ClientError | StoreError) -> bytes:
    """``tag BAD words``, or ``tag NO [code] words``, of an error (RFC 5530)."""
    if isinstance(error, _BAD):
        return responses.condition(tag, "BAD", str(error))
    code: bytes | None
    match error:
        case Refused():
            code = error.code.encode("ascii") if error.code else None
        case c.BadCharset():
            code = responses.bad_charset(error.known)
        case NoSuchMailbox():
            code = b"NONEXISTENT"
        case MailboxExists():
            code = b"ALREADYEXISTS"
        case NotAllowed():
            code = b"CANNOT"
        case UnknownEncoding():
            code = b"UNKNOWN-CTE"
        case DiskFull():
            code = b"UNAVAILABLE"
        case StoreError():
            code = b"SERVERBUG"
        case _:
            code = None
    return responses.condition(tag, "NO", str(error), code)
