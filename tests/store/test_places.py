"""Mailboxes and places: the promises about uids, flags, removals and the change feed."""

from __future__ import annotations

import random

import pytest

from appliance.mail.types import DELETED, FLAGGED, SEEN, Flag, Placing, Seq, Uid
from appliance.store import Archive, FlagChange, MailboxExists, NoSuchMailbox, NotAllowed
from appliance.store.listing import Spot
from tests.store.conftest import delivery, letter


def fill(archive: Archive, count: int, mailbox: str = "INBOX") -> int:
    archive.admit(
        delivery(letter(n), f"{mailbox}{n}", mailbox=mailbox, minutes=n) for n in range(count)
    )
    return archive.mailbox("anna", mailbox).id


def test_everybody_has_the_usual_mailboxes(archive: Archive) -> None:
    archive.provision("anna")
    archive.provision("anna")
    found = {box.name: (box.special_use, box.subscribed) for box in archive.mailboxes("anna")}
    assert found == {
        "INBOX": (None, True),
        "Sent": ("\\Sent", True),
        "Drafts": ("\\Drafts", True),
        "Trash": ("\\Trash", True),
        "Junk": ("\\Junk", True),
        "Archive": ("\\Archive", True),
        "All Mail": ("\\All", False),
    }


@pytest.mark.parametrize(
    "name", ["", "/", "a//b", "/a", "a/", "a\nb", "a\x7f", "x" * 1001, "\udc80"]
)
def test_an_impossible_name_is_refused_with_its_reason(archive: Archive, name: str) -> None:
    with pytest.raises(NotAllowed):
        archive.create("anna", name)


def test_inbox_has_one_spelling(archive: Archive) -> None:
    archive.provision("anna")
    assert archive.mailbox("anna", "inBox").name == "INBOX"
    assert archive.create("anna", "inbox/Children").name == "INBOX/Children"


def test_a_mailbox_is_never_made_twice_nor_with_an_old_uidvalidity(archive: Archive) -> None:
    first = archive.create("anna", "Work")
    with pytest.raises(MailboxExists):
        archive.create("anna", "Work")
    archive.delete(first.id)
    assert archive.create("anna", "Work").uidvalidity > first.uidvalidity
    with pytest.raises(NoSuchMailbox):
        archive.status(first.id)


def test_deleting_a_mailbox_keeps_its_mail(archive: Archive) -> None:
    work = fill(archive, 2, "Work")
    archive.delete(work)
    assert [(gone.seq, gone.mailbox) for gone in archive.removed("anna")] == [
        (2, "Work"),
        (1, "Work"),
    ]
    back = archive.put_back("anna", Seq(1))
    assert back.mailbox == archive.mailbox("anna", "INBOX").id


def test_renaming_takes_the_children_and_the_subscriptions_along(archive: Archive) -> None:
    archive.create("anna", "a")
    archive.create("anna", "a/b")
    archive.create("anna", "ab")
    archive.subscribe("anna", "a/b", True)
    archive.rename("anna", "a", "c/d")
    names = {box.name: box.subscribed for box in archive.mailboxes("anna")}
    assert names == {"c/d": False, "c/d/b": True, "ab": False}
    with pytest.raises(NotAllowed):
        archive.rename("anna", "c/d", "c/d/e")


def test_renaming_inbox_moves_its_mail_and_leaves_it_empty(archive: Archive) -> None:
    inbox = fill(archive, 3)
    archive.rename("anna", "INBOX", "Old")
    assert archive.status(inbox).messages == 0
    assert archive.status(archive.mailbox("anna", "Old").id).messages == 3
    assert archive.removed("anna") == []


@pytest.mark.parametrize("name", ["INBOX", "All Mail"])
def test_what_the_archive_needs_is_not_deleted(archive: Archive, name: str) -> None:
    archive.provision("anna")
    with pytest.raises(NotAllowed):
        archive.delete(archive.mailbox("anna", name).id)


def test_flags_add_remove_and_replace(archive: Archive) -> None:
    inbox = fill(archive, 1)
    one = [Uid(1)]
    table = [
        (FlagChange.ADD, {SEEN, Flag("Work")}, {SEEN, Flag("Work")}),
        (FlagChange.ADD, {SEEN}, None),
        (FlagChange.REMOVE, {Flag("\\seen"), Flag("work")}, set()),
        (FlagChange.REPLACE, {FLAGGED}, {FLAGGED}),
    ]
    for how, flags, after in table:
        result = archive.set_flags(inbox, one, how, frozenset(flags))
        assert [set(place.flags) for place in result.changed] == (
            [after] if after is not None else []
        )


