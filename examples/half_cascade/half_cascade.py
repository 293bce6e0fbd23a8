"""Half a cascade: a recogniser and a voice of one's own around a realtime model that answers in text.

    python examples/half_cascade/half_cascade.py    # type what you say; espeak-ng answers on the sound card

The model hears words and gives words. When a person talks over the voice, the sound stops, and the model is told which of its
words were heard: its answer is replaced by them. See README.md.
"""

import asyncio
import logging
import os
import re
import sys
import wave
from collections import deque
from collections.abc import Callable, Coroutine
from io import BytesIO
from typing import Any, Protocol

from rtcore import (
    AudioFormat,
    Config,
    LocalProtocolError,
    MessageEnded,
    Notice,
    RequestEnded,
    ResponseEnded,
    SessionClosed,
    TextDelta,
    Verdict,
)
from rtcore.config import AudioInput, AudioOptions, Connection, SessionOptions
from rtcore_adapters.asyncio import Conversation, RequestFailed, connect

log = logging.getLogger("half_cascade")

_SENTENCE = re.compile(".*?[.!?…\u3002\uff01\uff1f]+(?:\\s+|$)", re.DOTALL)


class Synthesiser(Protocol):
    """A voice: the sound of some words, in its own format."""

    format: AudioFormat

    async def sound(self, words: str) -> bytes: ...


class Recogniser(Protocol):
    """Words of some speech: PCM16, mono, at the rate of the detector's frames. Empty where there were none."""

    async def words(self, pcm: bytes) -> str: ...


