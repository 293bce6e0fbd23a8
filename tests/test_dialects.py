"""Dialects: golden objects in both shapes, addresses as people write them, credentials where servers want them (F132, F133)."""

from copy import deepcopy
from typing import Any

import pytest
from pydantic import SecretStr

from rtcore import PCM16_24K, PCMA, PCMU, AudioFormat, LocalProtocolError
from rtcore.config import Connection
from rtcore.dialects import audio_format, dialect, read_session

KEY = "sk-very-secret"
OPENAI, PREVIEW = dialect("openai"), dialect("azure-preview")

VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
}

# One session in the core's own shape, and in both dialects as the wire carries it.
GA_SESSION: dict[str, Any] = {
    "instructions": "Be brief.",
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "turn_detection": VAD,
            "transcription": {"model": "whisper-1", "language": "en"},
            "noise_reduction": {"type": "near_field"},
        },
        "output": {"format": {"type": "audio/pcmu"}, "voice": "alloy", "speed": 1.2},
    },
    "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
}
FLAT_SESSION: dict[str, Any] = {
    "instructions": "Be brief.",
    "modalities": ["audio", "text"],
    "input_audio_format": "pcm16",
    "turn_detection": VAD,
    "input_audio_transcription": {"model": "whisper-1", "language": "en"},
    "input_audio_noise_reduction": {"type": "near_field"},
    "output_audio_format": "g711_ulaw",
    "voice": "alloy",
    "speed": 1.2,
    "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
    "tool_choice": "auto",
    "max_response_output_tokens": "inf",
    "tracing": None,
}
NULLS: dict[str, Any] = {"audio": {"input": {"turn_detection": None, "transcription": None, "noise_reduction": None}}}


def test_a_session_is_rendered_nested_with_its_type_for_ga_and_flat_without_for_the_preview() -> None:  # C28, S02, F133
    before = deepcopy(GA_SESSION)
    assert OPENAI.render_session(GA_SESSION) == {"type": "realtime", **GA_SESSION}
    assert PREVIEW.render_session(GA_SESSION) == FLAT_SESSION
    assert before == GA_SESSION


def test_a_session_of_either_generation_is_read_into_one_shape_whatever_the_dialect() -> None:  # C28, F132
    for table in (OPENAI, PREVIEW):
        assert table.read_session(FLAT_SESSION) == GA_SESSION
        assert table.read_session(GA_SESSION) == GA_SESSION


def test_a_partial_session_says_only_what_it_changes_and_null_stays_null() -> None:  # S09, S10, F138
    assert OPENAI.render_session({}) == {"type": "realtime"}
    assert PREVIEW.render_session({}) == {}
    assert OPENAI.render_session(NULLS) == {"type": "realtime", **NULLS}
    off = {"turn_detection": None, "input_audio_transcription": None, "input_audio_noise_reduction": None}
    assert PREVIEW.render_session(NULLS) == off
    assert read_session(off) == NULLS


def test_text_alone_is_text_in_both_dialects_and_audio_brings_text_in_the_preview() -> None:  # protocol facts 2.6
    assert PREVIEW.render_session({"output_modalities": ["text"]}) == {"modalities": ["text"]}
    assert PREVIEW.render_session({"output_modalities": ["audio"]}) == {"modalities": ["audio", "text"]}
    assert read_session({"modalities": ["text"]}) == {"output_modalities": ["text"]}
    assert read_session({"modalities": ["text", "audio"]}) == {"output_modalities": ["audio"]}


def test_a_mixed_session_of_another_vendor_is_read_and_nested_names_win() -> None:  # protocol facts 14
    mixed = {
        "id": "sess_1",
        "voice": "eve",
        "turn_detection": {"type": "server_vad"},
        "audio": {"input": {"format": "pcm16"}, "output": {"voice": "ara"}, "latency": 3},
        "expires_at": 1,
    }
    assert read_session(mixed) == {
        "id": "sess_1",
        "expires_at": 1,
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": {"type": "server_vad"}},
            "output": {"voice": "ara"},
            "latency": 3,
        },
    }


@pytest.mark.parametrize("audio", [None, 3, "pcm16", [], {"input": 4, "output": None}])
def test_a_session_with_audio_of_a_wrong_type_is_read_without_it(audio: object) -> None:  # C29
    assert read_session({"id": "sess_1", "audio": audio, "modalities": 7}).get("id") == "sess_1"


