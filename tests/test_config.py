"""Configuration: every option bounded and explained, None and unset apart, what belongs together settled, no credential shown."""

import traceback
from contextlib import suppress
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

import rtcore.config
from rtcore import Config, Connect, LocalProtocolError, Session
from rtcore.config import (
    AudioInput,
    AudioOptions,
    AudioOutput,
    ChooseFunction,
    Connection,
    FunctionTool,
    Pcm,
    Pcmu,
    SemanticVad,
    ServerVad,
    SessionOptions,
    Transcription,
    VoiceId,
    parse_options,
    parse_response,
)
from rtcore.dialects import DIALECTS, dialect_of

SECRET = "sk-very-secret"
VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
    "idle_timeout_ms": None,
}


def with_detection(detection: object) -> dict[str, Any]:
    return {"audio": {"input": {"turn_detection": detection}}}


def detected(options: SessionOptions) -> Any:
    return options.wire()["audio"]["input"]["turn_detection"]


# -- what is sent ------------------------------------------------------------------------------------------------------------


def test_what_is_not_set_is_not_sent_and_none_is_sent_as_null() -> None:  # F138, S09, S10
    assert SessionOptions().wire() == {}
    assert SessionOptions(audio=AudioOptions(input=AudioInput())).wire() == {"audio": {"input": {}}}
    off = {"turn_detection": None, "transcription": None, "noise_reduction": None}
    assert parse_options({"audio": {"input": off}, "tracing": None, "prompt": None}).wire() == {
        "audio": {"input": off},
        "tracing": None,
        "prompt": None,
    }


@pytest.mark.parametrize(
    "options",
    [
        {"instructions": None},
        {"audio": None},
        {"audio": {"input": None}},
        {"audio": {"output": {"voice": None}}},
        {"audio": {"input": {"transcription": {"language": None}}}},
        {"tools": None},
        {"max_output_tokens": None},
    ],
)
def test_null_is_refused_where_the_protocol_has_none(options: dict[str, Any]) -> None:  # protocol facts 2.1
    with pytest.raises(LocalProtocolError, match="cannot be null; leave it out"):
        parse_options(options)


def test_empty_clears_instructions_and_tools() -> None:  # protocol facts 2.1
    assert parse_options({"instructions": "", "tools": []}).wire() == {"instructions": "", "tools": []}


def test_a_turn_detection_is_sent_whole() -> None:  # F122
    assert detected(parse_options(with_detection({"type": "server_vad", "threshold": 0.7}))) == {**VAD, "threshold": 0.7}
    assert detected(parse_options(with_detection({"threshold": 0.7}))) == {**VAD, "threshold": 0.7}
    assert detected(SessionOptions(audio=AudioOptions(input=AudioInput(turn_detection=SemanticVad(eagerness="low"))))) == {
        "type": "semantic_vad",
        "eagerness": "low",
        "create_response": True,
        "interrupt_response": True,
    }


def test_a_partial_turn_detection_is_completed_from_what_the_server_acknowledged() -> None:  # F122, S09
    acknowledged = with_detection({**VAD, "silence_duration_ms": 800, "threshold": None, "vendor": 1})
    changed = parse_options(with_detection({"prefix_padding_ms": 100}), acknowledged=acknowledged)
    assert detected(changed) == {**VAD, "silence_duration_ms": 800, "prefix_padding_ms": 100}
    other = parse_options(with_detection({"type": "semantic_vad"}), acknowledged=acknowledged)
    assert detected(other)["type"] == "semantic_vad"
    silent = parse_options(with_detection({"interrupt_response": False}), acknowledged=acknowledged)
    assert detected(silent)["create_response"] is False
    for nothing in ({}, {"audio": None}, with_detection(None)):
        assert detected(parse_options(with_detection({"threshold": 0.7}), acknowledged=nothing)) == {**VAD, "threshold": 0.7}


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ({"idle_timeout_ms": 0}, 0),
        ({"prefix_padding_ms": 300.0}, 300),
        ({"silence_duration_ms": 0.5}, 0.5),
        ({"threshold": 3}, 3),
    ],
)
def test_what_the_server_acknowledged_is_filled_in_and_not_judged(said: dict[str, Any], sent: float) -> None:  # F122, S09
    [name] = said
    changed = parse_options(with_detection({"create_response": False}), acknowledged=with_detection({**VAD, **said}))
    assert detected(changed) == {**VAD, "create_response": False, name: sent}
    assert isinstance(detected(changed)[name], type(sent))
    # What the program itself says is judged, and only that is told.
    with pytest.raises(LocalProtocolError) as refused:
        parse_options(with_detection({"create_response": "x"}), acknowledged=with_detection({**VAD, **said}))
    assert "create_response" in str(refused.value) and name not in str(refused.value)


