"""The mail corpora beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of the mail corpora, or skip."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "corpora"
    found = Path(os.environ.get("HAUSPOST_CORPORA", beside))
    if not found.is_dir():
        pytest.skip("the mail corpora are not beside the checkout")
    return found
