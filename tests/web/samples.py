"""Letters for the pages' tests: small, and each with something that must be shown right."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from appliance.mail.types import Delivery, Flag, Origin

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
PLAIN = """\
From: =?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <juergen@example.net>
To: Anna <anna@hauspost.local>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_M=C3=BCnchen?=
Date: Sun, 1 Mar 2026 10:00:00 +0100
Message-ID: <plain-1@example.net>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Liebe Anna,

die Fotos liegen unter https://example.net/fotos?a=1&b=2. <b>Nicht fett</b>

> Wann kommt ihr?

Am Freitag.
"""
REPLY = """\
From: Anna <anna@hauspost.local>
To: juergen@example.net
Subject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_M=C3=BCnchen?=
Date: Sun, 1 Mar 2026 11:00:00 +0100
Message-ID: <plain-2@example.net>
In-Reply-To: <plain-1@example.net>
References: <plain-1@example.net>

Fein, bis Freitag.
"""
HTML = """\
From: Gazette <news@shop.example>
To: anna@hauspost.local
Subject: Spring sale <script>alert(1)</script>
Date: Mon, 2 Mar 2026 08:00:00 +0000
Message-ID: <html-1@shop.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="m"

--m
Content-Type: multipart/related; boundary="r"

--r
Content-Type: multipart/alternative; boundary="a"

--a
Content-Type: text/plain; charset=utf-8

Spring sale: everything must go.
--a
Content-Type: text/html; charset=utf-8

<html><head><style>p {{ color: red }}</style><script>document.title = "ran"</script></head>
<body onload="alert(1)"><h1 style="color: #336699; background: url(https://t.example/x)">Spring</h1>
<p>Everything <a href="https://shop.example/go" onclick="evil()">must go</a>.
<a href="javascript:alert(1)">no</a></p>
<img src="cid:logo@shop" alt="Logo"><img src="https://t.example/pixel.gif" alt="pixel">
<iframe src="https://t.example/frame"></iframe></body></html>
--a--
--r
Content-Type: image/png
Content-ID: <logo@shop>
Content-Transfer-Encoding: base64

{png}
--r--
--m
Content-Type: text/html; name="../../evil\u202egpj.html"
Content-Disposition: attachment; filename="../../evil.html"
Content-Transfer-Encoding: base64

{evil}
--m
Content-Type: application/pdf
Content-Disposition: attachment; filename*=utf-8''Rechnung%20M%C3%A4rz%0d%0aX-Evil%3a%20yes.pdf
Content-Transfer-Encoding: base64

{pdf}
--m--
""".format(
    png=base64.b64encode(PNG).decode(),
    evil=base64.b64encode(b"<script>alert(1)</script>").decode(),
    pdf=base64.b64encode(b"%PDF-1.4 not really\r\n" * 40).decode(),
)
SECRET = f"""\
From: doctor@example.net
To: ben@hauspost.local
Subject: Ben's secret results
Date: Tue, 3 Mar 2026 08:00:00 +0000
Message-ID: <secret@example.net>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="m"

--m
Content-Type: text/html

<p>Only for Ben <img src="cid:scan"></p>
--m
Content-Type: image/png
Content-ID: <scan>
Content-Transfer-Encoding: base64

{base64.b64encode(PNG).decode()}
--m--
"""


def octets_of(text: str) -> bytes:
    """As on the wire."""
    return text.replace("\n", "\r\n").encode()


def delivery(
    text: str | bytes,
    owner: str = "anna",
    mailbox: str = "INBOX",
    number: int = 0,
    flags: frozenset[Flag] = frozenset(),
) -> Delivery:
    """One letter arriving; ``number`` minutes after START and in its unique-id."""
    octets = text if isinstance(text, bytes) else octets_of(text)
    return Delivery(
        octets=octets,
        origin=Origin("test", mailbox, 1, f"{owner}-{number}"),
        owner=owner,
        mailbox=mailbox,
        internal_date=START + timedelta(minutes=number),
        flags=flags,
    )


def note(number: int) -> bytes:
    """One of many short letters."""
    return octets_of(
        f"From: Sender {number} <s{number}@example.net>\nTo: anna@hauspost.local\n"
        f"Subject: Note {number:05d}\nMessage-ID: <note-{number}@example.net>\n"
        f"Date: Sun, 1 Mar 2026 10:00:00 +0000\n\nText of note {number}.\n"
    )
