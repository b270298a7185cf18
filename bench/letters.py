"""Messages to bench with: those of the public corpora, then generated ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain, islice

from bench.machine import corpora
from tests.accept.corpus import messages

_TEXT = (
    "the of and to in is that for it as was with be on not are this have from meeting report "
    "Rechnung Garten Familie Urlaub Bestellung Lieferung Grüße Termin und oder nicht schedule "
    "update review draft budget order delivery support ticket account server release version"
)
_WORDS = _TEXT.split()


def letters(count: int) -> tuple[str, Iterator[bytes]]:
    """What they are, and ``count`` of them, with CR LF line ends."""
    folder = corpora()
    real = messages(folder)[-count:] if folder is not None else []
    lines = (one.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for one in real)
    what = f"{len(real)} public messages" if real else ""
    if len(real) < count:
        what += f"{' and ' if what else ''}{count - len(real)} generated ones"
    return what, islice(chain(lines, _generated()), count)


def _generated() -> Iterator[bytes]:
    chance = random.Random("letters")
    number = 0
    while True:
        number += 1
        text = chance.choices(_WORDS, k=int(chance.lognormvariate(5.5, 0.8)) + 20)
        lines = "\r\n".join(" ".join(text[at : at + 11]) for at in range(0, len(text), 11))
        subject = " ".join(chance.choices(_WORDS, k=5)).encode("ascii", "ignore").decode()
        yield (
            f"From: Person {number % 97} <p{number % 97}@example.org>\r\nTo: anna@example.org\r\n"
            f"Subject: {subject}\r\nMessage-ID: <{number}@example.org>\r\n"
            f"Date: Mon, 02 Feb 2026 10:{number // 60 % 60:02}:{number % 60:02} +0000\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Transfer-Encoding: 8bit\r\n\r\n{lines}\r\n"
        ).encode()
