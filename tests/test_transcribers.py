"""vLLM and Together: half a protocol on the wire, a session that transcribes to the program (facts 12.1, 14; S10)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from helpers.scene import Scene, configured, outcomes, sent, told
from helpers.wire import encode

from rtcore import (
    Disconnection,
    LocalProtocolError,
    Problem,
    ProtocolWarning,
    Send,
    ServerError,
    SessionClosed,
    UnknownEvent,
    UserTranscript,
    UserTranscriptDelta,
    UserTranscriptFailed,
)
from rtcore.config import Connection, SessionOptions

PCM = b"\1\0" * 3200
"""200 ms at 16 kHz."""


def opened(name: str, **session: Any) -> Scene:
    connection = Connection.model_validate({"dialect": name, "url": "ws://127.0.0.1:9", "model": "m"})
    scene = Scene(configured(connection=connection, session=SessionOptions.model_validate({"type": "transcription", **session})))
    scene.open()
    return scene


def said(scene: Scene, event: dict[str, Any], connection: int = 1) -> list[Any]:
    return scene.raw(encode(event), connection=connection)


def state(scene: Scene) -> str:
    return scene.session.state


def test_vllm_is_told_its_model_and_begins_with_its_first_event() -> None:  # facts 14
    scene = opened("vllm")
    [update] = [json.loads(bytes(effect.payload)) for effect in scene.connected() if isinstance(effect, Send)]
    assert {**update, "event_id": ""} == {"type": "session.update", "event_id": "", "model": "m"}
    assert state(scene) == "configuring"
    said(scene, {"type": "session.created", "id": "sess_1", "created": 1})
    assert state(scene) == "ready"
    assert (scene.session.input_format.rate, scene.session.capabilities.answers) == (16_000, False)


def test_a_turn_at_vllm_is_two_commits_and_its_words_have_the_id_of_the_turn() -> None:  # facts 14; S10
    scene = opened("vllm")
    scene.connected()
    said(scene, {"type": "session.created", "id": "sess_1"})
    scene.append(PCM)
    effects = scene.commit()
    assert [(event["type"], event.get("final")) for event in sent(effects)] == [
        ("input_audio_buffer.commit", None),
        ("input_audio_buffer.commit", True),
    ]
    assert outcomes(effects) == [(scene.request, "done")]
    for piece in ("Hello", " there."):
        said(scene, {"type": "transcription.delta", "delta": piece})
    said(scene, {"type": "transcription.done", "text": "Hello there.", "usage": {"prompt_tokens": 9, "total_tokens": 12}})
    assert [(each.item_id, each.delta) for each in told(scene.log, UserTranscriptDelta)] == [
        ("turn_1", "Hello"),
        ("turn_1", " there."),
    ]
    [words] = told(scene.log, UserTranscript)
    assert (words.item_id, words.text) == ("turn_1", "Hello there.")
    assert words.usage == {"type": "tokens", "input_tokens": 9, "total_tokens": 12}
    assert [(item.id, item.text) for item in scene.session.history] == [("turn_1", "Hello there.")]
    scene.append(PCM)
    scene.commit()
    said(scene, {"type": "transcription.done", "text": "Again.", "usage": None})
    assert [item.id for item in scene.session.history] == ["turn_1", "turn_2"]
    assert told(scene.log, ProtocolWarning) + told(scene.log, UnknownEvent) + told(scene.log, ServerError) == []


def test_an_error_of_vllm_is_a_text_and_one_while_it_writes_is_of_the_words() -> None:  # facts 14; F116
    scene = opened("vllm")
    scene.connected()
    said(scene, {"type": "session.created"})
    said(scene, {"type": "error", "error": "Invalid audio data", "code": "invalid_audio"})
    [error] = told(scene.log, ServerError)
    assert (error.problem.code, error.problem.remedy[:16]) == ("invalid_audio", "Append PCM16 at ")
    scene.append(PCM)
    scene.commit()
    said(scene, {"type": "error", "error": "out of memory", "code": "processing_error"})
    [failed] = told(scene.log, UserTranscriptFailed)
    assert (failed.item_id, failed.problem.message) == ("turn_1", "out of memory")


@pytest.mark.parametrize(
    ("session", "named"),
    [
        ({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}, "turn_detection.type = 'server_vad'"),
        ({"audio": {"input": {"transcription": {"model": "x"}}}}, "audio.input.transcription"),
        ({"audio": {"input": {"noise_reduction": {"type": "near_field"}}}}, "audio.input.noise_reduction"),
        ({"audio": {"input": {"format": "g711_ulaw"}}}, "audio.input.format"),
        ({"include": ["item.input_audio_transcription.logprobs"]}, "include"),
    ],
)
def test_what_vllm_has_not_is_refused_by_its_name(session: dict[str, Any], named: str) -> None:  # F133
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        opened("vllm", **session)


@pytest.mark.parametrize("name", ["vllm", "together"])
def test_a_server_that_only_transcribes_holds_no_conversation(name: str) -> None:
    with pytest.raises(ValueError, match=rf"type: servers of the {name} dialect only transcribe; set session\.type"):
        configured(connection=Connection.model_validate({"dialect": name, "url": "ws://127.0.0.1:9", "model": "m"}))
    scene = opened(name)
    scene.connected()
    said(scene, {"type": "session.created", "session": {"id": "s"}})
    assert scene.session.state == "ready"
    commands: list[Callable[[], object]] = [
        lambda: scene.session.respond(now=0.0),
        lambda: scene.session.send_text("Hi", now=0.0),
        lambda: scene.session.clear(now=0.0),
    ]
    for command in commands:
        with pytest.raises(LocalProtocolError):
            command()
    assert sent(scene.update({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}})) == []


def test_a_commit_of_too_little_leaves_it_where_the_server_cannot_forget() -> None:  # F123
    scene = opened("vllm")
    scene.connected()
    said(scene, {"type": "session.created"})
    scene.append(PCM[:320])
    effects = scene.commit()
    assert [event["type"] for event in sent(effects)] == ["input_audio_buffer.append"]
    assert outcomes(effects) == [(scene.request, "failed")]
    scene.append(PCM)
    assert outcomes(scene.commit()) == [(scene.request, "done")]


def test_together_is_configured_behind_its_first_event_and_says_its_answers_name() -> None:  # facts 14
    scene = opened("together", audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.3}}})
    assert sent(scene.connected()) == []
    [update] = sent(said(scene, {"type": "session.created", "session": {"id": "s"}}))
    vad = {"type": "server_vad", "threshold": 0.3, "min_silence_duration_ms": 500, "speech_pad_ms": 300}
    assert update == {"type": "transcription_session.updated", "session": {"turn_detection": vad}}
    said(scene, {"type": "transcription_session.updated", "session": {"turn_detection": vad}})
    assert scene.session.state == "ready"
    assert told(scene.log, ServerError) + told(scene.log, ProtocolWarning) == []


def test_together_says_its_words_whole_each_time_and_of_no_item() -> None:  # facts 14
    scene = opened("together")
    scene.connected()
    said(scene, {"type": "session.created", "session": {"id": "s"}})
    words = "conversation.item.input_audio_transcription"
    for piece in ("The", "The quick", "A quick fox", "A quick fox jumps"):
        said(scene, {"type": f"{words}.delta", "delta": piece})
    said(scene, {"type": f"{words}.completed", "transcript": "A quick fox jumps."})
    assert [(each.item_id, each.delta) for each in told(scene.log, UserTranscriptDelta)] == [
        ("turn_1", "The"),
        ("turn_1", " quick"),
    ]
    assert [(item.id, item.text) for item in scene.session.history] == [("turn_1", "A quick fox jumps.")]
    scene.append(PCM)
    assert outcomes(scene.commit()) == [(scene.request, "done")]
    said(scene, {"type": f"{words}.completed", "transcript": "More."})
    assert [item.text for item in scene.session.history] == ["A quick fox jumps.", "More."]


@pytest.mark.parametrize("name", ["vllm", "together"])
def test_another_connection_begins_anew(name: str) -> None:  # B26
    scene = opened(name)
    scene.connected()
    said(scene, {"type": "session.created", "session": {"id": "s"}})
    scene.at(1.0).disconnected(Disconnection(close_code=1006))
    assert scene.session.deadline is not None
    scene.at(scene.session.deadline.at).tick()
    scene.connected(2)
    assert state(scene) != "ready"
    said(scene, {"type": "session.created", "session": {"id": "t"}}, connection=2)
    assert state(scene) == "ready"
    assert told(scene.log, SessionClosed) == []


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b'{"type": 3}', b'{"type": "error", "error": 3}', b"[" * 5000])
@pytest.mark.parametrize("name", ["vllm", "together"])
def test_no_bytes_make_it_raise(name: str, payload: bytes) -> None:  # C29
    scene = opened(name)
    scene.connected()
    scene.raw(payload)
    said(scene, {"type": "session.created", "session": {"id": "s"}})
    scene.raw(payload)
    assert scene.session.state == "ready"
    assert len(told(scene.log, ProtocolWarning)) == 2


def test_a_first_event_that_shows_no_session_names_what_to_do() -> None:  # F132: vLLM, and nobody told
    scene = Scene(configured(connection=Connection(url="ws://127.0.0.1:9")))
    scene.open()
    scene.connected()
    said(scene, {"type": "session.created", "id": "sess_1", "created": 1})
    [closed] = told(scene.log, SessionClosed)
    assert isinstance(closed.problem, Problem)
    assert (closed.problem.code, "connection.dialect" in closed.problem.remedy) == ("unknown_dialect", True)


def test_together_wants_the_name_of_a_model() -> None:
    connection = Connection(dialect="together", api_key="k")
    scene = Scene(configured(connection=connection, session=SessionOptions.model_validate({"type": "transcription"})))
    with pytest.raises(LocalProtocolError, match=r"^model: Together wants"):
        scene.open()
