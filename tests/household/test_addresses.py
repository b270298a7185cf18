"""Addresses: whose mail it is, and whose it is not."""

from __future__ import annotations

import pytest

from appliance.errors import UsageError
from appliance.household import Household

DOMAIN = "hauspost.local"


@pytest.fixture
def addressed(family: Household) -> Household:
    family.add_address("anna", "Anna.Berg@Example.org")
    family.add_address("ben", "ben@müller.example")
    family.add_address("ben", "ben+list@example.org")
    return family


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("anna@hauspost.local", "anna"),
        ("ANNA@HAUSPOST.LOCAL", "anna"),
        ("anna@hauspost.local.", "anna"),
        ("anna+shop@hauspost.local", "anna"),
        ("anna.berg@example.org", "anna"),
        ("anna.berg+shop+2@EXAMPLE.ORG", "anna"),
        ('"anna.berg"@example.org', "anna"),
        ("ben@xn--mller-kva.example", "ben"),
        ("ben@mu\u0308ller.example", "ben"),
        ("ben+list@example.org", "ben"),
        ("postmaster@hauspost.local", "anna"),
        ("Postmaster", "anna"),
        ("anna@example.org", None),
        ("ben+other@example.org", None),
        ("carl@hauspost.local", None),
        ("postmaster@example.org", None),
        ("anna", None),
        ("", None),
        ("@", None),
        ("@hauspost.local", None),
        ("+@hauspost.local", None),
        ("anna@hauspost.local@evil.example", None),
        ("anna%evil.example@hauspost.local", None),
        ("\udc80anna@hauspost.local", None),
        ("a" * 5000 + "@hauspost.local", None),
    ],
)
def test_an_address_has_one_owner_or_none(
    addressed: Household, address: str, owner: str | None
) -> None:
    assert addressed.owner_of(address, DOMAIN) == owner


@pytest.mark.parametrize(
    "address",
    [
        *("", "anna", "@example.org", "anna@", "a b@example.org", "a@b@c", "a@-b.org", "a@b..org"),
        *("a..b@example.org", ".a@example.org", "a.@example.org", "a@exa mple", "a\n@b.org"),
        *("a@" + "b" * 254, "a" * 65 + "@b.org", "<a@b.org>"),
    ],
)
def test_what_is_no_address_is_refused_in_one_line(family: Household, address: str) -> None:
    with pytest.raises(UsageError) as caught:
        family.add_address("anna", address)
    assert "\n" not in str(caught.value)
    assert family.addresses("anna") == []


def test_an_address_belongs_to_one_person(addressed: Household) -> None:
    with pytest.raises(UsageError, match=r"anna\.berg@example\.org belongs to anna already"):
        addressed.add_address("ben", "ANNA.berg@example.org")
    addressed.add_address("anna", "anna.berg@example.org")
    assert addressed.addresses("anna") == ["anna.berg@example.org"]
    addressed.remove_address("Anna.Berg@example.org")
    assert addressed.owner_of("anna.berg@example.org", DOMAIN) is None
    with pytest.raises(UsageError, match="nobody has the address"):
        addressed.remove_address("anna.berg@example.org")


def test_nobody_can_take_a_persons_own_address(family: Household) -> None:
    family.add_address("ben", "anna@hauspost.local")
    assert family.owner_of("anna@hauspost.local", DOMAIN) == "anna"
    for name in ("anna", "ben"):
        password = family.add_device(name, "phone").password
        assert family.check_device("anna@hauspost.local", password, "10.0.0.1") == (
            family.person(name)
        )


def test_a_person_called_postmaster_is_the_postmaster(family: Household) -> None:
    family.add_person("postmaster", "a long password")
    assert family.owner_of("postmaster@hauspost.local", DOMAIN) == "postmaster"
