"""Append-only volumes of checksummed records.

    file     "HAUSPOST" | version u16 | flags u16 | number u32 | archive id 16     32 octets
    record   magic 4 | kind u8 | codec u8 | reserved u16 | dictionary u32
             | size u64 (plain) | length u64 (payload) | digest 32 | checksum u32  64 octets
             payload

All integers little-endian. ``digest`` names what the record carries: SHA-256 of
the plain octets of a part, a receipt or a dictionary; of the whole message for a
``message`` (whose own plain octets are its skeleton, see ``parts.py``).
``checksum`` is CRC-32 over the payload and then the 60 octets before it, in this
order, so that a large record is written in one pass. Records follow each other
without gaps; the file ends after one. A sealed volume (0444) ends with a
``seal``: what it holds, as (offset u64, kind u8, digest 32) each.

A volume knows records, not messages, and never changes what it wrote.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from appliance.errors import DiskFull, RecordDamaged, RecordMissing, StoreError
from appliance.mail.types import Digest, Octets

FILE_MAGIC: Final = b"HAUSPOST"
FILE_VERSION: Final = 1
FILE_HEADER: Final = struct.Struct("<8sHHI16s")
RECORD_MAGIC: Final = b"\x89HPR"
RECORD_HEADER: Final = struct.Struct("<4sBBHIQQ32sI")
SEAL_ENTRY: Final = struct.Struct("<QB32s")
SEAL_AT_OCTETS: Final = 256 << 20
_CHECKED: Final = RECORD_HEADER.size - 4
_BUFFER_OCTETS: Final = 1 << 20
_OPEN_FILES: Final = 64
_READ_PIECE: Final = 1 << 18


class Kind(IntEnum):
    """What a record carries."""

    PART = 1
    MESSAGE = 2
    RECEIPT = 3
    DICTIONARY = 4
    SEAL = 5


@dataclass(frozen=True, slots=True)
class Location:
    """Where a record stands: volume number, offset of its header, octets with header."""

    volume: int
    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Header:
    """A record's header. ``length`` is of the payload alone."""

    kind: Kind
    codec: int
    dictionary: int
    size: int
    length: int
    digest: Digest
    checksum: int


def volume_path(directory: Path, number: int) -> Path:
    """The file of a volume."""
    return directory / f"{number:08d}.hpv"


