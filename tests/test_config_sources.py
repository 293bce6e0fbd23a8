"""Configurations from TOML, JSON and the environment (issue 5, item 2; failures, group J)."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from rtcore import Config, LocalProtocolError
from rtcore.config import Connection, SessionOptions
from rtcore.config_sources import connection_from_environment, from_json, from_toml
from rtcore.dialects import dialect_of
from rtcore_adapters.settings import load_config

KEY, AZURE_KEY = "sk-openai-0123456789", "azure-0123456789abcdef"
OPENAI = {"OPENAI_API_KEY": KEY}
HOST = "https://voice.openai.azure.com"
AZURE = {"AZURE_OPENAI_API_KEY": AZURE_KEY, "AZURE_OPENAI_ENDPOINT": HOST}
EU = "https://eu.api.openai.com/v1"

TOML = """
interruption = "ignore"

[connection]
url = "ws://127.0.0.1:8765"

[session]
instructions = "Be brief."

[session.audio.input.turn_detection]
type = "server_vad"
silence_duration_ms = 800

[[session.tools]]
name = "weather"
"""
JSON = """{"interruption": "ignore", "connection": {"url": "ws://127.0.0.1:8765"}, "session": {"instructions": "Be brief.",
"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 800}}}, "tools": [{"name": "weather"}]}}"""


def test_toml_and_json_say_the_same() -> None:
    config = from_toml(TOML)
    assert config == from_json(JSON) == from_json(JSON.encode())
    assert config.session.instructions == "Be brief."


def test_null_in_json_switches_off() -> None:  # F138: unset and None differ
    session = from_json('{"session": {"audio": {"input": {"turn_detection": null}}}}').session
    assert session.wire()["audio"] == {"input": {"turn_detection": None}}


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (from_toml, "[connection\n", "the configuration is no TOML: .*line 1"),
        (from_json, '{"session": ', "the configuration is no JSON"),
        (from_json, b"\xff", "the configuration is no JSON"),
    ],
)
def test_text_that_is_none_is_named(read: Any, text: Any, words: str) -> None:
    with pytest.raises(LocalProtocolError, match=words):
        read(text)


@pytest.mark.parametrize("read", [from_toml, from_json])
def test_an_unknown_option_is_named_with_the_known_ones(read: Any) -> None:
    text = "volume = 3\n[session]\npitch = 2" if read is from_toml else '{"volume": 3, "session": {"pitch": 2}}'
    with pytest.raises(ValidationError) as caught:
        read(text)
    assert "unknown option 'volume'; known are: connection" in str(caught.value)
    assert "unknown option 'pitch'; known are: instructions" in str(caught.value)


# -- the environment ----------------------------------------------------------------------------------------------------------


def told(connection: Connection) -> dict[str, Any]:
    """The options that are set, secrets in clear."""
    found = {name: getattr(connection, name) for name in sorted(connection.model_fields_set)}
    return {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in found.items()}


