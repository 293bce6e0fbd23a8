"""A web page that talks with a realtime model: the page has the ear and the mouth, this program has the conversation.

    uvicorn examples.browser.gateway:app        # then open http://127.0.0.1:8000

The page's player says what became audible, so an interruption is told to the server as it was heard, whatever lies between. The
key stays here. See README.md.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.staticfiles import StaticFiles

from rtcore import (
    Config,
    HeardText,
    Interrupted,
    LocalProtocolError,
    MessageEnded,
    MessageStarted,
    Notice,
    Session,
    SessionClosed,
    SessionReady,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)
from rtcore.config import AudioInput, AudioOptions, Connection, SessionOptions, Transcription
from rtcore_adapters.asyncio import ConnectionFailed, Conversation, connect
from rtcore_adapters.audio import PlayerMessageError, PushMicrophone, RemoteSpeaker

log = logging.getLogger("gateway")

SHOWN = (
    SessionReady,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    MessageStarted,
    HeardText,
    MessageEnded,
    Interrupted,
    SessionClosed,
)
"""What the page is told. Nothing else of the session leaves this program."""
MOST_TEXT = 4_000
"""Characters of a typed message."""
MOST_SOUND = 48_000
"""Bytes of a microphone's message: one second."""


class Visit:
    """One page and its conversation. ``run`` it once; ``told`` gets every notice."""

    def __init__(self, page: WebSocket, config: Config, *, told: Callable[[Notice], object] = lambda notice: None) -> None:
        self._page, self._config, self._told = page, config, told
        self._out: asyncio.Queue[str | bytes] = asyncio.Queue()  # a speaker never waits; a socket may
        # A page may be busy: what it counted is worth more than what could be reckoned a moment sooner.
        self.speaker = RemoteSpeaker(self._out.put_nowait, round_trip_ms=1_500)
        self.microphone = PushMicrophone()

    async def run(self) -> None:
        """Until the page is closed or the session has ended."""
        await self._page.accept()
        try:
            await self._talk()
        except ConnectionFailed as failed:
            log.warning("%s", failed)
            self._tell(SessionClosed(failed.reason, failed.problem))
        with suppress(WebSocketDisconnect, RuntimeError):  # the page may be gone
            while not self._out.empty():  # why it is over comes last
                await self._send(self._out.get_nowait())
            await self._page.close()

    async def _talk(self) -> None:
        async with connect(self._config, speaker=self.speaker, microphone=self.microphone) as conversation:
            line = {asyncio.create_task(side) for side in (self._read(conversation), self._write())}
            following = asyncio.create_task(self._follow(conversation))
            await asyncio.wait({*line, following}, return_when=asyncio.FIRST_COMPLETED)
            self.speaker.lost()  # nobody listens any more
            conversation.close()
            for side in line:
                side.cancel()
            for failed in await asyncio.gather(*line, following, return_exceptions=True):
                if isinstance(failed, Exception) and not isinstance(failed, WebSocketDisconnect):
                    log.warning("%s", failed)

    async def _read(self, conversation: Conversation) -> None:
        """What comes from the page: its microphone, its player's counts, its buttons. A page is not trusted."""
        while True:
            message = await self._page.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                if (sound := message.get("bytes")) is not None:
                    self.microphone.push(sound[:MOST_SOUND])
                else:
                    self._command(conversation, message["text"])
            except (ValueError, RecursionError, PlayerMessageError, LocalProtocolError) as error:
                log.info("from the page: %s", error)

    def _command(self, conversation: Conversation, text: str) -> None:
        match json.loads(text):
            case {"type": "interrupt"}:
                conversation.interrupt()
            case {"type": "text", "text": str(words)} if words.strip():
                conversation.send_text(words[:MOST_TEXT])
            case {"type": "mute", "muted": bool(muted)}:
                (conversation.mute if muted else conversation.unmute)()
            case _:
                self.speaker.received(text)

    async def _write(self) -> None:
        while True:
            await self._send(await self._out.get())

    async def _send(self, message: str | bytes) -> None:
        await (self._page.send_text(message) if isinstance(message, str) else self._page.send_bytes(message))

    async def _follow(self, conversation: Conversation) -> None:
        async for notice in conversation:
            self._tell(notice)

    def _tell(self, notice: Notice) -> None:
        self._told(notice)
        if isinstance(notice, SHOWN):
            shown: dict[str, Any] = {"type": "notice", "kind": type(notice).__name__, **msgspec.to_builtins(notice)}
            self._out.put_nowait(json.dumps(shown))


def same_origin(origin: str | None, host: str | None) -> bool:
    """Whether it is a page of this gateway that wants to talk: a browser lets a page of any site open a websocket, with the
    visitor's log-in, and says whose page it is. Who is no browser says nothing, or what it likes: that is for the log-in.
    """
    try:
        return origin is None or urlsplit(origin).netloc == host
    except ValueError:  # no address at all
        return False


def gateway(config: Config, *, told: Callable[[Notice], object] = lambda notice: None) -> FastAPI:
    """The service: the page at ``/``, its voice at ``/voice``. Put your own log-in in front of both.

    Raises ``LocalProtocolError`` for a configuration that cannot be dialled, without a key, say: now, not when a page is opened.
    """
    Session(config).open(now=0.0)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    async def voice(page: WebSocket) -> None:
        if not same_origin(page.headers.get("origin"), page.headers.get("host")):
            await page.close(reason="a page of another origin")
            return
        await Visit(page, config, told=told).run()

    app.add_api_websocket_route("/voice", voice)
    app.mount("/", StaticFiles(directory=Path(__file__).parent / "page", html=True))
    return app


def browser_config(connection: Connection) -> Config:
    """PCM16 at 24 kHz both ways, which is what an AudioContext makes of any device; the user's words are shown."""
    audio = AudioOptions(input=AudioInput(transcription=Transcription(model="gpt-4o-mini-transcribe")))
    return Config(connection=connection, session=SessionOptions(audio=audio))


def __getattr__(name: str) -> Any:
    """``app`` is made when somebody asks for it, with what the environment says."""
    if name != "app":
        raise AttributeError(name)
    connection = Connection(url=os.environ.get("RTCORE_URL"), api_key=os.environ.get("OPENAI_API_KEY"))
    return gateway(browser_config(connection))
