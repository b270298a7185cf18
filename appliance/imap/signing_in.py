"""CAPABILITY, ID, LOGIN, AUTHENTICATE PLAIN, ENABLE: who the client is (RFC 9051 §6.1-6.3.1).

A password is taken only where nobody can read it on the way: over TLS or from
this machine itself. It is handed to the household and kept nowhere.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import replace
from typing import Final

from appliance import __version__
from appliance.household import TooManyTries
from appliance.imap.client import Client, Refused, WrongState
from appliance.wire import imap_responses as responses
from appliance.wire.imap_commands import (
    Authenticate,
    BadCommand,
    Capability,
    Enable,
    Id,
    Login,
)
from appliance.wire.imap_syntax import AFTER_LOGIN, Line

CONNECTIONS_PER_PERSON: Final = 20
_SASL_OCTETS: Final = 4096


async def capability(client: Client, command: Capability) -> None:
    """CAPABILITY."""
    await client.send(responses.untagged(client.capabilities()))
    await client.done(command.tag, "that is all")


async def id_(client: Client, command: Id) -> None:
    """ID (RFC 2971): what program the client is is shown beside its device."""
    given = {name.lower(): value or "" for name, value in command.params or ()}
    client.program = f"{given.get('name', '')} {given.get('version', '')}".strip()[:200]
    await client.send(
        responses.untagged(b'ID ("name" "Hauspost" "version" "%b")' % __version__.encode("ascii"))
    )
    await client.done(command.tag, "nice to meet you")


async def login(client: Client, command: Login) -> None:
    """LOGIN."""
    _may_sign_in(client)
    await _sign_in(client, command.tag, command.username, command.password)


async def authenticate(client: Client, command: Authenticate) -> None:
    """AUTHENTICATE PLAIN (RFC 4616), with an initial response or without (RFC 4959)."""
    _may_sign_in(client)
    if command.mechanism != "PLAIN":
        raise Refused(None, "the mechanism is not offered; PLAIN is")
    response = command.initial
    if response is None:
        await client.send(responses.continuation())
        response = await _response(client, command.tag)
    try:
        authorize, login, password = response.decode("utf-8").split("\0")
    except ValueError as error:
        raise BadCommand(command.tag, "that is no PLAIN response") from error
    if authorize and authorize != login:
        raise Refused("AUTHORIZATIONFAILED", "nobody may act for somebody else")
    await _sign_in(client, command.tag, login, password)


async def enable(client: Client, command: Enable) -> None:
    """ENABLE (RFC 5161): CONDSTORE; what is not known is passed over."""
    client.person()
    known = [name for name in command.capabilities if name == "CONDSTORE"]
    client.condstore |= bool(known)
    await client.send(responses.untagged(" ".join(["ENABLED", *known]).encode("ascii")))
    await client.done(command.tag, "enabled")


def _may_sign_in(client: Client) -> None:
    if client.owner is not None:
        raise WrongState("this connection is signed in already")
    if not client.connection.secure:
        raise Refused("PRIVACYREQUIRED", "connect with TLS: others could read the password here")


async def _response(client: Client, tag: str) -> bytes:
    client.connection.framing.expect_line(_SASL_OCTETS)
    event = await client.connection.event()
    if not isinstance(event, Line):
        raise BadCommand(tag, "the response is too long")
    if event.octets == b"*":
        raise BadCommand(tag, "cancelled")  # RFC 9051 §6.2.2
    try:
        return base64.b64decode(event.octets, validate=True)
    except binascii.Error as error:
        raise BadCommand(tag, "the response is not base64") from error


async def _sign_in(client: Client, tag: str, login: str, password: str) -> None:
    services, connection = client.services, client.connection
    try:
        person = await client.waiting(
            services.household.check_device, login, password, connection.peer, client.program
        )
    except TooManyTries as error:
        await asyncio.sleep(services.refusal_delay_s)
        # Not AUTHENTICATIONFAILED: the client should not ask its person for a new password.
        raise Refused("UNAVAILABLE", str(error)) from error
    if person is None:
        raise Refused("AUTHENTICATIONFAILED", "the name or the device's password is wrong")
    await client.waiting(services.archive.provision, person.name)
    # Counted and checked without a pause between: two at once are two.
    if services.signed_in.get(person.name, 0) >= CONNECTIONS_PER_PERSON:
        raise Refused("LIMIT", f"{CONNECTIONS_PER_PERSON} connections are open; close one")
    services.signed_in[person.name] = services.signed_in.get(person.name, 0) + 1
    client.owner = person.name
    limit = services.message_limit_octets
    connection.framing.limits = replace(AFTER_LOGIN, message_octets=limit, nonsync_octets=limit)
    await client.ok(tag, "welcome", client.capabilities())
