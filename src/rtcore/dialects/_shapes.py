"""Shapes that dialects share: formats in both spellings, sessions of either generation, and the names of content parts."""

from collections.abc import Collection, Mapping

from rtcore._errors import LocalProtocolError
from rtcore._formats import PCMA, PCMU, AudioFormat
from rtcore.dialects._base import Wire

# -- audio formats: both spellings, one meaning (protocol facts 9) -----------------------------------------------------------

_G711: dict[str, AudioFormat] = {"audio/pcmu": PCMU, "g711_ulaw": PCMU, "audio/pcma": PCMA, "g711_alaw": PCMA}
_PCM = ("audio/pcm", "pcm16", "pcm24", "pcm")
_PCM_RATE = 24_000
_RATES = range(8_000, 96_001)


def audio_format(value: object, rate: int = _PCM_RATE) -> AudioFormat:
    """The format named by a string ("pcm16", "audio/pcmu"), a mapping ({"type": ..., "rate": ...}) or an AudioFormat.

    ``rate`` is that of PCM which names none. Raises ``ValueError`` for anything else: an unknown format is an error, never a
    silent guess (F016).
    """
    if isinstance(value, AudioFormat):
        return value
    name, said = value, None
    if isinstance(value, Mapping):
        name, said = value.get("type"), value.get("rate")
    if said is not None and (isinstance(said, bool) or not isinstance(said, int) or said not in _RATES):
        raise ValueError(f"audio format {value!r}: rate must be a number of samples per second from 8000 to 96000")
    if isinstance(name, str) and name in _PCM:
        return AudioFormat("audio/pcm", said if said is not None else rate)
    if isinstance(name, str) and name in _G711:
        if said not in (None, _G711[name].rate):
            raise ValueError(f"audio format {value!r}: G.711 has 8000 samples per second")
        return _G711[name]
    known = "audio/pcm (pcm16), audio/pcmu (g711_ulaw), audio/pcma (g711_alaw)"
    raise ValueError(f"audio format {value!r} is not known; known are {known}")


def ga_format(known: AudioFormat) -> Wire:
    """A format as GA writes it: only PCM names its rate."""
    return {"type": known.type, "rate": known.rate} if known.type == "audio/pcm" else {"type": known.type}


def checked_format(value: object, known: Collection[AudioFormat], name: str, dialect: str) -> AudioFormat:
    """The format that ``value`` names. Raises ``LocalProtocolError`` for one that the dialect has not."""
    found = audio_format(value)
    if found in known:
        return found
    rates = [form.rate for form in known if form.type == found.type]
    if rates:
        raise refused(f"{name}.rate", f"its PCM has {' or '.join(map(str, rates))} samples per second", dialect)
    names = ", ".join(dict.fromkeys(form.type for form in known))
    raise refused(name, f"its formats are {names}", dialect)


def refused(name: str, remedy: str, dialect: str) -> LocalProtocolError:
    """The caller's mistake of asking for what the dialect cannot say."""
    return LocalProtocolError(f"{name}: the {dialect} dialect cannot say it; {remedy}")


def _read_format(value: object, rate: int) -> object:
    """The GA object of a format, whatever its spelling; what is not known stays as it came, for the core to report."""
    try:
        return ga_format(audio_format(value, rate))
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


FLAT_NAMES = {
    **{flat: f"audio.input.{name}" for flat, name in _FLAT_INPUT.items()},
    **{flat: f"audio.output.{name}" for flat, name in _FLAT_OUTPUT.items()},
    **_FLAT_TOP,
    "input_audio_sampling_rate": "audio.input.format",
}
"""Options by their names on top of a session, and the path of each in GA."""


_MANUAL = ("client_vad", "none")
"""Kinds of turn detection that are none (14)."""


def _object(value: object) -> Wire:
    return dict(value) if isinstance(value, Mapping) else {}


def read_session(session: Wire, *, input_rate: int = _PCM_RATE, output_rate: int = _PCM_RATE) -> Wire:
    """The GA shape of a session object, flat (preview), nested (GA) or mixed (other vendors); nested names win (F132, F133).

    The rates are those of PCM that names none, as this dialect means it. Unknown fields stay. Never raises: what has the wrong
    type is left out.
    """
    sampling = session.get("input_audio_sampling_rate")  # Voice Live
    rates = {"input": sampling if isinstance(sampling, int) and sampling in _RATES else input_rate, "output": output_rate}
    audio = _object(session.get("audio"))
    sides = {"input": _object(audio.get("input")), "output": _object(audio.get("output"))}
    result = {key: value for key, value in session.items() if key != "audio"}
    for side, names in (("input", _FLAT_INPUT), ("output", _FLAT_OUTPUT)):
        for flat, nested in names.items():
            if flat in result:
                value = result.pop(flat)
                sides[side].setdefault(nested, value)
        if _object(sides[side].get("turn_detection")).get("type") in _MANUAL:
            sides[side]["turn_detection"] = None
        if "format" in sides[side]:
            sides[side]["format"] = _read_format(sides[side]["format"], rates[side])
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


def listening(session: Wire) -> Wire:
    """A session that never answers, in GA shape: its turn detection without what it would do to answers (facts 8.1)."""
    audio = session.get("audio") or {}
    detection = (audio.get("input") or {}).get("turn_detection")
    if not isinstance(detection, dict):
        return session
    kept = {name: value for name, value in detection.items() if name not in ("create_response", "interrupt_response")}
    return {**session, "audio": {**audio, "input": {**audio["input"], "turn_detection": kept}}}


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
