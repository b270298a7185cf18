"""The certificate we make: kept while good, made anew when not, accepted by ssl."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance.certificate import (
    LIFETIME,
    CertificateFiles,
    certificate_of,
    ensure_certificate,
    expires,
    server_context,
)
from appliance.config import Config
from appliance.errors import ConfigError

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def serial(files: CertificateFiles) -> int:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).serial_number


def test_it_names_every_way_a_device_may_reach_us(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path / "tls", ["Hauspost.Local", "192.168.1.5", "0.0.0.0"])
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    host = socket.gethostname().split(".")[0].lower()
    assert set(names.get_values_for_type(x509.DNSName)) == {
        *("hauspost.local", "localhost", host, f"{host}.local", socket.gethostname().lower())
    }
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"192.168.1.5", "127.0.0.1", "::1"}


def test_the_key_is_private_and_the_certificate_lives_397_days(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path, ["a.local"], NOW)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    lived = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lived == LIFETIME == timedelta(days=397)
    assert not list(tmp_path.glob("*.new"))


def test_a_good_one_is_kept_and_an_ending_one_replaced(tmp_path: Path) -> None:
    first = serial(ensure_certificate(tmp_path, ["a.local"], NOW))
    assert serial(ensure_certificate(tmp_path, ["a.local"], NOW + timedelta(days=365))) == first
    # A clock that starts in the past makes no new one.
    assert serial(ensure_certificate(tmp_path, ["a.local"], NOW - timedelta(days=900))) == first
    late = NOW + timedelta(days=368)
    files = ensure_certificate(tmp_path, ["a.local"], late)
    assert serial(files) != first
    assert expires(files) > late + timedelta(days=390)


@pytest.mark.parametrize("damage", ["key gone", "certificate gone", "key torn", "other key"])
def test_files_that_do_not_fit_are_made_anew(tmp_path: Path, damage: str) -> None:
    files = ensure_certificate(tmp_path, ["a.local"])
    first = serial(files)
    if damage == "key gone":
        files.key.unlink()
    elif damage == "certificate gone":
        files.certificate.unlink()
    elif damage == "key torn":
        files.key.write_bytes(files.key.read_bytes()[:40])
    else:
        other = ensure_certificate(tmp_path / "other", ["a.local"])
        files.key.write_bytes(other.key.read_bytes())
    again = ensure_certificate(tmp_path, ["a.local"])
    assert serial(again) != first
    server_context(again)


def test_a_new_name_means_a_new_certificate(tmp_path: Path) -> None:
    first = serial(ensure_certificate(tmp_path, ["a.local"]))
    assert serial(ensure_certificate(tmp_path, ["a.local", "b.local"])) != first


def test_two_doors_that_ask_for_different_names_agree_in_the_end(tmp_path: Path) -> None:
    for names in (["a.local", "192.168.1.5"], ["a.local", "pi.fritz.box"]):
        files = ensure_certificate(tmp_path, names, NOW)
    last = serial(files)
    assert serial(ensure_certificate(tmp_path, ["192.168.1.5"], NOW)) == last
    # A name nobody asks for any more goes when the certificate is renewed.
    files = ensure_certificate(tmp_path, ["a.local"], NOW + LIFETIME)
    assert b"pi.fritz.box" not in x509.load_pem_x509_certificate(
        files.certificate.read_bytes()
    ).public_bytes(serialization.Encoding.DER)


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    serials: list[int] = []
    threads = [
        threading.Thread(target=lambda: serials.append(serial(ensure_certificate(tmp_path, ["a"]))))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(serials) == 6
    assert len(set(serials)) == 1


def test_a_client_that_trusts_it_may_use_any_name_and_not_tls_1_1(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path, ["hauspost.local"])
    context = server_context(files)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    for name in ("hauspost.local", "localhost", "127.0.0.1"):
        client = ssl.create_default_context(cafile=str(files.certificate))
        inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        ours = context.wrap_bio(outward, inward, server_side=True)
        theirs = client.wrap_bio(inward, outward, server_hostname=name)
        for _ in range(4):
            for side in (theirs, ours):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    pass
        assert theirs.getpeercert()


def test_an_owners_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    good = ensure_certificate(tmp_path, ["a.local"])
    missing = CertificateFiles(tmp_path / "no.pem", good.key)
    with pytest.raises(ConfigError, match=r"no\.pem: missing or not readable"):
        server_context(missing)
    other = ensure_certificate(tmp_path / "other", ["a.local"])
    with pytest.raises(ConfigError, match="not a certificate that fits"):
        server_context(CertificateFiles(good.certificate, other.key))


def test_the_owners_certificate_comes_before_our_own(tmp_path: Path) -> None:
    own, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chosen = certificate_of(Config(data=tmp_path, tls_certificate=own, tls_key=key))
    assert (chosen.certificate, chosen.key) == (own, key)
    made = certificate_of(Config(data=tmp_path))
    assert made.certificate == tmp_path / "tls" / "certificate.pem"
    assert made.certificate.exists()
