"""The container's files fit the program and each other. No container is built here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.config import Config
from tests.deploy.checkout import DEPLOY, ROOT

CONFIG = Config(data=Path("/data"))
OPEN_PORTS = {CONFIG.web_port, CONFIG.imaps_port, CONFIG.smtp_port}


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's instructions in order, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def final() -> dict[str, str]:
    """The last stage, each instruction's last value."""
    stages = [n for n, (word, _) in enumerate(instructions()) if word == "FROM"]
    assert len(stages) == 2
    return dict(instructions()[stages[-1] :])


def compose() -> dict[str, object]:
    """compose.yaml's one service: keys with a word, a list or a mapping of words."""
    found: dict[str, object] = {}
    key = ""
    for line in (DEPLOY / "compose.yaml").read_text().partition("  hauspost:\n")[2].splitlines():
        if not line.startswith("    "):
            break
        text = line.strip()
        if text.startswith("#"):
            continue
        if line.startswith("      "):
            if text.startswith("- "):
                listed = found[key] or []
                assert isinstance(listed, list)
                found[key] = [*listed, text[2:].strip('"')]
            else:
                inner, _, value = text.partition(":")
                mapped = found[key] or {}
                assert isinstance(mapped, dict)
                found[key] = {**mapped, inner: value.strip()}
        else:
            key, _, value = text.partition(":")
            found[key] = value.strip()
    return found


@pytest.mark.parametrize(
    "source",
    [
        name
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for name in rest.split()[:-1]
    ],
)
def test_what_is_copied_is_there(source: str) -> None:
    assert (ROOT / source).exists()


def test_what_the_build_needs_is_copied() -> None:
    copied = {rest.split()[0] for word, rest in instructions() if word == "COPY"}
    assert {"appliance", "web", "index", "pyproject.toml"} <= copied


def test_both_stages_stand_on_the_same_pinned_python() -> None:
    base = dict(rest.split("=", 1) for word, rest in instructions() if word == "ARG")["BASE"]
    assert re.fullmatch(r"docker\.io/library/python:3\.(1[1-9])-slim-[a-z]+", base)
    assert [rest.split()[0] for word, rest in instructions() if word == "FROM"] == ["${BASE}"] * 2


def test_the_program_does_not_run_as_root() -> None:
    user, _, group = final()["USER"].partition(":")
    assert int(user) >= 1000
    assert int(group) >= 1000
    made = final()["RUN"]
    assert f"--uid {user}" in made
    assert f"-o {user} -g {group} /data" in made


def test_no_build_tool_is_in_the_last_stage() -> None:
    assert not re.search(r"\b(apt|apt-get|pip|gcc|make)\b", final()["RUN"])


def test_the_environment_means_what_the_program_reads() -> None:
    settings = dict(pair.split("=", 1) for pair in final()["ENV"].split())
    assert settings["HAUSPOST_DATA"] == final()["VOLUME"] == "/data"
    assert settings["HAUSPOST_HOST"] == "0.0.0.0"
    assert final()["ENTRYPOINT"] == '["hauspost"]'
    assert final()["CMD"] == '["run"]'


def test_the_health_check_runs_what_is_copied() -> None:
    assert 'CMD ["python", "/opt/hauspost/health.py"]' in final()["HEALTHCHECK"]
    assert final()["COPY"] == "deploy/health.py /opt/hauspost/health.py"


def test_the_ports_are_those_of_the_program() -> None:
    assert {int(port) for port in final()["EXPOSE"].split()} == OPEN_PORTS
    ports = compose()["ports"]
    assert isinstance(ports, list)
    assert {tuple(map(int, pair.split(":"))) for pair in ports} == {(p, p) for p in OPEN_PORTS}


def test_compose_gives_the_container_nothing_it_does_not_need() -> None:
    service = compose()
    assert service["read_only"] == "true"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] == "true"
    assert service["volumes"] == ["mail:/data"]
    assert service["stop_grace_period"] == "20s"
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service


def test_compose_builds_by_the_containerfile_from_the_checkout() -> None:
    build = compose()["build"]
    assert isinstance(build, dict)
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
