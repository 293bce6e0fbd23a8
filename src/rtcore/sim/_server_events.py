"""What a client may say in each dialect: the tables of GA and of the beta, and what other vendors make of them (facts 13, 14)."""

from typing import Any

from rtcore.sim._server_checks import (
    Check,
    Fault,
    anything,
    flag,
    invalid_value,
    kind_of,
    listing,
    mapping,
    maybe,
    missing,
    number,
    one_of,
    pairs,
    shape,
    tagged,
    text,
    whole,
    wrong,
)
from rtcore.sim._server_dialects import MANNERS, Manner
from rtcore.sim._server_schema import (
    CHOICE_GA,
    CHOICE_PREVIEW,
    GA,
    INCLUDE,
    ITEMS_GA,
    ITEMS_PREVIEW,
    LISTENING_GA,
    NOISE_GA,
    PREVIEW,
    PROMPT,
    REASONING,
    REFERENCE,
    SEMANTIC,
    TOKENS,
    TOOLS_GA,
    TOOLS_PREVIEW,
    TRACING,
    TRANSCRIPTION_GA,
    TRANSCRIPTION_PREVIEW,
    TRUNCATION,
    VAD,
    event_of,
    modalities_ga,
    modalities_preview,
)

_EXTRAS: dict[str, tuple[str, ...]] = {
    "azure-voice-live": ("input_audio_echo_cancellation", "avatar", "animation", "auto_truncate"),
    "xai": ("resumption",),
    "qwen": ("enable_search", "smooth_output"),
    "glm": ("beta_fields",),
}
"""Fields of the session that only this vendor has."""
_NOISE = {"azure-voice-live", "glm", "openai-beta"}
_BARE_VAD = {name: check for name, check in VAD.items() if not name.endswith("_response")}


def _detection(manner: Manner) -> Check:
    vad = VAD if manner.detection_flags else _BARE_VAD
    idle = {} if manner.beta else {"idle_timeout_ms": maybe(whole(5_000, 30_000))}
    kinds: dict[str, Check] = {"server_vad": shape({**vad, **idle})}
    if "semantic_vad" in manner.detections:
        kinds["semantic_vad"] = shape(SEMANTIC)
    if "azure_semantic_vad" in manner.detections:
        more: dict[str, Check] = {"remove_filler_words": flag, "end_of_utterance_detection": mapping}
        kinds["azure_semantic_vad"] = shape({**vad, **more})
    if manner.client_vad:
        return tagged("type", {**kinds, "client_vad": shape({"type": anything})})
    return maybe(tagged("type", kinds))


def _flat(name: str, manner: Manner) -> dict[str, Check]:
    telephone = ("g711_ulaw", "g711_alaw") if manner.telephone else ()
    voice = shape({"type": text(minimum=1), "name": text(minimum=1)}, "type", "name") if manner.voice_object else text(minimum=1)
    incoming, outgoing = one_of(manner.pcm_in, *telephone), one_of(manner.pcm_out, *telephone)
    session: dict[str, Check] = {
        "model": text(),
        "modalities": modalities_preview,
        "instructions": text(),
        "voice": voice,
        "input_audio_format": incoming,
        "output_audio_format": outgoing,
        "input_audio_transcription": maybe(TRANSCRIPTION_PREVIEW),
        "turn_detection": _detection(manner),
        "tools": TOOLS_PREVIEW,
        "tool_choice": CHOICE_PREVIEW,
        "temperature": number(0, 2),
        "max_response_output_tokens": TOKENS,
        **dict.fromkeys(_EXTRAS.get(name, ()), anything),
    }
    if name in _NOISE:
        session["input_audio_noise_reduction"] = maybe(shape({"type": text(minimum=1)}, "type"))
    if manner.rate_apart:
        session["input_audio_sampling_rate"] = _rate(manner.input_pcm)
    response: dict[str, Check] = {"modalities": modalities_preview, "instructions": maybe(text())}
    if manner.metadata:
        response |= {
            "voice": voice,
            "output_audio_format": outgoing,
            "tools": TOOLS_PREVIEW,
            "tool_choice": CHOICE_PREVIEW,
            "temperature": number(0, 2),
            "max_response_output_tokens": TOKENS,
            "conversation": one_of("auto", "none"),
            "metadata": maybe(pairs),
            "input": listing(tagged("type", {**ITEMS_PREVIEW, "item_reference": REFERENCE})),
        }
    return {**PREVIEW, **_commands(shape(session), shape(response))}


