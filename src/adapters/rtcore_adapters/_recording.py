"""Recordings as files: written beside the conversation by a thread of their own, read whole. Gzip where the name ends in ``.gz``.

What is recorded, and what is left out, is decided in ``rtcore.recording``; here are files.
"""

import gzip
import logging
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import IO, Protocol

from msgspec import Struct

from rtcore import Clock, Config, Session
from rtcore.policies import Policies
from rtcore.recording import Keep, RecordedSession, Recording, RecordingError, read

_log = logging.getLogger("rtcore.recording")
_MOST_WAITING = 64 << 20
"""Bytes that may wait for a disk; what a conversation makes in a quarter of an hour, sound included."""
_FLUSH_S = 1.0


class Record(Struct, frozen=True):
    """Where a conversation is recorded, and what of voices and words the file holds.

    By default it holds neither: sound is silence of the same length, texts are "xxx xx" of the same length, and it replays all
    the same. ``audio=True`` and ``text=True`` keep them, for your own eyes: they are personal data of whoever spoke. Credentials
    are never in it. A name that ends in ``.gz`` is compressed; a file that exists is replaced.
    """

    path: str | os.PathLike[str]
    audio: bool = False
    text: bool = False


class Recorder:
    """Writes one recording. ``session`` makes the session that is recorded; use it as the class ``Session``."""

    def __init__(self, record: Record) -> None:
        self._keep = Keep(audio=record.audio, text=record.text)
        self._file = _opened(Path(record.path))
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._session: RecordedSession | None = None
        self.failed: OSError | None = None
        self._thread = threading.Thread(target=self._write, name="rtcore recording", daemon=True)
        self._thread.start()

    def session(self, config: Config, *, clock: Clock, seed: int, policies: Policies | None = None) -> Session:
        """The session that is recorded."""
        self._session = RecordedSession(config, clock=clock, seed=seed, sink=self._put, keep=self._keep, policies=policies)
        return self._session

    def close(self) -> None:
        """Write the rest and the end. What went wrong with the file is in ``failed``."""
        if self._session is not None:
            self._session.finish()
        self._lines.put(None)
        self._thread.join()

    def _put(self, line: bytes) -> None:
        if self.failed is not None:
            return
        with self._lock:
            self._waiting += len(line)
        if self._waiting > _MOST_WAITING:
            self._fail(OSError(f"the disk does not take the recording: {_MOST_WAITING >> 20} MiB wait to be written"))
            return
        self._lines.put(line)

    def _write(self) -> None:
        flushed = monotonic() - _FLUSH_S  # the header at once: a file without one is no recording yet
        dirty = False
        try:
            while True:
                try:
                    line = self._lines.get(timeout=_FLUSH_S if dirty else None)
                except Empty:
                    line = b""
                if line is None:
                    break
                with self._lock:
                    self._waiting -= len(line)
                if self.failed is None:
                    self._file.write(line)
                dirty = True
                # Whoever kills the process, or reads the file meanwhile, gets all but the last second.
                if not line or monotonic() - flushed >= _FLUSH_S:
                    self._file.flush()
                    flushed, dirty = monotonic(), False
        except OSError as error:
            self._fail(error)
        finally:
            try:
                self._file.close()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        if self.failed is None:
            self.failed = error
            _log.warning("the recording ends here: %s", error)


@contextmanager
def recorder(record: Record | str | os.PathLike[str]) -> Iterator[Recorder]:
    """A recording that is whole when the block has been left, however. Raises ``OSError`` where the file cannot be opened; where
    it could not be written to its end, at the end, unless the block raises itself: a recording never ends a conversation."""
    found = Recorder(record if isinstance(record, Record) else Record(record))
    try:
        yield found
    finally:
        found.close()
    if found.failed is not None:
        raise found.failed


class _File(Protocol):
    """A file that takes bytes."""

    def write(self, line: bytes, /) -> int: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


def _opened(path: Path) -> _File:
    file = path.open("wb")
    return _Gzip(file) if path.suffix == ".gz" else file


class _Gzip(gzip.GzipFile):
    """Closes the file below it too. No time and no name in its header: the same recording is the same file."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(filename="", mode="wb", fileobj=file, mtime=0)
        self._below = file

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._below.close()


def write_recording(path: str | os.PathLike[str], lines: list[bytes]) -> None:
    """Write a recording that is complete. Raises ``OSError``."""
    with closing(_opened(Path(path))) as file:
        for line in lines:
            file.write(line)


def read_recording(path: str | os.PathLike[str], *, partial: bool = False) -> Recording:
    """Read a recording, compressed or not, whatever its name. Raises ``OSError`` and ``rtcore.recording.RecordingError``."""
    with Path(path).open("rb") as file:
        compressed = file.peek(2)[:2] == b"\x1f\x8b"
        return read(_inflated(file) if compressed else file, partial=partial)


def _inflated(file: IO[bytes]) -> Iterator[bytes]:
    """Lines of a compressed file; what ends in the middle ends there, for the reader of the lines to judge."""
    number = 0
    rest = b""
    stream = zlib.decompressobj(wbits=31)
    try:
        while chunk := file.read(1 << 16):
            while chunk:
                lines = (rest + stream.decompress(chunk)).splitlines(keepends=True)
                rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
                for line in lines:
                    number += 1
                    yield line
                chunk = stream.unused_data
                if chunk:
                    stream = zlib.decompressobj(wbits=31)
    except zlib.error as error:
        raise RecordingError(number + 1, f"the compressed file is damaged behind line {number}: {error}") from None
    if rest:
        yield rest
