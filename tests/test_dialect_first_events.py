"""A dialect that was not told, known by its server's first event: none is taken for another's (F132, F133; facts 14)."""

import json
from typing import Any

import pytest
from helpers.scene import Scene, configured, sent, told

from rtcore import SessionClosed
from rtcore.config import Connection
from rtcore.dialects import DIALECTS, recognised, suspected
from rtcore.sim._server_dialects import MANNERS
from rtcore.sim._server_plan import Rules
from rtcore.sim._server_wire import Wire, default_session, shown_session

OWN = {"azure-voice-live", "xai", "qwen", "glm"}
"""Whose strict server shows what no other's does."""
ASKED = {"inworld", "stepfun"}
"""Whose strict server begins as another may be made to begin: the error names them."""
LIKE = {
    **dict.fromkeys(("openai", "azure", "localai", "speech-to-speech"), "openai"),
    **dict.fromkeys(("openai-beta", "azure-preview", "speaches"), "openai-beta"),
}
"""The protocol's own, and those that look like it in everything."""


MODELS = {
    "qwen": "qwen3-omni-flash-realtime",
    "glm": "glm-realtime-flash",
    "inworld": "openai/gpt-4o-mini",
    "stepfun": "step-audio-2",
}
"""What their models are called (facts 14, the vendors' pages)."""


def strict(name: str) -> dict[str, Any]:
    """The session that the strict server of a dialect shows first."""
    wire, rules = Wire(name), Rules()
    session = shown_session(default_session(wire, rules), rules)
    return wire.session(session, identity="sess_1", model=MODELS.get(name, "m"), expires_at=1)