def _nested(name: str, manner: Manner) -> dict[str, Check]:
    detection = _detection(manner)
    incoming: dict[str, Check] = {"format": _format(manner, manner.input_pcm), "transcription": maybe(TRANSCRIPTION_GA)}
    outgoing: dict[str, Check] = {"format": _format(manner, manner.output_pcm)}
    session: dict[str, Check] = {
        "instructions": text(),
        "tools": TOOLS_GA,
        "tool_choice": CHOICE_GA,
        **dict.fromkeys(_EXTRAS.get(name, ()), anything),
    }
    if manner.lifted:
        session |= {
            "voice": text(minimum=1),
            "turn_detection": detection,
            "reasoning": shape({"effort": one_of(*manner.efforts)}) if manner.efforts else REASONING,
        }
    else:
        incoming["turn_detection"] = detection
        outgoing |= {"voice": text(minimum=1), "speed": number(0.25, 1.5)}
        session |= {
            "type": one_of("realtime"),
            "model": text(),
            "output_modalities": modalities_ga,
            "max_output_tokens": TOKENS,
            "temperature": number(0, 2),
            "parallel_tool_calls": flag,
        }
    if manner.whole:
        incoming["noise_reduction"] = NOISE_GA
        session |= {
            "include": INCLUDE,
            "prompt": maybe(PROMPT),
            "reasoning": REASONING,
            "tracing": maybe(TRACING),
            "truncation": TRUNCATION,
        }
    session["audio"] = shape({"input": shape(incoming), "output": shape(outgoing)})
    response: dict[str, Check] = {
        "audio": shape({"output": shape({"format": outgoing["format"], "voice": text(minimum=1)})}),
        "conversation": one_of("auto", "none"),
        "input": listing(tagged("type", {**ITEMS_GA, "item_reference": REFERENCE})),
        "instructions": maybe(text()),
        "max_output_tokens": TOKENS,
        "metadata": maybe(pairs),
        "output_modalities": modalities_ga,
        "tool_choice": CHOICE_GA,
        "tools": TOOLS_GA,
    }
    required = () if manner.lifted else ("type",)
    update = shape(session, *required)
    if manner.whole:
        update = tagged("type", {"realtime": update, "transcription": LISTENING_GA})
    return {**GA, **_commands(update, shape(response))}


def _commands(session: Check, response: Check) -> dict[str, Check]:
    return {
        "session.update": event_of({"session": session}, "session"),
        "response.create": event_of({"response": maybe(response)}),
    }


def _rate(rates: tuple[int, ...]) -> Check:
    def check(value: Any, path: str) -> Fault | None:
        if fault := whole(1)(value, path):
            return fault
        return None if value in rates else invalid_value(path, value, tuple(map(str, rates)))

    return check


def _format(manner: Manner, rates: tuple[int, ...]) -> Check:
    kinds: dict[str, Check] = {"audio/pcm": shape({"type": anything, "rate": _rate(rates)})}
    if manner.telephone:
        kinds |= dict.fromkeys(("audio/pcmu", "audio/pcma"), shape({"type": anything}))
    return tagged("type", kinds)


def _events(name: str, manner: Manner) -> dict[str, Check]:
    if name in ("openai", "azure"):
        table = GA
    elif name in ("azure-preview", "openai-beta"):
        table = PREVIEW
    else:
        table = _flat(name, manner) if manner.beta else _nested(name, manner)
    if manner.image_buffer:
        table = {**table, "input_image_buffer.append": event_of({"image": text(minimum=1)}, "image")}
    return {kind: check for kind, check in table.items() if kind not in manner.refused}


_EVENTS: dict[str, dict[str, Check]] = {name: _events(name, manner) for name, manner in MANNERS.items()}

KNOWN_TYPES = (
    "session.update",
    "session.close",
    "transcription_session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.truncate",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "response.create",
    "response.cancel",
)
"""What the server names when it refuses an unknown type; ``output_audio_buffer.clear`` is not among them (6.4)."""


_CLEARS_PLAYOUT = event_of({})
"""``output_audio_buffer.clear``, on a call alone (4.15)."""


def check_event(dialect: str, event: Any, *, on_a_call: bool = False) -> Fault | None:
    """The first thing wrong with a decoded client event by itself, without regard to the conversation."""
    if not isinstance(event, dict):
        return Fault("invalid_json", None, f"Invalid event: expected a JSON object, but got {kind_of(event)} instead.")
    if "type" not in event:
        return missing("type")
    kind = event["type"]
    if not isinstance(kind, str):
        return wrong("type", "a string", kind)
    check = _EVENTS[dialect].get(kind)
    if on_a_call and kind == "output_audio_buffer.clear":
        check = _CLEARS_PLAYOUT
    if check is None:
        if kind in KNOWN_TYPES and kind not in MANNERS[dialect].refused:
            return Fault("invalid_value", "type", f"The event type '{kind}' is not supported in a realtime session.")
        return invalid_value("type", kind, KNOWN_TYPES)
    return check(event, "")
