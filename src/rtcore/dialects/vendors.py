"""Servers of other makers that speak the protocol, with what they leave out and what they do differently (protocol facts 14).

Where the facts say nothing of an ability, it is taken for missing if its lack has a safe way round, and for there if not.
"""

from rtcore._errors import DialectError, ErrorKind
from rtcore._formats import PCM16_24K, PCMA, PCMU, AudioFormat
from rtcore.dialects import _signs
from rtcore.dialects._address import Address, Subprotocol, completed, model_of
from rtcore.dialects._base import EFFORTS, Capabilities, Dialect, Mark, Secrets, facts, pcm, simulated
from rtcore.dialects._flat import FlatShape
from rtcore.dialects._nested import NestedShape

_ANY_PCM = pcm(24_000, 8_000, 16_000, 22_050, 32_000, 44_100, 48_000)
_TELEPHONE = (PCMU, PCMA)

# -- xAI ---------------------------------------------------------------------------------------------------------------------

_XAI = NestedShape(
    "xai",
    typed=False,
    lifted=frozenset({("output", "voice"), ("input", "turn_detection")}),
    efforts=("high", "none"),
    missing=frozenset(
        {
            "audio.input.noise_reduction",
            "audio.output.speed",
            "tracing",
            "prompt",
            "truncation",
            "include",
            "parallel_tool_calls",
            "output_modalities",
            "max_output_tokens",
        }
    ),
    turn_detection=("server_vad",),
    input_formats=(*_ANY_PCM, *_TELEPHONE),
    output_formats=(*_ANY_PCM, *_TELEPHONE),
)


XAI = Dialect(
    name="xai",
    title="xAI Grok Voice",
    capabilities=Capabilities(
        turn_detection=("server_vad",),
        reasoning=_XAI.efforts,
        out_of_band=False,
        input_formats=_XAI.input_formats,
        output_formats=_XAI.output_formats,
        session_s=3600,
    ),
    form=_XAI,
    way=Address(
        path=lambda host, path: completed(path, ("",), "/v1/realtime"),
        query=lambda connection, host: (("model", model_of(connection, "grok-voice-latest")),),
        base="wss://api.x.ai",
        subprotocol=Subprotocol("xai-client-secret", "the vendor's page on ephemeral tokens"),
    ),
    sign=_signs.XAI,
    # The vendor's page: no session and no anchor; clients tell of an hour at most.
    secrets=Secrets("realtime/client_secrets", "none", life_s=(1, 3600), anchor=False),
    ignored=frozenset({"ping"}),
    transcript_so_far="conversation.item.input_audio_transcription.updated",
    address="wss://api.x.ai/v1/realtime?model={model}",
    credential="Authorization: Bearer, also with a client secret",
    verified=(*facts("14"), simulated("xai")),
    source="facts 14: recordings of live sessions (REC-xai), PC; truncate and delete are reported accepted by the live server",
    quirks=(
        "voice and turn detection stand on top of the session, formats are nested",
        "items have no conversation.item.done, a part's end no part, a function's arguments no output_index",
        "announces the user's item when speech starts, and says a transcript whole again and again: what is new of it is told",
        "conversation.created and ping are ignored, status_details may be a string, usage stands on top of response.done",
        "session.resumption goes into vendor; binary audio frames are not asked for",
    ),
)
"""GA names with a session of its own shape, PCM at any rate from 8 to 48 kHz."""

# -- Alibaba -----------------------------------------------------------------------------------------------------------------

_PCM16K = AudioFormat("audio/pcm", 16_000)
_QWEN = FlatShape(
    "qwen",
    session=frozenset({"instructions", "temperature", "tools", "tool_choice"}),
    response=frozenset({"instructions"}),
    turn_detection={"server_vad": frozenset({"type", "threshold", "prefix_padding_ms", "silence_duration_ms"})},
    transcription=frozenset({"model"}),
    noise_reduction=frozenset(),
    input_formats={_PCM16K: "pcm16"},
    output_formats={PCM16_24K: "pcm24"},
    rates=(16_000, 24_000),
    audio_modalities=("text", "audio"),
    speed=False,
    response_audio=False,
)

