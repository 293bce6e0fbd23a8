"""S10: speech to text apart from the model: with, without, and instead of spoken answers (facts 8.1, 10.2, 12.1)."""

from typing import Any

import pytest
from helpers import wire
from helpers.scene import Scene, acts, configured, kinds, ready, sent, told
from pydantic import ValidationError

from rtcore import (
    Config,
    Connect,
    Disconnection,
    Flush,
    LocalProtocolError,
    Pause,
    SessionReady,
    UserTranscript,
    UserTranscriptDelta,
    UserTurnCommitted,
)
from rtcore.config import Connection

PREVIEW = Connection(dialect="azure-preview", url="wss://example.openai.azure.com", api_version="2024-10-01-preview", api_key="k")
LISTENING: dict[str, Any] = {
    "type": "transcription",
    "include": ["item.input_audio_transcription.logprobs"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "transcription": {"model": "gpt-4o-transcribe", "language": "en", "prompt": "Names of tea."},
            "noise_reduction": {"type": "near_field"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
        }
    },
}


def listening(**options: Any) -> Scene:
    """A session that only transcribes, acknowledged."""
    scene = Scene(configured(session={**LISTENING, **options}))
    scene.open()
    scene.connected()
    acknowledged = {"id": "sess_1", "object": "realtime.transcription_session", **LISTENING}
    scene.server([{"type": "session.created", "session": acknowledged}, {"type": "session.updated", "session": acknowledged}])
    return scene


def test_a_transcription_session_is_asked_for_whole_and_says_nothing_of_answers() -> None:
    [asked] = [event["session"] for event in sent(listening().log) if event["type"] == "session.update"]
    assert (asked["type"], asked["include"]) == ("transcription", LISTENING["include"])
    detection = asked["audio"]["input"].pop("turn_detection")
    assert set(detection) == {"type", "threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms"}
    assert asked["audio"]["input"] == {k: v for k, v in LISTENING["audio"]["input"].items() if k != "turn_detection"}
    assert "output" not in asked["audio"]


def test_each_line_of_it_is_dialled_as_one_that_only_transcribes() -> None:
    """The first, the one after a loss, and the second line of a renewal (facts 1.1, 1.7; B25, B26): none names a model."""
    acknowledged = {"id": "sess_1", "object": "realtime.transcription_session", **LISTENING}
    shown = [{"type": kind, "session": acknowledged} for kind in ("session.created", "session.updated")]
    scene = Scene(configured(session=LISTENING, reconnect={"jitter": 0.0}))
    scene.open()
    scene.connected()
    scene.server(shown)
    scene.disconnected(Disconnection(close_code=1006))
    due = scene.session.deadline
    assert due is not None and due.why == "reconnection"
    scene.at(due.at).tick()
    scene.connected(2)
    scene.server(shown, connection=2)
    scene._took(scene.session.renew(now=scene.now))
    assert [effect.request.url for effect in scene.log if isinstance(effect, Connect)] == [
        "wss://api.openai.com/v1/realtime?intent=transcription"
    ] * 3


def test_it_writes_down_what_is_said_and_never_answers() -> None:
    scene = listening()
    assert told(scene.log, SessionReady) == [SessionReady(1, "sess_1")]
    scene.server(
        wire.speech_started("u1"), wire.turn("u1"), wire.user_words("u1", "Gr"), wire.user_transcript("u1", "Green tea.")
    )
    scene.at(30.0).tick()
    assert [notice.item_id for notice in told(scene.log, UserTurnCommitted)] == ["u1"]
    assert [notice.delta for notice in told(scene.log, UserTranscriptDelta)] == ["Gr"]
    assert [notice.text for notice in told(scene.log, UserTranscript)] == ["Green tea."]
    assert [item.text for item in scene.session.history] == ["Green tea."]
    assert "response.create" not in kinds(scene.log)


def test_what_it_can_change_keeps_its_type() -> None:
    """Noise reduction and turn detection can be set, changed and switched off."""
    scene = listening()
    effects = scene.update({"audio": {"input": {"noise_reduction": None, "turn_detection": None}}})
    assert sent(effects) == [
        {
            "type": "session.update",
            "session": {"type": "transcription", "audio": {"input": {"noise_reduction": None, "turn_detection": None}}},
        }
    ]
    with pytest.raises(LocalProtocolError, match="for good"):
        scene.session.update({"type": "realtime"}, now=scene.now)


