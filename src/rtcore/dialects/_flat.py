"""The flat shape of a session, which was OpenAI's beta and lives on at Azure and other vendors (protocol facts 13, 14).

It has no type; formats are strings; sound is asked for as ["audio", "text"], because ["audio"] alone is refused (2.6); an
assistant's text part is called ``text``. What a vendor does differently is a field of ``FlatShape``.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from rtcore._errors import LocalProtocolError
from rtcore._formats import PCM16_24K, PCMA, PCMU, AudioFormat
from rtcore.dialects._base import Wire
from rtcore.dialects._shapes import checked_format, preview_item, read_session, refused

VAD_FIELDS = frozenset({"type", "threshold", "prefix_padding_ms", "silence_duration_ms", "create_response", "interrupt_response"})
_SEMANTIC = frozenset({"type", "eagerness", "create_response", "interrupt_response"})
_DEFAULTS: dict[str, object] = {
    "prefix_padding_ms": 300,
    "create_response": True,
    "interrupt_response": True,
    "eagerness": "auto",
}
"""A turn detection is sent whole (F122): what a vendor has no word for goes unsaid where it is at the protocol's default."""

FORMATS: dict[AudioFormat, str] = {PCM16_24K: "pcm16", PCMU: "g711_ulaw", PCMA: "g711_alaw"}
"""What the beta calls its formats."""
DETECTIONS = {"server_vad": VAD_FIELDS, "semantic_vad": _SEMANTIC}
"""The beta's kinds of turn detection, and the fields of each."""


