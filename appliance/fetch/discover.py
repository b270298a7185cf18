"""An address → where its provider's servers are, from a list that ships with us.

Nothing is asked on the network here and no password is involved: the owner sees
and confirms what was found. ``providers.toml`` holds the facts.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

from appliance.errors import UsageError

__all__ = ["Preset", "Server", "hint_for", "presets", "presets_for"]


@dataclass(frozen=True, slots=True)
class Server:
    """Where to fetch. ``tls`` is implicit or starttls."""

    host: str
    port: int
    tls: str


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider. ``user`` is the sign-in name for the address asked for ("" in ``presets``).

    ``password_note`` is True where the provider refuses the ordinary password from
    mail programs. ``fetchable`` is False where no password works at all (OAuth only).
    ``hints`` are by language (``de``, ``en``).
    """

    name: str
    domains: tuple[str, ...]
    imap: Server | None
    pop3: Server | None
    user_form: str
    user: str = ""
    password_note: bool = False
    fetchable: bool = True
    hints: dict[str, str] = field(default_factory=dict)
    help_url: str = ""

    def hint(self, language: str = "en") -> str:
        """What to do at the provider first; English where the language is missing."""
        return self.hints.get(language) or self.hints.get("en", "")


def presets() -> tuple[Preset, ...]:
    """Every provider we know, in the order of the file."""
    return _load()


def presets_for(address: str) -> Preset | None:
    """The provider of an address, with ``user`` filled in, or None. Raises UsageError."""
    local_part, at, domain = address.strip().rpartition("@")
    if not (local_part and at and domain) or any(c.isspace() for c in local_part + domain):
        raise UsageError(f"{address.strip()!r} is no address: it looks like name@provider.example")
    domain = domain.rstrip(".").lower()
    for preset in _load():
        if domain in preset.domains:
            user = local_part if preset.user_form == "local" else f"{local_part}@{domain}"
            return _with_user(preset, user)
    return None


def hint_for(host: str, language: str = "en") -> str:
    """What the provider behind a server's host name wants to be done first, or ""."""
    for preset in _load():
        if any(server is not None and server.host == host.lower() for server in _servers(preset)):
            return preset.hint(language)
    return ""


def _servers(preset: Preset) -> tuple[Server | None, Server | None]:
    return preset.imap, preset.pop3


def _with_user(preset: Preset, user: str) -> Preset:
    return replace(preset, user=user)


@functools.cache
def _load() -> tuple[Preset, ...]:
    text = resources.files("appliance.fetch").joinpath("providers.toml").read_text("utf-8")
    return tuple(_preset(entry) for entry in tomllib.loads(text)["provider"])


def _preset(entry: dict[str, Any]) -> Preset:
    return Preset(
        name=entry["name"],
        domains=tuple(entry["domains"]),
        imap=_server(entry.get("imap")),
        pop3=_server(entry.get("pop3")),
        user_form=entry["user"],
        password_note=entry.get("own_password", False),
        fetchable=entry.get("fetchable", True),
        hints={"de": entry["hint_de"], "en": entry["hint_en"]},
        help_url=entry.get("help", ""),
    )


def _server(text: str | None) -> Server | None:
    """``host:port`` and, where it is not implicit TLS, ``host:port starttls``."""
    if text is None:
        return None
    where, _, tls = text.partition(" ")
    host, _, port = where.rpartition(":")
    return Server(host, int(port), tls or "implicit")
