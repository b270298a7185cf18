"""SEARCH: which messages of the selected mailbox match, by set algebra (RFC 9051 §6.4.4).

A key is asked about a set of candidates and answers those that match. AND asks
its cheap keys first and the dear ones (header fields, TEXT, BODY) about what is
left; OR asks its second key only about what the first one did not find. Texts are
case-insensitive substrings of decoded text. Blocking: it runs in a worker thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate
from typing import Any, Final, assert_never

from appliance.database import moment, stamp
from appliance.imap.selected import Selected
from appliance.mail import header
from appliance.mail.types import SYSTEM_FLAGS, Seq, Uid
from appliance.search import Searcher
from appliance.search.substring import Where
from appliance.store import Archive
from appliance.wire import imap_search_keys as keys
from appliance.wire.imap_search_keys import DateOf, SearchKey, When

Found = set[int]
"""Indices in the selected mailbox."""

_DAY_US: Final = 86_400_000_000
_ZONE_US: Final = 15 * 3600 * 1_000_000
"""No zone is further from UTC than this: a Date field's own day is within it."""
_CHUNK: Final = 500
# Header fields that the catalog has decoded.
_COLUMNS: Final = {
    "subject": "subject",
    "from": "sender",
    "to": "recipients",
    "cc": "copied",
    "bcc": "blind",
    "message-id": "message_id",
}
_COST: Final[dict[type, int]] = {
    keys.Dated: 1,
    keys.LargerThan: 1,
    keys.SmallerThan: 1,
    keys.HeaderHas: 2,
    keys.BodyHas: 3,
    keys.TextHas: 3,
}


