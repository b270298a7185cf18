"""Debian's Dovecot as somebody else's mail provider: POP3 and IMAP on loopback, Maildir below.

    with DovecotOrigin(tmp_path, {"anna": "secret"}) as origin:
        origin.load("anna", "INBOX", [octets, …])
        origin.imap_port, origin.imaps_port, origin.pop3_port, origin.pop3s_port, origin.ca

Runs as the current user with a generated configuration, serves exactly the octets
that were loaded, and is ended by its own process id. Dovecot hands out no mail as root:
for root its mail belongs to nobody, in a directory that nobody can reach.
"""

from __future__ import annotations

import datetime
import getpass
import grp
import ipaddress
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DOVECOT = shutil.which("dovecot") or "/usr/sbin/dovecot"
_START_S = 20.0
_FLAG_LETTERS = {
    "\\Seen": "S",
    "\\Answered": "R",
    "\\Flagged": "F",
    "\\Deleted": "T",
    "\\Draft": "D",
}


def installed() -> bool:
    """Whether there is a Dovecot to start."""
    return Path(DOVECOT).exists()


class DovecotOrigin:
    """A running Dovecot. Context manager; ``load`` may be called before or while it runs.

    ``separator`` is the hierarchy delimiter its IMAP shows. ``special`` maps mailbox
    names to SPECIAL-USE attributes. ``extra`` is appended to the configuration.
    """

    def __init__(
        self,
        tmp_path: Path,
        users: Mapping[str, str],
        *,
        separator: str = "/",
        special: Mapping[str, str] | None = None,
        extra: str = "",
    ) -> None:
        self._root_user = os.getuid() == 0
        self._owner = pwd.getpwnam("nobody" if self._root_user else getpass.getuser())
        self.root = tmp_path / "dovecot"
        if self._root_user:
            # What pytest gives us can be reached by root alone.
            self.root = Path(tempfile.mkdtemp(prefix="hauspost-dovecot-"))
            self.root.chmod(0o755)
        self.users = dict(users)
        self.ports = _free_ports(4)
        self.imap_port, self.imaps_port, self.pop3_port, self.pop3s_port = self.ports
        self.ca = self.root / "ca.pem"
        self._separator = separator
        self._special = dict(special or {})
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded = 0
        self._prepare()

    def __enter__(self) -> DovecotOrigin:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # The mail it holds

    def load(
        self,
        user: str,
        mailbox: str,
        messages: Iterable[bytes],
        *,
        flags: Iterable[str] = (),
        internal_date: float | None = None,
    ) -> int:
        """Put messages into a mailbox, octet for octet; how many. Dates in Unix time."""
        directory = self._maildir(user, mailbox)
        self._make_maildir(directory)
        letters = "".join(sorted(_FLAG_LETTERS[flag] for flag in flags))
        count = 0
        for octets in messages:
            self._loaded += 1
            count += 1
            # The size in the name spares Dovecot the reading; S is octets, W with CR LF.
            name = f"{1_700_000_000 + self._loaded}.M{self._loaded}P1.host,S={len(octets)}"
            path = directory / "tmp" / name
            path.write_bytes(octets)
            self._give(path)
            if internal_date is not None:
                os.utime(path, (internal_date, internal_date))
            path.rename(directory / "cur" / f"{name}:2,{letters}")
        return count

    def _make_maildir(self, directory: Path) -> None:
        for path in (directory, *(directory / name for name in ("cur", "new", "tmp"))):
            path.mkdir(parents=True, exist_ok=True)
            self._give(path)

    def _give(self, path: Path) -> None:
        if self._root_user:
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def files(self, user: str, mailbox: str = "INBOX") -> list[Path]:
        """The Maildir files of a mailbox."""
        return sorted((self._maildir(user, mailbox) / "cur").iterdir())

    def _maildir(self, user: str, mailbox: str) -> Path:
        home = self.root / "mail" / user
        if mailbox == "INBOX":
            return home
        encoded = _utf7(mailbox)
        return home / ("." + encoded.replace("/", "."))

    # The process

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self.root / "stderr.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [DOVECOT, "-F", "-c", str(self.root / "dovecot.conf")],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        for port in self.ports:
            while not _answers(port):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"Dovecot does not start:\n{self.log()}")
                time.sleep(0.05)  # another program's start: there is nothing to wait on but it

    def stop(self) -> None:
        """End it, by its own process id."""
        process, self._process = self._process, None
        if process is not None:
            self._end(process)
        if self._root_user:
            shutil.rmtree(self.root, ignore_errors=True)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def log(self) -> str:
        """What it has said."""
        return "".join(
            path.read_text("utf-8", "replace")
            for path in (self.root / "dovecot.log", self.root / "stderr.log")
            if path.exists()
        )

    def _prepare(self) -> None:
        run = self.root / "run"
        for directory in (self.root, run, self.root / "mail", self.root / "state"):
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        (self.root / "passwd").write_text(
            "".join(
                f"{user}:{{PLAIN}}{password}::::{self.root}/mail/{user}::\n"
                for user, password in self.users.items()
            )
        )
        for user in self.users:
            self._make_maildir(self._maildir(user, "INBOX"))
        self._make_certificate()
        (self.root / "dovecot.conf").write_text(self._configuration())

    def _configuration(self) -> str:
        user, group = self._owner.pw_name, grp.getgrgid(self._owner.pw_gid).gr_name
        special = "".join(
            f'  mailbox "{name}" {{\n    special_use = {use}\n    auto = create\n  }}\n'
            for name, use in self._special.items()
        )
        return _TEMPLATE.format(
            root=self.root,
            user=user,
            group=group,
            uid=self._owner.pw_uid,
            gid=self._owner.pw_gid,
            separator=self._separator,
            special=special,
            imap=self.imap_port,
            imaps=self.imaps_port,
            pop3=self.pop3_port,
            pop3s=self.pop3s_port,
            # Root must give its sign-in processes to another user and a root directory of
            # their own (which also spares them the path down to it); nobody else can.
            login_user="dovenull" if self._root_user else user,
            chroot="login" if self._root_user else "",
            empty="empty" if self._root_user else "",
            extra=self._extra,
        )

    def _make_certificate(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "origin")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(
                x509.SubjectAlternativeName(
                    [
                        x509.DNSName("localhost"),
                        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                    ]
                ),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = self.root / "key.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        private.chmod(0o600)


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _utf7(name: str) -> str:
    from imapclient import imap_utf7  # type: ignore[import-untyped]  # IMAPClient ships no types

    return str(imap_utf7.encode(name).decode("ascii"))


_TEMPLATE = """
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login_user}
first_valid_uid = 0
last_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:~
mail_uid = {uid}
mail_gid = {gid}
mail_access_groups =
auth_mechanisms = plain login
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{root}/ca.pem
ssl_key = <{root}/key.pem
mail_max_userip_connections = 50
default_vsz_limit = 1G
default_process_limit = 20
maildir_broken_filename_sizes = yes
pop3_uidl_format = %08Xu%08Xv
namespace inbox {{
  inbox = yes
  separator = {separator}
{special}}}
passdb {{
  driver = passwd-file
  args = {root}/passwd
}}
userdb {{
  driver = passwd-file
  args = {root}/passwd
}}
service imap-login {{
  chroot = {chroot}
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot = {chroot}
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service anvil {{
  chroot = {empty}
}}
service stats {{
  chroot = {empty}
}}
{extra}
"""
