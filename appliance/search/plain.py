"""The query tree answered by the catalog alone, when there is no index to ask.

Subjects and addresses are searched, as substrings; what only the index knows
(text, attachments) is not found. Filters and dates work as ever. Results are by
date; "best" is taken for newest.
"""

from __future__ import annotations

from appliance.search.words import date_of
from appliance.store import Archive
from index import query as asked
from index.document import Cursor, Hit, Order, Page
from index.query import Query
from index.seqset import SeqSet

_COLUMNS = {
    None: ("subject", "sender", "recipients", "copied"),
    "subject": ("subject",),
    "from": ("sender",),
    "to": ("recipients",),
    "cc": ("copied",),
    "id": ("message_id",),
}
_MANY = 500


def search(
    archive: Archive,
    query: Query,
    within: SeqSet,
    order: Order,
    limit: int,
    after: Cursor | None,
) -> Page:
    """A page as ``Index.search`` gives it; cursors of the one are good for the other."""
    seqs = matching(archive, query, within)
    sign = 1 if order is Order.OLDEST else -1
    keys = sorted((sign * date, sign * seq) for seq, date in _dates(archive, seqs).items())
    if after is not None:
        keys = [key for key in keys if key > (sign * after.date, sign * after.seq)]
    hits = tuple(Hit(sign * seq, sign * date) for date, seq in keys[:limit])
    cursor = Cursor(order, hits[-1].date, hits[-1].seq) if len(keys) > limit else None
    return Page(hits, cursor, lambda: len(seqs))


def matching(archive: Archive, query: Query, within: SeqSet) -> SeqSet:
    """Those within that match, as far as the catalog can tell."""
    match query:
        case asked.Term(field, text) | asked.Prefix(field, text) | asked.Infix(field, text):
            return _worded(archive, field, text, within)
        case asked.Phrase(field, text) | asked.Fuzzy(field, text):
            return _worded(archive, field, text, within)
        case asked.Words(field, words):
            found = SeqSet()
            for word in words:
                found = found | _worded(archive, field, word, within)
            return found
        case asked.Beside(field, sets):
            for words in sets:
                within = matching(archive, asked.Words(field, words), within)
            return within
        case asked.And(parts):
            for part in parts:
                within = matching(archive, part, within)
            return within
        case asked.Or(parts):
            found = SeqSet()
            for part in parts:
                found = found | matching(archive, part, within)
            return found
        case asked.Not(part):
            return within - matching(archive, part, within)
        case asked.Field(field, part):
            return matching(archive, asked.in_field(part, field), within)
        case asked.DateRange(start, end):
            dates = _dates(archive, within)
            return SeqSet.from_iterable(
                seq
                for seq, date in dates.items()
                if (start is None or start <= date) and (end is None or date < end)
            )
        case asked.Within(seqs):
            return within & seqs
        case asked.All():
            return within
        case asked.Nothing() | asked.Filter():
            return SeqSet()


def _worded(archive: Archive, field: str | None, text: str, within: SeqSet) -> SeqSet:
    columns = _COLUMNS.get(field)
    return SeqSet(archive.seqs_worded(text, columns)) & within if columns else SeqSet()


def _dates(archive: Archive, seqs: SeqSet) -> dict[int, int]:
    """seq → seconds since 1970, as the index has it."""
    found: dict[int, int] = {}
    for at in range(0, len(seqs), _MANY):
        rows = archive.messages([*seqs[at : at + _MANY]])
        found.update((seq, int(date_of(row).timestamp())) for seq, row in rows.items())
    return found
