"""The whole service inside what the unit allows: it serves, reads a PDF file, and stops."""

from __future__ import annotations

import ctypes.util
import imaplib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from base64 import encodebytes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy import sandbox
from tests.deploy.checkout import DEPLOY, ROOT
from tests.deploy.test_unit import UNIT, needs_systemd

needs_seccomp = pytest.mark.skipif(
    ctypes.util.find_library("seccomp") is None, reason="libseccomp is not installed"
)
PAGE = b"BT /F1 24 Tf 72 700 Td (Heizkostenabrechnung) Tj ET"
CLI = [sys.executable, "-m", "appliance"]


def pdf() -> bytes:
    """One page with one word on it."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(PAGE), PAGE),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    out = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + table
    return out + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start


LETTER = (
    b"From: landlord@example.org\r\nTo: anna@example.org\r\nSubject: Abrechnung\r\n"
    b"Date: Mon, 2 Mar 2026 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: application/pdf; name=a.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + encodebytes(pdf()).replace(b"\n", b"\r\n")
)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service; ``ports`` by the name of the door."""

    process: subprocess.Popen[str]
    env: dict[str, str]
    ports: dict[str, int]

    def cli(self, *arguments: str, text: str = "") -> dict[str, object]:
        """One command outside the sandbox, as the owner would give it."""
        done = subprocess.run(
            [*CLI, *arguments, "--json"],
            env=self.env,
            input=text,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        answer: dict[str, object] = json.loads(done.stdout)
        return answer


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    doors = {name: socket.create_server(("127.0.0.1", 0)) for name in ("web", "imaps", "smtp")}
    ports = {name: door.getsockname()[1] for name, door in doors.items()}
    for door in doors.values():
        door.close()
    data = tmp_path / "data"
    data.mkdir()
    lines = [f"{name}_port = {port}" for name, port in ports.items()]
    (data / "config.toml").write_text("\n".join([*lines, "imap_port = 0", 'web_tls = "on"\n']))
    env = {name: value for name, value in os.environ.items() if not name.startswith("HAUSPOST_")}
    env |= {"HAUSPOST_DATA": str(data), "PYTHONPATH": str(ROOT)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        process = subprocess.Popen(
            [sys.executable, sandbox.__file__, UNIT, *CLI, "run"],
            env={**env, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        try:
            heard = systemd.recv(100)
            assert heard.startswith(b"READY=1")
            yield Service(process, env, ports)
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=30)


@needs_systemd
@needs_seccomp
def test_the_service_does_all_its_work_inside_the_sandbox(service: Service) -> None:
    assert seccomp_of(service.process.pid) == "2"
    service.cli("person", "add", "anna", "--password-stdin", text="correct horse battery\n")
    device = service.cli("device", "add", "anna", "phone")
    letter = Path(service.env["HAUSPOST_DATA"]).parent / "letter.eml"
    letter.write_bytes(LETTER)
    wait_until_healthy(service)

    # The mail process: TLS, a password hash, admission of what a mail program gives.
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    program = imaplib.IMAP4_SSL("127.0.0.1", service.ports["imaps"], ssl_context=unverified)
    program.login("anna", str(device["password"]))
    assert program.append("INBOX", "", "", LETTER)[0] == "OK"
    program.select("INBOX")
    fetched = program.fetch("1", "(BODY.PEEK[])")[1][0]
    assert isinstance(fetched, tuple)
    assert fetched[1] == LETTER
    program.logout()

    # The index process and the reader of attachments below it, with limits of its own.
    found = 0
    for _ in range(60):
        if found := found_by(service, "Heizkostenabrechnung"):
            break
    assert found == 1, "the text of the PDF file was not read"

    service.process.send_signal(signal.SIGTERM)
    _, log = service.process.communicate(timeout=30)
    assert service.process.returncode == 0
    assert "ended by itself" not in log
    assert "Operation not permitted" not in log


def found_by(service: Service, query: str) -> int:
    total = service.cli("search", query, "--person", "anna")["total"]
    assert isinstance(total, int)
    return total


def seccomp_of(process: int) -> str:
    text = Path(f"/proc/{process}/status").read_text()
    return next(line.split()[1] for line in text.splitlines() if line.startswith("Seccomp:"))


def wait_until_healthy(service: Service) -> None:
    for _ in range(100):
        asked = subprocess.run(
            [sys.executable, DEPLOY / "health.py"], env=service.env, capture_output=True
        )
        if asked.returncode == 0:
            return
    raise AssertionError(asked.stdout.decode())


@needs_systemd
@needs_seccomp
def test_what_the_unit_forbids_is_forbidden() -> None:
    script = (
        "import os, socket\n"
        "for forbidden in (lambda: os.chroot('/'), lambda: os.sched_setaffinity(0, {0}),\n"
        "                  lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)):\n"
        "    try:\n        forbidden()\n"
        "    except PermissionError:\n        print('refused')\n"
    )
    asked = subprocess.run(
        [sys.executable, sandbox.__file__, UNIT, sys.executable, "-c", script],
        capture_output=True,
        text=True,
    )
    assert asked.stdout.splitlines() == ["refused"] * 3, asked.stderr