QWEN = Dialect(
    name="qwen",
    title="Alibaba Qwen-Omni",
    capabilities=Capabilities(
        truncate=False,
        truncate_acknowledged=False,
        delete=False,
        create=False,
        create_assistant=False,
        metadata=False,
        out_of_band=False,
        server_obeys=False,
        images="buffer",
        turn_detection=("server_vad",),
        input_formats=(_PCM16K,),
        output_formats=(PCM16_24K,),
    ),
    form=_QWEN,
    way=Address(
        path=lambda host, path: completed(path, ("", "/api-ws/v1"), "/api-ws/v1/realtime"),
        query=lambda connection, host: (("model", model_of(connection, "qwen3-omni-flash-realtime")),),
        base="wss://dashscope-intl.aliyuncs.com",
    ),
    sign=_signs.QWEN,
    address="wss://dashscope-intl.aliyuncs.com/api-ws/v1/realtime?model={model}",
    credential="Authorization: Bearer",
    verified=(*facts("14"), simulated("qwen")),
    source="facts 14 (DOC), and the vendor's page of client events, which has session, audio, image, response.create and cancel",
    quirks=(
        "listens at 16 kHz and speaks at 24 kHz: pcm16 means another rate on the way in",
        "has no conversation.item.* from the client: text, tool outputs and edits cannot be sent",
        "takes images beside the audio (input_image_buffer.append), behind some of it: create_item with input_image parts alone",
        "enable_search and smooth_output go into vendor",
    ),
    errors=(
        DialectError(
            ErrorKind.OTHER,
            "Append audio first: an image belongs to what is said meanwhile.",
            text="append image before append audio",
        ),
    ),
)
"""Beta names, flat session. What was heard stays a record on this side."""

# -- Inworld -----------------------------------------------------------------------------------------------------------------

_INWORLD = NestedShape(
    "inworld",
    temperature=True,
    transcription_sessions=False,
    missing=frozenset({"audio.input.noise_reduction", "tracing", "truncation", "include", "prompt", "reasoning"}),
    input_formats=_ANY_PCM,
    output_formats=_ANY_PCM,
)

_INWORLD_KEY = "Inworld wants a key of your making for each conversation in it: wss://api.inworld.ai/api/v1/realtime/session?key=my-session-1"


INWORLD = Dialect(
    name="inworld",
    title="Inworld Realtime",
    capabilities=Capabilities(
        truncate=False,
        truncate_acknowledged=False,
        delete=False,
        turn_detection=("semantic_vad", "server_vad"),
        out_of_band=False,
        input_formats=_ANY_PCM,
        output_formats=_ANY_PCM,
    ),
    form=_INWORLD,
    way=Address(
        path=lambda host, path: path if path.endswith("/session") else "/api/v1/realtime/session",
        query=lambda connection, host: (("protocol", "realtime"),),
        example=_INWORLD_KEY,
        key="basic",
        wanted=(("key", _INWORLD_KEY),),
    ),
    sign=_signs.INWORLD,
    ignored=frozenset({"ping"}),
    model_in_session=True,
    address="wss://api.inworld.ai/api/v1/realtime/session?key={key}&protocol=realtime",
    credential="Authorization: Basic with the portal's key, or Bearer with a token",
    verified=(*facts("14"), simulated("inworld")),
    source="facts 14 (PC), and the vendor's page on its websocket",
    quirks=(
        "the URL carries a session key that the client makes up",
        "the model stands in the session, not in the URL",
        "has no truncate and no delete: a system message says what was heard",
        "ping is ignored",
    ),
)
"""GA names and shapes, PCM from 8 to 48 kHz; the model is named in the session."""

# -- StepFun -----------------------------------------------------------------------------------------------------------------