def test_what_the_server_acknowledged_contradicts_no_policy() -> None:  # F122: nobody said it
    changed = parse_options(with_detection({"threshold": 0.7}), acknowledged=with_detection(VAD), context="exact")
    assert detected(changed) == {**VAD, "threshold": 0.7, "create_response": False}
    with pytest.raises(LocalProtocolError, match=r"create_response: True contradicts context='exact'"):
        parse_options(with_detection({"create_response": True}), acknowledged=with_detection(VAD), context="exact")


def test_a_part_of_a_kind_that_the_options_do_not_have_is_refused() -> None:  # F122: it would become another kind
    running = with_detection({"type": "azure_semantic_vad_en", "threshold": 0.4})
    with pytest.raises(
        LocalProtocolError, match=r"turn_detection: the session's has type 'azure_semantic_vad_en'.*set a whole one"
    ):
        parse_options(with_detection({"threshold": 0.7}), acknowledged=running)
    whole = parse_options(with_detection({"type": "server_vad", "threshold": 0.7}), acknowledged=running)
    assert detected(whole) == {**VAD, "threshold": 0.7}
    deep = {"audio": {"input": {"noise_reduction": {"type": "azure_deep_noise_suppression"}}}}
    with pytest.raises(LocalProtocolError, match=r"noise_reduction: the session's has type 'azure_deep_noise_suppression'"):
        parse_options({"audio": {"input": {"noise_reduction": {"strength": 0.5}}}}, acknowledged=deep)


@pytest.mark.parametrize(
    "changes",
    [
        {"audio": {"input": {"turn_detection": ServerVad(silence_duration_ms=900)}}},
        {"audio": {"input": AudioInput(turn_detection=ServerVad(silence_duration_ms=900))}},
        {"audio": AudioOptions(input=AudioInput(turn_detection=ServerVad(silence_duration_ms=900)))},
    ],
)
def test_an_object_of_options_is_completed_like_a_mapping(changes: dict[str, Any]) -> None:  # F122, S09
    acknowledged = with_detection({**VAD, "threshold": 0.9})
    assert detected(parse_options(changes, acknowledged=acknowledged)) == {**VAD, "threshold": 0.9, "silence_duration_ms": 900}
    other = {**acknowledged["audio"]["input"], "turn_detection": {"type": "semantic_vad", "create_response": False}}
    assert detected(parse_options(changes, acknowledged={"audio": {"input": other}})) == {**VAD, "silence_duration_ms": 900}


def test_a_field_of_the_vendors_own_lifts_no_bounds() -> None:  # F122; facts 14
    own = {**VAD, "auto_truncate": True}
    assert SessionOptions.model_validate({"vendor": {"turn_detection": own}}).vendor == {"turn_detection": own}
    with pytest.raises(ValidationError, match=r"vendor\.turn_detection\.threshold: Input should be less than or equal to 1"):
        SessionOptions.model_validate({"vendor": {"turn_detection": {**own, "threshold": 7}}})


