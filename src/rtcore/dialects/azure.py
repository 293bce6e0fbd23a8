"""Azure: OpenAI's models under GA and preview names, and Voice Live (protocol facts 13, 14)."""

from typing import TYPE_CHECKING

from rtcore._errors import DialectError, ErrorKind, LocalProtocolError
from rtcore._formats import PCMA, PCMU
from rtcore.dialects import _signs
from rtcore.dialects._address import IN_ADDRESS, Address, azure_path, completed
from rtcore.dialects._base import EFFORTS, Capabilities, Dialect, Mark, Secrets, facts, pcm, simulated
from rtcore.dialects._flat import DETECTIONS, VAD_FIELDS, FlatShape
from rtcore.dialects._nested import NestedShape

if TYPE_CHECKING:
    from rtcore.config import Connection

_HOUR = 3600
_RESOURCE = "name the Azure resource, for example https://my-resource.openai.azure.com"
_KEY = "api-key, or Authorization: Bearer with an Entra token"


PREVIEWS = ("2024-10-01-preview", "2025-04-01-preview")
"""Azure's api-versions with realtime under preview names (protocol facts, 1.1); later ones have GA's, which needs no version."""
_VOICE_LIVE_SINCE = "2025-10-01"
_PREVIEW = "-preview"


def check_preview(version: str) -> None:
    if version not in PREVIEWS:
        raise LocalProtocolError(
            f"api_version: {version!r} has no realtime, or is retired; {' and '.join(PREVIEWS)} have. Previews are deprecated "
            "since 2026-04-30; their successor, GA, needs no version: dialect='azure'"
        )


def _check_voice_live(version: str) -> None:
    if version.endswith(_PREVIEW) or version < _VOICE_LIVE_SINCE:
        raise LocalProtocolError(
            f"api_version: {version!r} of Voice Live is retired; its successors are {_VOICE_LIVE_SINCE} and later, without "
            f"{_PREVIEW!r}"
        )


def _deployment(connection: "Connection") -> str:
    return connection.deployment or connection.model


AZURE = Dialect(
    name="azure",
    title="Azure OpenAI (GA)",
    capabilities=Capabilities(session_s=_HOUR, reasoning=EFFORTS),
    form=NestedShape("azure"),
    way=Address(
        path=lambda host, path: azure_path(host, path, ("", "/openai"), "/openai/v1/realtime"),
        query=lambda connection, host: (("model", _deployment(connection)),),
        example=_RESOURCE,
        key="api-key",
        calls=True,
        intents=True,
        instead=IN_ADDRESS,
    ),
    secrets=Secrets("realtime/client_secrets", transcribing="realtime/client_secrets"),
    address="wss://{resource}.openai.azure.com/openai/v1/realtime?model={deployment}",
    credential=_KEY,
    verified=(*facts("1", "13"), simulated("azure")),
    source="facts 13: recordings of live sessions, MS",
    quirks=(
        "the transcription model is the name of a deployment, too",
        "the intent of a session that only transcribes is only read of: openai-node#1974, and users of it",
    ),
)
"""GA names at ``/openai/v1/realtime``; the model is the deployment's name, and there is no api-version."""


