"""People, their devices, addresses and accounts; sessions, sealed secrets, the audit log.

    <data>/household.sqlite3   everything below, one file, 0600
    <data>/secrets/key         the key that seals account passwords, 0600

What is kept of a secret depends on who chose it. A person's password is
guessable, so scrypt makes each guess dear. A device's password is 128 random
bits nobody can guess, so SHA-256 is enough and five connections at once cost
nothing. An account's password must be shown to the provider again, so it is
sealed (AES-256-GCM) under a key that is not in the database: a copy of the
database or of a backup without the key gives nothing away. A stolen running
machine does; no appliance that fetches unattended can promise otherwise.

It refuses to show a secret in a ``repr``, an error or a log line, and it knows
nothing of mail: a person's name is the owner's name in the archive, that is all.
"""

from appliance.household.accounts import Account
from appliance.household.audit import AuditEntry
from appliance.household.devices import Device, NewDevice
from appliance.household.household import Household
from appliance.household.passwords import Scrypt
from appliance.household.people import Person
from appliance.household.throttle import TooManyTries

__all__ = [
    "Account",
    "AuditEntry",
    "Device",
    "Household",
    "NewDevice",
    "Person",
    "Scrypt",
    "TooManyTries",
]
