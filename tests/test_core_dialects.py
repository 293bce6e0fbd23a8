"""The same conversation in both dialects is the same state, the same sound and the same verdicts (DESIGN section 5)."""

from collections.abc import Callable

import pytest
from helpers.scene import (
    Scene,
    acts,
    configured,
    create,
    kinds,
    outcomes,
    preview_config,
    ready,
    sent,
    sounded,
    talking,
    told,
    truncate,
    verdicts,
)
from helpers.wire import (
    SERVER_VAD,
    audio,
    call,
    cancelled,
    created,
    deleted,
    done,
    encode,
    message,
    opened,
    preview,
    session_created,
    session_updated,
    text_message,
    transcript,
    truncated,
    turn,
    user_item,
    user_transcript,
)

from rtcore import (
    PCMU,
    Connect,
    MessageEnded,
    ProtocolWarning,
    ToolCalled,
    UnknownEvent,
    UserTranscript,
    UserTranscriptDelta,
)
from rtcore.config import Connection, SessionOptions


def _two_parts(scene: Scene) -> None:
    """A story in two parts, heard to its end."""
    scene.server(created("r1"), message("m1", 500, "Part one."), message("m2", 300, "Part two.", index=1, previous="m1"), done())
    scene.at(0.5).played(1, 500)
    scene.at(0.8).played(1, 800)


def _cut_in_the_second(scene: Scene) -> None:
    """Barge-in in message two of three, and the next turn."""
    story = message("m1", 500, "One.") + message("m2", 500, "aaaa bbbb", index=1, previous="m1")
    scene.server(created("r1"), story, message("m3", 500, "Three.", index=2, previous="m2"), done("r1"))
    scene.at(0.7).barge_in(750)
    scene.server(truncated("m2", 250), deleted("m3"), turn("u1", previous="m2"), created("r2"), user_transcript("u1", "Wait."))
    scene.server(message("m4", 200, "Yes?", r="r2", previous="u1"), done("r2"))
    scene.at(1.0).played(2, 200)


def _before_the_first_sample(scene: Scene) -> None:
    """Barge-in between declaration and sound."""
    scene.server(created("r1"), opened("m1"), transcript("m1", "Once"))
    scene.barge_in(0)
    scene.server(audio("m1", 200), cancelled("r1"), deleted("m1"), turn("u1"))
    scene.server(created("r2"), text_message("m2", "Seen.", r="r2", previous="u1"), done("r2"))


def _tools(scene: Scene) -> None:
    """A preamble, a call, its result and the answer."""
    scene.server(created("r1"), message("m1", 300, "Let me see."), call("c1", '{"x": 1}', index=1, previous="m1"), done("r1"))
    scene.at(0.1).tool_result("c1", {"sun": True})
    scene.server(created("r2", request=scene.request), message("m2", 100, "Sun.", r="r2", previous="f_c1"), done("r2"))
    scene.at(0.4).played(1, 400)


def _interrupted_by_the_program(scene: Scene) -> None:
    """The program interrupts, types and asks for an answer."""
    scene.server(created("r1"), opened("m1"), audio("m1", 1000))
    scene.at(0.2).answering(scene.interrupt(), 200)
    scene.server(cancelled("r1", by="client_cancelled"), truncated("m1", 200))
    scene.say("Hello.")


VAD = {key: value for key, value in SERVER_VAD.items() if key != "idle_timeout_ms"}
ULAW = {"type": "audio/pcmu"}
SCRIPTS: list[Callable[[Scene], None]] = [
    _two_parts,
    _cut_in_the_second,
    _before_the_first_sample,
    _tools,
    _interrupted_by_the_program,
]


def _state(scene: Scene) -> list[object]:
    """Everything a program can see of the conversation, and everything that the clock was given."""
    edits = [event for event in sent(scene.log) if event["type"] != "session.update" and "item" not in event]
    bare = [{k: v for k, v in event.items() if k != "response"} for event in edits]
    return [scene.session.history, verdicts(scene.log), sounded(scene.log), scene.session.speaking, outcomes(scene.log), bare]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__.strip("_"))
def test_both_dialects_end_in_the_same_state(script: Callable[[Scene], None]) -> None:  # S02, C28
    ga, beta = ready(), ready(preview=True)
    script(ga)
    script(beta)
    assert _state(ga) == _state(beta)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__.strip("_"))
