"""A framed command → its typed value (RFC 9051 §9, RFC 3501 §9, and the extensions' own).

``parse`` raises BadCommand (answer BAD) or BadCharset (answer NO); a name that
nobody defined is BadCommand too. What real clients get wrong without harm is
understood: two spaces, FETCH items without parentheses, a day of one digit. What
could be taken for something else is not.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

from appliance.mail.types import Flag
from appliance.wire import imap_commands as c
from appliance.wire import imap_syntax
from appliance.wire.imap_grammar_fetch import fetch
from appliance.wire.imap_grammar_list import list_, lsub, status, xlist
from appliance.wire.imap_grammar_search import search
from appliance.wire.imap_scanner import HIGHEST_MODSEQ, Scanner, as_text

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=]+")
_SYSTEM: Final = re.compile(rb"\\[A-Za-z]+")
_NIL: Final = re.compile(rb"NIL(?![^ )])", re.IGNORECASE)
_UTF8_DATA: Final = re.compile(rb"UTF8 *\( *\Z", re.IGNORECASE)
_STORE: Final = re.compile(rb"([+-]?FLAGS)(\.SILENT)?(?= )", re.IGNORECASE)
_ID_PAIRS: Final = 100


def parse(command: imap_syntax.Command, *, utf8: bool = False) -> c.ImapCommand:
    """The command's value. ``utf8``: the client enabled UTF8=ACCEPT (RFC 6855)."""
    reader = _READERS.get(command.name)
    if reader is None:
        raise c.BadCommand(command.tag, f"the command {command.name} is not known")
    scanner = Scanner(command.tag, command.pieces, utf8=utf8)
    value = reader(scanner)
    scanner.end()
    return value


def append_mailbox(wanted: imap_syntax.LiteralWanted, *, utf8: bool = False) -> str:
    """The mailbox of an APPEND whose message is announced: to refuse it before it is sent."""
    return Scanner(wanted.tag, wanted.pieces, utf8=utf8).mailbox()


def _bare(make: Callable[[str], c.ImapCommand]) -> Callable[[Scanner], c.ImapCommand]:
    return lambda scanner: make(scanner.tag)


def _named(make: Callable[[str, str], c.ImapCommand]) -> Callable[[Scanner], c.ImapCommand]:
    return lambda scanner: make(scanner.tag, scanner.mailbox())


def _id(scanner: Scanner) -> c.Id:
    if scanner.take(_NIL):
        return c.Id(scanner.tag, None)
    words = scanner.listed(lambda: _nstring(scanner))
    if len(words) % 2 or len(words) > 2 * _ID_PAIRS:
        raise scanner.bad("ID takes pairs of field and value")
    names, values = words[::2], words[1::2]
    if None in names:
        raise scanner.bad("an ID field has no name")
    return c.Id(scanner.tag, tuple((n or "", v) for n, v in zip(names, values, strict=True)))


def _nstring(scanner: Scanner) -> str | None:
    return None if scanner.take(_NIL) else as_text(scanner.string("a string"))


def _login(scanner: Scanner) -> c.Login:
    username = scanner.text("a user name")
    scanner.space()
    return c.Login(scanner.tag, username, scanner.text("a password"))


def _authenticate(scanner: Scanner) -> c.Authenticate:
    mechanism = scanner.atom("a mechanism")
    if scanner.at_end():
        return c.Authenticate(scanner.tag, mechanism, None)
    found = scanner.take(_BASE64)
    if found is None:
        raise scanner.bad("the initial response is not base64")
    if found[0] == b"=":
        return c.Authenticate(scanner.tag, mechanism, b"")
    try:
        return c.Authenticate(scanner.tag, mechanism, base64.b64decode(found[0], validate=True))
    except binascii.Error:
        raise scanner.bad("the initial response is not base64") from None


def _enable(scanner: Scanner) -> c.Enable:
    names = [scanner.atom("a capability")]
    while not scanner.at_end():
        names.append(scanner.atom("a capability"))
    return c.Enable(scanner.tag, tuple(dict.fromkeys(names)))


def _compress(scanner: Scanner) -> c.Compress:
    return c.Compress(scanner.tag, scanner.atom("a mechanism"))


def _select(read_only: bool) -> Callable[[Scanner], c.ImapCommand]:
    def read(scanner: Scanner) -> c.Select:
        mailbox = scanner.mailbox()
        if scanner.at_end():
            return c.Select(scanner.tag, mailbox, read_only)
        given = dict(scanner.listed(lambda: _select_param(scanner), least=1))
        condstore = "CONDSTORE" in given
        return c.Select(scanner.tag, mailbox, read_only, condstore, given.get("QRESYNC"))

    return read


def _select_param(scanner: Scanner) -> tuple[str, c.QResync | None]:
    name = scanner.atom("a parameter")
    if name == "CONDSTORE":
        return name, None
    if name != "QRESYNC":
        raise scanner.bad(f"the parameter {name} is not known")
    scanner.space()
    scanner.expect(b"(")
    uidvalidity = scanner.nz_number()
    scanner.space()
    modseq = scanner.nz_number(HIGHEST_MODSEQ)
    uids, matches = None, None
    scanner.skip_spaces()
    if not scanner.next_is(b"(") and not scanner.next_is(b")"):
        uids = scanner.numbers()
        scanner.skip_spaces()
    if scanner.has(b"("):
        numbers = scanner.numbers()
        scanner.space()
        matches = numbers, scanner.numbers()
        scanner.expect(b")")
        scanner.skip_spaces()
    scanner.expect(b")")
    return name, c.QResync(uidvalidity, modseq, uids, matches)