@dataclass(frozen=True, slots=True)
class SearchRun:
    """One SEARCH in one mailbox."""

    archive: Archive
    searcher: Searcher
    selected: Selected
    now: Callable[[], float] = time.time

    def find(self, key: SearchKey) -> list[int]:
        """The indices that match, ascending. Raises NoSuchNumber."""
        return sorted(self._ask(key, set(range(len(self.selected)))))

    def _ask(self, key: SearchKey, among: Found) -> Found:
        if not among:
            return set()
        match key:
            case keys.All():
                return among
            case keys.And():
                for one in sorted(key.keys, key=_cost):
                    among = self._ask(one, among)
                return among
            case keys.Or():
                one, other = sorted((key.one, key.other), key=_cost)
                found = self._ask(one, among)
                return found | self._ask(other, among - found)
            case keys.Not():
                return among - self._ask(key.key, among)
            case keys.InSet():
                return self._numbered(key, among)
            case keys.HasFlag():
                return self._flagged(key, among)
            case keys.Recent():
                # No message is ever \Recent here: no session is its first (RFC 9051 has none).
                return set()
            case keys.HeaderHas():
                return self._header(key, among)
            case keys.BodyHas():
                return self._text(key.text, among, "body")
            case keys.TextHas():
                return self._text(key.text, among, "text")
            case keys.LargerThan():
                return self._where(among, "size", lambda size: size > key.octets)
            case keys.SmallerThan():
                return self._where(among, "size", lambda size: size < key.octets)
            case keys.Dated():
                return self._dated(key, among)
            case keys.Within():
                since = int((self.now() - key.seconds) * 1_000_000)
                dates = self.selected.dates
                return {at for at in among if (dates[at] >= since) is key.younger}
            case keys.ChangedSince():
                modseqs = self.selected.modseqs
                return {at for at in among if modseqs[at] >= key.modseq}
            case keys.HasEmailId() | keys.HasThreadId() | keys.SaveDateSupported():
                # OBJECTID and SAVEDATE are not announced: no message has any.
                return set()
        assert_never(key)

    def _numbered(self, key: keys.InSet, among: Found) -> Found:
        found: Found = set()
        for span in self.selected.spans(key.numbers, key.uid):
            found.update(span)
        return found & among

    def _flagged(self, key: keys.HasFlag, among: Found) -> Found:
        # Keywords are compared without regard to case (RFC 9051 §2.3.2).
        known = {*SYSTEM_FLAGS, *self.selected.keywords}
        spelled = {flag for flag in known if flag.lower() == key.flag.lower()}
        flags = self.selected.flags
        return {at for at in among if spelled.isdisjoint(flags[at]) is not key.present}

    def _text(self, needle: str, among: Found, where: Where) -> Found:
        if not needle:
            return among
        by_seq = self._by_seq(among)
        seqs = self.searcher.containing(sorted(by_seq), needle, where=where)
        return {at for seq in seqs for at in by_seq.get(Seq(seq), ())}

    def _header(self, key: keys.HeaderHas, among: Found) -> Found:
        column = _COLUMNS.get(key.name.lower())
        if column is not None and key.text:
            uids = self.archive.containing(self.selected.mailbox.id, column, key.text)
            found = {at for uid in uids if (at := self.selected.index(Uid(uid))) is not None}
            return found & among
        by_seq = self._by_seq(among)
        seqs: Iterable[int] = by_seq
        # Folding can only bring more ASCII texts together, so no message is passed over.
        if (text := key.text or key.name).isascii():
            seqs = self.searcher.with_header(sorted(by_seq), text)
        wanted = key.name.lower(), key.text.casefold()
        having = (seq for seq in map(Seq, seqs) if _field_holds(self.archive.header(seq), *wanted))
        return {at for seq in having for at in by_seq[seq]}

    def _where(self, among: Found, column: str, test: Callable[[int], bool]) -> Found:
        values = self._column(among, column)
        return {at for at in among if test(values[at])}

    def _column(self, among: Found, *names: str) -> dict[int, Any]:
        """index → the column's value (of one name), or the row (of several)."""
        by_seq = self._by_seq(among)
        seqs = sorted(by_seq)
        values: dict[int, Any] = {}
        for start in range(0, len(seqs), _CHUNK):
            rows = self.archive.columns(seqs[start : start + _CHUNK], names)
            for seq, row in rows.items():
                for at in by_seq[seq]:
                    values[at] = row[0] if len(names) == 1 else row
        return values

    def _by_seq(self, among: Found) -> dict[Seq, list[int]]:
        # A message may have two places in one mailbox: COPY onto itself makes them.
        by_seq: dict[Seq, list[int]] = {}
        for at in among:
            by_seq.setdefault(self.selected.seq_at(at), []).append(at)
        return by_seq

    def _dated(self, key: keys.Dated, among: Found) -> Found:
        if key.which is DateOf.SENT:
            return self._sent(key, among)
        # "Disregarding time and timezone" (RFC 9051 §6.4.4): internal dates are kept in UTC.
        start = stamp(datetime(key.day.year, key.day.month, key.day.day, tzinfo=UTC))
        dates = self.selected.dates
        match key.when:
            case When.BEFORE:
                return {at for at in among if dates[at] < start}
            case When.SINCE:
                return {at for at in among if dates[at] >= start}
            case When.ON:
                return {at for at in among if start <= dates[at] < start + _DAY_US}
        assert_never(key.when)

    def _sent(self, key: keys.Dated, among: Found) -> Found:
        start = stamp(datetime(key.day.year, key.day.month, key.day.day, tzinfo=UTC))
        edges = (start, start + _DAY_US)
        found: Found = set()
        for at, sent in self._column(among, "sent").items():
            if sent is None:  # no Date field, or none that names a day
                continue
            if any(abs(sent - edge) <= _ZONE_US for edge in edges):
                day = self._local_day(at) or moment(sent).date()
            else:
                day = moment(sent).date()
            if _on(day, key):
                found.add(at)
        return found

    def _local_day(self, at: int) -> date | None:
        """The day as the Date field says it, whatever its zone."""
        body = header.first(header.fields(self.archive.header(self.selected.seq_at(at))), "date")
        parsed = parsedate(body.decode("latin-1")) if body else None
        try:
            return date(*parsed[:3]) if parsed else None
        except ValueError:
            return None


def _field_holds(section: bytes, name: str, wanted: str) -> bool:
    return any(
        field.name.lower() == name and wanted in header.decode(field.body).casefold()
        for field in header.fields(section)
    )


def _on(day: date, key: keys.Dated) -> bool:
    match key.when:
        case When.BEFORE:
            return day < key.day
        case When.ON:
            return day == key.day
        case When.SINCE:
            return day >= key.day
    assert_never(key.when)


def _cost(key: SearchKey) -> int:
    match key:
        case keys.And():
            return max(map(_cost, key.keys))
        case keys.Or():
            return max(_cost(key.one), _cost(key.other))
        case keys.Not():
            return _cost(key.key)
    return _COST.get(type(key), 0)
