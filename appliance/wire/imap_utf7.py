"""Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3), with UTF-8 understood too.

``decode`` never fails: what is not modified UTF-7 in its one canonical form
stays as it is written, so two spellings never mean one name behind each
other's back, and clients that forget to encode "&" get what they meant. An
octet that is neither is kept as a lone surrogate (PEP 383) and ``encode``
writes it again; such a name is for comparing, not for storing (``is_text``).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

_RUN: Final = re.compile(r"&([A-Za-z0-9+,]*)-")
_TO_ENCODE: Final = re.compile(r"&|[\udc80-\udcff]+|[^\x20-\x7e\udc80-\udcff]+")
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]")
_ODD_OCTET: Final = re.compile(r"[\ud800-\udfff]")


def decode(octets: bytes) -> str:
    """The mailbox name these octets are."""
    return _RUN.sub(_plain, octets.decode("utf-8", "surrogateescape"))


def encode(name: str) -> bytes:
    """The name as modified UTF-7: ``decode(encode(name)) == name``."""
    return _TO_ENCODE.sub(_encoded, name).encode("ascii", "surrogateescape")


def decode_utf8(octets: bytes) -> str:
    """The name as clients write it that speak UTF-8 (RFC 6855 §3): "&" is just "&"."""
    return octets.decode("utf-8", "surrogateescape")


def is_text(name: str) -> bool:
    """The name holds no octet that could not be decoded."""
    return _ODD_OCTET.search(name) is None


def _plain(run: re.Match[str]) -> str:
    if not run[1]:
        return "&"
    octets = run[1].replace(",", "/") + "=" * (-len(run[1]) % 4)
    try:
        text = base64.b64decode(octets, validate=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return run[0]
    # "Modified BASE64 MUST NOT be used to represent any printing US-ASCII
    # character": else "&AC8-" would be a second way to write "/".
    if _PRINTABLE.search(text) or _base64(text) != run[0]:
        return run[0]
    return text


def _encoded(found: re.Match[str]) -> str:
    if found[0] == "&":
        return "&-"
    if "\udc80" <= found[0][0] <= "\udcff":
        return found[0]
    return _base64(found[0])


def _base64(text: str) -> str:
    octets = base64.b64encode(text.encode("utf-16-be", "surrogatepass"))
    return "&" + octets.decode("ascii").rstrip("=").replace("/", ",") + "-"
