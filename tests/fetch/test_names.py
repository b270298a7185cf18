"""The provider's mailbox names and ours."""

from __future__ import annotations

import pytest

from appliance.fetch.names import Listed, chosen, key, readable


def listed(name: str | bytes, *attributes: str, delimiter: str | None = "/") -> Listed:
    raw = name if isinstance(name, bytes) else name.encode()
    return Listed(frozenset(attributes), delimiter, raw)


@pytest.mark.parametrize(
    ("one", "ours"),
    [
        (listed("inbox"), "INBOX"),
        (listed("INBOX"), "INBOX"),
        (listed("Sent Items"), "Sent"),
        (listed("Gesendet", "\\Sent"), "Sent"),
        (listed("Unterwegs", "\\Drafts"), "Drafts"),
        (listed("[Gmail]/Spam", "\\Junk"), "Junk"),
        (listed("[Google Mail]/Papierkorb"), "Trash"),
        (listed("INBOX.Trash", delimiter="."), "Trash"),
        (listed("Archives"), "Archive"),
        (listed("Sent/2023"), "Sent/2023"),
        (listed("a.b.c", delimiter="."), "a/b/c"),
        (listed("a/b.c", delimiter="."), "a-b/c"),
        (listed("flat/name", delimiter=None), "flat-name"),
        (listed("Entw&APw-rfe/&U,BTFw-"), "Entwürfe/台北"),
        (listed("Entwürfe"), "Drafts"),
        (listed(b"B\xfcro"), "Büro"),
        (listed("&notutf7"), "&notutf7"),
        (listed("a//b/"), "a/_/b/_"),
        (listed("tab\there"), "tab_here"),
        (listed("All Mail"), "All Mail (provider)"),
        (listed("inbox/Kinder"), "INBOX/Kinder"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_remote_name_has_its_place_in_our_tree(one: Listed, ours: str) -> None:
    (mailbox,) = chosen([one])
    assert mailbox.ours == ours
    assert mailbox.raw == one.raw


def test_where_the_server_tells_which_one_is_sent_another_is_just_a_mailbox() -> None:
    found = chosen([listed("Sent Items"), listed("Gesendet", "\\Sent")])
    assert {one.name: one.ours for one in found} == {
        "Sent Items": "Sent Items",
        "Gesendet": "Sent",
    }


def test_inbox_comes_first_and_the_rest_as_listed() -> None:
    found = chosen([listed("Zoo"), listed("Alpha"), listed("INBOX")])
    assert [one.name for one in found] == ["INBOX", "Zoo", "Alpha"]


@pytest.mark.parametrize("attribute", ["\\All", "\\Flagged", "\\Important"])
def test_views_are_fetched_only_when_asked_for_by_name(attribute: str) -> None:
    every = [listed("INBOX"), listed("[Gmail]/Alle", attribute)]
    assert [one.name for one in chosen(every, ("*",))] == ["INBOX"]
    assert [one.name for one in chosen(every, ("[Gmail]/Alle",))] == ["[Gmail]/Alle"]


@pytest.mark.parametrize("attribute", ["\\Noselect", "\\NonExistent", "\\NOSELECT"])
def test_what_cannot_be_opened_is_left_out(attribute: str) -> None:
    assert chosen([listed("Ordner", attribute)]) == []


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        ((), ["INBOX", "a", "a/b", "c"]),
        (("*",), ["INBOX", "a", "a/b", "c"]),
        (("Inbox",), ["INBOX"]),
        (("a*",), ["a", "a/b"]),
        (("?",), ["a", "c"]),
        (("a/*", "c"), ["a/b", "c"]),
        (("nothing",), []),
    ],
)
def test_globs_choose_by_the_whole_path(globs: tuple[str, ...], expected: list[str]) -> None:
    every = [listed("INBOX", delimiter="."), *(listed(n, delimiter=".") for n in ("a", "a.b", "c"))]
    assert [one.name.replace(".", "/") for one in chosen(every, globs)] == expected


def test_different_octets_are_different_keys_of_the_ledger() -> None:
    raws = [b"&AOQ-", "ä".encode(), b"\xe4", b"&AOQ", b"a&-b", b"a&b", b"a&AGI-", b"ab", b"&Jjo!"]
    assert len({key(raw) for raw in raws}) == len(raws)
    assert key(b"&AOQ-") == readable("ä".encode()) == "ä"


def test_two_spellings_of_a_name_are_two_mailboxes_in_one_place() -> None:
    found = chosen([listed(b"&AOQ-"), listed("ä")])
    assert [one.ours for one in found] == ["ä", "ä"]
    assert len({one.name for one in found}) == 2