class FlatShape(Struct, frozen=True):
    """How one vendor writes the flat shape. The defaults are the beta's."""

    name: str
    session: frozenset[str] = frozenset({"instructions", "tools", "tool_choice", "tracing", "temperature"})
    """Fields of the session that are the same as in GA."""
    response: frozenset[str] = frozenset(
        {"instructions", "tools", "tool_choice", "temperature", "conversation", "metadata", "input"}
    )
    """.. and of a response."""
    turn_detection: Mapping[str, frozenset[str]] = field(default_factory=lambda: DETECTIONS)
    """The kinds of turn detection and the fields of each."""
    turn_detection_off: Wire | None = None
    """How it is turned off."""
    transcription: frozenset[str] = frozenset({"model", "language", "prompt"})
    noise_reduction: frozenset[str] = frozenset({"type"})
    input_formats: Mapping[AudioFormat, str] = field(default_factory=lambda: FORMATS)
    output_formats: Mapping[AudioFormat, str] = field(default_factory=lambda: FORMATS)
    input_rate_field: str = ""
    """The field that names the rate of PCM input, where there is one."""
    rates: tuple[int, int] = (PCM16_24K.rate, PCM16_24K.rate)
    """What PCM means, of input and output, where a session names no rate."""
    audio_modalities: tuple[str, ...] = ("audio", "text")
    voice: Callable[[str], object] = str
    """What a voice's name becomes."""
    speed: bool = True
    text_part: str = "text"
    parts: frozenset[str] = frozenset({"input_text", "input_audio", "text", "audio", "item_reference"})
    tools: Collection[str] = ("function",)
    transcription_sessions: bool = False
    """Whether there are sessions that only transcribe, by ``transcription_session.update``."""
    response_audio: bool = True
    """Whether a response may have a voice and a format of its own."""

    # -- sessions and responses ----------------------------------------------------------------------------------------------

    @property
    def kind(self) -> Literal["flat"]:
        """Everything of a session stands on top."""
        return "flat"

    def read_session(self, session: Wire) -> Wire:
        """A session of either generation in GA shape."""
        rate, output_rate = self.rates
        return read_session(session, input_rate=rate, output_rate=output_rate)

    def render_session(self, session: Wire) -> Wire:
        """Flat names. A field that the shape lacks is dropped where it is null and refused where it says something."""
        if session.get("type") != "transcription":
            return self._render(session, self.session)
        if not self.transcription_sessions:
            raise self._refused("type = 'transcription'", "it has conversations only; leave it out")
        return self._render(session, frozenset({"include"}))

    def render_response(self, response: Wire) -> Wire:
        """The same for the ``response`` object; its input items are rendered as items."""
        if not self.response_audio and response.get("audio"):
            raise self._refused("audio", "set voice and format for the session")
        wire = self._render({key: value for key, value in response.items() if key != "input"}, self.response)
        items = response.get("input")
        if items is not None and "input" not in self.response:
            raise self._refused("input", "it answers the conversation only; leave it out")
        return wire if items is None else {**wire, "input": [self.render_item(item) for item in items]}

    def _render(self, options: Wire, same: frozenset[str]) -> Wire:
        wire: Wire = {}
        for key, value in options.items():
            match key:
                case "output_modalities":
                    wire["modalities"] = self._modalities(value)
                case "max_output_tokens":
                    wire["max_response_output_tokens"] = value
                case "audio":
                    wire |= self._input_side(value.get("input") or {}) | self._output_side(value.get("output") or {})
                case "tools" if "tools" in same:
                    wire["tools"] = self._tools(value)
                case "type" | "vendor":
                    continue
                case _ if key in same:
                    wire[key] = value
                case _ if value is not None:
                    raise self._refused(key, "leave it out")
                case _:
                    continue
        return wire | (options.get("vendor") or {})

    def _modalities(self, value: list[str]) -> list[str]:
        return list(self.audio_modalities) if "audio" in value else ["text"]

    def _tools(self, value: list[Any]) -> list[Any]:
        for tool in value:
            if tool.get("type", "function") not in self.tools:
                raise self._refused(f"tools (type {tool['type']!r})", "use function tools")
        return value

    def _input_side(self, audio: Mapping[str, Any]) -> Wire:
        wire: Wire = {}
        for key, value in audio.items():
            match key:
                case "format":
                    form = checked_format(value, self.input_formats, "audio.input.format", self.name)
                    wire["input_audio_format"] = self.input_formats[form]
                    if self.input_rate_field and form.type == "audio/pcm":
                        wire[self.input_rate_field] = form.rate
                case "turn_detection":
                    wire["turn_detection"] = self._detection(value)
                case "transcription":
                    wire["input_audio_transcription"] = self._only(value, self.transcription, "audio.input.transcription")
                case "noise_reduction" if self.noise_reduction:
                    wire["input_audio_noise_reduction"] = self._only(value, self.noise_reduction, "audio.input.noise_reduction")
                case _ if value is None:
                    continue
                case _:
                    raise self._refused(f"audio.input.{key}", "leave it out")
        return wire

    def _detection(self, value: object) -> object:
        if not isinstance(value, Mapping):
            return self.turn_detection_off
        known = self.turn_detection.get(str(value.get("type")))
        if known is None:
            kinds, path = " or ".join(self.turn_detection), "audio.input.turn_detection.type"
            raise self._refused(f"{path} = {value.get('type')!r}", f"use {kinds}, or None for manual turns")
        said = {key: inner for key, inner in value.items() if key in known or _DEFAULTS.get(key) != inner}
        return self._only(said, known, "audio.input.turn_detection")

    def _output_side(self, audio: Mapping[str, Any]) -> Wire:
        wire: Wire = {}
        for key, value in audio.items():
            match key:
                case "format":
                    form = checked_format(value, self.output_formats, "audio.output.format", self.name)
                    wire["output_audio_format"] = self.output_formats[form]
                case "voice" if isinstance(value, str):
                    wire["voice"] = self.voice(value)
                case "voice":
                    raise self._refused("audio.output.voice", "name one of its voices as a string")
                case "speed" if self.speed:
                    wire["speed"] = value
                case _:
                    raise self._refused(f"audio.output.{key}", "leave it out")
        return wire

    def _only(self, value: object, known: frozenset[str], name: str) -> object:
        """The object without the fields that the shape has not, where they say nothing (null); an error where they do."""
        if not isinstance(value, Mapping):
            return value
        for key, inner in value.items():
            if key not in known and inner is not None:
                raise self._refused(f"{name}.{key}", "leave it out")
        return {key: inner for key, inner in value.items() if key in known}

    # -- items ---------------------------------------------------------------------------------------------------------------

    def render_item(self, item: Wire) -> Wire:
        """An item with the part names of the beta. What it does not know is refused."""
        wire = preview_item(item)
        for part in wire.get("content") or ():
            if isinstance(part, Mapping) and part.get("type") not in self.parts:
                raise self._refused(f"item.content (type {part.get('type')!r})", "use text or audio")
        if not isinstance(wire.get("output", ""), str):
            raise self._refused("item.output", "give the output as a string")
        return wire

    def _refused(self, name: str, remedy: str) -> LocalProtocolError:
        return refused(name, remedy, self.name)
