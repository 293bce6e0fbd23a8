"""Recorded calls of any length: a person asks, the model answers, some answers are cut. As an adapter would feed them."""

from collections.abc import Sequence

from msgspec import Struct

from helpers import wire
from rtcore import Clock, Config
from rtcore.recording import Keep, RecordedSession


class Turn(Struct, frozen=True):
    """What the user says, what the model answers in ``ms`` of sound, and after how much of it the user cuts in (None: never)."""

    said: str
    answer: str
    ms: int
    cut_ms: int | None = None


def call(turns: Sequence[Turn], *, report_ms: int = 100, delta_ms: int = 200) -> list[bytes]:
    """The recording's lines. Audio arrives ten times as fast as it sounds; the clock reports every ``report_ms``."""
    return _Call(report_ms, delta_ms).run(turns)


class _Call:
    def __init__(self, report_ms: int, delta_ms: int) -> None:
        self._report_ms, self._delta_ms = report_ms, delta_ms
        self._lines: list[bytes] = []
        config = Config.model_validate({"connection": {"dialect": "openai", "url": "ws://localhost"}})
        self._session = RecordedSession(config, clock=Clock(), seed=5, sink=self._lines.append, keep=Keep(audio=False, text=True))
        self._now = 100.0
        self._generation, self._played = 1, 0

    def run(self, turns: Sequence[Turn]) -> list[bytes]:
        session = self._session
        session.open(now=self._now)
        self._now += 0.1
        session.connected(1, now=self._now)
        self._server(wire.session_updated())
        for number, turn in enumerate(turns, 1):
            self._turn(str(number), turn)
        session.close(now=self._now + 1)
        session.finish()
        return self._lines

    def _server(self, script: wire.Script, apart: float = 0.002) -> None:
        for event in script:
            self._now += apart
            self._session.receive(1, wire.encode(event), now=self._now)

    def _turn(self, number: str, turn: Turn) -> None:
        user, item, response = f"item_user{number}", f"item_{number}", f"resp_{number}"
        self._server(wire.speech_started(user))
        for _ in range(10):
            self._now += 0.1
            self._session.append_audio(bytes(4800), now=self._now)
        self._server(wire.speech_stopped(user))
        self._server([{
            "type": "conversation.item.input_audio_transcription.completed", "event_id": "event_t", "item_id": user,
            "content_index": 0, "transcript": turn.said, "usage": {"type": "duration", "seconds": 1},
        }])  # fmt: skip
        self._now += 0.3
        self._server(wire.created(response))
        self._server(wire.opened(item, r=response))
        self._answer(item, response, turn)

    def _answer(self, item: str, response: str, turn: Turn) -> None:
        """Two streams at once: what arrives, and what the clock says of it."""
        begun, sent, heard, told = self._now + 0.05, 0, 0, 0
        until = turn.ms if turn.cut_ms is None else turn.cut_ms
        letters = len(turn.answer)
        over = False
        while heard < until:
            while sent < turn.ms and sent < (self._now - begun + 0.1) * 10_000:
                size = min(self._delta_ms, turn.ms - sent)
                upto = min(letters, letters * (sent + size) * 2 // turn.ms)  # the words run ahead of the sound
                self._server(
                    wire.transcript(item, turn.answer[told:upto], r=response) * (upto > told)
                    + wire.audio(item, size, r=response, start_ms=sent),
                    0.001,
                )
                sent, told = sent + size, upto
            if sent >= turn.ms and not over:
                self._server(wire.closing(item, turn.answer, r=response) + wire.done(response))
                over = True
            self._now += self._report_ms / 1000
            heard = min(until, heard + self._report_ms, sent)
            self._session.played(self._generation, self._played + heard * 24, now=self._now)
        if turn.cut_ms is None:
            self._played += heard * 24
            self._now += 0.4
            return
        self._server(wire.speech_started(f"{item}_cut"))
        self._now += 0.02
        self._session.flushed(self._generation, self._played + heard * 24, now=self._now)
        self._generation, self._played = self._generation + 1, 0
        if not over:
            self._server(wire.cancelled(response))
        self._server(wire.truncated(item, heard))
        self._now += 0.5
        self._server(wire.speech_stopped(f"{item}_cut"))


A_CALL = (
    Turn(
        "Good morning. When does the next train leave?",
        "The next train to the coast leaves at ten past nine, from platform four.",
        4_200,
    ),
    Turn(
        "And how long does it take?",
        "It takes two hours and ten minutes. You change once, at Millbrook, where you have twenty minutes to reach the other "
        "platform.",
        7_600,
        3_100,
    ),
    Turn("Is there one without a change?", "There is: the eleven o'clock, which goes all the way.", 3_300),
    Turn(
        "Then that one, please. Two seats.",
        "Two seats on the eleven o'clock. I have written them down under your name; the tickets go to your telephone.",
        7_000,
        2_000,
    ),
    Turn("No, three seats.", "Three seats, then. They are yours.", 2_400),
)
"""A person asks about trains, and cuts the model short twice."""


def an_hour() -> list[bytes]:
    """Three thousand six hundred seconds of it."""
    turns = [
        Turn(f"Question {number}?", " ".join(["and so on"] * 9) + ".", 5_000, 2_500 if number % 3 == 0 else None)
        for number in range(1, 560)
    ]
    return call(turns)
