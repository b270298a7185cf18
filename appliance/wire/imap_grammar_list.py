"""The grammar of LIST, LSUB, XLIST and STATUS (RFC 9051 §6.3.9, RFC 5258, 5819, 6154)."""

from __future__ import annotations

from typing import Final

from appliance.wire.imap_commands import List, Lsub, Status, Xlist
from appliance.wire.imap_scanner import Scanner

_SELECTION: Final = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
_RETURN: Final = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE"})
_STATUS: Final = frozenset(
    {
        "MESSAGES",
        "RECENT",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "DELETED",
        "SIZE",
        "HIGHESTMODSEQ",
        "APPENDLIMIT",
        "MAILBOXID",
    }
)
_PATTERNS: Final = 100


def list_(scanner: Scanner) -> List:
    """LIST after its name."""
    selection: frozenset[str] = frozenset()
    extended = scanner.next_is(b"(")
    if extended:
        options = scanner.listed(lambda: _known(scanner, _SELECTION, "selection option"))
        selection = frozenset(options)
        if "RECURSIVEMATCH" in selection and selection <= {"RECURSIVEMATCH", "REMOTE"}:
            # RFC 5258 §3.1: it says how other options match, and there are none.
            raise scanner.bad("RECURSIVEMATCH without another selection option")
        scanner.space()
    reference = scanner.mailbox_as_written()
    scanner.space()
    extended = extended or scanner.next_is(b"(")
    patterns = _patterns(scanner) if scanner.next_is(b"(") else (scanner.list_mailbox(),)
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    if not scanner.at_end():
        extended = True
        if scanner.atom("RETURN") != "RETURN":
            raise scanner.bad("RETURN is missing")
        scanner.space()
        given = dict(scanner.listed(lambda: _return(scanner)))
        status = given.pop("STATUS", ())
        returns = frozenset(given)
    return List(scanner.tag, reference, patterns, selection, returns, status, extended)


def lsub(scanner: Scanner) -> Lsub:
    """LSUB after its name."""
    reference = scanner.mailbox_as_written()
    scanner.space()
    return Lsub(scanner.tag, reference, scanner.list_mailbox())


def xlist(scanner: Scanner) -> Xlist:
    """XLIST after its name."""
    reference = scanner.mailbox_as_written()
    scanner.space()
    return Xlist(scanner.tag, reference, scanner.list_mailbox())


def status(scanner: Scanner) -> Status:
    """STATUS after its name."""
    mailbox = scanner.mailbox()
    scanner.space()
    return Status(scanner.tag, mailbox, _status_items(scanner))


def _patterns(scanner: Scanner) -> tuple[str, ...]:
    patterns = tuple(scanner.listed(scanner.list_mailbox, least=1))
    if len(patterns) > _PATTERNS:
        raise scanner.bad(f"more than {_PATTERNS} patterns")
    return patterns


def _return(scanner: Scanner) -> tuple[str, tuple[str, ...]]:
    name = _known(scanner, _RETURN | {"STATUS"}, "RETURN option")
    if name != "STATUS":
        return name, ()
    scanner.space()
    return name, _status_items(scanner)


def _status_items(scanner: Scanner) -> tuple[str, ...]:
    items = scanner.listed(lambda: _known(scanner, _STATUS, "STATUS item"), least=1)
    return tuple(dict.fromkeys(items))


def _known(scanner: Scanner, known: frozenset[str], what: str) -> str:
    name = scanner.atom(f"a {what}")
    if name not in known:
        # RFC 5258 §3: an option that is not known is BAD, or the client would
        # take the answer for one to a question that was not understood.
        raise scanner.bad(f"the {what} {name} is not known")
    return name
