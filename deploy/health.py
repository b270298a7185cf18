"""Exit status 0 when the service answers: for a container's HEALTHCHECK, or any watcher.

    python health.py        the data directory is $HAUSPOST_DATA

Asks the web pages for /health, or the IMAP door for its greeting when the pages
are off. It looks from this machine at itself, so no certificate is compared.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import sys

from appliance.config import Config, default_data_dir, load
from appliance.errors import ApplianceError

TIMEOUT_S = 5.0


def alive(config: Config) -> bool:
    """Whether a door answers as it should; raises OSError when none does."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    if config.web_port:
        pages = (
            http.client.HTTPSConnection(
                here, config.web_port, timeout=TIMEOUT_S, context=unverified
            )
            if config.web_tls_on
            else http.client.HTTPConnection(here, config.web_port, timeout=TIMEOUT_S)
        )
        try:
            pages.request("GET", "/health")
            return pages.getresponse().status == 200
        finally:
            pages.close()
    port = config.imaps_port or config.imap_port
    with socket.create_connection((here, port), TIMEOUT_S) as plain:
        if not config.imaps_port:
            return plain.recv(4) == b"* OK"
        with unverified.wrap_socket(plain) as door:
            return door.recv(4) == b"* OK"


def main() -> int:
    """The exit status; a failure is one line."""
    try:
        if alive(load(default_data_dir())):
            return 0
        print("the service does not answer as it should")
    except (OSError, http.client.HTTPException, ApplianceError) as error:
        print(f"the service does not answer: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
