"""Errors, named by who must act.

An error carries facts as attributes; its one-line message says what, where and
what to do, and is fit for the web page. No secret ever enters a message.
They are caught at three places: one run (``fetch/run.py``), one command
(``imap/session.py``), one process (``cli.py``).
"""

from __future__ import annotations


class ApplianceError(Exception):
    """Anything we report to a person instead of crashing."""


class ConfigError(ApplianceError):
    """The owner edits a file or a setting: ``file: key: reason``."""


class UsageError(ApplianceError):
    """A person asked for something that does not exist or is not allowed."""


class NotPermitted(UsageError):
    """The person may not do this."""


class RemoteError(ApplianceError):
    """The other server failed us."""


class CredentialsRejected(RemoteError):
    """The server refused the password: stop and tell the owner."""


class TryLater(RemoteError):
    """Busy, in use, timed out, unreachable: back off."""


class RemoteProtocolError(RemoteError):
    """The server broke the protocol: close, keep what was durable."""


class CertificateRefused(RemoteError):
    """The server's certificate could not be verified; nothing was sent."""


class ClientError(ApplianceError):
    """A mail program asked our servers for what cannot be given."""


class StoreError(ApplianceError):
    """The archive needs attention: stop writing, run ``hauspost verify``."""


class RecordDamaged(StoreError):
    """A record's checksum or digest does not match its octets."""


class RecordMissing(StoreError):
    """A row refers to a record that is not there."""


class CatalogTooNew(StoreError):
    """The data directory was written by a newer Hauspost."""


class DiskFull(StoreError):
    """No room to write: fetching stops, serving goes on."""
