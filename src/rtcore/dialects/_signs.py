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


def _inworld(session: Wire) -> bool:
    audio = session.get("audio")
    begins = _detection(audio.get("input")) if isinstance(audio, dict) else None
    return session.get("type") == "realtime" and begins == "semantic_vad"


def _stepfun(session: Wire) -> bool:
    off = "turn_detection" in session and session["turn_detection"] is None
    theirs = str(session.get("model")).startswith("gpt-")  # the protocol's own: StepFun's are called step-...
    return off and not theirs and session.get("input_audio_format") == "pcm16" and session.get("output_audio_format") == "pcm16"


def _glm(session: Wire) -> bool:
    heard, said = session.get("input_audio_format"), session.get("output_audio_format")
    named = heard in ("pcm", "pcm24") or (isinstance(heard, str) and heard.startswith("wav")) or said in ("pcm", "wav", "mp3")
    return "beta_fields" in session or _detection(session) == "client_vad" or named


def _nulls(session: Wire) -> bool:
    return session.get("type") == "realtime" and all(session.get(name, 0) is None for name in ("audio", "output_modalities"))


def _together(session: Wire) -> bool:
    form = session.get("input_audio_format")
    return not session or session.get("modalities") == ["audio"] or (isinstance(form, str) and form.startswith("pcm_"))


VOICE_LIVE = Sign("a flat session with a voice that is an object, a sampling rate, or azure_semantic_vad", _voice_live)
XAI = Sign("a nested session without a type, with the voice or turn detection on top", _xai)
QWEN = Sign("an output_audio_format that is pcm24", lambda session: session.get("output_audio_format") == "pcm24")
GLM = Sign("beta_fields, client_vad, or formats that are called wav, pcm or mp3", _glm)
SPEECH_TO_SPEECH = Sign("a nested session whose audio and output_modalities are null", _nulls)
INWORLD = Sign("a nested session that begins with semantic_vad; another may be opened so", _inworld, sure=False)
STEPFUN = Sign(
    "a flat session of a model not called gpt-... that begins without turn detection; another may be opened so",
    _stepfun,
    sure=False,
)
TOGETHER = Sign("modalities of audio alone, a format such as pcm_s16le_16000, or no session at all", _together, sure=False)
VLLM = Sign("no session at all", lambda session: not session, sure=False)
