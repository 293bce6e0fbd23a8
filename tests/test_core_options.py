"""Options changed at run time: what is sent, what counts, what differs, and what cannot change (S09, F135, F138)."""

from typing import Any

import pytest
from helpers import wire
from helpers.scene import Scene, configured, kinds, outcomes, ready, sent, talking, told

from rtcore import Config, LocalProtocolError, OptionDiffers, SessionChanged, SessionReady
from rtcore._differences import differences
from rtcore.config import AudioInput, AudioOptions, SessionOptions, Transcription
from rtcore.dialects import DIALECTS

VAD = wire.SERVER_VAD


def asked(scene: Scene, changes: dict[str, Any]) -> Any:
    """The session object of the update that these changes lead to."""
    [update] = sent(scene.update(changes))
    assert update["type"] == "session.update"
    return update["session"]


def test_only_what_changed_is_sent_and_turn_detection_whole() -> None:  # S09, F122, F138
    scene = ready()
    assert asked(scene, {"instructions": "Be brief."}) == {"type": "realtime", "instructions": "Be brief."}
    scene.server(wire.session_updated(instructions="Be brief."))
    assert asked(scene, {"audio": {"input": {"turn_detection": {"threshold": 0.8}}}}) == {
        "type": "realtime",
        "audio": {"input": {"turn_detection": {**VAD, "threshold": 0.8}}},
    }


def test_what_the_server_acknowledged_is_what_the_core_acts_on_and_the_difference_is_told() -> None:  # S09, DESIGN 2
    scene = talking(wire.message("m1", 1000))
    scene.update({"audio": {"input": {"turn_detection": {"interrupt_response": False}}}, "instructions": "Be brief."})
    # It takes the words, and goes on interrupting by itself.
    effects = scene.server(wire.session_updated(instructions="Be brief."))
    assert outcomes(effects) == [(scene.request, "done")]
    assert told(effects, SessionChanged) == [SessionChanged(1)]
    detection = "audio.input.turn_detection"
    assert told(effects, OptionDiffers) == [
        OptionDiffers(f"{detection}.create_response", False, True),
        OptionDiffers(f"{detection}.interrupt_response", False, True),
    ]
    assert "response.cancel" not in kinds(scene.barge_in(100))  # the server does it


def test_a_difference_is_told_when_the_session_begins() -> None:  # S09
    scene = Scene(configured(session={"audio": {"output": {"voice": "cedar", "speed": 1.2}}}))
    scene.open()
    scene.connected()
    effects = scene.server(wire.session_created(), wire.session_updated())
    notices = [effect for effect in effects if isinstance(effect, SessionReady | OptionDiffers)]
    assert notices == [
        SessionReady(1, "sess_1"),
        OptionDiffers("audio.output.voice", "cedar", "marin"),
        OptionDiffers("audio.output.speed", 1.2, 1.0),
    ]


def test_a_change_that_nobody_asked_for_is_no_difference() -> None:  # S09
    scene = ready()
    effects = scene.server(wire.session_updated(instructions="The server's own."))
    assert (told(effects, SessionChanged), told(effects, OptionDiffers)) == ([SessionChanged(1)], [])


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ({"speed": 0.8}, {"speed": 0.800000011920929}),
        ({"instructions": "Be brief. "}, {"instructions": "Be brief."}),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}}}}, {"audio": {"output": {"format": "pcm16"}}}),
        ({"audio": {"output": {"voice": "alloy"}}}, {"audio": {"output": {"voice": {"type": "openai", "name": "alloy"}}}}),
        ({"audio": {"output": {"voice": {"id": "voice_1"}}}}, {"audio": {"output": {"voice": "voice_1"}}}),
        ({"tools": [{"type": "function", "name": "look"}]}, {"tools": [{"type": "function", "name": "look", "strict": False}]}),
        ({"tools": [{"type": "mcp", "authorization": "secret"}]}, {"tools": [{"type": "mcp", "authorization": "***"}]}),
        ({"audio": {"input": {"turn_detection": {**VAD}}}}, {"audio": {"input": {"turn_detection": {**VAD, "eagerness": None}}}}),
        ({"audio": {"input": {"turn_detection": VAD}}}, {"audio": {"input": {"turn_detection": {"create_response": None}}}}),
        ({"instructions": "Be brief."}, {"instructions": None}),
        ({"instructions": "Be brief."}, {}),
        ({"model": "gpt-realtime"}, {"model": "gpt-realtime-2025-08-28"}),
        ({"vendor": {"x": 1}}, {"vendor": {}}),
    ],
)
def test_what_means_the_same_is_no_difference(wanted: Any, given: Any) -> None:  # S09, C13, F016
    assert [*differences(wanted, given)] == []