@pytest.mark.parametrize("in_preview_names", [False, True])
def test_a_clean_conversation_gives_no_warning(script: Callable[[Scene], None], in_preview_names: bool) -> None:  # S02, C28
    scene = ready(preview=in_preview_names)
    scene.server([{"type": "conversation.created", "conversation": {"id": "conv_1", "object": "realtime.conversation"}}])
    script(scene)
    assert (told(scene.log, ProtocolWarning), told(scene.log, UnknownEvent)) == ([], [])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__.strip("_"))
def test_names_of_either_generation_are_understood(script: Callable[[Scene], None]) -> None:  # F132, DESIGN 5
    ga, mixed = ready(), ready()
    mixed.preview = True
    script(ga)
    script(mixed)
    assert _state(ga) == _state(mixed)


def _paid_for(*, tokens: int, sound: bool) -> Scene:
    scene = ready()
    heard = audio("m1", 100) if sound else [{**event, "type": "response.voice.delta"} for event in audio("m1", 100)]
    usage = {"total_tokens": tokens, "output_token_details": {"audio_tokens": tokens, "text_tokens": 0}}
    for r in ("r1", "r2"):
        scene.server(created(r), heard if r == "r1" else [])
        [end] = done(r)
        scene.server([{**end, "response": {**end["response"], "usage": usage}}])
    return scene


def test_audio_that_was_paid_for_and_never_came_is_told_once() -> None:  # F132: connected, and no audio at all
    [told_of] = told(_paid_for(tokens=20, sound=False).log, ProtocolWarning)
    assert told_of.event_type == "response.done" and "no audio came" in told_of.reason and "openai" in told_of.detail
    assert told(_paid_for(tokens=0, sound=False).log, ProtocolWarning) == []
    assert told(_paid_for(tokens=20, sound=True).log, ProtocolWarning) == []


def test_an_interruption_sends_the_same_edits_in_both_dialects() -> None:  # S02, C28
    scenes = [talking(opened(), audio("m1", 2000), heard_ms=500, at=0.5, preview=dialect) for dialect in (False, True)]
    assert [sent(scene.barge_in(500)) for scene in scenes] == [[truncate("m1", 500)]] * 2


def test_the_preview_session_is_flat_and_has_no_type() -> None:  # S02, F133; facts 13
    options = SessionOptions.model_validate(
        {
            "instructions": "Be brief.",
            "output_modalities": ["audio"],
            "max_output_tokens": 100,
            "audio": {
                "input": {"format": ULAW, "turn_detection": VAD, "transcription": {"model": "whisper-1"}},
                "output": {"format": ULAW, "voice": "alloy"},
            },
        }
    )
    scene = Scene(preview_config(session=options), preview=True)
    scene.open()
    [event] = sent(scene.connected())
    assert {**event["session"], "modalities": sorted(event["session"]["modalities"])} == {
        "instructions": "Be brief.",
        "modalities": ["audio", "text"],
        "max_response_output_tokens": 100,
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": VAD,
        "voice": "alloy",
    }


def test_the_preview_s_format_is_understood() -> None:  # F016, C28
    assert ready(preview=True, output=ULAW).session.output_format == PCMU


def test_a_preview_deployment_is_dialled_by_its_names() -> None:  # S02; facts 1.1
    [dial] = Scene(preview_config()).open()
    assert isinstance(dial, Connect)
    assert (dial.request.url.split("?")[0], sorted(dial.request.url.split("?")[1].split("&"))) == (
        "wss://example.openai.azure.com/openai/realtime",
        ["api-version=2024-10-01-preview", "deployment=gpt-realtime-2"],
    )


def test_a_request_with_parameters_is_rendered_for_the_preview() -> None:  # C28; facts 13
    scene = ready(preview=True)
    [event] = sent(scene.respond({"output_modalities": ["text"], "max_output_tokens": 50}))
    assert event["response"] == {
        "modalities": ["text"],
        "max_response_output_tokens": 50,
        "metadata": {"rtcore_request": str(scene.request)},
    }


def test_a_plain_request_is_the_same_in_both_dialects() -> None:  # C28
    scenes = [ready(), ready(preview=True)]
    assert [acts(scene.respond()) for scene in scenes] == [[create(scene.request)] for scene in scenes]


