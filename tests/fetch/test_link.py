"""TLS is verified or there is no connection; waits end; nothing falls back to plain text."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.errors import CertificateRefused, ConfigError, RemoteProtocolError, TryLater
from appliance.fetch import test_account
from appliance.fetch.link import EXTRA_CA, Link, Stopped, Target, Timeouts, trust
from appliance.store import Archive
from tests.fetch.certificates import ServerCertificate, make
from tests.fetch.world import World, letter

SECRET = "secret"


@pytest.fixture(params=["imap", "pop3"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def certificate(tmp_path: Path) -> ServerCertificate:
    return make(tmp_path)


def _world(
    protocol: str, tls: str, certificate: ServerCertificate, archive: Archive, tmp_path: Path
) -> World:
    return World(protocol, tmp_path, archive, tls=tls, context=certificate.context())


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("way", ["environment", "authority", "fingerprint", "colons"])
def test_a_certificate_is_accepted_when_somebody_vouches_for_it(
    protocol: str,
    tls: str,
    way: str,
    certificate: ServerCertificate,
    archive: Archive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pin = {
        "environment": None,
        "authority": str(certificate.path),
        "fingerprint": certificate.fingerprint,
        "colons": "SHA256:" + bytes.fromhex(certificate.fingerprint).hex(":").upper(),
    }[way]
    if way == "environment":
        monkeypatch.setenv(EXTRA_CA, str(certificate.path))
    with _world(protocol, tls, certificate, archive, tmp_path) as world:
        world.maildrop.inbox.arrive(letter(1))
        run = world.fetch(pin=pin)
    assert (run.error, run.admitted) == (None, 1)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize(
    ("host", "days", "pinned", "said"),
    [
        ("127.0.0.1", (-1, 30), None, "signed by itself"),
        ("127.0.0.1", (-30, -1), "authority", "has expired"),
        ("127.0.0.1", (5, 30), "authority", "not valid yet"),
        ("other.example", (-1, 30), "authority", "issued for another"),
        ("127.0.0.1", (-1, 30), "ab" * 32, "another certificate than the one that was pinned"),
    ],
    ids=["unknown", "expired", "early", "other host", "other fingerprint"],
)
def test_a_certificate_is_refused_in_plain_words_before_anything_is_sent(
    protocol: str,
    tls: str,
    host: str,
    days: tuple[int, int],
    pinned: str | None,
    said: str,
    archive: Archive,
    tmp_path: Path,
) -> None:
    certificate = make(tmp_path, host=host, valid_days=days)
    pin = str(certificate.path) if pinned == "authority" else pinned
    with _world(protocol, tls, certificate, archive, tmp_path) as world:
        found = test_account(world.account(pin=pin), SECRET)
        commands = " ".join(world.server.seen.commands)
    assert not found.ok
    assert said in found.message
    assert SECRET not in commands
    assert "LOGIN" not in commands.replace("LOGINDISABLED", "")
    assert "USER" not in commands


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_the_fingerprint_to_pin_is_told_and_then_accepted(
    protocol: str, tls: str, certificate: ServerCertificate, archive: Archive, tmp_path: Path
) -> None:
    with _world(protocol, tls, certificate, archive, tmp_path) as world:
        refused = test_account(world.account(), SECRET)
        assert not any(SECRET in line for line in world.server.seen.commands)
        accepted = test_account(world.account(pin=refused.fingerprint), SECRET)
    assert refused.fingerprint == bytes.fromhex(certificate.fingerprint).hex(":")
    assert (accepted.ok, accepted.fingerprint) == (True, None)


def test_a_refused_certificate_has_its_own_error(
    certificate: ServerCertificate, archive: Archive, tmp_path: Path
) -> None:
    with (
        _world("imap", "implicit", certificate, archive, tmp_path) as world,
        pytest.raises(CertificateRefused, match="Nothing was sent"),
    ):
        Link.connect(Target("127.0.0.1", world.server.port, "implicit"))


def test_no_tls_where_it_was_asked_for_is_an_error_and_never_plain_text(
    protocol: str, archive: Archive, tmp_path: Path
) -> None:
    with World(protocol, tmp_path, archive, tls="starttls") as world:
        world.maildrop.inbox.arrive(letter(1))
        run = world.fetch()
        commands = " ".join(world.server.seen.commands)
    assert run.error is not None
    assert "refuses ST" in run.error
    assert SECRET not in commands
    assert "AUTHENTICATE" not in commands
    with World(protocol, tmp_path, archive, tls="implicit") as world:
        run = world.fetch()
    assert run.error is not None
    assert "check the port and the kind of TLS" in run.error


@pytest.mark.parametrize(
    "injected",
    [b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", b"+OK\r\nSASL PLAIN\r\n.\r\n"],
    ids=["untagged", "ok"],
)
def test_octets_injected_before_tls_are_refused(
    protocol: str,
    injected: bytes,
    certificate: ServerCertificate,
    archive: Archive,
    tmp_path: Path,
) -> None:
    with _world(protocol, "starttls", certificate, archive, tmp_path) as world:
        world.faults.inject_after_tls = injected
        run = world.fetch(pin=certificate.fingerprint)
        commands = " ".join(world.server.seen.commands)
    assert run.error is not None
    assert SECRET not in commands
    assert "AUTHENTICATE" not in commands
    assert "USER" not in commands


def test_preauth_before_tls_is_refused(
    certificate: ServerCertificate, archive: Archive, tmp_path: Path
) -> None:
    with _world("imap", "starttls", certificate, archive, tmp_path) as world:
        world.faults.greeting = b"* PREAUTH welcome\r\n"
        run = world.fetch(pin=certificate.fingerprint)
    assert run.error is not None
    assert "PREAUTH" in run.error


def test_an_authority_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.pem"):
        trust(str(tmp_path / "nowhere.pem"))
    (tmp_path / "empty.pem").write_text("hello")
    with pytest.raises(ConfigError, match=r"empty\.pem.*no PEM certificate"):
        trust(str(tmp_path / "empty.pem"))


def test_nobody_at_the_port_is_try_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TryLater, match="cannot be reached"):
        Link.connect(Target("127.0.0.1", port, "none"))


def test_no_such_host_is_try_later() -> None:
    with pytest.raises(TryLater, match="no such host"):
        Link.connect(Target("host.invalid", 993, "none"), Timeouts(connect_s=5))


@pytest.fixture
def silent() -> Iterator[int]:
    """A server that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_silent_server_is_given_up(silent: int) -> None:
    link = Link.connect(Target("127.0.0.1", silent, "none"), Timeouts(read_s=0.3))
    with link, pytest.raises(TryLater, match="did not answer in time"):
        link.receive()


@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_a_stop_ends_every_wait(silent: int, tls: str) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        Link.connect(Target("127.0.0.1", silent, tls), Timeouts(30, 30), stop).receive()
    assert time.monotonic() - began < 2


def test_a_server_that_is_no_mail_server_is_said_so(archive: Archive, tmp_path: Path) -> None:
    for protocol in ("imap", "pop3"):
        with World(protocol, tmp_path, archive) as world:
            world.faults.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"
            found = test_account(world.account(), SECRET)
        assert not found.ok
        assert "Traceback" not in found.message


def test_tls_garbage_is_a_protocol_error(archive: Archive, tmp_path: Path) -> None:
    with (
        World("imap", tmp_path, archive) as world,
        pytest.raises(RemoteProtocolError, match="does not speak TLS"),
    ):
        Link.connect(Target("127.0.0.1", world.server.port, "implicit"))