@pytest.mark.parametrize(
    ("wanted", "given", "found"),
    [
        ({"audio": {"input": {"turn_detection": None}}}, {"audio": {"input": {"turn_detection": VAD}}}, ("turn_detection", VAD)),
        ({"audio": {"input": {"transcription": {"model": "x"}}}}, {"audio": {"input": {"transcription": None}}}, ("n", None)),
        ({"output_modalities": ["text"]}, {"output_modalities": ["audio"]}, ("output_modalities", ["audio"])),
        ({"tools": [{"name": "look"}]}, {"tools": []}, ("tools", [])),
        ({"tools": [{"name": "look"}]}, {"tools": [{"name": "listen"}]}, ("tools", ["listen"])),
        ({"audio": {"output": {"format": {"type": "audio/pcmu"}}}}, {"audio": {"output": {"format": "pcm16"}}}, ("t", "pcm16")),
        ({"max_output_tokens": 100}, {"max_output_tokens": "inf"}, ("max_output_tokens", "inf")),
        (
            {"audio": {"input": {"turn_detection": {"interrupt_response": False}}}},
            {"audio": {"input": {"turn_detection": {"interrupt_response": None}}}},
            ("interrupt_response", True),
        ),
    ],
)
def test_what_means_something_else_is_named(wanted: Any, given: Any, found: tuple[str, Any]) -> None:  # S09, C13
    [(option, _, instead)] = differences(wanted, given)
    assert (option.endswith(found[0]), instead) == (True, found[1])


def test_the_voice_is_fixed_once_the_model_has_spoken() -> None:  # F135, facts 2.4: refused before it is sent
    scene = ready()
    assert asked(scene, {"audio": {"output": {"voice": "cedar"}}})["audio"] == {"output": {"voice": "cedar"}}
    scene = talking(wire.message("m1", 100))
    before = len(scene.log)
    with pytest.raises(LocalProtocolError, match=r"audio\.output\.voice: the voice is fixed once the model has spoken"):
        scene.update({"audio": {"output": {"voice": "alloy"}}})
    assert len(scene.log) == before


def test_the_voice_it_has_may_be_named_again() -> None:  # S09: nothing changes, so nothing is refused
    scene = talking(wire.message("m1", 100))
    assert asked(scene, {"audio": {"output": {"voice": "marin", "speed": 1.1}}})["audio"] == {"output": {"speed": 1.1}}


def test_what_is_so_already_is_not_sent_and_settles_at_once() -> None:  # S09
    scene = ready(instructions="Be brief.")
    effects = scene.update({"instructions": "Be brief.", "audio": {"input": {"turn_detection": VAD}}})
    assert (sent(effects), outcomes(effects)) == ([], [(scene.request, "done")])
    assert asked(scene, {"instructions": "Be brief.", "tools": [{"type": "function", "name": "look"}]}) == {
        "type": "realtime",
        "tools": [{"type": "function", "name": "look"}],
    }


def test_a_change_back_is_sent_while_the_change_is_not_acknowledged() -> None:  # S09: nobody knows yet what is so
    scene = ready(instructions="Be brief.")
    scene.update({"instructions": "Be long."})
    assert asked(scene, {"instructions": "Be brief."})["instructions"] == "Be brief."


def test_the_model_cannot_be_changed() -> None:  # facts 2.4: refused before it is sent
    with pytest.raises(LocalProtocolError, match=r"model.*fixed by the connection"):
        ready().update({"model": "gpt-realtime-mini"})


def test_tracing_that_is_on_cannot_be_changed() -> None:  # facts 2.10
    scene = ready(tracing="auto")
    with pytest.raises(LocalProtocolError, match="tracing"):
        scene.update({"tracing": {"workflow_name": "calls"}})


# -- a part of an object that the server takes whole -----------------------------------------------------------------------------

