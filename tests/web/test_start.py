"""The first start, signing in and out."""

from __future__ import annotations

import pytest

from appliance.household import TooManyTries
from tests.web.conftest import PASSWORD, Browser, Rooms, signed_in
from web.start import Patience

FORM = {"name": "Anna", "display_name": "Anna M", "password": PASSWORD, "again": PASSWORD}


@pytest.fixture
def visitor(empty: Rooms) -> Browser:
    return Browser(empty.app.test_client())


def test_every_page_of_an_empty_house_leads_to_the_first_start(visitor: Browser) -> None:
    assert visitor.get("/").location == "/start"
    assert visitor.get("/sign-in").location == "/start"


def test_the_setup_code_makes_the_keeper_who_is_signed_in_at_once(
    empty: Rooms, visitor: Browser
) -> None:
    empty.household.set_setting("setup_code", "abcd-1234")
    answer = visitor.post("/start", {**FORM, "code": " ABCD 1234 "}, page="/start")
    assert answer.location == "/accounts"
    (keeper,) = empty.household.persons()
    assert (keeper.name, keeper.display_name, keeper.keeper) == ("anna", "Anna M", True)
    assert {box.name for box in empty.archive.mailboxes("anna")} >= {"INBOX", "Trash", "All Mail"}
    assert "Welcome" in visitor.get("/accounts").text
    assert not empty.household.setting("setup_code")


@pytest.mark.parametrize(
    "change",
    [
        {"code": "wrong"},
        {"code": ""},
        {"password": "short", "again": "short"},
        {"again": "other"},
        {"name": "Anna Müller"},
    ],
    ids=["wrong code", "no code", "short password", "passwords differ", "no sign-in name"],
)
def test_a_form_with_a_mistake_makes_nobody(
    empty: Rooms, visitor: Browser, change: dict[str, str]
) -> None:
    empty.household.set_setting("setup_code", "abcd-1234")
    answer = visitor.post("/start", {**FORM, "code": "abcd-1234", **change}, page="/start")
    assert answer.status_code == 400
    assert 'class="notice error"' in answer.text
    assert empty.household.persons() == []


def test_guessing_the_setup_code_is_slowed_down_for_everybody(
    empty: Rooms, visitor: Browser
) -> None:
    empty.household.set_setting("setup_code", "123456")
    codes = [
        visitor.post("/start", {**FORM, "code": f"{n:06d}"}, page="/start").status_code
        for n in range(8)
    ]
    assert codes == [400] * 5 + [429] * 3
    other = Browser(empty.app.test_client())
    assert other.post("/start", {**FORM, "code": "123456"}, page="/start").status_code == 429
    assert empty.household.persons() == []


def test_patience_doubles_the_wait_and_forgives_the_right_code() -> None:
    now = 0.0
    patience = Patience(lambda: now)
    waits = []
    for _ in range(14):
        patience.guess(False)
        try:
            patience.guess(True)
            waits.append(0)
        except TooManyTries as error:
            waits.append(error.retry_after_s)
            now += error.retry_after_s
    assert waits[:4] == [0] * 4
    assert waits[4:8] == [2, 3, 5, 9]
    assert waits[-1] == 301
    assert patience.guess(True)


@pytest.mark.parametrize(
    "asked",
    [
        {"environ_base": {"REMOTE_ADDR": "192.168.1.9"}},
        {"base_url": "http://evil.example"},
        {"headers": {"X-Forwarded-For": "192.168.1.9"}},
        {"headers": {"Forwarded": "for=192.168.1.9"}},
    ],
    ids=["from the network", "by another name for this machine", "through a proxy", "RFC 7239"],
)
def test_without_a_setup_code_only_this_machine_makes_the_keeper(
    empty: Rooms, visitor: Browser, asked: dict[str, object]
) -> None:
    page = visitor.get("/start", **asked)
    assert 'name="password"' not in page.text
    assert 'name="password"' in visitor.get("/start").text


def test_the_first_start_is_over_once_somebody_lives_here(stranger: Browser) -> None:
    assert stranger.get("/start").location == "/sign-in"
    answer = stranger.post("/start", FORM, page="/sign-in")
    assert answer.location == "/sign-in"


def test_a_wrong_password_and_an_unknown_name_are_refused_in_the_same_words(
    stranger: Browser,
) -> None:
    answers = [
        stranger.post("/sign-in", {"name": name, "password": "wrong"}, page="/sign-in")
        for name in ("anna", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    notices = [answer.text.split('role="alert">')[1].split("<")[0] for answer in answers]
    assert notices[0] == notices[1] == "The name or the password is not right."


def test_guessing_is_slowed_down(stranger: Browser) -> None:
    codes = []
    for _ in range(6):
        answer = stranger.post("/sign-in", {"name": "anna", "password": "x"}, page="/sign-in")
        codes.append(answer.status_code)
    assert codes[-1] == 429
    assert int(answer.headers["Retry-After"]) >= 1


def test_signing_out_ends_the_session_on_the_server(rooms: Rooms, anna: Browser) -> None:
    cookie = anna.client.get_cookie("hauspost")
    assert cookie is not None
    anna.post("/sign-out")
    assert rooms.household.session(cookie.value) is None
    assert anna.get("/mailboxes").location.startswith("/sign-in")


def test_signing_in_changes_the_session_and_the_token(rooms: Rooms, stranger: Browser) -> None:
    before = stranger.token("/sign-in")
    stranger.post("/sign-in", {"name": "anna", "password": PASSWORD}, page="/sign-in")
    assert stranger.token("/mailboxes") != before
    assert signed_in(rooms, "anna").token("/mailboxes") != stranger.token("/mailboxes")


@pytest.mark.parametrize(
    ("given", "then"),
    [
        ("/box/1?at=b1.1", "/box/1?at=b1.1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\nSet-Cookie: x", "/"),
    ],
)
def test_after_signing_in_one_goes_on_to_pages_of_ours_only(
    stranger: Browser, given: str, then: str
) -> None:
    form: dict[str, object] = {"name": "anna", "password": PASSWORD, "next": given}
    assert stranger.post("/sign-in", form, page="/sign-in").location == then


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(stranger: Browser) -> None:
    answer = stranger.post("/sign-in", {"name": "anna", "password": PASSWORD}, page="/sign-in")
    (cookie,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("hauspost=")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))


def test_over_https_the_cookie_is_secure_and_bound_to_the_host(rooms: Rooms) -> None:
    client = rooms.app.test_client()
    page = client.get("/sign-in", base_url="https://localhost").text
    token = page.split('name="csrf" value="')[1][:64]
    answer = client.post(
        "/sign-in",
        base_url="https://localhost",
        data={"csrf": token, "name": "anna", "password": PASSWORD},
        headers={"Origin": "https://localhost"},
    )
    cookies = answer.headers.getlist("Set-Cookie")
    (cookie,) = [one for one in cookies if one.startswith("__Host-hauspost=")]
    assert "Secure" in cookie.split("; ")
