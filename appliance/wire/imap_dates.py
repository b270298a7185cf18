"""Dates as IMAP writes them: ``1-Feb-1994`` and `` 1-Feb-1994 21:52:25 -0800`` (RFC 9051 §9).

Month names are English whatever the locale is.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_MONTH: Final = {name.lower().encode("ascii"): at for at, name in enumerate(_MONTHS, 1)}
_DATE: Final = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME: Final = re.compile(
    rb" ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})"
    rb" ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)


def parse_date(octets: bytes) -> date | None:
    """``1-Feb-1994``, or None: there is no such day."""
    found = _DATE.fullmatch(octets)
    if found is None:
        return None
    try:
        return date(int(found[3]), _MONTH.get(found[2].lower(), 0), int(found[1]))
    except ValueError:
        return None


def parse_date_time(octets: bytes) -> datetime | None:
    """date-time without its quotes, aware; None: it is none. A leap second is the second before."""
    found = _DATE_TIME.fullmatch(octets)
    if found is None:
        return None
    day, year, hour, minute, second, zone_h, zone_m = map(int, found.group(1, 3, 4, 5, 6, 8, 9))
    zone = timedelta(hours=zone_h, minutes=zone_m) * (-1 if found[7] == b"-" else 1)
    try:
        month = _MONTH.get(found[2].lower(), 0)
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=timezone(zone))
        moment.astimezone(UTC)  # in UTC too it must be in a year from 1 to 9999
        return moment
    except (ValueError, OverflowError):
        return None


def date_octets(day: date) -> bytes:
    """``1-Feb-1994``."""
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04}".encode("ascii")


def date_time_octets(moment: datetime) -> bytes:
    """``"17-Jul-1996 02:44:25 -0700"`` with its quotes; a day of one digit has a space before it.

    ``moment`` is aware. Its zone is kept, to the minute.
    """
    offset = moment.utcoffset()
    assert offset is not None  # aware, as the docstring asks
    minutes = int(offset.total_seconds() // 60)
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    day = f"{moment.day:2}-{_MONTHS[moment.month - 1]}-{moment.year:04}"
    return f'"{day} {moment:%H:%M:%S} {zone}"'.encode("ascii")
