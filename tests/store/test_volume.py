"""The record format: what stands in a volume, and what damage to it is noticed."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from appliance.errors import RecordDamaged, RecordMissing
from appliance.mail.types import Digest, digest_of
from appliance.store.codec import Codec, Codecs
from appliance.store.volume import Appender, Kind, Location, Volumes, volume_path

ARCHIVE_ID = bytes(range(16))


def write(directory: Path, *payloads: bytes) -> list[Location]:
    appender = Appender(directory, 1, 0, ARCHIVE_ID)
    places = [
        appender.append(Kind.PART, digest_of(plain), len(plain), Codec.RAW, 0, plain)
        for plain in payloads
    ]
    appender.sync()
    appender.close()
    return places


def test_a_volume_reads_as_the_format_says(tmp_path: Path) -> None:
    (where,) = write(tmp_path, b"octets")
    octets = volume_path(tmp_path, 1).read_bytes()
    assert octets[:8] == b"HAUSPOST"
    assert struct.unpack("<HHI", octets[8:16]) == (1, 0, 1)
    assert octets[16:32] == ARCHIVE_ID
    record = octets[32:]
    assert where == Location(1, 32, len(record))
    assert record[:4] == b"\x89HPR"
    kind, codec, reserved, dictionary, size, length = struct.unpack("<BBHIQQ", record[4:28])
    assert (kind, codec, reserved, dictionary, size, length) == (1, 0, 0, 0, 6, 6)
    assert record[28:60] == digest_of(b"octets")
    (checksum,) = struct.unpack("<I", record[60:64])
    assert checksum == zlib.crc32(b"octets" + record[:60])
    assert record[64:] == b"octets"


def test_a_record_written_in_pieces_is_the_same_record(tmp_path: Path) -> None:
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    whole.mkdir()
    pieces.mkdir()
    write(whole, b"abcdef")
    appender = Appender(pieces, 1, 0, ARCHIVE_ID)
    appender.append_pieces(Kind.PART, digest_of(b"abcdef"), 6, Codec.RAW, [b"abc", b"def"])
    appender.sync()
    appender.close()
    assert volume_path(whole, 1).read_bytes() == volume_path(pieces, 1).read_bytes()


def test_every_flipped_octet_of_a_record_is_noticed(tmp_path: Path) -> None:
    (where,) = write(tmp_path, b"the octets of a part")
    path = volume_path(tmp_path, 1)
    good = path.read_bytes()
    for at in range(where.at, len(good)):
        bad = bytearray(good)
        bad[at] ^= 0x41
        path.write_bytes(bad)
        volumes = Volumes(tmp_path)
        with pytest.raises((RecordDamaged, RecordMissing)):
            volumes.payload(where)
        volumes.close()


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_torn_record_is_missing_and_what_was_before_it_is_not(tmp_path: Path, cut: int) -> None:
    first, second = write(tmp_path, b"first", b"x" * 39)
    path = volume_path(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-cut])
    volumes = Volumes(tmp_path)
    assert volumes.payload(first)[1] == b"first"
    with pytest.raises(RecordMissing):
        volumes.payload(second)
    assert [where for where, _ in volumes.records(1, 32, path.stat().st_size)] == [first]
    volumes.close()


def test_a_missing_volume_says_what_to_do(tmp_path: Path) -> None:
    volumes = Volumes(tmp_path)
    with pytest.raises(RecordMissing, match="bring it back from a backup"):
        volumes.header(9, 32)


def test_abandoned_records_are_gone_from_the_file(tmp_path: Path) -> None:
    appender = Appender(tmp_path, 1, 0, ARCHIVE_ID)
    appender.append(Kind.PART, Digest(bytes(32)), 2 << 20, Codec.RAW, 0, bytes(2 << 20))
    assert volume_path(tmp_path, 1).stat().st_size > 1 << 20
    appender.abandon()
    assert volume_path(tmp_path, 1).stat().st_size == 32
    assert appender.end == 32
    appender.close()


@pytest.mark.parametrize("size", [0, 1, 100, 70_000, (1 << 20) - 1, 1 << 20, 3_000_000])
@pytest.mark.parametrize("fill", [b"abc ", b""], ids=["text", "noise"])
def test_packing_and_unpacking_are_inverse(size: int, fill: bytes) -> None:
    from tests.store.conftest import noise

    plain = (fill * size)[:size] if fill else noise(size)
    codecs = Codecs(lambda _: b"")
    codec, dictionary, payload = codecs.pack(plain)
    if payload is None:
        packed = b"".join(bytes(piece) for piece in codecs.pieces_packed(plain, codec))
        pieces = (packed[at : at + 1000] for at in range(0, len(packed), 1000))
        assert b"".join(codecs.pieces_unpacked(codec, pieces)) == plain
    else:
        assert len(payload) <= max(len(plain), 1)
        assert codecs.unpack(codec, dictionary, payload, len(plain)) == plain


@pytest.mark.parametrize("step", [1000, 1 << 18, 1 << 20])
def test_a_record_that_packs_to_nothing_unpacks_in_small_pieces(step: int) -> None:
    codecs = Codecs(lambda _: b"")
    packed = b"".join(
        bytes(piece) for piece in codecs.pieces_packed(b"abc " * 5_000_000, Codec.ZSTD)
    )
    payload = iter([packed[at : at + step] for at in range(0, len(packed), step)])
    sizes = [len(piece) for piece in codecs.pieces_unpacked(Codec.ZSTD, payload)]
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= 1 << 18
    # What follows is where the checksum is compared.
    assert next(payload, None) is None
