"""No error of the configuration shows a credential: not in its text, not in what a program reads from it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import rtcore.config
from rtcore import LocalProtocolError
from rtcore.config import Config, Connection, McpTool, SessionOptions, parse_options, parse_response
from rtcore.config_sources import connection_from_environment, from_json, from_toml

KEY = "sk-proj-0123456789abcdef"
AZURE = {"url": "https://r.openai.azure.com", "api_key": KEY}
MCP = {"type": "mcp", "server_label": "shop", "server_url": "https://s.example", "authorization": KEY, "headers": {"X-Key": KEY}}


def whole() -> dict[str, Any]:
    """A configuration with a credential wherever one can stand, and something in each of its parts."""
    return {
        "connection": {
            "dialect": "openai",
            "url": f"wss://api.openai.com/v1?api-key={KEY}",
            "model": "gpt-realtime",
            "api_key": KEY,
            "headers": {"X-Key": KEY},
        },
        "session": {
            "instructions": "Be brief.",
            "output_modalities": ["audio"],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "turn_detection": {"type": "server_vad", "threshold": 0.5},
                    "transcription": {"model": "whisper-1"},
                    "noise_reduction": {"type": "near_field"},
                },
                "output": {"voice": "marin", "speed": 1.0},
            },
            "tools": [{"type": "function", "name": "look"}, MCP],
            "tool_choice": {"type": "function", "name": "look"},
            "prompt": {"id": "p"},
            "tracing": {"workflow_name": "calls"},
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
            "reasoning": {"effort": "low"},
            "vendor": {"tier": "fast"},
        },
        "microphone": {"batch_ms": 40},
        "playout": {"lead_ms": 200},
        "barge_in": {"min_words": 1, "backchannels": {"en": ["yes"]}},
        "function_calls": {"interrupted": "keep"},
        "timeouts": {"create_ms": 1000},
        "reconnect": {"attempts": 3},
        "interruption": "cut",
    }


def shows_no_key(fault: ValidationError) -> None:
    told = [str(fault), repr(fault), repr(fault.errors()), fault.json(), repr(fault.args)]
    # A traceback shows what an error was made from, too.
    told += [f"{each!r} {each}" for each in (fault.__cause__, None if fault.__suppress_context__ else fault.__context__)]
    assert not any(KEY[-8:] in text or KEY[:10] in text for text in told)


def refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValidationError) as caught:
        make()
    shows_no_key(caught.value)


def in_config(**session: Any) -> Callable[[], object]:
    return lambda: Config.model_validate({"connection": {"api_key": KEY}, "session": {"tools": [MCP], **session}})


def on_azure(**connection: Any) -> Callable[[], object]:
    return lambda: Connection.model_validate({**AZURE, **connection})


# What fails in each validator that there is, by model and name.
FAILS: dict[str, list[Callable[[], object]]] = {
    "_Generation._modality": [
        in_config(output_modalities=["audio", "text"]),
        lambda: rtcore.config.ResponseOptions.model_validate({"output_modalities": ["audio", "text"], "tools": [MCP]}),
    ],
    "_TurnDetection._cannot_create_while_it_runs": [
        in_config(audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": "no"}}})
    ],
    "SessionOptions._only_the_vendors": [in_config(vendor={"model": KEY}), in_config(vendor={"type": KEY, "x": KEY})],
    "SessionOptions._check": [
        in_config(type="transcription"),
        lambda: SessionOptions(type="transcription", tools=(McpTool.model_validate(MCP),)),
    ],
    "ResponseOptions._within_limits": [
        lambda: rtcore.config.ResponseOptions.model_validate({"metadata": {"k" * 65: KEY}, "tools": [MCP]})
    ],
    "Connection._kept_secret": [
        lambda: Connection.model_validate({"api_key": [KEY]}),
        lambda: Connection.model_validate({"bearer_token": {"x": KEY}}),
    ],
    "Connection._check": [
        on_azure(api_version="2024-12-17-preview"),
        on_azure(dialect="azure-preview", api_version="2024-12-17-preview"),
        on_azure(dialect="azure", authentication="subprotocol"),
        on_azure(url=f"https://r.openai.azure.com?api-version=2024-12-17-preview&api-key={KEY}"),
        lambda: Connection(dialect="openai", api_version="2025-10-01", api_key=KEY),
        lambda: Connection(dialect="azure", authentication="subprotocol", url="https://r.openai.azure.com", api_key=KEY),
        lambda: Config.model_validate({"connection": {**AZURE, "api_version": "2024-12-17-preview"}}),
    ],
    "FunctionCalls._check": [
        lambda: Config.model_validate({"connection": {"api_key": KEY}, "function_calls": {"filler": "Wait."}}),
    ],
    "Config._check": [
        in_config(temperature=0.7),
        in_config(audio={"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}),
        lambda: Config.model_validate({"connection": {"dialect": "vllm", "url": "ws://h", "api_key": KEY}}),
        lambda: Config.model_validate({"connection": {"call_id": "c", "api_key": KEY}, "interruption": "pause"}),
    ],
}


def models() -> list[type[BaseModel]]:
    found = [each for each in vars(rtcore.config).values() if isinstance(each, type) and issubclass(each, BaseModel)]
    return [each for each in found if each.__module__ == "rtcore.config"]


@pytest.mark.parametrize("name", FAILS)
def test_no_validator_that_fails_shows_a_key(name: str) -> None:  # C30, issue 5: secrets never reach errors
    for make in FAILS[name]:
        refused(make)


def test_there_is_no_other_validator() -> None:
    """A validator of a whole model with mode "after" would stand around what hides its input; each other one fails above."""
    there = set()
    for model in models():
        decorated = model.__pydantic_decorators__
        own = {**decorated.field_validators, **decorated.validators, **decorated.root_validators, **decorated.model_validators}
        there |= {f"{model.__name__}.{each}" for each in own if each in vars(model)}
        if "_check" in vars(model):
            there.add(f"{model.__name__}._check")
        assert {each.info.mode for each in decorated.model_validators.values()} <= {"wrap", "before"}
    assert there - {"_Model._explain", "_Model._check"} == set(FAILS)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from _places(each, (*path, name))


def _replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        return {**value, path[0]: _replaced(value[str(path[0])], path[1:], new)}
    return [_replaced(each, path[1:], new) if index == path[0] else each for index, each in enumerate(value)]


def _got(value: Any, path: tuple[str | int, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


def test_whatever_is_wrong_anywhere_no_key_shows() -> None:
    """Every part of a configuration, replaced by what it is not, by itself in a list, and with a key under a wrong name."""
    failed = 0
    for path in _places(whole()):
        old = _got(whole(), path)
        wrong = [object(), -1, [old], {"wrong": old}, None]
        # Where any name is one of the option's own (languages), a key is no wrong name but a wrong word.
        named = isinstance(old, dict) and path[-1:] != ("backchannels",)
        wrong += [{**old, "token": KEY}, {**old, "authorization": [KEY]}] if named else []
        for new in wrong:
            data = _replaced(whole(), path, new)
            for call in (True, False):
                try:
                    Config(**data) if call else Config.model_validate(data)
                except ValidationError as fault:
                    shows_no_key(fault)
                    failed += 1
                except TypeError:  # the whole of it is no mapping
                    assert path == ()
    assert failed > 400


@pytest.mark.parametrize(
    "make",
    [
        lambda: from_toml(f'session.temperature = 5\n[connection]\napi_key = "{KEY}"'),
        lambda: from_json(json.dumps({"connection": {"api_key": KEY}, "api_key": KEY})),
        lambda: from_json(json.dumps([KEY])),
        lambda: from_json(json.dumps(KEY)),
        lambda: Config.model_validate_json(f'{{"connection": {{"api_key": "{KEY}"}}'),
        lambda: Connection.model_validate_json(f'{{"api_key": "{KEY}",'),
        lambda: Config.model_validate_json(f'{{"connection": "{KEY}"}}'),
        lambda: setattr(Connection(), "api_key", KEY),
        lambda: connection_from_environment({"OPENAI_API_KEY": KEY}, dialect="xai", api_version="1999", api_key=KEY),
        lambda: Config.model_validate({"microphone": {"api_key": KEY}}),
    ],
)
def test_no_way_in_shows_a_key(make: Callable[[], object]) -> None:
    refused(make)


def test_no_option_given_later_shows_a_key() -> None:
    for parse in (parse_options, parse_response):
        for wrong in ({"tools": {"x": MCP}}, {"tools": [MCP, 5]}, {"tools": [{**MCP, "server_url": 5}]}, {"api_key": KEY}):
            with pytest.raises(LocalProtocolError) as caught:
                parse(wrong)
            assert KEY not in str(caught.value)


def test_the_value_of_a_known_option_shows() -> None:  # issue 5: the option, its value, what is allowed
    with pytest.raises(ValidationError, match=r"(?s)session\.temperature.*input_value=5") as caught:
        in_config(temperature=5)()
    assert caught.value.errors()[0]["input"] == 5
    with pytest.raises(ValidationError, match=r"(?s)output_modalities.*\['audio', 'text'\]"):
        in_config(output_modalities=["audio", "text"])()


def test_a_copy_with_a_key_in_clear_and_the_address_of_a_remote_tool_show_none() -> None:
    for name in ("api_key", "bearer_token"):
        copy = Connection(url="ws://localhost").model_copy(update={name: KEY})
        assert KEY not in repr(copy) + str(copy) + repr(Config(connection=copy)) and copy.credential(name) == KEY
    tool = {"type": "mcp", "server_label": "shop", "server_url": f"https://u:{KEY}@shop.example/mcp?key={KEY}#{KEY}"}
    shown = repr(Config.model_validate({"session": {"tools": [tool]}}))
    assert KEY not in shown and "https://shop.example/mcp" in shown