AZURE_PREVIEW = Dialect(
    name="azure-preview",
    title="Azure OpenAI (preview)",
    capabilities=Capabilities(
        truncate=True,
        truncate_acknowledged=True,
        truncate_content_index="own",
        delete=True,
        server_cancels=True,
        images="none",
        session_s=_HOUR // 2,
    ),
    form=FlatShape("azure-preview", transcription_sessions=True),
    way=Address(
        path=lambda host, path: azure_path(host, path, ("", "/openai/v1"), "/openai/realtime"),
        query=lambda connection, host: (
            ("api-version", connection.api_version or PREVIEWS[-1]),
            ("deployment", _deployment(connection)),
        ),
        example=_RESOURCE,
        key="api-key",
        intents=True,
        instead=IN_ADDRESS,
    ),
    secrets=Secrets("realtimeapi/sessions", "flat", life_s=None, query=("api-version",)),
    address="wss://{resource}.openai.azure.com/openai/realtime?api-version={api_version}&deployment={deployment}",
    credential=_KEY,
    verified=(
        *facts("1", "13"),
        simulated("azure-preview"),
        Mark("peer", "interop/test_models.py::test_every_event_is_what_the_openai_package_says[azure-preview]"),
    ),
    check_version=check_preview,
    source="facts 13: MS; the report that this project began with (SEED 000)",
    quirks=(
        "the intent of a session that only transcribes is only read of: MS's page of May 2025 on gpt-4o-transcribe",
        "announces items by conversation.item.created alone",
        "the name of a function is taken from its item, because arguments.done has none",
    ),
)
"""Preview names, flat session, ``api-key`` header or an Entra token, ``api-version`` and ``deployment`` in the query."""


_OPENAI_VOICES = frozenset({"alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"})
_AZURE_VAD = VAD_FIELDS | {"remove_filler_words", "end_of_utterance_detection"}
_RATES = (24_000, 16_000, 8_000)


def _voice(name: str) -> object:
    """Voice Live wants to know whose voice it is (14)."""
    return {"type": "openai" if name in _OPENAI_VOICES else "azure-standard", "name": name}


_VOICE_LIVE_FORMATS = {**dict.fromkeys(pcm(*_RATES), "pcm16"), PCMU: "g711_ulaw", PCMA: "g711_alaw"}
_VOICE_LIVE = FlatShape(
    "azure-voice-live",
    session=frozenset({"instructions", "tools", "tool_choice", "temperature"}),
    turn_detection={**DETECTIONS, "azure_semantic_vad": _AZURE_VAD},
    noise_reduction=frozenset({"type"}),
    input_formats=_VOICE_LIVE_FORMATS,
    input_rate_field="input_audio_sampling_rate",
    voice=_voice,
    speed=False,
)


AZURE_VOICE_LIVE = Dialect(
    name="azure-voice-live",
    title="Azure Voice Live",
    capabilities=Capabilities(
        turn_detection=("server_vad", "semantic_vad", "azure_semantic_vad"),
        images="none",
        input_formats=tuple(_VOICE_LIVE_FORMATS),
    ),
    form=_VOICE_LIVE,
    way=Address(
        path=lambda host, path: completed(path, ("", "/voice-live"), "/voice-live/realtime"),
        query=lambda connection, host: (
            ("api-version", connection.api_version or _VOICE_LIVE_SINCE),
            ("model", connection.model),
        ),
        example="name the Azure resource, for example https://my-resource.services.ai.azure.com",
        key="api-key",
        instead=IN_ADDRESS,
    ),
    address="wss://{resource}.services.ai.azure.com/voice-live/realtime?api-version={api_version}&model={model}",
    credential=_KEY,
    verified=(*facts("1", "14"), simulated("azure-voice-live")),
    check_version=_check_voice_live,
    sign=_signs.VOICE_LIVE,
    own_forms=frozenset(
        {"audio.output.voice", "audio.input.turn_detection", "audio.input.transcription", "audio.input.noise_reduction"}
    ),
    source="facts 14: recordings of live sessions (REC-vl), MS",
    quirks=(
        "a voice is an object: OpenAI's names become type openai, others azure-standard; another kind goes into vendor",
        "echo cancellation, avatar and animation go into vendor; their events are UnknownEvent",
        "a session with auto_truncate cuts by itself; our truncate is then answered item_already_truncated, which is benign",
        "content_part.done may have empty text, and a finished transcription no usage",
    ),
    errors=(
        DialectError(
            ErrorKind.TRUNCATE_REPEATED,
            "Nothing to do: the server's auto_truncate had cut the item before.",
            text="already truncated",
        ),
    ),
)
"""Beta names, flat session with a voice object and a sampling rate, ``api-key`` or an Entra token."""