FLAT = {"id": "x", "object": "realtime.session", "modalities": ["text", "audio"], "input_audio_format": "pcm16"}
VAD = {"type": "server_vad"}
PCM = {**FLAT, "input_audio_format": "pcm", "output_audio_format": "pcm", "turn_detection": VAD}
PCM16 = {**FLAT, "output_audio_format": "pcm16", "turn_detection": VAD}
SEMANTIC = {"input": {"turn_detection": {"type": "semantic_vad"}}}
GA = {"id": "x", "type": "realtime", "tracing": None, "truncation": "auto", "audio": SEMANTIC}
FACTS: dict[str, tuple[dict[str, Any], str | None, tuple[str, ...]]] = {
    "qwen": ({**FLAT, "voice": "Cherry", "output_audio_format": "pcm24", "turn_detection": VAD}, "qwen", ("qwen",)),
    "qwen, as its pages have it": ({**PCM, "model": "qwen3-omni-flash-realtime"}, "qwen", ("qwen",)),
    "qwen, older": ({**PCM16, "model": "Qwen-Omni-Turbo-Realtime"}, "qwen", ("qwen",)),
    "qwen or glm": (PCM, None, ("qwen", "glm")),
    "qwen or glm, a model of no vendor's": ({**PCM, "model": "mine"}, None, ("qwen", "glm")),
    "qwen, or a server of one's own": ({**PCM16, "model": "qwen3:8b"}, None, ("qwen",)),
    "openai, with Qwen behind it": ({**GA, "model": "qwen3-omni-realtime", "audio": {"input": {}}}, "openai", ()),
    "glm, its model": ({**PCM, "model": "glm-realtime-air"}, "glm", ("glm",)),
    "qwen's model and glm's turns": (
        {**PCM, "model": "qwen3-omni-flash-realtime", "turn_detection": {"type": "client_vad"}},
        None,
        ("qwen", "glm"),
    ),
    "glm, WAV": ({"id": "x", "input_audio_format": "wav", "output_audio_format": "pcm"}, "glm", ("glm",)),
    "glm, WAV at a rate": ({"id": "x", "input_audio_format": "wav48", "output_audio_format": "mp3"}, "glm", ("glm",)),
    "glm, its own fields": ({**FLAT, "beta_fields": {"chat_mode": "audio"}}, "glm", ("glm",)),
    "glm, manual": ({**FLAT, "turn_detection": {"type": "client_vad"}}, "glm", ("glm",)),
    "xai": ({"id": "x", "voice": "Ara", "turn_detection": VAD, "audio": {"input": {}, "output": {}}}, "xai", ("xai",)),
    "voice live": ({**FLAT, "voice": {"type": "azure-standard", "name": "x"}}, "azure-voice-live", ("azure-voice-live",)),
    "voice live, its own turn detection": (
        {**FLAT, "turn_detection": {"type": "azure_semantic_vad"}},
        "azure-voice-live",
        ("azure-voice-live",),
    ),
    "speech-to-speech": (
        {"id": "x", "type": "realtime", "audio": None, "output_modalities": None},
        "speech-to-speech",
        ("speech-to-speech",),
    ),
    "inworld": (
        {"id": "x", "type": "realtime", "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}},
        None,
        ("inworld",),
    ),
    "inworld, its model": ({**GA, "model": "openai/gpt-4.1-nano"}, None, ("inworld",)),
    "inworld, its voice": ({**GA, "model": "m", "audio": {**SEMANTIC, "output": {"model": "inworld-tts"}}}, None, ("inworld",)),
    "inworld, a model that says nothing": ({"id": "x", "type": "realtime", "model": "m", "audio": SEMANTIC}, None, ("inworld",)),
    "openai, opened with semantic_vad": ({"type": "realtime", "model": "gpt-realtime", "audio": SEMANTIC}, "openai", ()),
    "openai, a deployment opened with semantic_vad": ({**GA, "model": "mine"}, "openai", ()),
    "openai-beta, a deployment opened for manual turns": (
        {**PCM16, "model": "mine", "turn_detection": None},
        "openai-beta",
        (),
    ),
    "stepfun": ({**FLAT, "output_audio_format": "pcm16", "turn_detection": None}, None, ("stepfun",)),
    "together": ({"id": "x", "object": "realtime.session", "modalities": ["audio"]}, None, ("together",)),
    "together, its format": ({"id": "x", "input_audio_format": "pcm_s16le_16000"}, None, ("together",)),
    "vllm": ({}, None, ("vllm", "together")),
    "openai": ({"id": "x", "type": "realtime", "audio": {"input": {"turn_detection": VAD}}}, "openai", ()),
    "openai, listening": ({"id": "x", "type": "transcription", "audio": {"input": {}}}, "openai", ()),
    "stepfun, its model": (
        {**FLAT, "model": "step-audio-2", "output_audio_format": "pcm16", "turn_detection": None},
        None,
        ("stepfun",),
    ),
    "openai-beta, opened for manual turns": (
        {**FLAT, "model": "gpt-realtime", "output_audio_format": "pcm16", "turn_detection": None},
        "openai-beta",
        (),
    ),
    "openai-beta": ({**FLAT, "output_audio_format": "g711_ulaw", "turn_detection": VAD}, "openai-beta", ()),
    "fields of no dialect": ({"id": "x", "input_audio_format": "opus"}, None, ()),
}


def test_every_dialect_has_a_first_event_here() -> None:
    assert set(MANNERS) == OWN | ASKED | set(LIKE)
    assert set(DIALECTS) - set(MANNERS) == {"vllm", "together"}


@pytest.mark.parametrize("name", sorted(MANNERS))
def test_the_first_event_of_a_strict_server_is_taken_for_no_other_dialect(name: str) -> None:  # F132, F133
    shown = strict(name)
    found = recognised(shown)
    if name in ASKED:
        assert found is None and [table.name for table in suspected(shown)] == [name]
    else:
        assert found is not None and found.name == LIKE.get(name, name)


@pytest.mark.parametrize("case", FACTS)
def test_the_first_event_of_the_facts_is_taken_for_no_other_dialect(case: str) -> None:  # F132, F133
    shown, name, looks = FACTS[case]
    found = recognised(shown)
    assert (found and found.name) == name
    assert tuple(table.name for table in suspected(shown)) == looks


def untold(shown: dict[str, Any]) -> tuple[Scene, list[dict[str, Any]]]:
    scene = Scene(configured(connection=Connection(url="ws://127.0.0.1:9")))
    scene.open()
    scene.connected()
    return scene, sent(scene.raw(json.dumps({"type": "session.created", "session": shown}).encode()))


@pytest.mark.parametrize("case", ["qwen", "qwen, as its pages have it", "qwen, older"])
def test_qwen_at_an_unknown_host_is_listened_to_at_its_own_rate(case: str) -> None:  # F132
    scene, _ = untold(FACTS[case][0])
    scene.raw(json.dumps({"type": "session.updated", "session": FACTS[case][0]}).encode())
    assert (scene.session.state, scene.session.input_format.rate) == ("ready", 16_000)
    assert not scene.session.capabilities.truncate


@pytest.mark.parametrize("case", [case for case, (_, name, looks) in FACTS.items() if name is None and looks])
def test_a_first_event_that_more_than_one_may_send_asks_for_the_dialect(case: str) -> None:  # F132
    shown, _, looks = FACTS[case]
    scene, events = untold(shown)
    assert events == []
    [closed] = told(scene.log, SessionClosed)
    assert closed.problem is not None and closed.problem.code == "unknown_dialect"
    assert all(name in closed.problem.message for name in looks)
    assert "Set connection.dialect" in closed.problem.remedy


def glm(**shown: Any) -> Scene:
    scene = Scene(configured(connection=Connection.model_validate({"dialect": "glm", "api_key": "k"})))
    scene.open()
    [update] = sent(scene.connected())
    # It takes WAV unless it is told otherwise (facts 14).
    assert (update["session"]["input_audio_format"], update["session"]["output_audio_format"]) == ("pcm24", "pcm")
    scene.raw(json.dumps({"type": "session.created", "session": {"id": "x", **shown}}).encode())
    return scene


@pytest.mark.parametrize(
    "shown", [{}, {"input_audio_format": "wav"}, {"input_audio_format": "wav48", "output_audio_format": "mp3"}]
)
def test_a_format_that_the_server_only_begins_with_ends_nothing(shown: dict[str, Any]) -> None:  # S09; F016
    """What counts is what the server acknowledges: its answer to our update is still to come."""
    scene = glm(**shown)
    assert scene.session.state == "configuring"
    updated = {"id": "x", "input_audio_format": "pcm24", "output_audio_format": "pcm"}
    scene.raw(json.dumps({"type": "session.updated", "session": updated}).encode())
    assert (scene.session.state, scene.session.input_format.rate) == ("ready", 24_000)


def test_a_format_that_the_server_acknowledges_and_nobody_knows_ends_the_session() -> None:  # S09; F016
    scene = glm(input_audio_format="wav")
    scene.raw(json.dumps({"type": "session.updated", "session": {"id": "x", "input_audio_format": "wav"}}).encode())
    [closed] = told(scene.log, SessionClosed)
    assert closed.problem is not None and closed.problem.code == "unsupported_format"


@pytest.mark.parametrize("name", ["glm", "stepfun"])
def test_a_server_that_begins_without_turn_detection_is_not_waited_for(name: str) -> None:  # C13; facts 14
    """Nothing was said of it, and nothing is shown: it is off, and turns are the program's."""
    scene = Scene(configured(connection=Connection.model_validate({"dialect": name, "api_key": "k"})))
    scene.open()
    scene.connected()
    for kind in ("created", "updated"):
        scene.raw(json.dumps({"type": f"session.{kind}", "session": {"id": "x"}}).encode())
    assert scene.session.state == "ready"
    assert not scene.session._core.acknowledged.detects_turns
