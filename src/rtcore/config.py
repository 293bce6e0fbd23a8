"""What a program can set, each option with its meaning, unit, bounds and default.

Session options carry the protocol's GA names, whatever the dialect. Everything is frozen and refuses unknown keys. Three rules:

- **Unset and None differ** (F138). What is not set is not sent, and the server's default counts; None is sent as ``null`` and
  switches the feature off, where the protocol allows it. Reading an unset option gives None: ask ``model_fields_set``.
- **A turn detection is sent whole or not at all**: servers fill a partial one with other values than their defaults (F122).
- **Credentials never show**: not in ``repr``, not in errors. Those show the values of known options alone, and none of a
  connection's, of a remote tool's, or of what was given by a wrong name.

Mistakes raise ``pydantic.ValidationError`` here (a ``ValueError``), and ``LocalProtocolError`` from ``parse_options`` and
``parse_response``. This is the only module of rtcore that imports pydantic.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    ModelWrapValidatorHandler,
    SecretStr,
    Strict,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, to_jsonable_python

from rtcore import _option_names
from rtcore._effects import place
from rtcore._errors import LocalProtocolError
from rtcore._sayable import at, check_sayable, shortened
from rtcore._vendor import SOMEWHERE, check_names
from rtcore._whole import Fields, completed
from rtcore.dialects import (
    Dialect,
    audio_format,
    capabilities,
    check_address_version,
    check_authentication,
    check_given,
    check_transcribing,
    dialect_of,
    ga_format,
    on_a_call,
)
from rtcore.policies import BACKCHANNELS, InterruptionOptions, plain_words

_Bool = Annotated[bool, Strict()]
_Int = Annotated[int, Strict()]
_Number = Annotated[float, Strict()]

_HIDDEN = "(hidden)"


def _line(kind: str, message: str, loc: tuple[int | str, ...], value: object) -> InitErrorDetails:
    # The message is a template to pydantic; without a context nothing is filled in.
    return InitErrorDetails(type=PydanticCustomError(kind, message), loc=loc, input=value)


def _is_plain(value: object) -> bool:
    """A number, a text or the like, or a list of them."""
    each = value if isinstance(value, list | tuple | set | frozenset) else (value,)
    return all(isinstance(one, str | int | float | None) for one in each)


def _showing(default: Callable[[], object]) -> Callable[[dict[str, Any]], None]:
    """For the schema, the default of an option whose value is made anew each time; a default that can change would be copied."""
    return lambda schema: schema.update(default=to_jsonable_python(default()))


class _Model(BaseModel, frozen=True):
    """Frozen, unknown keys refused with the list of known ones."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    _secret: ClassVar[bool] = False
    """Whether values of this model are kept out of its errors."""
    _elsewhere: ClassVar[Mapping[str, str]] = {}
    """What to say of names that people look for here."""

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Say what is known where a key is not, and hide what must not be seen. Whatever can fail is in here."""
        try:
            valid = handler(data)
            lines = valid._nulls()
            if not lines:
                valid._check()
                return valid
        except ValidationError as fault:
            lines = cls._lines(fault)
        except ValueError as fault:
            lines = [_line("value_error", f"Value error, {fault}", (), _HIDDEN)]
        # Outside of the except block, so that the first error, which shows what is hidden here, is not attached to this one.
        raise ValidationError.from_exception_data(cls.__name__, lines)

    def _check(self) -> None:
        """What no option alone is wrong in; raises ``ValueError``.

        Instead of a validator of pydantic's with mode "after", which would stand around ``_explain`` and show its whole input.
        """

    @classmethod
    def _lines(cls, fault: ValidationError) -> list[InitErrorDetails]:
        return [
            _line(
                line["type"],
                cls._unknown(line["loc"][0]) if line["type"] == "extra_forbidden" and len(line["loc"]) == 1 else line["msg"],
                line["loc"],
                _HIDDEN if cls._hides(line) else line["input"],
            )
            for line in fault.errors(include_url=False, include_context=False)
        ]

    @classmethod
    def _hides(cls, line: ErrorDetails) -> bool:
        """Whether a line's input may hold a credential: only plain values of known options show."""
        if cls._secret or line["type"] in ("extra_forbidden", "frozen_instance"):
            return True  # what was given by another name may well be a key
        whole = not line["loc"] and not issubclass(cls, _Options)
        return whole or not _is_plain(line["input"])

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """As pydantic's; an error in the JSON itself does not show the text, which holds the credentials."""
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as fault:
            lines = cls._lines(fault)
        raise ValidationError.from_exception_data(cls.__name__, lines)

    if not TYPE_CHECKING:  # for a type checker it is frozen, and nothing can be set

        def __setattr__(self, name: str, value: object) -> None:
            """Refused, because it is frozen; the error does not show the value."""
            try:
                super().__setattr__(name, value)
            except ValidationError as fault:
                lines = self._lines(fault)
            else:
                return
            raise ValidationError.from_exception_data(type(self).__name__, lines)

    @classmethod
    def _unknown(cls, name: int | str) -> str:
        if (known_as := cls._elsewhere.get(str(name))) is not None:
            return f"unknown option {name!r}: {known_as}"
        return f"unknown option {name!r}; known are: {', '.join(cls.model_fields)}"

    def _nulls(self) -> list[InitErrorDetails]:
        """Options that were set to None and may not be."""
        return []


class _Options(_Model, frozen=True):
    """Options of the protocol: unset ones are not sent, None only where the protocol knows null."""

    _nullable: ClassVar[frozenset[str]] = frozenset()
    """Options that null switches off (protocol facts 2.1)."""
    _always: ClassVar[frozenset[str]] = frozenset()
    """Options that are sent even where they were not set."""

    def _nulls(self) -> list[InitErrorDetails]:
        return [
            _line("null", "cannot be null; leave it out to keep the server's value", (name,), None)
            for name in type(self).model_fields
            if name in self.model_fields_set and name not in self._nullable and getattr(self, name) is None
        ]

    def wire(self) -> dict[str, Any]:
        """The options that are set, as a JSON object with GA names."""
        return {
            name: _plain(getattr(self, name))
            for name in type(self).model_fields
            if name in self.model_fields_set or name in self._always
        }


def _plain(value: object) -> object:
    if isinstance(value, _Options):
        return value.wire()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


# -- audio -------------------------------------------------------------------------------------------------------------------


def _format_object(value: object) -> object:
    """Both spellings of a format, as the GA object (F016)."""
    if isinstance(value, _Format):
        return value
    return ga_format(audio_format(value))


class _Format(_Options, frozen=True):
    _always: ClassVar[frozenset[str]] = frozenset({"type", "rate"})


