"""What each measured client tells of itself; the standard library alone, because the clients live in environments of their own.

A client is started with one argument, the URL, and talks to its driver over its standard streams: ``ready`` when its session is
up; ``warm`` when the first part (not counted) has been taken; and at the end a line of JSON. ``audio`` and ``text`` are called by
the client with what its library delivered. In the first part it is digested, so that the driver sees that it is what was sent;
in the counted part it is counted. Processor time is that of the process, all threads, kernel included, from the go-ahead to the
last byte; a client that never gets all of it is asked to stop (SIGTERM) and says how much it got.
"""

import gc
import json
import os
import resource
import signal
import sys
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter, process_time
from types import FrameType


class Meter:
    """Counts what one client takes. ``over`` is called when everything was taken."""

    def __init__(self, *packages: str) -> None:
        self.url = sys.argv[1]
        self._warm_audio, self._warm_text, self._all_audio, self._all_text = (int(each) for each in sys.argv[2:6])
        self._packages = packages
        self._audio = self._text = 0
        self._digests = sha256(), sha256()
        self._warming = True
        self._began = self._wall = 0.0
        signal.signal(signal.SIGTERM, self._stop)

    def ready(self) -> None:
        """The session is up."""
        print("ready", flush=True)

    def audio(self, pcm: bytes | bytearray | memoryview) -> None:
        """The library delivered audio, decoded."""
        self._audio += len(pcm)
        if self._warming:
            self._digests[0].update(pcm)
        if self._audio >= self._all_audio or self._warming:
            self._look()

    def text(self, text: str) -> None:
        """The library delivered a piece of the transcript."""
        self._text += len(text)
        if self._warming:
            self._digests[1].update(text.encode())
        if self._text >= self._all_text or self._warming:
            self._look()

    def _look(self) -> None:
        if self._warming:
            if self._audio >= self._warm_audio and self._text >= self._warm_text:
                self._warming = False
                gc.collect()
                print("warm", flush=True)
                self._began, self._wall = process_time(), perf_counter()
        elif self._audio >= self._all_audio and self._text >= self._all_text:
            self._tell()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._tell()

    def _tell(self) -> None:
        cpu, wall = process_time() - self._began, perf_counter() - self._wall
        found = {
            "cpu": cpu,
            "wall": wall,
            "whole_cpu": process_time(),
            "audio": self._audio,
            "text": self._text,
            "digests": [digest.hexdigest() for digest in self._digests],
            "max_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            "versions": {package: _version(package) for package in self._packages},
        }
        print(json.dumps(found), flush=True)
        os._exit(0)  # how a library ends is another matter, and not measured


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"
