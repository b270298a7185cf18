"""Accounts, people, devices, status and search: what they show and what they change."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.fetch.connection import AccountTest
from appliance.fetch.progress import Progress
from appliance.follow import Follower
from appliance.household import Account
from appliance.mail.types import FetchRun, Origin
from tests.web.conftest import PASSWORD, Browser, Rooms, signed_in

FORM = {
    "name": "gmx",
    "protocol": "imap",
    "host": "imap.gmx.net",
    "port": "993",
    "tls": "implicit",
    "user": "anna@gmx.net",
    "password": "geheim-1",
    "every_s": "300",
    "remove_after_days": "",
    "mailboxes": "INBOX\r\nArchive*\r\n",
}
ACCOUNT = Account("gmx", "anna", "imap", "imap.gmx.net", 993, "implicit", "anna@gmx.net")


@pytest.fixture
def account(rooms: Rooms) -> Account:
    rooms.household.add_account(ACCOUNT, "geheim-1")
    return ACCOUNT


def test_an_account_is_added_sealed_and_fetched_at_once(rooms: Rooms, anna: Browser) -> None:
    answer = anna.post("/accounts/new", FORM)
    assert answer.location == "/accounts"
    made = rooms.household.account("gmx")
    assert (made.person, made.host, made.port, made.mailboxes, made.remove_after_days) == (
        "anna",
        "imap.gmx.net",
        993,
        ("INBOX", "Archive*"),
        None,
    )
    assert rooms.household.account_password("gmx") == "geheim-1"
    assert rooms.household.take_fetch_requests() == ["gmx"]
    assert "geheim-1" not in anna.get("/accounts").text + anna.get("/accounts/of/gmx").text


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "a b"},
        {"host": "x y"},
        {"port": "0"},
        {"port": "x"},
        {"tls": "maybe"},
        {"protocol": "ftp"},
        {"every_s": "1"},
        {"password": ""},
        {"user": ""},
        {"person": "nobody"},
    ],
    ids=lambda one: " ".join(one),
)
def test_a_form_with_a_mistake_keeps_what_was_typed(
    rooms: Rooms, anna: Browser, change: dict[str, str]
) -> None:
    answer = anna.post("/accounts/new", {**FORM, **change})
    assert answer.status_code == 400
    assert 'class="notice error"' in answer.text
    assert "geheim-1" not in answer.text
    assert rooms.household.accounts() == []


def test_who_is_no_keeper_may_only_name_mail_ports(rooms: Rooms, ben: Browser) -> None:
    refused = ben.post("/accounts/new", {**FORM, "port": "22", "verb": "test"})
    assert refused.status_code == 400
    assert "no mail port" in refused.text
    assert ben.post("/accounts/new", {**FORM, "person": "anna"}).status_code == 400
    assert rooms.household.accounts() == []
    assert ben.post("/accounts/new", FORM).status_code == 302
    assert rooms.household.account("gmx").person == "ben"


@pytest.mark.parametrize(
    ("form", "host"),
    [
        ({"address": "anna@gmx.net"}, "imap.gmx.net"),
        ({"preset": "pop3:pop.gmx.net"}, "pop.gmx.net"),
    ],
    ids=["by address", "by provider"],
)
def test_the_server_is_found_for_an_address_or_a_provider(
    anna: Browser, form: dict[str, str], host: str
) -> None:
    page = anna.post("/accounts/new", {**form, "verb": "fill"}).text
    assert f'name="host" value="{host}"' in page


def test_an_unknown_provider_is_said(anna: Browser) -> None:
    answer = anna.post("/accounts/new", {"address": "a@unknown.example", "verb": "fill"})
    assert answer.status_code == 400
    assert "We do not know that provider" in answer.text


def test_trying_out_shows_what_is_there_and_changes_nothing(
    rooms: Rooms, anna: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def tried(account: Account, password: str) -> AccountTest:
        asked.append((account.host, password))
        return AccountTest(True, "It works.", 12, ("INBOX", "Sent"), None)

    monkeypatch.setattr("web.accounts.test_account", tried)
    page = anna.post("/accounts/new", {**FORM, "verb": "test"}).text
    assert "It works." in page
    assert "12 messages are there." in page
    assert asked == [("imap.gmx.net", "geheim-1")]
    assert rooms.household.accounts() == []


def test_the_kept_password_goes_to_no_other_server(
    rooms: Rooms, anna: Browser, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("web.accounts.test_account", lambda a, p: asked.append(p))
    moved = {**FORM, "host": "evil.example", "password": ""}
    assert anna.post("/accounts/of/gmx", {**moved, "verb": "test"}).status_code == 400
    assert anna.post("/accounts/of/gmx", moved).status_code == 400
    weaker = {**FORM, "tls": "none", "password": ""}
    assert anna.post("/accounts/of/gmx", {**weaker, "verb": "test"}).status_code == 400
    assert asked == []
    assert rooms.household.account("gmx").host == "imap.gmx.net"


def test_an_account_is_changed_paused_and_removed(
    rooms: Rooms, anna: Browser, account: Account
) -> None:
    anna.post("/accounts/of/gmx", {**FORM, "password": "", "every_s": "3600", "name": "other"})
    assert rooms.household.account("gmx").every_s == 3600
    assert rooms.household.account_password("gmx") == "geheim-1"
    anna.post("/accounts/of/gmx/pause")
    assert not rooms.household.account("gmx").enabled
    assert "paused" in anna.get("/accounts").text
    assert "stay in the archive" in anna.get("/accounts/of/gmx/remove").text
    anna.post("/accounts/of/gmx/remove")
    assert rooms.household.accounts() == []


def test_fetch_now_asks_the_mail_process_and_the_page_follows(
    rooms: Rooms, anna: Browser, account: Account
) -> None:
    assert "hx-get" not in anna.get("/accounts").text
    answer = anna.post("/accounts/of/gmx/fetch")
    assert rooms.household.take_fetch_requests() == ["gmx"]
    page = anna.get(answer.location).text
    assert 'hx-get="/accounts/progress' in page
    assert '<noscript><meta http-equiv="refresh"' in page


def test_a_run_under_way_is_shown_and_followed_until_it_ends(
    rooms: Rooms, anna: Browser, account: Account
) -> None:
    rooms.board.post(Progress("gmx", "fetching", 1000, 250, 500, 240, 9, 1, 12_000_000, 10.0, 30.0))
    page = anna.get("/accounts/progress").text
    assert '<progress value="50" max="100"' in page
    assert "250 of 500 messages" in page
    assert "about 30 s to go" in page
    rooms.board.post(Progress("gmx", "done", 1000, 500, 500, 480, 19, 1, 24_000_000, 20.0, 0.0))
    rooms.archive.record_run(FetchRun("gmx", datetime.now(UTC), 20.0, 1000, 480, 19))
    page = anna.get("/accounts/progress").text
    assert "<progress" not in page
    assert "hx-get" not in page
    assert "480 new messages" in page


def test_a_page_does_not_ask_for_ever(anna: Browser, account: Account) -> None:
    page, asked = anna.get("/accounts?watch=999999").text, 0
    while found := re.search(r'hx-get="(/accounts/progress[^"]*)"', page):
        page, asked = anna.get(found.group(1)).text, asked + 1
        assert asked < 100
    assert asked > 5


# -- people and devices


def test_the_keeper_lets_somebody_in(rooms: Rooms, anna: Browser) -> None:
    form = {"name": "carl", "display_name": "Carl", "password": PASSWORD, "again": PASSWORD}
    assert anna.post("/people", form).location == "/people"
    assert "INBOX" in {one.name for one in rooms.archive.mailboxes("carl")}
    signed_in(rooms, "carl")
    assert anna.post("/people", form).status_code == 400
    assert anna.post("/people", {**form, "name": "Ä"}).status_code == 400


def test_the_keeper_gives_a_new_password_and_the_old_sessions_end(
    rooms: Rooms, anna: Browser, ben: Browser
) -> None:
    form = {"password": "new password 1", "again": "new password 1"}
    assert anna.post("/people/ben/password", form).status_code == 302
    assert ben.get("/mailboxes").status_code == 302
    assert rooms.household.check_password("ben", "new password 1", "127.0.0.1")


def test_an_address_is_added_and_a_wrong_one_is_said(rooms: Rooms, anna: Browser) -> None:
    anna.post("/people/ben/addresses", {"address": "ben@family.example"})
    assert rooms.household.addresses("ben") == ["ben@family.example"]
    anna.post("/people/anna/addresses", {"address": "ben@family.example"})
    assert 'class="notice error"' in anna.get("/people").text


def test_ones_own_password_needs_the_old_one(rooms: Rooms, ben: Browser) -> None:
    form = {"old": "wrong", "password": "new password 1", "again": "new password 1"}
    assert ben.post("/password", form).status_code == 400
    assert ben.post("/password", {**form, "old": PASSWORD}).status_code == 302
    assert ben.get("/mailboxes").status_code == 200
    assert rooms.household.check_password("ben", "new password 1", "127.0.0.1")


def test_a_devices_password_is_shown_once_with_what_to_type(rooms: Rooms, anna: Browser) -> None:
    page = anna.post("/devices", {"name": "phone <1>"}).text
    found = re.search(r'class="secret">([^<]+)<', page)
    assert found
    assert rooms.household.check_device("anna", found.group(1), "127.0.0.1")
    assert f"<code>{rooms.config.imaps_port}</code>" in page
    assert "<code>localhost</code>" in page
    again = anna.get("/devices").text
    assert found.group(1) not in again
    assert "phone &lt;1&gt;" in again


def test_a_device_is_locked_out(rooms: Rooms, anna: Browser) -> None:
    made = rooms.household.add_device("anna", "phone")
    anna.post(f"/devices/{made.device.id}/revoke")
    assert rooms.household.check_device("anna", made.password, "127.0.0.1") is None
    assert anna.post("/devices", {"name": ""}).status_code == 400


# -- status and search


def test_the_status_says_sizes_runs_and_what_went_wrong(
    rooms: Rooms, anna: Browser, account: Account
) -> None:
    rooms.archive.record_run(
        FetchRun("gmx", datetime.now(UTC), 2.0, 10, error="imap.gmx.net: refused the password")
    )
    rooms.archive.record_failure(Origin("gmx", "INBOX", 1, "7"), "the message ends too early")
    page = anna.get("/status").text
    assert "refused the password" in page
    assert "the message ends too early" in page
    assert re.search(r'class="figure">3</span><span class="muted">your messages', page)
    assert re.search(r'class="figure">4</span><span class="muted">messages in the house', page)


def test_others_see_only_their_own_status(rooms: Rooms, ben: Browser, account: Account) -> None:
    rooms.archive.record_run(FetchRun("gmx", datetime.now(UTC), 2.0, 10, error="of anna"))
    page = ben.get("/status").text
    assert "of anna" not in page
    assert "messages in the house" not in page
    assert "What was done in the house" not in page


def test_a_nearly_full_disk_is_said(
    rooms: Rooms, anna: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shutil import _ntuple_diskusage

    def full(_: Path) -> object:
        return _ntuple_diskusage(100_000_000, 95_000_000, 5_000_000)

    monkeypatch.setattr("web.status.shutil.disk_usage", full)
    assert "nearly full: 5.0 MB" in anna.get("/status").text


def test_search_marks_the_words_and_links_to_the_message(rooms: Rooms, anna: Browser) -> None:
    page = anna.get("/search?q=freitag").text
    assert "Nothing found" in page
    with Follower(rooms.archive, rooms.config.index) as follower:
        follower.until_idle()
    page = anna.get("/search?q=freitag").text
    assert f'href="/message/{rooms.seqs["plain"]}"' in page
    assert "2 messages found" in page
    assert page.count("<mark>Freitag</mark>") == 2


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        '"',
        "from:",
        "in:nowhere",
        "(((",
        "a" * 3000,
        "<script>alert(1)</script>",
        "-",
        "*",
        "before:never",
        "\x00",
        "🙂",
    ],
)
def test_whatever_is_typed_a_page_comes(anna: Browser, query: str) -> None:
    for more in ({}, {"order": "best"}, {"order": "x"}, {"at": "x"}, {"box": "x"}, {"box": "999"}):
        answer = anna.get("/search", query_string={"q": query, **more})
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text


def test_a_mailbox_that_changed_says_so(rooms: Rooms, anna: Browser) -> None:
    box = rooms.mailbox("anna", "INBOX")
    found = re.search(r'hx-get="(/box/\d+/news[^"]*)"', anna.get(f"/box/{box}").text)
    assert found
    assert anna.get(found.group(1)).status_code == 204
    anna.get(f"/message/{rooms.seqs['plain']}")
    answer = anna.get(found.group(1))
    assert (answer.status_code, f'href="/box/{box}"' in answer.text) == (200, True)


def test_only_unread_are_shown_when_asked_for(rooms: Rooms, anna: Browser) -> None:
    box = rooms.mailbox("anna", "INBOX")
    anna.get(f"/message/{rooms.seqs['plain']}")
    page = anna.get(f"/box/{box}?unread=1").text
    assert "Spring sale" in page
    assert "Grüße" not in page
