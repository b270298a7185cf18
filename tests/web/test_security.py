"""What every route must refuse, and what every answer must carry."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from flask import Flask

from appliance.household import Account
from tests.web import samples
from tests.web.conftest import PASSWORD, Browser, Rooms, signed_in
from web import security

OPEN = {
    "/",
    "/health",
    "/start",
    "/sign-in",
    "/language/<code>",
    "/static/<path:filename>",
    "/inline/<int:seq>/<part>",
}
"""Pages without a person. /inline has its own proof, tested in test_messages."""


def rules(app: Flask) -> list[tuple[str, str]]:
    """Every (method, rule) there is."""
    return sorted(
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) & {"GET", "POST", "PUT", "DELETE", "PATCH"}
    )


def filled(rule: str, values: dict[str, Any]) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values[found.group(1)]), rule)


def bens(rooms: Rooms) -> dict[str, Any]:
    """Everything of Ben's that an address can name."""
    device = rooms.household.add_device("ben", "phone").device
    rooms.household.add_account(
        Account("bens", "ben", "imap", "imap.example.org", 993, "implicit", "ben"), "geheim-9"
    )
    return {
        "mailbox_id": rooms.mailbox("ben", "INBOX"),
        "seq": rooms.seqs["secret"],
        "part": "1",
        "name": "bens",
        "device_id": device.id,
        "code": "de",
        "filename": "hauspost.css",
    }


def test_no_page_but_the_doors_is_open_to_strangers(rooms: Rooms, stranger: Browser) -> None:
    values = bens(rooms)
    for method, rule in rules(rooms.app):
        if rule in OPEN:
            continue
        path = filled(rule, values)
        if method == "GET":
            answer = stranger.get(path)
            assert (answer.status_code, answer.location.partition("?")[0]) == (302, "/sign-in"), (
                rule
            )
        else:
            answer = stranger.post(path, page="/sign-in")
            assert answer.status_code == 401, rule


def test_htmx_is_sent_to_the_sign_in_page_as_a_whole(stranger: Browser) -> None:
    answer = stranger.get("/accounts/progress", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in")


def test_nothing_of_bens_is_there_for_another_person(rooms: Rooms) -> None:
    """Every route that names something, named with Ben's: as if it did not exist."""
    rooms.household.add_person("carl", PASSWORD)
    rooms.archive.provision("carl")
    carl, values = signed_in(rooms, "carl"), bens(rooms)
    asked = 0
    for method, rule in rules(rooms.app):
        if "<" not in rule or rule in OPEN:
            continue
        path = filled(rule, values)
        answer = (
            carl.get(path) if method == "GET" else carl.post(path, {"verb": "delete", "uid": "1"})
        )
        keeper_only = rule.startswith("/people/")
        assert answer.status_code == (403 if keeper_only else 404), (method, rule)
        assert "secret" not in answer.text
        asked += 1
    assert asked >= 15
    assert len(rooms.archive.snapshot(rooms.mailbox("ben", "INBOX")).uids) == 1
    assert rooms.household.account("bens").enabled
    assert rooms.household.devices("ben")


def test_the_keeper_sees_no_mail_of_others(rooms: Rooms, anna: Browser) -> None:
    values = bens(rooms)
    for method, rule in rules(rooms.app):
        if "<int:seq>" in rule or "mailbox_id" in rule or "device_id" in rule:
            path = filled(rule, values)
            if rule in OPEN:
                continue
            answer = anna.get(path) if method == "GET" else anna.post(path)
            assert answer.status_code == 404, (method, rule)
    for page in ("/", "/mailboxes", "/removed", "/search?q=secret", "/status", "/people"):
        assert "secret results" not in anna.get(page).text


def test_search_finds_nothing_of_others(rooms: Rooms, anna: Browser, ben: Browser) -> None:
    assert "secret results" in ben.get("/search?q=secret").text
    assert "secret results" not in anna.get("/search?q=secret").text
    box = rooms.mailbox("ben", "INBOX")
    assert "secret results" not in anna.get(f"/search?q=secret&box={box}").text


def test_the_keepers_pages_are_the_keepers(ben: Browser, rooms: Rooms) -> None:
    assert ben.get("/people").status_code == 403
    for path in ("/people", "/people/anna/password", "/people/anna/addresses"):
        assert (
            ben.post(path, {"name": "x", "password": "y" * 9, "again": "y" * 9}).status_code == 403
        )
    assert [one.name for one in rooms.household.persons()] == ["anna", "ben"]


# -- writes


WRITES = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "http://localhost.evil.example"},
    ],
    ids=lambda one: " ".join(*one.items()),
)
def test_a_write_from_another_site_is_refused(
    rooms: Rooms, anna: Browser, headers: dict[str, str]
) -> None:
    token = anna.token("/mailboxes")
    answer = anna.client.post("/mailboxes", data={"csrf": token, "name": "X"}, headers=headers)
    assert answer.status_code == 403
    assert "X" not in {one.name for one in rooms.archive.mailboxes("anna")}


