"""A telephone number that a realtime model answers: a media stream (Twilio's, and their likes) on one side, rtcore on the other.

    python examples/telephone/bridge.py --public wss://voice.example.com --port 8080

``GET /twiml`` tells the telephone company to open a stream to ``/media``; each stream is one call, and one conversation. The
caller's keys come as typed text, the model hangs up with a tool, and whoever hangs up first closes both sides. See README.md.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol
from xml.sax.saxutils import quoteattr

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.http11 import Request, Response

from rtcore import PCMU, Config, Interrupted, LocalProtocolError, MessageEnded, Notice, Session, SessionClosed, TurnReport
from rtcore.config import AudioInput, AudioOptions, AudioOutput, Connection, Pcmu, SessionOptions
from rtcore_adapters.asyncio import ConnectionFailed, Conversation, connect
from rtcore_adapters.audio import MarksSpeaker, PushMicrophone
from rtcore_adapters.tools import Output

log = logging.getLogger("bridge")

GREETING = {"instructions": "Greet the caller in one sentence, and ask what you can do."}
INSTRUCTIONS = "You are on the telephone: answer briefly. When the caller wants to end the call, say goodbye and hang up."
KEYS_S = 2.0
"""So long after the last key what was typed is complete; the hash key completes it at once."""


class Line(Protocol):
    """The websocket of a call: a ``websockets`` connection, or a test."""

    async def send(self, message: str) -> None: ...
    async def close(self) -> None: ...
    def __aiter__(self) -> AsyncIterator[str | bytes]: ...


class Keypad:
    """Gathers keys until the caller stops typing. ``typed`` gets them, without the hash key at the end."""

    def __init__(self, typed: Callable[[str], object]) -> None:
        self._typed, self._keys = typed, ""
        self._timer: asyncio.TimerHandle | None = None

    def press(self, key: str) -> None:
        self.stop()
        if key == "#":
            self.complete()
            return
        self._keys += key
        self._timer = asyncio.get_running_loop().call_later(KEYS_S, self.complete)

    def complete(self) -> None:
        keys, self._keys = self._keys, ""
        if keys:
            self._typed(keys)

    def stop(self) -> None:
        """No timer is left."""
        if self._timer is not None:
            self._timer.cancel()


class Call:
    """One call. ``run`` it once; ``told`` gets every notice of its conversation."""

    def __init__(self, line: Line, config: Config, *, told: Callable[[Notice], object] = lambda notice: None) -> None:
        self._line, self._config, self._told = line, config, told
        self._stream = ""
        self._waiting: asyncio.Queue[str] = asyncio.Queue()  # a speaker never waits; a socket may
        self._ending = False  # the model has hung up: the call ends when its last words were heard
        self.speaker = MarksSpeaker(
            media=lambda payload: self._say("media", media={"payload": base64.b64encode(payload).decode()}),
            mark=lambda name: self._say("mark", mark={"name": name}),
            clear=lambda: self._say("clear"),
        )
        self.microphone = PushMicrophone(PCMU)

    async def run(self) -> None:
        """Until one of the two sides has ended the call. Both are closed then."""
        try:
            if await self._begun():
                await self._talk()
        except ConnectionFailed as failed:
            log.warning("%s: %s", self._stream, failed)
        finally:
            await self._line.close()

    async def _begun(self) -> bool:
        """Whether the stream has begun; False where the line ends before."""
        async for message in self._line:
            match event_of(message):
                case {"event": "start", "streamSid": str(stream)}:
                    self._stream = stream
                    return True
                case {"event": "stop"}:
                    break
                case _:
                    pass
        return False

    async def _talk(self) -> None:
        async with connect(self._config, speaker=self.speaker, microphone=self.microphone, tools=[self.hang_up]) as conversation:
            conversation.respond(GREETING)
            line = {asyncio.create_task(side) for side in (self._read(conversation), self._write())}
            following = asyncio.create_task(self._follow(conversation))
            await asyncio.wait({*line, following}, return_when=asyncio.FIRST_COMPLETED)
            self.speaker.lost()  # nobody hears what is left
            conversation.close()
            for side in line:
                side.cancel()
            for failed in await asyncio.gather(*line, following, return_exceptions=True):
                if isinstance(failed, Exception):
                    log.warning("%s: %s", self._stream, failed)

    async def hang_up(self) -> Output:
        """End the call. Say goodbye before you do."""
        self._ending = True
        return Output("The call ends when your words have been heard.", respond=False)

    async def _read(self, conversation: Conversation) -> None:
        """The caller's side: their sound, their keys, and which marks have been played."""
        keypad = Keypad(lambda keys: conversation.send_text(f"(The caller typed {' '.join(keys)} on the keypad.)"))
        try:
            async for message in self._line:
                match event_of(message):
                    case {"event": "media", "media": {"payload": str(payload)}}:
                        with suppress(ValueError):  # no sound
                            self.microphone.push(base64.b64decode(payload))
                    case {"event": "mark", "mark": {"name": str(name)}}:
                        self.speaker.marked(name)
                    case {"event": "dtmf", "dtmf": {"digit": str(key)}}:
                        keypad.press(key)
                    case {"event": "stop"}:
                        return
                    case _:
                        pass
        finally:
            keypad.stop()

    async def _write(self) -> None:
        while True:
            await self._line.send(await self._waiting.get())

    async def _follow(self, conversation: Conversation) -> None:
        """What the conversation tells, to its end. It is over when the model has hung up and was heard to the end."""
        async for notice in conversation:
            self._told(notice)
            match notice:
                case Interrupted():
                    self._ending = False  # who speaks into the goodbye is not done
                case MessageEnded(verdict=verdict, heard_ms=heard):
                    log.info("%s: %.1f s of an answer were heard (%s)", self._stream, heard / 1000, verdict.value)
                case SessionClosed(problem=problem) if problem is not None:
                    log.warning("%s: %s", self._stream, problem.message)
                case TurnReport() if self._ending:  # whatever the model said before the tool, beside it or after it was heard
                    conversation.close()
                case _:
                    pass

    def _say(self, event: str, **what: Any) -> None:
        self._waiting.put_nowait(json.dumps({"event": event, "streamSid": self._stream, **what}))


