"""A house with two people and their letters, and browsers to look at it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from werkzeug.test import TestResponse

from appliance.bell import Bell
from appliance.config import Config, load
from appliance.fetch.progress import ProgressBoard
from appliance.household import Household, Scrypt
from appliance.mail.types import Seq
from appliance.search import Searcher
from appliance.store import Archive
from tests.web import samples
from web import create_app

PASSWORD = "correct horse battery"


@dataclass
class Rooms:
    """Everything the pages stand on."""

    config: Config
    archive: Archive
    household: Household
    app: Flask
    board: ProgressBoard
    seqs: dict[str, Seq] = field(default_factory=dict)

    def mailbox(self, owner: str, name: str) -> int:
        return self.archive.mailbox(owner, name).id


class Browser:
    """A client that sends what a browser's forms send."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.client.get(path, **kwargs)

    def token(self, page: str) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get(page).text)
        assert found, f"{page} has no form"
        return found.group(1)

    def post(
        self, path: str, form: Mapping[str, object] | None = None, page: str = "/mailboxes"
    ) -> TestResponse:
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
        data = {"csrf": self.token(page), **(form or {})}
        return self.client.post(path, data=data, headers=headers)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Templates compiled once for all tests."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def empty(tmp_path: Path, compiled: FileSystemBytecodeCache) -> Iterator[Rooms]:
    config = load(tmp_path / "data", environ={})
    config.prepare()
    bell = Bell(config.run)
    board = ProgressBoard(config.run)
    household = Household(config.data, cost=Scrypt(log_n=4))
    with Archive(config.archive, bell) as archive, household:
        searcher = Searcher(archive, config.index)
        app = create_app(config, archive, household, searcher, board, bell)
        app.jinja_env.bytecode_cache = compiled
        yield Rooms(config, archive, household, app, board)
        searcher.close()
    bell.close()


@pytest.fixture
def rooms(empty: Rooms) -> Rooms:
    for name in ("anna", "ben"):
        empty.household.add_person(name, PASSWORD, name.capitalize())
        empty.archive.provision(name)
    letters = {
        "plain": samples.delivery(samples.PLAIN, number=1),
        "reply": samples.delivery(samples.REPLY, mailbox="Sent", number=2),
        "html": samples.delivery(samples.HTML, number=3),
        "secret": samples.delivery(samples.SECRET, owner="ben", number=4),
    }
    receipts = empty.archive.admit(letters.values())
    empty.seqs = {key: one.seq for key, one in zip(letters, receipts, strict=True)}
    return empty


def signed_in(rooms: Rooms, name: str) -> Browser:
    browser = Browser(rooms.app.test_client())
    answer = browser.post("/sign-in", {"name": name, "password": PASSWORD}, page="/sign-in")
    assert answer.status_code == 302
    return browser


@pytest.fixture
def anna(rooms: Rooms) -> Browser:
    """The keeper."""
    return signed_in(rooms, "anna")


@pytest.fixture
def ben(rooms: Rooms) -> Browser:
    return signed_in(rooms, "ben")


@pytest.fixture
def stranger(rooms: Rooms) -> Browser:
    return Browser(rooms.app.test_client())