def test_every_write_needs_the_token_of_its_session(rooms: Rooms, anna: Browser) -> None:
    values, foreign = bens(rooms), signed_in(rooms, "ben").token("/mailboxes")
    for method, rule in rules(rooms.app):
        if method == "GET":
            continue
        for token in ("", "0" * 64, foreign, "ü"):
            answer = anna.client.post(filled(rule, values), data={"csrf": token}, headers=WRITES)
            assert answer.status_code == 403, (rule, token)


def test_a_read_changes_nothing_but_what_is_read(rooms: Rooms, anna: Browser) -> None:
    before = rooms.archive.modseq()
    for method, rule in rules(rooms.app):
        if method == "GET" and rule != "/message/<int:seq>":
            anna.get(filled(rule, {**bens_names, "seq": rooms.seqs["plain"]}))
    assert rooms.archive.modseq() == before


bens_names: dict[str, Any] = {
    "mailbox_id": 1,
    "part": "1",
    "name": "none",
    "device_id": 1,
    "code": "de",
    "filename": "x",
}


# -- answers


def test_every_answer_carries_the_headers(rooms: Rooms, anna: Browser, stranger: Browser) -> None:
    values = {
        **bens(rooms),
        "seq": rooms.seqs["html"],
        "mailbox_id": rooms.mailbox("anna", "INBOX"),
    }
    for browser in (anna, stranger):
        for method, rule in rules(rooms.app):
            path = filled(rule, values)
            answer = browser.get(path) if method == "GET" else browser.client.post(path)
            policy = answer.headers["Content-Security-Policy"]
            assert policy in {security.PAGE_POLICY, security.LETTER_POLICY, security.FILE_POLICY}
            assert "default-src 'none'" in policy
            assert "unsafe-eval" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] in {"same-origin", "no-referrer"}
            if policy == security.PAGE_POLICY:
                assert "unsafe-inline" not in policy
                assert answer.headers["X-Frame-Options"] == "DENY"


def test_pages_hold_no_inline_script_style_or_foreign_address(rooms: Rooms, anna: Browser) -> None:
    values = {**bens_names, "seq": rooms.seqs["html"], "mailbox_id": rooms.mailbox("anna", "INBOX")}
    for method, rule in rules(rooms.app):
        if method != "GET" or rule in OPEN or rule.endswith(("/body", "/source")):
            continue
        page = anna.get(filled(rule, values)).text
        assert not re.search(r"<script(?![^>]* src=)", page), rule
        assert not re.search(
            r"\s(?:style|on\w+|hx-on\S*)=", re.sub(r'content="[^"]*"', "", page)
        ), rule
        loaded = re.findall(
            r'<(?:script|link|img|iframe|form)[^>]*?(?:src|href|action)="([^"]*)"', page
        )
        assert all(address.startswith("/") and address[1:2] != "/" for address in loaded), rule


def test_a_defect_shows_a_number_and_no_traceback(
    rooms: Rooms, anna: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(type(rooms.archive), "statuses", broken)
    answer = anna.get("/mailboxes")
    assert answer.status_code == 500
    assert "secret inside" not in answer.text
    assert "Traceback" not in answer.text
    found = re.search(r"incident ([0-9a-f]{8})", answer.text)
    assert found
    assert found.group(1) in caplog.text


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nothing", 404),
        ("/box/999999", 404),
        ("/message/0", 404),
        (f"/message/{10**30}", 404),
        ("/message/1/part/", 404),
        ("/box/9/act", 405),
        ("/language/fr", 404),
    ],
)
def test_a_wrong_address_gets_plain_words(anna: Browser, path: str, code: int) -> None:
    answer = anna.get(path)
    assert answer.status_code == code
    assert "That did not work" in answer.text


