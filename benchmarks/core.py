"""What one delta costs: microseconds through ``Session.receive``, beside a bare decoder of the same bytes.

Two loops take turns in the same run, over the same messages, and of each the best round counts, so that the ratio says something
on a machine that is busy, or of another speed. The session does all of its work: it routes the delta, counts its samples, hands
the audio to the clock and keeps the text in step with it. The clock's reports come between the timed spans, so that audio which
was heard is let go and memory stays flat. The bare decoder is msgspec's, of a Struct with the one field ``delta``; it throws away
what it read.

Run it by ``make bench`` or ``python benchmarks/core.py [--rounds N]``.
"""

import argparse
import json
import platform
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from random import Random
from time import perf_counter
from typing import NamedTuple

import msgspec

from rtcore import PCM16_24K, Config, Effect, MessageEnded, Play, Session, TextDelta
from rtcore.config import Connection

BATCH = 50
"""Deltas per timed span: 10 s of audio at 200 ms, which a server sends in about one."""
SPACING = 0.002
"""Seconds between two deltas on the session's clock: faster than real time, as servers send."""
REPORT_MS = 20
"""Between two reports of the clock, as a device gives them."""
WORDS = ("the quick brown fox jumps over a lazy dog again " * (BATCH // 10)).split()


class BareAudio(msgspec.Struct):
    """The least that can be read of an audio delta."""

    delta: bytes


class BareText(msgspec.Struct):
    """The least that can be read of a transcript delta."""

    delta: str


class Case(NamedTuple):
    """One line of the table."""

    name: str
    audio_ms: int
    """Audio in each audio delta."""
    times_text: bool
    """Whether the transcript's deltas are timed, or the audio's."""
    goal: float | None
    """The ratio to reach, if there is one."""


CASES = (
    Case("audio delta,  20 ms", 20, False, 3.0),
    Case("audio delta, 100 ms", 100, False, None),
    Case("audio delta, 200 ms", 200, False, 1.5),
    Case("transcript delta", 200, True, None),
)


def message(kind: str, event: int, **fields: object) -> bytes:
    """A server event with the keys in the live server's order and ids of its length (protocol facts 3.1, 3.3)."""
    return json.dumps({"type": kind, "event_id": f"event_{event:021d}", **fields}, separators=(",", ":")).encode()


class Turn:
    """The server's messages for one response with one audio message. Every turn has ids of its own."""

    def __init__(self, number: int, audio: Sequence[str]) -> None:
        self._response, self._item = f"resp_{number:021d}", f"item_{number:021d}"
        self._key = {"response_id": self._response, "item_id": self._item, "output_index": 0, "content_index": 0}
        self.audio = [message("response.output_audio.delta", n, **self._key, delta=delta) for n, delta in enumerate(audio)]
        self.text = [
            message(
                "response.output_audio_transcript.delta", n, **self._key, delta=f" {word}", obfuscation="x" * (15 - len(word))
            )
            for n, word in enumerate(WORDS)
        ]

    def opening(self) -> list[bytes]:
        """Up to the declaration of the audio part."""
        item = {"id": self._item, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        return [
            message("response.created", 0, response=self._body("in_progress")),
            message("response.output_item.added", 0, response_id=self._response, output_index=0, item=item),
            message("conversation.item.added", 0, previous_item_id=None, item=item),
            message("response.content_part.added", 0, **self._key, part={"type": "audio", "transcript": ""}),
        ]

    def closing(self) -> list[bytes]:
        """From the end of the audio to the end of the response."""
        text = "".join(f" {word}" for word in WORDS)
        content = [{"type": "output_audio", "transcript": text}]
        item = {"id": self._item, "type": "message", "status": "completed", "role": "assistant", "content": content}
        return [
            message("response.output_audio.done", 0, **self._key),
            message("response.output_audio_transcript.done", 0, **self._key, transcript=text),
            message("response.output_item.done", 0, response_id=self._response, output_index=0, item=item),
            message("response.done", 0, response=self._body("completed")),
        ]

    def _body(self, status: str) -> dict[str, object]:
        return {"object": "realtime.response", "id": self._response, "status": status, "output": [], "conversation_id": "conv_1"}


class Conversation:
    """A session that the server has acknowledged, with its clock."""

    def __init__(self) -> None:
        self._session = Session(Config(connection=Connection(dialect="openai", url="ws://127.0.0.1:1")))
        self._now = 0.0
        self._sounded = 0
        self._session.open(now=self._now)
        self._session.connected(1, now=self._now)
        audio = {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"format": {"type": "audio/pcm", "rate": 24_000}}}
        for kind in ("session.created", "session.updated"):
            self.feed([message(kind, 0, session={"id": "sess_1", "type": "realtime", "audio": audio})])

    def feed(self, messages: Iterable[bytes]) -> list[Effect]:
        """What the session does about these messages."""
        effects: list[Effect] = []
        for payload in messages:
            effects += self._session.receive(1, payload, now=self._now)
        return effects

    def timed(self, messages: Sequence[bytes]) -> float:
        """The seconds that the session takes for these messages."""
        receive, now = self._session.receive, self._now
        start = perf_counter()
        for payload in messages:
            receive(1, payload, now=now)
            now += SPACING
        seconds = perf_counter() - start
        self._now = now
        return seconds

    def hear(self, samples: int) -> list[Effect]:
        """The clock sounds so many samples more and reports as it does."""
        effects: list[Effect] = []
        end, step = self._sounded + samples, PCM16_24K.samples(REPORT_MS)
        while self._sounded < end:
            self._sounded = min(end, self._sounded + step)
            self._now += REPORT_MS / 1000
            effects += self._session.played(1, self._sounded, now=self._now)
        return effects


def check(audio: Sequence[str], samples: int) -> None:
    """The measured path is the real one: audio is handed over, text is told, and the message ends as heard."""
    conversation, turn = Conversation(), Turn(0, audio)
    effects = conversation.feed([*turn.opening(), *turn.text, *turn.audio, *turn.closing()]) + conversation.hear(samples)
    handed = sum(len(effect.pcm) for effect in effects if isinstance(effect, Play))
    told = "".join(effect.delta for effect in effects if isinstance(effect, TextDelta))
    heard = [effect.text for effect in effects if isinstance(effect, MessageEnded)]
    if handed != samples * PCM16_24K.sample_width or heard != [told] or len(told.split()) != BATCH:
        raise SystemExit("the session did not do its work, so its figures would mean nothing")


def bare_timed(decode: Callable[[bytes], object], messages: Sequence[bytes]) -> float:
    """The seconds that the bare decoder takes for these messages."""
    start = perf_counter()
    for payload in messages:
        decode(payload)
    return perf_counter() - start


def measure(case: Case, rounds: int) -> tuple[float, float]:
    """Microseconds per delta, through the core and bare: of each the best round, taken in turns."""
    samples = PCM16_24K.samples(case.audio_ms)
    noise = Random(case.audio_ms)
    audio = [b64encode(noise.randbytes(samples * PCM16_24K.sample_width)).decode() for _ in range(BATCH)]
    check(audio, BATCH * samples)
    decode: Callable[[bytes], object] = msgspec.json.Decoder(BareText if case.times_text else BareAudio).decode
    conversation = Conversation()
    core = bare = float("inf")
    for number in range(rounds):
        turn = Turn(number, audio)
        conversation.feed(turn.opening())
        if case.times_text:
            core = min(core, conversation.timed(turn.text))
            bare = min(bare, bare_timed(decode, turn.text))
            conversation.feed(turn.audio)
        else:
            conversation.feed(turn.text)
            core = min(core, conversation.timed(turn.audio))
            bare = min(bare, bare_timed(decode, turn.audio))
        conversation.feed(turn.closing())
        conversation.hear(BATCH * samples)
    return core / BATCH * 1e6, bare / BATCH * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="timed spans per line (default: 200)")
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error(f"--rounds {rounds}: must be at least 1")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, msgspec {msgspec.__version__}, best of {rounds} rounds\n")
    print(f"{'microseconds per':22}{'core':>8}{'bare':>8}{'ratio':>8}  to reach")
    for case in CASES:
        core, bare = measure(case, rounds)
        ratio = core / bare
        verdict = "" if case.goal is None else f"  {case.goal} {'reached' if ratio <= case.goal else 'MISSED'}"
        print(f"{case.name:22}{core:8.2f}{bare:8.2f}{ratio:8.2f}{verdict}")


if __name__ == "__main__":
    main()
