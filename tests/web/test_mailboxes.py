"""Mailbox tree, list, paging, and verbs on many messages."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.mail.types import FLAGGED, SEEN, Uid
from appliance.store.listing import Spot
from tests.web import samples
from tests.web.conftest import Browser, Rooms, signed_in
from web.listing import Position, window


def subjects(page: str) -> list[str]:
    return [one.strip() for one in re.findall(r'class="subject">([^<]*)</span>', page)]


def uids(rooms: Rooms, owner: str, name: str) -> list[int]:
    return list(rooms.archive.snapshot(rooms.mailbox(owner, name)).uids)


def test_the_list_is_newest_first_and_escapes_what_strangers_wrote(
    rooms: Rooms, anna: Browser
) -> None:
    page = anna.get(f"/box/{rooms.mailbox('anna', 'INBOX')}").text
    assert subjects(page) == [
        "Spring sale &lt;script&gt;alert(1)&lt;/script&gt;",
        "Grüße aus München",
    ]
    assert "Jürgen Müller" in page
    assert "<script>alert" not in page


def test_the_tree_counts_what_is_unread(rooms: Rooms, anna: Browser) -> None:
    page = anna.get("/mailboxes").text
    assert re.search(r'Inbox</span>\s*<span class="count">2<', page)
    assert "Papierkorb" in anna.get("/mailboxes", headers={"Accept-Language": "de-AT,de"}).text


@pytest.mark.parametrize(
    ("verb", "flag", "on"),
    [("read", SEEN, True), ("flag", FLAGGED, True), ("unread", SEEN, False)],
)
def test_flags_are_set_on_the_chosen_messages(
    rooms: Rooms, anna: Browser, verb: str, flag: str, on: bool
) -> None:
    box = rooms.mailbox("anna", "INBOX")
    first, second = uids(rooms, "anna", "INBOX")
    anna.post(f"/box/{box}/act", {"verb": verb, "uid": [str(first)]})
    flags = rooms.archive.snapshot(box).flags
    assert (flag in flags[0]) is on
    assert flag not in flags[1]
    assert second


def test_a_star_is_one_button(rooms: Rooms, anna: Browser) -> None:
    box = rooms.mailbox("anna", "INBOX")
    uid = uids(rooms, "anna", "INBOX")[0]
    anna.post(f"/box/{box}/act", {"star": f"{uid}:on"})
    assert FLAGGED in rooms.archive.snapshot(box).flags[0]
    anna.post(f"/box/{box}/act", {"star": f"{uid}:off"})
    assert FLAGGED not in rooms.archive.snapshot(box).flags[0]


@pytest.mark.parametrize("uid", ["0", "x", "-1", "4294967296", "0" * 11 + "9" * 30, "9" * 5000])
def test_a_number_that_is_no_uid_is_the_askers_fault(rooms: Rooms, anna: Browser, uid: str) -> None:
    box = rooms.mailbox("anna", "INBOX")
    assert anna.post(f"/box/{box}/act", {"verb": "read", "uid": [uid]}).status_code == 400
    assert anna.post(f"/box/{box}/act", {"star": f"{uid}:on"}).status_code == 400


def test_delete_moves_to_the_trash_and_take_out_keeps_the_message(
    rooms: Rooms, anna: Browser
) -> None:
    box, trash = rooms.mailbox("anna", "INBOX"), rooms.mailbox("anna", "Trash")
    uid = uids(rooms, "anna", "INBOX")[0]
    anna.post(f"/box/{box}/act", {"verb": "delete", "uid": [str(uid)]})
    (in_trash,) = uids(rooms, "anna", "Trash")
    assert uids(rooms, "anna", "INBOX") != []
    anna.post(f"/box/{trash}/act", {"verb": "erase", "uid": [str(in_trash)]})
    assert uids(rooms, "anna", "Trash") == []
    page = anna.get("/removed").text
    assert "Grüße aus München" in page
    anna.post(f"/removed/{rooms.seqs['plain']}")
    assert rooms.archive.places_of("anna", rooms.seqs["plain"])


def test_from_the_trash_a_message_moves_where_one_wants(rooms: Rooms, anna: Browser) -> None:
    box, target = rooms.mailbox("anna", "INBOX"), rooms.mailbox("anna", "Archive")
    uid = uids(rooms, "anna", "INBOX")[0]
    anna.post(f"/box/{box}/act", {"verb": "move", "uid": [str(uid)], "target": str(target)})
    assert len(uids(rooms, "anna", "Archive")) == 1


def test_in_all_mail_delete_acts_on_the_other_places(rooms: Rooms, anna: Browser) -> None:
    everything = rooms.mailbox("anna", "All Mail")
    chosen = [str(uid) for uid in uids(rooms, "anna", "All Mail")]
    anna.post(f"/box/{everything}/act", {"verb": "delete", "uid": chosen})
    assert uids(rooms, "anna", "INBOX") == []
    assert len(uids(rooms, "anna", "Trash")) == 3
    assert len(uids(rooms, "anna", "All Mail")) == 3


@pytest.mark.parametrize(
    "form",
    [
        {"verb": "read"},
        {"verb": "move", "uid": ["1"]},
        {"verb": "move", "uid": ["1"], "target": "99999"},
        {"verb": "erase", "uid": ["1"]},
        {"verb": "burn", "uid": ["1"]},
    ],
    ids=["none chosen", "no target", "unknown target", "erase outside the trash", "unknown verb"],
)
def test_a_verb_that_cannot_be_done_says_so_and_changes_nothing(
    rooms: Rooms, anna: Browser, form: dict[str, object]
) -> None:
    box = rooms.mailbox("anna", "INBOX")
    before = rooms.archive.snapshot(box)
    anna.post(f"/box/{box}/act", form)
    assert 'class="notice error"' in anna.get(f"/box/{box}").text
    assert rooms.archive.snapshot(box).uids == before.uids


@pytest.mark.parametrize("uid", ["x", "-1", "0", "99999999999999999999", "1;2", ""])
def test_a_uid_that_is_none_is_refused(rooms: Rooms, anna: Browser, uid: str) -> None:
    box = rooms.mailbox("anna", "INBOX")
    assert anna.post(f"/box/{box}/act", {"verb": "read", "uid": [uid]}).status_code == 400


def test_a_move_into_another_persons_mailbox_is_refused(rooms: Rooms, anna: Browser) -> None:
    box, target = rooms.mailbox("anna", "INBOX"), rooms.mailbox("ben", "INBOX")
    uid = uids(rooms, "anna", "INBOX")[0]
    anna.post(f"/box/{box}/act", {"verb": "move", "uid": [str(uid)], "target": str(target)})
    assert len(uids(rooms, "ben", "INBOX")) == 1
    assert uid in uids(rooms, "anna", "INBOX")


def test_a_new_mailbox_is_made_with_levels(rooms: Rooms, anna: Browser) -> None:
    answer = anna.post("/mailboxes", {"name": "Reisen/2026"})
    assert answer.location == f"/box/{rooms.mailbox('anna', 'Reisen/2026')}"
    assert anna.post("/mailboxes", {"name": "Reisen/2026"}).status_code == 400
    assert anna.post("/mailboxes", {"name": " "}).status_code == 400


def test_a_level_without_a_mailbox_of_its_own_is_no_level(rooms: Rooms, anna: Browser) -> None:
    for name in ("Listen/Dorf", "Reisen", "Reisen/2026/Rom"):
        rooms.archive.create("anna", name)
    page = anna.get("/mailboxes").text
    found = re.findall(r'<li class="depth-(\d)">.*?class="name">([^<]+)<', page, re.DOTALL)
    assert found[-3:] == [("0", "Listen/Dorf"), ("0", "Reisen"), ("1", "2026/Rom")]


def test_many_browsers_at_once_are_served(rooms: Rooms) -> None:
    """Threads share the application: each gets its own person's pages, none an error."""
    browsers = {name: [signed_in(rooms, name) for _ in range(4)] for name in ("anna", "ben")}
    subjects_of = {"anna": "Grüße aus München", "ben": "secret results"}

    def look(name: str, browser: Browser) -> set[bool]:
        box, found = rooms.mailbox(name, "INBOX"), set()
        for _ in range(5):
            page = browser.get(f"/box/{box}").text
            other = subjects_of["ben" if name == "anna" else "anna"]
            found.add(subjects_of[name] in page and other not in page)
            uid = rooms.archive.snapshot(box).uids[0]
            browser.post(f"/box/{box}/act", {"verb": "flag", "uid": [str(uid)]})
        return found

    with ThreadPoolExecutor(8) as pool:
        looked = [pool.submit(look, name, one) for name, them in browsers.items() for one in them]
        assert [one.result() for one in looked] == [{True}] * 8


