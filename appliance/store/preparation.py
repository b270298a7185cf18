"""A delivery made ready to be written: read, taken apart, packed, proven to come back.

All of this happens before the catalog's write lock is taken; nothing is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.database import moment, stamp
from appliance.errors import StoreError
from appliance.mail.reading import Reading, read_message
from appliance.mail.types import (
    Delivery,
    Digest,
    Flag,
    Octets,
    Origin,
    Placing,
    digest_of,
)
from appliance.store import parts
from appliance.store.codec import Codec, Codecs


@dataclass(frozen=True, slots=True)
class Packed:
    """A record's payload; ``payload`` None is packed in pieces from ``plain`` while written."""

    digest: Digest
    plain: Octets
    codec: Codec
    dictionary: int
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A delivery with its name; the rest is None when the archive has the octets already."""

    delivery: Delivery
    digest: Digest
    reading: Reading | None = None
    skeleton: Packed | None = None
    parts: tuple[Packed, ...] = ()


def prepare(
    delivery: Delivery,
    codecs: Codecs,
    dictionary: int,
    known: Callable[[Digest], bool],
) -> Prepared:
    """Everything ``admit`` needs of a delivery but its numbers; ``known`` skips what is stored."""
    digest = digest_of(delivery.octets)
    if known(digest):
        return Prepared(delivery, digest)
    reading = read_message(delivery.octets)
    apart = parts.dismantle(delivery.octets, reading.root)
    _prove(digest, apart)
    skeleton = parts.pack(apart.items)
    return Prepared(
        delivery,
        digest,
        reading,
        _pack(digest, skeleton, codecs, dictionary),
        tuple(_pack(name, plain, codecs, 0) for name, plain in apart.parts.items()),
    )


def pack_receipt(codecs: Codecs, octets: bytes) -> Packed:
    """A receipt's payload: short, so raw unless zstd helps."""
    return _pack(digest_of(octets), octets, codecs, 0)


def receipt_octets(
    delivery: Delivery, digest: Digest, seq: int, uidvalidity: int, uid: int | None
) -> bytes:
    """A receipt: JSON, the catalog's knowledge of one admission (docs/house.md)."""
    origin = delivery.origin
    return json.dumps(
        {
            "v": 1,
            "seq": seq,
            "message": digest.hex(),
            "origin": [origin.account, origin.mailbox, origin.uidvalidity, origin.uid],
            "owner": delivery.owner,
            "mailbox": delivery.mailbox,
            "uidvalidity": uidvalidity,
            "uid": uid,
            "date": stamp(delivery.internal_date),
            "flags": sorted(delivery.flags),
            "placing": delivery.placing.value,
            "admitted": stamp(datetime.now(UTC)),
        },
        separators=(",", ":"),
    ).encode()


def delivery_of(receipt: bytes, octets_of: Callable[[Digest], bytes]) -> Delivery:
    """The delivery a receipt stands for; ``octets_of`` answers the message's octets."""
    told = json.loads(receipt)
    return Delivery(
        octets=octets_of(Digest(bytes.fromhex(told["message"]))),
        origin=Origin(*told["origin"]),
        owner=told["owner"],
        mailbox=told["mailbox"],
        internal_date=moment(told["date"]),
        flags=frozenset(Flag(flag) for flag in told["flags"]),
        placing=Placing(told["placing"]),
    )


def _pack(digest: Digest, plain: Octets, codecs: Codecs, dictionary: int) -> Packed:
    codec, used, payload = codecs.pack(plain, dictionary)
    return Packed(digest, plain, codec, used, payload)


def _prove(digest: Digest, apart: parts.Dismantled) -> None:
    """Put the message together again and compare: what does not come back is never taken."""

    def pieces(name: Digest) -> Iterator[bytes | memoryview]:
        plain = memoryview(apart.parts[name])
        for at in range(0, len(plain), 1 << 18):
            yield plain[at : at + (1 << 18)]

    again = hashlib.sha256()
    for piece in parts.assembled(apart.items, pieces):
        again.update(piece)
    if again.digest() != digest:
        raise StoreError(
            f"message {digest.hex()[:16]} does not come back as it came in: it was not taken; "
            "please report this"
        )
