"""The people of the household; the first is the keeper, who looks after it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from appliance.database import Database, moment, stamp
from appliance.errors import UsageError
from appliance.household.text import shown

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}\Z")
_COLUMNS = "name, display_name, keeper, created"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in. ``name`` never changes: it owns mailboxes in the archive."""

    name: str
    display_name: str
    keeper: bool
    created: datetime


class People:
    """The table of persons; passwords come and go as stored hashes only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Person]:
        """Everybody, by name."""
        rows = self._database.read().execute(f"SELECT {_COLUMNS} FROM person ORDER BY name")  # noqa: S608 - a constant
        return [_person(row) for row in rows]

    def find(self, name: str) -> Person | None:
        """The person, or None when there is nobody of that name."""
        if not _NAME.match(name):
            return None
        row = (
            self._database.read()
            .execute(f"SELECT {_COLUMNS} FROM person WHERE name = ?", (name,))  # noqa: S608 - a constant
            .fetchone()
        )
        return _person(row) if row else None

    def get(self, name: str) -> Person:
        """The person; raises UsageError when there is nobody of that name."""
        found = self.find(name)
        if found is None:
            raise UsageError(f"there is no person {shown(name)}")
        return found

    def stored_password(self, name: str) -> str | None:
        """The hash of a person's password, or None when there is nobody of that name."""
        if not _NAME.match(name):
            return None
        row = (
            self._database.read()
            .execute("SELECT password FROM person WHERE name = ?", (name,))
            .fetchone()
        )
        return str(row[0]) if row else None

    def add(self, name: str, display_name: str, password: str, created: datetime) -> Person:
        """A new person; the first becomes the keeper. Raises UsageError."""
        with self._database.write() as connection:
            if self.find(name):
                raise UsageError(f"there is a person {name} already")
            (others,) = connection.execute("SELECT count(*) FROM person").fetchone()
            connection.execute(
                "INSERT INTO person (name, display_name, keeper, password, created) "
                "VALUES (?, ?, ?, ?, ?)",
                (name, display_name, not others, password, stamp(created)),
            )
        return self.get(name)

    def set_password(self, name: str, password: str) -> None:
        """Replace the stored hash; raises UsageError."""
        self.get(name)
        with self._database.write() as connection:
            connection.execute("UPDATE person SET password = ? WHERE name = ?", (password, name))

    def set_keeper(self, name: str, keeper: bool) -> None:
        """Make or unmake a keeper; raises UsageError when nobody would be left."""
        with self._database.write() as connection:
            if not keeper:
                self._refuse_last_keeper(name)
            self.get(name)
            connection.execute("UPDATE person SET keeper = ? WHERE name = ?", (keeper, name))

    def remove(self, name: str) -> None:
        """Remove a person with devices, addresses, accounts and sessions; raises UsageError."""
        with self._database.write() as connection:
            self.get(name)
            self._refuse_last_keeper(name)
            connection.execute("DELETE FROM person WHERE name = ?", (name,))

    def keeper(self) -> Person | None:
        """The keeper who has been here longest, or None in an empty house."""
        row = (
            self._database.read()
            .execute(f"SELECT {_COLUMNS} FROM person WHERE keeper ORDER BY created, name")  # noqa: S608 - a constant
            .fetchone()
        )
        return _person(row) if row else None

    def _refuse_last_keeper(self, name: str) -> None:
        if [person.name for person in self.all() if person.keeper] == [name]:
            raise UsageError(f"{name} is the last keeper; make somebody else a keeper first")


def checked_name(name: str) -> str:
    """The name if it can be a sign-in name; raises UsageError saying what one looks like."""
    if not _NAME.match(name):
        raise UsageError(
            f"{shown(name)} cannot be a sign-in name: use 1 to 32 of a-z, 0-9, dot, dash and "
            "underscore, beginning with a letter or digit"
        )
    return name


def _person(row: tuple[str, str, int, int]) -> Person:
    name, display_name, keeper, created = row
    return Person(name, display_name, bool(keeper), moment(created))
