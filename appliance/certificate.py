"""The certificate our doors show when the owner has none: self-signed, renewed by itself.

    <tls>/certificate.pem   ECDSA P-256, 397 days, every name a device may use
    <tls>/key.pem           its key, 0600

The key is written before the certificate, both by rename; whatever a power cut
leaves that does not fit together is made anew. It refuses to touch files the
owner has named in the configuration: those only go through ``server_context``.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.config import Config
from appliance.errors import ConfigError

if TYPE_CHECKING:
    # Imported where a certificate is read or made: it takes 9 MB, which a process
    # without TLS of its own can spare.
    from cryptography import x509

LIFETIME = timedelta(days=397)
"""Apple's clients refuse a server certificate that lives longer than 398 days."""
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate chain and its key, as PEM files."""

    certificate: Path
    key: Path


def certificate_of(config: Config) -> CertificateFiles:
    """The owner's certificate, or our own, made or renewed if need be; raises ConfigError."""
    if config.tls_certificate is not None and config.tls_key is not None:
        return CertificateFiles(config.tls_certificate, config.tls_key)
    return ensure_certificate(config.tls, [config.domain, config.host])


def ensure_certificate(
    tls: Path, names: Sequence[str], now: datetime | None = None
) -> CertificateFiles:
    """The files of a certificate good for ``names`` and for this machine's own names.

    Host names and addresses both go. Made when missing, unreadable, not
    covering a name, or within 30 days of its end. Raises ConfigError when the
    directory cannot be written.
    """
    moment = now or datetime.now(UTC)
    files = CertificateFiles(tls / "certificate.pem", tls / "key.pem")
    wanted = _with_own_names(names)
    try:
        tls.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _only_one(tls / "lock"):
            covered = _covered(files, moment)
            if not covered.issuperset(wanted):
                # Two doors may ask for different names: neither takes the other's away.
                _make(files, tuple(dict.fromkeys((*wanted, *sorted(covered)))), moment)
    except OSError as error:
        raise ConfigError(f"{tls}: no certificate can be written: {error.strerror}") from error
    return files


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """A server's TLS context, TLS 1.2 or newer; raises ConfigError naming the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (files.certificate, files.key):
        if not os.access(path, os.R_OK):
            raise ConfigError(f"{path}: missing or not readable for this user")
    try:
        # A key with a passphrase would otherwise ask on the terminal and stop the service.
        context.load_cert_chain(files.certificate, files.key, password=_no_passphrase)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(
            f"{files.certificate}: not a certificate that fits {files.key}: {error}"
        ) from error
    return context


def expires(files: CertificateFiles) -> datetime:
    """When the certificate ends; raises ConfigError when it cannot be read."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(files.certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise ConfigError(f"{files.certificate}: cannot be read: {error}") from error


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase; give one without")


def _with_own_names(names: Sequence[str]) -> tuple[str, ...]:
    full = socket.gethostname().lower()
    host = full.partition(".")[0]
    own = ("localhost", "127.0.0.1", "::1", host, f"{host}.local", full)
    given = (name.strip().lower().rstrip(".") for name in names)
    # An address to listen on such as 0.0.0.0 is no name anybody connects to.
    usable = [
        n for n in (*given, *own) if n and n[0] != "." and n.isascii() and not _is_wildcard(n)
    ]
    return tuple(dict.fromkeys(usable))


def _is_wildcard(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return False


def _covered(files: CertificateFiles, moment: datetime) -> frozenset[str]:
    """The names the certificate is good for; none when it is missing, torn, ending or misfit."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return frozenset()
    if files.key.stat().st_mode & 0o077:
        files.key.chmod(0o600)
    # Not yet valid is no reason to make another: a Raspberry Pi starts with yesterday's clock.
    fits = certificate.public_key() == key.public_key()
    if not fits or certificate.not_valid_after_utc - RENEW_BEFORE <= moment:
        return frozenset()
    addresses = map(str, alternative.value.get_values_for_type(x509.IPAddress))
    return frozenset((*alternative.value.get_values_for_type(x509.DNSName), *addresses))


def _make(files: CertificateFiles, names: Sequence[str], moment: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A day's grace for devices whose clock is behind.
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment - timedelta(days=1) + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    _write(files.key, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain), 0o600)
    _write(files.certificate, certificate.public_bytes(pem), 0o644)


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, octets: bytes, mode: int) -> None:
    """The file whole or not at all; never readable for others on the way."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """The mail and the web process start together; one makes the certificate, the other waits."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
