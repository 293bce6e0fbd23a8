"""What a dialect is, and the shapes that dialects share.

Inside the core there is one vocabulary, the GA names. A dialect turns it into its own on the way out (``render_*``); on the way
in both generations are understood always, whatever the dialect: a gateway may serve beta names on a GA address and the other way
round (protocol facts, section 13). Capabilities decide what the core does, never a vendor's name.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from rtcore._effects import Handshake
from rtcore._errors import ErrorKind
from rtcore._formats import PCMA, PCMU, AudioFormat

if TYPE_CHECKING:
    from rtcore.config import Connection

Wire = dict[str, Any]
"""A JSON object of the protocol."""


class Capabilities(Struct, frozen=True):
    """What a server of this dialect can do. The core asks these, never the dialect's name."""

    truncate: bool
    """It understands ``conversation.item.truncate``."""
    truncate_acknowledged: bool
    """It answers a truncate by ``conversation.item.truncated``."""
    truncate_content_index: Literal["own", "zero"]
    """Which content index a truncate carries: that of the audio part, or always 0 (C23)."""
    delete: bool
    """It understands ``conversation.item.delete``."""
    server_cancels: bool
    """Its turn detection can interrupt a response by itself."""
    playout: Literal["client", "server"]
    """Who sounds the audio and knows what was heard. On a telephone or WebRTC side channel it is the server."""
    out_of_band: bool
    """It can run responses beside the conversation (``conversation: "none"``)."""


class Dialect(Struct, frozen=True):
    """One dialect as a table: names and shapes both ways, address and authentication, capabilities, texts of errors.

    The ``render_*`` functions take GA-shaped objects, never change their argument, and raise ``LocalProtocolError`` for what the
    dialect cannot say. ``read_session`` never raises.
    """

    name: str
    capabilities: Capabilities
    render_session: Callable[[Wire], Wire]
    """GA-shaped partial session to the ``session`` object of ``session.update``."""
    read_session: Callable[[Wire], Wire]
    """The ``session`` object of ``session.created`` and ``session.updated``, of either generation, to GA shape."""
    render_response: Callable[[Wire], Wire]
    """GA-shaped ``response`` object of ``response.create`` to the dialect's."""
    render_item: Callable[[Wire], Wire]
    """GA-shaped item of ``conversation.item.create`` to the dialect's."""
    handshake: "Callable[[Connection], Handshake]"
    """Where and how to dial. Raises ``LocalProtocolError`` where the address or the key is missing or unusable."""
    errors: tuple[tuple[str, ErrorKind], ...] = ()
    """Kernels of this dialect's own error texts, for ``classify(..., extra=)``."""


# -- audio formats: both spellings, one meaning (protocol facts 9) -----------------------------------------------------------

_G711: dict[str, AudioFormat] = {"audio/pcmu": PCMU, "g711_ulaw": PCMU, "audio/pcma": PCMA, "g711_alaw": PCMA}
_PCM = ("audio/pcm", "pcm16")
_PCM_RATE = 24_000
_RATES = range(8_000, 96_001)


def audio_format(value: object) -> AudioFormat:
    """The format named by a string ("pcm16", "audio/pcmu"), a mapping ({"type": ..., "rate": ...}) or an AudioFormat.

    Raises ``ValueError`` for anything else: an unknown format is an error, never a silent guess (F016).
    """
    if isinstance(value, AudioFormat):
        return value
    name, rate = value, None
    if isinstance(value, Mapping):
        name, rate = value.get("type"), value.get("rate")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int) or rate not in _RATES):
        raise ValueError(f"audio format {value!r}: rate must be a number of samples per second from 8000 to 96000")
    if isinstance(name, str) and name in _PCM:
        return AudioFormat("audio/pcm", rate if rate is not None else _PCM_RATE)
    if isinstance(name, str) and name in _G711:
        if rate not in (None, _G711[name].rate):
            raise ValueError(f"audio format {value!r}: G.711 has 8000 samples per second")
        return _G711[name]
    known = "audio/pcm (pcm16), audio/pcmu (g711_ulaw), audio/pcma (g711_alaw)"
    raise ValueError(f"audio format {value!r} is not known; known are {known}")


def ga_format(known: AudioFormat) -> Wire:
    """A format as GA writes it: only PCM names its rate."""
    return {"type": known.type, "rate": known.rate} if known.type == "audio/pcm" else {"type": known.type}


def _read_format(value: object) -> object:
    """The GA object of a format, whatever its spelling; what is not known stays as it came, for the core to report."""
    try:
        return ga_format(audio_format(value))
    except ValueError:
        return value


# -- reading a session, of either generation ---------------------------------------------------------------------------------

_FLAT_INPUT = {
    "input_audio_format": "format",
    "turn_detection": "turn_detection",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
}
_FLAT_OUTPUT = {"output_audio_format": "format", "voice": "voice", "speed": "speed"}
_FLAT_TOP = {"modalities": "output_modalities", "max_response_output_tokens": "max_output_tokens"}


def _object(value: object) -> Wire:
    return dict(value) if isinstance(value, Mapping) else {}


def read_session(session: Wire) -> Wire:
    """The GA shape of a session object, flat (preview), nested (GA) or mixed (other vendors); nested names win (F132, F133).

    Unknown fields stay. Never raises: what has the wrong type is left out.
    """
    audio = _object(session.get("audio"))
    sides = {"input": _object(audio.get("input")), "output": _object(audio.get("output"))}
    result = {key: value for key, value in session.items() if key != "audio"}
    for side, names in (("input", _FLAT_INPUT), ("output", _FLAT_OUTPUT)):
        for flat, nested in names.items():
            if flat in result:
                value = result.pop(flat)
                sides[side].setdefault(nested, value)
        if "format" in sides[side]:
            sides[side]["format"] = _read_format(sides[side]["format"])
    for flat, nested in _FLAT_TOP.items():
        if flat in result:
            value = result.pop(flat)
            result.setdefault(nested, value)
    modalities = result.get("output_modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        # The preview says ["audio", "text"] for what GA calls ["audio"]: sound with its transcript (2.6).
        result["output_modalities"] = ["audio"]
    kept = {side: values for side, values in sides.items() if values}
    if kept:
        result["audio"] = {**audio, **kept}
    return result


# -- items -------------------------------------------------------------------------------------------------------------------

_GA_PART = {"text": "output_text", "audio": "output_audio"}
_PREVIEW_PART = {"output_text": "text", "output_audio": "audio"}


def _renamed(part: object, names: Mapping[str, str]) -> object:
    if not isinstance(part, Mapping) or part.get("type") not in names:
        return part
    return {**part, "type": names[part["type"]]}


def _with_parts(item: Wire, names: Mapping[str, str]) -> Wire:
    content = item.get("content")
    if item.get("role") != "assistant" or not isinstance(content, list | tuple):
        return dict(item)
    return {**item, "content": [_renamed(part, names) for part in content]}


def ga_item(item: Wire) -> Wire:
    """An item with the part names of GA (3.6, 13). The beta's ``object`` field goes: GA has none."""
    return _with_parts({key: value for key, value in item.items() if key != "object"}, _GA_PART)


def preview_item(item: Wire) -> Wire:
    """An item with the part names of the preview (3.6, 13)."""
    return _with_parts(item, _PREVIEW_PART)