def test_everything_is_sent_as_ga_names_it() -> None:  # protocol facts 2, 13
    options = SessionOptions(
        instructions="Be brief.",
        output_modalities=("audio",),
        audio=AudioOptions(
            input=AudioInput(format=Pcm(), transcription=Transcription(model="whisper-1", language="en")),
            output=AudioOutput(format=Pcmu(), voice=VoiceId(id="voice_1"), speed=1.5),
        ),
        tools=(FunctionTool(name="weather", description="Tells it.", parameters={"type": "object", "properties": {}}),),
        tool_choice=ChooseFunction(name="weather"),
        max_output_tokens="inf",
    )
    assert options.wire() == {
        "instructions": "Be brief.",
        "output_modalities": ["audio"],
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "Tells it.",
                "parameters": {"type": "object", "properties": {}},
            }
        ],
        "tool_choice": {"type": "function", "name": "weather"},
        "max_output_tokens": "inf",
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}, "transcription": {"model": "whisper-1", "language": "en"}},
            "output": {"format": {"type": "audio/pcmu"}, "voice": {"id": "voice_1"}, "speed": 1.5},
        },
    }
    assert parse_options(options.wire()) == options


@pytest.mark.parametrize(
    ("spelling", "sent"),
    [
        ("pcm16", {"type": "audio/pcm", "rate": 24000}),
        ("audio/pcm", {"type": "audio/pcm", "rate": 24000}),
        ({"type": "audio/pcm"}, {"type": "audio/pcm", "rate": 24000}),
        ("g711_ulaw", {"type": "audio/pcmu"}),
        ({"type": "audio/pcma"}, {"type": "audio/pcma"}),
    ],
)
def test_every_spelling_of_a_format_is_accepted(spelling: object, sent: dict[str, Any]) -> None:  # F016
    options = parse_options({"audio": {"input": {"format": spelling}}})
    assert options.wire() == {"audio": {"input": {"format": sent}}}


def test_a_tool_of_another_type_is_passed_on_as_it_is() -> None:  # protocol facts 2.11
    mcp = {"type": "mcp", "server_label": "shop", "server_url": "https://example.com", "headers": None}
    assert parse_options({"tools": [mcp, {"name": "f"}]}).wire() == {"tools": [mcp, {"type": "function", "name": "f"}]}


# -- what belongs together ---------------------------------------------------------------------------------------------------


def test_a_server_that_does_not_interrupt_does_not_create_either_unless_told_to() -> None:  # DESIGN 4, protocol facts 8.2
    assert detected(parse_options(with_detection({"interrupt_response": False})))["create_response"] is False
    both = {"interrupt_response": False, "create_response": True}
    assert detected(parse_options(with_detection(both)))["create_response"] is True
    assert SemanticVad(interrupt_response=False).create_response is False


def test_an_exact_context_means_that_the_server_does_not_create() -> None:  # DESIGN 3
    assert detected(Config(context="exact").session) == {**VAD, "create_response": False}
    chosen = SessionOptions(audio=AudioOptions(input=AudioInput(turn_detection=SemanticVad(eagerness="high"))))
    assert detected(Config(context="exact", session=chosen).session)["create_response"] is False
    manual = SessionOptions(audio=AudioOptions(input=AudioInput(turn_detection=None)))
    assert Config(context="exact", session=manual).session.wire() == with_detection(None)
    assert Config().session.wire() == {}


def test_an_exact_context_refuses_a_server_that_creates() -> None:  # DESIGN 3
    creates = SessionOptions(audio=AudioOptions(input=AudioInput(turn_detection=ServerVad(create_response=True))))
    with pytest.raises(ValidationError, match=r"create_response: True contradicts context='exact'.*use context='auto'"):
        Config(context="exact", session=creates)
    with pytest.raises(LocalProtocolError, match="contradicts context='exact'"):
        parse_options(with_detection({"create_response": True}), context="exact")


def test_speech_that_does_not_interrupt_means_that_the_server_does_not_either() -> None:  # DESIGN 4
    assert detected(Config(interruption="ignore").session) == {**VAD, "interrupt_response": False, "create_response": False}
    told = SessionOptions(audio=AudioOptions(input=AudioInput(turn_detection=ServerVad(interrupt_response=True))))
    assert detected(Config(interruption="ignore", session=told).session)["interrupt_response"] is True


