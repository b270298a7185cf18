"""Bodies without their content-transfer-encoding, and text bodies as text.

Tolerant: what cannot be decoded stays as it is, a damaged end is dropped, and
nothing raises. The stored octets are never touched.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from appliance.mail.charset import decode_text
from appliance.mail.types import Octets, Part

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_PADDING = re.compile(rb"=[=\s]*+")
_SHORTEST_PIECE: Final = 20
_QP = re.compile(rb"=(?:([0-9A-Fa-f]{2})|[ \t]*+(?:\r*+\n|\r|\Z))")
_QP_LOOSE_END = re.compile(rb"[ \t]\r*+\n")
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\r\n]*\r*\n", re.M)
_UU_ENCODINGS: Final = frozenset({"x-uuencode", "uuencode", "x-uue", "uue"})
_META_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.I
)
_META_WITHIN = 4096
_BYTE: Final = [bytes([n]) for n in range(256)]


def decoded(octets: Octets, part: Part, limit: int | None = None) -> bytes:
    """The body of the part in its own octets (RFC 2045 §6); of ``limit`` encoded octets at most."""
    end = part.end_at if limit is None else min(part.end_at, part.body_at + limit)
    body = bytes(octets[part.body_at : end])
    encoding = part.encoding
    if encoding == "base64":
        return from_base64(body)
    if encoding == "quoted-printable":
        return from_quoted_printable(body)
    if encoding in _UU_ENCODINGS:
        return from_uuencode(body)
    return body


def decoded_text(octets: Octets, part: Part, limit: int | None = None) -> str:
    """The body of a text part as text with ``\\n`` line ends.

    The charset is the parameter's; for HTML without one, that of its meta element.
    """
    body = decoded(octets, part, limit)
    charset = part.param("charset")
    if charset is None and part.subtype == "html":
        meta = _META_CHARSET.search(body, 0, _META_WITHIN)
        charset = meta.group(1).decode("ascii") if meta else None
    text = decode_text(body, charset)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def from_base64(body: bytes) -> bytes:
    """RFC 2045 §6.8: other characters are skipped; after padding only more base64 counts.

    Some programs encode a file in pieces, each padded; a list's footer is text.
    """
    padding = _PADDING.search(body)
    if padding is None or padding.end() == len(body):
        return _base64_piece(body)
    pieces = [_base64_piece(body[: padding.start()])]
    for piece in _PADDING.split(body[padding.end() :]):
        joined = piece.replace(b"\r", b"").replace(b"\n", b"")
        if len(joined) < _SHORTEST_PIECE or _NOT_BASE64.search(joined):
            break
        pieces.append(_base64_piece(joined))
    return b"".join(pieces)


def _base64_piece(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        pass
    # No or wrong padding: what makes whole octets counts.
    body = _NOT_BASE64.sub(b"", body)
    body = body[: len(body) - (1 if len(body) % 4 == 1 else 0)]
    return binascii.a2b_base64(body + b"=" * (-len(body) % 4))


def from_quoted_printable(body: bytes) -> bytes:
    """RFC 2045 §6.7: an escape that is none stays."""
    if _QP_LOOSE_END.search(body):
        # White space at the end of an encoded line was added on the way (rule 3).
        lines = body.split(b"\n")
        body = b"\n".join(
            line[:-1].rstrip(b" \t") + b"\r" if line.endswith(b"\r") else line.rstrip(b" \t")
            for line in lines
        )
    return _QP.sub(_qp_octets, body)


def from_uuencode(body: bytes) -> bytes:
    """The first uuencoded file in the body; the body itself when there is none."""
    begin = _UU_BEGIN.search(body)
    if begin is None:
        return body
    out = []
    for line in body[begin.end() :].split(b"\n"):
        line = line.rstrip(b"\r")
        if line.strip() in (b"end", b"`", b""):
            break
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            # Some encoders pad lines; the first character says how many octets count.
            count = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                out.append(binascii.a2b_uu(line[:count]))
            except binascii.Error:
                continue
    return b"".join(out)


def _qp_octets(match: re.Match[bytes]) -> bytes:
    escaped = match.group(1)
    return _BYTE[int(escaped, 16)] if escaped else b""
