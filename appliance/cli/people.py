"""``hauspost person`` and ``hauspost device``."""

from __future__ import annotations

import argparse
import getpass
import sys

from appliance.cli.house import House
from appliance.cli.output import Output, day, table
from appliance.errors import UsageError
from appliance.household import Device, Person


def add(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """person add"""
    password = read_password(chosen.password_stdin, f"Password for {chosen.name}: ", twice=True)
    person = house.household.add_person(chosen.name, password, chosen.display_name)
    for address in chosen.address or ():
        house.household.add_address(person.name, address)
    house.archive.provision(person.name)
    role = " (the keeper: may manage people and accounts)" if person.keeper else ""
    output.result(_person(house, person), f"{person.name} lives here now{role}")


def list_people(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """person list"""
    people = house.household.persons()
    rows = [(p.name, p.display_name, "keeper" if p.keeper else "", day(p.created)) for p in people]
    output.result(
        {"people": [_person(house, person) for person in people]},
        *table(rows, ("name", "shown as", "role", "since")),
    )


def passwd(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """person passwd"""
    house.household.person(chosen.name)
    password = read_password(chosen.password_stdin, f"New password for {chosen.name}: ", twice=True)
    house.household.set_password(chosen.name, password)
    output.result({"name": chosen.name}, f"{chosen.name} has a new password; sessions were ended")


def remove(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """person remove"""
    house.household.remove_person(chosen.name)
    output.result(
        {"name": chosen.name},
        f"{chosen.name} is removed with devices and accounts; the mail stays in the archive",
    )


def device_add(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """device add"""
    made = house.household.add_device(chosen.person, chosen.name)
    config = house.config
    output.result(
        {**_device(made.device), "password": made.password},
        f"Password for {made.device.name}, shown this once: {made.password}",
        f"  IMAP with TLS: port {config.imaps_port}, user name {made.device.person}",
        f"  on this machine also without: 127.0.0.1 port {config.imap_port}",
    )


def device_list(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """device list"""
    people = [chosen.person] if chosen.person else [p.name for p in house.household.persons()]
    devices = [device for person in people for device in house.household.devices(person)]
    rows = [
        (str(d.id), d.person, d.name, day(d.created), day(d.last_used), d.last_client or "")
        for d in devices
    ]
    output.result(
        {"devices": [_device(device) for device in devices]},
        *table(rows, ("id", "person", "name", "since", "last used", "program")),
    )


def device_revoke(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """device revoke"""
    device = house.household.device(chosen.id)
    house.household.revoke_device(chosen.id)
    output.result(_device(device), f"{device.name} of {device.person} can sign in no more")


def read_password(from_stdin: bool, prompt: str, twice: bool = False) -> str:
    """A password from standard input (one line) or from the keyboard, unseen."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise UsageError("no terminal to ask for the password: use --password-stdin")
    else:
        password = getpass.getpass(prompt)
        if twice and getpass.getpass("Once more: ") != password:
            raise UsageError("the two passwords are not the same")
    if not password:
        raise UsageError("the password is empty")
    return password


def _person(house: House, person: Person) -> dict[str, object]:
    return {
        "name": person.name,
        "display_name": person.display_name,
        "keeper": person.keeper,
        "created": person.created,
        "addresses": [
            f"{person.name}@{house.config.domain}",
            *house.household.addresses(person.name),
        ],
    }


def _device(device: Device) -> dict[str, object]:
    return {
        "id": device.id,
        "person": device.person,
        "name": device.name,
        "created": device.created,
        "last_used": device.last_used,
        "last_peer": device.last_peer,
        "last_client": device.last_client,
    }
