"""BODY and BODYSTRUCTURE (RFC 9051 §7.5.2) of a Part tree, ready for a FETCH response.

Parameters that are not ASCII are sent in RFC 2231 form, which every mail
program that knows them reads. A message/rfc822 that could not be parsed is
sent as application/octet-stream: the grammar has no such leaf. No recursion.
"""

from __future__ import annotations

from urllib.parse import quote

from appliance.mail.envelope import envelope_octets, envelope_of, nstring
from appliance.mail.header import fields
from appliance.mail.types import Octets, Part


def body_octets(octets: Octets, part: Part, extended: bool) -> bytes:
    """The BODYSTRUCTURE text of ``part`` (``extended``), or its BODY text."""
    out: list[bytes] = []
    # What is still to be said, last first: a part, or octets that stand as they are.
    stack: list[Part | bytes] = [part]
    while stack:
        step = stack.pop()
        if isinstance(step, bytes):
            out.append(step)
        elif step.media_type == "multipart" and step.parts:
            out.append(b"(")
            stack.append(_multipart_tail(step, extended))
            stack.extend(reversed(step.parts))
        elif step.media_type == "message" and step.parts:
            inner = step.parts[0]
            out.append(_message_head(octets, step, inner))
            stack.append(b" %d%s)" % (step.lines, _single_tail(step) if extended else b""))
            stack.append(inner)
        else:
            out.append(_leaf(step, extended))
    return b"".join(out)


def _leaf(part: Part, extended: bool) -> bytes:
    lines = b" %d" % part.lines if part.media_type == "text" else b""
    return b"(%s%s%s)" % (_basic(part), lines, _single_tail(part) if extended else b"")


def _basic(part: Part) -> bytes:
    """The seven fields every body that is not multipart begins with."""
    media_type, subtype = part.media_type, part.subtype
    if media_type == "multipart" or (media_type == "message" and not part.parts):
        media_type, subtype = _without_parts(media_type, subtype)
    return b"%s %s %s %s %s %s %d" % (
        _string(media_type),
        _string(subtype),
        _params(part.params),
        _text(part.content_id),
        _text(part.description),
        _string(part.encoding),
        part.end_at - part.body_at,
    )


def _without_parts(media_type: str, subtype: str) -> tuple[str, str]:
    if media_type == "message" and subtype not in ("rfc822", "global"):
        return media_type, subtype
    return "application", "octet-stream"


def _message_head(octets: Octets, part: Part, inner: Part) -> bytes:
    envelope = envelope_of(fields(octets, inner.header_at, inner.body_at))
    return b"(%s %s " % (_basic(part), envelope_octets(envelope))


def _multipart_tail(part: Part, extended: bool) -> bytes:
    subtype = b" " + _string(part.subtype)
    if not extended:
        return subtype + b")"
    return b"%s %s%s)" % (subtype, _params(part.params), _common_tail(part))


def _single_tail(part: Part) -> bytes:
    return b" %s%s" % (_text(part.md5), _common_tail(part))


def _common_tail(part: Part) -> bytes:
    """Disposition, language, location: the extension data both kinds share."""
    disposition = b"NIL"
    if part.disposition is not None:
        disposition = b"(%s %s)" % (_string(part.disposition), _params(part.disposition_params))
    language = b"NIL"
    if len(part.language) == 1:
        language = _string(part.language[0])
    elif part.language:
        language = b"(%s)" % b" ".join(map(_string, part.language))
    return b" %s %s %s" % (disposition, language, _text(part.location))


def _params(params: tuple[tuple[str, str], ...]) -> bytes:
    if not params:
        return b"NIL"
    return b"(%s)" % b" ".join(_param(name, value) for name, value in params)


def _param(name: str, value: str) -> bytes:
    if value.isascii():
        return b"%s %s" % (_string(name), _string(value))
    coded = "utf-8''" + quote(value, safe="!#$&+-.^_`|~")  # RFC 2231 §4, attribute-char
    return b"%s %s" % (_string(name + "*"), _string(coded))


def _string(text: str) -> bytes:
    return nstring(text.encode("utf-8"))


def _text(text: str | None) -> bytes:
    """An nstring; in 7 bits where RFC 2047 can say it, else UTF-8 in a literal."""
    return b"NIL" if text is None else nstring(text.encode("utf-8"))