class Pcm(_Format, frozen=True):
    """Signed 16 bit little endian, mono."""

    type: Literal["audio/pcm"] = Field(default="audio/pcm", description="The encoding: always this.")
    rate: _Int = Field(
        default=24_000, ge=8_000, le=96_000, description="Samples per second; 24000, but for vendors that take other rates."
    )


class Pcmu(_Format, frozen=True):
    """G.711 mu-law, 8000 samples per second."""

    type: Literal["audio/pcmu"] = Field(default="audio/pcmu", description="The encoding: always this.")


class Pcma(_Format, frozen=True):
    """G.711 A-law, 8000 samples per second."""

    type: Literal["audio/pcma"] = Field(default="audio/pcma", description="The encoding: always this.")


Format = Annotated[Annotated[Pcm | Pcmu | Pcma, Discriminator("type")], BeforeValidator(_format_object)]
"""An audio format; its name alone ("pcm16", "audio/pcmu") is understood too."""


class _TurnDetection(_Options, frozen=True):
    create_response: _Bool = Field(default=True, description="The server answers by itself when a turn ends.")
    interrupt_response: _Bool = Field(
        default=True, description="The server stops its response when speech starts. False implies create_response=False."
    )

    @model_validator(mode="before")
    @classmethod
    def _cannot_create_while_it_runs(cls, data: Any) -> Any:
        """The server cannot create while the old response runs: not interrupting implies not creating (facts 8.2, DESIGN 4)."""
        if isinstance(data, Mapping) and data.get("interrupt_response") is False and "create_response" not in data:
            return {**data, "create_response": False}
        return data


class ServerVad(_TurnDetection, frozen=True):
    """Turns end after a silence (protocol facts 8.1). Sent whole (F122)."""

    _nullable: ClassVar[frozenset[str]] = frozenset({"idle_timeout_ms"})
    _always: ClassVar[frozenset[str]] = frozenset(
        {
            "type",
            "threshold",
            "prefix_padding_ms",
            "silence_duration_ms",
            "create_response",
            "interrupt_response",
            "idle_timeout_ms",
        }
    )

    type: Literal["server_vad"] = Field(default="server_vad", description="The kind of turn detection: by silence.")
    threshold: _Number = Field(
        default=0.5, ge=0, le=1, description="How sure of speech the server must be, 0 to 1; more for noisy rooms."
    )
    prefix_padding_ms: _Int = Field(
        default=300, ge=0, description="Audio before the start of speech that belongs to the turn, in ms."
    )
    silence_duration_ms: _Int = Field(default=500, ge=0, description="Silence that ends a turn, in ms.")
    idle_timeout_ms: _Int | None = Field(
        default=None,
        ge=5_000,
        le=30_000,
        description="The server speaks up after this silence, in ms, 5000 to 30000; None: never.",
    )


class SemanticVad(_TurnDetection, frozen=True):
    """Turns end where the words make sense (protocol facts 8.1, 8.5). Sent whole (F122)."""

    _always: ClassVar[frozenset[str]] = frozenset({"type", "eagerness", "create_response", "interrupt_response"})

    type: Literal["semantic_vad"] = Field(default="semantic_vad", description="The kind of turn detection: by what is said.")
    eagerness: Literal["low", "medium", "high", "auto"] = Field(
        default="auto", description="How soon to take the turn: waits at most 8 s (low), 4 s (medium, auto), 2 s (high)."
    )


class AzureSemanticVad(_TurnDetection, frozen=True):
    """Turns end where the words make sense, as Azure Voice Live finds it (protocol facts 14). Sent whole (F122)."""

    _always: ClassVar[frozenset[str]] = frozenset(
        {"type", "threshold", "prefix_padding_ms", "silence_duration_ms", "create_response", "interrupt_response"}
    )

    type: Literal["azure_semantic_vad"] = Field(
        default="azure_semantic_vad", description="The kind of turn detection: by what is said, as Azure hears it."
    )
    threshold: _Number = Field(default=0.5, ge=0, le=1, description="How sure of speech the server must be, 0 to 1.")
    prefix_padding_ms: _Int = Field(
        default=300, ge=0, description="Audio before the start of speech that belongs to the turn, in ms."
    )
    silence_duration_ms: _Int = Field(default=500, ge=0, description="Silence that ends a turn, in ms.")
    remove_filler_words: _Bool | None = Field(default=None, description="Whether sounds like um count as no speech.")
    end_of_utterance_detection: dict[str, JsonValue] | None = Field(
        default=None, description="How the end of an utterance is found, as Voice Live writes it."
    )


TurnDetection = Annotated[ServerVad | SemanticVad | AzureSemanticVad, Discriminator("type")]
"""How the server finds the user's turns."""


class Transcription(_Options, frozen=True):
    """Transcription of what the user says, apart from the model (S10)."""

    model: str | None = Field(
        default=None, description="Transcription model, such as whisper-1; on Azure the name of its deployment."
    )
    language: str | None = Field(default=None, description="Language of the speech, ISO 639-1, for example en.")
    prompt: str | None = Field(default=None, description="Words that guide the transcription.")
    languages: tuple[str, ...] | None = Field(default=None, description="Languages that may be spoken (gpt-live-transcribe).")
    keywords: tuple[str, ...] | None = Field(default=None, description="Words to expect (gpt-live-transcribe).")
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(
        default=None, description="How long it may wait for certainty (gpt-realtime-whisper)."
    )


class NoiseReduction(_Options, frozen=True):
    """Noise reduction of the microphone's audio, before turn detection and model."""

    _always: ClassVar[frozenset[str]] = frozenset({"type"})

    type: Literal["near_field", "far_field"] = Field(description="near_field for headsets, far_field for rooms.")
    strength: _Number | None = Field(default=None, ge=0, le=1, description="How strong, 0 to 1.")


class AudioInput(_Options, frozen=True):
    """What the microphone sends and what the server does with it."""

    _nullable: ClassVar[frozenset[str]] = frozenset({"turn_detection", "transcription", "noise_reduction"})

    format: Format | None = Field(
        default=None, description="Encoding of the microphone's audio; the server's default is PCM16, 24 kHz."
    )
    turn_detection: TurnDetection | None = Field(
        default=None, description="How turns are found; None: by the program (commit(), respond()). Unset: the server's default."
    )
    transcription: Transcription | None = Field(default=None, description="Transcribe the user; None: do not.")
    noise_reduction: NoiseReduction | None = Field(default=None, description="Reduce noise; None: do not.")


class VoiceId(_Options, frozen=True):
    """A voice of your own, by its id."""

    id: str = Field(description="The voice's id.", min_length=1)


