"""A loudspeaker without a device, for clients under audit: it sounds at real speed, and tells the audit every sample of it.

Standard library only, so that any client can use it. Frames of 20 ms (PCM16, 24 kHz, mono) become audible one after the other;
what is dropped by ``clear`` never does. Where RTCORE_PLAYED is set, each tenth of a second of sound is posted there.
"""

import asyncio
import os
import time
import urllib.request
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

RATE = 24_000
FRAME = RATE // 50 * 2


class Speaker:
    """``heard(pcm, tag)`` is called with what just became audible, in the order of ``play``."""

    def __init__(self, heard: Callable[[bytes, object], None] = lambda pcm, tag: None) -> None:
        self._heard = heard
        self._queue: deque[tuple[bytes, object]] = deque()
        self._url = os.environ.get("RTCORE_PLAYED")
        # One thread, so that the sound arrives in its order.
        self._poster = ThreadPoolExecutor(1)

    @property
    def empty(self) -> bool:
        """Nothing waits to be heard."""
        return not self._queue

    def play(self, pcm: bytes, tag: object = None) -> None:
        """Sound it behind what waits."""
        self._queue.append((pcm, tag))

    def clear(self) -> None:
        """Drop what was not heard yet."""
        self._queue.clear()

    async def run(self) -> None:
        """Sound, until cancelled."""
        began, frames, unposted = time.monotonic(), 0, bytearray()
        try:
            while True:
                frames += 1
                await asyncio.sleep(max(0.0, began + frames * 0.02 - time.monotonic()))
                unposted += self._sound(FRAME)
                if frames % 5 == 0:
                    self._post(bytes(unposted), time.time())
                    unposted.clear()
        finally:
            self._post(bytes(unposted), time.time())
            self._poster.shutdown()

    def _sound(self, room: int) -> bytes:
        """The frame that became audible in the last 20 ms, silence where nothing waited."""
        frame = bytearray()
        while self._queue and len(frame) < room:
            pcm, tag = self._queue.popleft()
            taken = pcm[: room - len(frame)]
            if len(taken) < len(pcm):
                self._queue.appendleft((pcm[len(taken) :], tag))
            frame += taken
            self._heard(taken, tag)
        return bytes(frame).ljust(room, b"\0")

    def _post(self, pcm: bytes, until: float) -> None:
        if self._url is None or not pcm:
            return
        at = until - len(pcm) / (2 * RATE)
        request = urllib.request.Request(f"{self._url}?at={at:.6f}", data=pcm, headers={"Content-Type": "audio/pcm"})
        self._poster.submit(lambda: urllib.request.urlopen(request, timeout=5).close())
