"""The household as the rest of the house sees it: one object over one database.

Changes note themselves in the audit log, in the same transaction; callers note
only what happens in their own room (an export, a message deleted for good).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from appliance.database import Database
from appliance.errors import ConfigError, StoreError
from appliance.household.accounts import Account, Accounts, checked_account, checked_secret
from appliance.household.addresses import Addresses
from appliance.household.audit import Audit, AuditEntry
from appliance.household.devices import Device, Devices, NewDevice
from appliance.household.passwords import Passwords, Scrypt
from appliance.household.people import People, Person, checked_name
from appliance.household.schema import MIGRATIONS
from appliance.household.secrets import Sealer
from appliance.household.sessions import Sessions
from appliance.household.text import checked_display_name
from appliance.household.throttle import Guess, Throttle, guess_of

FILE_NAME = "household.sqlite3"
_log = logging.getLogger("hauspost.household")


def _now() -> datetime:
    return datetime.now(UTC)


class Household:
    """Everybody, and everything about them; safe for threads and for several processes.

    ``data`` is the data directory. ``cost`` is scrypt's; ``clock`` answers aware UTC times.
    """

    def __init__(
        self, data: Path, *, cost: Scrypt | None = None, clock: Callable[[], datetime] = _now
    ) -> None:
        self._clock = clock
        self._database = Database(_private_file(data), MIGRATIONS)
        self._passwords = Passwords(cost or Scrypt())
        self._people = People(self._database)
        self._devices = Devices(self._database)
        self._addresses = Addresses(self._database, self._people)
        self._accounts = Accounts(self._database)
        self._sessions = Sessions(self._database, clock)
        self._throttle = Throttle(self._database, clock)
        self._audit = Audit(self._database, clock)
        self._sealer = Sealer(data / "secrets" / "key", self._accounts.any)

    def __enter__(self) -> Household:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; the household is not used afterwards."""
        self._database.close()

    # -- persons

    def add_person(self, name: str, password: str, display_name: str | None = None) -> Person:
        """A new person, the first one being the keeper; raises UsageError."""
        checked_name(name)
        shown_as = checked_display_name(display_name, name)
        hashed = self._passwords.hash(password)
        with self._database.write():
            person = self._people.add(name, shown_as, hashed, self._clock())
            self.note(name, "person added", "keeper" if person.keeper else "")
        return person

    def persons(self) -> list[Person]:
        """Everybody, by name; [] before the first start page has been filled in."""
        return self._people.all()

    def person(self, name: str) -> Person:
        """The person; raises UsageError when there is nobody of that name."""
        return self._people.get(name)

    def set_password(self, name: str, password: str) -> None:
        """A new web password; ends the person's web sessions. Raises UsageError."""
        self._people.get(name)
        hashed = self._passwords.hash(password)
        with self._database.write():
            self._people.set_password(name, hashed)
            self._sessions.close_all(name)
            self.note(name, "password changed", "")

    def set_keeper(self, name: str, keeper: bool) -> None:
        """Make or unmake a keeper; raises UsageError when nobody would be left."""
        with self._database.write():
            self._people.set_keeper(name, keeper)
            self.note(name, "keeper" if keeper else "no longer keeper", "")

    def remove_person(self, name: str) -> None:
        """Remove a person, with devices, addresses, accounts and sessions; the mail stays.

        Whoever is added later under the same name gets that mail. Raises
        UsageError, also for the last keeper.
        """
        with self._database.write():
            self._people.remove(name)
            self.note(name, "person removed", "")

    def check_password(self, name: str, password: str, peer: str) -> Person | None:
        """The person, or None when name or password is wrong; raises TooManyTries.

        For the web page. ``peer`` is the browser's IP address. A name that does
        not exist takes as long and is refused in the same words.
        """
        name = name.strip().lower()
        stored = self._people.stored_password(name)
        guess = guess_of("password", name if stored else None, name, peer)
        self._throttle.begin(guess)
        if not self._passwords.check(password, stored) or stored is None:
            self._log_refusal(guess, peer, name if stored else None)
            return None
        self._throttle.succeeded(guess)
        if self._passwords.is_outdated(stored):
            self._people.set_password(name, self._passwords.hash(password))
        self.note(name, "signed in", peer)
        return self._people.find(name)

    # -- devices

    def add_device(self, person: str, name: str) -> NewDevice:
        """A device and its password, to be shown once; raises UsageError."""
        self._people.get(person)
        with self._database.write():
            made = self._devices.add(person, name, self._clock())
            self.note(person, "device added", made.device.name)
        return made

    def devices(self, person: str) -> list[Device]:
        """A person's devices, oldest first; raises UsageError."""
        return self._devices.of(self._people.get(person).name)

    def device(self, identity: int) -> Device:
        """The device of that number; raises UsageError."""
        return self._devices.get(identity)

    def revoke_device(self, identity: int) -> None:
        """Its password is worth nothing from now on; raises UsageError."""
        with self._database.write():
            device = self._devices.revoke(identity)
            self.note(device.person, "device revoked", device.name)

    def check_device(self, login: str, password: str, peer: str, client: str = "") -> Person | None:
        """The person of a mail program, or None when it is not a device's password.

        ``login`` is a name, one of the person's addresses, or name@anything.
        Wrong passwords are throttled (TooManyTries), a right one is always let
        in: 128 random bits need no brake, and one phone with a revoked password
        must not lock out the other devices of the house.
        """
        names = self._addresses.sign_in_names(login)
        found = [self._devices.check(name, password) for name in names or ("",)]
        device = next(filter(None, found), None)
        if device is None:
            known = names[0] if names else None
            guess = guess_of("device", known, login.strip(), peer)
            self._throttle.begin(guess)
            self._log_refusal(guess, peer, known)
            return None
        try:
            self._devices.note_use(device, peer, client, self._clock())
        except StoreError as error:
            # Mail must stay readable on a full disk.
            _log.warning("device %d: last use not noted: %s", device.id, error)
        return self._people.find(device.person)

    # -- addresses

    def add_address(self, person: str, address: str) -> None:
        """Mail for this address is the person's; raises UsageError."""
        with self._database.write():
            self.note(person, "address added", self._addresses.add(person, address))

    def addresses(self, person: str) -> list[str]:
        """The person's further addresses, sorted; name@domain is not among them."""
        return self._addresses.of(person)

    def remove_address(self, address: str) -> None:
        """Mail for this address is refused from now on; raises UsageError."""
        with self._database.write():
            self.note(self._addresses.remove(address), "address removed", address)

    def owner_of(self, address: str, domain: str) -> str | None:
        """The name of the person mail for this address goes to, or None.

        ``domain`` is our own: name@domain always works, ``+detail`` is
        understood, and postmaster is the keeper.
        """
        return self._addresses.owner_of(address, domain)

    # -- accounts

    def add_account(self, account: Account, password: str) -> None:
        """A new account with its password, sealed; raises UsageError, ConfigError (the key)."""
        checked_account(account)
        checked_secret(account.name, password)
        self._people.get(account.person)

        def seal() -> bytes:
            return self._sealer.seal(password, "account", account.name, "password")

        with self._database.write():
            self._accounts.add(account, seal, self._clock())
            self.note(account.person, "account added", account.name)

    def accounts(self, person: str | None = None) -> list[Account]:
        """Accounts by name, of everybody or of one person."""
        return self._accounts.all(person)

    def ledgers(self, person: str, account: str) -> list[str]:
        """The ledger's names for every maildrop an account of this person has had."""
        return self._accounts.ledgers(person, account)

    def account(self, name: str) -> Account:
        """The account; raises UsageError."""
        return self._accounts.get(name)

    def update_account(self, account: Account, password: str | None = None) -> None:
        """Replace an account's settings, and its password when one is given; raises UsageError."""
        checked_account(account)
        self._people.get(account.person)
        name = self._accounts.get(account.name).name
        if password is not None:
            checked_secret(name, password)
        with self._database.write():
            # Sealed inside the transaction: a rotation of the key is before it or after it.
            sealed = password and self._sealer.seal(password, "account", name, "password")
            self._accounts.update(account, sealed or None)
            self.note(account.person, "account changed", name)

    def remove_account(self, name: str) -> None:
        """Fetch from it no more; what was fetched stays. Raises UsageError."""
        with self._database.write():
            account = self._accounts.remove(name)
            self.note(account.person, "account removed", account.name)

    def account_password(self, name: str) -> str:
        """The password, opened; raises UsageError, ConfigError when the key is not there."""
        account = self._accounts.get(name)
        return self._sealer.open(self._accounts.sealed(name), "account", account.name, "password")

    def rotate_key(self) -> None:
        """Seal everything again under a new key; the old one is dropped at the end.

        Cut short anywhere, every password still opens: the file holds both keys meanwhile.
        """
        with self._database.write():
            self._sealer.add_key()
            for account in self._accounts.all():
                purpose = ("account", account.name, "password")
                secret = self._sealer.open(self._accounts.sealed(account.name), *purpose)
                self._accounts.update(account, self._sealer.seal(secret, *purpose))
            self.note("", "key rotated", "")
        self._sealer.drop_old_keys()

    def request_fetch(self, account: str) -> None:
        """Ask the mail process for a run; the caller rings the bell. Raises UsageError."""
        self._accounts.request_fetch(account, self._clock())

    def take_fetch_requests(self) -> list[str]:
        """Accounts asked for since the last call, oldest request first; writes only if any."""
        return self._accounts.take_fetch_requests()

    # -- web sessions

    def open_session(self, person: str, agent: str = "") -> str:
        """The token for the browser's cookie; only its SHA-256 is kept. Raises UsageError."""
        return self._sessions.open(self._people.get(person).name, agent)

    def session(self, token: str) -> Person | None:
        """Whose session it is, or None when it is none or has ended."""
        name = self._sessions.person(token)
        return self._people.find(name) if name else None

    def close_session(self, token: str) -> None:
        """End it; one that is not there is ended already."""
        self._sessions.close(token)

    def close_sessions(self, person: str) -> None:
        """End all of a person's web sessions."""
        self._sessions.close_all(person)

    # -- audit log and settings

    def note(self, person: str, action: str, detail: str) -> None:
        """Add to the audit log; ``person`` is whom it concerns. No secret belongs in here."""
        self._audit.note(person, action, detail)

    def audit(self, limit: int = 100) -> list[AuditEntry]:
        """The newest entries, newest first."""
        return self._audit.newest(limit)

    def audit_broken_at(self) -> int | None:
        """The first entry somebody tampered with, or None: the chain holds."""
        return self._audit.first_broken()

    def setting(self, key: str, default: str | None = None) -> str | None:
        """A value kept for the house, or the default."""
        row = (
            self._database.read()
            .execute("SELECT value FROM setting WHERE key = ?", (key,))
            .fetchone()
        )
        return str(row[0]) if row else default

    def set_setting(self, key: str, value: str) -> None:
        """Keep a value for the house."""
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (key, value))

    def _log_refusal(self, guess: Guess, peer: str, known: str | None) -> None:
        # One line for fail2ban. A name nobody has may be a password in the wrong field.
        who = known or "somebody unknown"
        _log.warning("sign-in refused: door=%s person=%s peer=%s", guess.door, who, repr(peer))


def _private_file(data: Path) -> Path:
    """The database's path; made 0600 before SQLite, whose other files take its mode."""
    path = data / FILE_NAME
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be opened: {error.strerror}") from error
    return path