def test_a_later_change_keeps_what_the_policies_imply_and_leaves_alone_what_it_does_not_name() -> None:  # S09
    acknowledged = with_detection({**VAD, "create_response": False})
    for change in (with_detection({"threshold": 0.7}), with_detection({**VAD, "threshold": 0.7, "create_response": False})):
        changed = parse_options(change, acknowledged=acknowledged, context="exact")
        assert detected(changed) == {**VAD, "threshold": 0.7, "create_response": False}
    assert detected(parse_options(with_detection({"threshold": 0.7}), context="exact"))["create_response"] is False
    ignoring = parse_options(with_detection({"threshold": 0.7}), interruption="ignore")
    assert detected(ignoring)["interrupt_response"] is False
    assert parse_options({"instructions": "x"}, context="exact", interruption="ignore").wire() == {"instructions": "x"}


def test_what_the_dialect_cannot_say_is_refused_at_once() -> None:
    with pytest.raises(ValidationError, match=r"temperature = .*: the openai dialect has none"):
        Config(session=SessionOptions(temperature=0.8))
    preview = Connection(dialect="azure-preview", url="https://res.openai.azure.com")
    assert Config(connection=preview, session=SessionOptions(temperature=0.8)).session.temperature == 0.8
    with pytest.raises(ValidationError, match=r"truncation = 'disabled': the azure-preview dialect cannot say it"):
        Config(connection=preview, session=SessionOptions(truncation="disabled"))


