"""Return-Path and Received: what the server that makes final delivery must add.

"Octets are sacred" speaks of what a door is given; for SMTP the standard makes
the receiving server a writer too: it MUST put one Received field on top (RFC
5321 §4.4), and Return-Path is the only place where the envelope's reverse-path
survives delivery. So both are prepended, that whole is what is archived, and
not one octet that the client sent is changed. A Return-Path that was in the
message already stays (§4.4 lets us remove it; signatures would notice).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

_HELO = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class Transaction:
    """Who hands a message over, for whom, and how.

    ``reverse_path`` is without angle brackets, "" for a bounce. ``peer`` is an
    IP address; ``extended`` is EHLO, ``encrypted`` TLS, ``utf8`` SMTPUTF8.
    """

    reverse_path: str
    recipients: tuple[str, ...]
    helo: str
    peer: str
    extended: bool
    encrypted: bool
    utf8: bool


def trace_fields(transaction: Transaction, domain: str, queue_id: str, at: datetime) -> bytes:
    """The two fields, each line ending in CRLF."""
    lines = [
        f"Return-Path: <{transaction.reverse_path}>",
        f"Received: from {_shown_helo(transaction.helo)} ({_literal(transaction.peer)})",
        f"\tby {domain} with {protocol_of(transaction)} id {queue_id}",
    ]
    # With several recipients the field would tell each of the blind ones (RFC 5321 §7.6).
    if len(transaction.recipients) == 1:
        lines.append(f"\tfor <{transaction.recipients[0]}>")
    lines[-1] += ";"
    lines.append(f"\t{format_datetime(at)}")
    return "".join(line + "\r\n" for line in lines).encode()


def protocol_of(transaction: Transaction) -> str:
    """The ``with`` word (RFC 3848; RFC 6531 §4.3)."""
    if not transaction.extended:
        return "SMTP"
    return ("UTF8SMTP" if transaction.utf8 else "ESMTP") + ("S" if transaction.encrypted else "")


def _shown_helo(helo: str) -> str:
    # The client's own words end up in a header field: nothing but a name or a literal does.
    return helo if _HELO.match(helo) else "unknown"


def _literal(peer: str) -> str:
    """RFC 5321 §4.1.3: [192.0.2.1], [IPv6:2001:db8::1]."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return "unknown"
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"
