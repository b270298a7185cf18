"""The data directory of one command, its rooms opened as far as the command needs them."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from appliance.bell import Bell
from appliance.config import Config, default_data_dir, load
from appliance.errors import UsageError
from appliance.household import Household, Person
from appliance.search import Searcher
from appliance.store import Archive


class House:
    """Opened on first use, closed at the end. ``chosen`` is the command line."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._open = ExitStack()

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def overrides(self) -> dict[str, str]:
        """What the command line sets over the configuration file."""
        names = ("host", "web_port", "imap_port", "imaps_port", "smtp_port")
        given = {name: getattr(self._chosen, name, None) for name in names}
        return {name: str(value) for name, value in given.items() if value is not None}

    @cached_property
    def data(self) -> Path:
        """The data directory."""
        given: Path | None = self._chosen.data
        return (given or default_data_dir()).expanduser().absolute()

    @cached_property
    def config(self) -> Config:
        """The configuration; its directories are there."""
        config = load(self.data, self.overrides())
        config.prepare()
        return config

    @cached_property
    def bell(self) -> Bell:
        """Wakes the running service, if there is one."""
        bell = Bell(self.config.run)
        self._open.callback(bell.close)
        return bell

    @cached_property
    def archive(self) -> Archive:
        """The archive."""
        return self._open.enter_context(Archive(self.config.archive, self.bell))

    @cached_property
    def household(self) -> Household:
        """People, devices, accounts."""
        # Before the household's, so that they are closed in the other order.
        assert self.config
        return self._open.enter_context(Household(self.config.data))

    @cached_property
    def searcher(self) -> Searcher:
        """What a person may find."""
        searcher = Searcher(self.archive, self.config.index, self.household.ledgers)
        self._open.callback(searcher.close)
        return searcher

    def person(self, name: str | None) -> Person:
        """The person named, or the only one there is; raises UsageError."""
        if name is not None:
            return self.household.person(name)
        people = self.household.persons()
        if len(people) != 1:
            names = ", ".join(person.name for person in people) or "nobody yet"
            raise UsageError(f"say which person with --person (there are: {names})")
        return people[0]
