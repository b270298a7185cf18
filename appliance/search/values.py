"""What a search answers: frozen values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from appliance.mail.types import Digest, Flag, Seq
from index.language import Chip


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A message found.

    ``mailboxes`` are the asker's own that it stands in, without the one of all
    mail. ``snippet`` is text in pieces, True where a word of the query stands.
    """

    seq: Seq
    date: datetime
    subject: str
    sender: str
    mailboxes: tuple[str, ...]
    snippet: tuple[tuple[str, bool], ...]
    digest: Digest
    flags: frozenset[Flag] = field(default=frozenset())
    has_attachments: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search.

    ``cursor`` asks for the next page, None on the last. ``chips`` say what was
    understood. ``behind`` counts the messages that cannot be found by their
    words yet. ``notice`` is a sentence for the person when the answer is not
    all it should be, None when all is well. ``suggestion`` is a spelling that
    finds something when this one found nothing.
    """

    total: int
    hits: tuple[SearchHit, ...]
    cursor: str | None
    chips: tuple[Chip, ...]
    behind: int
    notice: str | None = None
    suggestion: str | None = None
