"""Secrets at rest: sealed under a key file that is not in the database.

    <data>/secrets/key     "hauspost-key 1", then a line "<id> <base64>" for each key;
                           the last one seals, all of them open; 0600
    a sealed secret        1, key id (4 octets), nonce (12), AES-256-GCM ciphertext

What a secret is for (``purpose``) is authenticated with it, so a sealed
password moved to another account's row does not open. A key readable for
others, damaged, or missing while secrets exist is a ConfigError, never a reason
to make a new one.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from appliance.errors import ConfigError

_MAGIC = "hauspost-key 1"
_VERSION = b"\x01"
_ID_OCTETS = 4
_NONCE_OCTETS = 12
_KEY_OCTETS = 32


class Sealer:
    """Seals and opens secrets with the keys of one file, read when first needed.

    ``in_use`` tells whether sealed secrets exist: only then is a missing key file an error.
    """

    def __init__(self, path: Path, in_use: Callable[[], bool]) -> None:
        self._path = path
        self._in_use = in_use
        self._keys: dict[bytes, bytes] = {}

    def __repr__(self) -> str:
        return f"Sealer({str(self._path)!r})"

    def seal(self, secret: str, *purpose: str) -> bytes:
        """The secret, sealed for one purpose.

        The file is read each time: another process may have rotated the keys.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 7 MB: only when needed

        identity, key = list(self._read_again().items())[-1]
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        sealed = AESGCM(key).encrypt(nonce, secret.encode(), _bound(purpose))
        return _VERSION + identity + nonce + sealed

    def open(self, sealed: bytes, *purpose: str) -> str:
        """The secret sealed for that purpose; raises ConfigError."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        identity, rest = sealed[1 : 1 + _ID_OCTETS], sealed[1 + _ID_OCTETS :]
        key = self._loaded().get(identity)
        if key is None:
            # Another process may have rotated the keys since we read them.
            key = self._read_again().get(identity)
        if sealed[:1] != _VERSION or key is None:
            raise ConfigError(
                f"{self._path}: does not hold key {identity.hex()}, which the secret of "
                f"{' '.join(purpose)} is sealed with; put the right key file back, or enter "
                "the secret again"
            )
        nonce, ciphertext = rest[:_NONCE_OCTETS], rest[_NONCE_OCTETS:]
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, _bound(purpose)).decode()
        except (InvalidTag, ValueError):
            raise ConfigError(
                f"the sealed secret of {' '.join(purpose)} is damaged; enter it again"
            ) from None

    def add_key(self) -> None:
        """A new key, which seals from now on; the older ones still open."""
        keys = dict(self._loaded() if self._path.exists() or self._in_use() else {})
        keys[secrets.token_bytes(_ID_OCTETS)] = secrets.token_bytes(_KEY_OCTETS)
        self._write(keys)

    def drop_old_keys(self) -> None:
        """Keep the newest key only; everything has been sealed again with it."""
        self._write(dict(list(self._loaded().items())[-1:]))

    def _loaded(self) -> dict[bytes, bytes]:
        # Other threads replace the dictionary but never change or empty it.
        return self._keys or self._read_again()

    def _read_again(self) -> dict[bytes, bytes]:
        try:
            keys = _read(self._path)
        except FileNotFoundError:
            self._refuse_if_in_use()
            first = {secrets.token_bytes(_ID_OCTETS): secrets.token_bytes(_KEY_OCTETS)}
            return self._write(first)
        self._keys = keys
        return keys

    def _refuse_if_in_use(self) -> None:
        if self._in_use():
            raise ConfigError(
                f"{self._path}: missing, but account passwords are sealed with it; put the file "
                "back from your backup, or remove the accounts and add them again"
            )

    def _write(self, keys: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """The keys in the file, written whole or not at all, on the disk when this returns.

        Another process may make the first key at the same moment: the file that is
        there first wins.
        """
        lines = [_MAGIC, *(f"{i.hex()} {base64.b64encode(k).decode()}" for i, k in keys.items())]
        first = not self._path.exists()
        draft = self._path.with_name(f"key.{os.getpid()}.{secrets.token_hex(4)}.new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(draft, flags, 0o600), "w", encoding="ascii") as file:
                file.write("\n".join(lines) + "\n")
                file.flush()
                os.fsync(file.fileno())
            if first:
                _link_unless_there(draft, self._path)
            else:
                draft.replace(self._path)
            _sync_directory(self._path.parent)
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be written: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)
        self._keys = _read(self._path)
        return self._keys


def _read(path: Path) -> dict[bytes, bytes]:
    """Key ids and keys, oldest first; raises FileNotFoundError and ConfigError."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            octets = file.read(65536)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigError(f"{path}: readable for others (mode {mode:04o}); run chmod 600 on it")
    try:
        magic, *lines = octets.decode("ascii").splitlines()
        pairs = [line.split(" ") for line in lines]
        keys = {bytes.fromhex(i): base64.b64decode(k, validate=True) for i, k in pairs}
    except ValueError:
        keys, magic = {}, ""
    well_formed = all(len(i) == _ID_OCTETS and len(k) == _KEY_OCTETS for i, k in keys.items())
    if magic != _MAGIC or not keys or not well_formed:
        raise ConfigError(f"{path}: not a key file or damaged; put it back from your backup")
    return keys


def _bound(purpose: tuple[str, ...]) -> bytes:
    # No name holds a NUL, so ("a", "bc") and ("ab", "c") stay two purposes.
    return "\0".join(("hauspost", *purpose)).encode()


def _link_unless_there(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    except OSError:
        # A file system without hard links (exFAT on a USB stick).
        draft.replace(path)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