_STEPFUN = FlatShape(
    "stepfun",
    session=frozenset({"instructions", "tools", "tool_choice", "temperature"}),
    turn_detection={
        "server_vad": frozenset({"type", "threshold", "prefix_padding_ms", "silence_duration_ms"}),
    },
    noise_reduction=frozenset(),
    input_formats={PCM16_24K: "pcm16"},
    output_formats={PCM16_24K: "pcm16"},
    audio_modalities=("text", "audio"),
    speed=False,
)


STEPFUN = Dialect(
    name="stepfun",
    title="StepFun",
    capabilities=Capabilities(
        detects_unasked=False,
        images="none",
        out_of_band=False,
        server_obeys=False,
        turn_detection=("server_vad",),
        input_formats=(PCM16_24K,),
        output_formats=(PCM16_24K,),
    ),
    form=_STEPFUN,
    way=Address(
        path=lambda host, path: completed(path, ("",), "/v1/realtime"),
        query=lambda connection, host: (("model", model_of(connection, "step-audio-2")),),
        base="wss://api.stepfun.com",
    ),
    sign=_signs.STEPFUN,
    address="wss://api.stepfun.com/v1/realtime?model={model}",
    credential="Authorization: Bearer",
    verified=(*facts("14"), simulated("stepfun")),
    source="facts 14 (docs)",
    quirks=("turn detection is off unless it is asked for", "the voice is fixed once the model has spoken"),
)
"""Beta names, flat session, PCM16 at 24 kHz."""

# -- Zhipu -------------------------------------------------------------------------------------------------------------------

_GLM = FlatShape(
    "glm",
    session=frozenset({"instructions", "tools", "temperature"}),
    turn_detection={
        "server_vad": frozenset({"type", "threshold", "prefix_padding_ms", "silence_duration_ms"}),
    },
    turn_detection_off={"type": "client_vad"},
    input_formats={PCM16_24K: "pcm24"},
    output_formats={PCM16_24K: "pcm"},
    speed=False,
)


GLM = Dialect(
    name="glm",
    title="Zhipu GLM-Realtime",
    capabilities=Capabilities(
        detects_unasked=False,
        images="none",
        truncate=False,
        truncate_acknowledged=False,
        out_of_band=False,
        server_obeys=False,
        turn_detection=("server_vad",),
        input_formats=(PCM16_24K,),
        output_formats=(PCM16_24K,),
    ),
    form=_GLM,
    way=Address(
        path=lambda host, path: completed(path, ("", "/api/paas/v4"), "/api/paas/v4/realtime"),
        query=lambda connection, host: (),
        base="wss://open.bigmodel.cn",
    ),
    sign=_signs.GLM,
    asks_formats=True,
    ignored=frozenset({"heartbeat"}),
    address="wss://open.bigmodel.cn/api/paas/v4/realtime",
    credential="Authorization: Bearer with a key or a JWT",
    verified=(*facts("14"), simulated("glm")),
    source="facts 14 (docs); a truncate is not among them, so it is taken for missing. client_vad and wav as defaults: "
    "MetaGLM/glm-realtime-sdk, GLM-Realtime-doc-for-llm.md; pcm24: zai-rs 0.6.0, after the vendor's AsyncAPI, and two clients",
    quirks=(
        "manual turns are called client_vad, and are what it begins with",
        "it takes WAV unless it is told otherwise, so formats are always asked for; pcm24 is PCM at 24 kHz on the way in",
        "beta_fields and video go into vendor",
        "heartbeat is ignored",
    ),
)
"""Beta names, flat session; manual turns are a kind of turn detection."""

# -- servers of one's own ----------------------------------------------------------------------------------------------------

_OWN = Address(
    path=lambda host, path: completed(path, ("",), "/v1/realtime"),
    query=lambda connection, host: (("model", connection.model),),
    example="wss or ws and the host, for example ws://127.0.0.1:8080",
)