WRITTEN = {"model": "gpt-4o-transcribe", "language": "en", "prompt": "Names."}


def side(**options: Any) -> dict[str, Any]:
    return {"audio": {"input": options}}


@pytest.mark.parametrize(
    ("has", "change", "sends"),
    [
        (side(transcription=WRITTEN), side(transcription={"language": "de"}), side(transcription={**WRITTEN, "language": "de"})),
        (
            side(noise_reduction={"type": "near_field", "strength": 0.4}),
            side(noise_reduction={"strength": 0.9}),
            side(noise_reduction={"type": "near_field", "strength": 0.9}),
        ),
        (side(format={"type": "audio/pcm", "rate": 24_000}), side(format={"rate": 24_000}), None),
        (
            {"prompt": {"id": "p", "version": "2", "variables": {"a": 1}}},
            {"prompt": {"id": "p", "version": "3"}},
            {"prompt": {"id": "p", "version": "3", "variables": {"a": 1}}},
        ),
        ({"prompt": {"id": "p", "version": "2"}}, {"prompt": {"id": "q"}}, {"prompt": {"id": "q"}}),
        (
            {"truncation": {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 900}}},
            {"truncation": {"retention_ratio": 0.8}},
            {"truncation": {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 900}}},
        ),
        ({"tracing": {"workflow_name": "calls", "group_id": "g"}}, {"tracing": {"workflow_name": "calls"}}, None),
    ],
)
def test_a_part_of_an_object_is_sent_with_the_rest_of_it(has: Any, change: Any, sends: Any) -> None:  # S09, F122; facts 2.1
    scene = ready(configured(session=has), **has)
    if sends is None:
        assert sent(scene.update(change)) == []
    else:
        assert asked(scene, change) == {"type": "realtime", **sends}


def test_a_part_is_of_what_was_asked_for_last() -> None:  # S09: the server answers in order, and each of them whole
    scene = ready()
    scene.update(side(transcription=WRITTEN))
    assert (
        asked(scene, side(transcription={"language": "de"}))["audio"]
        == side(transcription={**WRITTEN, "language": "de"})["audio"]
    )


@pytest.mark.parametrize(
    "change",
    [
        side(transcription=Transcription(language="de")),
        {"audio": {"input": AudioInput(transcription=Transcription(language="de"))}},
        {"audio": AudioOptions(input=AudioInput(transcription=Transcription(language="de")))},
    ],
)
def test_a_part_may_be_an_object_of_options(change: dict[str, Any]) -> None:  # S09, F122
    scene = ready(configured(session=side(transcription=WRITTEN)), **side(transcription=WRITTEN))
    assert asked(scene, change)["audio"]["input"] == {"transcription": {**WRITTEN, "language": "de"}}


def test_another_model_keeps_what_any_model_has() -> None:  # facts 10: a delay is of one model alone, and refused by others
    has = side(transcription={"model": "gpt-realtime-whisper", "language": "en", "delay": "low"})
    scene = ready(configured(session=has), **has)
    change = side(transcription={"model": "whisper-1"})
    assert asked(scene, change)["audio"]["input"] == {"transcription": {"model": "whisper-1", "language": "en"}}
    scene.server(wire.session_updated(**side(transcription={"model": "whisper-1", "language": "en"})))
    # Nor does a new session hear of it (B25).
    assert scene.session._core.asked["audio"]["input"]["transcription"] == {"model": "whisper-1", "language": "en"}


@pytest.mark.parametrize("dialect", [name for name, table in DIALECTS.items() if table.capabilities.answers])
def test_a_language_is_changed_in_each_dialect_that_has_one_and_the_model_stays(dialect: str) -> None:  # S09, S10; facts 2.1, 14
    echo = Echo(dialect)
    echo.changed({"transcription": {"model": "m"}})
    # A server may show more than the dialect can say, which is no reason to refuse the change.
    echo.has = _merged(echo.has, echo.table.render_session(side(transcription={"model": "m"})))
    shown = echo.has.get("audio", {}).get("input", echo.has)
    shown["transcription" if "transcription" in shown else "input_audio_transcription"]["delay"] = "low"
    echo.scene.server([{"type": "session.updated", "session": echo.has}])
    try:
        second, differ = echo.changed({"transcription": {"language": "de"}})
    except LocalProtocolError as refused:
        assert "transcription.language" in str(refused) and dialect == "qwen"
        return
    assert (second["transcription"]["model"], second["transcription"]["language"], differ) == ("m", "de", [])


