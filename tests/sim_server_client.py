"""A blunt client for the tests of the simulated server: it says what it is told and writes down what it hears."""

import base64
import json
from functools import cache
from typing import Any

from rtcore.sim.server import ResponsePlan, Rules, Server, ServerOptions
from rtcore.sim.voices import Voice, synthetic_voices

Event = dict[str, Any]
USUAL = Rules()


@cache
def voices() -> tuple[Voice, ...]:
    """Synthetic voices, made once."""
    return synthetic_voices(5)


class Client:
    """A connected server and everything it said. ``now`` moves by ``until`` and ``run``."""

    def __init__(self, *script: ResponsePlan, seed: int = 1, rules: Rules | None = USUAL, **options: Any) -> None:
        options.setdefault("stragglers", (0, 0))
        self.server = Server(
            seed=seed, voices=voices(), options=ServerOptions(script=script, rules=rules, audio_ms=(300, 4000), **options)
        )
        self.now = 0.0
        self.raw: list[bytes] = []
        self.heard: list[Event] = []
        self._hear(self.server.connect(now=0.0))

    def _hear(self, payloads: list[bytes]) -> list[Event]:
        self.raw += payloads
        events = [event for event in map(_read, payloads) if event]
        self.heard += events
        return events

    def say(self, kind: str, **fields: Any) -> list[Event]:
        """One client event; what the server said at once."""
        return self.raw_say(json.dumps({"type": kind, **fields}).encode())

    def raw_say(self, payload: bytes) -> list[Event]:
        """Any bytes as a client message."""
        return self._hear(self.server.receive(payload, now=self.now))

    def speech(self, event: Any) -> list[Event]:
        """The user starts or stops."""
        return self._hear(self.server.user_speech(event, now=self.now))

    def audio(self, pcm: bytes, size: int = 1920) -> list[Event]:
        """Microphone audio in pieces of ``size`` bytes."""
        said = []
        for at in range(0, len(pcm), size):
            said += self.say("input_audio_buffer.append", audio=base64.b64encode(pcm[at : at + size]).decode())
        return said

    def until(self, now: float) -> list[Event]:
        """Let time pass, tick by tick."""
        said = []
        while (due := self.server.deadline) is not None and due <= now:
            self.now = due
            said += self._hear(self.server.tick(now=due))
        self.now = now
        return said

    def run(self) -> list[Event]:
        """Let everything that is under way come to its end (an hour at most)."""
        return self.until(3599.0)

    def until_event(self, kind: str) -> Event:
        """Let time pass until the server says this."""
        while (due := self.server.deadline) is not None:
            self.now = due
            for event in self._hear(self.server.tick(now=due)):
                if event["type"] == kind:
                    return event
        raise AssertionError(f"{kind} never came")

    def until_audio(self, samples: int, message: int = 0) -> str:
        """Let time pass until that much of the ``message``-th spoken message was sent; its id."""
        while True:
            spoken = [item for item in self.server.items.values() if any(part.kind == "audio" for part in item.parts)]
            if len(spoken) > message and sum(part.sent_samples for part in spoken[message].parts) >= samples:
                return spoken[message].id
            due = self.server.deadline
            assert due is not None
            self.now = due
            self._hear(self.server.tick(now=due))

    def session(self, **session: Any) -> list[Event]:
        """session.update in the dialect's shape."""
        if self.server.options.dialect == "openai":
            session["type"] = "realtime"
        return self.say("session.update", session=session)

    @property
    def errors(self) -> list[Event]:
        """Every error so far."""
        return [event["error"] for event in self.heard if event["type"] == "error"]


def _read(payload: bytes) -> Event | None:
    """An event, or None for what is none (malformed frames, sent beside the events)."""
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("type"), str) else None


def types(events: list[Event]) -> list[str]:
    """The events' types, with runs of deltas shown once."""
    shown: list[str] = []
    for event in events:
        if not (event["type"].endswith(".delta") and shown and shown[-1] == event["type"]):
            shown.append(event["type"])
    return shown