LOCALAI = Dialect(
    name="localai",
    title="LocalAI",
    capabilities=Capabilities(out_of_band=False, turn_detection=("server_vad", "semantic_vad"), reasoning=EFFORTS),
    form=NestedShape("localai"),
    way=_OWN,
    address="ws://{host}/v1/realtime?model={model}",
    credential="Authorization: Bearer; none on this machine",
    verified=(*facts("14"), simulated("localai")),
    source="facts 14: its source",
    quirks=(
        "tools that run on the server may end a user's turn by several response.done",
        "its errors name no command of ours: event_id is missing, or event_TODO",
    ),
    errors=(
        DialectError(
            ErrorKind.FATAL, "Check connection.model: the server could not load it; its own log says why.", "model_load_error"
        ),
        DialectError(ErrorKind.FATAL, "Check connection.model: it must be a pipeline, or speak by itself.", "invalid_model"),
        DialectError(
            ErrorKind.OTHER, "Correct the options; nothing of the update was applied.", "session_update_error", command="update"
        ),
        DialectError(ErrorKind.ITEM_NOT_FOUND, "Name only items that stand in the conversation.", "invalid_item_id"),
        DialectError(ErrorKind.OTHER, "Append audio in the session's input format, and some of it.", "invalid_audio_data"),
        DialectError(
            ErrorKind.OTHER,
            "Commit or clear more often: the server holds no more audio of a turn, and what was appended now is lost.",
            "buffer_size_exceeded",
        ),
        DialectError(
            ErrorKind.OTHER,
            "This version cannot delete items: take a newer one.",
            "not_implemented",
            "deleting items",
            command="delete",
        ),
        DialectError(
            ErrorKind.OTHER,
            "Leave commit() out, or set turn_detection=None: this version finds the turns alone, or not at all.",
            "not_implemented",
            "input_audio_buffer.commit",
            command="commit",
        ),
    ),
)
"""GA names and shapes."""

SPEACHES = Dialect(
    name="speaches",
    title="speaches",
    capabilities=Capabilities(out_of_band=False, images="none"),
    form=FlatShape("speaches", noise_reduction=frozenset(), speed=False),
    way=_OWN,
    address="ws://{host}/v1/realtime?model={model}",
    credential="Authorization: Bearer; none on this machine",
    verified=(*facts("14"), simulated("speaches")),
    source="facts 14: its source",
    quirks=("response.cancel works in part only",),
)
"""Beta names, flat session."""


SPEECH_TO_SPEECH = Dialect(
    name="speech-to-speech",
    title="Hugging Face speech-to-speech",
    capabilities=Capabilities(truncate_acknowledged=False, out_of_band=False, second_session=False, reasoning=EFFORTS),
    form=NestedShape("speech-to-speech"),
    way=_OWN,
    sign=_signs.SPEECH_TO_SPEECH,
    address="ws://{host}/v1/realtime",
    credential="none",
    verified=(
        *facts("14", "15"),
        simulated("speech-to-speech"),
        Mark("peer", "interop/test_servers.py::test_speech_to_speech[speech-to-speech]"),
    ),
    source="facts 14: version 1.1.0 was run (RAN)",
    quirks=(
        "takes a truncate without a word, and a cancel of nothing, too",
        "announces items by conversation.item.created alone",
        "the cascade of a barge-in comes before its speech_started",
        "the type of an error carries its code; a second client is refused by session_limit_reached and close code 1008",
    ),
    errors=(
        DialectError(
            ErrorKind.DELETE_NOT_FOUND, "Nothing to do: the item is no longer in the conversation.", "conversation_item_not_found"
        ),
        DialectError(
            ErrorKind.OTHER,
            "It has conversations only: leave session.type out, or use another server.",
            "invalid_session_type",
            command="update",
        ),
        DialectError(
            ErrorKind.OTHER, 'Use tool_choice "auto", "required" or "none".', "tool_choice_not_supported", command="response"
        ),
        DialectError(
            ErrorKind.OTHER,
            "Answer the open function calls first (tool_result), then ask for a response.",
            "function_call_output_pending",
            retryable=True,
            command="response",
        ),
        DialectError(ErrorKind.OTHER, "Correct the items of input.", "invalid_input_item", command="response"),
        DialectError(ErrorKind.OTHER, "Correct the item.", "invalid_conversation_item", command="item"),
    ),
)
"""GA names and shapes; truncates are not acknowledged."""