# -- in each dialect -------------------------------------------------------------------------------------------------------------


class Echo:
    """A session in one dialect, and a server that acknowledges what it was sent."""

    def __init__(self, dialect: str) -> None:
        config = {"connection": {"dialect": dialect, "url": "ws://localhost"}}
        self.scene = Scene(Config.model_validate(config))
        self.table = DIALECTS[dialect]
        self.has: dict[str, Any] = {}
        self.scene.open()
        self.scene.connected()
        self.answer()

    def answer(self) -> list[Any]:
        """Acknowledge the latest update; a server keeps what was not named."""
        wire_object = sent(self.scene.log)[-1]["session"]
        self.has = _merged(self.has, wire_object)
        return self.scene.server([{"type": "session.updated", "session": self.has}])

    def changed(self, side: dict[str, Any]) -> tuple[Any, list[Any]]:
        """Ask for options of ``audio.input``: what the server was sent, in GA shape, and what is told of its answer."""
        asked_for = sent(self.scene.update({"audio": {"input": side}}))[-1]["session"]
        effects = self.answer()
        assert outcomes(effects) == [(self.scene.request, "done")]
        return self.table.read_session(asked_for)["audio"]["input"], told(effects, OptionDiffers)


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}


@pytest.mark.parametrize("dialect", [name for name, table in DIALECTS.items() if table.capabilities.answers])
def test_turn_detection_is_set_changed_and_switched_off_in_each_dialect(dialect: str) -> None:  # S09, S10, C13
    echo = Echo(dialect)
    kind = echo.table.capabilities.turn_detection[0]
    first, differ = echo.changed({"turn_detection": {"type": kind}})
    assert (first["turn_detection"]["type"], differ) == (kind, [])
    if kind == "server_vad":
        second, differ = echo.changed({"turn_detection": {"silence_duration_ms": 900}})
        assert (second["turn_detection"]["silence_duration_ms"], differ) == (900, [])
    off, differ = echo.changed({"turn_detection": None})
    assert (off["turn_detection"], differ) == (None, [])
    # What counts is what was acknowledged: now the client cancels, and nobody but the program ends a turn.
    assert not echo.scene.session._core.acknowledged.detects_turns


@pytest.mark.parametrize("dialect", [name for name, table in DIALECTS.items() if table.capabilities.answers])
def test_noise_reduction_is_set_changed_and_switched_off_in_each_dialect_that_has_it(dialect: str) -> None:  # S09, S10
    echo = Echo(dialect)
    try:
        near, differ = echo.changed({"noise_reduction": {"type": "near_field"}})
    except LocalProtocolError as refused:
        assert "noise_reduction" in str(refused) and dialect in str(refused)
        assert dialect not in ("openai", "openai-beta", "azure", "azure-preview")
        return
    assert (near["noise_reduction"]["type"], differ) == ("near_field", [])
    far, differ = echo.changed({"noise_reduction": {"type": "far_field"}})
    assert (far["noise_reduction"]["type"], differ) == ("far_field", [])
    off, differ = echo.changed({"noise_reduction": None})
    assert (off["noise_reduction"], differ) == (None, [])


# -- a vendor's own options are no way around --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model", "type", "id"])
def test_what_is_fixed_with_the_session_is_refused_among_the_vendors_options(name: str) -> None:  # F135; facts 2.4
    with pytest.raises(ValueError, match=f"'{name}' is not the vendor's own"):
        SessionOptions.model_validate({"vendor": {name: "x"}})
    scene = ready()
    with pytest.raises(LocalProtocolError, match=f"'{name}' is not the vendor's own"):
        scene.update({"vendor": {name: "x"}})
    assert scene.update({"vendor": {"seed": 1}})


def test_a_voice_that_only_the_vendor_can_say_is_fixed_too() -> None:  # F135; facts 2.4, 14
    config = configured(connection={"dialect": "azure-voice-live", "url": "ws://localhost"})
    own = {"vendor": {"voice": {"type": "azure-custom", "name": "mine"}}}
    assert kinds(ready(config, preview=True).update(own)) == ["session.update"]
    scene = talking(wire.opened(), wire.audio("m1", 100), config=config, preview=True)
    with pytest.raises(LocalProtocolError, match=r"audio\.output\.voice: the voice is fixed"):
        scene.update(own)


