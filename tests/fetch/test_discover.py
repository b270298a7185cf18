"""Providers we know."""

from __future__ import annotations

import pytest

from appliance.errors import UsageError
from appliance.fetch import hint_for, presets, presets_for


def test_an_address_finds_its_provider_with_the_right_user_name() -> None:
    gmx = presets_for(" Anna.Berg@GMX.de ")
    assert gmx is not None
    assert (gmx.name, gmx.user) == ("GMX", "Anna.Berg@gmx.de")
    assert gmx.imap is not None
    assert (gmx.imap.host, gmx.imap.port, gmx.imap.tls) == ("imap.gmx.net", 993, "implicit")
    web = presets_for("anna@web.de")
    assert web is not None
    assert web.user == "anna"


def test_an_unknown_provider_is_none() -> None:
    assert presets_for("anna@example.org") is None


@pytest.mark.parametrize("address", ["", "anna", "@gmx.de", "anna@", "a b@gmx.de"])
def test_what_is_no_address_is_said_so(address: str) -> None:
    with pytest.raises(UsageError, match="is no address"):
        presets_for(address)


def test_every_preset_is_whole() -> None:
    every = presets()
    assert len(every) >= 12
    domains = [domain for preset in every for domain in preset.domains]
    assert len(domains) == len(set(domains))
    for preset in every:
        assert preset.hint("de") != preset.hint("en")
        assert preset.hint("fr") == preset.hint("en")
        assert preset.user_form in ("address", "local")
        for server in (preset.imap, preset.pop3):
            assert server is None or (server.tls in ("implicit", "starttls") and "." in server.host)
        assert preset.imap is not None


def test_a_host_tells_what_its_provider_wants() -> None:
    assert "app password" in hint_for("IMAP.gmail.com")
    assert "App-Passwort" in hint_for("imap.gmail.com", "de")
    assert hint_for("mail.example.org") == ""


def test_who_takes_no_password_is_marked() -> None:
    outlook = presets_for("a@hotmail.com")
    assert outlook is not None
    assert not outlook.fetchable
