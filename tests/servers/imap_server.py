"""An IMAP server that does as it is told: what a fetcher asks, and nothing else (RFC 3501)."""

from __future__ import annotations

import base64
import re

from tests.servers.maildrop import Box, Held
from tests.servers.server import Connection, Cut, ScriptedServer

_PIECE = re.compile(r"BODY\.PEEK\[\](?:<(\d+)\.(\d+)>)?")


class ScriptedImap(ScriptedServer):
    """``capabilities`` as in CAPABILITY; ``delimiter`` between levels; ``prefix`` for NAMESPACE."""

    capabilities = "IMAP4rev1 STARTTLS AUTH=PLAIN ID NAMESPACE"
    delimiter = "/"
    prefix = ""
    logouts = 0
    unlabelled: frozenset[int] = frozenset()
    """Uids that Gmail's own search answers."""

    def converse(self, connection: Connection) -> None:
        connection.send(self.faults.greeting or b"* OK scripted\r\n")
        signed_in = (self.faults.greeting or b"").startswith(b"* PREAUTH")
        box: Box | None = None
        while True:
            line = connection.line().decode("utf-8", "replace")
            tag, _, command = line.partition(" ")
            self.seen.commands.append(command)
            word, _, rest = command.partition(" ")
            done = f"{tag} OK done\r\n".encode()
            match word.upper():
                case "CAPABILITY":
                    connection.send(f"* CAPABILITY {self.capabilities}\r\n".encode() + done)
                case "STARTTLS" if self.tls is None or self.faults.refuse_tls:
                    connection.send(f"{tag} BAD no TLS here\r\n".encode())
                case "STARTTLS":
                    connection.send(done + self.faults.inject_after_tls)
                    assert self.tls is not None
                    connection.start_tls(self.tls)
                case "LOGIN":
                    user, password = _strings(rest)
                    signed_in = self._sign_in(connection, tag, user, password)
                case "AUTHENTICATE":
                    connection.send(b"+ \r\n")
                    _, user, password = base64.b64decode(connection.line()).decode().split("\0")
                    signed_in = self._sign_in(connection, tag, user, password)
                case "LOGOUT":
                    self.logouts += 1
                    connection.send(b"* BYE\r\n" + done)
                    return
                case "ID":
                    connection.send(b"* ID NIL\r\n" + done)
                case _ if not signed_in:
                    connection.send(f"{tag} BAD sign in first\r\n".encode())
                case "NAMESPACE":
                    told = f'* NAMESPACE (("{self.prefix}" "{self.delimiter}")) NIL NIL\r\n'
                    connection.send(told.encode() + done)
                case "LIST":
                    connection.send(self._listing() + done)
                case "EXAMINE":
                    box = self._examine(connection, tag, _strings(rest)[0])
                case "UID" if box is not None:
                    self._uid(connection, tag, rest, box)
                case _:
                    connection.send(f"{tag} BAD not here\r\n".encode())

    def _sign_in(self, connection: Connection, tag: str, user: str, password: str) -> bool:
        if self.faults.busy is not None and self.busy_now():
            connection.send(f"{tag} NO {self.faults.busy}\r\n".encode())
            return False
        right = (user, password) == (self.maildrop.user, self.maildrop.password)
        if not right or self.faults.refuse_sign_in is not None:
            reason = self.faults.refuse_sign_in or "[AUTHENTICATIONFAILED] wrong"
            connection.send(f"{tag} NO {reason}\r\n".encode())
            return False
        connection.send(f"{tag} OK welcome\r\n".encode())
        return True

    def _listing(self) -> bytes:
        return b"".join(
            f'* LIST ({" ".join(box.attributes)}) "{self.delimiter}" "{name}"\r\n'.encode()
            for name, box in self.maildrop.boxes.items()
        )

    def _examine(self, connection: Connection, tag: str, name: str) -> Box | None:
        if name in self.faults.refuse_mailbox:
            connection.send(f"{tag} NO mailbox is broken\r\n".encode())
            return None
        box = self.maildrop.boxes[name]
        told = f"* FLAGS (\\Seen)\r\n* {len(box.held)} EXISTS\r\n* 0 RECENT\r\n"
        if not self.faults.omit_uidvalidity:
            told += f"* OK [UIDVALIDITY {box.uidvalidity}] here\r\n"
        told += f"* OK [UIDNEXT {box.uidnext}] next\r\n{tag} OK [READ-ONLY] done\r\n"
        connection.send(told.encode())
        return box

    def _uid(self, connection: Connection, tag: str, rest: str, box: Box) -> None:
        word, _, arguments = rest.partition(" ")
        if word.upper() == "SEARCH":
            uids = [one.uid for one in box.held]
            if arguments.upper().startswith("UID "):
                uids = [uid for uid in uids if _holds(arguments[4:], uid, max(uids, default=0))]
            elif arguments.startswith("X-GM-RAW"):
                uids = [uid for uid in uids if uid in self.unlabelled]
            else:
                uids = uids[: self.faults.truncate_search]
            told = "".join(f" {uid}" for uid in uids)
            connection.send(f"* SEARCH{told}\r\n{tag} OK done\r\n".encode())
            return
        uid_set, _, items = arguments.partition(" ")
        last = max((one.uid for one in box.held), default=0)
        if self.faults.unsolicited:
            connection.send(b"* 1 FETCH (FLAGS (\\Answered))\r\n")
        for msn, one in enumerate(list(box.held), 1):
            if not _holds(uid_set, one.uid, last) or one.uid in self.faults.hide:
                continue
            if "BODY" in items and one.uid in self.faults.refuse_message:
                connection.send(f"{tag} NO [SERVERBUG] cannot read one of them\r\n".encode())
                return
            self._fetch(connection, msn, one, items)
        connection.send(f"{tag} OK done\r\n".encode())

    def _fetch(self, connection: Connection, msn: int, one: Held, items: str) -> None:
        told = f"* {msn} FETCH (UID {one.uid}"
        if "FLAGS" in items:
            size = self.faults.size_lies.get(one.uid, len(one.octets))
            told += f" FLAGS ({' '.join((*one.flags, chr(92) + 'Recent'))})"
            told += f' INTERNALDATE "{one.internal_date}" RFC822.SIZE {size}'
        wanted = _PIECE.search(items)
        if wanted is None:
            connection.send(told.encode() + b")\r\n")
            return
        octets, name = one.octets, "BODY[]"
        if wanted[1] is not None and not self.faults.whole_instead_of_piece:
            start = int(wanted[1])
            most = min(int(wanted[2]), self.faults.piece_octets or int(wanted[2]))
            octets, name = octets[start : start + most], f"BODY[]<{start}>"
        if one.uid in self.faults.empty:
            connection.send(f"{told} {name} NIL)\r\n".encode())
            return
        announced = self.faults.announce_literal.get(one.uid, len(octets))
        connection.send(f"{told} {name} {{{announced}}}\r\n".encode())
        connection.send_message(one.uid, octets)
        if announced != len(octets):
            raise Cut
        connection.send(b")\r\n")


def _holds(uid_set: str, uid: int, last: int) -> bool:
    """RFC 9051 §9: ``*`` is the last; a range holds both ends, in either order."""
    for word in uid_set.split(","):
        first, _, end = word.partition(":")
        ends = [last if part == "*" else int(part) for part in (first, end or first)]
        if min(ends) <= uid <= max(ends):
            return True
    return False


def _strings(arguments: str) -> list[str]:
    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', arguments)
    return [re.sub(r"\\(.)", r"\1", a) if a else b for a, b in quoted]
