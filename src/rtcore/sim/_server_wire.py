"""The dialects on the wire: names and shapes of what the server sends, and how client objects become one form.

Inside, the server speaks GA. Written from protocol facts 13, 14 and the objects of ``events.json``, independent of the core.
"""

from typing import Any

from rtcore._formats import PCMA, PCMU, AudioFormat
from rtcore.sim._server_dialects import MANNERS, Manner
from rtcore.sim._server_plan import Rules

Json = dict[str, Any]

_TO_PREVIEW = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}
_PARTS_TO_PREVIEW = {"output_text": "text", "output_audio": "audio"}
_TELEPHONE_TO_PREVIEW = {"audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
_TELEPHONE_TO_GA = {name: {"type": kind} for kind, name in _TELEPHONE_TO_PREVIEW.items()}
_TELEPHONE = {"audio/pcmu": PCMU, "audio/pcma": PCMA}
_INSTRUCTIONS = "You are a helpful assistant with a natural, friendly voice. Answer briefly and stop when you are interrupted."
# Where preview's flat keys live in the GA session.
_FLAT: dict[str, tuple[str, ...]] = {
    "modalities": ("output_modalities",),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "input_audio_format": ("audio", "input", "format"),
    "output_audio_format": ("audio", "output", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "max_response_output_tokens": ("max_output_tokens",),
}


def audio_format(shape: Json) -> AudioFormat:
    """The audio format that a GA format object names."""
    return _TELEPHONE.get(shape["type"]) or AudioFormat("audio/pcm", shape["rate"])


class Wire:
    """One dialect's table."""

    def __init__(self, dialect: str) -> None:
        self.manner: Manner = MANNERS[dialect]
        self.preview = self.manner.beta
        self._names = _TO_PREVIEW if self.preview else {}
        if self.manner.created_alone and not self.preview:
            self._names = {"conversation.item.added": "conversation.item.created"}

    def name(self, ga: str) -> str:
        """What this dialect calls a server event."""
        return self._names.get(ga, ga)

    # -- what clients send, as GA ---------------------------------------------------------------------------------------------

    def read_session(self, sent: Json) -> Json:
        """A client's partial session as GA."""
        if self.manner.lifted:
            return self._lowered(sent)
        if not self.preview:
            return sent
        read: Json = {}
        for key, value in sent.items():
            if key == "input_audio_sampling_rate":
                continue
            path = _FLAT.get(key, (key,))
            at = read
            for step in path[:-1]:
                at = at.setdefault(step, {})
            if key.endswith("_audio_format"):
                at[path[-1]] = self._format_to_ga(key, value, sent.get("input_audio_sampling_rate"))
            elif key == "turn_detection" and self.manner.client_vad and value == {"type": "client_vad"}:
                at[path[-1]] = None
            elif key == "voice" and self.manner.voice_object:
                at[path[-1]] = value["name"]
            elif key == "modalities":
                at[path[-1]] = ["audio"] if "audio" in value else ["text"]
            else:
                at[path[-1]] = value
        return read

    def _lowered(self, sent: Json) -> Json:
        read = {key: value for key, value in sent.items() if key not in ("voice", "turn_detection")}
        audio = {side: dict(fields) for side, fields in read.get("audio", {}).items()}
        if "voice" in sent:
            audio.setdefault("output", {})["voice"] = sent["voice"]
        if "turn_detection" in sent:
            audio.setdefault("input", {})["turn_detection"] = sent["turn_detection"]
        return {**read, "audio": audio} if audio else read

    def _format_to_ga(self, key: str, name: str, sampling: int | None) -> Json:
        if name in _TELEPHONE_TO_GA:
            return _TELEPHONE_TO_GA[name]
        incoming = key == "input_audio_format"
        rate = (self.manner.input_pcm if incoming else self.manner.output_pcm)[0]
        return {"type": "audio/pcm", "rate": sampling if incoming and sampling is not None else rate}

    def _format_to_beta(self, side: str, shape: Json) -> str:
        pcm = self.manner.pcm_in if side == "input" else self.manner.pcm_out
        return _TELEPHONE_TO_PREVIEW.get(shape["type"], pcm)

    def read_item(self, sent: Json) -> Json:
        """A client's item as GA."""
        if not self.preview or sent.get("role") != "assistant":
            return sent
        return {**sent, "content": [{**part, "type": "output_text"} for part in sent["content"]]}

    def param(self, ga: str) -> str:
        """How this dialect names a session parameter."""
        if self.preview:
            for flat, path in _FLAT.items():
                if ga == "session." + ".".join(path):
                    return f"session.{flat}"
                if ga == "response." + ".".join(path):
                    return f"response.{flat}"
        return ga

    # -- what the server sends ------------------------------------------------------------------------------------------------

    def session(self, session: Json, *, identity: str, model: str, expires_at: int) -> Json:
        """The whole effective session."""
        head: Json = {"object": "realtime.session", "id": identity, "model": model, "expires_at": expires_at}
        if self.manner.lifted:
            return self._lifted_session(head, session)
        if not self.preview:
            return {"type": "realtime", **head, **{key: value for key, value in session.items() if key != "temperature"}}
        audio_in, audio_out = session["audio"]["input"], session["audio"]["output"]
        manual = {"type": "client_vad"} if self.manner.client_vad else None
        voice = audio_out["voice"]
        more = {"input_audio_sampling_rate": audio_in["format"].get("rate", 8_000)} if self.manner.rate_apart else {}
        return {
            **head,
            "modalities": _modalities(session["output_modalities"]),
            "instructions": session["instructions"],
            "voice": {"type": "openai", "name": voice} if self.manner.voice_object else voice,
            "speed": audio_out["speed"],
            "input_audio_format": self._format_to_beta("input", audio_in["format"]),
            "output_audio_format": self._format_to_beta("output", audio_out["format"]),
            **more,
            "input_audio_transcription": audio_in["transcription"],
            "input_audio_noise_reduction": audio_in["noise_reduction"],
            "turn_detection": audio_in["turn_detection"] or manual,
            "tools": session["tools"],
            "tool_choice": session["tool_choice"],
            "temperature": session["temperature"],
            "max_response_output_tokens": session["max_output_tokens"],
            "tracing": session["tracing"],
            "client_secret": None,
        }

    def listening(self, session: Json, *, identity: str, expires_at: int) -> Json:
        """The whole effective session of one that only transcribes (protocol facts, 12.1)."""
        head: Json = {"object": "realtime.transcription_session", "id": identity, "expires_at": expires_at}
        heard = session["audio"]["input"]
        if not self.preview:
            return {"type": "transcription", **head, "include": session["include"], "audio": {"input": heard}}
        return {
            **head,
            "modalities": ["text"],
            "input_audio_format": self._format_to_beta("input", heard["format"]),
            "input_audio_transcription": heard["transcription"],
            "turn_detection": heard["turn_detection"],
            "client_secret": None,
        }

    def _lifted_session(self, head: Json, session: Json) -> Json:
        audio_in, audio_out = session["audio"]["input"], session["audio"]["output"]
        return {
            **head,
            "instructions": session["instructions"],
            "voice": audio_out["voice"],
            "turn_detection": audio_in["turn_detection"],
            "tools": session["tools"],
            "audio": {
                "input": {"format": audio_in["format"], "transcription": audio_in["transcription"]},
                "output": {"format": audio_out["format"]},
            },
        }

    def item(self, item: Json) -> Json:
        """An item, from its GA form."""
        if not self.preview:
            return item
        shaped = {"id": item["id"], "object": "realtime.item", **{key: value for key, value in item.items() if key != "phase"}}
        if "content" in item:
            shaped["content"] = [{**part, "type": _PARTS_TO_PREVIEW.get(part["type"], part["type"])} for part in item["content"]]
        return shaped

    def response(self, response: Json, *, session: Json) -> Json:
        """A response object, from its GA form."""
        if not self.preview:
            return response
        shaped = {key: value for key, value in response.items() if key not in ("audio", "output_modalities")}
        out = response["audio"]["output"]
        shaped["modalities"] = _modalities(response["output_modalities"])
        shaped["voice"] = out["voice"]
        shaped["output_audio_format"] = self._format_to_beta("output", out["format"])
        shaped["temperature"] = session["temperature"]
        return shaped


def _modalities(ga: list[str]) -> list[str]:
    return ["audio", "text"] if "audio" in ga else ["text"]


# -- the session ------------------------------------------------------------------------------------------------------------


def default_session(wire: Wire, rules: Rules) -> Json:
    """The effective session before any update, as GA (protocol facts, 2.5). ``temperature`` exists for preview alone."""
    begins = wire.manner.begins
    return {
        "output_modalities": ["audio"],
        "instructions": _INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "include": None,
        "temperature": 0.8,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": wire.manner.input_pcm[0]},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": detection(None, {"type": begins} if begins is not None else None, wire, rules),
            },
            "output": {"format": {"type": "audio/pcm", "rate": wire.manner.output_pcm[0]}, "voice": "alloy", "speed": 1.0},
        },
    }