# -- what is refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            with_detection({"threshold": 1.5}),
            r"^session\.audio\.input\.turn_detection\.threshold = 1\.5: .* less than or equal to 1",
        ),
        (with_detection({"threshold": float("nan")}), "turn_detection.threshold = nan"),
        (
            with_detection({"type": "server_vad", "idle_timeout_ms": 4999}),
            "idle_timeout_ms = 4999: .* greater than or equal to 5000",
        ),
        (with_detection({"type": "server_vad", "idle_timeout_ms": 30001}), "idle_timeout_ms = 30001: .* 30000"),
        (with_detection({"silence_duration_ms": "500"}), "silence_duration_ms = '500': Input should be a valid integer"),
        (with_detection({"create_response": "yes"}), "create_response = 'yes': Input should be a valid boolean"),
        (
            with_detection({"type": "semantic_vad", "eagerness": "keen"}),
            "eagerness = 'keen': .*'low', 'medium', 'high' or 'auto'",
        ),
        (with_detection({"type": "semantic_vad", "threshold": 0.5}), "unknown option 'threshold'; known are: .*eagerness"),
        (with_detection({"type": "vad"}), "turn_detection.*'server_vad', 'semantic_vad'"),
        (with_detection("server_vad"), "turn_detection = 'server_vad'"),
        ({"audio": {"output": {"speed": 1.6}}}, "audio.output.speed = 1.6: .* 1.5"),
        ({"audio": {"output": {"speed": 0.2}}}, "audio.output.speed = 0.2: .* 0.25"),
        ({"audio": {"output": {"format": "opus"}}}, "audio.output.format = 'opus': .*known are audio/pcm"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 7000}}}}, "audio.input.format.*rate must be .* from 8000"),
        ({"audio": {"input": {"noise_reduction": {"type": "none"}}}}, "noise_reduction.type = 'none': .*near_field"),
        ({"max_output_tokens": 0}, "max_output_tokens = 0: .*greater than or equal to 1"),
        ({"max_output_tokens": 4097}, "max_output_tokens = 4097: .*4096"),
        ({"output_modalities": ["audio", "text"]}, r"output_modalities.*\[\"audio\"\].*not both"),
        ({"output_modalities": []}, "output_modalities"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "unknown option 'function'; known are: type, name"),
        ({"tools": [{"type": "search", "x": {1, 2}}]}, "not a valid JSON value"),
        ({"tools": [{"type": "mcp", "url": "x"}]}, "tools.0.server_label.*Field required"),
        ({"tool_choice": "always"}, "tool_choice = 'always': .*'none', 'auto' or 'required'"),
        ({"truncation": {"type": "retention_ratio", "retention_ratio": 1.2}}, "truncation.retention_ratio = 1.2"),
        ({"model": "gpt-realtime-2"}, "unknown option 'model': the model is fixed by the connection; set connection.model"),
        ({"voice": "marin"}, "unknown option 'voice': audio.output.voice is its name since the GA protocol"),
        ({"modalities": ["audio", "text"]}, "unknown option 'modalities': output_modalities is its name .*for what was"),
        ({"turn_detection": None}, "unknown option 'turn_detection': audio.input.turn_detection is its name"),
        ({"input_audio_format": "pcm16"}, "unknown option 'input_audio_format': audio.input.format is its name"),
        ({"max_response_output_tokens": 7}, "unknown option 'max_response_output_tokens': max_output_tokens is its name"),
        ({"temperature": 3}, "temperature = 3"),
        ({"audio": 3}, "^session.audio = 3"),
    ],
)
def test_a_wrong_option_is_refused_with_its_name_its_value_and_what_is_allowed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        parse_options(options)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parse_options({"max_output_tokens": 0, "audio": {"output": {"speed": 9.0}}})
    assert "max_output_tokens" in str(caught.value) and "speed" in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {"microphone": {"batch_ms": 0}},
        {"microphone": {"batch_ms": True}},
        {"playout": {"lead_ms": 0}},
        {"timeouts": {"create_ms": -1}},
        {"interruption": "never"},
        {"context": None},
        {"connection": {"dialect": "gemini"}},
        {"connection": {"api_version": "latest"}},
        {"connection": {"model": ""}},
        {"unheard_of": 1},
        {"timeouts": {"unheard_of": 1}},
    ],
)
def test_a_wrong_setting_of_the_program_is_refused_with_its_name(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(config)
    outer = next(iter(config))
    named = next(iter(config[outer])) if isinstance(config[outer], dict) else outer
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("dialect", "session", "said"),
    [
        (
            "openai",
            {"temperature": 0.8},
            "temperature = 0.8: the openai dialect has none: it went with the preview, whose end was announced for 2026-05-12; "
            "leave it out; openai-beta, azure-preview",
        ),
        (
            "azure-preview",
            {"truncation": "auto"},
            "truncation = 'auto': the azure-preview dialect cannot say it; leave it out; openai",
        ),
        (
            "xai",
            {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}},
            "audio.input.turn_detection.type = 'semantic_vad': ",
        ),
    ],
)
def test_an_option_that_a_dialect_lacks_is_named_with_its_value_and_the_dialects_that_have_it(
    dialect: str, session: dict[str, Any], said: str
) -> None:
    """Issue 5: names it, its value, what is allowed and since when; the same at run time (F132, F133)."""
    connection = {"dialect": dialect, "url": "ws://localhost"}
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"connection": connection, "session": session})
    assert said in str(caught.value)
    later = Session(Config.model_validate({"connection": connection}))
    with pytest.raises(LocalProtocolError) as raised:
        later.update(session, now=0.0)
    assert str(raised.value).startswith(f"session.{said}")


def test_a_tool_that_a_dialect_lacks_shows_no_credential() -> None:
    tool = {"type": "mcp", "server_label": "s", "server_url": "https://s.example", "authorization": "very-secret-token"}
    for name in DIALECTS:
        with suppress(ValidationError):
            Config.model_validate({"connection": {"dialect": name, "url": "ws://localhost"}, "session": {"tools": [tool]}})
        try:
            kind = {} if DIALECTS[name].capabilities.answers else {"session": {"type": "transcription"}}
            Session(Config.model_validate({"connection": {"dialect": name, "url": "ws://localhost"}, **kind})).update(
                {"tools": [tool]}, now=0.0
            )
        except LocalProtocolError as refused:
            assert "very-secret" not in str(refused)


