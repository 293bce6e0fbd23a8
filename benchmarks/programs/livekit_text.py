"""The transcript synchroniser of ``livekit-agents`` as an estimate of ``benchmarks/heard_text.py``, on virtual time.

It is given each piece of audio and text before the moment at which it is asked, and started with the first sample.
"""

import asyncio
import selectors
from types import SimpleNamespace
from typing import Any

from livekit import rtc
from livekit.agents.voice import io
from livekit.agents.voice.transcription import synchronizer

RATE = 24_000
FRAME_BYTES = 4_800
"""A delta of 100 ms."""


class _Selector(selectors.SelectSelector):
    """Nothing comes from outside: where the loop would wait, its time passes."""

    def __init__(self, pass_time: Any) -> None:
        super().__init__()
        self._pass_time = pass_time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("the synchroniser waits for something that never comes")
        if timeout > 0:
            self._pass_time(timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = 1_000.0
        super().__init__(_Selector(self._pass))

    def _pass(self, seconds: float) -> None:
        self._virtual += seconds

    def time(self) -> float:
        return self._virtual


LOOP = _Loop()
asyncio.set_event_loop(LOOP)
synchronizer.time = SimpleNamespace(time=LOOP.time)  # type: ignore[attr-defined]


class _Speaker(io.AudioOutput):
    """The device: it sounds from the first frame on."""

    def __init__(self) -> None:
        super().__init__(label="speaker", capabilities=io.AudioOutputCapabilities(pause=True), sample_rate=RATE)
        self._started = False

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._started:
            self._started = True
            self.on_playback_started(created_at=LOOP.time())

    def flush(self) -> None:
        super().flush()

    def clear_buffer(self) -> None:
        pass


class _Captions(io.TextOutput):
    def __init__(self) -> None:
        super().__init__(label="captions", next_in_chain=None)

    async def capture_text(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass


class Synchroniser:
    """One message. ``heard`` is what it would say was spoken if it were interrupted now."""

    _last: "Synchroniser | None" = None

    def __init__(self) -> None:
        if Synchroniser._last is not None:
            LOOP.run_until_complete(Synchroniser._last._close())
        Synchroniser._last = self
        self.fresh: list[bytes | memoryview] = []
        self._text = ""
        self._final = self._complete = False
        self._begun: float | None = None
        LOOP.run_until_complete(self._open())

    async def _open(self) -> None:
        self._synchronizer = synchronizer.TranscriptSynchronizer(next_in_chain_audio=_Speaker(), next_in_chain_text=_Captions())

    async def _close(self) -> None:
        await self._synchronizer.aclose()

    def heard(self, text: str, heard: int, received: int, *, final: bool, complete: bool) -> int:
        """Characters of the text that were heard."""
        return LOOP.run_until_complete(self._heard(text, heard, final, complete))

    async def _heard(self, text: str, heard: int, final: bool, complete: bool) -> int:
        audio, captions = self._synchronizer.audio_output, self._synchronizer.text_output
        if len(text) > len(self._text):
            await captions.capture_text(text[len(self._text) :])
            self._text = text
        if final and not self._final:
            self._final = True
            captions.flush()
        for pcm in self.fresh:
            for at in range(0, len(pcm), FRAME_BYTES):
                piece = bytes(pcm[at : at + FRAME_BYTES])
                await audio.capture_frame(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))
        self.fresh.clear()
        if complete and not self._complete:
            self._complete = True
            audio.flush()
        if self._begun is None:
            self._begun = LOOP.time()
        await asyncio.sleep(max(0.0, self._begun + heard / RATE - LOOP.time()))
        return len(self._synchronizer._impl.synchronized_transcript)