def test_a_change_since_is_reported_and_not_overwritten(archive: Archive) -> None:
    inbox = fill(archive, 2)
    before = archive.snapshot(inbox).modseq
    archive.set_flags(inbox, [Uid(1)], FlagChange.ADD, frozenset({SEEN}))
    result = archive.set_flags(
        inbox, [Uid(1), Uid(2)], FlagChange.ADD, frozenset({FLAGGED}), unchanged_since=before
    )
    assert result.modified == (1,)
    assert [place.uid for place in result.changed] == [2]


def test_flags_in_all_mail_and_in_the_mailbox_are_the_same(archive: Archive) -> None:
    inbox = fill(archive, 1)
    everything = archive.mailbox("anna", "All Mail").id
    archive.set_flags(inbox, [Uid(1)], FlagChange.ADD, frozenset({SEEN, DELETED}))
    assert archive.snapshot(everything).flags == [frozenset({SEEN})]
    since = archive.modseq()
    archive.set_flags(everything, [Uid(1)], FlagChange.ADD, frozenset({FLAGGED}))
    assert archive.snapshot(inbox).flags == [frozenset({SEEN, DELETED, FLAGGED})]
    assert [place.uid for place in archive.changes(inbox, since).places] == [1]
    assert archive.status(everything).unseen == 0


def test_only_what_is_marked_is_expunged(archive: Archive) -> None:
    inbox = fill(archive, 4)
    archive.set_flags(inbox, [Uid(2), Uid(3)], FlagChange.ADD, frozenset({DELETED}))
    since = archive.modseq()
    assert archive.expunge(inbox, [Uid(1), Uid(2)]) == (2,)
    assert archive.expunge(inbox) == (3,)
    assert archive.changes(inbox, since).vanished == (2, 3)
    assert list(archive.snapshot(inbox).uids) == [1, 4]
    assert archive.totals().messages == 4
    assert len(archive.snapshot(archive.mailbox("anna", "All Mail").id).uids) == 2


def test_all_mail_cannot_be_emptied(archive: Archive) -> None:
    fill(archive, 1)
    everything = archive.mailbox("anna", "All Mail").id
    archive.set_flags(everything, [Uid(1)], FlagChange.ADD, frozenset({DELETED}))
    for refused in (
        lambda: archive.expunge(everything),
        lambda: archive.remove(everything, [Uid(1)]),
        lambda: archive.move(everything, [Uid(1)], archive.mailbox("anna", "Trash").id),
        lambda: archive.copy(archive.mailbox("anna", "INBOX").id, [Uid(1)], everything),
    ):
        with pytest.raises(NotAllowed):
            refused()


def test_a_move_is_a_copy_that_is_gone_here(archive: Archive) -> None:
    inbox = fill(archive, 3)
    trash = archive.mailbox("anna", "Trash").id
    moved = archive.move(inbox, [Uid(1), Uid(3), Uid(99)], trash)
    assert moved.pairs == ((1, 1), (3, 2))
    assert moved.uidvalidity == archive.mailbox("anna", "Trash").uidvalidity
    assert list(archive.snapshot(inbox).uids) == [2]
    assert archive.removed("anna") == []


def test_a_removed_message_is_put_back_where_it_was(archive: Archive) -> None:
    work = fill(archive, 1, "Work")
    archive.remove(work, [Uid(1)])
    assert archive.visible("anna", Seq(1))
    place = archive.put_back("anna", Seq(1))
    assert (place.mailbox, place.uid) == (work, 2)
    assert archive.removed("anna") == []


def test_nobody_sees_what_is_somebody_elses(archive: Archive) -> None:
    archive.admit([delivery(letter(1), "1"), delivery(letter(2), "2", owner="ben")])
    assert archive.visible("anna", Seq(1))
    assert not archive.visible("anna", Seq(2))
    assert archive.places_of("anna", Seq(2)) == []


def test_pages_follow_each_other_both_ways(archive: Archive) -> None:
    inbox = fill(archive, 25)
    first = archive.page(inbox, 10)
    assert [line.message.subject for line in first] == [f"Letter {n}" for n in range(24, 14, -1)]
    second = archive.page(inbox, 10, before=archive.spot(first[-1]))
    third = archive.page(inbox, 10, before=archive.spot(second[-1]))
    assert len(third) == 5
    assert archive.page(inbox, 10, after=archive.spot(third[0])) == second
    link = Spot.of(str(archive.spot(second[0])))
    assert link is not None
    assert archive.page(inbox, 10, after=link) == first


