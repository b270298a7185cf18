"""What the owner may set: one TOML file, the environment over it, the command line over both.

    host = "0.0.0.0"                 # address to listen on; default 127.0.0.1
    web_port = 8025                  # 0 turns a door off
    imap_port = 1143
    imaps_port = 1993
    smtp_port = 1025
    domain = "hauspost.local"        # name@domain reaches that person
    message_limit_octets = 536870912 # or "512 MiB": the largest message taken in
    log_level = "info"               # debug, info, warning, error
    web_tls = "auto"                 # on, off; auto = on unless host is loopback

    [tls]                            # both or none; none = a certificate of our own
    certificate = "/etc/hauspost/fullchain.pem"
    key = "/etc/hauspost/privkey.pem"

The environment has the same names: ``HAUSPOST_WEB_PORT``, ``HAUSPOST_TLS_KEY``.
Other ``HAUSPOST_*`` variables are nobody's business here and left alone; an
unknown key in the file is an error, because it is a typing mistake. People,
accounts and rules are not configuration: they live in the household.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from appliance.errors import ConfigError

FILE_NAME = "config.toml"
LOG_LEVELS = ("debug", "info", "warning", "error")
_MIB = 1024 * 1024
_UNITS = {"": 1, "kib": 1024, "mib": _MIB, "gib": 1024 * _MIB}
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one data directory; port 0 = that door is off."""

    data: Path
    host: str = "127.0.0.1"
    web_port: int = 8025
    imap_port: int = 1143
    imaps_port: int = 1993
    smtp_port: int = 1025
    domain: str = "hauspost.local"
    message_limit_octets: int = 512 * _MIB
    log_level: str = "info"
    web_tls: str = "auto"
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def archive(self) -> Path:
        """Volumes and catalog: the only part that cannot be made again."""
        return self.data / "archive"

    @property
    def index(self) -> Path:
        """The full-text index; rebuilt by ``hauspost reindex``."""
        return self.data / "index"

    @property
    def spool(self) -> Path:
        """Large messages in progress; emptied at start."""
        return self.data / "spool"

    @property
    def run(self) -> Path:
        """Locks, bell sockets and progress files."""
        return self.data / "run"

    @property
    def secrets(self) -> Path:
        """The key that seals account passwords."""
        return self.data / "secrets"

    @property
    def tls(self) -> Path:
        """The certificate we make ourselves."""
        return self.data / "tls"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach our doors."""
        return is_loopback(self.host)

    @property
    def web_tls_on(self) -> bool:
        """Whether the web pages are served over TLS."""
        return self.web_tls == "on" or (self.web_tls == "auto" and not self.loopback)

    def prepare(self) -> None:
        """Make the directories, each 0700; raises ConfigError naming the one that cannot be."""
        self._refuse_root()
        for path in self._directories():
            try:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                # The data directory itself may be a mount point its owner has set up.
                if path != self.data and path.stat().st_mode & 0o077:
                    path.chmod(0o700)
            except OSError as error:
                raise ConfigError(f"{path}: cannot be made: {error.strerror}") from error
        if not os.access(self.data, os.R_OK | os.W_OK | os.X_OK):
            raise ConfigError(f"{self.data}: not writable for this user; change its owner")

    def _refuse_root(self) -> None:
        """What root made here the owner of the mail could not write to afterwards."""
        try:
            owner = self.archive.stat().st_uid
        except OSError:
            return  # not there yet: it becomes ours
        if os.geteuid() == 0 != owner:
            raise ConfigError(
                f"{self.archive}: belongs to user {owner}; "
                f"run the command as that user: sudo -u '#{owner}' hauspost …"
            )

    def _directories(self) -> Iterator[Path]:
        yield self.data
        yield from (self.archive, self.index, self.spool, self.run, self.secrets, self.tls)


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """``$HAUSPOST_DATA``, else ``hauspost`` in the platform's data directory."""
    if environ.get("HAUSPOST_DATA"):
        return Path(environ["HAUSPOST_DATA"]).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Hauspost"
    base = environ.get("XDG_DATA_HOME")
    # The XDG base directory specification: a relative path is invalid and ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "share"
    return root / "hauspost"


