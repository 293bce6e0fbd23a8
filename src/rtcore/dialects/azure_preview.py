"""Azure's preview dialect (api-versions 2024-10-01-preview and 2025-04-01-preview), which was OpenAI's beta (protocol facts 13).

The session is flat and has no type; formats are strings; sound is asked for as ["audio", "text"], because ["audio"] alone is
refused (2.6); an assistant's text part is called ``text``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtcore._effects import Handshake
from rtcore._errors import LocalProtocolError
from rtcore._formats import PCM16_24K
from rtcore.dialects import _address
from rtcore.dialects._base import Capabilities, Dialect, Wire, audio_format, preview_item, read_session

if TYPE_CHECKING:
    from rtcore.config import Connection

_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
_SESSION = {"instructions", "tools", "tool_choice", "tracing", "temperature"}
_RESPONSE = {"instructions", "tools", "tool_choice", "temperature", "conversation", "metadata"}
_TURN_DETECTION = {
    "type",
    "threshold",
    "prefix_padding_ms",
    "silence_duration_ms",
    "create_response",
    "interrupt_response",
    "eagerness",
}
_TRANSCRIPTION = {"model", "language", "prompt"}
_PARTS = {"input_text", "input_audio", "text", "audio", "item_reference"}


def _refused(name: str, remedy: str) -> LocalProtocolError:
    return LocalProtocolError(f"{name}: the azure-preview dialect cannot say it; {remedy}")


def _only(value: object, known: set[str], name: str) -> object:
    """The object without the fields that the preview does not know, where they say nothing (null); an error where they do."""
    if not isinstance(value, Mapping):
        return value
    for key, inner in value.items():
        if key not in known and inner is not None:
            raise _refused(f"{name}.{key}", "leave it out")
    return {key: inner for key, inner in value.items() if key in known}


def _format(value: object, name: str) -> str:
    known = audio_format(value)
    if known.type == "audio/pcm" and known != PCM16_24K:
        raise _refused(f"{name}.rate", "its PCM has 24000 samples per second")
    return _FORMATS[known.type]


def _modalities(value: list[str]) -> list[str]:
    return ["audio", "text"] if "audio" in value else ["text"]


def _tools(value: list[Any]) -> list[Any]:
    for tool in value:
        if tool.get("type", "function") != "function":
            raise _refused(f"tools (type {tool['type']!r})", "use function tools")
    return value


def _input_side(audio: Mapping[str, Any]) -> Wire:
    wire: Wire = {}
    for key, value in audio.items():
        match key:
            case "format":
                wire["input_audio_format"] = _format(value, "audio.input.format")
            case "turn_detection":
                wire["turn_detection"] = _only(value, _TURN_DETECTION, "audio.input.turn_detection")
            case "transcription":
                wire["input_audio_transcription"] = _only(value, _TRANSCRIPTION, "audio.input.transcription")
            case "noise_reduction":
                wire["input_audio_noise_reduction"] = _only(value, {"type"}, "audio.input.noise_reduction")
            case _:
                raise _refused(f"audio.input.{key}", "leave it out")
    return wire


def _output_side(audio: Mapping[str, Any]) -> Wire:
    wire: Wire = {}
    for key, value in audio.items():
        match key:
            case "format":
                wire["output_audio_format"] = _format(value, "audio.output.format")
            case "voice" if isinstance(value, str):
                wire["voice"] = value
            case "voice":
                raise _refused("audio.output.voice", "name one of its voices as a string")
            case "speed":
                wire["speed"] = value
            case _:
                raise _refused(f"audio.output.{key}", "leave it out")
    return wire


def _render(options: Wire, same: set[str]) -> Wire:
    """Flat names. A field that the preview lacks is dropped where it is null and refused where it says something."""
    wire: Wire = {}
    for key, value in options.items():
        match key:
            case "output_modalities":
                wire["modalities"] = _modalities(value)
            case "max_output_tokens":
                wire["max_response_output_tokens"] = value
            case "audio":
                wire |= _input_side(value.get("input") or {}) | _output_side(value.get("output") or {})
            case "tools":
                wire["tools"] = _tools(value)
            case "type":
                continue
            case _ if key in same:
                wire[key] = value
            case _ if value is not None:
                raise _refused(key, "leave it out")
            case _:
                continue
    return wire


def _render_item(item: Wire) -> Wire:
    wire = preview_item(item)
    for part in wire.get("content") or ():
        if isinstance(part, Mapping) and part.get("type") not in _PARTS:
            raise _refused(f"item.content (type {part.get('type')!r})", "use text or audio")
    if not isinstance(wire.get("output", ""), str):
        raise _refused("item.output", "give the output as a string")
    return wire


def _render_session(session: Wire) -> Wire:
    return _render(session, _SESSION)


def _render_response(response: Wire) -> Wire:
    wire = _render({key: value for key, value in response.items() if key != "input"}, _RESPONSE)
    items = response.get("input")
    return wire if items is None else {**wire, "input": [_render_item(item) for item in items]}


def _path(path: str) -> str:
    if path.endswith("/realtime"):
        return path
    if path in ("", "/openai/v1"):
        return "/openai/realtime"
    return f"{path}/realtime"


def _handshake(connection: "Connection") -> Handshake:
    if connection.url is None:
        raise LocalProtocolError("url: missing; name the Azure resource, for example https://my-resource.openai.azure.com")
    query = (("api-version", connection.api_version), ("deployment", connection.deployment or connection.model))
    return _address.handshake(connection, _address.split_url(connection.url), path=_path, query=query, azure=True)


AZURE_PREVIEW = Dialect(
    name="azure-preview",
    capabilities=Capabilities(
        truncate=True,
        truncate_acknowledged=True,
        truncate_content_index="own",
        delete=True,
        server_cancels=True,
        playout="client",
        out_of_band=True,
    ),
    render_session=_render_session,
    read_session=read_session,
    render_response=_render_response,
    render_item=_render_item,
    handshake=_handshake,
)
"""Preview names, flat session, ``api-key`` header or an Entra token, ``api-version`` and ``deployment`` in the query."""
