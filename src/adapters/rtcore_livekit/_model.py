"""``livekit.agents.llm.RealtimeModel`` whose sessions are rtcore's."""

from typing import Any

from livekit.agents import llm

from rtcore import Config
from rtcore_livekit._session import RtcoreRealtimeSession


class RtcoreRealtimeModel(llm.RealtimeModel):
    """A realtime model for ``AgentSession(llm=RtcoreRealtimeModel(config))``.

    ``config`` is rtcore's: address and key, voice, turn detection, how interruptions are judged, reconnection. Instructions,
    tools and the conversation are the agent's. ``options`` are those of ``rtcore_adapters.asyncio.connect``, such as ``record``,
    ``policies`` or ``token``; sound and tools are livekit's. Raises ``ValueError`` for what livekit's playback cannot do.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        wrong = options.keys() & {"speaker", "microphone", "tools"}
        if wrong:
            raise ValueError(f"{', '.join(sorted(wrong))}: sound and tools belong to the AgentSession; leave it out")
        self._config = config or Config()
        if self._config.interruption == "pause":
            raise ValueError("interruption='pause': livekit's playback cannot be held by its model; use 'cut'")
        self._options = options
        audio = self._config.session.audio
        given = audio.input if audio is not None else None
        manual = given is not None and "turn_detection" in given.model_fields_set and given.turn_detection is None
        super().__init__(
            capabilities=llm.RealtimeCapabilities(
                message_truncation=True,
                turn_detection=not manual,
                user_transcription=given is not None and given.transcription is not None,
                auto_tool_reply_generation=False,
                audio_output=self._config.session.output_modalities != ("text",),
                manual_function_calls=True,
                can_disable_turn_detection=True,
                mutable_chat_context=True,
                mutable_instructions=True,
                mutable_tools=True,
                per_response_tool_choice=True,
            )
        )

    @property
    def model(self) -> str:
        """The model's name."""
        return self._config.connection.model

    @property
    def provider(self) -> str:
        """The dialect, as far as it is known."""
        return self._config.connection.dialect or "openai"

    def session(self, *, turn_detection_disabled: bool = False) -> RtcoreRealtimeSession:
        """A session, which connects at once. Without the server's turn detection livekit says when a turn is over."""
        config = self._config
        if turn_detection_disabled or not self._capabilities.turn_detection:
            given = config.session.wire()
            audio = given.get("audio", {})
            given["audio"] = {**audio, "input": {**audio.get("input", {}), "turn_detection": None}}
            parts = {name: getattr(config, name) for name in config.model_fields_set}
            config = Config.model_validate({**parts, "session": given, "answer_turns": False})
        return RtcoreRealtimeSession(self, config, self._options)

    async def aclose(self) -> None:
        """Nothing is held but by sessions."""