def event_of(message: str | bytes) -> Any:
    """What the line says. None where it is no JSON: one odd message ends no call."""
    try:
        return json.loads(message)
    except ValueError:
        return None


def telephone_config(connection: Connection, instructions: str = INSTRUCTIONS) -> Config:
    """The line's own format both ways: nothing is converted, and every millisecond is eight bytes."""
    audio = AudioOptions(input=AudioInput(format=Pcmu()), output=AudioOutput(format=Pcmu()))
    return Config(connection=connection, session=SessionOptions(instructions=instructions, audio=audio))


def signature(url: str, token: str) -> str:
    """What the telephone company signs a request with: nobody else can open a stream at your expense."""
    return base64.b64encode(hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()).decode()


def twiml(public: str) -> str:
    """The answer to a call: open a stream."""
    return f"<Response><Connect><Stream url={quoteattr(f'{public}/media')}/></Connect></Response>"


async def serve(config: Config, public: str, *, host: str, port: int, token: str | None, ready: Callable[[int], object]) -> None:
    """Take calls until cancelled. ``ready`` gets the port. With ``token``, what is not signed with it is turned away."""

    def requested(line: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]  # a call's data come behind it, and are signed with it
        url = (public if path == "/media" else public.replace("ws", "http", 1)) + request.path
        given = request.headers.get("X-Twilio-Signature", "")
        if token is not None and not hmac.compare_digest(given.encode(), signature(url, token).encode()):
            return line.respond(HTTPStatus.FORBIDDEN, "not signed by the telephone company\n")
        if path == "/twiml":
            answer = line.respond(HTTPStatus.OK, twiml(public))
            del answer.headers["Content-Type"]
            answer.headers["Content-Type"] = "text/xml"
            return answer
        return None if path == "/media" else line.respond(HTTPStatus.NOT_FOUND, "there are /twiml and /media\n")

    async def call(line: ServerConnection) -> None:
        await Call(line, config).run()

    async with listen(call, host, port, process_request=requested) as server:
        ready(next(iter(server.sockets)).getsockname()[1])
        await asyncio.get_running_loop().create_future()


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--public", required=True, help="where the world reaches this program: wss://...")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8080)
    options.add_argument("--url", default=os.environ.get("OPENAI_BASE_URL"), help="of the realtime server")
    given = options.parse_args()
    if not given.public.startswith(("wss://", "ws://")):
        options.error("--public: the address of a websocket, as in wss://voice.example.com")
    config = telephone_config(Connection(url=given.url, api_key=os.environ.get("OPENAI_API_KEY")))
    try:
        Session(config).open(now=0.0)
    except LocalProtocolError as error:  # a key that is missing is said now, not to the first caller
        options.error(str(error))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    token = os.environ.get("TWILIO_AUTH_TOKEN")
    if token is None:
        log.warning("TWILIO_AUTH_TOKEN is not set: whoever finds this address talks at your expense")
    serving = serve(
        config,
        given.public.rstrip("/"),
        host=given.host,
        port=given.port,
        token=token,
        ready=lambda port: log.info("listening on %s:%d for %s", given.host, port, given.public),
    )
    asyncio.run(serving)


if __name__ == "__main__":
    main()