@pytest.mark.parametrize(
    ("environ", "options", "expected"),
    [
        ({}, {}, {}),
        (OPENAI, {}, {"api_key": KEY}),
        (
            {**OPENAI, "OPENAI_ORG_ID": "org", "OPENAI_PROJECT_ID": "p"},
            {},
            {"api_key": KEY, "organization": "org", "project": "p"},
        ),
        (
            {**OPENAI, "OPENAI_BASE_URL": EU},
            {},
            {"api_key": KEY, "url": EU},
        ),
        # A version is Azure's, and selects nothing by itself.
        ({**OPENAI, "OPENAI_API_VERSION": "2024-06-01"}, {}, {"api_key": KEY}),
        (AZURE, {}, {"api_key": AZURE_KEY, "url": HOST, "dialect": "azure"}),
        (
            {**AZURE, "OPENAI_API_VERSION": "2024-10-01-preview"},
            {},
            {
                "api_key": AZURE_KEY,
                "api_version": "2024-10-01-preview",
                "dialect": "azure-preview",
                "url": HOST,
            },
        ),
        # What the program says wins.
        (
            {**AZURE, "OPENAI_API_VERSION": "2024-06-01"},
            {"dialect": "azure", "deployment": "voice"},
            {"api_key": AZURE_KEY, "deployment": "voice", "dialect": "azure", "url": HOST},
        ),
        (AZURE, {"bearer_token": "t"}, {"bearer_token": "t", "dialect": "azure", "url": HOST}),
        # One vendor's never flips the other's.
        ({**OPENAI, **AZURE}, {"vendor": "openai"}, {"api_key": KEY}),
        (
            {**OPENAI, **AZURE},
            {"vendor": "azure"},
            {"api_key": AZURE_KEY, "url": HOST, "dialect": "azure"},
        ),
        # Empty is not set.
        ({**OPENAI, "AZURE_OPENAI_ENDPOINT": " ", "OPENAI_BASE_URL": ""}, {}, {"api_key": KEY}),
    ],
)
def test_the_vendors_own_variables_are_read(environ: dict[str, str], options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert told(connection_from_environment(environ, **options)) == expected


@pytest.mark.parametrize(
    ("environ", "options", "words"),
    [
        ({**OPENAI, **AZURE}, {}, "OPENAI_API_KEY and AZURE_OPENAI_API_KEY are both set: say which one is meant"),
        ({"AZURE_OPENAI_API_KEY": AZURE_KEY}, {}, "AZURE_OPENAI_ENDPOINT: missing; set it to https://NAME"),
        (
            {**AZURE, "OPENAI_API_VERSION": "2024-06-01"},
            {},
            "OPENAI_API_VERSION: '2024-06-01' has no realtime; ",
        ),
    ],
)
def test_what_is_wrong_is_said_by_the_variables_name(environ: dict[str, str], options: dict[str, Any], words: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        connection_from_environment(environ, **options)
    assert words in str(caught.value)
    assert AZURE_KEY not in str(caught.value)


def test_a_wrong_option_beside_a_key_does_not_show_it() -> None:
    with pytest.raises(ValidationError) as caught:
        connection_from_environment({"OPENAI_API_KEY": KEY}, modell="x")
    assert "unknown option 'modell'" in str(caught.value)
    assert KEY not in str(caught.value)


# -- files --------------------------------------------------------------------------------------------------------------------


def test_a_file_and_the_environment_come_together(tmp_path: Path) -> None:
    path = tmp_path / "voice.toml"
    path.write_text('[connection]\nmodel = "gpt-realtime-2"\n[session]\ninstructions = "Be brief."', encoding="utf-8")
    config = load_config(path, environ=OPENAI)
    assert told(config.connection) == {"api_key": KEY, "model": "gpt-realtime-2"}
    assert config.session == SessionOptions(instructions="Be brief.")


def test_a_file_with_an_address_of_its_own_is_not_mixed_with_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "voice.json"
    path.write_text(JSON, encoding="utf-8")
    assert load_config(path, environ={**OPENAI, **AZURE}) == from_json(JSON)


def test_without_a_file_the_environment_is_all() -> None:
    assert load_config(environ=OPENAI).session == Config().session


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"voice\.yaml: the name must end in \.toml or \.json"):
        load_config(tmp_path / "voice.yaml")


# -- names that people look for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"connection": {"base_url": "https://x"}}, "unknown option 'base_url': url is its name"),
        ({"connection": {"azure_deployment": "x"}}, "unknown option 'azure_deployment': deployment is its name"),
        ({"connection": {"timeout": 3}}, "unknown option 'timeout': the connection's time-outs are an adapter's"),
        ({"session": {"voice": "marin"}}, "unknown option 'voice': audio.output.voice is its name since the GA protocol"),
        ({"session": {"voices": "marin"}}, "unknown option 'voices'; known are: instructions"),
    ],
)
def test_an_option_by_another_name_is_led_to_its_own(data: dict[str, Any], words: str) -> None:  # group J: names and shapes
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(data)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"dialect": "xai"},
        {"dialect": "together", "model": "m"},
        {"url": "wss://api.x.ai/v1"},
        {"url": "https://dashscope.aliyuncs.com"},
        {"url": "https://res.openai.azure.com"},
        {"dialect": "azure", "url": "https://res.openai.azure.com"},
    ],
)
def test_openais_variables_go_to_no_other_vendor(options: dict[str, Any]) -> None:
    environ = {"OPENAI_API_KEY": "sk-openai", "OPENAI_BASE_URL": "https://api.openai.com", "OPENAI_ORG_ID": "org"}
    found = connection_from_environment(environ, **options)
    assert (found.api_key, found.organization, found.url) == (None, None, options.get("url"))
    with pytest.raises(LocalProtocolError, match="api_key: missing"):
        table = dialect_of(found)
        assert table is not None
        table.handshake(found)


def test_azures_variables_go_to_no_other_vendor() -> None:
    environ = {"AZURE_OPENAI_API_KEY": "azure-key", "AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com"}
    everywhere: list[dict[str, Any]] = [{"dialect": "xai"}, {"url": "wss://api.openai.com"}]
    for options in everywhere:
        found = connection_from_environment(environ, **options)
        assert (found.api_key, found.url) == (None, options.get("url"))