def test_what_an_option_says_is_not_said_again_by_the_vendors_name() -> None:  # F133: one of them would be lost
    session = {"audio": {"output": {"voice": "cedar"}}, "vendor": {"audio": {"output": {"pitch": 2}}}}
    with pytest.raises(ValueError, match=r"vendor\.audio: another option says 'audio' of the openai dialect already"):
        configured(session=session)
    scene = ready()
    scene.update({"audio": {"output": {"voice": "cedar"}}})  # not acknowledged yet
    with pytest.raises(LocalProtocolError, match=r"vendor\.audio: another option says"):
        scene.update({"vendor": {"audio": {"output": {"pitch": 2}}}})


OWN = {"type": "azure_semantic_vad_multilingual", "threshold": 0.5, "languages": ["en"]}
NEAR = {"create_response": True, "interrupt_response": True, "type": "server_vad", "threshold": 0.5}
PLAIN = {**NEAR, "prefix_padding_ms": 300, "silence_duration_ms": 500}


def voice_live(answered: bool, *steps: dict[str, Any]) -> tuple[list[Any], Any]:
    """Options set one after another: what each sent, and what a new session is asked for."""
    echo = Echo("azure-voice-live")
    said = []
    for step in steps:
        said += [event["session"] for event in sent(echo.scene.update(step))]
        if answered:
            echo.answer()
    for each in said if not answered else ():
        echo.has = _merged(echo.has, each)
        echo.scene.server([{"type": "session.updated", "session": echo.has}])
    return said, echo.scene.session._core.lifecycle.configuration().session


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize(("option", "on_the_wire"), [(None, None), ({"type": "server_vad"}, PLAIN)], ids=["off", "another kind"])
def test_an_option_and_the_vendors_key_of_the_same_meaning_replace_each_other(  # S09, S10, B25
    option: Any, on_the_wire: Any, answered: bool
) -> None:
    own, standard = {"vendor": {"turn_detection": OWN, "x": 1}}, side(turn_detection=option)
    said, again = voice_live(answered, own, standard)
    assert said == [{"turn_detection": OWN, "x": 1}, {"turn_detection": on_the_wire}]
    assert again == {"turn_detection": on_the_wire, "x": 1}  # a reconnect asks for what was said last
    said, again = voice_live(answered, own, standard, own)
    assert (said[2]["turn_detection"], again) == (OWN, {"turn_detection": OWN, "x": 1})


def test_of_two_objects_of_the_vendors_own_the_later_counts_as_it_stands() -> None:  # F122, B25
    first, second = {"model": "azure-speech", "phrase_list": ["rtcore"]}, {"model": "mai-transcribe-1", "custom_speech": {}}
    said, again = voice_live(True, *({"vendor": {"input_audio_transcription": each}} for each in (first, second)))
    assert said[1] == again == {"input_audio_transcription": second}


def test_a_part_of_what_only_the_vendor_can_say_is_refused() -> None:  # F122: the rest of it would be lost
    for answered in (True, False):
        with pytest.raises(LocalProtocolError, match=r"has type 'azure_semantic_vad_multilingual' and is the vendor's own"):
            voice_live(answered, {"vendor": {"turn_detection": OWN}}, side(turn_detection={"threshold": 0.7}))
    speech = {"model": "azure-speech", "phrase_list": ["rtcore"]}
    with pytest.raises(LocalProtocolError, match=r"transcription: the session's has model 'azure-speech'"):
        voice_live(True, {"vendor": {"input_audio_transcription": speech}}, side(transcription={"language": "de"}))
    with pytest.raises(LocalProtocolError, match=r"vendor\.turn_detection: another option says"):
        voice_live(True, {"vendor": {"turn_detection": OWN}, **side(turn_detection=None)})  # both at once


def test_of_the_vendors_options_only_what_changes_is_sent() -> None:  # S09
    scene = ready(top_k=3, tier="fast")
    [event] = sent(scene.update({"vendor": {"top_k": 3, "tier": "slow"}}))
    assert event["session"] == {"type": "realtime", "tier": "slow"}