def _create(scanner: Scanner) -> c.Create:
    name = scanner.mailbox_as_written()
    # A trailing delimiter says that mailboxes below it will follow (RFC 9051 §6.3.4).
    mailbox, children_only = name.rstrip("/") or name, name.endswith("/")
    if scanner.at_end():
        return c.Create(scanner.tag, mailbox, (), children_only)
    scanner.expect(b"(")
    if scanner.atom("a parameter") != "USE":
        raise scanner.bad("CREATE knows no parameter but USE")
    scanner.space()
    uses = scanner.listed(lambda: _special_use(scanner))
    scanner.skip_spaces()
    scanner.expect(b")")
    return c.Create(scanner.tag, mailbox, tuple(dict.fromkeys(uses)), children_only)


def _special_use(scanner: Scanner) -> str:
    found = scanner.take(_SYSTEM)
    if found is None:
        raise scanner.bad("a special use is missing")
    return "\\" + found[0][1:].decode("ascii").capitalize()


def _rename(scanner: Scanner) -> c.Rename:
    mailbox = scanner.mailbox()
    scanner.space()
    return c.Rename(scanner.tag, mailbox, scanner.mailbox())


def _append(scanner: Scanner) -> c.Append:
    mailbox = scanner.mailbox()
    scanner.space()
    messages = [_message(scanner)]
    while not scanner.at_end():
        messages.append(_message(scanner))
    return c.Append(scanner.tag, mailbox, tuple(messages))


def _message(scanner: Scanner) -> c.AppendMessage:
    flags: tuple[Flag, ...] = ()
    moment = None
    if scanner.next_is(b"("):
        flags = scanner.flags()
        scanner.space()
    if scanner.next_is(b'"'):
        moment = scanner.date_time()
        scanner.space()
    # RFC 6855 §4: UTF8 (~{n}…)
    utf8 = scanner.take(_UTF8_DATA) is not None
    literal = scanner.literal()
    if utf8:
        scanner.skip_spaces()
        scanner.expect(b")")
        if not literal.binary:
            raise scanner.bad("UTF8 without a literal8")
    return c.AppendMessage(flags, moment, literal, utf8)


def _uid_expunge(scanner: Scanner) -> c.Expunge:
    return c.Expunge(scanner.tag, scanner.numbers())


def _store(scanner: Scanner, uid: bool) -> c.Store:
    numbers = scanner.numbers()
    scanner.space()
    unchanged_since = None
    if scanner.has(b"("):
        if scanner.atom("a modifier") != "UNCHANGEDSINCE":
            raise scanner.bad("STORE knows no modifier but UNCHANGEDSINCE")
        scanner.space()
        unchanged_since = scanner.modseq()
        scanner.expect(b")")
        scanner.space()
    found = scanner.take(_STORE)
    if found is None:
        raise scanner.bad("FLAGS, +FLAGS or -FLAGS is missing")
    scanner.space()
    flags = scanner.flags() if scanner.next_is(b"(") else scanner.bare_flags()
    mode, silent = c.StoreMode(found[1].decode("ascii").upper()), found[2] is not None
    return c.Store(scanner.tag, uid, numbers, mode, silent, flags, unchanged_since)


def _copy(scanner: Scanner, uid: bool) -> c.Copy:
    numbers = scanner.numbers()
    scanner.space()
    return c.Copy(scanner.tag, uid, numbers, scanner.mailbox())


def _move(scanner: Scanner, uid: bool) -> c.Move:
    numbers = scanner.numbers()
    scanner.space()
    return c.Move(scanner.tag, uid, numbers, scanner.mailbox())


def _both(
    name: str, read: Callable[[Scanner, bool], c.ImapCommand]
) -> dict[str, Callable[[Scanner], c.ImapCommand]]:
    return {
        name: lambda scanner: read(scanner, False),
        f"UID {name}": lambda scanner: read(scanner, True),
    }


_READERS: Final[dict[str, Callable[[Scanner], c.ImapCommand]]] = {
    "CAPABILITY": _bare(c.Capability),
    "NOOP": _bare(c.Noop),
    "LOGOUT": _bare(c.Logout),
    "ID": _id,
    "STARTTLS": _bare(c.StartTls),
    "LOGIN": _login,
    "AUTHENTICATE": _authenticate,
    "ENABLE": _enable,
    "SELECT": _select(read_only=False),
    "EXAMINE": _select(read_only=True),
    "CREATE": _create,
    "DELETE": _named(c.Delete),
    "RENAME": _rename,
    "SUBSCRIBE": _named(c.Subscribe),
    "UNSUBSCRIBE": _named(c.Unsubscribe),
    "LIST": list_,
    "LSUB": lsub,
    "XLIST": xlist,
    "NAMESPACE": _bare(c.Namespace),
    "STATUS": status,
    "APPEND": _append,
    "IDLE": _bare(c.Idle),
    "COMPRESS": _compress,
    "CHECK": _bare(c.Check),
    "CLOSE": _bare(c.Close),
    "UNSELECT": _bare(c.Unselect),
    "EXPUNGE": _bare(c.Expunge),
    "UID EXPUNGE": _uid_expunge,
    **_both("SEARCH", search),
    **_both("FETCH", fetch),
    **_both("STORE", _store),
    **_both("COPY", _copy),
    **_both("MOVE", _move),
}