class AudioOutput(_Options, frozen=True):
    """How the model sounds."""

    format: Format | None = Field(
        default=None, description="Encoding of the model's audio; the server's default is PCM16 at 24 kHz."
    )
    voice: str | VoiceId | None = Field(
        default=None, description="Name of a voice, or the id of your own. Fixed once the model has spoken (protocol facts 2.4)."
    )
    speed: _Number | None = Field(
        default=None, ge=0.25, le=1.5, description="Speed of speech, 0.25 to 1.5; changes between turns only."
    )


class AudioOptions(_Options, frozen=True):
    """Audio in both directions."""

    input: AudioInput | None = Field(default=None, description="From the user to the model.")
    output: AudioOutput | None = Field(default=None, description="From the model to the user.")


class ResponseAudioOutput(_Options, frozen=True):
    """How one response sounds."""

    format: Format | None = Field(default=None, description="Encoding of this response's audio.")
    voice: str | VoiceId | None = Field(default=None, description="Name of a voice, or the id of your own.")


class ResponseAudio(_Options, frozen=True):
    """Audio of one response."""

    output: ResponseAudioOutput | None = Field(default=None, description="From the model to the user.")


# -- tools and the rest ------------------------------------------------------------------------------------------------------


class FunctionTool(_Options, frozen=True):
    """A function that the model may call. Flat, not nested under ``function`` as in chat completions (protocol facts 2.11)."""

    _always: ClassVar[frozenset[str]] = frozenset({"type"})

    type: Literal["function"] = Field(default="function", description="The kind of tool: a function of the program's.")
    name: str = Field(description="What the model calls it.", min_length=1)
    description: str | None = Field(default=None, description="When and how to use it.")
    parameters: dict[str, JsonValue] | None = Field(default=None, description="JSON schema of its arguments.")


class McpFilter(_Options, frozen=True):
    """Some tools of a remote server."""

    tool_names: tuple[str, ...] | None = Field(default=None, description="By their names.")
    read_only: _Bool | None = Field(default=None, description="Those that change nothing, as the remote server marks them.")


class McpApproval(_Options, frozen=True):
    """Which tools of a remote server need approval; a tool in neither list needs it."""

    always: McpFilter | None = Field(default=None, description="These do.")
    never: McpFilter | None = Field(default=None, description="These do not.")


class McpTool(_Options, frozen=True):
    """A remote (MCP) server whose tools the model may call; the realtime server calls them itself (protocol facts 2.11, 4.14).

    Its credentials never show.
    """

    _always: ClassVar[frozenset[str]] = frozenset({"type"})
    _nullable: ClassVar[frozenset[str]] = frozenset({"headers", "allowed_tools", "require_approval", "allowed_callers"})
    _secret: ClassVar[bool] = True

    type: Literal["mcp"] = Field(default="mcp", description="The kind of tool: a remote server.")
    server_label: str = Field(description="What the remote server is called in calls and approvals.", min_length=1)
    server_url: str | None = Field(default=None, description="Its address; or a connector_id, or a tunnel_id.")
    connector_id: str | None = Field(default=None, description="A connector of the provider, such as connector_gmail.")
    tunnel_id: str | None = Field(default=None, description="A tunnel of the provider.")
    server_description: str | None = Field(default=None, description="What it is for, told to the model.")
    authorization: str | None = Field(default=None, repr=False, description="OAuth access token for the remote server.")
    headers: dict[str, str] | None = Field(default=None, repr=False, description="HTTP headers for the remote server.")
    allowed_tools: tuple[str, ...] | McpFilter | None = Field(default=None, description="Which of its tools; None: all.")
    require_approval: Literal["always", "never"] | McpApproval | None = Field(
        default=None, description="Whether a call waits for approve(); the server's default is always."
    )
    allowed_callers: tuple[Literal["direct", "programmatic"], ...] | None = Field(
        default=None, description="Whether the model calls them directly or from programs."
    )
    defer_loading: _Bool | None = Field(default=None, description="Whether its tools are loaded only when they are searched for.")

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The address without user and query, which may carry a key."""
        for name, value in super().__repr_args__():
            yield name, place(value) if name == "server_url" and isinstance(value, str) else value


def _tool_kind(tool: object) -> str:
    kind = tool.get("type", "function") if isinstance(tool, Mapping) else getattr(tool, "type", "function")
    return kind if kind in ("function", "mcp") else "other"


Tool = Annotated[
    Annotated[FunctionTool, Tag("function")] | Annotated[McpTool, Tag("mcp")] | Annotated[dict[str, JsonValue], Tag("other")],
    Discriminator(_tool_kind),
]
"""A function tool, a remote server, or a tool of another type as the vendor writes it, which is passed on as it is."""


class ChooseFunction(_Options, frozen=True):
    """The model must call this function."""

    _always: ClassVar[frozenset[str]] = frozenset({"type"})

    type: Literal["function"] = Field(default="function", description="What is chosen: a function.")
    name: str = Field(description="The function's name.", min_length=1)


class ChooseMcp(_Options, frozen=True):
    """The model must call this MCP server."""

    _always: ClassVar[frozenset[str]] = frozenset({"type"})
    _nullable: ClassVar[frozenset[str]] = frozenset({"name"})

    type: Literal["mcp"] = Field(default="mcp", description="What is chosen: a remote server's tool.")
    server_label: str = Field(description="The MCP server's label.", min_length=1)
    name: str | None = Field(default=None, description="The tool on that server; None: any.")


ToolChoice = Literal["none", "auto", "required"] | Annotated[ChooseFunction | ChooseMcp, Discriminator("type")]
"""Whether the model calls a tool, and which (protocol facts 2.11)."""


class Tracing(_Options, frozen=True):
    """Where the provider files its trace of the session. Once on, it cannot be changed (protocol facts 2.10)."""

    workflow_name: str | None = Field(default=None, description="Name of the workflow in the trace.")
    group_id: str | None = Field(default=None, description="Groups traces.")
    metadata: JsonValue = Field(default=None, description="Filed with the trace.")

    _nullable: ClassVar[frozenset[str]] = frozenset({"metadata"})


class Prompt(_Options, frozen=True):
    """A stored prompt; options of the session override its fields (protocol facts 2.10)."""

    _nullable: ClassVar[frozenset[str]] = frozenset({"version", "variables"})

    id: str = Field(description="The prompt's id.", min_length=1)
    version: str | None = Field(default=None, description="Which version; None: the newest.")
    variables: dict[str, JsonValue] | None = Field(default=None, description="Values of the prompt's variables.")


class TokenLimits(_Options, frozen=True):
    """Limits on what of the conversation the model sees."""

    post_instructions: _Int | None = Field(
        default=None, ge=0, description="Tokens of conversation behind instructions and tools."
    )


class RetentionRatio(_Options, frozen=True):
    """On overflow, cut the oldest messages down to this share of the limit at once (protocol facts 2.9)."""

    _always: ClassVar[frozenset[str]] = frozenset({"type"})

    type: Literal["retention_ratio"] = Field(default="retention_ratio", description="The way of truncating: down to a share.")
    retention_ratio: _Number = Field(ge=0, le=1, description="Share of the limit that is kept, 0 to 1.")
    token_limits: TokenLimits | None = Field(default=None, description="Limits of your own.")


class Reasoning(_Options, frozen=True):
    """How much a reasoning model thinks (gpt-realtime-2 family, Grok; other models refuse it)."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        default=None,
        description="How much it thinks before it speaks: minimal to xhigh at OpenAI and Azure, high or none at xAI "
        "(Capabilities.reasoning).",
    )


