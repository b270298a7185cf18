"""``hauspost run``: the service, or one process of it."""

from __future__ import annotations

import argparse
import os

from appliance.certificate import certificate_of
from appliance.cli.house import House
from appliance.cli.output import Output
from appliance.config import Config, load, of_line
from appliance.supervisor import TAKEN, Supervisor, command_of


def run(house: House, output: Output, chosen: argparse.Namespace) -> int:
    """run"""
    from appliance import service

    taken = os.environ.get(TAKEN) if chosen.only is not None else None
    config = house.config if taken is None else of_line(taken)
    service.configure_logging(config.log_level)
    if chosen.only is not None:
        return service.run_process(chosen.only, config)
    for port in (config.web_port, config.imap_port, config.imaps_port, config.smtp_port):
        if port:
            service.free_port(config.host, port)
    certificate_of(config)
    code = service.setup_code(house.household)
    for line in _addresses(house, code):
        output.say(line)
    overrides = house.overrides()

    def command(name: str) -> list[str]:
        flags = [f"--{key.replace('_', '-')}={value}" for key, value in overrides.items()]
        return command_of(["run", "--data", str(config.data), "--only", name, *flags])

    def reload() -> Config:
        fresh = load(config.data, overrides)
        certificate_of(fresh)
        return fresh

    # Opened for the set-up code alone; the processes have their own.
    house.household.close()
    return Supervisor(config, command, reload).run()


def _addresses(house: House, code: str | None) -> list[str]:
    config = house.config
    scheme = "https" if config.web_tls_on else "http"
    lines = []
    if config.web_port:
        lines.append(f"Web pages   {scheme}://{config.host}:{config.web_port}")
    if config.imap_port:
        lines.append(f"IMAP        {config.host} port {config.imap_port} (this machine only)")
    if config.imaps_port:
        lines.append(f"IMAP, TLS   {config.host} port {config.imaps_port}")
    if config.smtp_port:
        lines.append(
            f"SMTP        {config.host} port {config.smtp_port} (incoming, for @{config.domain})"
        )
    if code is not None:
        lines.append(f"Nobody lives here yet: open the web pages and enter the code {code}")
    lines.append("Stop with Ctrl-C.")
    return lines
