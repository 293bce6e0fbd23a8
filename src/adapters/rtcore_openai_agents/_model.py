"""``agents.realtime.RealtimeModel`` with an rtcore conversation behind it."""

import asyncio
import os
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from agents.realtime import RealtimeModel
from agents.realtime import model_inputs as asked
from agents.realtime.model import RealtimeModelConfig, RealtimeModelListener
from agents.realtime.model_events import RealtimeModelEvent, RealtimeModelExceptionEvent, RealtimeModelItemUpdatedEvent

from rtcore import Config, LocalProtocolError, Problem
from rtcore_adapters.asyncio import Conversation, connect
from rtcore_openai_agents._events import Teller, error, tool_item
from rtcore_openai_agents._player import SoundEvent, player
from rtcore_openai_agents._settings import configured, session_options

_MISTAKE = "Correct what was sent as the message says; the session goes on."


class RtcoreRealtimeModel(RealtimeModel):
    """A realtime model for ``RealtimeRunner(agent, model=RtcoreRealtimeModel())``.

    ``config`` is what the SDK has no words for: how interruptions are judged, exact context, reconnection, time-outs. What the
    SDK's session asks for (instructions, tools, formats, voice, address, key) is put into it. ``options`` are those of
    ``rtcore_adapters.asyncio.connect``, such as ``record``, ``policies``, ``ssl`` or ``proxy``; sound and tools are the SDK's.

    Notices that the SDK has no event for, such as ``HeardText`` and ``TurnReport``, come as ``raw_model_event`` of type
    ``other``, with the notice as ``data``.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        wrong = options.keys() & {"speaker", "microphone", "tools"}
        if wrong:
            raise ValueError(f"{', '.join(sorted(wrong))}: sound and tools belong to the program's RealtimeSession; leave it out")
        self._config = config or Config()
        self._options = options
        self._listeners: list[RealtimeModelListener] = []
        self._conversation: Conversation | None = None
        self._stack: AsyncExitStack | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._teller = Teller(audible=True)
        self._sound: deque[tuple[int, SoundEvent]] = deque()
        self._sounds = asyncio.Event()

    @property
    def conversation(self) -> Conversation | None:
        """The conversation while it is connected: its history, usage and counters."""
        return self._conversation

    async def connect(self, options: RealtimeModelConfig) -> None:
        """Open the session, and come back when the server has acknowledged it. Raises ``ConnectionFailed`` where it does not."""
        if self._stack is not None:
            raise AssertionError("Already connected")
        config = await configured(self._config, options)
        connecting = dict(self._options)
        if options.get("headers") is not None:
            pass  # the SDK sends those alone: they are a login of their own, and its key may be another vendor's
        elif callable(key := options.get("api_key")):
            connecting["token"] = key
        elif key is None and config.connection.api_key is None and (found := os.environ.get("OPENAI_API_KEY")):
            config = config.model_copy(update={"connection": config.connection.model_copy(update={"api_key": found})})
        self._sound.clear()
        tracker = options.get("playback_tracker")
        speaker = player(tracker, self._heard_of)
        async with AsyncExitStack() as stack:
            conversation = await stack.enter_async_context(connect(config, speaker=speaker, **connecting))
            speaker.where = conversation.session.part_at
            if tracker is not None:
                tracker.set_audio_format({"type": conversation.session.output_format.type})
            self._teller = Teller(audible=config.session.output_modalities != ("text",))
            self._conversation, self._stack = conversation, stack.pop_all()
            self._tasks = [asyncio.create_task(self._news(conversation)), asyncio.create_task(self._audio())]

    async def close(self) -> None:
        """End the session, in order. When this is back, nothing of it is left."""
        stack, self._stack = self._stack, None
        self._conversation = None
        tasks, self._tasks = [task for task in self._tasks if task is not asyncio.current_task()], []
        try:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._sound.clear()
            if stack is not None:
                await stack.aclose()

    # -- what the SDK is told -----------------------------------------------------------------------------------------------

    def add_listener(self, listener: RealtimeModelListener) -> None:
        """Tell it every event from now on."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def remove_listener(self, listener: RealtimeModelListener) -> None:
        """Tell it no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def _emit(self, event: RealtimeModelEvent) -> None:
        for listener in list(self._listeners):
            try:
                await listener.on_event(event)
            except Exception as failed:
                if isinstance(event, RealtimeModelExceptionEvent):
                    raise
                await self._emit(RealtimeModelExceptionEvent(exception=failed, context="Error in a listener"))

    async def _news(self, conversation: Conversation) -> None:
        """Notices, to the last."""
        async for notice in conversation:
            for event in self._teller.events(notice):
                await self._emit(event)

    def _heard_of(self, generation: int, event: SoundEvent) -> None:
        """From the player. What is silenced before it was told is not told."""
        if event.type == "audio_interrupted":
            self._sound = deque(each for each in self._sound if each[0] > generation)
        self._sound.append((generation, event))
        self._sounds.set()

    async def _audio(self) -> None:
        """Audio has a task of its own, so that a listener that waits for a tool holds up no sound."""
        while True:
            await self._sounds.wait()
            await asyncio.sleep(0)  # the news of the same moment come first
            self._sounds.clear()
            while self._sound:
                await self._emit(self._sound.popleft()[1])

    # -- what the SDK asks --------------------------------------------------------------------------------------------------

    async def send_event(self, event: asked.RealtimeModelSendEvent) -> None:
        """Do what is asked. A mistake in it is told as an error event, as the server's refusals are."""
        options: dict[str, Any] = {}
        if isinstance(event, asked.RealtimeModelSendSessionUpdate):
            options = await session_options(event.session_settings)
        await self._settle(self._send(event, options))

    async def send_event_if(self, event: asked.RealtimeModelSendEvent, send_if: Callable[[], bool]) -> bool:
        """The same, unless ``send_if`` says no: nothing comes between the question and the sending."""
        options: dict[str, Any] = {}
        if isinstance(event, asked.RealtimeModelSendSessionUpdate):
            options = await session_options(event.session_settings)
        if not send_if():
            return False
        await self._settle(self._send(event, options))
        return True

    async def _settle(self, told: RealtimeModelEvent | None) -> None:
        if told is not None:
            await self._emit(told)

    def _send(self, event: asked.RealtimeModelSendEvent, options: Mapping[str, Any]) -> RealtimeModelEvent | None:
        """Give it to the conversation; gives what the SDK is told at once."""
        conversation = self._conversation
        assert conversation is not None, "Not connected"
        try:
            return _carry_out(conversation, event, options)
        except LocalProtocolError as mistake:
            return error(Problem("local_protocol_error", str(mistake), False, _MISTAKE, type="invalid_request_error"))


