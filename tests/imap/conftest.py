"""A running house for each test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imap.house import House
from tests.imap.house import house as a_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An archive with maria and otto, served on free ports of loopback."""
    with a_house(tmp_path) as made:
        yield made
