"""Dates as people write them, in English and German, as spans of whole days.

``3.5.2019`` and ``3/5/2019`` are the third of May: the day comes first unless only the
other order is a date. A day or month without its year is the latest that is not to come.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from index.analysis import fold


@dataclass(frozen=True, slots=True)
class Span:
    """``start <= day < end``."""

    start: date
    end: date

    def __str__(self) -> str:
        last = self.end - timedelta(days=1)
        return f"{self.start}" if last == self.start else f"{self.start} to {last}"


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janner jaenner",
            "feb february februar feber",
            "mar march marz maerz mrz",
            "apr april",
            "may mai",
            "jun june juni",
            "jul july juli",
            "aug august",
            "sep sept september",
            "oct october okt oktober",
            "nov november",
            "dec december dez dezember",
        ),
        1,
    )
    for name in names.split()
}
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday montag mon",
            "tuesday dienstag tue",
            "wednesday mittwoch wed",
            "thursday donnerstag thu",
            "friday freitag fri",
            "saturday samstag sonnabend sat",
            "sunday sonntag sun",
        )
    )
    for name in names.split()
}
_DAYS = {
    "today": 0,
    "heute": 0,
    "yesterday": 1,
    "gestern": 1,
    "vorgestern": 2,
    "tomorrow": -1,
    "morgen": -1,
}
_UNITS = {
    name: unit
    for unit, names in {
        "d": "d day days t tag tage tagen",
        "w": "w week weeks woche wochen",
        "m": "m month months mo monat monate monaten monats",
        "y": "y yr year years j jahr jahre jahren a",
    }.items()
    for name in names.split()
}
_LAST = [
    *("last", "past", "previous", "vorige", "voriger", "vorigen", "voriges"),
    *("letzte", "letzter", "letzten", "letztes", "letztem"),
    *("vergangene", "vergangenen", "vergangener", "vergangenes"),
]
_THIS = ["this", "diese", "dieser", "diesen", "dieses", "diesem"]
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))

_Found = Callable[["re.Match[str]", date], Span | None]


def span(text: str, today: date) -> Span | None:
    """The days a text names, None if it is no date."""
    text = re.sub(r"\s+", " ", fold(text)).strip(" ,")
    if len(text) > 40:
        return None
    for pattern, found in _FORMS:
        if match := pattern.fullmatch(text):
            try:
                if days := found(match, today):
                    return days
            except (ValueError, OverflowError):
                # The 31st of February, the year 0: no date after all.
                continue
    return None


def ago(text: str, today: date) -> date | None:
    """The day that lies ``7d``, ``2 weeks``, ``1 jahr`` back; None if it is no length of time."""
    match = _LENGTH.fullmatch(fold(text).strip())
    if match is None:
        return None
    try:
        return _back(today, int(match["n"]), _UNITS[match["unit"]])
    except (ValueError, OverflowError):
        return None


def _day(day: date) -> Span:
    return Span(day, day + timedelta(days=1))


def _month(year: int, month: int) -> Span:
    return Span(date(year, month, 1), date(year + month // 12, month % 12 + 1, 1))


def _year(year: int) -> Span:
    return Span(date(year, 1, 1), date(year + 1, 1, 1))


def _back(today: date, n: int, unit: str) -> date:
    if unit == "d":
        return today - timedelta(days=n)
    if unit == "w":
        return today - timedelta(weeks=n)
    months = today.year * 12 + today.month - 1 - n * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    # The last day of a shorter month: a month before the 31st of May is the 30th of April.
    last = (_month(year, month + 1).end - timedelta(days=1)).day
    return date(year, month + 1, min(today.day, last))


def _full_year(text: str, today: date) -> int:
    year = int(text)
    if len(text) > 2:
        return year
    century = today.year // 100 * 100
    return century + year if century + year <= today.year + 1 else century - 100 + year


def _numbers(match: re.Match[str], today: date) -> Span:
    year = _full_year(match["y"], today)
    day, month = int(match["d"]), int(match["m"])
    if month > 12 >= day and match["sep"] == "/":
        day, month = month, day
    return _day(date(year, month, day))


def _day_month(match: re.Match[str], today: date) -> Span:
    return _latest(int(match["m"]), int(match["d"]), today)


def _named_day(match: re.Match[str], today: date) -> Span:
    month, day = _MONTHS[match["month"]], int(match["d"])
    if match["y"]:
        return _day(date(_full_year(match["y"], today), month, day))
    return _latest(month, day, today)


def _latest(month: int, day: int, today: date) -> Span:
    for year in range(today.year, today.year - 5, -1):
        try:
            found = date(year, month, day)
        except ValueError:  # the 29th of February
            continue
        if found <= today:
            return _day(found)
    raise ValueError("no such day")


def _named_month(match: re.Match[str], today: date) -> Span:
    month = _MONTHS[match["month"]]
    if match["y"]:
        return _month(_full_year(match["y"], today), month)
    return _month(today.year - (month > today.month), month)


def _relative(match: re.Match[str], today: date) -> Span:
    last = match["which"] in _LAST
    unit = _UNITS[match["unit"]]
    if unit == "d":
        return _day(today - timedelta(days=last))
    if unit == "w":
        monday = today - timedelta(days=today.weekday() + 7 * last)
        return Span(monday, monday + timedelta(days=7))
    if unit == "m":
        first = _back(today.replace(day=1), int(last), "m")
        return _month(first.year, first.month)
    return _year(today.year - last)


def _recent(match: re.Match[str], today: date) -> Span:
    start = _back(today, int(match["n"]), _UNITS[match["unit"]])
    return Span(start, today + timedelta(days=1))


def _ago(match: re.Match[str], today: date) -> Span:
    return _day(_back(today, int(match["n"]), _UNITS[match["unit"]]))


def _weekday(match: re.Match[str], today: date) -> Span:
    back = (today.weekday() - _WEEKDAYS[match["day"]]) % 7
    return _day(today - timedelta(days=back or (7 if match["last"] else 0)))


def _between(match: re.Match[str], today: date) -> Span | None:
    first, last = span(match["a"], today), span(match["b"], today)
    if first is None or last is None or last.end <= first.start:
        return None
    return Span(first.start, last.end)


_LENGTH = re.compile(rf"(?P<n>\d{{1,4}}) ?(?P<unit>{_UNIT})")
_Y = r"(?P<y>\d{4}|\d{2})"
_FORMS: tuple[tuple[re.Pattern[str], _Found], ...] = (
    (re.compile(r"(?P<a>.+?) ?(?:\.\.+|…| bis | to | until ) ?(?P<b>.+)"), _between),
    (re.compile(r"(?P<a>\d{4}) ?[-–] ?(?P<b>\d{4})"), _between),
    (re.compile(r"(\d{4})"), lambda m, _: _year(int(m[1]))),
    (re.compile(r"(\d{4})[-/.](\d{1,2})"), lambda m, _: _month(int(m[1]), int(m[2]))),
    (
        re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})"),
        lambda m, _: _day(date(int(m[1]), int(m[3]), int(m[4]))),
    ),
    (re.compile(rf"(?P<d>\d{{1,2}})(?P<sep>[./-]) ?(?P<m>\d{{1,2}})(?P=sep) ?{_Y}"), _numbers),
    (re.compile(r"(\d{1,2})[./](\d{4})"), lambda m, _: _month(int(m[2]), int(m[1]))),
    (re.compile(r"(?P<d>\d{1,2})\. ?(?P<m>\d{1,2})\.?"), _day_month),
    (
        re.compile(
            rf"(?P<d>\d{{1,2}})(?:\.|st|nd|rd|th)?[ -]?(?:of )?(?P<month>{_MONTH})\.?"
            rf"(?:,?[ -]?{_Y})?"
        ),
        _named_day,
    ),
    (
        re.compile(rf"(?P<month>{_MONTH})\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,? {_Y})?"),
        _named_day,
    ),
    (re.compile(rf"(?P<month>{_MONTH})\.?(?:,? ?(?P<y>\d{{4}}))?"), _named_month),
    (
        re.compile("|".join(_DAYS)),
        lambda m, today: _day(today - timedelta(days=_DAYS[m[0]])),
    ),
    (
        re.compile(rf"(?:the )?(?P<which>{'|'.join(_LAST + _THIS)}) (?P<unit>{_UNIT})"),
        _relative,
    ),
    (
        re.compile(rf"(?:the |die )?(?:{'|'.join(_LAST)}) (?P<n>\d{{1,4}}) (?P<unit>{_UNIT})"),
        _recent,
    ),
    (re.compile(rf"(?P<n>\d{{1,4}}) ?(?P<unit>{_UNIT}) ago"), _ago),
    (re.compile(rf"vor (?P<n>\d{{1,4}}) ?(?P<unit>{_UNIT})"), _ago),
    (_LENGTH, _ago),
    (
        re.compile(rf"(?P<last>(?:{'|'.join(_LAST)}) )?(?P<day>{'|'.join(_WEEKDAYS)})"),
        _weekday,
    ),
)
