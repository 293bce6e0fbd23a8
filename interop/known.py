"""What is known of the drift between what we say and what others read: each with its reason (docs/interop.md).

``test_models.py`` compares: a line that is missing here fails, and so does one that is no more.
"""

_CALLS = "of a call that our server answers as GA alone: the preview's calls are not among the facts"
_REMOTE = "remote tools are GA's: the preview's list of tools takes functions alone (tests/facts: beta_objects)"
NEVER = {
    ("server", "openai", "conversation.created"): "GA websockets do not send it (the facts' own note)",
    ("server", "openai", "conversation.item.created"): "GA says added and done in its place (the facts' own note)",
    ("server", "azure-preview", "output_audio_buffer.started"): _CALLS,
    ("server", "azure-preview", "output_audio_buffer.stopped"): _CALLS,
    ("server", "azure-preview", "output_audio_buffer.cleared"): _CALLS,
    ("client", "azure-preview", "output_audio_buffer.clear"): _CALLS,
    ("server", "azure-preview", "mcp_list_tools.in_progress"): _REMOTE,
    ("server", "azure-preview", "mcp_list_tools.completed"): _REMOTE,
    ("server", "azure-preview", "mcp_list_tools.failed"): _REMOTE,
    ("server", "azure-preview", "response.mcp_call_arguments.delta"): _REMOTE,
    ("server", "azure-preview", "response.mcp_call_arguments.done"): _REMOTE,
    ("server", "azure-preview", "response.mcp_call.in_progress"): _REMOTE,
    ("server", "azure-preview", "response.mcp_call.completed"): _REMOTE,
    ("server", "azure-preview", "response.mcp_call.failed"): _REMOTE,
}
"""Events of the facts that our server, or our client, does not say in a dialect, and why."""

_RECORDED = "recorded in live sessions, and not in the package's types (protocol facts, wire_facts_not_in_sdk)"
_OLDER = "the package's types of the beta are older than what preview deployments send"
_NULL = "null switches it off on the wire (protocol facts 2.1), although the parameter type does not allow it"
_RAW = "the program's own raw event, of a type that nobody knows"
_CHOSEN = "the beta's type is a string, whose description says: or specify a function"
_UNION = "the beta's union has no such event; GA's model is asked in its place, and takes it"
_SESSION, _LISTENING = "session.RealtimeSessionCreateRequestParam", "session.RealtimeTranscriptionSessionCreateRequestParam"
_SPEAKERS, _KEY = "conversation.item.input_audio_transcription.segment", "input_audio_buffer.dtmf_event_received"
_VIDEO = "input_audio_buffer.append_video_frame"
_NO_OBJECT = "dict_type: Input should be an object"
KNOWN = {
    ("server", "openai", "session.id", "unknown field"): _RECORDED,
    ("server", "openai", "session.object", "unknown field"): _RECORDED,
    ("server", "openai", "session.expires_at", "unknown field"): _RECORDED,
    ("server", "openai", "item.phase", "unknown field"): _RECORDED,
    ("server", "openai", "response.output[].phase", "unknown field"): _RECORDED,
    ("server", "openai", "obfuscation", "unknown field"): _RECORDED,
    ("server", "openai", "content", "unknown field"): "recorded at Azure GA, which tells the part twice (protocol facts 13)",
    ("server", "openai", "item.status", "unknown field"): "items of remote tools; the package's types give them none",
    ("server", "azure-preview", "session.object", "unknown field"): _OLDER,
    ("server", "azure-preview", "session.expires_at", "unknown field"): _OLDER,
    ("server", "azure-preview", "session.client_secret", "unknown field"): _OLDER,
    ("server", "azure-preview", "obfuscation", "unknown field"): _OLDER,
    ("server", "azure-preview", "response.usage.input_token_details.image_tokens", "unknown field"): _OLDER,
    ("server", "azure-preview", "session.client_secret", "model_type: Input should be an object"): (
        "of transcription_session.updated: the key is told over REST alone (the type's own words); here it is null, as in "
        "session.created"
    ),
    ("server", "azure-preview", "session.tool_choice", "string_type: Input should be a valid string"): _CHOSEN,
    ("server", "azure-preview", "", f"no such event: {_SPEAKERS}"): _UNION,
    ("server", "azure-preview", "", f"no such event: {_KEY}"): _UNION,
    ("server", "azure-preview", "", "no such event: transcription_session.created"): (
        "in none of the package's types, and only in the public OpenAPI document (the facts' own note): sessions that an address "
        "opens begin by it"
    ),
    ("client", "azure-preview", "session.tool_choice", "string_type: Input should be a valid string"): _CHOSEN,
    ("client", "azure-preview", "session.turn_detection", _NO_OBJECT): _NULL,
    ("client", "azure-preview", "session.input_audio_transcription", _NO_OBJECT): _NULL,
    ("client", "azure-preview", "session.input_audio_noise_reduction", _NO_OBJECT): _NULL,
    ("client", "openai", f"{_SESSION}.audio.input.transcription", _NO_OBJECT): _NULL,
    ("client", "openai", f"{_SESSION}.audio.input.noise_reduction", _NO_OBJECT): _NULL,
    # Told beside the lines before, because the package tries both kinds of session.
    ("client", "openai", f"{_LISTENING}.audio.input.transcription", _NO_OBJECT): _NULL,
    ("client", "openai", f"{_LISTENING}.audio.input.noise_reduction", _NO_OBJECT): _NULL,
    ("client", "openai", f"{_LISTENING}.type", "literal_error: Input should be 'transcription'"): _NULL,
    (
        "client",
        "openai",
        "item.phase",
        "unknown field",
    ): "what is told of an item is kept where it is given back (protocol facts 11.2)",
    ("client", "openai", "", "no such event: session.close"): _RAW,
    ("client", "openai", "", f"no such event: {_VIDEO}"): _RAW,
    ("client", "azure-preview", "", "no such event: session.close"): _RAW,
}
"""The drift: side, dialect, place, what; and the reason."""