def _one_modality(value: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if value is not None and len(value) != 1:
        raise ValueError('choose ["audio"], which brings the transcript too, or ["text"]; not both (protocol facts 2.6)')
    return value


class _Generation(_Options, frozen=True):
    """Options that a session and a single response share."""

    instructions: str | None = Field(default=None, description='What the model is told to be and do; "" clears it.')
    output_modalities: tuple[Literal["audio", "text"], ...] | None = Field(
        default=None, description='["audio"] (with its transcript) or ["text"].'
    )
    tools: tuple[Tool, ...] | None = Field(default=None, description="What the model may call; [] clears them.")
    tool_choice: ToolChoice | None = Field(default=None, description="Whether it calls: none, auto, required, or a certain one.")
    max_output_tokens: Annotated[_Int, Field(ge=1, le=4096)] | Literal["inf"] | None = Field(
        default=None, description='Longest response in tokens, 1 to 4096, or "inf".'
    )
    prompt: Prompt | None = Field(default=None, description="A stored prompt; None: none.")
    reasoning: Reasoning | None = Field(default=None, description="How much a reasoning model thinks.")
    parallel_tool_calls: _Bool | None = Field(default=None, description="Several calls in one response (reasoning models).")
    temperature: _Number | None = Field(default=None, ge=0.6, le=1.2, description="0.6 to 1.2; preview dialect only.")

    _modality = field_validator("output_modalities", mode="after")(_one_modality)


class SessionOptions(_Generation, frozen=True):
    """What the server is asked for, in the protocol's GA names (protocol facts 2). Only what is set is sent."""

    _nullable: ClassVar[frozenset[str]] = frozenset({"tracing", "prompt"})
    _elsewhere: ClassVar[Mapping[str, str]] = _option_names.SESSION

    type: Literal["realtime", "transcription"] | None = Field(
        default=None,
        description="transcription: a session without a model, that only writes down what is said; it takes audio.input and "
        "include alone. Unset: a conversation.",
    )
    audio: AudioOptions | None = Field(default=None, description="Formats, turn detection, transcription, voice.")
    tracing: Literal["auto"] | Tracing | None = Field(
        default=None, description="Let the provider trace the session; None: do not."
    )
    include: tuple[Literal["item.input_audio_transcription.logprobs"], ...] | None = Field(
        default=None, description="Extra fields in the server's events."
    )
    truncation: Literal["auto", "disabled"] | RetentionRatio | None = Field(
        default=None, description="When the conversation outgrows the model: drop the oldest, fail, or cut to a share."
    )
    vendor: dict[str, JsonValue] | None = Field(
        default=None,
        description="Options of the dialect's vendor that no other has, in its own names; they stand on top of the session. "
        "Not a way around the options above.",
    )

    @field_validator("vendor", mode="after")
    @classmethod
    def _only_the_vendors(cls, value: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
        """What is fixed with the session, or an option, is not said by another way either (facts 2.4, F122)."""
        for name in sorted(_FIXED.keys() & (value or {}).keys()):
            raise ValueError(f"{name!r} is not the vendor's own: {_FIXED[name]}")
        check_names(value or {}, SOMEWHERE)
        detection = (value or {}).get("turn_detection")
        if isinstance(detection, dict):
            _check_detection(detection)
        return value

    def _check(self) -> None:
        """A transcription session has nothing that a model would need (protocol facts 12.1)."""
        if self.type == "transcription":
            odd = [name for name in type(self).model_fields if name in self.model_fields_set - _LISTENING]
            odd += ["audio.output"] if self.audio is not None and self.audio.output is not None else []
            if odd:
                raise ValueError(f"a transcription session has no {', '.join(odd)}; it takes audio.input and include alone")


_DETECTIONS: Mapping[str, type[_TurnDetection]] = {
    "server_vad": ServerVad,
    "semantic_vad": SemanticVad,
    "azure_semantic_vad": AzureSemanticVad,
}


def _check_detection(detection: Mapping[str, Any]) -> None:
    """A field of the vendor's own in a turn detection of a known type does not lift the bounds of the others."""
    kind = _DETECTIONS.get(str(detection.get("type")))
    if kind is None:
        return
    try:
        kind.model_validate({name: each for name, each in detection.items() if name in kind.model_fields})
    except ValidationError as fault:
        lines = fault.errors(include_url=False, include_context=False, include_input=False)
        said = "; ".join(f"vendor.turn_detection.{'.'.join(map(str, line['loc']))}: {line['msg']}" for line in lines)
    else:
        return
    raise ValueError(said)


_FIXED: Mapping[str, str] = {
    "model": _option_names.SESSION["model"],
    "id": _option_names.SESSION["id"],
    "type": "session.type says the kind of session, for good",
}
_LISTENING = frozenset({"type", "audio", "include", "vendor"})

_RESERVED = "rtcore_request"
_PAIRS, _KEY_LENGTH, _TEXT_LENGTH = 16, 64, 512


class ResponseOptions(_Generation, frozen=True):
    """What one response is asked for; each overrides the session's (protocol facts 5.1)."""

    _nullable: ClassVar[frozenset[str]] = frozenset({"prompt"})
    _elsewhere: ClassVar[Mapping[str, str]] = _option_names.RESPONSE

    conversation: Literal["auto", "none"] | None = Field(
        default=None, description='"none": out of band, beside the conversation.'
    )
    metadata: dict[str, str] | None = Field(
        default=None, description="Up to 15 pairs that come back with the response, keys to 64 characters, values to 512."
    )
    input: tuple[dict[str, JsonValue], ...] | None = Field(
        default=None, description="Items to answer instead of the conversation; [] for none at all."
    )
    audio: ResponseAudio | None = Field(default=None, description="How this response sounds.")

    @field_validator("metadata", mode="after")
    @classmethod
    def _within_limits(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        """Protocol facts 2.7; one pair is the core's own, by which it knows the answer to its request."""
        if value is None:
            return None
        if _RESERVED in value:
            raise ValueError(f"the key {_RESERVED!r} is used by rtcore; choose another")
        if len(value) >= _PAIRS:
            raise ValueError(f"has {len(value)} pairs; {_PAIRS - 1} are allowed, one more is rtcore's")
        for key, text in value.items():
            if len(key) > _KEY_LENGTH or len(text) > _TEXT_LENGTH:
                raise ValueError(f"{key[:_KEY_LENGTH]!r}: keys have up to {_KEY_LENGTH} characters, values up to {_TEXT_LENGTH}")
        return value


# -- the program's side ------------------------------------------------------------------------------------------------------


DialectName = Literal[
    "openai",
    "openai-beta",
    "azure",
    "azure-preview",
    "azure-voice-live",
    "xai",
    "qwen",
    "inworld",
    "stepfun",
    "glm",
    "localai",
    "speaches",
    "speech-to-speech",
    "vllm",
    "together",
]
"""The dialects by name; ``rtcore.dialects.DIALECTS`` has their tables."""


class Connection(_Model, frozen=True):
    """Where to dial and with what credential. No error and no ``repr`` of it shows a credential."""

    _secret: ClassVar[bool] = True
    _elsewhere: ClassVar[Mapping[str, str]] = _option_names.CONNECTION

    dialect: DialectName | None = Field(
        default=None,
        description="Which server it is; None: as the address says, else as its first event shows.",
    )
    url: str | None = Field(
        default=None,
        description="Base address as people write it: http(s) or ws(s), with or without path; None: api.openai.com. "
        "A loopback address needs no key. Required on Azure.",
    )
    model: str = Field(
        default="gpt-realtime",
        description="The model; on Azure the deployment's name, if deployment is not set. A session that only transcribes "
        "has its model in transcription.model, but with vllm and together.",
        min_length=1,
    )
    api_key: SecretStr | str | None = Field(default=None, description="API key.")
    bearer_token: SecretStr | str | None = Field(
        default=None, description="Token instead of a key, for example of Entra ID. One of the two is enough; both are a mistake."
    )
    provided_token: _Bool = Field(
        default=False,
        description="A bearer token is provided anew at each dialling, by the adapter's token option, which sets this.",
    )
    authentication: Literal["header", "subprotocol"] = Field(
        default="header",
        description="Where the key goes: a header, or the websocket's subprotocols, as browsers must, if the dialect has that.",
    )
    call_id: str | None = Field(
        default=None,
        description="Join a WebRTC or SIP call by its side channel; the server sounds the audio.",
        min_length=1,
    )
    api_version: str | None = Field(
        default=None,
        description="azure-preview: 2025-04-01-preview (None) or 2024-10-01-preview. azure-voice-live: 2025-10-01 (None) or "
        "later. Others have none, and refuse one. With the address of an Azure resource and no dialect, a preview's version says "
        "azure-preview; at a gateway say dialect too.",
        pattern=r"^\d{4}-\d{2}-\d{2}(-preview)?$",
    )
    deployment: str | None = Field(
        default=None,
        description="azure and azure-preview: name of the model's deployment; None: model. Others have none, and refuse one.",
        min_length=1,
    )
    organization: str | None = Field(default=None, description="OpenAI-Organization header.", min_length=1)
    project: str | None = Field(default=None, description="OpenAI-Project header.", min_length=1)
    headers: dict[str, str] = Field(
        default_factory=dict,
        json_schema_extra=_showing(dict),
        description="More headers; one of the same name replaces ours.",
        repr=False,
    )

    @field_validator("api_key", "bearer_token", mode="after")
    @classmethod
    def _kept_secret(cls, value: SecretStr | str | None) -> SecretStr | None:
        """A plain string is as good, so that the obvious spelling passes a type checker; it is kept as a secret all the same."""
        return SecretStr(value) if isinstance(value, str) else value

    def _check(self) -> None:
        """An api-version, deployment or way of authentication that the dialect does not have is refused, not dropped."""
        check_given(self)
        check_address_version(self)
        check_authentication(self)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The address without user and query, which may carry a key; a credential that a copy was given in clear is hidden."""
        for name, value in super().__repr_args__():
            if name in ("api_key", "bearer_token") and isinstance(value, str):
                yield name, SecretStr(value)
            else:
                yield name, place(value) if name == "url" and isinstance(value, str) else value

    def credential(self, name: Literal["api_key", "bearer_token"]) -> str | None:
        """The credential in clear, for the handshake alone; None where it was not given."""
        value = self.api_key if name == "api_key" else self.bearer_token
        return value.get_secret_value() if isinstance(value, SecretStr) else value


class Microphone(_Model, frozen=True):
    """How microphone audio is sent."""

    batch_ms: _Int = Field(default=40, ge=1, le=1_000, description="Audio per message, in ms: less is sooner, more is cheaper.")
    max_held_ms: _Int = Field(
        default=10_000, ge=1, description="Audio held while it cannot be sent, in ms; beyond it the oldest is dropped."
    )


_LONGEST_HOLD_MS = 60_000


def check_hold(hold_ms: object) -> None:
    """Raise ``LocalProtocolError`` for what is no time to hold audio back for."""
    if not isinstance(hold_ms, int) or isinstance(hold_ms, bool) or not 0 <= hold_ms <= _LONGEST_HOLD_MS:
        raise LocalProtocolError(f"hold_ms: {hold_ms!r} is not an int from 0 to {_LONGEST_HOLD_MS}")


class Playout(_Model, frozen=True):
    """How model audio is handed to the clock."""

    lead_ms: _Int | None = Field(
        default=None,
        ge=20,
        description="Audio handed over ahead of what was heard, in ms, and at least twice what passes between two reports of the "
        "clock; None: all (clocks that flush at once).",
    )
    stall_ms: _Int = Field(
        default=2_000, ge=1, description="Longest wait for a message that holds up the queue while the speaker is dry, in ms."
    )
    hold_ms: _Int = Field(
        default=0,
        ge=0,
        le=_LONGEST_HOLD_MS,
        description="How long the first audio of each response is held back, in ms, so that a guardrail can interrupt it before "
        "a word is heard; release() ends it sooner. 0: not at all.",
    )
    heard_text_ms: _Int | None = Field(
        default=100,
        ge=20,
        description="Sound between two looks at which words were heard, told as HeardText, in ms; None: not told, and the "
        "history shows the words of a message once it has ended.",
    )
    max_buffered_s: _Int = Field(
        default=900, ge=1, description="Unheard audio held, in seconds; beyond it the response is cancelled and reported."
    )


class BargeIn(_Model, frozen=True):
    """When a person's voice interrupts the model, where ``Config.interruption`` leaves that open (docs/interruptions.md)."""

    min_duration_ms: _Int | None = Field(
        default=500,
        ge=0,
        le=60_000,
        description="pause: speech that lasts so long is an interruption before it ends, and shorter speech without words is "
        "none, in ms; None: its length decides nothing.",
    )
    min_words: _Int = Field(
        default=0,
        ge=0,
        le=100,
        description="pause: fewer words are no interruption; backchannels do not count. Needs transcription.",
    )
    wait_for_turn: _Bool = Field(
        default=False, description="pause: nothing is cut before the speech has become a turn, by the server's detection."
    )
    false_interruption_ms: _Int = Field(
        default=2_000,
        ge=0,
        le=60_000,
        description="pause: so long after the end of speech that became no turn and no words, the model goes on, in ms. Also: an "
        "answer that was cut unheard by speech that became no turn is given after all, and what waited for the turn is asked "
        "for.",
    )
    backchannels: dict[str, tuple[str, ...]] = Field(
        default_factory=lambda: dict(BACKCHANNELS),
        json_schema_extra=_showing(lambda: BACKCHANNELS),
        description="What people say while they listen, by language (ISO 639-1); those of transcription.language count, or all.",
    )
    echo_guard_ms: _Int = Field(
        default=0,
        ge=0,
        le=60_000,
        description="For loudspeakers: a voice in the first so many ms of the model's sound is taken for its echo; doubled with "
        "each cut in a row. 0: never.",
    )
    echo_guard: Literal["ignore", "defer"] = Field(
        default="defer", description="Such a voice is nothing (ignore), or it counts if it goes on when the time is over (defer)."
    )
    tail_ms: _Int = Field(
        default=300,
        ge=0,
        le=10_000,
        description="half_duplex: so long after the model's last sample nothing is heard yet, in ms.",
    )

    def words(self, language: str | None) -> tuple[str, ...]:
        """The backchannels that count, plain, longest first; ``language`` is that of the transcription, if it is known."""
        base = (language or "").partition("-")[0].lower()
        lists = [self.backchannels[base]] if base in self.backchannels else list(self.backchannels.values())
        return tuple(sorted({plain_words(each) for every in lists for each in every} - {""}, key=lambda each: (-len(each), each)))


class FunctionCalls(_Model, frozen=True):
    """What becomes of the model's function calls. The functions themselves are the program's."""

    interrupted: Literal["keep", "cancel"] = Field(
        default="keep",
        description="A call that is open when a person interrupts: keep it and tell the model its result, or answer it at once "
        "as cancelled.",
    )
    answer: Literal["always", "if_silent"] = Field(
        default="always",
        description="Ask for a response to the results: always, or only where the response with the calls said nothing itself.",
    )
    slow_ms: Annotated[_Int, Field(ge=1)] | None = Field(
        default=None, description="ToolSlow is told where a call is open for so long, in ms; None: never."
    )
    filler: str | None = Field(
        default=None,
        min_length=1,
        description="Instructions for a few spoken words beside the conversation, where a call is slow (slow_ms) and nothing "
        "sounds; None: none.",
    )
    stream_arguments: _Bool = Field(default=False, description="Tell arguments piece by piece while the model writes them.")

    def _check(self) -> None:
        if self.filler is not None and self.slow_ms is None:
            raise ValueError("filler: needs slow_ms, which says when")


class Timeouts(_Model, frozen=True):
    """How long answers may take, in ms."""

    acknowledge_ms: _Int = Field(
        default=10_000, ge=1, description="session.updated after the connection is up; then the session ends."
    )
    create_ms: _Int = Field(default=10_000, ge=1, description="response.created after response.create; then the request fails.")
    queue_ms: _Int = Field(
        default=60_000, ge=1, description="Wait of a response for its turn (the slot, our edits); then the request fails."
    )
    edit_ms: _Int = Field(
        default=5_000, ge=1, description="The answer to a truncate, delete, create or update; then it counts as lost."
    )
    idle_ms: Annotated[_Int, Field(ge=1)] | None = Field(
        default=None,
        description="ConversationIdle is told when nobody has said anything for so long, in ms; None: never. The server's own is "
        "turn_detection.idle_timeout_ms.",
    )
    text_ms: _Int = Field(
        default=1_000, ge=1, description="The text of a message whose audio was heard in full; then it ends without."
    )


class Reconnect(_Model, frozen=True):
    """What happens when the connection is lost, or the server's session gets too old (docs/continuity.md).

    The conversation goes on over another connection: its session is configured as this one was, and gets the history that was
    heard. It needs a session that was ready once: a first connection that fails ends the session, because then a wrong address or
    key shows at once.
    """

    attempts: _Int = Field(
        default=10,
        ge=0,
        le=1_000,
        description="How often a lost connection is dialled again before the session ends; counted anew after a completed "
        "response. 0: never, and the session ends with its connection.",
    )
    first_ms: _Int = Field(default=100, ge=0, description="Wait before the first attempt, in ms; it doubles with each.")
    cap_ms: _Int = Field(default=10_000, ge=0, description="Longest wait before an attempt, in ms.")
    jitter: _Number = Field(
        default=0.2, ge=0, le=1, description="Share of each wait that chance, drawn from the session's seed, may take off."
    )
    history: Literal["items", "summary", "none"] = Field(
        default="items",
        description="What the new session is told of the conversation: its items, as text; one message that sums it up; nothing.",
    )
    max_items: _Int = Field(default=200, ge=1, description="So many of the latest items are told; older ones are left out.")
    image_bytes: _Int = Field(
        default=4_000_000,
        ge=0,
        description="Images that the program showed are kept to be shown again, the newest of them up to so many bytes; of an "
        "older one is told that there was one.",
    )
    pending: Literal["again", "fail"] = Field(
        default="again",
        description="What becomes of commands that the lost connection did not answer: asked for again, or failed.",
    )
    carry_ms: _Int = Field(
        default=3_000,
        ge=0,
        description="Microphone audio that is older when the session goes on is dropped, in ms. A turn of the user's that was "
        "not finished is kept up to a minute.",
    )
    renew: _Bool = Field(
        default=True, description="Change over to a new session, at a quiet moment, before the server ends the old one."
    )
    limit_s: _Number | None = Field(
        default=None,
        ge=1,
        description="Age at which a session is renewed, in seconds; None: two grace_s before the dialect's limit, if it has one.",
    )
    grace_s: _Number = Field(
        default=60, ge=0, description="Longest wait for a quiet moment; then it is renewed in the middle of anything."
    )
    poisoned_after: _Int = Field(
        default=3, ge=0, description="So many errors of the server in a row, without a completed response, renew it. 0: never."
    )


class Config(_Model, frozen=True):
    """Everything a ``Session`` is told at its start. Frozen; what belongs together is settled here (DESIGN, section 4).

    - ``interrupt_response=False`` implies ``create_response=False``, unless that was set.
    - ``context="exact"`` implies ``create_response=False`` and refuses an explicit True.
    - ``interruption="ignore"`` implies ``interrupt_response=False``, unless that was set: the server must not cut what goes on
      sounding.
    - ``interruption="pause"`` and ``barge_in.echo_guard_ms`` imply ``interrupt_response=False`` and ``create_response=False`` and
      refuse an explicit True: what an interruption is, and which turn is answered, the core decides.

    Raises ``pydantic.ValidationError`` naming the option, the value and what is allowed.
    """

    connection: Connection = Field(default=Connection(), description="Where to dial.")
    session: SessionOptions = Field(default=SessionOptions(), description="What the server is asked for.")
    microphone: Microphone = Field(
        default=Microphone(), description="How much microphone audio goes into a message, and is held."
    )
    playout: Playout = Field(default=Playout(), description="How model audio is handed over.")
    interruption: Literal["cut", "ignore", "pause", "half_duplex"] = Field(
        default="cut",
        description="What speech of the user does to speech of the model. cut: ends it; ignore: nothing; pause: holds it until "
        "it shows whether the user means it; half_duplex: the user is not heard while the model is.",
    )
    barge_in: BargeIn = Field(
        default_factory=BargeIn, json_schema_extra=_showing(BargeIn), description="What counts as an interruption."
    )
    context: Literal["auto", "exact"] = Field(
        default="auto",
        description="exact: responses are created by the core after its edits are acknowledged, so that the model never "
        "answers words that nobody heard; costs one round trip.",
    )
    text_answers: Literal["accept", "retry"] = Field(
        default="accept",
        description="What becomes of an answer in text alone where sound was asked for, which nobody would hear. It is always "
        "told, so that the program can say it. retry: it is deleted too, and the answer asked for once more.",
    )
    stale_context: Literal["accept", "recreate"] = Field(
        default="accept",
        description="What becomes of a response that the server began by itself before our edits were acknowledged: it stands, "
        "or it is cancelled unheard and asked for again after them.",
    )
    coalesce: Literal["automatic", "plain"] = Field(
        default="automatic",
        description="Which responses that wait for their turn become one: those that nobody asked for by name; with plain, also "
        "those asked for without options, of which the newest stays and the others end as superseded.",
    )
    answer_turns: _Bool = Field(default=True, description="Answer a committed turn where the server does not create by itself.")
    function_calls: FunctionCalls = Field(default=FunctionCalls(), description="What becomes of function calls.")
    timeouts: Timeouts = Field(default=Timeouts(), description="How long answers may take.")
    reconnect: Reconnect = Field(default=Reconnect(), description="How the conversation survives its connection.")
    tap: Literal["off", "unknown", "all"] = Field(
        default="off",
        description="unknown: fields that this version does not know are told; all: so is every message, both ways. For looking "
        "for what is wrong: it costs a second reading of each message.",
    )

    def _check(self) -> None:
        """Derive what the settings imply, and see early what the dialect cannot say."""
        given = self.session
        try:
            settled = _settled(given, self.context, self.interruption, self.barge_in, whole=True)
            table = dialect_of(self.connection)
            if given.type == "transcription":
                check_transcribing(self.connection)
            if table is not None:
                if not table.capabilities.answers and given.type != "transcription":
                    raise LocalProtocolError(
                        f"type: servers of the {table.name} dialect only transcribe; set session.type to 'transcription'"
                    )
                _check_decides(table.name, self)
                check_sayable(table, settled.wire())
            if self.playout.hold_ms and on_a_call(self.connection):
                raise LocalProtocolError("playout.hold_ms: on a call the server sounds the audio; nothing can be held back here")
        except LocalProtocolError as fault:
            line = _line("value_error", str(fault), ("session",), _HIDDEN)
            raise ValidationError.from_exception_data("Config", [line]) from None
        # Nothing else can be given back here, and this one is not in anybody's hands yet.
        self.__dict__["session"] = settled

    def interruptions(self) -> InterruptionOptions:
        """What a policy is told of them (``rtcore.policies``)."""
        given, audio = self.barge_in, self.session.audio
        transcription = audio.input.transcription if audio is not None and audio.input is not None else None
        return InterruptionOptions(
            mode=self.interruption,
            min_duration_ms=given.min_duration_ms,
            min_words=given.min_words,
            wait_for_turn=given.wait_for_turn,
            false_interruption_ms=given.false_interruption_ms,
            backchannels=given.words(transcription.language if transcription is not None else None),
            echo_guard_ms=given.echo_guard_ms,
            echo_guard=given.echo_guard,
        )


def _decides(interruption: str, barge_in: BargeIn) -> str:
    """The setting because of which the core decides what an interruption is, if there is one."""
    if interruption == "pause":
        return "interruption='pause'"
    return "barge_in.echo_guard_ms" if barge_in.echo_guard_ms else ""


def _check_decides(dialect: str, config: Config) -> None:
    """See early where a server cannot be told to leave the decision to us."""
    needs = _decides(config.interruption, config.barge_in)
    remote = capabilities(config.connection).playout == "server"
    if remote and (needs or config.interruption == "half_duplex"):
        name = needs or f"interruption={config.interruption!r}"
        raise LocalProtocolError(f"{name}: on a call the server holds the sound and the microphone; use 'cut' or 'ignore'")
    audio = config.session.audio
    side = audio.input if audio is not None else None
    manual = side is not None and "turn_detection" in side.model_fields_set and side.turn_detection is None
    if needs and not manual and not capabilities(config.connection).server_obeys:
        raise LocalProtocolError(
            f"{needs} needs a server that can be told not to interrupt and not to answer by itself, and those of the {dialect} "
            "dialect cannot: use interruption='cut', or turn_detection=None with a detector of your own"
        )


def _settled(
    options: SessionOptions,
    context: str,
    interruption: str,
    barge_in: BargeIn,
    *,
    whole: bool,
    filled: Collection[tuple[str, ...]] = (),
) -> SessionOptions:
    """The options with what the program's policies imply for turn detection.

    ``whole``: where nothing is said about turn detection, the server's default would count, so it is said. An update that does
    not touch turn detection leaves it alone. ``filled`` is what the program did not say itself.
    """
    audio = options.audio or AudioOptions()
    side = audio.input or AudioInput()
    said = "turn_detection" in side.model_fields_set
    decides = _decides(interruption, barge_in)
    implied = context == "exact" or interruption == "ignore" or decides
    if not implied or (said and side.turn_detection is None) or not (said or whole):
        return options
    detection = side.turn_detection or ServerVad()
    chosen = detection.model_fields_set
    named = {name for name in chosen if ("audio", "input", "turn_detection", name) not in filled}
    changes: dict[str, bool] = {}
    if interruption == "ignore" and "interrupt_response" not in chosen:
        changes["interrupt_response"] = False
        if "create_response" not in chosen:
            changes["create_response"] = False
    for name in ("interrupt_response", "create_response") if decides else ():
        if name in named and getattr(detection, name):
            raise LocalProtocolError(
                f"audio.input.turn_detection.{name}: True contradicts {decides}, where the core decides what an interruption is "
                "and which turn is answered; leave it out"
            )
        changes[name] = False
    if context == "exact":
        if "create_response" in named and detection.create_response:
            raise LocalProtocolError(
                "audio.input.turn_detection.create_response: True contradicts context='exact', where the core creates after its "
                "edits; leave it out, or use context='auto'"
            )
        changes["create_response"] = False
    side = side.model_copy(update={"turn_detection": detection.model_copy(update=changes)})
    return options.model_copy(update={"audio": audio.model_copy(update={"input": side})})


# -- options given later -----------------------------------------------------------------------------------------------------

_TAGS = frozenset(
    {"server_vad", "semantic_vad", "azure_semantic_vad", "function", "other", "mcp", "audio/pcm", "audio/pcmu", "audio/pcma"}
)


def _local(fault: ValidationError, root: str) -> LocalProtocolError:
    """All of pydantic's findings as one mistake of the caller: name, value, what is allowed."""
    found: list[str] = []
    for line in fault.errors(include_url=False, include_context=False):
        path = ".".join(str(step) for step in _path(line))
        shown = (
            "" if line["input"] == _HIDDEN or isinstance(line["input"], Mapping | BaseModel) else f" = {shortened(line['input'])}"
        )
        found.append(f"{root}.{path}{shown}: {line['msg']}" if path else f"{root}{shown}: {line['msg']}")
    return LocalProtocolError("; ".join(dict.fromkeys(found)))


def _path(line: ErrorDetails) -> list[int | str]:
    """Where it is. pydantic puts the branch of a union into the location; it is no name that the caller wrote."""
    return [step for step in line["loc"] if step not in _TAGS and not _is_branch(step)]


def _is_branch(step: int | str) -> bool:
    return isinstance(step, str) and ("[" in step or step in _BRANCHES)


_BRANCHES = frozenset({"McpFilter", "McpApproval", "str", "VoiceId", "int", "constrained-int", "Tracing", "RetentionRatio"})


def parse_options(
    changes: Mapping[str, object],
    *,
    acknowledged: Mapping[str, Any] | None = None,
    table: Dialect | None = None,
    context: Literal["auto", "exact"] = "auto",
    interruption: Literal["cut", "ignore", "pause", "half_duplex"] = "cut",
    barge_in: BargeIn | None = None,
) -> SessionOptions:
    """Partial session options given at run time, checked. GA names, nested.

    ``acknowledged`` is the session as the server has it, in GA shape: a part of an object that it takes whole, such as a turn
    detection, is completed from it with what ``table`` has words for (F122), as it is; its ``vendor`` holds the vendor's own
    options that were asked for. ``context``, ``interruption`` and ``barge_in`` are
    those of the ``Config``. Raises ``LocalProtocolError`` naming the option, its value and what is allowed.
    """
    opened = {name: _opened(value) if name in _OPENED else value for name, value in changes.items()}
    whole, filled = completed(opened, acknowledged or {}, _OBJECTS, table)
    options = _read_filled(whole, filled)
    return _settled(options, context, interruption, barge_in or BargeIn(), whole=False, filled=filled)


def _opened(value: object) -> object:
    """Objects of options as what was set of them, so that the rest of one is filled in like that of a mapping."""
    if isinstance(value, Mapping):
        return {name: _opened(inner) for name, inner in value.items()}
    if not isinstance(value, _Options):
        return value
    said = value.model_fields_set | ({"type"} & type(value).model_fields.keys())
    return {name: _opened(getattr(value, name)) for name in type(value).model_fields if name in said}


def _read_filled(whole: dict[str, object], filled: Collection[tuple[str, ...]]) -> SessionOptions:
    """The options; what was filled in stays as the server acknowledged it, also where a program could not say it so."""
    rest, apart = set(filled), dict[tuple[str, ...], object]()
    options: SessionOptions | None = None
    while options is None:
        try:
            options = SessionOptions.model_validate(whole)
        except ValidationError as fault:
            places = [tuple(_path(line)) for line in fault.errors(include_url=False, include_context=False, include_input=False)]
            odd = {each for each in rest for place in places if place[: len(each)] == each}
            if not odd:
                raise _local(fault, "session") from None
        else:
            break
        for path in odd:
            value = at(whole, *path)
            if isinstance(value, float) and value.is_integer():
                whole = _replaced(whole, path, {path[-1]: int(value)})
            else:
                rest.discard(path)
                apart[path] = value
                whole = _replaced(whole, path, {})
    for path, value in apart.items():
        options = _copied(options, path, value)
    return options


_Copy = TypeVar("_Copy", bound=BaseModel)


def _replaced(tree: dict[str, Any], path: tuple[str, ...], last: dict[str, object]) -> dict[str, Any]:
    """The tree with this, or nothing, instead of what stands at the path."""
    if len(path) > 1:
        return {**tree, path[0]: _replaced(tree[path[0]], path[1:], last)}
    return {name: value for name, value in tree.items() if name != path[0]} | last


def _copied(options: _Copy, path: tuple[str, ...], value: object) -> _Copy:
    """The options with the value at the path, unchecked."""
    inner = value if len(path) == 1 else _copied(getattr(options, path[0]), path[1:], value)
    return options.model_copy(update={path[0]: inner})


_OBJECTS: Mapping[str, Fields] = {
    "audio.input.format": {"audio/pcm": tuple(Pcm.model_fields)},
    "audio.output.format": {"audio/pcm": tuple(Pcm.model_fields)},
    "audio.input.turn_detection": {
        "server_vad": tuple(ServerVad.model_fields),
        "semantic_vad": tuple(SemanticVad.model_fields),
        "azure_semantic_vad": tuple(AzureSemanticVad.model_fields),
    },
    "audio.input.transcription": {"": tuple(Transcription.model_fields)},
    "audio.input.noise_reduction": {"": tuple(NoiseReduction.model_fields)},
    "tracing": {"": tuple(Tracing.model_fields)},
    "prompt": {"": tuple(Prompt.model_fields)},
    "truncation": {"retention_ratio": tuple(RetentionRatio.model_fields)},
}
"""What is completed where a part of it is changed."""
_OPENED = frozenset(path.partition(".")[0] for path in _OBJECTS)


def parse_response(options: Mapping[str, object]) -> dict[str, Any]:
    """Options of one ``response.create``, checked, as its ``response`` object in GA shape.

    Raises ``LocalProtocolError`` naming the option, its value and what is allowed.
    """
    try:
        return ResponseOptions.model_validate(dict(options)).wire()
    except ValidationError as fault:
        raise _local(fault, "response") from None
