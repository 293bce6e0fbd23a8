"""``livekit-plugins-openai``' realtime model in an ``AgentSession`` without a room: it interrupts, truncates and calls by itself.

With the path of Azure it is the model's Azure mode, and with an ``api-version`` in the URL it speaks the preview's names.

It validates nothing: its models are constructed as they come, and what is wrong shows where a handler fails. So with ``--parse``
a session of its own receives each connection's events, whole and in order, and what it logs while it handles one is told.
"""

import asyncio
import importlib.util
import json
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from livekit import rtc
from livekit.agents import Agent, AgentSession, function_tool
from livekit.agents.voice.io import AudioInput
from livekit.plugins.openai.realtime import RealtimeModel
from openai.types.beta.realtime.session import TurnDetection
from stage import FRAME, KEY, RATE, URL, WEATHER, Microphone, heard, perform, tell, watch

# The audio output is that of the client under audit, which has the name of this file.
_AUDITED = Path(os.environ["RTCORE_AUDIT"]) / "livekit_client.py"
_spec = importlib.util.spec_from_file_location("audited", _AUDITED)
assert _spec is not None and _spec.loader is not None
_audited = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_audited)


class Output(_audited.Output):  # type: ignore[misc, name-defined]
    """What sounds is told."""

    def _heard(self, pcm: bytes, tag: object) -> None:
        super()._heard(pcm, tag)
        heard(pcm)


class Assistant(Agent):
    """One tool."""

    def __init__(self) -> None:
        super().__init__(instructions="Answer briefly.")

    @function_tool
    async def weather(self, place: str = "") -> str:
        """The weather at a place."""
        tell(called={"place": place})
        return WEATHER


class Ear(AudioInput):
    """The person's microphone."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()

    async def __anext__(self) -> rtc.AudioFrame:
        return rtc.AudioFrame(await self.frames.get(), RATE, 1, FRAME)


def model(address: str) -> RealtimeModel:
    """The realtime model for the URL's dialect."""
    url = urlsplit(address)
    query = parse_qs(url.query)
    detection = TurnDetection(type="server_vad", interrupt_response=True, create_response=True)
    if not url.path.startswith("/openai/"):
        return RealtimeModel(base_url=f"http://{url.netloc}/v1", api_key=KEY, turn_detection=detection)
    preview = "api-version" in query
    return RealtimeModel.with_azure(
        azure_deployment=query["deployment" if preview else "model"][0],
        base_url=f"http://{url.netloc}/openai",
        api_version=query["api-version"][0] if preview else None,
        api_key=KEY,
        turn_detection=detection,
    )


async def main() -> None:
    """Talk until the test is over."""
    watch("livekit")
    microphone, output, ear = Microphone(), Output(), Ear()
    realtime = model(URL)
    make = realtime.session

    def session(*arguments: Any, **named: Any) -> Any:
        made = make(*arguments, **named)

        def got(event: dict[str, Any]) -> None:
            tell(got=event["type"])
            if event["type"] == "session.updated":
                tell(ready=True)

        made.on("openai_server_event_received", got)
        return made

    realtime.session = session  # type: ignore[method-assign]
    talking = AgentSession(llm=realtime)
    talking.output.audio = output
    talking.input.audio = ear
    talking.on("error", lambda event: tell(problem=repr(event.error)))
    over = asyncio.Event()
    talking.on("close", lambda event: over.set())
    await talking.start(Assistant(), record=False)

    async def wait() -> None:
        await over.wait()

    try:
        await perform(wait(), microphone.run(ear.frames.put), output.speaker.run(), microphone=microphone)
    finally:
        await talking.aclose()


ADDRESSES = {
    "openai": "ws://127.0.0.1/v1/realtime",
    "azure-preview": "ws://127.0.0.1/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime",
}


class Line:
    """A connection over which events come, and on which nothing is sent."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.handled = ""

    async def receive(self) -> aiohttp.WSMessage:
        """The next event, once the one before has been handled."""
        if self.handled:
            self.events.task_done()
        event = await self.events.get()
        self.handled = event["type"]
        return aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, json.dumps(event), None)

    async def send_str(self, text: str) -> None:
        """What the session says."""

    async def close(self) -> None:
        """It hangs up."""


class Complaints(logging.Handler):
    """What the library logs while it handles an event, as a warning or worse, is told with the event's type."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.line = Line()

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, with the exception."""
        if not self.line.handled:
            return
        cause = f": {record.exc_info[1]!r}" if record.exc_info and record.exc_info[1] else ""
        tell(type=self.line.handled, problem=f"{record.getMessage()}{cause}")


async def parse() -> None:
    """Give each connection's events to a session."""
    complaints = Complaints()
    logging.getLogger("livekit").addHandler(complaints)
    connection, session = None, None
    for given in map(json.loads, sys.stdin):
        if given["connection"] != connection:
            if session is not None:
                await complaints.line.events.join()
                complaints.line = Line()
                await session.aclose()
            connection = given["connection"]
            session = model(ADDRESSES[given["dialect"]]).session()
            session._create_ws_conn = partial(_connected, complaints.line)
        complaints.line.events.put_nowait(given["event"])
    await complaints.line.events.join()


async def _connected(line: Line) -> Line:
    return line


if __name__ == "__main__":
    asyncio.run(parse() if "--parse" in sys.argv else main())