class Espeak:
    """espeak-ng as a synthesiser: small, and on every system."""

    format = AudioFormat("audio/pcm", 22_050)

    async def sound(self, words: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            "espeak-ng", "--stdout", "--stdin", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate(words.encode())
        with wave.open(BytesIO(out)) as spoken:
            sound: bytes = spoken.readframes(spoken.getnframes())
        return sound


class Detector:
    """Speech by its loudness, in frames of 20 ms of PCM16: begun after 60 ms of it, over after 500 ms without."""

    def __init__(self, began: Callable[[], object], ended: Callable[[bytes], object], *, loud: int = 500) -> None:
        self._began, self._ended, self._loud = began, ended, loud
        self._frames: list[bytes] = []  # of this speech; before it begins, the last 300 ms
        self._speaking = False
        self._run = 0  # frames in a row that say otherwise

    def hear(self, frame: bytes) -> None:
        samples = memoryview(frame).cast("h")
        loud = max(map(abs, samples), default=0) > self._loud
        self._frames.append(frame)
        self._run = self._run + 1 if loud is not self._speaking else 0
        if not self._speaking:
            del self._frames[:-15]
            if self._run >= 3:
                self._speaking, self._run = True, 0
                self._began()
        elif self._run >= 25:
            self._speaking, self._run = False, 0
            speech, self._frames = b"".join(self._frames), []
            self._ended(speech)


class Answer:
    """One message of the model's on its way to be heard: words come in, sentences go out with their sound."""

    def __init__(self, conversation: Conversation, synthesiser: Synthesiser, item_id: str) -> None:
        self.item_id = item_id
        """The model's message."""
        self.voice = conversation.voice(format=synthesiser.format, speaks=item_id)
        self.cut = self.failed = False
        self.written = asyncio.Event()
        """The model writes no more of it."""
        self._synthesiser = synthesiser
        self._rest = ""
        self._sentences: asyncio.Queue[str | None] = asyncio.Queue()

    def more(self, words: str) -> None:
        self._rest += words
        while (sentence := _SENTENCE.match(self._rest)) and sentence.end() < len(self._rest):
            self._sentences.put_nowait(sentence[0])
            self._rest = self._rest[sentence.end() :]

    def end(self) -> None:
        if self._rest:
            self._sentences.put_nowait(self._rest)
        self._sentences.put_nowait(None)

    async def speak(self) -> None:
        with self.voice as voice:
            try:
                while (sentence := await self._sentences.get()) is not None and not self.cut:
                    voice.append(await self._synthesiser.sound(sentence.strip()), sentence)
            except Exception:
                self.failed = True  # what it could not say was not heard
                raise


class HalfCascade:
    """One conversation. Feed ``hear`` frames of the microphone, or ``said`` what was recognised elsewhere; ``told``, all notices.

    It wants a session that answers in text and finds no turns itself: ``half_cascade_config``.
    """

    def __init__(self, conversation: Conversation, synthesiser: Synthesiser, recogniser: Recogniser | None = None) -> None:
        self._conversation, self._synthesiser, self._recogniser = conversation, synthesiser, recogniser
        self._detector = Detector(lambda: conversation.speech("started"), self._speech_ended)
        self._answers: dict[str, list[Answer]] = {}  # by response, until it was generated: its messages
        self._said: dict[int, Answer] = {}  # by request of their voices, until that has settled
        self._heard = ""  # of the message that ended last
        self._correcting: set[str] = set()  # messages of which the model is being told what was heard
        self._waiting: deque[str] = deque()  # what the user said meanwhile
        self._tasks: set[asyncio.Task[None]] = set()

    # -- the ear -------------------------------------------------------------------------------------------------------------

    def hear(self, frame: bytes) -> None:
        """20 ms of the microphone."""
        self._detector.hear(frame)

    def said(self, words: str) -> None:
        """What the user said. It interrupts, and is answered when the model knows what was heard."""
        self._waiting.append(words)
        if self._said:
            self._conversation.interrupt()
        self._ask()

    def _ask(self) -> None:
        while self._waiting and not self._said and not self._correcting and self._conversation.state != "closed":
            self._conversation.user_turn(self._waiting.popleft())

    def _speech_ended(self, pcm: bytes) -> None:
        self._conversation.speech("stopped")
        self._start(self._recognise(pcm))

    async def _recognise(self, pcm: bytes) -> None:
        if self._recogniser is not None and (words := await self._recogniser.words(pcm)):
            self.said(words)

    # -- the mouth -----------------------------------------------------------------------------------------------------------

    def told(self, notice: Notice) -> None:
        match notice:
            case TextDelta(response_id=response_id, item_id=item_id, delta=delta):
                answers = self._answers.setdefault(response_id, [])
                if not answers or answers[-1].item_id != item_id:
                    if answers:
                        answers[-1].end()  # each message has its own voice, and is heard or not
                    answers.append(Answer(self._conversation, self._synthesiser, item_id))
                    self._said[answers[-1].voice.request.number] = answers[-1]
                    self._start(answers[-1].speak())
                answers[-1].more(delta)
            case ResponseEnded(response_id=response_id):
                self._written(response_id)
            case SessionClosed():
                for response_id in list(self._answers):
                    self._written(response_id)
            case MessageEnded(verdict=verdict, text=text) if verdict is not Verdict.TEXT:
                self._heard = text
            case RequestEnded(request=number, outcome=outcome) if number in self._said:
                answer = self._said.pop(number)
                answer.cut = outcome == "cancelled"
                # The verdict of a voice comes right before the end of its request; one that never sounded has none.
                heard, self._heard = self._heard, ""
                if answer.cut or answer.failed:
                    self._correcting.add(answer.item_id)
                    self._start(self._correct(answer, heard))
                self._ask()
            case _:
                pass

    def _written(self, response_id: str) -> None:
        answers = self._answers.pop(response_id, [])
        for answer in answers:
            answer.written.set()
        for answer in answers[-1:]:
            answer.end()

    async def _correct(self, answer: Answer, heard: str) -> None:
        """It was cut: the model is told what of its words was heard, as soon as it has stopped writing them."""
        log.info("heard until: %s", heard)
        item_id = answer.item_id
        await answer.written.wait()
        try:
            if heard.strip():
                part = {"type": "output_text", "text": heard}
                await self._conversation.replace_item(item_id, {"type": "message", "role": "assistant", "content": [part]})
            else:
                await self._conversation.delete_item(item_id)
        except (RequestFailed, LocalProtocolError):
            pass  # an item that is gone already is what was wanted, and a session that is over knows nothing any more
        finally:
            self._correcting.discard(item_id)
            self._ask()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: %s", type(error).__name__, error)  # a voice or a recogniser that fails ends no conversation


def half_cascade_config(
    connection: Connection, instructions: str = "Answer in one or two short sentences, to be spoken."
) -> Config:
    """Text out; turns are found here."""
    audio = AudioOptions(input=AudioInput(turn_detection=None))
    session = SessionOptions(instructions=instructions, output_modalities=("text",), audio=audio)
    return Config(connection=connection, session=session)


async def converse(config: Config, synthesiser: Synthesiser, lines: asyncio.StreamReader, **devices: Any) -> None:
    """The keyboard as the recogniser: each line is something that the user said."""
    async with connect(config, **devices) as conversation:
        cascade = HalfCascade(conversation, synthesiser)

        async def listen() -> None:
            while line := (await lines.readline()).decode().strip():
                cascade.said(line)
            conversation.close()

        listening = asyncio.create_task(listen())
        async for notice in conversation:
            cascade.told(notice)
            if isinstance(notice, MessageEnded):
                print(f"[{notice.verdict.value}] {notice.text}")
        listening.cancel()


async def main() -> None:
    """On the sound card."""
    from rtcore_adapters.audio.device import DeviceSpeaker  # noqa: PLC0415 - an extra

    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    connection = Connection(url=os.environ.get("RTCORE_URL"), api_key=os.environ.get("OPENAI_API_KEY"))
    await converse(half_cascade_config(connection), Espeak(), lines, speaker=DeviceSpeaker())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(main())