def test_a_form_of_megabytes_is_refused(anna: Browser) -> None:
    assert anna.post("/mailboxes", {"name": "x" * 2_000_000}).status_code == 413


# -- behind a proxy


def test_under_a_prefix_every_address_has_it(rooms: Rooms) -> None:
    client = rooms.app.test_client()
    prefix = {"X-Forwarded-Prefix": "/mail"}
    page = client.get("/mail/sign-in", headers=prefix).text
    assert 'action="/mail/sign-in"' in page
    token = re.findall(r'name="csrf" value="(\w+)"', page)[0]
    answer = client.post(
        "/mail/sign-in",
        data={"csrf": token, "name": "anna", "password": PASSWORD, "next": "/status"},
        headers={**prefix, **WRITES},
    )
    assert answer.location == "/mail/status"
    cookie = next(c for c in answer.headers.getlist("Set-Cookie") if c.startswith("hauspost="))
    assert "Path=/mail" in cookie
    values = {**bens_names, "seq": rooms.seqs["html"], "mailbox_id": rooms.mailbox("anna", "INBOX")}
    for method, rule in rules(rooms.app):
        if method == "GET" and not rule.endswith("/source") and rule not in OPEN:
            page = client.get("/mail" + filled(rule, values), headers=prefix).text
            addresses = re.findall(r'\b(?:src|href|action|hx-get|hx-post)="(/[^"]*)"', page)
            assert all(address.startswith("/mail/") for address in addresses), rule


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", "/../x<", "javascript:", "/"])
def test_a_prefix_that_is_none_is_noise(rooms: Rooms, prefix: str) -> None:
    page = rooms.app.test_client().get("/sign-in", headers={"X-Forwarded-Prefix": prefix}).text
    assert 'action="/sign-in"' in page


def test_only_a_proxy_on_this_machine_is_believed(rooms: Rooms) -> None:
    page = rooms.app.test_client().get(
        "/sign-in",
        headers={"X-Forwarded-Prefix": "/mail"},
        environ_base={"REMOTE_ADDR": "192.168.1.9"},
    )
    assert 'action="/sign-in"' in page.text


# -- what strangers write stays text


@pytest.mark.parametrize(
    "field",
    [
        "x\r\nSet-Cookie: evil=1",
        '"><script>alert(1)</script>',
        "\u202egpj.exe",
        "{{ 7 * 7 }}",
        "\x00",
    ],
    ids=["line break", "markup", "bidi", "template", "nul"],
)
def test_hostile_subjects_and_senders_stay_text(rooms: Rooms, anna: Browser, field: str) -> None:
    word = f"=?utf-8?b?{base64.b64encode(field.encode()).decode()}?="
    text = f"From: {word} <a@example.net>\nTo: {word} <b@example.net>\nSubject: {word}\n\nhello\n"
    (receipt,) = rooms.archive.admit([samples.delivery(text, number=70)])
    box = rooms.mailbox("anna", "INBOX")
    for path in (
        f"/box/{box}",
        f"/message/{receipt.seq}",
        f"/thread/{receipt.seq}",
        f"/message/{receipt.seq}/header",
        f"/message/{receipt.seq}/source",
    ):
        answer = anna.get(path)
        assert answer.status_code == 200
        assert not any("evil" in cookie for cookie in answer.headers.getlist("Set-Cookie"))
        assert "<script>alert(1)" not in answer.text.replace(text, "")
        assert "\u202e" not in answer.text
        assert ">49<" not in answer.text


def test_the_list_of_open_pages_is_what_the_application_opens(rooms: Rooms) -> None:
    opened = {
        rule.rule
        for rule in rooms.app.url_map.iter_rules()
        if getattr(rooms.app.view_functions[rule.endpoint], "open_to_all", False)
    }
    assert opened | {"/static/<path:filename>"} == OPEN