AZURE_RESOURCE = "https://res.openai.azure.com"


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        ({"dialect": "azure-preview", "api_version": "2024-12-17-preview"}, "since 2026-04-30; their successor, GA"),
        ({"dialect": "azure-preview", "api_version": "2025-08-28"}, "2025-04-01-preview have"),
        ({"dialect": "azure-voice-live", "api_version": "2025-05-01-preview"}, "successors are 2025-10-01 and later"),
        ({"dialect": "azure-voice-live", "api_version": "2024-10-01"}, "successors are 2025-10-01 and later"),
        (
            {"dialect": "azure", "api_version": "2025-04-01-preview"},
            "'2025-04-01-preview': the azure dialect has none; leave it out, or say whose it is: dialect='azure-preview'",
        ),
        (
            {"url": AZURE_RESOURCE, "api_version": "2024-12-17-preview"},
            "'2024-12-17-preview' has no realtime, or is retired; 2024-10-01-preview and "
            "2025-04-01-preview have. Previews are deprecated since 2026-04-30; their successor, GA, needs no version: "
            "dialect='azure'",
        ),
        (
            {"url": AZURE_RESOURCE, "api_version": "2025-10-01"},
            "'2025-10-01': the azure dialect has none; leave it out, or say whose it is: dialect='azure-voice-live'",
        ),
        ({"api_version": "2025-04-01-preview"}, "'2025-04-01-preview': the openai dialect has none; leave it out"),
    ],
)
def test_an_api_version_that_the_dialect_does_not_have_is_named_with_its_successor(connection: Any, said: str) -> None:
    """Issue 5: a retired preview version is named with its successor, and no option is dropped (F132, F138)."""
    with pytest.raises(ValidationError) as caught:
        Connection.model_validate({"api_key": "sk-secret-of-mine", **connection})
    assert said in str(caught.value) and "secret-of-mine" not in str(caught.value)


@pytest.mark.parametrize(
    ("connection", "dialect"),
    [
        ({"dialect": "azure-preview", "api_version": "2024-10-01-preview"}, "azure-preview"),
        ({"dialect": "azure-voice-live", "api_version": "2026-07-15"}, "azure-voice-live"),
        ({"url": AZURE_RESOURCE, "api_version": "2025-04-01-preview"}, "azure-preview"),
        ({"url": AZURE_RESOURCE}, "azure"),
        ({"url": "https://gateway.example"}, None),
    ],
)
def test_an_api_version_says_which_generation_of_a_resource_is_meant(connection: Any, dialect: str | None) -> None:  # S02, F132
    found = dialect_of(Connection.model_validate(connection))
    assert (found.name if found is not None else None) == dialect


GATEWAY = "https://gateway.example/v1"


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        (
            {"url": GATEWAY, "api_version": "2024-10-01-preview"},
            "api_version: '2024-10-01-preview': the address does not tell the dialect, and not every one has it; say "
            "connection.dialect ('azure-preview')",
        ),
        ({"url": GATEWAY, "api_version": "2026-07-15"}, "say connection.dialect ('azure-voice-live')"),
        ({"url": GATEWAY, "api_version": "2023-05-15"}, "say connection.dialect ('azure-preview' or 'azure-voice-live')"),
        ({"url": GATEWAY, "deployment": "D"}, "deployment: 'D': the address does not tell the dialect"),
        (
            {"url": "https://api.openai.com/v1", "deployment": "D"},
            "deployment: 'D': the openai dialect has none; name it in model",
        ),
        ({"dialect": "openai", "url": GATEWAY, "deployment": "D"}, "whose it is (azure, azure-preview have one)"),
        ({"dialect": "openai", "deployment": "D"}, "deployment: 'D': the openai dialect has none"),
        ({"dialect": "azure-voice-live", "url": AZURE_RESOURCE, "deployment": "D"}, "the azure-voice-live dialect has none"),
    ],
)
def test_an_option_that_would_not_be_sent_is_refused(connection: Any, said: str) -> None:  # F138, S02: nothing is dropped
    with pytest.raises(ValidationError) as caught:
        Connection.model_validate({"api_key": "sk-secret-of-mine", **connection})
    assert said in str(caught.value) and "secret-of-mine" not in str(caught.value)


