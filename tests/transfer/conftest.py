"""The mail corpora beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpora() -> Path:
    beside = Path(__file__).parents[2].parent / "shared" / "corpora"
    path = Path(os.environ.get("HAUSPOST_CORPORA", beside))
    if not path.is_dir():
        pytest.skip("the mail corpora are not beside the checkout")
    return path