def test_an_unknown_format_is_kept_for_the_core_to_report() -> None:  # F016, F127
    read = read_session({"output_audio_format": "opus"})
    assert read == {"audio": {"output": {"format": "opus"}}}
    with pytest.raises(ValueError, match="'opus' is not known; known are audio/pcm"):
        audio_format(read["audio"]["output"]["format"])


# -- what the preview cannot say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "named"),
    [
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"reasoning": {"effort": "low"}}, "reasoning"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls"),
        ({"include": ["item.input_audio_transcription.logprobs"]}, "include"),
        ({"truncation": "disabled"}, "truncation"),
        ({"audio": {"output": {"voice": {"id": "v"}}}}, "audio.output.voice"),
        ({"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}}}, "idle_timeout_ms"),
        ({"audio": {"input": {"transcription": {"keywords": ["x"]}}}}, "audio.input.transcription.keywords"),
        ({"audio": {"input": {"noise_reduction": {"type": "near_field", "strength": 1}}}}, "noise_reduction.strength"),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16000}}}}, "audio.output.format.rate"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools"),
    ],
)
def test_what_the_preview_cannot_say_is_refused_with_its_name(session: dict[str, Any], named: str) -> None:
    with pytest.raises(LocalProtocolError, match=named):
        PREVIEW.render_session(session)


def test_what_says_nothing_is_dropped_for_the_preview() -> None:
    assert PREVIEW.render_session({"prompt": None, "type": "realtime", "temperature": 0.8}) == {"temperature": 0.8}
    detection = {**VAD, "idle_timeout_ms": None}
    assert PREVIEW.render_session({"audio": {"input": {"turn_detection": detection}}}) == {"turn_detection": VAD}


def test_temperature_is_refused_by_ga() -> None:  # protocol facts 13: gone
    for render in (OPENAI.render_session, OPENAI.render_response):
        with pytest.raises(LocalProtocolError, match="temperature"):
            render({"temperature": 0.8})


# -- responses and items -----------------------------------------------------------------------------------------------------

USER_ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
GA_ITEM = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
PREVIEW_ITEM = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello"}]}


def test_a_response_is_rendered_for_each_dialect() -> None:  # C28, F133
    response = {
        "instructions": "Answer.",
        "conversation": "none",
        "metadata": {"rtcore_request": "1"},
        "output_modalities": ["audio"],
        "max_output_tokens": 100,
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"}},
        "input": [USER_ITEM, PREVIEW_ITEM, {"type": "item_reference", "id": "item_1"}],
    }
    before = deepcopy(response)
    assert OPENAI.render_response(response) == {
        **response,
        "input": [USER_ITEM, GA_ITEM, {"type": "item_reference", "id": "item_1"}],
    }
    assert PREVIEW.render_response(response) == {
        "instructions": "Answer.",
        "conversation": "none",
        "metadata": {"rtcore_request": "1"},
        "modalities": ["audio", "text"],
        "max_response_output_tokens": 100,
        "output_audio_format": "pcm16",
        "voice": "alloy",
        "input": [USER_ITEM, PREVIEW_ITEM, {"type": "item_reference", "id": "item_1"}],
    }
    assert response == before
    assert OPENAI.render_response({"input": []}) == PREVIEW.render_response({"input": []}) == {"input": []}
    with pytest.raises(LocalProtocolError, match="reasoning"):
        PREVIEW.render_response({"reasoning": {"effort": "low"}})