@pytest.mark.parametrize(
    ("connection", "part"),
    [
        ({"dialect": "azure-preview", "url": GATEWAY, "api_version": "2024-10-01-preview"}, "api-version=2024-10-01-preview"),
        ({"dialect": "azure", "url": GATEWAY, "deployment": "D"}, "model=D"),
        ({"dialect": "azure-preview", "url": GATEWAY, "deployment": "D"}, "deployment=D"),
        ({"dialect": "openai", "url": AZURE_RESOURCE, "deployment": "D"}, "model=D"),
        ({"url": AZURE_RESOURCE, "deployment": "D"}, "model=D"),
    ],
)
def test_an_option_that_the_dialect_has_is_dialled(connection: Any, part: str) -> None:  # S02
    [dial] = Session(Config.model_validate({"connection": {"api_key": "k", **connection}})).open(now=0.0)
    assert isinstance(dial, Connect) and part in dial.request.url.partition("?")[2].split("&")


def test_a_deployment_without_an_address_is_refused_when_openai_would_be_dialled() -> None:
    """Not sooner: a file may leave the address of the Azure resource to the environment (``load_config``)."""
    config = Config(connection=Connection(deployment="D", api_key="k"))
    with pytest.raises(LocalProtocolError, match=r"^deployment: 'D': wss://api\.openai\.com has none; .* set url to an Azure"):
        Session(config).open(now=0.0)


@pytest.mark.parametrize(
    "connection",
    [
        {"model": "gpt-4o-transcribe"},
        {"dialect": "azure", "url": AZURE_RESOURCE, "deployment": "gpt-4o-transcribe"},
        {"dialect": "azure-preview", "url": AZURE_RESOURCE, "model": "gpt-4o-transcribe"},
        {"url": GATEWAY, "model": "gpt-4o-transcribe"},
    ],
)
def test_a_model_of_a_session_that_only_transcribes_is_told_where_it_belongs(connection: Any) -> None:  # S10, F138
    """It is dialled by its intent, without a model (facts 1.1): an explicit one would be nowhere."""
    with pytest.raises(ValidationError, match=r"'gpt-4o-transcribe': .* session\.audio\.input\.transcription\.model") as caught:
        Config.model_validate({"connection": {"api_key": "k", **connection}, "session": {"type": "transcription"}})
    assert ("in the address (?model=...)" in str(caught.value)) == (connection.get("url") == GATEWAY)


def test_a_model_stands_in_the_address_of_such_a_session_where_the_program_wrote_it() -> None:  # S10
    connection = {"url": f"{GATEWAY}?model=whisper-1", "api_key": "k"}
    [dial] = Session(Config.model_validate({"connection": connection, "session": {"type": "transcription"}})).open(now=0.0)
    assert isinstance(dial, Connect) and dial.request.url.endswith("?model=whisper-1")


def test_a_configuration_is_frozen() -> None:
    config = Config()
    with pytest.raises(ValidationError, match="frozen"):
        config.context = "exact"  # type: ignore[misc]  # what mypy refuses has to be refused at run time too
    assert config == Config()


# -- one response ------------------------------------------------------------------------------------------------------------


