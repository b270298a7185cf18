"""Every public message of the corpora, read from their files."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

_MBOX_START = re.compile(rb"(?:\A|(?<=\n\n))From [^\n]*\n")
_MBOXRD_QUOTE = re.compile(rb"^>(>*From )", re.M)
# What the sources keep beside the messages: lists, expectations, licences, single parts.
_NOT_MAIL = {".tsv", ".json", ".md", ".upstream", ".txt", ".py", ".gz", ".list", ".tnef", ".eep"}


def messages(corpora: Path) -> list[bytes]:
    """All messages of the public sets, in a fixed order, as their files have them."""
    return [octets for octets in _messages(corpora) if octets]


def _messages(corpora: Path) -> Iterator[bytes]:
    for folder in ("torture", "html_attacks", "newsletters"):
        for path in sorted((corpora / folder).rglob("*")):
            if not path.is_file() or "expected" in path.relative_to(corpora).parts:
                continue
            if path.suffix == ".mbox":
                yield from _mbox(path.read_bytes())
            elif path.suffix not in _NOT_MAIL:
                yield path.read_bytes()
    for path in sorted((corpora / "bulk").rglob("*.mbox.gz")):
        yield from _mbox(gzip.decompress(path.read_bytes()))


def _mbox(data: bytes) -> Iterator[bytes]:
    starts = [(match.start(), match.end()) for match in _MBOX_START.finditer(data)]
    for n, (_, begin) in enumerate(starts):
        end = starts[n + 1][0] if n + 1 < len(starts) else len(data)
        yield _MBOXRD_QUOTE.sub(rb"\1", data[begin : end - 1])
