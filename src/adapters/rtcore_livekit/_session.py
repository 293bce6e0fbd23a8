"""``livekit.agents.llm.RealtimeSession`` with an rtcore conversation behind it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Literal

from livekit import rtc
from livekit.agents import APIConnectionError, llm
from livekit.agents.types import NOT_GIVEN, NotGivenOr
from livekit.agents.utils import is_given

import rtcore
from rtcore import AudioFormat, Config, LocalProtocolError, Notice, PartView, Problem
from rtcore_adapters.asyncio import ConnectionFailed, Conversation, RequestFailed, connect
from rtcore_livekit._chat import Chat
from rtcore_livekit._items import ga_choice, ga_tools
from rtcore_livekit._metrics import metrics
from rtcore_livekit._player import Player
from rtcore_livekit._streams import Response

if TYPE_CHECKING:
    from rtcore_livekit._model import RtcoreRealtimeModel

_EDIT_S = 5.0
"""Longest wait for the server to carry out edits of the chat context, as livekit's own sessions have it."""
_EARLY = 500
"""Frames of the user's voice that are kept until the session is ready; older ones are dropped."""


class RtcoreRealtimeSession(llm.RealtimeSession[str]):
    """A conversation with a server, as livekit's agents use it. Made by ``RtcoreRealtimeModel.session``."""

    def __init__(self, model: "RtcoreRealtimeModel", config: Config, options: dict[str, Any]) -> None:
        super().__init__(model)
        self._config = config
        self._conversation: Conversation | None = None
        self._ready: asyncio.Future[Conversation] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())  # told as an error event
        self._early: list[rtc.AudioFrame] = []
        self._resampler: rtc.AudioResampler | None = None
        self._responses: dict[str, Response] = {}
        self._asked: dict[int, asyncio.Future[llm.GenerationCreatedEvent]] = {}
        self._chat = Chat()
        self._said: dict[str, str] = {}  # words of the user's, so far
        self._tools = llm.ToolContext.empty()
        self._instructions = ""
        self._closing = False
        self._work: set[asyncio.Task[None]] = set()
        self._editing = asyncio.Lock()
        self._player = Player(self._sound, self._sounded, self._silenced, asyncio.get_running_loop().time)
        self._task = asyncio.create_task(self._run(options), name="rtcore_livekit.session")

    # -- the conversation ---------------------------------------------------------------------------------------------------

    async def _run(self, options: dict[str, Any]) -> None:
        """Hold the conversation, until it is over."""
        try:
            async with AsyncExitStack() as stack:
                conversation = await stack.enter_async_context(connect(self._config, speaker=self._player, **options))
                for side, given in (("input", conversation.session.input_format), ("output", conversation.session.output_format)):
                    if given.type != "audio/pcm":
                        raise ValueError(
                            f"session.audio.{side}.format: {given.type!r}: livekit has audio/pcm alone; leave it out"
                        )
                self._player.where = conversation.session.part_at
                self._conversation = conversation
                self._ready.set_result(conversation)
                early, self._early = self._early, []
                for frame in early:
                    self._append(conversation, frame)
                async for notice in conversation:
                    self._tell(notice)
        except Exception as failed:
            if not self._ready.done():
                self._ready.set_exception(llm.RealtimeError(str(failed)))
            told = APIConnectionError(str(failed)) if isinstance(failed, ConnectionFailed) else failed
            self._error(told, recoverable=False)
        finally:
            self._conversation = None
            if not self._ready.done():
                self._ready.set_exception(llm.RealtimeError("the session is closed"))
            for response in self._responses.values():
                response.end()
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_exception(llm.RealtimeError("the session is closed"))

    async def aclose(self) -> None:
        """End the session, in order. When this is back, nothing of it is left."""
        self._closing = True
        for each in (self._task, *self._work):
            each.cancel()
        await asyncio.gather(self._task, *self._work, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _later(self, command: Callable[[Conversation], object]) -> None:
        """Now, or once the session is ready."""
        if self._conversation is not None:
            self._try(command, self._conversation)
        elif not self._ready.done():
            self._spawn(self._when_ready(command))

    async def _when_ready(self, command: Callable[[Conversation], object]) -> None:
        with suppress(llm.RealtimeError):  # told as an error event
            self._try(command, await self._ready)

    def _try(self, command: Callable[[Conversation], object], conversation: Conversation) -> None:
        try:
            command(conversation)
        except LocalProtocolError as mistake:
            self._error(llm.RealtimeError(str(mistake), code="local_protocol_error"), recoverable=True)

    def _error(self, error: Exception, *, recoverable: bool) -> None:
        if not self._closing:
            label = self._realtime_model.label
            self.emit("error", llm.RealtimeModelError(timestamp=time.time(), label=label, error=error, recoverable=recoverable))

    # -- sound --------------------------------------------------------------------------------------------------------------

    def _response(self, response_id: str) -> Response:
        if (found := self._responses.get(response_id)) is None:
            found = self._responses[response_id] = Response(response_id, self._player.taken)
        return found

    def _sound(self, generation: int, part: PartView, pcm: bytes | memoryview, format: AudioFormat) -> None:
        frame = rtc.AudioFrame(bytes(pcm), format.rate, 1, len(pcm) // format.sample_width)
        self._response(part.response_id).message(part.item_id).sound(generation, frame)

    def _sounded(self, part: PartView) -> None:
        self._response(part.response_id).message(part.item_id).sounded()

    def _silenced(self, generation: int) -> None:
        for response in self._responses.values():
            for message in response.messages.values():
                message.silence(generation)
        if self._config.interruption != "cut":
            asyncio.get_running_loop().call_soon(self._interrupted)

    def _interrupted(self) -> None:
        """livekit knows one way to be silenced."""
        self.emit("input_speech_started", llm.InputSpeechStartedEvent())

    # -- what livekit is told -----------------------------------------------------------------------------------------------

    def _tell(self, notice: Notice) -> None:
        match notice:
            case rtcore.ResponseStarted(response_id, request, out_of_band):
                if not out_of_band:
                    self._created(response_id, request)
            case rtcore.ResponseEnded(response_id):
                self._done(notice)
            case rtcore.TextDelta(response_id, item_id, delta=delta):
                if (response := self._responses.get(response_id)) is not None and response.generating:
                    audible = self._config.session.output_modalities != ("text",)
                    response.message(item_id).say(delta, audible=audible)
            case rtcore.ToolCalled(call_id, name, arguments, response_id, item_id):
                if (response := self._responses.get(response_id)) is not None:
                    response.call(llm.FunctionCall(id=item_id, call_id=call_id, name=name, arguments=arguments))
            case rtcore.MessageEnded(response_id, item_id):
                if (response := self._responses.get(response_id)) is not None and item_id in response.messages:
                    response.messages[item_id].end()
                self._forget()
            case rtcore.UserSpeechStarted():
                if self._config.interruption == "cut":
                    self._interrupted()
            case rtcore.UserSpeechStopped():
                transcribed = self._realtime_model.capabilities.user_transcription
                self.emit("input_speech_stopped", llm.InputSpeechStoppedEvent(user_transcription_enabled=transcribed))
            case rtcore.UserTranscriptDelta(item_id, delta=delta):
                self._said[item_id] = self._said.get(item_id, "") + delta
                self._heard(item_id, self._said[item_id], final=False)
            case rtcore.UserTranscript(item_id, text=text, confidence=confidence):
                self._said.pop(item_id, None)
                self._heard(item_id, text, final=True, confidence=confidence)
            case rtcore.ItemAdded(item_id, previous_item_id=previous):
                if (item := self.chat_ctx.get_by_id(item_id)) is not None:
                    self.emit("remote_item_added", llm.RemoteItemAddedEvent(previous_item_id=previous, item=item))
            case rtcore.ItemDeleted(item_id):
                self._chat.deleted(item_id)
            case rtcore.Reconnected():
                self.emit("session_reconnected", llm.RealtimeSessionReconnectedEvent())
            case rtcore.ServerError(problem):
                self._error(_realtime_error(problem), recoverable=True)
            case rtcore.RequestEnded(request, outcome, problem):
                asked = self._asked.pop(request, None)
                if asked is not None and not asked.done():
                    asked.set_exception(_realtime_error(problem) if problem else llm.RealtimeError(f"no response: {outcome}"))
            case rtcore.SessionClosed(_, problem):
                if problem is not None:
                    self._error(APIConnectionError(problem.message), recoverable=False)
            case _:
                pass
        self.emit("rtcore_notice", notice)

    def _created(self, response_id: str, request: int | None) -> None:
        response = self._response(response_id)
        asked = self._asked.pop(request, None) if request is not None else None
        event = response.created(asked=asked is not None)
        if asked is None:
            self.emit("generation_created", event)
        elif asked.cancelled():
            self._silence(response_id)
        elif not asked.done():
            asked.set_result(event)
            self.emit("generation_created", event)

    def _done(self, ended: rtcore.ResponseEnded) -> None:
        response = self._responses.get(ended.response_id)
        if response is None:
            return
        if self._conversation is not None:
            for segment in self._conversation.session.segments:
                if segment.response_id == ended.response_id:
                    response.message(segment.item_id)  # its sound is still to come
        response.done()
        self.emit("metrics_collected", metrics(ended, self._realtime_model.label))
        self._forget()

    def _forget(self) -> None:
        """Responses that nothing more comes of."""
        for response in [each for each in self._responses.values() if not each.generating]:
            if not any(self._player.holds(item_id) for item_id in response.messages):
                del self._responses[response.response_id]

    def _heard(self, item_id: str, text: str, *, final: bool, confidence: float | None = None) -> None:
        told = llm.InputTranscriptionCompleted(item_id=item_id, transcript=text, is_final=final, confidence=confidence)
        self.emit("input_audio_transcription_completed", told)

    # -- what livekit asks --------------------------------------------------------------------------------------------------

    @property
    def conversation(self) -> Conversation | None:
        """The conversation while it is connected: its history, usage and counters."""
        return self._conversation

    @property
    def chat_ctx(self) -> llm.ChatContext:
        """The conversation as the server has it; spoken messages have the words that were heard."""
        return self._chat.context(self._conversation.history if self._conversation is not None else ())

    @property
    def tools(self) -> llm.ToolContext:
        """The tools that the model was told of."""
        return self._tools.copy()

    async def update_instructions(self, instructions: str) -> None:
        """What the agent is told to be."""
        self._instructions = instructions
        self._update(await self._ready, {"instructions": instructions})

    async def update_tools(self, tools: list[llm.Tool]) -> None:
        """What the model may call."""
        self._update(await self._ready, {"tools": ga_tools(tools)})
        known = [tool for tool in tools if isinstance(tool, llm.FunctionTool | llm.RawFunctionTool)]
        self._tools = llm.ToolContext(known)

    def _update(self, conversation: Conversation, changes: dict[str, object]) -> None:
        try:
            conversation.update(changes)
        except LocalProtocolError as mistake:
            raise llm.RealtimeError(str(mistake), code="local_protocol_error") from mistake

    def update_options(self, *, tool_choice: NotGivenOr[llm.ToolChoice | None] = NOT_GIVEN) -> None:
        """Whether the model calls a tool, and which."""
        if is_given(tool_choice):
            choice = ga_choice(tool_choice)
            self._later(lambda conversation: conversation.update({"tool_choice": choice}))

    async def update_chat_ctx(self, chat_ctx: llm.ChatContext) -> None:
        """Make the conversation this one. Outputs of calls answer them; what was said stays in the words that were heard."""
        conversation = await self._ready
        async with self._editing:
            try:
                async with asyncio.timeout(_EDIT_S):
                    for request in self._chat.edit(conversation, chat_ctx):
                        await request
            except (LocalProtocolError, RequestFailed) as refused:
                raise llm.RealtimeError(str(refused)) from refused
            except TimeoutError:
                raise llm.RealtimeError("update_chat_ctx timed out.") from None

    def push_audio(self, frame: rtc.AudioFrame) -> None:
        """The user's voice."""
        if self._conversation is not None:
            self._append(self._conversation, frame)
        elif not self._ready.done():
            self._early = [*self._early[1 - _EARLY :], frame]

    def _append(self, conversation: Conversation, frame: rtc.AudioFrame) -> None:
        rate = conversation.session.input_format.rate
        frames = [frame]
        if (frame.sample_rate, frame.num_channels) != (rate, 1):
            if self._resampler is None or self._resampler._input_rate != frame.sample_rate:
                self._resampler = rtc.AudioResampler(frame.sample_rate, rate, num_channels=1)
            frames = self._resampler.push(frame)
        for each in frames:
            conversation.append_audio(bytes(each.data))

    def push_video(self, frame: rtc.VideoFrame) -> None:
        """Not passed on: put images into a user's message of the chat context, and give that to ``update_chat_ctx``."""

    def generate_reply(
        self,
        *,
        instructions: NotGivenOr[str] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        tools: NotGivenOr[list[llm.Tool]] = NOT_GIVEN,
    ) -> asyncio.Future[llm.GenerationCreatedEvent]:
        """Ask for a response; the future has it once the server has begun it."""
        options: dict[str, object] = {}
        if is_given(instructions) and instructions:
            options["instructions"] = f"{self._instructions}\n{instructions}" if self._instructions else instructions
        if is_given(tool_choice):
            options["tool_choice"] = ga_choice(tool_choice)
        if is_given(tools):
            options["tools"] = ga_tools(tools)
        asked: asyncio.Future[llm.GenerationCreatedEvent] = asyncio.get_running_loop().create_future()

        def ask(conversation: Conversation) -> None:
            if not asked.done():
                self._asked[conversation.respond(options or None).number] = asked

        self._later(ask)
        return asked

    def commit_audio(self) -> None:
        """The user's turn is over."""
        self._later(lambda conversation: conversation.commit())

    def clear_audio(self) -> None:
        """Forget what the user said and was not committed."""
        self._later(lambda conversation: conversation.clear())

    def interrupt(self) -> None:
        """Cancel what is being generated; nothing, where nothing is."""
        for response in [each for each in self._responses.values() if each.generating]:
            self._silence(response.response_id)

    def _silence(self, response_id: str) -> None:
        self._later(lambda conversation: conversation.interrupt(response_id))

    def truncate(
        self,
        *,
        message_id: str,
        modalities: list[Literal["text", "audio"]],
        audio_end_ms: int,
        audio_transcript: NotGivenOr[str] = NOT_GIVEN,
    ) -> None:
        """Where livekit's playback of a message has stopped: what the server is told of it, and of those behind it."""
        if self._conversation is None or "audio" not in modalities:
            return
        if self._player.holds(message_id):
            self._conversation.interrupt()
        self._player.stopped(message_id, audio_end_ms)


def _realtime_error(problem: Problem) -> llm.RealtimeError:
    return llm.RealtimeError(problem.message, code=problem.code)
