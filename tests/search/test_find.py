"""What a person finds: words, filters, pages, and never the mail of somebody else."""

from __future__ import annotations

import random
import threading

import pytest

from appliance.errors import UsageError
from appliance.mail.types import ANSWERED, FLAGGED, SEEN, Flag, Seq
from tests.search.conftest import World, letter

PICTURE = (
    b"From: anna@example.org\r\nSubject: picture\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="cut"\r\n\r\n--cut\r\n\r\nsee it\r\n'
    b'--cut\r\nContent-Type: image/png; name="Urlaub.png"\r\n'
    b"Content-Disposition: attachment; filename=Urlaub.png\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--cut--\r\n"
)


def test_a_word_is_found_newest_first_with_its_snippet(world: World) -> None:
    first = world.admit(letter("Rechnung Mai", "Bitte zahlen Sie die Stromrechnung von Müller."))
    second = world.admit(letter("Gruß", "Die Rechnung kommt später."))
    world.admit(letter("Anderes", "Nichts davon."))
    world.follower.until_idle()
    found = world.searcher.find("anna", "rechnung")
    assert [hit.seq for hit in found.hits] == [second, first]
    assert (found.total, found.behind, found.notice, found.cursor) == (2, 0, None, None)
    hit = found.hits[1]
    assert (hit.subject, hit.sender) == ("Rechnung Mai", "Anna Example <anna@example.org>")
    assert hit.mailboxes == ("INBOX",)
    assert ("Stromrechnung", True) in hit.snippet
    assert "".join(text for text, _ in hit.snippet).startswith("Bitte zahlen")
    assert hit.digest == world.archive.message(first).digest
    assert [chip.text for chip in found.chips] == ["rechnung"]


def test_a_message_found_by_its_subject_shows_its_beginning(world: World) -> None:
    world.admit(letter("Zahnarzt", "Kommen Sie am Montag."))
    world.follower.until_idle()
    (hit,) = world.searcher.find("anna", "zahnarzt").hits
    assert hit.snippet == (("Kommen Sie am Montag.", False),)


def test_what_is_not_indexed_yet_is_counted(world: World) -> None:
    world.admit(letter("one", "word"))
    world.follower.until_idle()
    world.admit(letter("two", "word"))
    found = world.searcher.find("anna", "word")
    assert (found.total, found.behind) == (1, 1)
    world.follower.until_idle()
    assert world.searcher.find("anna", "word").total == 2


FILTERS: list[tuple[str, set[str]]] = [
    ("in:Work", {"work"}),
    ("in:work", {"work"}),
    ("in:Steuer", {"tax"}),
    ("in:nowhere", set()),
    ("is:unread", {"plain", "work", "picture", "signed"}),
    ("is:read", {"flagged", "tax"}),
    ("is:flagged", {"flagged"}),
    ("-is:flagged is:read", {"tax"}),
    ("is:answered", {"tax"}),
    ("is:signed", {"signed"}),
    ("has:attachment", {"picture"}),
    ("has:image", {"picture"}),
    ("has:pdf", set()),
    ("has:link", {"work"}),
    ("filename:urlaub", {"picture"}),
    ("account:office", {"work"}),
    ("account:other", set()),
    ("person:anna", {"plain", "work", "flagged", "tax", "picture", "signed"}),
    ("person:ben", set()),
    ("larger:100k", {"tax"}),
    ("smaller:100k -has:attachment -is:signed is:unread", {"plain", "work"}),
    ("in:removed", {"removed"}),
    ("in:removed farewell", {"removed"}),
    ("farewell", set()),
    ("in:work OR is:flagged", {"work", "flagged"}),
    ("subject:plain", {"plain"}),
    ("before:2024-05-01", set()),
    ("after:2024-05-01 in:work", {"work"}),
    ("thread:999999", set()),
    ("in:", {"plain", "work", "flagged", "tax", "picture", "signed"}),
    ("(((", {"plain", "work", "flagged", "tax", "picture", "signed"}),
]


