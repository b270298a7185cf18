"""Dates, sizes, names and part numbers as a page writes them."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from email.utils import parseaddr
from urllib.parse import quote

from markupsafe import Markup, escape

_MONTHS_DE = "Jan. Feb. März April Mai Juni Juli Aug. Sept. Okt. Nov. Dez."
_MONTHS_EN = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_MONTHS = {"de": _MONTHS_DE.split(), "en": _MONTHS_EN.split()}
_DAYS_DE, _DAYS_EN = "Mo Di Mi Do Fr Sa So", "Mon Tue Wed Thu Fri Sat Sun"
_DAYS = {"de": _DAYS_DE.split(), "en": _DAYS_EN.split()}
_UNITS = ("kB", "MB", "GB", "TB")
_URL = re.compile(r"\bhttps?://[^\s<>\"'\x00-\x1f]+", re.IGNORECASE)
_TRAILING = ".,;:!?)]}»“”’"


def number(count: int, language: str) -> str:
    """12345 → ``12,345`` or ``12.345``."""
    return f"{count:,}".replace(",", "." if language == "de" else ",")


def size(octets: int, language: str) -> str:
    """Octets in decimal units with at most one decimal."""
    if octets < 1000:
        return f"{octets} B"
    amount = float(octets)
    for unit in _UNITS:
        amount /= 1000
        if amount < 999.5 or unit == _UNITS[-1]:
            break
    text = f"{amount:.1f}" if amount < 9.95 else f"{amount:.0f}"
    return f"{text.replace('.', ',') if language == 'de' else text} {unit}"


def short_date(moment: datetime, language: str, now: datetime | None = None) -> str:
    """For a list: the time today, day and month this year, else the date."""
    local = moment.astimezone()
    today = (now or datetime.now(UTC)).astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M}"
    month = _MONTHS[language][local.month - 1]
    day = f"{local.day}. {month}" if language == "de" else f"{local.day} {month}"
    return day if local.year == today.year else f"{day} {local.year}"


def long_date(moment: datetime, language: str) -> str:
    """For a letter's head: ``Mo 23. Nov. 2026, 14:22``."""
    local = moment.astimezone()
    day, month = _DAYS[language][local.weekday()], _MONTHS[language][local.month - 1]
    dot = "." if language == "de" else ""
    return f"{day} {local.day}{dot} {month} {local.year}, {local:%H:%M}"


def duration(seconds: float) -> str:
    """``48 s``, ``3:20 min``, ``2:05 h``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def short_sender(sender: str) -> str:
    """The first author's name, else the address: for a list."""
    first = sender.split("\n", 1)[0]
    name, address = parseaddr(first[:1000])
    return name or address or first


def line(text: str) -> str:
    """Untrusted text as one line: no control, no bidi override, no line break."""
    if text.isprintable():
        return text.strip()  # nearly always, and a hundred times a page
    return "".join(
        " " if character in "\r\n\t" else character
        for character in text
        if character in "\r\n\t"
        or (unicodedata.category(character) not in {"Cc", "Cs"} and character not in _BIDI)
    ).strip()


_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def linked(text: str) -> Markup:
    """Plain text with its web addresses as links; everything else escaped."""
    pieces, at = [], 0
    for found in _URL.finditer(text):
        address = found.group().rstrip(_TRAILING)
        pieces.append(escape(text[at : found.start()]))
        pieces.append(
            Markup(
                '<a href="{0}" target="_blank" rel="noopener noreferrer nofollow">{0}</a>'
            ).format(address)
        )
        at = found.start() + len(address)
    pieces.append(escape(text[at:]))
    return Markup("").join(pieces)


def file_name(given: str | None, fallback: str) -> str:
    """A name safe to offer for a download: no path, no control or bidi characters, not hidden."""
    name = re.split(r"[/\\]", line(given or ""))[-1]
    name = re.sub(r'[<>:"|?*]', "_", name).strip(" .")
    if len(name) > 150:
        stem, dot, suffix = name.rpartition(".")
        name = f"{stem[: 149 - len(suffix)]}{dot}{suffix}" if len(suffix) < 12 else name[:150]
    return name or fallback


def attachment_header(name: str) -> str:
    """Content-Disposition for a download (RFC 6266 §4.3, Appendix D): both spellings."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^\w .()+,@=-]", "_", plain).strip() or "attachment"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def part_number(number: tuple[int, ...]) -> str:
    """``(1, 2)`` → ``1.2``; the whole message is ``0``."""
    return ".".join(map(str, number)) or "0"
