from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.store import Archive
from tests.fetch.world import World


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as opened:
        opened.provision("anna")
        yield opened


@pytest.fixture(params=["imap", "pop3"])
def world(request: pytest.FixtureRequest, tmp_path: Path, archive: Archive) -> Iterator[World]:
    with World(request.param, tmp_path, archive) as running:
        yield running


@pytest.fixture
def imap(tmp_path: Path, archive: Archive) -> Iterator[World]:
    with World("imap", tmp_path, archive) as running:
        yield running


@pytest.fixture
def pop3(tmp_path: Path, archive: Archive) -> Iterator[World]:
    with World("pop3", tmp_path, archive) as running:
        yield running