def load(
    data: Path,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """The configuration of a data directory, the file being optional.

    ``overrides`` has field names (``web_port``) and strings. Raises ConfigError:
    ``config.toml: web_port: must be 0-65535, is "abc"``.
    """
    data = data.expanduser().absolute()
    chosen: dict[str, tuple[str, object]] = {}
    for key, value in _file_values(data / FILE_NAME).items():
        if key not in _PARSERS:
            raise ConfigError(f"{FILE_NAME}: {_dotted(key)}: unknown; known are {_known()}")
        chosen[key] = (f"{FILE_NAME}: {_dotted(key)}", value)
    for key in _PARSERS:
        name = f"HAUSPOST_{key.upper()}"
        # An empty one is what compose files make of a variable nobody set.
        if environ.get(name):
            chosen[key] = (name, environ[name])
    for key, value in (overrides or {}).items():
        if key not in _PARSERS:
            raise ConfigError(f"--{key.replace('_', '-')}: unknown; known are {_known()}")
        chosen[key] = (f"--{key.replace('_', '-')}", value)
    return _checked(_parsed(data, chosen), chosen)


def as_line(config: Config) -> str:
    """The configuration in one line, for a process that shall not read the file itself."""
    given = {f.name: getattr(config, f.name) for f in fields(config)}
    return json.dumps(
        {
            name: str(value) if isinstance(value, Path) else value
            for name, value in given.items()
            if value is not None
        }
    )


def of_line(line: str) -> Config:
    """The configuration that ``as_line`` wrote."""
    given: dict[str, Any] = json.loads(line)
    for name in ("data", "tls_certificate", "tls_key"):
        if name in given:
            given[name] = Path(given[name])
    return Config(**given)


def is_loopback(host: str) -> bool:
    """Whether an address or host name means this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _file_values(path: Path) -> dict[str, object]:
    """The file's keys, ``[tls] key`` as ``tls_key``; {} when there is no file."""
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FILE_NAME}: {error}") from error
    except OSError as error:
        raise ConfigError(f"{FILE_NAME}: cannot be read: {error.strerror}") from error
    values: dict[str, object] = {}
    for key, value in table.items():
        if key == "tls" and isinstance(value, dict):
            values.update({f"tls_{name}": inner for name, inner in value.items()})
        elif key.startswith("tls_"):
            raise ConfigError(f'{FILE_NAME}: {key}: belongs in [tls] as "{key[4:]}"')
        else:
            values[key] = value
    return values


def _parsed(data: Path, chosen: Mapping[str, tuple[str, object]]) -> Config:
    parsed: dict[str, Any] = {}
    for key, (source, value) in chosen.items():
        try:
            parsed[key] = _PARSERS[key](value)
        except ValueError as error:
            raise ConfigError(f"{source}: {error}, is {_shown(value)}") from error
    for key in ("tls_certificate", "tls_key"):
        if key in parsed:
            parsed[key] = data / parsed[key]
    return Config(data=data, **parsed)


def _checked(config: Config, chosen: Mapping[str, tuple[str, object]]) -> Config:
    """What only several keys together can break."""
    if (config.tls_certificate is None) != (config.tls_key is None):
        given = "tls_key" if config.tls_certificate is None else "tls_certificate"
        raise ConfigError(f"{chosen[given][0]}: certificate and key are given together or not")
    taken: dict[int, str] = {}
    for key in ("web_port", "imap_port", "imaps_port", "smtp_port"):
        port: int = getattr(config, key)
        if port and port in taken:
            # Name the one somebody set; the other may be a default.
            new, old = (key, taken[port]) if key in chosen else (taken[port], key)
            raise ConfigError(f"{chosen[new][0]}: port {port} is already that of {old}")
        taken[port] = key
    return config


def _port(value: object) -> int:
    number = _integer(value)
    if number is None or not 0 <= number <= 65535:
        raise ValueError("must be 0-65535")
    return number


def _size(value: object) -> int:
    reason = 'must be a number of octets from 65536 up, or as "512 MiB"'
    number = _integer(value)
    if number is None and isinstance(value, str):
        found = re.fullmatch(r"\s*(\d{1,12})\s*(KiB|MiB|GiB)?\s*", value, re.I | re.A)
        number = int(found[1]) * _UNITS[(found[2] or "").lower()] if found else None
    # RFC 5321 §4.5.3.1.7: a message limit is at least 64K octets.
    if number is None or not 65536 <= number <= 1 << 40:
        raise ValueError(reason)
    return number


def _integer(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value.strip(), re.A):
        return int(value)
    return None


def _host(value: object) -> str:
    if isinstance(value, str):
        host = value.strip().strip("[]")
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            if _is_name(host.lower()):
                return host.lower()
    raise ValueError("must be an IP address or a host name")


def _domain(value: object) -> str:
    if isinstance(value, str) and _is_name(value.strip().lower().rstrip(".")):
        return value.strip().lower().rstrip(".")
    raise ValueError("must be a domain name such as hauspost.local")


def _is_name(text: str) -> bool:
    return len(text) <= 253 and all(_LABEL.match(label) for label in text.split("."))


def _one_of(*words: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if isinstance(value, str) and value.strip().lower() in words:
            return value.strip().lower()
        raise ValueError(f"must be one of {', '.join(words)}")

    return parse


def _path(value: object) -> Path:
    if isinstance(value, str) and value.strip() and "\0" not in value:
        return Path(value).expanduser()
    raise ValueError("must be the path of a file")


_PARSERS: Mapping[str, Callable[[object], object]] = {
    "host": _host,
    "web_port": _port,
    "imap_port": _port,
    "imaps_port": _port,
    "smtp_port": _port,
    "domain": _domain,
    "message_limit_octets": _size,
    "log_level": _one_of(*LOG_LEVELS),
    "web_tls": _one_of("auto", "on", "off"),
    "tls_certificate": _path,
    "tls_key": _path,
}


def _known() -> str:
    return ", ".join(_dotted(key) for key in _PARSERS)


def _dotted(key: str) -> str:
    return f"tls.{key[4:]}" if key.startswith("tls_") else key


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:79] + "…"
