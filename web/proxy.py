"""Behind a reverse proxy: its prefix, scheme, host and client address.

The proxy's word is taken only when it runs on this machine (a loopback peer);
from anybody else these headers are noise. ``X-Ingress-Path`` is Home
Assistant's name for the prefix.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?|\[[0-9A-Fa-f:]+\](?::\d{1,5})?")


class FromProxy:
    """WSGI middleware; what it does not understand it leaves alone."""

    def __init__(self, inner: WSGIApplication) -> None:
        self._inner = inner

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """One request."""
        if _is_loopback(environ.get("REMOTE_ADDR", "")):
            _take(environ)
        return self._inner(environ, start)


def _take(environ: dict[str, Any]) -> None:
    prefix = environ.get("HTTP_X_FORWARDED_PREFIX") or environ.get("HTTP_X_INGRESS_PATH") or ""
    prefix = prefix.rstrip("/")
    if _PREFIX.fullmatch(prefix):
        environ["SCRIPT_NAME"] = prefix
        path = environ.get("PATH_INFO", "")
        if path == prefix or path.startswith(prefix + "/"):
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
    if environ.get("HTTP_X_FORWARDED_PROTO") in {"http", "https"}:
        environ["wsgi.url_scheme"] = environ["HTTP_X_FORWARDED_PROTO"]
    host = environ.get("HTTP_X_FORWARDED_HOST", "")
    if _HOST.fullmatch(host):
        environ["HTTP_HOST"] = host
    # The last one is the proxy's own observation; those before it are the client's claims.
    client = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    try:
        environ["REMOTE_ADDR"] = str(ipaddress.ip_address(client))
    except ValueError:
        pass


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