def test_an_assistants_parts_are_called_as_the_dialect_calls_them() -> None:  # C28, protocol facts 3.6, 13
    for item in (GA_ITEM, PREVIEW_ITEM):
        assert OPENAI.render_item(item) == GA_ITEM
        assert PREVIEW.render_item(item) == PREVIEW_ITEM
    assert OPENAI.render_item({**USER_ITEM, "object": "realtime.item"}) == USER_ITEM
    assert PREVIEW.render_item(USER_ITEM) == USER_ITEM


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ({"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}, "item.content"),
        ({"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]}, "item.output"),
    ],
)
def test_an_item_that_the_preview_does_not_know_is_refused(item: dict[str, Any], named: str) -> None:
    with pytest.raises(LocalProtocolError, match=named):
        PREVIEW.render_item(item)


@pytest.mark.parametrize("item", [{"content": None}, {"role": "assistant", "content": ["x", {"type": 3}, {}]}, {}])
def test_an_odd_item_is_passed_on_and_the_server_decides(item: dict[str, Any]) -> None:
    assert OPENAI.render_item(item) == item


# -- formats -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("pcm16", PCM16_24K),
        ("audio/pcm", PCM16_24K),
        ({"type": "audio/pcm"}, PCM16_24K),
        ({"type": "audio/pcm", "rate": 24000}, PCM16_24K),
        ({"type": "pcm16", "rate": None}, PCM16_24K),
        ({"type": "audio/pcm", "rate": 16000}, AudioFormat("audio/pcm", 16000)),
        ("g711_ulaw", PCMU),
        ({"type": "audio/pcmu"}, PCMU),
        ({"type": "g711_ulaw", "rate": 8000}, PCMU),
        ("g711_alaw", PCMA),
        ({"type": "audio/pcma"}, PCMA),
        (PCMA, PCMA),
    ],
)
def test_every_spelling_of_a_format_is_understood(value: object, known: AudioFormat) -> None:  # F016, C22
    assert audio_format(value) == known


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "opus",
        7,
        [],
        {},
        {"type": None},
        {"type": ["audio/pcm"]},
        {"type": "audio/pcm", "rate": "24000"},
        {"type": "audio/pcm", "rate": 0},
        {"type": "audio/pcm", "rate": True},
        {"type": "audio/pcmu", "rate": 16000},
    ],
)
def test_an_unknown_format_is_an_error_and_no_guess(value: object) -> None:  # F016
    with pytest.raises(ValueError, match="audio format"):
        audio_format(value)


# -- addresses and credentials -----------------------------------------------------------------------------------------------


def secret(text: str = KEY) -> SecretStr:
    return SecretStr(text)


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        (None, "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("https://api.openai.com", "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("https://api.openai.com/v1", "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("https://api.openai.com/v1/", "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        (" wss://api.openai.com/v1/realtime\n", "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("wss://api.openai.com/v1/realtime/?model=other", "wss://api.openai.com/v1/realtime?model=other"),
        ("wss://api.openai.com/v1/realtime?a=b#top", "wss://api.openai.com/v1/realtime?a=b&model=gpt-realtime"),
        ("wss://api.openai.com/v1/realtime?call_id=rtc_1", "wss://api.openai.com/v1/realtime?call_id=rtc_1"),
        ("api.openai.com", "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("http://gateway.example:8080/team-a", "ws://gateway.example:8080/team-a/realtime?model=gpt-realtime"),
        ("https://res.openai.azure.com", "wss://res.openai.azure.com/openai/v1/realtime?model=gpt-realtime"),
        ("https://res.openai.azure.com/openai/v1/", "wss://res.openai.azure.com/openai/v1/realtime?model=gpt-realtime"),
        ("https://res.openai.azure.com/openai", "wss://res.openai.azure.com/openai/v1/realtime?model=gpt-realtime"),
        ("ws://[::1]:8000", "ws://[::1]:8000/v1/realtime?model=gpt-realtime"),
    ],
)
def test_an_address_is_taken_as_people_write_it(url: str | None, dialled: str) -> None:  # protocol facts 1.1
    assert OPENAI.handshake(Connection(url=url, api_key=secret())).url == dialled


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://res.openai.azure.com", "/openai/realtime"),
        ("https://res.openai.azure.com/", "/openai/realtime"),
        ("https://res.openai.azure.com/openai", "/openai/realtime"),
        ("https://res.openai.azure.com/openai/v1", "/openai/realtime"),
        ("wss://res.openai.azure.com/openai/realtime", "/openai/realtime"),
    ],
)
@pytest.mark.parametrize("version", ["2024-10-01-preview", "2025-04-01-preview"])
def test_the_preview_names_api_version_and_deployment(url: str, path: str, version: str) -> None:  # S02, protocol facts 1.1, 13
    connection = Connection(dialect="azure-preview", url=url, api_key=secret(), api_version=version, deployment="my voice")
    dialled = PREVIEW.handshake(connection).url
    assert dialled == f"wss://res.openai.azure.com{path}?api-version={version}&deployment=my%20voice"


def test_the_preview_keeps_a_query_that_is_there_and_calls_the_deployment_after_the_model() -> None:
    url = "wss://res.openai.azure.com/openai/realtime?api-version=2024-10-01-preview"
    connection = Connection(dialect="azure-preview", url=url, api_key=secret(), model="gpt-realtime-2")
    assert PREVIEW.handshake(connection).url == f"{url}&deployment=gpt-realtime-2"