def test_a_key_that_the_program_means_for_a_server_goes_there() -> None:
    environ = {"OPENAI_API_KEY": "sk-openai", "OPENAI_BASE_URL": "https://api.x.ai/v1"}
    meant: list[dict[str, Any]] = [{}, {"dialect": "localai", "url": "ws://10.0.0.7:8080"}, {"url": "wss://gateway.example"}]
    for options in meant:
        assert connection_from_environment(environ, **options).credential("api_key") == "sk-openai"
    assert connection_from_environment(environ, vendor="openai", dialect="xai").credential("api_key") == "sk-openai"


def test_what_the_program_says_of_the_server_decides_whose_variables_count() -> None:
    both = {
        "OPENAI_API_KEY": "sk-openai",
        "AZURE_OPENAI_API_KEY": "azure-key",
        "AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com",
    }
    with pytest.raises(LocalProtocolError, match="are both set"):
        connection_from_environment(both)
    for dialect, key in (("azure", "azure-key"), ("azure-preview", "azure-key"), ("openai", "sk-openai"), ("xai", None)):
        found = connection_from_environment(both, dialect=dialect)
        assert (found.dialect, found.credential("api_key")) == (dialect, key)
    live = connection_from_environment(both, url="https://res.services.ai.azure.com/voice-live")
    table = dialect_of(live)
    assert table is not None
    assert (table.name, live.credential("api_key")) == ("azure-voice-live", "azure-key")


VOICE_LIVE = {"AZURE_OPENAI_API_KEY": "z", "AZURE_OPENAI_ENDPOINT": "https://r.services.ai.azure.com/voice-live"}


def test_the_address_says_whose_version_it_is() -> None:  # facts 1.1, 14: Voice Live has versions of its own
    found = connection_from_environment({**VOICE_LIVE, "OPENAI_API_VERSION": "2026-07-15"})
    table = dialect_of(found)
    assert table is not None and (table.name, found.api_version) == ("azure-voice-live", "2026-07-15")
    for version in ("2024-10-01-preview", "2024-10-01"):
        with pytest.raises(LocalProtocolError, match=rf"^OPENAI_API_VERSION: '{version}' of Voice Live is retired.*2025-10-01"):
            connection_from_environment({**VOICE_LIVE, "OPENAI_API_VERSION": version})


PREVIEW_VARIABLES = {**AZURE, "OPENAI_API_VERSION": "2024-10-01-preview"}


@pytest.mark.parametrize(
    ("environ", "options", "version"),
    [
        (PREVIEW_VARIABLES, {"dialect": "azure-preview"}, "2024-10-01-preview"),
        (PREVIEW_VARIABLES, {"dialect": None}, "2024-10-01-preview"),
        ({**VOICE_LIVE, "OPENAI_API_VERSION": "2026-07-15"}, {"dialect": "azure-voice-live"}, "2026-07-15"),
        # Where the rest stands in the program, it still counts.
        (
            {"OPENAI_API_VERSION": "2024-10-01-preview"},
            {"dialect": "azure-preview", "url": HOST, "api_key": "k"},
            "2024-10-01-preview",
        ),
        # The program's own word wins, and for a dialect without versions it is left alone.
        (PREVIEW_VARIABLES, {"dialect": "azure-preview", "api_version": "2025-04-01-preview"}, "2025-04-01-preview"),
        (PREVIEW_VARIABLES, {"dialect": "azure"}, None),
        (PREVIEW_VARIABLES, {"dialect": "xai"}, None),
        ({**OPENAI, "OPENAI_API_VERSION": "2023-05-15"}, {"dialect": "openai"}, None),
        ({"OPENAI_API_VERSION": "2023-05-15"}, {"url": HOST, "api_key": "k"}, None),
    ],
)
def test_the_variables_version_counts_for_the_dialects_that_have_one(
    environ: dict[str, str], options: dict[str, Any], version: str | None
) -> None:  # S02, F138
    assert connection_from_environment(environ, **options).api_version == version


@pytest.mark.parametrize("dialect", ["azure-preview", "azure-voice-live"])
def test_a_version_that_the_told_dialect_does_not_have_is_refused_by_the_variables_name(dialect: str) -> None:  # F132
    with pytest.raises(LocalProtocolError, match=r"^OPENAI_API_VERSION: '2023-05-15' .*Unset the variable, or say api_version$"):
        connection_from_environment({**AZURE, "OPENAI_API_VERSION": "2023-05-15"}, dialect=dialect)


def test_a_file_may_name_the_deployment_and_leave_the_address_to_the_environment(tmp_path: Path) -> None:
    (tmp_path / "voice.toml").write_text('[connection]\ndeployment = "voice"\n', encoding="utf-8")
    found = load_config(tmp_path / "voice.toml", environ=AZURE).connection
    assert (found.deployment, found.url, found.dialect) == ("voice", HOST, "azure")
