"""Date fields as they come: RFC 5322, its obsolete forms, and the usual faults.

A date that cannot be (30 February, zone +9999, year 10000) is no date; nothing
is invented. Never raises.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_LONGEST = 1000
_COMMENT = re.compile(r"\([^()]*\)")
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        # English (RFC 5322 §3.3); then what German, French, Spanish and Italian programs write.
        (
            "jan ene gen",
            "feb fev",
            "mar mrz",
            "apr abr avr",
            "may mai mag",
            "jun giu jui",
            "jul lug",
            "aug ago aou",
            "sep set",
            "oct okt ott",
            "nov",
            "dec dez dic",
        ),
        1,
    )
    for name in names.split()
}
_ZONES: Final = {
    # Minutes east of UTC: RFC 5322 §4.3, then names that stand in real mail.
    0: "ut utc gmt z wet",
    -300: "est cdt",
    -240: "edt",
    -360: "cst mdt",
    -420: "mst pdt",
    -480: "pst",
    60: "west bst cet mez met",
    120: "cest mesz mest eet",
    180: "eest msk",
    540: "jst kst",
    330: "ist",
    480: "hkt sgt",
    600: "aest",
    660: "aedt",
    720: "nzst",
    780: "nzdt",
}
_MINUTES_EAST: Final = {name: east for east, names in _ZONES.items() for name in names.split()}
_TIME = (
    r"(?P<hour>\d{1,2})\s*[:.]\s*(?P<minute>\d{1,2})"
    r"(?:\s*[:.]\s*(?P<second>\d{1,2})(?:[.,]\d+)?)?"
)
_ZONE = r"\s*(?P<half>[AaPp]\.?[Mm]\.?(?![A-Za-z]))?\s*(?P<zone>[^\s]*)"
_DAY_FIRST = re.compile(
    r"(?:[^\W\d]+\.?,?\s*,?\s*)?(?P<day>\d{1,2})\.?[\s-]*(?P<month>[^\W\d]{3,})\.?,?[\s-]*"
    r"(?P<year>\d{2,5})(?:,?\s+(?:at\s+)?" + _TIME + _ZONE + ")?"
)
_MONTH_FIRST = re.compile(  # asctime, and "Nov 4, 2026 10:22"
    r"(?:[^\W\d]+,?\s+)?(?P<month>[^\W\d]{3,})\s+(?P<day>\d{1,2}),?\s+"
    r"(?:" + _TIME + r"\s+(?:(?P<zone>[A-Z]{1,4}|[+-]\d{4})\s+)?(?P<year>\d{4})"
    r"(?:\s+(?P<zone_last>[A-Z]{1,4}|[+-]\d{4}))?"
    r"|(?P<year_first>\d{4})(?:,?\s+(?:at\s+)?" + _TIME.replace("P<", "P<late_") + r")?)"
)
_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})[Tt\s]" + _TIME + r"\s*(?P<zone>[^\s]*)"
)
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([+-])(\d{1,2}):?(\d{2})?(?!\d)", re.I)
_CENTURY_PIVOT = 50


def date_of(body: bytes) -> datetime | None:
    """The moment a Date field names, in UTC; None when it names none that can be.

    Without a zone, or with one nobody knows, the time is UTC (RFC 5322 §4.3).
    """
    text = body[:_LONGEST].decode("latin-1").replace("\r", " ").replace("\n", " ")
    for _ in range(5):  # comments nest (RFC 5322 §3.2.2); deeper ones mean nothing to a date
        text, changed = _COMMENT.subn(" ", text)
        if not changed:
            break
    text = text.strip(" \t\"'")
    for pattern in (_DAY_FIRST, _ISO, _MONTH_FIRST):
        if match := pattern.match(text):
            return _moment({key: value for key, value in match.groupdict().items() if value})
    return None


def _moment(found: dict[str, str]) -> datetime | None:
    month_text = found["month"].lower()
    month = int(month_text) if month_text.isdigit() else _MONTHS.get(month_text[:3], 0)
    if month_text.startswith("juil"):
        month = 7
    elif month_text.startswith("mär"):
        month = 3
    year = _year(found.get("year") or found.get("year_first", ""))
    east = _minutes_east(found.get("zone") or found.get("zone_last") or "")
    if east is None or not month or not year:
        return None
    hour = int(found.get("hour") or found.get("late_hour", "0"))
    if half := found.get("half", "").lower():
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    second = int(found.get("second") or found.get("late_second", "0"))
    try:
        local = datetime(
            year,
            month,
            int(found["day"]),
            hour,
            int(found.get("minute") or found.get("late_minute", "0")),
            min(second, 59) if second <= 60 else second,  # a leap second (RFC 5322 §3.3)
            tzinfo=timezone(timedelta(minutes=east)),
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _year(digits: str) -> int | None:
    if not digits or len(digits) > 4:
        return None
    year = int(digits)
    if len(digits) == 2:  # RFC 5322 §4.3
        return year + (2000 if year < _CENTURY_PIVOT else 1900)
    return year + 1900 if len(digits) == 3 else year


def _minutes_east(zone: str) -> int | None:
    """Minutes east of UTC; 0 for a name nobody knows, None for an offset that cannot be."""
    if match := _OFFSET.match(zone):
        hours, minutes = int(match.group(2)), int(match.group(3) or 0)
        if hours > 23 or minutes > 59:
            return None
        return (hours * 60 + minutes) * (-1 if match.group(1) == "-" else 1)
    if zone[:1] in "+-" and len(zone) > 1:
        return None
    return _MINUTES_EAST.get(zone.lower().rstrip(".,;"), 0)
