"""The three processes: what each puts together, and how it stops.

    mail    IMAP and SMTP doors, the schedule, the fetchers
    index   follow: what was admitted goes into the index
    web     the pages, on cheroot

They share the catalog and the bell, never memory; each can run alone. A process
stops on SIGTERM, and when the one that started it is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from appliance.bell import Bell
from appliance.certificate import certificate_of, server_context
from appliance.config import Config
from appliance.errors import ConfigError
from appliance.household import Account, Household
from appliance.store import Archive
from appliance.supervisor import LIFELINE

if TYPE_CHECKING:
    from cheroot.server import HTTPConnection
    from cheroot.wsgi import Server

SETUP_CODE: Final = "setup_code"
_WEB_THREADS: Final = 8
_WEB_STOP_S: Final = 1
"""How long answers in progress may take when we stop; who then still sends or reads is cut off."""
_INDEX_NICE: Final = 10
"""The index may be a little behind; who reads mail does not wait for it."""
_INDEX_STOP_S: Final = 2.5
_log = logging.getLogger("hauspost.service")


def run_process(name: str, config: Config) -> int:
    """Run one of the processes until it is told to stop; its exit status."""
    config.prepare()
    stop = _stop_event()
    match name:
        case "mail":
            _mail(config, stop)
        case "index":
            _index(config, stop)
        case "web":
            _web(config, stop)
        case _:
            raise ConfigError(f"there is no process {name!r}; there are mail, index and web")
    return 0


def setup_code(household: Household) -> str | None:
    """The code that the first-start page asks for; None when somebody lives here already."""
    if household.persons():
        return None
    code = household.setting(SETUP_CODE)
    if not code:
        code = f"{secrets.randbelow(10**8):08d}"
        household.set_setting(SETUP_CODE, code)
    return code


def free_port(host: str, port: int) -> None:
    """Raises ConfigError when a port is taken, before half the house is running."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"{host} port {port}: {error.strerror}; stop the other program or choose "
                "another port in config.toml or on the command line"
            ) from error


@contextmanager
def _opened(config: Config) -> Iterator[tuple[Bell, Archive, Household]]:
    with ExitStack() as stack:
        bell = Bell(config.run)
        stack.callback(bell.close)
        archive = stack.enter_context(Archive(config.archive, bell))
        household = stack.enter_context(Household(config.data))
        yield bell, archive, household


def _mail(config: Config, stop: threading.Event) -> None:
    from appliance.demo.provider import Provider
    from appliance.fetch import Fetcher, resting_until
    from appliance.imap import ImapServer
    from appliance.schedule import Schedule
    from appliance.search import Searcher
    from appliance.smtp.receive import Receiver

    _empty(config.spool)
    with _opened(config) as (bell, archive, household), ExitStack() as stack:
        searcher = Searcher(archive, config.index, household.ledgers)
        stack.callback(searcher.close)
        imap = ImapServer(archive, household, searcher, config, bell, config.spool)
        fetcher = Fetcher(household, archive, config, bell)

        def resting(account: Account) -> datetime | None:
            return resting_until(archive.runs(account.name), account.every_s, datetime.now(UTC))

        schedule = Schedule(household, fetcher, bell, resting=resting)
        if config.smtp_port:
            context = server_context(certificate_of(config))
            receiver = Receiver(archive, household, config, config.spool, tls=context)
            receiver.start()
            stack.callback(receiver.stop)
        if Provider.there(config.data):
            provider = Provider(config.data)
            provider.start()
            stack.callback(provider.stop)
        schedule.start()
        stack.callback(schedule.stop)
        stack.callback(fetcher.stop)
        asyncio.run(_serve(imap, stop))


def _empty(spool: Path) -> None:
    """Take away the messages that were in progress when the power went."""
    for left in spool.iterdir():
        # What cannot be taken away (a folder such as lost+found) is no reason to stay down.
        with suppress(OSError):
            left.unlink()


async def _serve(imap: object, stop: threading.Event) -> None:
    from appliance.imap import ImapServer

    assert isinstance(imap, ImapServer)
    await imap.start()
    try:
        await asyncio.to_thread(stop.wait)
    finally:
        await imap.stop()


