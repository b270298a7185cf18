"""The street: every public message from three accounts, through the house, to every window."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.accept.corpus import messages
from tests.accept.dovecot import installed
from tests.accept.house import RunningHouse
from tests.accept.street import Street, held

pytestmark = [
    pytest.mark.peers,
    pytest.mark.corpora,
    pytest.mark.skipif(not installed(), reason="Dovecot is not installed"),
]

QUERIES = (
    "linux",
    "free money",
    '"mailing list"',
    "from:yahoo",
    "subject:re",
    "to:zzzz",
    "has:attachment",
    "unsubscribe",
    "is:unread newsletter",
    "rechnung",
    "password reset",
    "exmh",
    "-linux kernel",
    "perl OR python",
    "before:2002-09-01",
    "after:2002-10-01 spam",
    "filename:pdf",
    "in:INBOX razor",
    "über",
    "invoice total",
)


def test_all_that_the_provider_serves_is_in_every_window_once(
    corpora: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    every = messages(corpora)
    assert len(every) > 4_800
    with Street(tmp_path, every) as street, street.new_house(tmp_path / "house") as house:
        served = street.served()
        everything = served["anna"] | served["ben"]

        first = {run["account"]: run for run in house.ok("fetch")["accounts"]}
        for holding in street.holdings:
            run = first[holding.account]
            assert (run["error"], run["failed"]) == (None, [])
            assert run["listed"] == sum(map(len, holding.mailboxes.values()))
            assert run["admitted"] + run["duplicates"] == run["listed"]
            record_property(holding.account, f"{run['listed']} in {run['seconds']} s")
        assert sum(run["admitted"] for run in first.values()) == len(everything)

        for run in house.ok("fetch")["accounts"]:
            assert (run["admitted"], run["octets"], run["error"]) == (0, 0, None)
            assert run["listed"] == first[run["account"]]["listed"]

        assert house.ok("status")["messages"] == len(everything)
        house.start()
        for person, digests in served.items():
            found = held(house, person)
            assert set(found['"All Mail"'].digests.values()) == digests
            assert len(found['"All Mail"'].digests) == len(digests)
            others = [seen for name, seen in found.items() if name != '"All Mail"']
            assert {one for seen in others for one in seen.digests.values()} == digests
            for seen in others:
                assert len(set(seen.digests.values())) == len(seen.digests)
        house.stop()

        checked = house.ok("verify", "--deep")
        assert checked["messages"] == len(everything)
        assert [checked[key] for key in ("damaged", "missing", "problems")] == [[], [], []]
        _searches_survive_the_loss_of_the_index(house, record_property)
        assert house.ok("status")["problems"] == []


def _searches_survive_the_loss_of_the_index(
    house: RunningHouse, record_property: Callable[[str, object], None]
) -> None:
    house.ok("follow", "--until-idle")
    before = _searches(house)
    assert sum(bool(found["total"]) for found in before.values()) >= len(QUERIES) - 3
    shutil.rmtree(house.data / "index")
    began = time.monotonic()
    indexed = house.ok("reindex")["indexed"]
    record_property("reindex", f"{indexed} in {time.monotonic() - began:.1f} s")
    assert indexed == house.ok("status")["messages"]
    after = _searches(house)
    for query in QUERIES:
        assert after[query] == before[query], query


def _searches(house: RunningHouse) -> dict[str, dict[str, Any]]:
    with ThreadPoolExecutor(2) as both:
        found = both.map(lambda query: house.search("anna", query), QUERIES)
        return dict(zip(QUERIES, found, strict=True))