# -- paging


@pytest.fixture
def many(rooms: Rooms) -> Rooms:
    rooms.archive.admit(
        samples.delivery(samples.note(n), mailbox="Many", number=n // 3) for n in range(130)
    )
    return rooms


def test_walking_older_and_newer_shows_every_message_once(many: Rooms) -> None:
    box = many.mailbox("anna", "Many")
    position, pages = Position(), []
    while True:
        page = window(many.archive, box, position, 50)
        pages.append([line.place.uid for line in page.lines])
        if page.older is None:
            break
        position = Position.parse(page.older)
    shown = [uid for uids_of in pages for uid in uids_of]
    assert len(shown) == len(set(shown)) == 130
    assert [len(one) for one in pages] == [50, 50, 30]
    assert page.newer is not None
    back = window(many.archive, box, Position.parse(page.newer), 50)
    assert [line.place.uid for line in back.lines] == pages[1]
    assert back.newer is not None
    first = window(many.archive, box, Position.parse(back.newer), 50)
    assert [line.place.uid for line in first.lines] == pages[0]
    assert first.newer is None


def test_the_page_links_work(many: Rooms, anna: Browser) -> None:
    box = many.mailbox("anna", "Many")
    page = anna.get(f"/box/{box}").text
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older
    second = anna.get(older.group(1)).text
    assert len(subjects(page)) == len(subjects(second)) == 50
    assert not set(subjects(page)) & set(subjects(second))
    assert 'rel="prev"' in second


@pytest.mark.parametrize("at", ["", "b", "x1.1", "b1", "b1.x", f"b{10**40}.1", "b-1.-1", "b١.١"])
def test_a_broken_page_link_shows_a_page(rooms: Rooms, anna: Browser, at: str) -> None:
    box = rooms.mailbox("anna", "INBOX")
    assert anna.get(f"/box/{box}", query_string={"at": at}).status_code == 200


def test_a_page_deep_in_the_list_is_read_by_the_index_alone(many: Rooms) -> None:
    """However deep: the plan searches the date index and sorts nothing."""
    connection = many.archive._db.read()
    statements: list[str] = []
    box = many.mailbox("anna", "Many")
    connection.set_trace_callback(statements.append)
    many.archive.page(box, 51, before=Spot(10**15 * 2, 5))
    connection.set_trace_callback(None)
    (asked,) = statements
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked}")]
    assert any("USING INDEX place_date (mailbox=? AND (internal_date,uid)<" in one for one in plan)
    assert not any("TEMP B-TREE" in one for one in plan)


def test_a_list_of_fifty_costs_as_many_queries_as_a_list_of_two(many: Rooms, anna: Browser) -> None:
    """No query a line."""

    def queries(box: int) -> int:
        statements: list[str] = []
        connection = many.archive._db.read()
        connection.set_trace_callback(statements.append)
        assert anna.get(f"/box/{box}").status_code == 200
        connection.set_trace_callback(None)
        return len(statements)

    few, lots = queries(many.mailbox("anna", "INBOX")), queries(many.mailbox("anna", "Many"))
    assert few == lots <= 8


def test_uids_in_the_page_are_those_of_the_mailbox(rooms: Rooms, anna: Browser) -> None:
    box = rooms.mailbox("anna", "INBOX")
    found = re.findall(r'name="uid" value="(\d+)"', anna.get(f"/box/{box}").text)
    assert [Uid(int(uid)) for uid in found] == uids(rooms, "anna", "INBOX")[::-1]