def _carry_out(
    conversation: Conversation, event: asked.RealtimeModelSendEvent, options: Mapping[str, Any]
) -> RealtimeModelEvent | None:
    match event:
        case asked.RealtimeModelSendAudio(audio, commit):
            conversation.append_audio(audio)
            if commit:
                conversation.commit()
        case asked.RealtimeModelSendUserInput(user_input):
            if isinstance(user_input, str):
                conversation.send_text(user_input, interrupt=False)
            else:
                conversation.create_item(user_input)
                conversation.respond()
        case asked.RealtimeModelSendToolOutput(call, output, start_response):
            conversation.tool_result(call.call_id, output, respond=start_response)
            return RealtimeModelItemUpdatedEvent(item=tool_item(call.id or "", call.call_id, call.name, call.arguments, output))
        case asked.RealtimeModelSendInterrupt(response_id=response_id):
            conversation.interrupt(response_id)
        case asked.RealtimeModelSendSessionUpdate():
            conversation.update(options)
        case asked.RealtimeModelSendRawMessage(message):
            _raw(conversation, message["type"], message.get("other_data", {}))
        case _:
            raise LocalProtocolError(f"{type(event).__name__}: this version of rtcore's model knows nothing like it")
    return None


def _raw(conversation: Conversation, kind: str, data: Mapping[str, Any]) -> None:
    """A client event by the command that sends it, so that rtcore counts on its answer; any other as it is."""
    match kind:
        case "response.create":
            conversation.respond(data.get("response"))
        case "response.cancel":
            conversation.interrupt(data.get("response_id"))
        case "session.update":
            conversation.update({name: value for name, value in data.get("session", {}).items() if name not in ("type", "model")})
        case "input_audio_buffer.append":
            conversation.append_audio(b64decode(data.get("audio", "")))
        case "input_audio_buffer.commit":
            conversation.commit()
        case "input_audio_buffer.clear":
            conversation.clear()
        case "output_audio_buffer.clear":
            conversation.interrupt()
        case "conversation.item.create":
            conversation.create_item(data.get("item", {}), previous_item_id=data.get("previous_item_id"))
        case "conversation.item.delete":
            conversation.delete_item(data.get("item_id", ""))
        case "conversation.item.retrieve":
            conversation.retrieve_item(data.get("item_id", ""))
        case _:
            conversation.send_raw({"type": kind, **data})