def volume_numbers(directory: Path) -> list[int]:
    """The volumes that are there, ascending."""
    return sorted(int(p.stem) for p in directory.glob("*.hpv") if p.stem.isdigit())


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable: without it a new file can vanish in a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Volumes:
    """Reads records; any number of threads and processes may."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files: OrderedDict[int, _File] = OrderedDict()
        self._lock = threading.Lock()

    def head(self, volume: int) -> tuple[bytes, int, int, int, bytes]:
        """Magic, version, flags, number and archive id, as they stand in the file."""
        magic, version, flags, number, archive_id = FILE_HEADER.unpack(
            self._pread(volume, FILE_HEADER.size, 0)
        )
        return magic, version, flags, number, archive_id

    def header(self, volume: int, at: int) -> Header:
        """The header of the record at an offset; raises RecordMissing, RecordDamaged."""
        octets = self._pread(volume, RECORD_HEADER.size, at)
        return _header(octets, volume, at)

    def payload(self, where: Location) -> tuple[Header, bytes]:
        """A record's header and payload, checksum compared."""
        octets = self._pread(where.volume, where.length, where.at)
        header = _header(octets, where.volume, where.at)
        payload = octets[RECORD_HEADER.size :]
        if header.length != len(payload):
            raise RecordDamaged(f"{self._name(where)}: its length is not the catalog's")
        checksum = zlib.crc32(octets[:_CHECKED], zlib.crc32(payload))
        if checksum != header.checksum:
            raise RecordDamaged(f"{self._name(where)}: checksum does not match")
        return header, payload

    def pieces(self, where: Location) -> tuple[Header, Iterator[bytes]]:
        """As ``payload``, piece by piece; the checksum is compared after the last one."""
        head = self._pread(where.volume, RECORD_HEADER.size, where.at)
        header = _header(head, where.volume, where.at)
        if header.length != where.length - RECORD_HEADER.size:
            raise RecordDamaged(f"{self._name(where)}: its length is not the catalog's")
        return header, self._pieces(where, head, header)

    def _pieces(self, where: Location, head: bytes, header: Header) -> Iterator[bytes]:
        at, end = where.at + RECORD_HEADER.size, where.at + where.length
        checksum = 0
        while at < end:
            piece = self._pread(where.volume, min(_READ_PIECE, end - at), at)
            checksum = zlib.crc32(piece, checksum)
            at += len(piece)
            yield piece
        if zlib.crc32(head[:_CHECKED], checksum) != header.checksum:
            raise RecordDamaged(f"{self._name(where)}: checksum does not match")

    def records(self, volume: int, start: int, end: int) -> Iterator[tuple[Location, Header]]:
        """The records between two offsets that are whole, up to the first that is not."""
        at = start
        while at + RECORD_HEADER.size <= end:
            try:
                header = self.header(volume, at)
                where = Location(volume, at, RECORD_HEADER.size + header.length)
                if at + where.length > end:
                    return
                for _ in self.pieces(where)[1]:
                    pass
            except (RecordDamaged, RecordMissing):
                return
            yield where, header
            at += where.length

    def headers(self, volume: int, start: int, end: int) -> Iterator[tuple[Location, Header]]:
        """The records between two offsets, by their headers alone."""
        at = start
        while at + RECORD_HEADER.size <= end:
            header = self.header(volume, at)
            yield Location(volume, at, RECORD_HEADER.size + header.length), header
            at += RECORD_HEADER.size + header.length

    def octets(self, volume: int, at: int, length: int) -> bytes:
        """Octets as they stand in the file, whatever they are."""
        return self._pread(volume, length, at)

    def size(self, volume: int) -> int:
        """Octets in the file now."""
        return os.fstat(self._file(volume).fd).st_size

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            self._files.clear()

    def _name(self, where: Location) -> str:
        return f"{volume_path(self.directory, where.volume).name}, record at {where.at}"

    def _file(self, volume: int) -> _File:
        with self._lock:
            file = self._files.get(volume)
            if file is None:
                file = self._files[volume] = _File(volume_path(self.directory, volume))
                if len(self._files) > _OPEN_FILES:
                    self._files.popitem(last=False)
            self._files.move_to_end(volume)
            return file

    def _pread(self, volume: int, length: int, at: int) -> bytes:
        file = self._file(volume)
        name = volume_path(self.directory, volume).name
        octets = b""
        while len(octets) < length:
            try:
                more = os.pread(file.fd, length - len(octets), at + len(octets))
            except OSError as error:
                # Not RecordDamaged: a disk that fails now is no reason to cut anything off.
                raise StoreError(
                    f"{name}, record at {at}: cannot be read: {error.strerror}"
                ) from error
            if not more:
                raise RecordMissing(f"{name}, record at {at}: the file ends before it does")
            octets = octets + more if octets else more
        return octets


class _File:
    """An open volume; closed when its last reader lets go of it, never under one."""

    __slots__ = ("fd",)

    def __init__(self, path: Path) -> None:
        self.fd = -1
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise RecordMissing(
                f"{path}: the volume is gone; bring it back from a backup"
            ) from error
        except OSError as error:
            raise StoreError(f"{path}: cannot be opened: {error.strerror}") from error

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


