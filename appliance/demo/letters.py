"""Sample mail of a household of two, made here: the same seed gives the same octets.

German and English; a family's threads, a garden club's list, newsletters in HTML,
bills with a PDF, a photo, an invitation, and letters that both received.
"""

from __future__ import annotations

import random
import struct
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from importlib.resources import files
from typing import Any, Final

from appliance.mail.types import ANSWERED, FLAGGED, SEEN, Flag

ANNA: Final = "Anna Sommer <anna@example.org>"
BEN: Final = "Ben Sommer <ben@example.net>"
LIST: Final = "Gartenfreunde <gartenfreunde@lists.example.org>"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message and where it lies: account (anna-imap, anna-pop, ben-imap) and mailbox."""

    account: str
    mailbox: str
    octets: bytes
    date: datetime
    flags: frozenset[Flag]


def letters(now: datetime, seed: int = 1) -> list[Letter]:
    """All sample mail, oldest first; ``now`` is what the newest is a little older than."""
    return sorted(_Writer(now, seed).everything(), key=lambda letter: letter.date)


class _Writer:
    def __init__(self, now: datetime, seed: int) -> None:
        self._now = now.astimezone(UTC).replace(microsecond=0)
        self._random = random.Random(seed)  # noqa: S311 - sample mail, not a secret
        self._count = 0
        told = files("appliance.demo").joinpath("sample.toml").read_text(encoding="utf-8")
        self._sample: dict[str, Any] = tomllib.loads(told)

    def everything(self) -> Iterator[Letter]:
        yield from self._threads()
        yield from self._list()
        yield from self._bills()
        yield from self._newsletters()
        yield from self._orders()
        yield from self._files()

    # -- kinds of letters

    def _threads(self) -> Iterator[Letter]:
        for thread in self._sample["thread"]:
            parent: EmailMessage | None = None
            subject = thread["subject"]
            date = self._now - timedelta(days=thread["days"], hours=self._random.randrange(10))
            for n, said in enumerate(thread["letter"]):
                who, text = said["from"], said["text"]
                sender, receiver = (ANNA, BEN) if who == "anna" else (BEN, ANNA)
                if who == "oma":
                    sender, receiver = "Oma Helga <helga.winter@example.com>", f"{ANNA}, {BEN}"
                title = subject if n == 0 else f"Re: {subject}"
                message = self._message(sender, receiver, title, date, text, parent)
                if who == "oma":
                    yield self._letter("anna-imap", "INBOX", message, date)
                    yield self._letter("ben-imap", "INBOX", message, date)
                else:
                    sent, got = (
                        ("anna-imap", "ben-imap") if who == "anna" else ("ben-imap", "anna-imap")
                    )
                    yield self._letter(sent, "Sent", message, date, read=True)
                    yield self._letter(got, "INBOX", message, date)
                parent = message
                date += timedelta(hours=self._random.randrange(1, 30))

    def _list(self) -> Iterator[Letter]:
        for n, thread in enumerate(self._sample["list"]):
            parent: EmailMessage | None = None
            date = self._now - timedelta(days=9 + 17 * n, hours=self._random.randrange(12))
            title = f"[Gartenfreunde] {thread['subject']}"
            for said in thread["letter"]:
                who = said["from"]
                message = self._message(
                    f"{who} <{who.split()[0].lower()}@example.com>",
                    LIST,
                    title if parent is None else f"Re: {title}",
                    date,
                    self._text("listed", text=said["text"]),
                    parent,
                )
                message["List-Id"] = "Gartenfreunde <gartenfreunde.lists.example.org>"
                message["List-Unsubscribe"] = "<mailto:gartenfreunde-leave@lists.example.org>"
                yield self._letter("anna-imap", "Lists/Gartenfreunde", message, date)
                if self._random.random() < 0.5:
                    # Both are members: the same letter over other servers.
                    yield self._letter("ben-imap", "INBOX", message, date)
                parent = message
                date += timedelta(hours=self._random.randrange(1, 50))

    def _bills(self) -> Iterator[Letter]:
        for month in range(14):
            date = self._now - timedelta(days=6 + 30 * month)
            number = f"RE-{date.year}-{4711 + 37 * (14 - month):05d}"
            amount = f"{self._random.randrange(38, 96)},{self._random.randrange(100):02d} EUR"
            message = self._message(
                "Stadtwerke Musterstadt <rechnung@stadtwerke.example>",
                ANNA,
                f"Ihre Stromrechnung {number}",
                date,
                self._text("bill", number=number, amount=amount),
            )
            content = pdf([f"Stromrechnung {number}", f"Betrag: {amount}", "Kundennummer 2081530"])
            message.add_attachment(
                content, maintype="application", subtype="pdf", filename=f"Rechnung {number}.pdf"
            )
            yield self._letter("anna-pop", "INBOX", message, date, read=month > 0)

    def _newsletters(self) -> Iterator[Letter]:
        for n, news in enumerate(self._sample["newsletter"]):
            title, words = news["title"], news["words"]
            date = self._now - timedelta(days=3 + 11 * n, hours=5)
            message = self._message(
                "Küchenzettel <news@kuechenzettel.example>",
                ANNA if n % 2 == 0 else BEN,
                title,
                date,
                f"{title}\n\n{words}",
            )
            message.add_alternative(self._text("html", title=title, words=words), subtype="html")
            html = message.get_payload(1)
            assert isinstance(html, EmailMessage)
            html.add_related(
                picture(240, 80, n), maintype="image", subtype="png", cid="<head@kuechenzettel>"
            )
            message["List-Unsubscribe"] = "<https://kuechenzettel.example/unsubscribe>"
            account = "anna-imap" if n % 2 == 0 else "ben-imap"
            yield self._letter(account, "INBOX", message, date, read=n % 3 == 1)

    def _orders(self) -> Iterator[Letter]:
        for n, order in enumerate(self._sample["order"]):
            shop, thing = order["shop"], order["thing"]
            date = self._now - timedelta(days=12 + 23 * n)
            number = f"{self._random.randrange(10**6, 10**7)}-{n:03d}"
            text = self._text("ordered", number=number, thing=thing, shop=shop)
            sender = f"{shop} <orders@{shop.split()[0].lower()}.example>"
            message = self._message(sender, BEN, f"Your order {number}", date, text)
            yield self._letter("ben-imap", "Orders", message, date, read=True)
            later = date + timedelta(days=2)
            message = self._message(
                sender,
                BEN,
                f"Your order {number} has been shipped",
                later,
                self._text("shipped", thing=thing, shop=shop),
                message,
            )
            yield self._letter("ben-imap", "Orders", message, later, read=n > 1)

    def _files(self) -> Iterator[Letter]:
        date = self._now - timedelta(days=1, hours=3)
        message = self._message(
            "Tante Inge <inge@example.com>",
            f"{ANNA}, {BEN}",
            "Foto vom Sommerfest",
            date,
            self._text("photo"),
        )
        message.add_attachment(
            picture(640, 420, 9),
            maintype="image",
            subtype="png",
            filename="Sommerfest Gruppenfoto.png",
        )
        yield self._letter("anna-imap", "INBOX", message, date, flagged=True)
        yield self._letter("ben-imap", "INBOX", message, date)
        date = self._now - timedelta(hours=4)
        message = self._message(
            "Schule am Bach <sekretariat@schule.example>",
            ANNA,
            "Einladung zum Elternabend",
            date,
            self._text("school"),
        )
        start = (date + timedelta(days=6)).strftime("%Y%m%dT180000Z")
        calendar = self._text("calendar", start=start).replace("\n", "\r\n")
        message.add_attachment(calendar, subtype="calendar", filename="Elternabend.ics")
        yield self._letter("anna-imap", "INBOX", message, date)

    # -- making them

    def _text(self, name: str, **words: str) -> str:
        made: str = self._sample["template"][name].format(**words)
        return made

    def _message(
        self,
        sender: str,
        receiver: str,
        subject: str,
        date: datetime,
        text: str,
        parent: EmailMessage | None = None,
    ) -> EmailMessage:
        self._count += 1
        message = EmailMessage()
        message["From"] = sender
        message["To"] = receiver
        message["Subject"] = subject
        message["Date"] = format_datetime(date)
        domain = sender.rpartition("@")[2].rstrip(">")
        message["Message-ID"] = f"<{date:%Y%m%d%H%M%S}.{self._count}@{domain}>"
        if parent is not None:
            message["In-Reply-To"] = parent["Message-ID"]
            before = parent["References"]
            message["References"] = (
                f"{before} {parent['Message-ID']}" if before else parent["Message-ID"]
            )
        message.set_content(text + "\n")
        return message

    def _letter(
        self,
        account: str,
        mailbox: str,
        message: EmailMessage,
        date: datetime,
        *,
        read: bool = False,
        flagged: bool = False,
    ) -> Letter:
        flags = set()
        age = self._now - date
        if read or age > timedelta(days=20):
            flags.add(SEEN)
        if flagged:
            flags.add(FLAGGED)
        if message["References"] and mailbox == "Sent":
            flags.add(ANSWERED)
        for n, part in enumerate(message.walk()):
            if part.is_multipart():
                part.set_boundary(f"sample-{self._count}-{n}")  # else it is made by chance
        octets = message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        return Letter(account, mailbox, octets, date, frozenset(flags))


def picture(width: int, height: int, seed: int) -> bytes:
    """A PNG: a sky, a sun and hills."""
    rnd = random.Random(seed)  # noqa: S311 - a picture, not a secret
    sun_x, sun_y, sun = rnd.randrange(width), height // 4, height // 7
    hills = [(rnd.uniform(0.5, 2.5), rnd.uniform(0, 6), 0.55 + 0.15 * n) for n in range(3)]
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            colour = (150 + 80 * y // height, 190 + 40 * y // height, 235)
            if (x - sun_x) ** 2 + (y - sun_y) ** 2 < sun * sun:
                colour = (255, 214, 92)
            for n, (waves, shift, level) in enumerate(hills):
                phase = (x / width * waves + shift) % 2 - 1
                if y > height * (level + 0.16 * phase * phase):
                    colour = (96 - 22 * n, 150 - 26 * n, 84 - 18 * n)
            rows += bytes(colour)

    def chunk(name: bytes, octets: bytes) -> bytes:
        checksum = zlib.crc32(name + octets)
        return struct.pack(">I", len(octets)) + name + octets + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(rows), 9))
        + chunk(b"IEND", b"")
    )


def pdf(lines: list[str]) -> bytes:
    """A PDF of one page with these lines."""
    shown = " ".join(f"({line}) Tj 0 -22 Td" for line in lines)
    stream = f"BT /F1 14 Tf 60 760 Td {shown} ET".encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, at)
    return bytes(out)