def test_a_page_costs_a_look_into_an_index_however_deep_it_is(archive: Archive) -> None:
    plan = archive._db.read().execute(
        "EXPLAIN QUERY PLAN SELECT p.uid FROM place p JOIN message m ON m.seq=p.seq "
        "WHERE p.mailbox=1 AND (p.internal_date, p.uid) < (5, 5) "
        "ORDER BY p.internal_date DESC, p.uid DESC LIMIT 50"
    )
    steps = [step for *_, step in plan]
    assert "INDEX place_date (mailbox=? AND (internal_date,uid)<" in steps[0]
    assert not [step for step in steps if "TEMP B-TREE" in step]


@pytest.mark.parametrize(
    ("column", "needle", "found"),
    [
        ("subject", "ETTER 1", {2}),
        ("subject", "grüße", {3}),
        ("subject", "GRÜSSE", set()),
        ("sender", "anna@EXAMPLE", {1, 2, 3}),
        ("recipients", "ben", {1, 2, 3}),
        ("message_id", "letter.0@", {1}),
        ("copied", "x", set()),
    ],
)
def test_header_columns_are_searched_anywhere_and_in_any_case(
    archive: Archive, column: str, needle: str, found: set[int]
) -> None:
    inbox = fill(archive, 2)
    archive.admit([delivery(letter(7, Subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?="), "x")])
    if needle == "GRÜSSE":
        found = {3}  # case folding makes ß and SS one
    assert archive.containing(inbox, column, needle) == found


@pytest.mark.parametrize("seed", range(6))
def test_a_random_history_agrees_with_a_simple_model(archive: Archive, seed: int) -> None:
    """Append, copy, move, flag, expunge; after every step the archive equals the model."""
    rnd = random.Random(seed)
    archive.provision("anna")
    boxes = [archive.mailbox("anna", name).id for name in ("INBOX", "Archive", "Trash")]
    everything = archive.mailbox("anna", "All Mail").id
    model: dict[int, dict[int, tuple[int, frozenset[Flag]]]] = {box: {} for box in boxes}
    used: dict[int, int] = dict.fromkeys(boxes, 0)
    seen: dict[int, tuple[int, set[int]]] = {box: (0, set()) for box in boxes}
    for step in range(120):
        box, other = rnd.sample(boxes, 2)
        some = [Uid(u) for u in model[box] if rnd.random() < 0.3]
        match rnd.choice(["append", "append", "copy", "move", "flag", "expunge", "remove"]):
            case "append":
                name = next(b.name for b in archive.mailboxes("anna") if b.id == box)
                (receipt,) = archive.admit(
                    [
                        delivery(
                            letter(rnd.randrange(30)),
                            f"{step}",
                            mailbox=name,
                            placing=Placing.ALWAYS,
                        )
                    ]
                )
                assert receipt.place is not None
                model[box][receipt.place.uid] = (receipt.seq, frozenset())
            case "copy":
                for source, target in archive.copy(box, some, other).pairs:
                    model[other][target] = model[box][source]
            case "move":
                for source, target in archive.move(box, some, other).pairs:
                    model[other][target] = model[box].pop(source)
            case "flag":
                flags = frozenset(rnd.sample([SEEN, FLAGGED, DELETED, Flag("k")], 2))
                archive.set_flags(box, some, FlagChange.REPLACE, flags)
                for uid in some:
                    model[box][uid] = model[box][uid][0], flags
            case "expunge":
                for uid in archive.expunge(box):
                    assert DELETED in model[box].pop(uid)[1]
                assert not [u for u, (_, flags) in model[box].items() if DELETED in flags]
            case "remove":
                for uid in archive.remove(box, some):
                    del model[box][uid]
        for each in boxes:
            shot = archive.snapshot(each)
            assert model[each] == {
                u: (s, f) for u, s, f in zip(shot.uids, shot.seqs, shot.flags, strict=True)
            }
            newest = max(model[each], default=0)
            used[each] = max(used[each], newest)
            assert shot.uidnext > used[each]
            # A follower that only hears of changes ends up with the same uids.
            since, known = seen[each]
            news = archive.changes(each, since)
            known = (known | {p.uid for p in news.places}) - set(news.vanished)
            assert known == set(shot.uids)
            seen[each] = news.modseq, known
            status = archive.status(each)
            assert status.messages == len(shot.uids)
            assert status.unseen == sum(SEEN not in flags for flags in shot.flags)
            assert status.deleted == sum(DELETED in flags for flags in shot.flags)
        held = {seq for each in boxes for seq, _ in model[each].values()}
        assert set(archive.snapshot(everything).seqs) == held
    assert archive.verify(deep=True).clean
