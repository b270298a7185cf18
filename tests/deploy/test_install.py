"""install.sh, run for real into a directory of its own: install, run, update, uninstall."""

from __future__ import annotations

import http.client
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.config import Config, load
from tests.deploy.checkout import DEPLOY, copied, environment

LOW_PORT = "imaps_port = 993\n"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tests install to, from what, and in which environment."""

    checkout: Path
    prefix: Path
    env: dict[str, str]

    @property
    def data(self) -> Path:
        return self.prefix / "var/lib/hauspost"

    @property
    def program(self) -> Path:
        return self.prefix / "opt/hauspost"

    @property
    def command(self) -> Path:
        return self.prefix / "usr/local/bin/hauspost"

    @property
    def units(self) -> Path:
        return self.prefix / "etc/systemd/system"

    def run(self, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """install.sh with ``--prefix``."""
        return subprocess.run(
            [self.checkout / "deploy/install.sh", "--prefix", self.prefix, *arguments],
            env={**self.env, **env},
            capture_output=True,
            text=True,
        )

    def tree(self) -> set[Path]:
        return set(self.prefix.rglob("*"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    top = tmp_path_factory.mktemp("install")
    return Place(copied(top / "checkout"), top / "root", environment(top / "shelf"))


@pytest.fixture(scope="module")
def installed(place: Place) -> Place:
    done = place.run()
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def elsewhere(place: Place, tmp_path: Path) -> Place:
    """Nothing is installed there."""
    return Place(place.checkout, tmp_path / "root", place.env)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A directory for programs that stand before the real ones."""
    made = tmp_path / "tools"
    made.mkdir()
    return made


def stand_in(tools: Path, name: str, script: str) -> None:
    (tools / name).write_text(f"#!/bin/sh\n{script}\n")
    (tools / name).chmod(0o755)


def ahead(tools: Path) -> str:
    return f"{tools}:{os.environ['PATH']}"


# -- what stands in the way


def test_a_dry_run_says_what_would_be_done_and_does_nothing(elsewhere: Place) -> None:
    done = elsewhere.run("--check")
    assert done.returncode == 0, done.stderr
    for path in (elsewhere.program, elsewhere.data, elsewhere.command):
        assert str(path) in done.stdout
    assert not elsewhere.prefix.exists()


@pytest.mark.parametrize(
    ("tool", "script", "said"),
    [
        pytest.param("uname", "echo armv7l", "not supported", id="an old Raspberry Pi"),
        pytest.param("getconf", "echo 32", "32-bit", id="a 32-bit system on a 64-bit kernel"),
        pytest.param("python", "exit 1", "too old", id="an old Python"),
        pytest.param(
            "python",
            'case "$2" in *venv*) exit 1;; esac',
            "apt install python3-venv",
            id="a Python without venv",
        ),
    ],
)
def test_what_is_missing_is_named_before_anything_is_done(
    tool: str, script: str, said: str, elsewhere: Place, tools: Path
) -> None:
    stand_in(tools, tool, script)
    env = {"PATH": ahead(tools)}
    if tool == "python":
        env["PYTHON"] = str(tools / "python")
    for mode in ("--check", "--no-start"):
        done = elsewhere.run(mode, **env)
        assert done.returncode == 1
        assert said in done.stderr
        assert "nothing was changed" in done.stderr
    assert not elsewhere.prefix.exists()


def test_a_checkout_that_is_not_whole_is_named(elsewhere: Place, tmp_path: Path) -> None:
    shutil.copytree(elsewhere.checkout / "deploy", tmp_path / "half/deploy")
    half = Place(tmp_path / "half", elsewhere.prefix, elsewhere.env)
    done = half.run()
    assert done.returncode == 1
    assert "not a whole copy of Hauspost" in done.stderr
    assert not half.prefix.exists()


@pytest.mark.parametrize(
    "arguments", [["--data"], ["--data", ""], ["--nonsense"]], ids=["no value", "empty", "unknown"]
)
def test_wrong_usage_changes_nothing(arguments: list[str], elsewhere: Place) -> None:
    assert elsewhere.run(*arguments).returncode != 0
    assert not elsewhere.prefix.exists()


