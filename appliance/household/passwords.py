"""People's passwords under scrypt (RFC 7914), with the parameters in each hash.

    scrypt$15$8$1$<salt>$<hash>     n = 2^15, r = 8, p = 1: 32 MiB a try

At most two run at once, so that sign-in attempts cannot take the memory of a
small machine. Devices' passwords are random and are not hashed here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import unicodedata
from dataclasses import dataclass

from appliance.errors import StoreError, UsageError

SHORTEST = 8
LONGEST = 1024
_SALT_OCTETS = 16
_HASH_OCTETS = 32
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Scrypt:
    """scrypt's cost: ``n`` = 2^``log_n``. Memory for one try is 128 * n * r octets."""

    log_n: int = 15
    r: int = 8
    p: int = 1


class Passwords:
    """Hashes and checks passwords at one cost; hashes made at another cost still check."""

    def __init__(self, cost: Scrypt) -> None:
        self._cost = cost
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        # Nobody's password: as dear to check as a real one, and never right.
        self._nobody = _written(
            cost, secrets.token_bytes(_SALT_OCTETS), secrets.token_bytes(_HASH_OCTETS)
        )

    def hash(self, password: str) -> str:
        """What is stored of a password; raises UsageError when it is too short or too long."""
        if len(password) < SHORTEST:
            raise UsageError(f"the password is too short: at least {SHORTEST} characters")
        if len(password) > LONGEST:
            raise UsageError(f"the password is too long: at most {LONGEST} characters")
        salt = secrets.token_bytes(_SALT_OCTETS)
        return _written(self._cost, salt, self._derive(self._cost, password, salt))

    def check(self, password: str, stored: str | None) -> bool:
        """Whether it is the password; None (no such person) costs the same and is False."""
        cost, salt, expected = _read(stored or self._nobody)
        derived = self._derive(cost, password[: LONGEST + 1], salt)
        return hmac.compare_digest(derived, expected) and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether it was made at a lower cost than today's."""
        cost, _, _ = _read(stored)
        return (cost.log_n, cost.r, cost.p) < (self._cost.log_n, self._cost.r, self._cost.p)

    def _derive(self, cost: Scrypt, password: str, salt: bytes) -> bytes:
        # NFC, as RFC 8265 §4.2.2 (OpaqueString): two keyboards, one password.
        octets = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
        n = 1 << cost.log_n
        with self._turns:
            return hashlib.scrypt(
                octets,
                salt=salt,
                n=n,
                r=cost.r,
                p=cost.p,
                # OpenSSL counts a little more than 128 * n * r; twice is room enough.
                maxmem=256 * n * cost.r + 1024 * cost.r * cost.p + (1 << 16),
                dklen=_HASH_OCTETS,
            )


def _written(cost: Scrypt, salt: bytes, derived: bytes) -> str:
    encoded = (base64.b64encode(octets).decode("ascii") for octets in (salt, derived))
    return "$".join(("scrypt", f"{cost.log_n:d}", f"{cost.r:d}", f"{cost.p:d}", *encoded))


def _read(stored: str) -> tuple[Scrypt, bytes, bytes]:
    try:
        kind, log_n, r, p, salt, derived = stored.split("$")
        cost = Scrypt(int(log_n), int(r), int(p))
        if kind != "scrypt":
            raise ValueError(kind)
        return cost, base64.b64decode(salt, validate=True), base64.b64decode(derived, validate=True)
    except ValueError:
        # The hash itself stays out of the message, and so does the cause.
        raise StoreError("household: a password hash is damaged; set a new password") from None