def test_an_assistant_item_is_spelled_for_its_dialect() -> None:  # C28, F087; facts 13
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I said."}]}
    parts = [sent(scene.create_item(item))[0]["item"]["content"] for scene in (ready(), ready(preview=True))]
    assert parts == [[{"type": "output_text", "text": "I said."}], [{"type": "text", "text": "I said."}]]


def test_a_call_s_name_is_taken_from_its_item_where_the_event_lacks_it() -> None:  # C28; facts 4.5
    scene = talking(call("c1", '{"x": 1}', "look"), preview=True)
    assert [(e.name, e.arguments) for e in told(scene.log, ToolCalled)] == [("look", '{"x": 1}')]


def test_a_preview_item_is_announced_by_created() -> None:  # C28; facts 4.1
    scene = ready(preview=True)
    scene.server(user_item("a"), user_item("b", previous="a"))
    assert [item.id for item in scene.session.history] == ["a", "b"]


def test_an_acknowledgement_in_the_other_generation_s_shape_is_understood() -> None:  # DESIGN 5: read_session takes either shape
    scene = Scene(configured())
    scene.open()
    scene.connected()
    for event in preview(session_created() + session_updated(output=ULAW)):
        scene.raw(encode(event))
    assert (scene.session.state, scene.session.output_format) == ("ready", PCMU)


def test_every_message_of_a_preview_conversation_ends() -> None:  # S02: no silence until re-triggered
    scene = ready(preview=True)
    _two_parts(scene)
    assert ([(e.item_id, e.text) for e in told(scene.log, MessageEnded)], kinds(scene.log)) == (
        [("m1", "Part one."), ("m2", "Part two.")],
        ["session.update"],
    )


# -- words that are said whole each time -------------------------------------------------------------------------------------


def heard_so_far(*said: str, dialect: str = "xai", whole: str | None = None) -> Scene:
    scene = Scene(configured(connection=Connection.model_validate({"dialect": dialect, "api_key": "k"})))
    scene.open()
    scene.connected()
    scene.server(session_created(), session_updated())
    stem = "conversation.item.input_audio_transcription"
    for words in said:
        scene.raw(encode({"type": f"{stem}.updated", "item_id": "u1", "content_index": 0, "transcript": words}))
    if whole is not None:
        done = {"type": f"{stem}.completed", "item_id": "u1", "content_index": 0, "transcript": whole, "status": "completed"}
        scene.raw(encode(done))
        scene.raw(encode({"type": f"{stem}.updated", "item_id": "u1", "content_index": 0, "transcript": whole + " late"}))
    return scene


def test_the_words_so_far_of_xai_are_told_as_they_come() -> None:  # S10; facts 14
    scene = heard_so_far("How", "How", "How are", "How are you", whole="How are you?")
    pieces = told(scene.log, UserTranscriptDelta)
    assert [piece.delta for piece in pieces] == ["How", " are", " you"]
    assert {(piece.item_id, piece.content_index) for piece in pieces} == {("u1", 0)}
    assert [whole.text for whole in told(scene.log, UserTranscript)] == ["How are you?"]
    assert told(scene.log, UnknownEvent) == []


def test_words_that_xai_takes_back_are_set_right_by_the_whole() -> None:  # S10; facts 14
    scene = heard_so_far("I scream", "Ice cream", "I scream loud", whole="Ice cream, please.")
    assert [piece.delta for piece in told(scene.log, UserTranscriptDelta)] == ["I scream", " loud"]
    assert [whole.text for whole in told(scene.log, UserTranscript)] == ["Ice cream, please."]


def test_words_so_far_are_nobodys_event_but_xais_and_a_broken_one_is_a_warning() -> None:  # B27
    scene = heard_so_far("How", dialect="openai")
    assert told(scene.log, UserTranscriptDelta) == []
    assert [event.event_type for event in told(scene.log, UnknownEvent)] == [
        "conversation.item.input_audio_transcription.updated"
    ]
    scene = heard_so_far()
    scene.raw(encode({"type": "conversation.item.input_audio_transcription.updated", "transcript": 7}))
    assert [warning.event_type for warning in told(scene.log, ProtocolWarning)] == [
        "conversation.item.input_audio_transcription.updated"
    ]
