"""By what the first event of a dialect that nobody told is known: signs in the ``session`` of ``session.created``, as it came.

All from the protocol facts (14, and 8 for the protocol's own default of turn detection). A dialect without a sign here looks like
the protocol's own, GA or beta.
"""

from rtcore.dialects._base import Sign, Wire


def _detection(fields: object) -> object:
    """The kind of turn detection among these fields; None where there is none."""
    found = fields.get("turn_detection") if isinstance(fields, dict) else None
    return found.get("type") if isinstance(found, dict) else None


def _voice_live(session: Wire) -> bool:
    if isinstance(session.get("audio"), dict):
        return False
    own = "input_audio_sampling_rate" in session or isinstance(session.get("voice"), dict)
    return own or _detection(session) == "azure_semantic_vad"


def _xai(session: Wire) -> bool:
    lifted = "voice" in session or "turn_detection" in session
    return lifted and session.get("type") is None and isinstance(session.get("audio"), dict)


def _model(session: Wire) -> str:
    """The name of the model, small; empty where the session names none."""
    found = session.get("model")
    return found.lower() if isinstance(found, str) else ""


def _formats(session: Wire) -> tuple[object, object]:
    return session.get("input_audio_format"), session.get("output_audio_format")


def _of_model(session: Wire, vendor: str) -> bool:
    """A flat session of a model that is called so. In a nested one it is the model behind somebody else's server."""
    nested = isinstance(session.get("audio"), dict) or session.get("type") is not None or "output_modalities" in session
    return not nested and _model(session).startswith(vendor)


def _served(session: Wire, vendor: str) -> bool:
    """One that is the vendor's own server: the protocol's formats alone, any server of the beta has in front of any model."""
    return _of_model(session, vendor) and ("realtime" in _model(session) or "pcm" in _formats(session))


def _inworld(session: Wire) -> bool:
    audio = session.get("audio")
    sides = (audio.get("input"), audio.get("output")) if isinstance(audio, dict) else (None, None)
    if session.get("type") != "realtime" or _detection(sides[0]) != "semantic_vad":
        return False
    model = _model(session)
    # The vendor's pages: its models are provider/name, and the voice has a model of its own.
    if not model or "/" in model or (isinstance(sides[1], dict) and "model" in sides[1]):
        return True
    whole = any(name in session for name in ("tracing", "truncation", "prompt"))  # of GA's, Inworld has none
    return not (whole or model.startswith("gpt-"))


def _stepfun(session: Wire) -> bool:
    off = "turn_detection" in session and session["turn_detection"] is None
    model = _model(session)
    return off and (not model or model.startswith("step")) and _formats(session) == ("pcm16", "pcm16")


def _qwen(session: Wire) -> bool:
    return session.get("output_audio_format") == "pcm24" or _served(session, "qwen")


def _glm(session: Wire) -> bool:
    heard, said = _formats(session)
    named = heard == "pcm24" or (isinstance(heard, str) and heard.startswith("wav")) or said in ("wav", "mp3")
    return "beta_fields" in session or _detection(session) == "client_vad" or named or _served(session, "glm")


def _nulls(session: Wire) -> bool:
    return session.get("type") == "realtime" and all(session.get(name, 0) is None for name in ("audio", "output_modalities"))


def _together(session: Wire) -> bool:
    form = session.get("input_audio_format")
    return not session or session.get("modalities") == ["audio"] or (isinstance(form, str) and form.startswith("pcm_"))


VOICE_LIVE = Sign("a flat session with a voice that is an object, a sampling rate, or azure_semantic_vad", _voice_live)
XAI = Sign("a nested session without a type, with the voice or turn detection on top", _xai)
QWEN = Sign(
    "an output_audio_format that is pcm24, or a model called qwen...realtime, or qwen... with a format that is pcm",
    _qwen,
    perhaps=lambda session: "pcm" in _formats(session) or _of_model(session, "qwen"),
)
GLM = Sign(
    "beta_fields, client_vad, formats that are called wav, pcm24 (on the way in) or mp3, or a model called glm...realtime, "
    "or glm... with a format that is pcm",
    _glm,
    perhaps=lambda session: "pcm" in _formats(session) or _of_model(session, "glm"),
)
SPEECH_TO_SPEECH = Sign("a nested session whose audio and output_modalities are null", _nulls)
INWORLD = Sign(
    "a nested session that begins with semantic_vad, of a model that is not named, is called provider/name, or speaks by another;"
    " without GA's tracing, truncation and prompt, of any model but gpt-...",
    _inworld,
    sure=False,
)
STEPFUN = Sign(
    "a flat session that begins without turn detection, of a model that is called step... or not named; another may be opened so",
    _stepfun,
    sure=False,
)
TOGETHER = Sign("modalities of audio alone, a format such as pcm_s16le_16000, or no session at all", _together, sure=False)
VLLM = Sign("no session at all", lambda session: not session, sure=False)
