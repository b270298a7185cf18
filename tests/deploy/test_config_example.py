"""The example shows every setting, and the value it has when it is left out."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from appliance.config import Config, load
from tests.deploy.checkout import DEPLOY

EXAMPLE = (DEPLOY / "config.example.toml").read_text()
SETTING = re.compile(r"^# (?=(\[tls\]$|[a-z_]+ = ))", re.M)
NO_DEFAULT = {"tls_certificate", "tls_key"}
NAMES = [field.name for field in fields(Config) if field.name != "data"]


def shown() -> dict[str, object]:
    """The commented settings, ``[tls] key`` as ``tls_key``."""
    table = tomllib.loads(SETTING.sub("", EXAMPLE))
    tls = table.pop("tls")
    return {**table, **{f"tls_{name}": value for name, value in tls.items()}}


def loaded(data: Path, text: str) -> Config:
    (data / "config.toml").write_text(text)
    return load(data, environ={})


def test_as_it_is_it_changes_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, EXAMPLE) == Config(data=tmp_path)


def test_every_setting_appears_and_nothing_else() -> None:
    assert set(shown()) == set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_DEFAULT])
def test_what_is_shown_is_the_default(name: str, tmp_path: Path) -> None:
    line = next(one for one in EXAMPLE.splitlines() if one.startswith(f"# {name} = "))
    config = loaded(tmp_path, line.removeprefix("# ") + "\n")
    assert getattr(config, name) == getattr(Config(data=tmp_path), name)


def test_all_of_it_can_be_switched_on_at_once(tmp_path: Path) -> None:
    config = loaded(tmp_path, SETTING.sub("", EXAMPLE))
    assert config.tls_certificate == Path("/etc/hauspost/fullchain.pem")
    assert config.tls_key == Path("/etc/hauspost/privkey.pem")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_DEFAULT])
def test_every_setting_is_explained(name: str) -> None:
    lines = EXAMPLE.splitlines()
    before = lines[next(n for n, one in enumerate(lines) if one.startswith(f"# {name} = ")) - 1]
    assert re.match(r"# [A-Z0-9].{20,}\.", before)