@pytest.mark.parametrize("data", ["/", "/home/anna/mail", "/usr/mail", "/tmp/mail", "/srv/a b"])
def test_a_bad_place_for_the_mail_is_refused(data: str) -> None:
    done = subprocess.run(
        [DEPLOY / "install.sh", "--check", "--data", data], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert data in done.stderr


def test_a_directory_with_other_people_s_files_is_refused(elsewhere: Place, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_text("a photo")
    done = elsewhere.run("--check", "--data", tmp_path / "photos")
    assert done.returncode == 1
    assert f"such as {tmp_path}/photos/hauspost" in done.stderr


def test_without_the_rights_of_root_it_asks_for_sudo(tools: Path, place: Place) -> None:
    stand_in(tools, "id", 'case "$1" in -u) echo 1000;; *) exec /usr/bin/id "$@";; esac')
    done = subprocess.run(
        [place.checkout / "deploy/install.sh", "--check"],
        env={**place.env, "PATH": ahead(tools)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "sudo" in done.stderr


def test_mail_on_an_sd_card_gets_advice_and_is_allowed(elsewhere: Place, tools: Path) -> None:
    stand_in(tools, "df", "echo head\necho /dev/mmcblk0p2 30000000 1 20000000 1% /")
    done = elsewhere.run("--check", PATH=ahead(tools))
    assert done.returncode == 0
    assert "SD card" in done.stderr
    assert "--data" in done.stderr


def test_a_program_that_cannot_be_fetched_leaves_nothing_behind(
    elsewhere: Place, tmp_path: Path
) -> None:
    broken = Place(tmp_path / "checkout", elsewhere.prefix, elsewhere.env)
    shutil.copytree(elsewhere.checkout, broken.checkout)
    (broken.checkout / "appliance/_backend.py").write_text("raise SystemExit('no network')\n")
    done = broken.run()
    assert done.returncode == 1
    assert "Nothing was changed" in done.stderr
    assert not broken.program.exists()
    assert not broken.data.exists()


# -- what is installed


def test_everything_is_where_it_belongs(installed: Place) -> None:
    assert (installed.units / "hauspost.service").read_text() == (
        DEPLOY / "hauspost.service"
    ).read_text()
    assert not (installed.units / "hauspost.service.d").exists()
    assert installed.data.stat().st_mode & 0o777 == 0o700
    assert (installed.data / "config.toml").stat().st_mode & 0o777 == 0o600
    version = subprocess.run(
        [installed.command, "--version"], env=installed.env, capture_output=True, text=True
    )
    assert version.stdout.startswith("hauspost ")


def test_the_settings_let_the_house_in_and_are_the_defaults_otherwise(installed: Place) -> None:
    config = load(installed.data, environ={})
    assert config == Config(data=installed.data, host="0.0.0.0")
    assert config.web_tls_on


def test_the_installed_program_runs_answers_and_stops(installed: Place) -> None:
    ports = dict(zip(("web", "imap", "imaps", "smtp"), free_ports(4), strict=True))
    env = {**installed.env, "HAUSPOST_HOST": "127.0.0.1", "HAUSPOST_WEB_TLS": "on"}
    env |= {f"HAUSPOST_{door.upper()}_PORT": str(port) for door, port in ports.items()}
    with listening(installed.prefix / "notify") as systemd:
        service = subprocess.Popen(
            [installed.command, "run"],
            env={**env, "NOTIFY_SOCKET": str(installed.prefix / "notify")},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert systemd.recv(100).startswith(b"READY=1")
            wait_for(ports["web"])
            answer = ask_health(installed, env)
            assert answer.returncode == 0, answer.stdout
            # Templates and static files were installed, too.
            assert "Setup code" in page(ports["web"], "/start")
            assert page(ports["web"], "/static/hauspost.css")
        finally:
            service.send_signal(signal.SIGTERM)
            out, _ = service.communicate(timeout=30)
    assert service.returncode == 0
    assert re.search(r"enter the code \d{8}$", out, re.M)
    stopped = ask_health(installed, env)
    assert stopped.returncode == 1
    assert "does not answer" in stopped.stdout


def ask_health(installed: Place, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """health.py, as a container runs it."""
    return subprocess.run(
        [installed.program / "bin/python", DEPLOY / "health.py"],
        env={**env, "HAUSPOST_DATA": str(installed.data)},
        capture_output=True,
        text=True,
    )


def page(port: int, path: str) -> str:
    """What a browser gets that has accepted the certificate."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    browser = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=unverified)
    browser.request("GET", path, headers={"Accept-Language": "en"})
    answer = browser.getresponse()
    text = answer.read().decode()
    browser.close()
    assert answer.status == 200, text
    return text


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    for _ in range(2000):
        with socket.socket() as probe:
            probe.settimeout(0.02)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
            select.select([], [], [], 0.02)
    raise AssertionError(f"nobody listens on port {port}")


def free_ports(count: int) -> list[int]:
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [door.getsockname()[1] for door in doors]
    for door in doors:
        door.close()
    return ports


def listening(path: Path) -> socket.socket:
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    door.bind(str(path))
    door.settimeout(30)
    return door


def test_a_second_run_updates_and_keeps_settings_and_mail(installed: Place) -> None:
    settings = installed.data / "config.toml"
    settings.write_text(settings.read_text() + LOW_PORT)
    letter = installed.data / "archive" / "letter"
    letter.parent.mkdir(exist_ok=True)
    letter.write_text("mail")
    (installed.checkout / "web" / "later.py").write_text('"""New."""\n')
    before = installed.tree()
    done = installed.run()
    assert done.returncode == 0, done.stderr
    assert settings.read_text().endswith(LOW_PORT)
    assert letter.read_text() == "mail"
    found = {path.name for path in installed.tree() - before if path.suffix != ".pyc"}
    assert found == {"later.py", "hauspost.service.d", "low-ports.conf"}
    assert not (installed.checkout / "build").exists()
    # A port below 1024 needs a capability, and nothing else gets one.
    drop_in = installed.units / "hauspost.service.d/low-ports.conf"
    assert drop_in.read_text() == (DEPLOY / "low-ports.conf").read_text()


def test_settings_that_cannot_be_used_are_named_before_anything_is_done(installed: Place) -> None:
    settings = installed.data / "config.toml"
    kept = settings.read_text()
    settings.write_text(kept + 'web_port = "many"\n')
    done = installed.run()
    settings.write_text(kept)
    assert done.returncode == 1
    assert "config.toml: web_port: must be 0-65535" in done.stderr
    assert f"correct {settings}" in done.stderr
    assert "nothing was changed" in done.stderr


def test_the_mail_can_lie_on_another_disk(installed: Place, tmp_path: Path) -> None:
    disk = tmp_path / "ssd" / "hauspost"
    disk.mkdir(parents=True)  # as an owner may have made it
    assert installed.run("--data", disk).returncode == 0
    drop_in = installed.units / "hauspost.service.d/data.conf"
    for line in (f"ReadWritePaths={disk}", f"RequiresMountsFor={disk}", "StateDirectory="):
        assert line in drop_in.read_text().splitlines()
    assert (disk / "config.toml").exists()
    assert not drop_in.with_name("low-ports.conf").exists(), "these settings have no low port"
    # Without --data the next run keeps to it.
    done = installed.run("--check")
    assert f"{disk} (there already, and kept)" in done.stdout
    gone = installed.run("--uninstall")
    assert f"still there: {disk}" in gone.stdout
    assert (disk / "config.toml").exists()


def test_uninstalling_takes_the_program_and_leaves_the_mail(installed: Place) -> None:
    # The last test of this file: what the others installed goes.
    for _ in range(2):
        done = installed.run("--uninstall")
        assert done.returncode == 0, done.stderr
        assert f"still there: {installed.data}" in done.stdout
    left = {p.relative_to(installed.prefix) for p in installed.tree() if p.is_file()}
    assert {path.parts[:3] for path in left if path.name != "notify"} == {
        ("var", "lib", "hauspost")
    }
    assert (installed.data / "archive" / "letter").read_text() == "mail"
    assert (installed.data / "config.toml").read_text().endswith(LOW_PORT)