def test_filters(world: World) -> None:
    signed = letter("signed", "x", Content_Type='multipart/signed; boundary="c"').replace(
        b"\r\n\r\nx",
        b"\r\n\r\n--c\r\n\r\nx\r\n--c\r\nContent-Type: application/pgp-signature\r\n\r\ny\r\n--c--",
    )
    read = frozenset({SEEN})
    seqs = {
        "plain": world.admit(letter("plain", "hello")),
        "work": world.admit(
            letter("work", "see https://example.org/x"), mailbox="Work", account="office"
        ),
        "flagged": world.admit(letter("flagged", "x"), flags=read | {FLAGGED}),
        "tax": world.admit(
            letter("tax", "x" * 60 + "\r\n" + ("lots of words\r\n" * 9000)),
            mailbox="Steuer/2024",
            flags=read | {ANSWERED},
        ),
        "picture": world.admit(PICTURE),
        "signed": world.admit(signed),
        "removed": world.admit(letter("removed", "farewell"), mailbox="Gone"),
    }
    world.admit(letter("of ben", "hello https://example.org farewell"), owner="ben")
    gone = world.archive.mailbox("anna", "Gone").id
    places = world.archive.places_of("anna", seqs["removed"])
    world.archive.remove(gone, [place.uid for place in places if place.mailbox == gone])
    world.follower.until_idle()
    for text, names in FILTERS:
        found = {name for name, seq in seqs.items() if seq in world.found("anna", text)}
        assert found == names, text


def test_what_only_the_html_says_is_found_too(world: World) -> None:
    octets = (
        b'Subject: order\r\nContent-Type: multipart/alternative; boundary="cut"\r\n\r\n'
        b"--cut\r\nContent-Type: text/plain\r\n\r\nYour order is on its way.\r\n"
        b"--cut\r\nContent-Type: text/html\r\n\r\n"
        b"<p>Your order is on its way.</p><p>Quokka figurine, 12&nbsp;EUR</p>\r\n--cut--\r\n"
    )
    seq = world.admit(octets)
    world.follower.until_idle()
    (hit,) = world.searcher.find("anna", "quokka").hits
    assert hit.seq == seq
    assert "".join(text for text, _ in hit.snippet).count("on its way") == 1
    assert world.searcher.containing([seq], "okka fig", where="body") == {seq}


def test_what_a_filter_names_and_is_not_there_is_said(world: World) -> None:
    world.admit(letter("one", "word"))
    world.follower.until_idle()
    assert world.searcher.find("anna", "in:nowhere").notice == "There is no mailbox nowhere."
    notice = world.searcher.find("anna", "person:ben").notice
    assert notice == "You can search your own mail, not that of ben."


@pytest.mark.parametrize("order", ["newest", "oldest", "best"])
@pytest.mark.parametrize("indexed", [True, False], ids=["index", "catalog"])
def test_pages_follow_each_other_while_mail_comes_in(
    world: World, order: str, indexed: bool
) -> None:
    wanted = [world.admit(letter(f"word {n}", "word " * (n % 5 + 1))) for n in range(23)]
    if indexed:
        world.follower.until_idle()
    first = world.searcher.find("anna", "word", order=order, limit=5)
    assert first.total == 23
    if indexed and order == "best":
        return  # what comes in changes every score a little: no promise there
    late = world.admit(letter("late word", "word"))
    if indexed:
        world.follower.until_idle()
    seen = [hit.seq for hit in first.hits]
    cursor = first.cursor
    while cursor is not None:
        page = world.searcher.find("anna", "word", order=order, limit=5, cursor=cursor)
        seen += [hit.seq for hit in page.hits]
        cursor = page.cursor
    assert len(seen) == len(set(seen))
    if order == "newest":
        assert seen == wanted[::-1]
    elif order == "oldest":
        assert seen == [*wanted, late]
    elif not indexed:
        assert seen == wanted[::-1]