class Appender:
    """Writes records at the end of one volume; the caller holds the catalog's write lock.

    Nothing is durable before ``sync``. ``abandon`` cuts off what was not.
    """

    def __init__(self, directory: Path, number: int, end: int, archive_id: bytes) -> None:
        self.number = number
        self.end = end
        self._path = volume_path(directory, number)
        self._durable = end
        self._buffer = bytearray()
        with writing(self._path):
            if self._path.exists():
                # Sealed by a writer that did not come to commit it.
                self._path.chmod(0o600)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if end == 0:
                try:
                    self._begin(directory, archive_id)
                except BaseException:
                    os.close(self._fd)
                    raise

    def _begin(self, directory: Path, archive_id: bytes) -> None:
        """Write the file's header; its name is durable afterwards, too."""
        header = FILE_HEADER.pack(FILE_MAGIC, FILE_VERSION, 0, self.number, archive_id)
        os.ftruncate(self._fd, 0)
        _pwrite(self._fd, header, 0)
        os.fsync(self._fd)
        sync_directory(directory)
        self.end = self._durable = FILE_HEADER.size

    def append(
        self, kind: Kind, digest: Digest, size: int, codec: int, dictionary: int, payload: Octets
    ) -> Location:
        """Add a record whose payload is at hand."""
        head = _packed(kind, codec, dictionary, size, len(payload), digest, zlib.crc32(payload))
        where = Location(self.number, self.end, len(head) + len(payload))
        self._buffer += head
        self._buffer += payload
        self.end += where.length
        if len(self._buffer) >= _BUFFER_OCTETS:
            self._flush()
        return where

    def append_pieces(
        self, kind: Kind, digest: Digest, size: int, codec: int, pieces: Iterable[Octets]
    ) -> Location:
        """Add a large record; its header is written last, so a torn one has no magic."""
        self._flush()
        start, at, checksum = self.end, self.end + RECORD_HEADER.size, 0
        with writing(self._path):
            for piece in pieces:
                checksum = zlib.crc32(piece, checksum)
                _pwrite(self._fd, piece, at)
                at += len(piece)
            length = at - start - RECORD_HEADER.size
            _pwrite(self._fd, _packed(kind, codec, 0, size, length, digest, checksum), start)
        self.end = at
        return Location(self.number, start, at - start)

    def sync(self) -> None:
        """Everything appended is on the disk when this returns."""
        self._flush()
        with writing(self._path):
            os.fdatasync(self._fd)
        self._durable = self.end

    def abandon(self) -> None:
        """Forget what was appended since the last sync."""
        # A new one: a write that failed may still hold a view of the old.
        self._buffer = bytearray()
        self.end = self._durable
        try:
            os.ftruncate(self._fd, self._durable)
        except OSError:
            pass  # the tail is litter: the next writer cuts it

    def seal(self) -> None:
        """No more records: read-only from now on. The seal record was appended and synced."""
        with writing(self._path):
            os.fchmod(self._fd, 0o444)
            os.fsync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _flush(self) -> None:
        if self._buffer:
            with writing(self._path):
                _pwrite(self._fd, self._buffer, self.end - len(self._buffer))
            self._buffer.clear()


class writing:
    """OSErrors of writing as ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise DiskFull(f"{self._path}: no room left on the disk; make room") from error
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}") from error


def _pwrite(fd: int, octets: Octets | bytearray, at: int) -> None:
    view = memoryview(octets)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written


def _packed(
    kind: Kind, codec: int, dictionary: int, size: int, length: int, digest: Digest, payload: int
) -> bytes:
    head = RECORD_HEADER.pack(RECORD_MAGIC, kind, codec, 0, dictionary, size, length, digest, 0)
    return head[:_CHECKED] + zlib.crc32(head[:_CHECKED], payload).to_bytes(4, "little")


def _header(octets: bytes, volume: int, at: int) -> Header:
    magic, kind, codec, _, dictionary, size, length, digest, checksum = RECORD_HEADER.unpack_from(
        octets
    )
    if magic != RECORD_MAGIC or not Kind.PART <= kind <= Kind.SEAL:
        raise RecordDamaged(f"volume {volume}: no record at {at}")
    return Header(Kind(kind), codec, dictionary, size, length, Digest(digest), checksum)
