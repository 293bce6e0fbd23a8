"""The report that this project began with: GPT-Realtime-2 on an Azure preview deployment answers in several messages, and the
client plays the first of them, or nothing until it is asked again. Replayed against the strict server: everything is heard, in
order, without a warning, turn after turn (S01, S02, B06, F026, F132, F133).
"""

import json
from typing import Any

import pytest

from rtcore import (
    ClockFault,
    MessageEnded,
    OptionDiffers,
    Play,
    ProtocolWarning,
    Send,
    ServerError,
    Session,
    SpeakingStarted,
    SpeakingStopped,
    UnknownEvent,
    Verdict,
)
from rtcore.config import Config
from rtcore.sim.server import MessagePlan, PartPlan, ResponsePlan, Rules, Server, ServerOptions
from rtcore_adapters.voices import load_voices

STORY = ResponsePlan(
    output=(
        MessagePlan((PartPlan(audio_ms=1200),), "commentary"),
        MessagePlan((PartPlan(audio_ms=1700),), "commentary"),
        MessagePlan((PartPlan(audio_ms=900),), "final_answer"),
    ),
    interleaving="announced",
)
CONFIG = {
    "connection": {
        "dialect": "azure-preview",
        "url": "https://resource.openai.azure.com",
        "deployment": "gpt-realtime-2",
        "api_version": "2024-10-01-preview",
        "api_key": "key",
    },
    "session": {
        "output_modalities": ["audio"],
        "audio": {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"format": "pcm16"}},
    },
}


class Line:
    """A session and a server with nothing between them, and a clock that has sounded whatever it was given."""

    def __init__(self, turns: int) -> None:
        options = ServerOptions(dialect="azure-preview", model="gpt-realtime-2", rules=Rules(), script=(STORY,) * turns)
        self.server = Server(seed=5, voices=load_voices(), options=options)
        self.session = Session(Config.model_validate(CONFIG), seed=5)
        self.now = 0.0
        self.log: list[Any] = []
        self.sent: list[dict[str, Any]] = []
        self.played: dict[int, int] = {}
        self.took(self.session.open(now=self.now))
        self.said(self.server.connect(now=self.now))
        self.took(self.session.connected(1, now=self.now))

    def took(self, effects: list[Any]) -> None:
        for effect in effects:
            self.log.append(effect)
            match effect:
                case Send(payload=payload):
                    self.sent.append(json.loads(bytes(payload)))
                    self.said(self.server.receive(bytes(payload), now=self.now))
                case Play(pcm=pcm, generation=generation):
                    self.played[generation] = self.played.get(generation, 0) + len(pcm) // 2
                case _:
                    pass

    def said(self, messages: list[bytes]) -> None:
        for message in messages:
            self.took(self.session.receive(1, message, now=self.now))

    def sounds(self) -> None:
        """The clock has sounded whatever it was given, and says so."""
        for generation, samples in list(self.played.items()):
            self.took(self.session.played(generation, samples, now=self.now))

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.server.deadline is not None and self.server.deadline <= until:
            self.now = max(self.now, self.server.deadline)
            self.said(self.server.tick(now=self.now))
            self.sounds()
        self.now = until
        self.took(self.session.tick(now=self.now))


@pytest.mark.parametrize("turns", [1, 4])
def test_every_message_of_every_answer_is_heard_in_order_without_a_warning(turns: int) -> None:
    line = Line(turns)
    for _ in range(turns):
        line.said(line.server.user_speech("started", now=line.now))
        line.wait(0.5)
        line.said(line.server.user_speech("stopped", now=line.now))
        line.wait(30)
    spoken = [item for item in line.server.items.values() if item.role == "assistant"]
    ends = [effect for effect in line.log if isinstance(effect, MessageEnded)]
    assert len(spoken) == 3 * turns
    assert [(end.item_id, end.verdict, end.heard_ms) for end in ends] == [
        (item.id, Verdict.FULL, item.parts[0].format.ms(item.parts[0].sent_samples)) for item in spoken
    ]
    sounded = b"".join(bytes(effect.pcm) for effect in line.log if isinstance(effect, Play))
    assert sounded == b"".join(part.audio for item in spoken for part in item.parts)
    assert [type(e) for e in line.log if isinstance(e, SpeakingStarted | SpeakingStopped)] == [
        SpeakingStarted,
        SpeakingStopped,
    ] * turns
    odd = (ProtocolWarning, UnknownEvent, ServerError, OptionDiffers, ClockFault)
    assert not [effect for effect in line.log if isinstance(effect, odd)]
    assert not line.server.refusals
    # Nobody asked again, and nobody told the server anything: only the session was configured, with sound and its text.
    assert [event["type"] for event in line.sent] == ["session.update"]
    assert line.sent[0]["session"]["modalities"] == ["audio", "text"]