def test_options_of_a_response_are_checked_and_come_back_in_ga_shape() -> None:  # protocol facts 5.1
    options: dict[str, Any] = {
        "instructions": "Answer.",
        "conversation": "none",
        "metadata": {"topic": "weather"},
        "input": [{"type": "item_reference", "id": "item_1"}],
        "output_modalities": ["text"],
        "audio": {"output": {"voice": "alloy", "format": "pcm16"}},
        "tools": [],
        "tool_choice": "none",
        "max_output_tokens": 4096,
    }
    expected = {**options, "audio": {"output": {"voice": "alloy", "format": {"type": "audio/pcm", "rate": 24000}}}}
    assert parse_response(options) == expected
    assert parse_response({}) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metadata": {"rtcore_request": "1"}}, "metadata.*used by rtcore"),
        ({"metadata": {str(n): "" for n in range(16)}}, "metadata.*16 pairs; 15 are allowed"),
        ({"metadata": {"k" * 65: ""}}, "keys have up to 64"),
        ({"metadata": {"k": "v" * 513}}, "values up to 512"),
        ({"metadata": {"k": 1}}, r"metadata\.k = 1"),
        ({"conversation": "other"}, "conversation = 'other': .*'auto' or 'none'"),
        ({"input": [3]}, r"input\.0 = 3"),
        ({"speed": 1}, "unknown option 'speed'"),
        ({"audio": {"output": {"speed": 1.0}}}, "unknown option 'speed'; known are: format, voice"),
        ({"instructions": None}, "cannot be null"),
    ],
)
def test_a_wrong_option_of_a_response_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message) as caught:
        parse_response(options)
    assert str(caught.value).startswith("response.")


# -- credentials -------------------------------------------------------------------------------------------------------------


def test_a_credential_shows_in_no_text_of_a_configuration() -> None:
    connection = Connection(api_key=SecretStr(SECRET), bearer_token=SecretStr(SECRET), headers={"X-Key": SECRET})
    config = Config(connection=connection)
    assert SECRET not in repr(config) + str(config) + repr(connection) + str(connection)
    assert SECRET not in connection.model_dump_json(exclude={"headers"})


@pytest.mark.parametrize(
    "config",
    [
        {"connection": {"apikey": SECRET}},
        {"connection": {"api_key": SECRET, "dialect": "gemini"}},
        {"connection": {"api_key": [SECRET]}},
        {"connection": {"headers": {"X-Key": [SECRET]}}},
        {"connection": {"api_key": SECRET}, "unheard_of": 1},
        {"connection": {"api_key": SECRET}, "session": {"temperature": 0.8}},
        {"connection": {"api_key": SECRET}, "session": with_detection({"create_response": True}), "context": "exact"},
        {"connection": {"api_key": SECRET}, "session": 3},
    ],
)
def test_a_credential_shows_in_no_error(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(config)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.errors()) + caught.value.json()
    assert SECRET not in told
    with pytest.raises(ValidationError) as caught:
        Connection.model_validate({**config["connection"], "unheard_of": SECRET})
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.errors())


# -- documentation -----------------------------------------------------------------------------------------------------------

MODELS = [
    value
    for name, value in vars(rtcore.config).items()
    if isinstance(value, type) and issubclass(value, BaseModel) and name[0] != "_"
]


@pytest.mark.parametrize("model", [each for each in MODELS if each is not BaseModel])
def test_every_option_says_what_it_means(model: type[BaseModel]) -> None:
    assert model.__doc__
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} has no description"


@pytest.mark.parametrize("root", [Config, rtcore.config.ResponseOptions])
def test_the_schema_describes_every_property_and_gives_its_default(root: type[BaseModel]) -> None:
    """Of every model that the schema leads to: an editor shows the schema, not the source."""
    schema = root.model_json_schema()
    objects = {root.__name__: schema, **schema["$defs"]}
    properties = {
        f"{name}.{option}": (told, option in model.get("required", ()))
        for name, model in objects.items()
        for option, told in model.get("properties", {}).items()
    }
    assert len(properties) >= 50
    assert [name for name, (told, _) in properties.items() if not told.get("description")] == []
    assert [name for name, (told, required) in properties.items() if required == ("default" in told)] == []
    assert [name for name, model in objects.items() if name != "JsonValue" and not model.get("description")] == []


def test_a_key_in_the_address_is_not_shown() -> None:  # secrets never reach error texts
    connection = Connection(url=f"wss://user:{SECRET}@voice.example/v1/realtime?api-key={SECRET}")
    assert SECRET not in repr(connection) + str(connection) + repr(Config(connection=connection))
    assert "wss://voice.example/v1/realtime" in repr(connection)
