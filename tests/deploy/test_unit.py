"""The systemd unit is right, tight, and the program runs inside its system call filter."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.supervisor import STOP_S
from tests.deploy.checkout import DEPLOY

UNIT = DEPLOY / "hauspost.service"
LOOSEST = 2.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def settings(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True)


def with_low_ports(directory: Path) -> Path:
    unit = directory / UNIT.name
    unit.write_text(UNIT.read_text() + (DEPLOY / "low-ports.conf").read_text())
    return unit


@needs_systemd
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    here = tmp_path / UNIT.name
    program = tmp_path / "hauspost"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    # The program is not installed here, and that would be what verify complains of.
    here.write_text(UNIT.read_text().replace("/opt/hauspost/bin/hauspost", str(program)))
    verified = analyze("verify", here)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize("low_ports", [False, True], ids=["as it is", "with ports below 1024"])
def test_it_leaves_little_open(low_ports: bool, tmp_path: Path) -> None:
    unit = with_low_ports(tmp_path) if low_ports else UNIT
    answer = analyze("security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", answer.stdout)
    assert found, answer.stderr
    assert float(found[1]) <= LOOSEST


def test_it_runs_what_is_installed_as_a_user_of_its_own() -> None:
    unit = settings(UNIT.read_text())
    assert unit["ExecStart"] == ["/opt/hauspost/bin/hauspost run"]
    assert unit["User"] == unit["Group"] == unit["StateDirectory"] == ["hauspost"]
    assert "HAUSPOST_DATA=/var/lib/hauspost" in unit["Environment"][0].split()


def test_systemd_waits_longer_than_the_supervisor() -> None:
    unit = settings(UNIT.read_text())
    assert int(unit["TimeoutStopSec"][0].removesuffix("s")) > 2 * STOP_S
    assert unit["KillMode"] == ["mixed"], "the supervisor stops its processes itself, in order"
    assert unit["ExecReload"] == ["kill -HUP $MAINPID"]
    assert unit["Type"] == ["notify"]


def test_a_capability_is_given_only_for_low_ports() -> None:
    assert settings(UNIT.read_text())["CapabilityBoundingSet"] == [""]
    low = settings((DEPLOY / "low-ports.conf").read_text())
    assert low["AmbientCapabilities"] == ["CAP_NET_BIND_SERVICE"]
    # Inside a user namespace the capability would not count for the machine's ports.
    assert low["PrivateUsers"] == ["no"]