def test_a_cursor_or_order_that_is_none_is_a_clear_error(world: World) -> None:
    with pytest.raises(UsageError, match="search again"):
        world.searcher.find("anna", "x", cursor="nonsense")
    with pytest.raises(UsageError, match="not an order"):
        world.searcher.find("anna", "x", order="size")
    world.admit(letter("a", "word"))
    world.admit(letter("b", "word"))
    world.follower.until_idle()
    cursor = world.searcher.find("anna", "word", limit=1).cursor
    with pytest.raises(UsageError, match="another order"):
        world.searcher.find("anna", "word", order="oldest", cursor=cursor)


@pytest.mark.parametrize(
    "text", ["", "*", '"', "-", "in:", "from:", "~", "a OR", "\x00", "larger:x"]
)
def test_whatever_is_typed_is_answered(world: World, text: str) -> None:
    world.admit(letter("one", "word"))
    world.follower.until_idle()
    assert world.searcher.find("anna", text).total in (0, 1)


def test_without_an_index_subjects_and_addresses_are_searched_and_that_is_said(
    world: World,
) -> None:
    wanted = world.admit(letter("Große Rechnung", "Text"), flags=frozenset({FLAGGED}))
    other = world.admit(letter("Anderes", "Rechnung"), mailbox="Work")
    world.admit(letter("Rechnung von Ben", "x"), owner="ben")
    found = world.searcher.find("anna", "GROSSE rechnung")
    assert [hit.seq for hit in found.hits] == [wanted]
    assert found.notice is not None
    assert "subjects and addresses" in found.notice
    assert found.behind == 2
    assert world.found("anna", "is:flagged from:anna") == [wanted]
    assert world.found("anna", "in:work") == [other]
    assert world.found("anna", "-rechnung") == [other]
    assert world.found("anna", "before:1999") == []
    assert world.searcher.seqs("anna", "rechnung OR anderes") == [wanted, other]


def test_a_damaged_index_is_said_and_the_catalog_answers(world: World) -> None:
    seq = world.admit(letter("Rechnung", "word"))
    world.follower.until_idle()
    for path in (world.index / (world.index / "current").read_text().strip() / "words").iterdir():
        path.write_bytes(b"\x00" * 50)
    found = world.searcher.find("anna", "rechnung")
    assert [hit.seq for hit in found.hits] == [seq]
    assert found.notice is not None
    assert "reindex" in found.notice
    assert world.searcher.problem() is not None


def test_a_better_spelling_is_offered_to_whom_it_finds_something(world: World) -> None:
    for n in range(12):
        world.admit(letter(f"s{n}", "Rechnung"))
        world.admit(letter(f"t{n}", "Geheimnis"), owner="ben")
    world.follower.until_idle()
    assert world.searcher.find("anna", "from:anna Rechnugn").suggestion == "from:anna rechnung"
    assert world.searcher.find("ben", "Geheimnsi").suggestion == "geheimnis"
    assert world.searcher.find("anna", "Geheimnsi").suggestion is None
    assert world.searcher.find("anna", "rechnung").suggestion is None
    # What is found by one word says nothing about the other.
    assert (
        world.searcher.find("anna", "Rechnugn OR Geheimnsi").suggestion == "rechnung OR Geheimnsi"
    )
    assert world.searcher.find("ben", "-Geheimnsi Geheimnsi").suggestion is None


def test_one_mailbox_only_and_never_that_of_somebody_else(world: World) -> None:
    inbox = world.admit(letter("a", "word"))
    work = world.admit(letter("b", "word"), mailbox="Work")
    theirs = world.admit(letter("c", "word"), owner="ben", mailbox="Work")
    world.follower.until_idle()
    ids = {owner: world.archive.mailbox(owner, "Work").id for owner in ("anna", "ben")}

    def found(owner: str, mailbox: int | None) -> list[Seq]:
        return [hit.seq for hit in world.searcher.find(owner, "word", mailbox=mailbox).hits]

    assert found("anna", ids["anna"]) == [work]
    assert found("anna", ids["ben"]) == []
    assert found("ben", ids["ben"]) == [theirs]
    assert found("ben", ids["anna"]) == []
    assert found("anna", None) == [work, inbox]


