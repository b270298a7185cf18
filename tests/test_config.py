"""The configuration: three layers, precise errors, private directories."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance.config import Config, as_line, default_data_dir, is_loopback, load, of_line
from appliance.errors import ConfigError


def written(data: Path, text: str) -> Path:
    (data / "config.toml").write_text(text, encoding="utf-8")
    return data


def test_without_a_file_the_documented_defaults_hold(tmp_path: Path) -> None:
    config = load(tmp_path, environ={})
    assert config == Config(data=tmp_path)
    ports = (config.web_port, config.imap_port, config.imaps_port, config.smtp_port)
    assert ports == (8025, 1143, 1993, 1025)
    assert (config.host, config.domain) == ("127.0.0.1", "hauspost.local")
    assert config.message_limit_octets == 512 * 1024 * 1024


def test_the_environment_is_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    written(tmp_path, "web_port = 1\nimap_port = 2\nsmtp_port = 3\n")
    environ = {"HAUSPOST_IMAP_PORT": "20", "HAUSPOST_SMTP_PORT": "30", "HAUSPOST_CORPORA": "/x"}
    environ["HAUSPOST_WEB_PORT"] = ""
    config = load(tmp_path, {"smtp_port": "300"}, environ)
    assert (config.web_port, config.imap_port, config.smtp_port) == (1, 20, 300)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('web_port = "abc"', 'config.toml: web_port: must be 0-65535, is "abc"'),
        ("web_port = 65536", "config.toml: web_port: must be 0-65535, is 65536"),
        ("web_port = -1", "config.toml: web_port: must be 0-65535, is -1"),
        ("web_port = true", "config.toml: web_port: must be 0-65535, is True"),
        ("web_prot = 1", "config.toml: web_prot: unknown; known are host, web_port"),
        ("[tls]\ncert = 'x'", "config.toml: tls.cert: unknown; known are"),
        ("tls_key = 'x'", 'config.toml: tls_key: belongs in [tls] as "key"'),
        ("[tls]\nkey = 'k.pem'", "config.toml: tls.key: certificate and key are given together"),
        ("[tls]\nkey = ''", 'config.toml: tls.key: must be the path of a file, is ""'),
        ('host = "a b"', 'config.toml: host: must be an IP address or a host name, is "a b"'),
        ('domain = "-"', "config.toml: domain: must be a domain name"),
        ('message_limit_octets = "12 MB"', "config.toml: message_limit_octets: must be a number"),
        ("message_limit_octets = 10", "config.toml: message_limit_octets: must be a number"),
        ('log_level = "loud"', "config.toml: log_level: must be one of debug, info, warning"),
        ('web_tls = "maybe"', "config.toml: web_tls: must be one of auto, on, off"),
        ("web_port = 1143", "config.toml: web_port: port 1143 is already that of"),
        ("imap_port = 7\nsmtp_port = 7", "config.toml: smtp_port: port 7 is already that of imap"),
        ("web_port = ?", "config.toml: Invalid value (at line 1"),
    ],
)
def test_a_mistake_is_named_with_file_key_and_reason(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text), environ={})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_mistake_elsewhere_names_the_variable_or_the_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'^HAUSPOST_WEB_PORT: must be 0-65535, is "http"$'):
        load(tmp_path, environ={"HAUSPOST_WEB_PORT": "http"})
    with pytest.raises(ConfigError, match=r"^--web-port: must be 0-65535"):
        load(tmp_path, {"web_port": "x"}, {})
    with pytest.raises(ConfigError, match=r"^--web-prot: unknown"):
        load(tmp_path, {"web_prot": "1"}, {})


def test_octets_that_are_no_text_are_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b'host = "\xff"\n')
    with pytest.raises(ConfigError, match=r"^config\.toml: "):
        load(tmp_path, environ={})


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("message_limit_octets = 65536", 65536),
        ('message_limit_octets = "25 MiB"', 25 << 20),
        ('message_limit_octets = "1gib"', 1 << 30),
        ('message_limit_octets = "70000"', 70000),
    ],
)
def test_a_size_is_octets_or_has_a_unit(tmp_path: Path, text: str, octets: int) -> None:
    assert load(written(tmp_path, text), environ={}).message_limit_octets == octets


def test_certificate_paths_are_beside_the_file_unless_absolute(tmp_path: Path) -> None:
    written(tmp_path, '[tls]\ncertificate = "c.pem"\nkey = "/etc/k.pem"\n')
    config = load(tmp_path, environ={})
    assert config.tls_certificate == tmp_path / "c.pem"
    assert config.tls_key == Path("/etc/k.pem")


@pytest.mark.parametrize(
    ("host", "choice", "expected"),
    [
        ("127.0.0.1", "auto", False),
        ("::1", "auto", False),
        ("localhost", "auto", False),
        ("0.0.0.0", "auto", True),
        ("pi.local", "auto", True),
        ("127.0.0.1", "on", True),
        ("0.0.0.0", "off", False),
    ],
)
def test_the_web_speaks_tls_as_soon_as_others_can_reach_it(
    tmp_path: Path, host: str, choice: str, expected: bool
) -> None:
    config = load(tmp_path, {"host": host, "web_tls": choice}, {})
    assert config.web_tls_on is expected
    assert is_loopback(host) is config.loopback


def test_every_directory_is_made_private(tmp_path: Path) -> None:
    config = Config(data=tmp_path / "new" / "data")
    (config.data / "spool").mkdir(parents=True, mode=0o755)
    config.prepare()
    for path in (
        config.archive,
        config.index,
        config.spool,
        config.run,
        config.secrets,
        config.tls,
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/data: cannot be made"):
        Config(data=tmp_path / "file" / "data").prepare()


def test_the_data_directory_comes_from_the_environment_or_the_platform() -> None:
    assert default_data_dir({"HAUSPOST_DATA": "/srv/mail"}) == Path("/srv/mail")
    assert default_data_dir({}).name.lower() == "hauspost"


def test_a_configuration_goes_into_a_line_and_comes_back(tmp_path: Path) -> None:
    plain = Config(data=tmp_path)
    full = load(
        tmp_path,
        {"web_port": "0", "host": "::1", "message_limit_octets": "1 MiB", "log_level": "debug"},
        {"HAUSPOST_TLS_KEY": "k\u00fcche.pem", "HAUSPOST_TLS_CERTIFICATE": "/c.pem"},
    )
    for config in (plain, full):
        assert "\n" not in as_line(config)
        assert of_line(as_line(config)) == config


def test_root_makes_nothing_in_the_house_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume or a lock that root made would keep the service from writing ever after."""
    config = Config(data=tmp_path)
    config.archive.mkdir()
    owner = config.archive.stat().st_uid or 65534
    if os.geteuid() == 0:
        os.chown(config.archive, owner, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ConfigError, match=f"belongs to user {owner}"):
        config.prepare()
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
