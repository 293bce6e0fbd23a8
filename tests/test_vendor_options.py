"""``session.vendor`` is for what the vendor alone has, and no way around the options, their bounds and what follows of them."""

from typing import Any

import pytest
from helpers.scene import configured, ready, sent
from pydantic import BaseModel, ValidationError

from rtcore import LocalProtocolError, _vendor, config
from rtcore._sayable import check_sayable
from rtcore.config import Config, SessionOptions
from rtcore.dialects import DIALECTS

FLAT = {
    "modalities": "output_modalities",
    "max_response_output_tokens": "max_output_tokens",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "turn_detection": "audio.input.turn_detection",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "input_audio_sampling_rate": "audio.input.format",
}


def paths(model: type[BaseModel], prefix: str = "") -> set[str]:
    return {f"{prefix}{name}" for name in model.model_fields}


OPTIONS = (
    paths(SessionOptions) - {"audio", "vendor", "type"}
    | paths(config.AudioInput, "audio.input.")
    | paths(config.AudioOutput, "audio.output.")
)
VALUES: list[Any] = [5, "x", None, ["audio", "text"], {"type": "server_vad", "threshold": 0.9}]


def named(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def test_the_names_are_those_of_the_options() -> None:
    """The check cannot import the configuration, so its table is held to it here."""
    assert _vendor.OPTIONS == OPTIONS
    assert _vendor._FIELDS["audio.input.transcription"] == paths(config.Transcription)
    assert _vendor._FIELDS["audio.input.noise_reduction"] == paths(config.NoiseReduction)
    kinds: dict[str, type[config._Options]] = {
        "server_vad": config.ServerVad,
        "semantic_vad": config.SemanticVad,
        "azure_semantic_vad": config.AzureSemanticVad,
    }
    assert _vendor._FIELDS["audio.input.turn_detection"] == set().union(*(paths(each) for each in kinds.values()))
    assert _vendor._WHOLE.keys() == kinds.keys()
    assert all(whole <= kinds[kind]._always for kind, whole in _vendor._WHOLE.items())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_option_is_refused_among_the_vendors_by_each_of_its_names(dialect: str) -> None:  # F122, F133, F135
    table = DIALECTS[dialect]
    kind = {} if table.capabilities.answers else {"type": "transcription"}
    for value in VALUES:
        said = [(named(path, value), path) for path in OPTIONS] + [({name: value}, path) for name, path in FLAT.items()]
        for vendor, path in said:
            if path in table.own_forms and isinstance(value, dict) and path != "audio.input.turn_detection":
                continue  # of another type than the option's: Voice Live's own
            with pytest.raises(LocalProtocolError, match=rf"not the vendor's own, it is an option; set session\.{path}$"):
                check_sayable(table, {**kind, "vendor": vendor})
    for vendor in ({"audio": 5}, {"audio": {"input": 5}}, {"audio": {}}):
        with pytest.raises(LocalProtocolError, match=r"vendor\.audio.*it is an option"):
            check_sayable(table, {**kind, "vendor": vendor})
    # What is no option is the vendor's affair.
    check_sayable(table, {**kind, "vendor": {"enable_search": True, "avatar": {"voice": 1}, "session": {"resumption": True}}})


@pytest.mark.parametrize(
    "vendor",
    [
        {"temperature": 5},
        {"max_output_tokens": 99_999, "instructions": 7},
        {"output_modalities": ["audio", "text"]},
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}}},
    ],
)
def test_it_is_refused_at_the_start_and_at_run_time(vendor: dict[str, Any]) -> None:  # F122, S09
    with pytest.raises(ValidationError, match=r"it is an option; set session\."):
        configured(session={"vendor": vendor})
    scene = ready()
    with pytest.raises(LocalProtocolError, match=r"it is an option; set session\."):
        scene.update({"vendor": vendor})
    assert sent(scene.update({"vendor": {"tier": "fast"}}))[0]["session"] == {"type": "realtime", "tier": "fast"}


def voice_live(vendor: dict[str, Any]) -> dict[str, Any]:
    connection = {"dialect": "azure-voice-live", "url": "https://r.services.ai.azure.com", "api_key": "k"}
    made = Config.model_validate({"connection": connection, "session": {"vendor": vendor}})
    return DIALECTS["azure-voice-live"].render_session(made.session.wire())


WHOLE = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
}


@pytest.mark.parametrize(
    "vendor",
    [
        {"voice": {"type": "azure-custom", "name": "mine"}},
        {"voice": {"type": "azure-standard", "name": "en-US-AvaNeural", "temperature": 0.8}},
        {"turn_detection": {"type": "azure_semantic_vad_multilingual"}},
        {"turn_detection": {**WHOLE, "auto_truncate": True}},
        {"input_audio_transcription": {"model": "azure-speech", "phrase_list": ["Neo QLED"]}},
        {"input_audio_noise_reduction": {"type": "azure_deep_noise_suppression"}},
    ],
)
def test_what_the_option_cannot_say_is_the_vendors(vendor: dict[str, Any]) -> None:  # facts 14: Voice Live
    assert voice_live(vendor) == vendor
    with pytest.raises(ValidationError, match="it is an option"):
        configured(session={"vendor": vendor})


@pytest.mark.parametrize(
    "vendor",
    [
        {"voice": {"type": "azure-standard", "name": "en-US-AvaNeural"}},
        {"turn_detection": WHOLE},
        {"turn_detection": {"type": "server_vad", "auto_truncate": True}},  # in part: the rest would be filled in (F122)
        {"turn_detection": None},
        {"input_audio_transcription": {"model": "azure-speech"}},
        {"input_audio_noise_reduction": {"type": "near_field"}},
    ],
)
def test_what_the_option_can_say_is_the_options_there_too(vendor: dict[str, Any]) -> None:  # F122; facts 14
    with pytest.raises(ValidationError, match="it is an option"):
        voice_live(vendor)