def test_no_query_of_anybody_ever_shows_the_mail_of_somebody_else(world: World) -> None:
    chosen = random.Random(11)
    owners = ["anna", "ben"]
    mine: dict[str, set[Seq]] = {owner: set() for owner in owners}
    for n in range(40):
        owner = chosen.choice(owners)
        flags = frozenset(chosen.sample([SEEN, FLAGGED, ANSWERED, Flag("$Junk")], 2))
        body = f"word secret{n} https://x.example " + "y" * chosen.randrange(2000)
        octets = letter(f"subject {n}", body, In_Reply_To="<root@example.org>")
        box = chosen.choice(["INBOX", "Work"])
        mine[owner].add(world.admit(octets, owner=owner, mailbox=box, flags=flags))
        if chosen.random() < 0.2:
            mine["anna"].add(world.admit(octets, owner="anna"))
            mine["ben"].add(world.admit(octets, owner="ben"))
    world.follower.until_idle()
    thread = world.archive.message(Seq(1)).thread
    queries = [
        *("", "word", "-nothing", "secret1*", "*ecre*", "~wort", '"word secret3"', "from:anna"),
        *("is:unread", "is:read", "is:flagged", "is:answered", "has:link", "in:work", "in:inbox"),
        *("in:removed", "in:removed OR word", "account:home", "person:anna", "person:ben"),
        *("larger:1", "smaller:9M", f"thread:{thread}", "id:example.org", "after:2000", "-in:work"),
        *('in:"All Mail"', "NOT (in:work OR word)", "-(in:removed)", "subject:subject OR in:work"),
    ]
    for owner in owners:
        for text in queries:
            for searcher in (world.searcher,):
                page = searcher.find(owner, text, limit=500)
                assert {hit.seq for hit in page.hits} <= mine[owner], text
                assert page.total == len(page.hits), text
                assert set(searcher.seqs(owner, text)) <= mine[owner], text
                for hit in page.hits:
                    ours = {m.name for m in world.archive.mailboxes(owner)}
                    assert set(hit.mailboxes) <= ours
    assert world.searcher.find("carla", "word").total == 0


def test_an_account_of_somebody_else_is_as_unknown_as_none(world: World) -> None:
    both = letter("both", "lake")
    world.admit(both, owner="anna", account="office")
    seq = world.admit(both, owner="ben", account="home of ben")
    world.follower.until_idle()
    assert world.found("ben", '"account:home of ben"') == []
    assert world.found("ben", 'account:"home of ben"') == [seq]
    for text in ("account:office", "account:append", "account:nonesuch"):
        answer = world.searcher.find("ben", text)
        assert answer.total == 0, text
        assert answer.notice == f"No mail came from {text[8:]}."
    assert world.searcher.find("ben", "-account:office").total == 1


def test_many_threads_search_while_the_index_grows_and_is_rebuilt(world: World) -> None:
    for n in range(30):
        world.admit(letter(f"subject {n}", "word"))
    world.follower.until_idle()
    faults: list[str] = []
    stop = threading.Event()

    def search() -> None:
        while not stop.is_set():
            found = world.searcher.find("anna", "word", limit=3)
            if found.total < 30 or found.notice or len(found.hits) != 3:
                faults.append(f"{found.total} {found.notice}")

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for n in range(3):
            world.admit(letter(f"more {n}", "word"))
            world.follower.until_idle()
            world.follower.reindex()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert faults == []
    assert world.searcher.find("anna", "word").total == 33
