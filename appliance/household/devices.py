"""One password for each device: random, shown once, kept as its SHA-256.

    k3v9q-0wz7m-x2c4d-8ehrt-5ajbnf     Crockford's base 32: 26 digits, 130 bits

It is read aloud and typed on a phone, so there is no i, l, o or u, and capitals,
dashes, blanks and the usual confusions (O for 0, I and L for 1) are understood.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from appliance.database import Database, moment, stamp
from appliance.errors import UsageError
from appliance.household.text import checked_display_name, scrubbed

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_GROUPS = (5, 5, 5, 5, 6)
_READ_AS = str.maketrans("oil", "011", "- \t\r\n\u00a0\u2010\u2011\u2013")
_LONGEST_TYPED = 256
USE_NOTED_EVERY = timedelta(minutes=5)
"""How often ``last_used`` is written at most: each write wears the SD card."""


@dataclass(frozen=True, slots=True)
class Device:
    """A mail program on one device. ``last_used`` is None until it has signed in."""

    id: int
    person: str
    name: str
    created: datetime
    last_used: datetime | None
    last_peer: str
    last_client: str


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device and its password, which nobody can show again."""

    device: Device
    password: str = field(repr=False)


class Devices:
    """The table of devices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, person: str, name: str, created: datetime) -> NewDevice:
        """A new device with its password; raises UsageError when the name is taken."""
        name = checked_display_name(name, "")
        if not name:
            raise UsageError('the device needs a name, such as "phone"')
        password = new_password()
        with self._database.write() as connection:
            if any(device.name == name for device in self.of(person)):
                raise UsageError(f"{person} has a device {name!r} already; choose another name")
            connection.execute(
                "INSERT INTO device (person, name, digest, created) VALUES (?, ?, ?, ?)",
                (person, name, digest_of_typed(password), stamp(created)),
            )
        device = next(device for device in self.of(person) if device.name == name)
        return NewDevice(device, password)

    def of(self, person: str) -> list[Device]:
        """A person's devices, oldest first."""
        return [device for device, _ in self._with_digests(person)]

    def get(self, identity: int) -> Device:
        """The device; raises UsageError when there is none of that number."""
        row = (
            self._database.read()
            .execute("SELECT person FROM device WHERE id = ?", (identity,))
            .fetchone()
        )
        found = next((d for d in self.of(row[0]) if d.id == identity), None) if row else None
        if found is None:
            raise UsageError(f"there is no device {identity}")
        return found

    def revoke(self, identity: int) -> Device:
        """The device that was: its password is worth nothing from now on. Raises UsageError."""
        with self._database.write() as connection:
            device = self.get(identity)
            connection.execute("DELETE FROM device WHERE id = ?", (identity,))
        return device

    def check(self, person: str, password: str) -> Device | None:
        """The person's device with this password, or None; "" (nobody) takes as long."""
        typed = digest_of_typed(password)
        found = None
        for device, digest in self._with_digests(person):
            if hmac.compare_digest(digest, typed):
                found = device
        return found

    def note_use(self, device: Device, peer: str, client: str, now: datetime) -> None:
        """Remember when, from where and with what it signed in, at most every few minutes."""
        fresh = device.last_used and abs(now - device.last_used) < USE_NOTED_EVERY
        if fresh and (device.last_client or not client):
            return
        kept = scrubbed(client or device.last_client, 200)
        with self._database.write() as connection:
            connection.execute(
                "UPDATE device SET last_used = ?, last_peer = ?, last_client = ? WHERE id = ?",
                (stamp(now), scrubbed(peer, 64), kept, device.id),
            )

    def _with_digests(self, person: str) -> list[tuple[Device, bytes]]:
        rows = self._database.read().execute(
            "SELECT id, person, name, created, last_used, last_peer, last_client, digest "
            "FROM device WHERE person = ? ORDER BY id",
            (person,),
        )
        return [(_device(row[:-1]), row[-1]) for row in rows]


def new_password() -> str:
    """130 random bits in groups a person can type."""
    groups = ("".join(secrets.choice(_DIGITS) for _ in range(size)) for size in _GROUPS)
    return "-".join(groups)


def digest_of_typed(password: str) -> bytes:
    """SHA-256 of a device password as somebody typed it."""
    plain = password[:_LONGEST_TYPED].lower().translate(_READ_AS)
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()


def _device(row: tuple[int, str, str, int, int | None, str, str]) -> Device:
    identity, person, name, created, last_used, peer, client = row
    used = None if last_used is None else moment(last_used)
    return Device(identity, person, name, moment(created), used, peer, client)