_NO_REMOTE = "Input should be 'message', 'function_call' or 'function_call_output'"
_UNNAMED = "tools.0.description: Invalid input: expected string, received undefined"
_NOT_LISTED = "type: Invalid discriminator value"
_NO_IMAGE = "type: Invalid input"
REFUSED = {
    "openai-agents": set[tuple[str, str]](),
    "pipecat-ai": {
        # It knows no remote tools: neither their items nor a response that has one.
        ("conversation.item.added", _NO_REMOTE),
        ("conversation.item.done", _NO_REMOTE),
        ("conversation.item.retrieved", _NO_REMOTE),
        ("response.output_item.added", _NO_REMOTE),
        ("response.output_item.done", _NO_REMOTE),
        ("response.done", _NO_REMOTE),
        # A session with options that it has not: a certain tool, transcription alone, languages and keywords.
        ("session.updated", "Input should be 'auto', 'none' or 'required'"),
        ("session.updated", "Input should be 'realtime'"),
        ("session.created", "Input should be 'realtime'"),
        ("session.updated", "InputAudioTranscription.__init__() got an unexpected keyword argument 'languages'"),
    },
    "agents-realtime, JavaScript": {
        # The API's reference shows the null in its example; the package's schema wants a string or nothing.
        ("conversation.item.input_audio_transcription.failed", "error.param: Invalid input: expected string, received null"),
        # Its schema has no images, wants a description of each remote tool and padding of its arguments.
        ("conversation.item.added", _NO_IMAGE),
        ("conversation.item.done", _NO_IMAGE),
        ("conversation.item.retrieved", _NO_IMAGE),
        ("conversation.item.added", _UNNAMED),
        ("conversation.item.done", _UNNAMED),
        ("conversation.item.retrieved", _UNNAMED),
        ("response.mcp_call_arguments.delta", "obfuscation: Invalid input: expected string, received undefined"),
        # It lacks four events of the protocol's list.
        ("input_audio_buffer.timeout_triggered", _NOT_LISTED),
        ("input_audio_buffer.dtmf_event_received", _NOT_LISTED),
        ("conversation.item.input_audio_transcription.segment", _NOT_LISTED),
        ("response.mcp_call.failed", _NOT_LISTED),
    },
}
"""What a parser refuses: the event, and words of its complaint."""

_NONE_RUNS, _OTHER_RUNS = "AssertionError('current_generation is None')", "KeyError('item_"
LIVEKIT = {
    # It holds one response at a time: what belongs to another, to one that was not announced or to one that is over finds none,
    # or not its item.
    *((f"response.{each}", _NONE_RUNS) for each in ("output_item.added", "content_part.added", "output_item.done")),
    *((f"response.{each}", _OTHER_RUNS) for each in ("content_part.added", "output_item.done")),
    *((f"response.{each}.delta", _NONE_RUNS) for each in ("audio", "audio_transcript", "text")),
    *((f"response.{each}.delta", _OTHER_RUNS) for each in ("audio", "audio_transcript", "text")),
    *((f"response.output_{each}.delta", _NONE_RUNS) for each in ("audio", "audio_transcript", "text")),
    *((f"response.output_{each}.delta", _OTHER_RUNS) for each in ("audio", "audio_transcript", "text")),
    *((f"response.{each}.done", _NONE_RUNS) for each in ("audio", "text", "output_audio", "output_text")),
    # A delta that ends in half a sample.
    ("response.audio.delta", "data length must be a multiple of sizeof(int16)"),
    ("response.output_audio.delta", "data length must be a multiple of sizeof(int16)"),
    # Items of remote tools are not put into its history: what follows them has no known place, and their end is that of nothing.
    # So it is with an item whose place was behind one deleted meanwhile, and one that is deleted twice.
    ("conversation.item.added", "unsupported item type: mcp_"),
    ("conversation.item.added", "placed a chat history item after an unknown item"),
    ("conversation.item.created", "placed a chat history item after an unknown item"),
    ("conversation.item.deleted", "failed to delete item"),
    # An event that comes twice (a fault of the simulated line).
    ("conversation.item.added", "already exists."),
    ("conversation.item.created", "already exists."),
}
"""What livekit-agents does not handle: the event, and words of what it logs."""
LOGGED = {
    ("error", "OpenAI Realtime API returned an error: RealtimeError("),
    ("conversation.item.input_audio_transcription.failed", "failed to transcribe input audio"),
    ("response.content_part.added", "Text response received from OpenAI Realtime API in audio modality."),
}
"""What it understands and writes down: that is no refusal."""
