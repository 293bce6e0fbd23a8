"""The telephone company's end of a media stream, and the caller behind it, for the tests of ``bridge.py``."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from helpers.telephone import LiveLine

FRAME = 160
"""Bytes of 20 ms."""


class Telephone:
    """The telephone company's end of a media stream, and the caller behind it: frames in, marks back when they were heard."""

    def __init__(self, *, line: type[LiveLine] = LiveLine, bundle: int = 1, **far: Any) -> None:
        """``far``: options of the far side, a ``line``. Of the caller's silence, ``bundle`` frames come in one message."""
        self.heard = line(self._marked, **{"out_s": 0.04, "back_s": 0.04} | far)
        self.closed = False
        self.cleared_at: list[float] = []
        self.says = bytearray()
        """What the caller is about to say."""
        self._bundle = bundle
        self._in: asyncio.Queue[str | None] = asyncio.Queue()
        self._talking = asyncio.create_task(self._talk())

    async def send(self, message: str) -> None:
        event = json.loads(message)
        assert event["streamSid"] == "MZ1"
        match event["event"]:
            case "media":
                payload = base64.b64decode(event["media"]["payload"], validate=True)
                assert len(payload) == FRAME
                self.heard.media(payload)
            case "mark":
                self.heard.mark(event["mark"]["name"])
            case "clear":
                self.cleared_at.append(asyncio.get_running_loop().time())
                self.heard.clear()
            case other:
                raise AssertionError(other)

    async def close(self) -> None:
        self.closed = True
        self._talking.cancel()
        self._in.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (message := await self._in.get()) is not None:
            yield message

    def tell(self, event: str, **what: Any) -> None:
        self.say(json.dumps({"event": event, "streamSid": "MZ1", **what}))

    def say(self, message: str) -> None:
        """Whatever it is."""
        self._in.put_nowait(message)

    async def hang_up(self) -> None:
        self.tell("stop", stop={"callSid": "CA1"})

    def _marked(self, name: str) -> None:
        self.tell("mark", mark={"name": name})

    async def _talk(self) -> None:
        """A call as one was recorded: the greeting of the stream, then a frame every 20 ms, speech or not."""
        self.tell("connected", protocol="Call", version="1.0.0")
        self.tell("start", start={"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}})
        while True:
            frames = 1 if self.says else self._bundle
            sound = bytes(self.says[:FRAME]).ljust(frames * FRAME, b"\xff")
            del self.says[:FRAME]
            self.tell("media", media={"track": "inbound", "payload": base64.b64encode(sound).decode()})
            await asyncio.sleep(frames * 0.02)
