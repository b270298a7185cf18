"""The public corpora, read once per run."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_MBOX_START = re.compile(rb"(?:\A|(?<=\n\n))From [^\n]*\n")
_MBOXRD_QUOTE = re.compile(rb"^>(>*From )", re.M)
_NOT_MAIL = {".tsv", ".json", ".md", ".upstream", ".txt", ".py", ".gz", ".list", ".tnef", ".eep"}


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of the mail corpora, or skip."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "corpora"
    found = Path(os.environ.get("HAUSPOST_CORPORA", beside))
    if not found.is_dir():
        pytest.skip("the mail corpora are not beside the checkout")
    return found


@pytest.fixture(scope="session")
def messages(corpora: Path) -> list[tuple[str, bytes]]:
    """Every public message with a name for it: single files, mbox files, the bulk sets."""
    return list(_messages(corpora))


def _messages(corpora: Path) -> Iterator[tuple[str, bytes]]:
    for folder in ("torture", "html_attacks", "newsletters"):
        for path in sorted((corpora / folder).rglob("*")):
            name = str(path.relative_to(corpora))
            if not path.is_file() or "/expected/" in name or path.name == "MANIFEST.tsv":
                continue
            if path.suffix == ".mbox":
                for n, octets in enumerate(mbox(path.read_bytes())):
                    yield f"{name}#{n}", octets
            elif path.suffix not in _NOT_MAIL:
                yield name, path.read_bytes()
    for path in sorted((corpora / "bulk").rglob("*.mbox.gz")):
        for n, octets in enumerate(mbox(gzip.decompress(path.read_bytes()))):
            yield f"{path.name}#{n}", octets


def mbox(data: bytes) -> Iterator[bytes]:
    """The messages of an mboxrd file."""
    starts = [(match.start(), match.end()) for match in _MBOX_START.finditer(data)]
    for n, (_, begin) in enumerate(starts):
        end = starts[n + 1][0] if n + 1 < len(starts) else len(data)
        yield _MBOXRD_QUOTE.sub(rb"\1", data[begin : end - 1])