def test_credentials_go_where_the_server_wants_them_and_are_never_shown() -> None:  # protocol facts 1.2
    bearer = (("Authorization", f"Bearer {KEY}"),)
    assert OPENAI.handshake(Connection(api_key=secret())).headers == bearer
    azure = Connection(url="https://res.openai.azure.com", api_key=secret())
    assert OPENAI.handshake(azure).headers == (("api-key", KEY),)
    preview = Connection(dialect="azure-preview", url="https://res.openai.azure.com", api_key=secret())
    assert PREVIEW.handshake(preview).headers == (("api-key", KEY),)
    entra = Connection(dialect="azure-preview", url="https://res.openai.azure.com", bearer_token=secret())
    assert PREVIEW.handshake(entra).headers == bearer
    for table, connection in ((OPENAI, azure), (PREVIEW, entra)):
        shaken = table.handshake(connection)
        assert KEY not in repr(shaken) + str(shaken) + shaken.url


def test_more_headers_are_added_and_replace_ours_of_the_same_name() -> None:
    connection = Connection(
        api_key=secret(), organization="org", project="proj", headers={"authorization": "Custom x", "OpenAI-Beta": "realtime=v1"}
    )
    assert OPENAI.handshake(connection).headers == (
        ("OpenAI-Organization", "org"),
        ("OpenAI-Project", "proj"),
        ("authorization", "Custom x"),
        ("OpenAI-Beta", "realtime=v1"),
    )
    # protocol facts 1.4: never by default
    assert "OpenAI-Beta" not in dict(OPENAI.handshake(Connection(api_key=secret())).headers)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8080", "http://localhost:8080", "ws://[::1]:8080", "127.0.0.1:8080"])
def test_this_machine_needs_no_key(url: str) -> None:
    for table in (OPENAI, PREVIEW):
        shaken = table.handshake(Connection(dialect="openai" if table is OPENAI else "azure-preview", url=url))
        assert shaken.url.startswith("ws://")
        assert shaken.headers == ()


@pytest.mark.parametrize("url", [None, "wss://api.openai.com", "https://127.0.0.1.example.com", "ws://10.0.0.7:8080"])
def test_any_other_machine_is_not_dialled_without_a_credential(url: str | None) -> None:
    with pytest.raises(LocalProtocolError, match=r"^api_key: missing.*set api_key \(or bearer_token\)"):
        OPENAI.handshake(Connection(url=url))
    assert OPENAI.handshake(Connection(url=url, headers={"Authorization": "Basic x"})).headers


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (Connection(url="ftp://example.com", api_key=secret()), "^url: scheme 'ftp'"),
        (Connection(url="", dialect="openai", api_key=secret()), "^url: names no host"),
        (Connection(url="https://", api_key=secret()), "^url: names no host"),
        (Connection(url="https://exa mple.com", api_key=secret()), "^url: names no host"),
        (Connection(url="https://example.com:port", api_key=secret()), "^url: not an address"),
        (Connection(url="wss://user:pass@example.com", api_key=secret()), "^url: holds a user name or password"),
        (Connection(api_key=secret("")), "^api_key: is empty"),
        (Connection(api_key=secret(f"{KEY}\n")), "^api_key: is empty, or holds white space"),
        (Connection(bearer_token=secret("a b")), "^bearer_token: is empty"),
        (Connection(api_key=secret(), bearer_token=secret()), "^api_key: given together with bearer_token"),
        (Connection(api_key=secret(), headers={"X-Note": "a\r\nEvil: 1"}), r"^headers\['X-Note'\]"),
        (Connection(api_key=secret(), headers={"No Name": "a"}), r"^headers\['No Name'\]"),
        (Connection(api_key=secret(), organization="a\nb"), r"^headers\['OpenAI-Organization'\]"),
    ],
)
def test_an_unusable_address_or_credential_is_the_callers_mistake(connection: Connection, message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message) as caught:
        OPENAI.handshake(connection)
    assert KEY not in str(caught.value) and "pass@" not in str(caught.value)


def test_the_preview_needs_an_address() -> None:
    with pytest.raises(LocalProtocolError, match=r"^url: missing; name the Azure resource"):
        PREVIEW.handshake(Connection(dialect="azure-preview", api_key=secret()))


def test_an_unknown_dialect_is_the_callers_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="'gemini' is not known; known are openai, openai-beta, azure"):
        dialect("gemini")
