"""Text inside attachments, read in a child process that may die.

A file from a stranger is read by a process of its own with limits on memory,
processor time and output; when it hangs or dies, that file has a failure and
the next one gets a new child. One child serves many files. It is started as
``python -m appliance.mail.attachment``, never forked, and speaks frames over
its standard streams: a length of four octets, a line of JSON, the octets.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

from appliance.mail.extraction import AttachmentText as AttachmentText
from appliance.mail.extraction import Limits as Limits
from appliance.mail.extraction import extract

_LENGTH: Final = struct.Struct(">I")
_SERVES: Final = 500
"""Files one child reads before it is replaced: what libraries leak stays bounded."""


def attachment_text(
    media_type: str, filename: str | None, octets: bytes, limits: Limits | None = None
) -> AttachmentText:
    """The text of one file, read in a child process that ends with it."""
    with Extractor(limits) as extractor:
        return extractor.text(media_type, filename, octets)


class Abandoned(Exception):
    """The reading was given up because everything stops; nothing is known of the file."""


class Extractor:
    """A child process that reads files, one at a time; a new one when it failed.

    A context manager; ``close`` ends the child. May be called from threads.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._served = 0
        self._abandoned = False

    def __enter__(self) -> Extractor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def text(self, media_type: str, filename: str | None, octets: bytes) -> AttachmentText:
        """The text of one file; a child that hangs or dies is a failure, never an exception.

        Raises Abandoned, from ``abandon`` on.
        """
        if len(octets) > self._limits.input_octets:
            return AttachmentText("", failure="the file is too large to read its text")
        with self._lock:
            if self._served >= _SERVES:
                self._stop()
            child = self._running()
            if self._abandoned:
                self._stop()
                raise Abandoned
            late = threading.Event()

            def give_up() -> None:
                late.set()
                child.kill()

            watch = threading.Timer(self._limits.timeout_s, give_up)
            watch.daemon = True
            watch.start()
            try:
                answer = _ask(child, media_type, filename, octets)
            finally:
                watch.cancel()
            self._served += 1
            if answer is None:
                self._stop()
                if self._abandoned:
                    raise Abandoned
                return AttachmentText("", failure=_why(late.is_set(), child.returncode))
            return answer

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._stop()

    def abandon(self) -> None:
        """Give up for good what is being read now; from another thread, at once."""
        # Not under the lock: the thread that reads holds it. It looks at the flag after it has
        # a child, and we look for a child after the flag: one of us sees the other.
        self._abandoned = True
        child = self._child
        if child is not None:
            child.kill()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._stop()
            self._child = subprocess.Popen(  # noqa: S603 - our own module by our own interpreter
                [sys.executable, "-m", __name__, json.dumps(asdict(self._limits))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                cwd="/",
            )
            self._served = 0
        return self._child

    def _stop(self) -> None:
        child, self._child = self._child, None
        self._served = 0
        if child is None:
            return
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        child.kill()
        child.wait()


def _ask(
    child: subprocess.Popen[bytes], media_type: str, filename: str | None, octets: bytes
) -> AttachmentText | None:
    """One exchange; None when the child is gone."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        head = {"media_type": media_type, "filename": filename, "size": len(octets)}
        _write(child.stdin, head)
        child.stdin.write(octets)
        child.stdin.flush()
        answer = _read(child.stdout)
    except OSError:
        return None
    if answer is None:
        return None
    return AttachmentText(answer["text"], answer["pages"], answer["failure"])


def _why(late: bool, code: int | None) -> str:
    if late or code == -24:  # SIGXCPU
        return "reading the file took too long"
    return "the file could not be read: its reader failed"


def _environment() -> dict[str, str]:
    """Nothing of ours but where the program is."""
    home = str(Path(__file__).resolve().parents[2])
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return {**kept, "PYTHONPATH": home, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}


def _write(stream: IO[bytes], value: dict[str, Any]) -> None:
    line = json.dumps(value).encode("ascii")
    stream.write(_LENGTH.pack(len(line)) + line)


def _read(stream: IO[bytes]) -> dict[str, Any] | None:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    line = stream.read(_LENGTH.unpack(head)[0])
    try:
        value: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return value


def _serve(limits: Limits) -> None:
    """The child: answer until the parent closes the stream."""
    requests = sys.stdin.buffer
    # Libraries may print: what they print must not stand between frames.
    answers = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    _restrict(limits)
    while (head := _read(requests)) is not None:
        octets = requests.read(head["size"])
        _allow_processor_time(limits)
        try:
            found = extract(head["media_type"], head["filename"], octets, limits)
        except MemoryError:
            found = AttachmentText("", failure="the file needs more memory than it may have")
        del octets
        _write(answers, asdict(found))
        answers.flush()


def _restrict(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # no such limits on this system; the parent's clock remains
        return
    memory = (resource.RLIMIT_AS, limits.memory_octets)
    for kind, value in (memory, (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def _allow_processor_time(limits: Limits) -> None:
    """The limit counts from the start of the process, so it moves with every file."""
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (used + limits.cpu_s, hard))


if __name__ == "__main__":
    _serve(Limits(**json.loads(sys.argv[1])) if len(sys.argv) > 1 else Limits())