def detection(current: Json | None, sent: Json | None, wire: Wire, rules: Rules) -> Json | None:
    """The turn detection in force after an update with ``sent``."""
    if sent is None:
        return None
    kind = sent["type"]
    settled: Json = {"type": kind}
    if kind != "semantic_vad":
        silence = 200 if wire.preview else 500
        settled |= {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": silence}
        if not wire.preview:
            settled["idle_timeout_ms"] = None
    else:
        settled["eagerness"] = "auto"
    match rules.detection_echo if wire.manner.detection_flags else "absent":
        case "true":
            settled |= {"create_response": True, "interrupt_response": True}
        case "null":
            settled |= {"create_response": None, "interrupt_response": None}
        case "absent":
            pass
    if rules.detection_merge and current is not None and current["type"] == kind:
        settled |= current
    return settled | sent


def merge_session(current: Json, sent: Json, wire: Wire, rules: Rules) -> Json:
    """The session after an update: absent keys unchanged, present ones replaced (protocol facts, 2.1); ``current`` stays."""
    # The model never changes: another one is silently ignored (2.4).
    merged = current | {key: value for key, value in sent.items() if key not in ("type", "model", "audio", "client_secret")}
    if "audio" in sent:
        merged["audio"] = {side: current["audio"][side] | sent["audio"].get(side, {}) for side in ("input", "output")}
        incoming, outgoing = merged["audio"]["input"], merged["audio"]["output"]
        for side, usual in ((incoming, wire.manner.input_pcm[0]), (outgoing, wire.manner.output_pcm[0])):
            if side["format"]["type"] == "audio/pcm":
                side["format"] = {"type": "audio/pcm", "rate": side["format"].get("rate", usual)}
            else:
                side["format"] = {"type": side["format"]["type"]}
        if "turn_detection" in sent["audio"].get("input", {}):
            incoming["turn_detection"] = detection(
                current["audio"]["input"]["turn_detection"], incoming["turn_detection"], wire, rules
            )
    return merged


def shown_session(session: Json, rules: Rules) -> Json:
    """The session as it is told: flags of turn detection that are at their default as the server's rules say (C13)."""
    incoming = session["audio"]["input"]
    told = incoming["turn_detection"]
    if told is None or rules.detection_echo == "true":
        return session
    usual = [name for name in ("create_response", "interrupt_response") if told.get(name) is True]
    if rules.detection_echo == "null":
        told = told | dict.fromkeys(usual)
    else:
        told = {name: value for name, value in told.items() if name not in usual}
    return session | {"audio": session["audio"] | {"input": incoming | {"turn_detection": told}}}