def test_a_conversation_stays_one() -> None:
    scene = ready()
    with pytest.raises(LocalProtocolError, match="for good"):
        scene.session.update({"type": "transcription"}, now=scene.now)


@pytest.mark.parametrize("command", ["respond", "send_text"])
def test_nobody_is_there_to_answer(command: str) -> None:
    scene = listening()
    arguments = ("Hello",) if command == "send_text" else ()
    with pytest.raises(LocalProtocolError, match="no model that answers"):
        getattr(scene.session, command)(*arguments, now=scene.now)


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        ({"instructions": "Be brief."}, "instructions"),
        ({"tools": []}, "tools"),
        ({"output_modalities": ["text"]}, "output_modalities"),
        ({"audio": {"output": {"voice": "marin"}}}, "audio.output"),
        ({"tracing": "auto"}, "tracing"),
    ],
)
def test_what_only_a_model_needs_is_refused(odd: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=f"has no {named}"):
        Config.model_validate({"session": {"type": "transcription", **odd}})


def test_the_preview_has_an_event_of_its_own() -> None:
    """Facts 12.1, events.json: transcription_session.update, .created, .updated."""
    session = {key: value for key, value in LISTENING.items() if key != "include"}
    scene = Scene(configured(connection=PREVIEW, session=session))
    scene.open()
    scene.connected()
    [asked] = sent(scene.log)
    assert asked == {
        "type": "transcription_session.update",
        "session": {
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "en", "prompt": "Names of tea."},
            "input_audio_noise_reduction": {"type": "near_field"},
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 300,
            },
        },
    }
    answer = {"id": "sess_9", "input_audio_format": "pcm16", "turn_detection": {"type": "server_vad"}}
    scene.server(
        [
            {"type": "transcription_session.created", "session": answer},
            {"type": "transcription_session.updated", "session": answer},
        ]
    )
    assert told(scene.log, SessionReady) == [SessionReady(1, "sess_9")]
    scene.server(wire.turn("u1"))
    assert "response.create" not in kinds(scene.log)


def test_a_dialect_without_such_sessions_says_so() -> None:
    connection = {"dialect": "xai", "api_key": "x" * 20}
    with pytest.raises(ValidationError, match="it has conversations only"):
        Config.model_validate({"connection": connection, "session": {"type": "transcription"}})


@pytest.mark.parametrize("modalities", [["audio"], ["text"]])
def test_beside_a_model_the_users_words_come_with_either_kind_of_answer(modalities: list[str]) -> None:
    scene = ready(configured(session={"output_modalities": modalities, "audio": {"input": {"transcription": {"model": "w"}}}}))
    scene.server(wire.turn("u1"), wire.created("r1"), wire.done("r1"), wire.user_transcript("u1", "Late words."))
    assert [notice.text for notice in told(scene.log, UserTranscript)] == ["Late words."]


def test_a_detector_s_silence_is_no_speech_there_either() -> None:  # B19
    """A voice is measured in such a session as in any, where the program's own sound may be interrupted."""
    scene = Scene(configured(session=LISTENING, interruption="pause"))
    scene.open()
    scene.connected()
    scene.server([{"type": "session.updated", "session": {"id": "sess_1", **LISTENING}}])
    scene.session.say(bytes(48_000 * 4), now=scene.now)
    scene.at(1.0).played(1, 1000)
    held = scene.server(wire.speech_started("u1"))
    assert (acts(held), acts(scene.at(1.799).tick()), acts(scene.at(1.8).tick())) == ([Pause(1)], [], [Flush(1)])


def test_defaults_that_are_told_behind_the_acknowledgement_change_nothing() -> None:  # C13: what counts is what was acknowledged
    scene = listening()
    late = scene.server(wire.session_created())
    turns = scene.server(wire.speech_started("u1"), wire.turn("u1"))
    assert "response.create" not in kinds(late + turns)
