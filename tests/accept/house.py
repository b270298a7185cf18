"""The whole house as its owner has it: the command line, the running service, its three doors.

    with RunningHouse(tmp_path) as house:
        house.person("anna")
        house.start()
        house.imap("anna"), house.pages("anna"), house.processes()

Everything is done by the program itself in processes of its own. Each is ended by
its own id. At the end no password may stand in what the service has said.
"""

from __future__ import annotations

import contextlib
import hashlib
import imaplib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from imapclient import imap_utf7  # type: ignore[import-untyped]  # IMAPClient ships no types

from tests.accept.pages import Pages

ROOT: Final = Path(__file__).resolve().parents[2]
STOP_S: Final = 5.0
"""The longest a clean stop may take (the project's promise)."""
_START_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.02
_AT_ONCE: Final = 200

Answer = TypeVar("Answer")


def until(ask: Callable[[], Answer], what: str, timeout_s: float = 30.0) -> Answer:
    """The first true answer. For another program's work there is nothing to wait on but it."""
    deadline = time.monotonic() + timeout_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(_LOOK_AGAIN_S)
    return answer


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            ports.append(int(one.getsockname()[1]))
        return ports


def digest(octets: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(octets).hexdigest()


@dataclass(frozen=True, slots=True)
class Ran:
    """A command's exit status, the JSON it printed, and what it said on standard error."""

    status: int
    facts: dict[str, Any]
    errors: str


@dataclass(slots=True)
class Ports:
    web: int
    imap: int
    imaps: int
    smtp: int


@dataclass(slots=True)
class _Secrets:
    """Every password there is, so that we can look for it where it must not be."""

    web: dict[str, str] = field(default_factory=dict)
    device: dict[str, str] = field(default_factory=dict)
    other: list[str] = field(default_factory=list)

    def all(self) -> Iterator[str]:
        yield from self.web.values()
        yield from self.device.values()
        yield from (one.replace("-", "") for one in self.device.values())
        yield from self.other


class RunningHouse:
    """A data directory and, after ``start``, the service on it. Context manager."""

    def __init__(
        self, tmp_path: Path, *, environ: Mapping[str, str] | None = None, only: str | None = None
    ) -> None:
        self.data = tmp_path / "data"
        self.ports = Ports(*free_ports(4))
        self.secrets = _Secrets()
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("HAUSPOST_")},
            **(environ or {}),
        }
        self._only = only
        self._log = tmp_path / "service.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.configure()

    def __enter__(self) -> RunningHouse:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.stop()
            self.check_log()
        elif self._process is not None:
            self._process.kill()  # its children end when it does
            self._process.wait()

    # The command line

    def command(self, *words: str) -> list[str]:
        """The command line that runs ``hauspost`` on our data directory."""
        return [sys.executable, "-m", "appliance", *words, "--data", str(self.data)]

    def run(self, *words: str, stdin: str = "", timeout_s: float = 300) -> Ran:
        """A command with ``--json``, to its end; exactly one object is printed."""
        done = subprocess.run(
            [*self.command(*words), "--json"],
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=timeout_s,
            cwd=ROOT,
            env=self.environ,
        )
        errors = done.stderr.decode("utf-8", "replace")
        lines = done.stdout.splitlines()
        assert "Traceback" not in errors, errors
        assert len(lines) == 1, (words, done.stdout, errors)
        return Ran(done.returncode, json.loads(lines[0]), errors)

    def ok(self, *words: str, stdin: str = "", timeout_s: float = 300) -> dict[str, Any]:
        """What a command that must succeed has printed."""
        ran = self.run(*words, stdin=stdin, timeout_s=timeout_s)
        assert ran.status == 0, (words, ran)
        return ran.facts

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """A command with ``--json`` that is left running; the caller ends it."""
        return subprocess.Popen(
            [*self.command(*words), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=self.environ,
        )

    def configure(self) -> None:
        """Write the configuration file: ``ports``, and to say as much as can be said."""
        self.data.mkdir(exist_ok=True)
        doors = ("web", "imap", "imaps", "smtp")
        lines = [f"{door}_port = {getattr(self.ports, door)}\n" for door in doors]
        (self.data / "config.toml").write_text("".join([*lines, 'log_level = "debug"\n']))

    def person(self, name: str, *addresses: str) -> None:
        """A person with a password for the web pages and one device."""
        self.secrets.web[name] = password = f"the web pages of {name} 7391"
        given = [word for address in addresses for word in ("--address", address)]
        self.ok("person", "add", name, "--password-stdin", *given, stdin=f"{password}\n")
        self.secrets.device[name] = self.ok("device", "add", name, "test")["password"]

    def account(
        self, name: str, person: str, protocol: str, port: int, password: str, *more: str
    ) -> None:
        """An account of the provider on loopback, over TLS; fetched when told to."""
        self.secrets.other.append(password)
        self.ok(
            *("account", "add", name, "--person", person, "--protocol", protocol),
            *("--host", "localhost", "--port", str(port), "--tls", "implicit", "--user", name),
            *("--every", "1d", "--password-stdin", *more),
            stdin=f"{password}\n",
        )

    def search(self, person: str, query: str, limit: int = 100) -> dict[str, Any]:
        """What ``hauspost search`` answers."""
        return self.ok("search", query, "--person", person, "--limit", str(limit))

    # The service

    def start(self) -> None:
        """``hauspost run``, until it answers at every door."""
        only = ["--only", self._only] if self._only else []
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command("run", *only),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=self.environ,
            )
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        """IMAP and SMTP greet, and a page comes."""
        until(self._answers, "the service answers", _START_S)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        if self._only not in (None, "web"):
            return greets(self.ports.imap, b"* OK") and greets(self.ports.smtp, b"220 ")
        mail = self._only == "web" or (
            greets(self.ports.imap, b"* OK") and greets(self.ports.smtp, b"220 ")
        )
        return mail and _says(self.ports.web, b"GET /sign-in HTTP/1.0\r\n\r\n", b"HTTP/1.")

    @property
    def pid(self) -> int:
        """The process id of the supervisor."""
        assert self._process is not None
        return self._process.pid

    def processes(self) -> dict[str, int]:
        """mail, index and web → their process ids now, as far as they are there."""
        return {
            name: pid
            for pid in children(self.pid)
            if (name := _after(_words(pid), "--only")) is not None
        }

    def stop(self) -> float:
        """SIGTERM; asserts a clean end in time, and that nobody is left. Answers the seconds."""
        process, self._process = self._process, None
        if process is None:
            return 0.0
        left = [process.pid, *_descendants(process.pid)]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(timeout=4 * STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        spent = time.monotonic() - began
        assert status == 0, f"status {status}\n{self.log()}"
        assert spent < STOP_S, f"it took {spent:.1f} s to stop\n{self.log()}"
        # The index's reader of attachments ends when its pipe does.
        until(lambda: not any(map(_words, left)), "nobody of the service is left", STOP_S)
        return spent

    def log(self) -> str:
        """What the service has said."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def check_log(self) -> None:
        """No password and no traceback in what the service has said."""
        said = self.log()
        assert "Traceback" not in said, said
        for secret in self.secrets.all():
            assert secret not in said

    # Its doors

    @contextlib.contextmanager
    def imap(self, person: str) -> Iterator[imaplib.IMAP4]:
        """A witness that is signed in."""
        with imaplib.IMAP4("127.0.0.1", self.ports.imap, timeout=60) as witness:
            witness.login(person, self.secrets.device[person])
            yield witness

    def pages(self, person: str) -> Pages:
        """The web pages, signed in."""
        pages = Pages(self.ports.web)
        pages.sign_in(person, self.secrets.web[person])
        return pages


# A witness over IMAP, for our server and for others


def mailboxes(witness: imaplib.IMAP4) -> list[str]:
    """The names that LIST has, in modified UTF-7 and quoted as they are sent."""
    names = []
    for line in witness.list()[1]:
        assert isinstance(line, bytes)
        found = re.fullmatch(rb'\(([^)]*)\) (?:"."|NIL) (.+)', line)
        assert found, line
        if b"\\noselect" not in found[1].lower():
            names.append(found[2].decode("ascii"))
    return names


def plain_name(name: str) -> str:
    """The name of a mailbox as people write it, of one that LIST has."""
    return str(imap_utf7.decode(name.strip('"').encode("ascii")))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a mailbox holds: its UIDVALIDITY, and the digest of ``BODY[]`` by UID."""

    uidvalidity: int
    digests: dict[int, str]


def look(witness: imaplib.IMAP4, mailbox: str) -> Seen:
    """Every message of a mailbox, read whole."""
    status, (count,) = witness.select(mailbox, readonly=True)
    assert status == "OK", mailbox
    assert isinstance(count, bytes)
    uidvalidity = witness.response("UIDVALIDITY")[1][0]
    digests: dict[int, str] = {}
    for first in range(1, int(count) + 1, _AT_ONCE):
        last = min(int(count), first + _AT_ONCE - 1)
        status, answers = witness.fetch(f"{first}:{last}", "(UID BODY.PEEK[])")
        assert status == "OK"
        for answer in answers:
            if isinstance(answer, tuple):
                found = re.search(rb"UID (\d+)", answer[0])
                assert found, answer[0]
                digests[int(found[1])] = digest(answer[1])
    assert len(digests) == int(count)
    return Seen(int(uidvalidity), digests)


# Processes


def children(pid: int) -> list[int]:
    """The process ids of the children of a process."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except OSError:
        return []


def rss_octets(pid: int) -> int:
    """The resident memory of a process; pages it shares count in full."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)
    assert found
    return int(found[1]) * 1024


def pss_octets(pid: int) -> int:
    """The resident memory of a process; pages it shares count by its share."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)
    assert found
    return int(found[1]) * 1024


def _descendants(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *_descendants(child))]


def _words(pid: int) -> list[str]:
    """The command line of a process that is running; [] for none, and for a dead one."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:
        return []


def _after(words: list[str], flag: str) -> str | None:
    return words[words.index(flag) + 1] if flag in words else None


def greets(port: int, start: bytes) -> bool:
    """Whether somebody listens on a port of loopback and begins with these octets."""
    return _says(port, b"", start)


def _says(port: int, question: bytes, start: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as door:
            door.sendall(question)
            return door.recv(len(start), socket.MSG_WAITALL) == start
    except OSError:
        return False
