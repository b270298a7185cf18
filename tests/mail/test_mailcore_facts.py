"""Another parser's account of the same messages: subjects and the types of their leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.mail.reading import read_message

EXPLAINED = {
    "jwz__1": "a type without a subtype is text/plain (RFC 2045 §5.2); there x-be2/unknown",
    "jwz__29": "the same",
    "jwz__134": "the same, x-sun-attachment",
    "jwz__135": "the same, x-sun-attachment",
    "jwz__116": "application/x-pkcs7-mime is kept; there it is opened",
    "jwz__117": "the same",
    "jwz__132": "a multipart without a boundary parameter: its first delimiter says it",
    "jwz__22": "the same",
    "jwz__41": "parts are found that are missing there",
    "jwz__5": "an encoding on a multipart does not hide its parts",
}


def leaves(part: dict[str, Any]) -> Iterator[str]:
    kind = part["partType"]
    if kind.startswith("multipart"):
        for one in part.get("parts", {}).get("items", ()):
            yield from leaves(one)
    elif kind == "message":
        yield from leaves(part["mainPart"])
    else:
        yield part["mimeType"].lower()


def test_two_parsers_see_the_same_message(corpora: Path) -> None:
    folder = corpora / "torture" / "mailcore2"
    wrong = []
    differing = set()
    compared = 0
    for path in sorted((folder / "expected").glob("parser__output__mbox__*")):
        message = folder / f"{path.name.replace('output', 'input')}.eml"
        octets = message.read_bytes()
        theirs = json.loads(path.read_text("utf-8"))
        reading = read_message(octets)
        name = path.name.removeprefix("parser__output__mbox__")
        subject = theirs["header"].get("subject", "")
        if reading.subject.split() != subject.split():
            wrong.append((name, reading.subject, subject))
        found = [f"{p.media_type}/{p.subtype}" for _, p in reading.root.walk() if not p.parts]
        if found != list(leaves(theirs["mainPart"])):
            differing.add(name)
        compared += 1
    assert wrong == []
    assert differing == set(EXPLAINED)
    assert compared > 140
