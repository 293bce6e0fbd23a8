"""The report that this project began with: GPT-Realtime-2 on an Azure preview deployment answers in several messages, and the
client plays the first of them, or nothing until it is asked again. Replayed against the strict server: everything is heard, in
order, without a warning, turn after turn (S01, S02, B06, F026, F132, F133).
"""

import pytest
from helpers.strict import Strict
from msgspec import structs

from rtcore import (
    ClockFault,
    MessageEnded,
    OptionDiffers,
    Play,
    ProtocolWarning,
    ServerError,
    SpeakingStarted,
    SpeakingStopped,
    UnknownEvent,
    Verdict,
)
from rtcore.config import Config
from rtcore.sim._server_plan import Interleaving
from rtcore.sim.server import MessagePlan, PartPlan, ResponsePlan, Rules, ServerOptions

STORY = ResponsePlan(
    output=(
        MessagePlan((PartPlan(audio_ms=1200),), "commentary"),
        MessagePlan((PartPlan(audio_ms=1700),), "commentary"),
        MessagePlan((PartPlan(audio_ms=900),), "final_answer"),
    ),
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


@pytest.mark.parametrize("interleaving", ["sequential", "announced", "ahead", "late_close"])
@pytest.mark.parametrize("turns", [1, 4])
def test_every_message_of_every_answer_is_heard_in_order_without_a_warning(turns: int, interleaving: Interleaving) -> None:
    """However the messages follow one another on the wire: one by one, announced early, with words ahead, or closed late."""
    story = structs.replace(STORY, interleaving=interleaving)
    options = ServerOptions(dialect="azure-preview", model="gpt-realtime-2", rules=Rules(), script=(story,) * turns)
    line = Strict(Config.model_validate(CONFIG), options)
    for _ in range(turns):
        line.spoken_to()
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
