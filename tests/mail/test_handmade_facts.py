"""The facts stated beside the handmade messages: subject, people, date, files, words.

A date we knowingly read otherwise stands in EXPLAINED with its reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.mail.decoding import decoded
from appliance.mail.envelope import address_text
from appliance.mail.html import html_text
from appliance.mail.reading import Reading, read_message
from appliance.mail.text import body_views, part_text, reader_text

Facts = dict[str, Any]
Message = tuple[str, bytes, Facts, Reading]

# "No single right answer" there; each has one that a reader would give.
EXPLAINED = {
    "date_iso": "an ISO 8601 date names one moment",
    "date_leap_second": "23:59:60 is read as 23:59:59",
    "date_zone_mez": "MEZ is UTC+1 in every German mail",
    "date_dot_time": "11.22.33 can only mean one time",
}


@pytest.fixture(scope="module")
def handmade(corpora: Path) -> list[Message]:
    folder = corpora / "torture" / "handmade"
    found = []
    for path in sorted((folder / "expected").glob("*.json")):
        facts = json.loads(path.read_text("utf-8"))
        octets = (folder / facts["file"]).read_bytes()
        assert hashlib.sha256(octets).hexdigest() == facts["sha256"]
        found.append((path.stem, octets, facts, read_message(octets)))
    assert len(found) > 250
    return found


def with_fact(handmade: list[Message], name: str) -> Iterator[Message]:
    return (message for message in handmade if name in message[2])


def test_none_has_a_problem(handmade: list[Message]) -> None:
    assert [(name, reading.problem) for name, _, _, reading in handmade if reading.problem] == []


def test_subjects(handmade: list[Message]) -> None:
    wrong = [
        (name, reading.subject[:80], facts["subject"][:80])
        for name, _, facts, reading in with_fact(handmade, "subject")
        if not reading.subject.startswith(facts["subject"])
    ]
    assert wrong == []


def test_addresses(handmade: list[Message]) -> None:
    wrong: list[tuple[str, object, object]] = []
    for name, _, facts, reading in handmade:
        found = [address_text(a) for a in reading.envelope.to if a.domain is not None]
        if "to_addrs" in facts and found != facts["to_addrs"]:
            wrong.append((name, found, facts["to_addrs"]))
        if "from_addr" in facts and address_text(reading.envelope.from_[0]) != facts["from_addr"]:
            wrong.append((name, reading.sender, facts["from_addr"]))
        if "n_recipients" in facts and len(found) != facts["n_recipients"]:
            wrong.append((name, len(found), facts["n_recipients"]))
    assert wrong == []


def test_dates(handmade: list[Message]) -> None:
    wrong = []
    for name, _, facts, reading in with_fact(handmade, "date_utc"):
        given = facts["date_utc"]
        wanted = datetime.fromisoformat(given.replace("Z", "+00:00")) if given else None
        if name in EXPLAINED:
            assert reading.sent is not None  # or the explanation is out of date
        elif reading.sent != wanted:
            wrong.append((name, reading.sent, wanted))
    assert wrong == []


def test_message_ids(handmade: list[Message]) -> None:
    wrong = [
        (name, reading.message_id)
        for name, _, facts, reading in with_fact(handmade, "message_id")
        if reading.message_id != facts["message_id"]
    ]
    assert wrong == []


def test_one_letter_by_several_ways_has_one_variant(handmade: list[Message]) -> None:
    groups: dict[str, set[bytes]] = {}
    for _, _, facts, reading in with_fact(handmade, "dup_group"):
        groups.setdefault(facts["dup_group"], set()).add(reading.variant)
    assert len(groups["dup_transport"]) == 1
    by_name = {name: reading for name, _, _, reading in handmade}
    # One message-id, two letters.
    assert by_name["mid_reused_a"].variant != by_name["mid_reused_b"].variant
    assert by_name["mid_missing"].variant == b""


def test_attachments_are_whole_and_have_their_names(handmade: list[Message]) -> None:
    wrong: list[tuple[str, object, object]] = []
    for name, octets, facts, reading in with_fact(handmade, "attachments"):
        views = body_views(reading.root)
        files = [*views.attachments, *views.inline.values()]
        found = {
            hashlib.sha256(decoded(octets, part)).hexdigest(): part.filename for _, part in files
        }
        for one in facts["attachments"]:
            if one["sha256"] not in found:
                wrong.append((name, "is missing", one["filename"]))
            elif not one.get("filename_free") and found[one["sha256"]] != one["filename"]:
                wrong.append((name, found[one["sha256"]], one["filename"]))
    assert wrong == []


def test_words_are_found_in_what_a_reader_sees(handmade: list[Message]) -> None:
    wrong: list[tuple[str, str, str]] = []
    for name, octets, facts, reading in handmade:
        shown = reader_text(octets, reading.root)
        text = "\n".join((reading.subject, reading.recipients, shown))
        wrong += [
            (name, "text", word) for word in facts.get("text_contains", ()) if word not in text
        ]
        views = body_views(reading.root)
        html = part_text(octets, views.html) if views.html else ""
        words = (*facts.get("html_contains", ()), *facts.get("html_text_contains", ()))
        wrong += [(name, "html", word) for word in words if word not in html]
        unseen = facts.get("not_searchable", ())
        wrong += [(name, "must not be found", word) for word in unseen if word in shown]
    assert wrong == []


def test_a_data_uri_is_no_text(handmade: list[Message]) -> None:
    octets = next(octets for name, octets, _, _ in handmade if name == "html_big_datauri")
    assert len(reader_text(octets, read_message(octets).root)) < 2000


def test_numbers_of_parts(handmade: list[Message]) -> None:
    wrong = []
    for name, _, facts, reading in handmade:
        nodes = sum(1 for _ in reading.root.walk())
        if "n_parts" in facts and nodes - 1 != facts["n_parts"]:
            wrong.append((name, nodes, facts["n_parts"]))
        if "depth" in facts and nodes < facts["depth"]:
            wrong.append((name, nodes, facts["depth"]))
    assert wrong == []


def test_html_text_of_nothing_is_nothing() -> None:
    assert html_text("") == ""