def _index(config: Config, stop: threading.Event) -> None:
    from appliance.follow import Follower

    with suppress(OSError):
        # systemd's sandbox keeps processes from changing their priority; it sets one itself.
        os.nice(_INDEX_NICE)
    threading.Thread(target=_end_soon, args=(stop,), name="end", daemon=True).start()
    with (
        closing(Bell(config.run)) as bell,
        Archive(config.archive, bell) as archive,
        Follower(archive, config.index, bell) as follower,
    ):
        follower.run(stop)


def _end_soon(stop: threading.Event) -> None:
    """End the index process in the middle of a batch that takes long to write.

    A small machine needs more time for that than a stop may take. The index bears
    being killed at any step, and what is not in it is taken in at the next start.
    """
    stop.wait()
    time.sleep(_INDEX_STOP_S)
    _log.info("index: stopped while it was writing; it goes on there at the next start")
    os._exit(0)


def _web(config: Config, stop: threading.Event) -> None:
    from cheroot.ssl.builtin import BuiltinSSLAdapter
    from cheroot.wsgi import Server

    from appliance.fetch import ProgressBoard
    from appliance.search import Searcher
    from web import create_app

    with _opened(config) as (bell, archive, household), ExitStack() as stack:
        searcher = Searcher(archive, config.index, household.ledgers)
        stack.callback(searcher.close)
        board = ProgressBoard(config.run)
        app = create_app(config, archive, household, searcher, board, bell)
        server = Server(
            (config.host, config.web_port),
            app,
            numthreads=_WEB_THREADS,
            server_name="hauspost",
            shutdown_timeout=_WEB_STOP_S,
        )
        scheme = "http"
        if config.web_tls_on:
            files = certificate_of(config)
            server.ssl_adapter = BuiltinSSLAdapter(str(files.certificate), str(files.key))
            scheme = "https"
        code = setup_code(household)
        if code is not None:
            _log.warning(
                "nobody lives here yet: open %s://%s:%d and enter the code %s",
                *(scheme, config.host, config.web_port, code),
            )
        connections = _remembered(server)
        server.prepare()
        thread = threading.Thread(target=server.serve, name="web", daemon=True)
        thread.start()
        stop.wait()
        cutting = threading.Timer(_WEB_STOP_S, _cut_off, [connections])
        cutting.start()
        server.stop()
        cutting.cancel()


def _remembered(server: Server) -> WeakSet[HTTPConnection]:
    """The connections that the server opens from now on, as long as they are used."""
    from cheroot.server import HTTPConnection

    connections: WeakSet[HTTPConnection] = WeakSet()

    class Connection(HTTPConnection):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            connections.add(self)

    server.ConnectionClass = Connection
    return connections


def _cut_off(connections: WeakSet[HTTPConnection]) -> None:
    """Wake the threads that wait for a browser; the server itself ends only their reading."""
    for connection in list(connections):
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)


def _stop_event() -> threading.Event:
    """Set by SIGTERM, SIGINT, or the end of the process that started us."""
    stop = threading.Event()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)

    # Not stop.set() in a handler: the code it interrupts may hold the event's lock. And not
    # any handler in Python: it runs only when the main thread wakes, which waits for this.
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)

    def heard(*_: object) -> None:
        """Its number is in the pipe already."""

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, heard)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor re-reads for all of us
    signal.pthread_sigmask(
        signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
    )
    watched = [read_end]
    if (lifeline := os.environ.get(LIFELINE)) is not None:
        watched.append(int(lifeline))
    threading.Thread(target=_watch, args=(watched, stop), name="stop", daemon=True).start()
    return stop


def _watch(watched: list[int], stop: threading.Event) -> None:
    """Set ``stop`` when one of the pipes has something or has lost its other end."""
    with suppress(OSError):
        select.select(watched, [], [])
    stop.set()


def configure_logging(level: str) -> None:
    """To standard error, a line an event; journald adds the time by itself."""
    stamped = "" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s "
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format=stamped + "%(levelname)s %(name)s: %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    for noisy in ("apscheduler", "imapclient", "mail.log", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
