"""Memory: the server's own process is looked at while somebody sends too much, or just much."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.smtp.conftest import Client

SERVER = """
import sys
from pathlib import Path
from appliance.config import Config
from appliance.mail.types import Receipt, Seq, digest_of
from appliance.smtp.receive import Receiver

class Archive:
    def admit(self, deliveries):
        return [Receipt(Seq(1), digest_of(d.octets), None, False) for d in deliveries]

class Household:
    def owner_of(self, address, domain):
        return "anna"

data = Path(sys.argv[1])
config = Config(data=data, smtp_port=0, message_limit_octets=int(sys.argv[2]))
with Receiver(Archive(), Household(), config, config.spool) as receiver:
    print(receiver.address[1], flush=True)
    sys.stdin.read()
"""
MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(limit: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(tmp_path), str(limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.communicate(timeout=20)
        assert process.returncode == 0


def anonymous_octets(pid: int, field: str = "RssAnon") -> int:
    """Memory a process has for itself (the spool's pages belong to the file)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


def flood(client: Client, mib: int) -> None:
    for _ in range(mib):
        client.send(b"x" * MIB)


pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")


@pytest.mark.parametrize("limit", [1 * MIB, 60 * MIB], ids=["over the limit", "within the limit"])
def test_50_mb_without_a_line_end_take_little_memory(
    server: Callable[[int], subprocess.Popen[str]], limit: int
) -> None:
    process = server(limit)
    assert process.stdout is not None
    client = Client(("127.0.0.1", int(process.stdout.readline())))
    assert client.reply().startswith("220 ")
    assert client.say("EHLO laptop.lan").startswith("250-")
    client.begin()
    before = anonymous_octets(process.pid)
    highest = before
    for _ in range(50):
        client.send(b"x" * MIB)
        highest = max(highest, anonymous_octets(process.pid))
    client.send(b"\r\n.\r\n")
    assert client.reply().startswith("552 5.3.4" if limit == MIB else "250 ")
    highest = max(highest, anonymous_octets(process.pid))
    assert highest - before < 12 * MIB
    assert client.say("NOOP") == "250 2.0.0 OK"
    client.close()


def test_data_that_never_ends_is_cut_off(
    server: Callable[[int], subprocess.Popen[str]],
) -> None:
    process = server(MIB)
    assert process.stdout is not None
    client = Client(("127.0.0.1", int(process.stdout.readline())))
    client.reply()
    client.say("EHLO laptop.lan")
    client.begin()
    before = anonymous_octets(process.pid)
    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        flood(client, 400)
    assert anonymous_octets(process.pid) - before < 12 * MIB
    client.close()
    again = Client(client.address)
    assert again.reply().startswith("220 ")
    again.close()
