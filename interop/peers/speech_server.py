"""``speech-to-speech``'s realtime server, whose pipeline is a toy: it hears loudness, and says tones.

Everything of the protocol is the package's own: ``RealtimeServer``, ``RealtimeService``, the transcription notifier and the
output processor. The three models are stand-ins, so that no weights are needed: an ear (speech is what is loud), a mind (what it
says depends on the last words: "weather" calls the function, "story" is long) and a voice (a tone, four times as fast as sound).
"""

import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from queue import Queue
from threading import Event
from typing import Any

import numpy as np
import uvicorn
from openai.types.realtime import RealtimeConversationItemAssistantMessage, RealtimeConversationItemFunctionCall
from openai.types.responses.response_function_tool_call import ResponseFunctionToolCall
from speech_to_speech.api.openai_realtime.pipeline_unit import PipelineUnit
from speech_to_speech.api.openai_realtime.service import RealtimeService
from speech_to_speech.api.openai_realtime.websocket_router import create_app
from speech_to_speech.baseHandler import BaseHandler
from speech_to_speech.LLM.lm_output_processor import LMOutputProcessor
from speech_to_speech.pipeline.cancel_scope import CancelScope
from speech_to_speech.pipeline.events import SpeechStartedEvent, SpeechStoppedEvent
from speech_to_speech.pipeline.history import ResponseHistory
from speech_to_speech.pipeline.messages import (
    AUDIO_RESPONSE_DONE,
    EndOfResponse,
    GenerateResponseRequest,
    LLMResponseChunk,
    TokenUsage,
    Transcription,
    TTSInput,
)
from speech_to_speech.STT.transcription_notifier import TranscriptionNotifier
from stage import tell

RATE = 16_000
CHUNK = 512
STORY = "Once upon a time there was a story so long that nobody ever heard the end of it. " * 2


class Ear(BaseHandler[Any, Any]):
    """Speech is what is loud; a turn ends when it has been quiet for 300 ms."""

    def setup(self, events: Queue[Any]) -> None:
        self.events = events
        self.on_session_end()

    def on_session_end(self) -> None:
        self.turns = 0
        self.samples = self.quiet = self.began = 0
        self.speaking = False

    def process(self, given: tuple[bytes, Any]) -> Iterator[Any]:
        pcm = np.frombuffer(given[0], np.int16)
        self.samples += len(pcm)
        now = self.samples * 1000 // RATE
        if np.abs(pcm.astype(int)).max(initial=0) > 2000:
            self.quiet = 0
            if not self.speaking:
                self.speaking, self.began = True, now
                self.turns += 1
                self.events.put(SpeechStartedEvent(audio_start_ms=now, turn_id=f"turn_{self.turns}", turn_revision=0))
            return
        self.quiet += len(pcm)
        if self.speaking and self.quiet > RATE * 3 // 10:
            self.speaking = False
            turn: dict[str, Any] = {"turn_id": f"turn_{self.turns}", "turn_revision": 0}
            self.events.put(SpeechStoppedEvent(duration_s=(now - self.began) / 1000, audio_end_ms=now, **turn))
            yield Transcription(text="Tell me something.", language_code="en", **turn)


class Mind(BaseHandler[Any, Any]):
    """What it says depends on the last words."""

    def setup(self, scope: CancelScope) -> None:
        self.cancel_scope = scope
        self.calls = 0

    def process(self, request: GenerateResponseRequest) -> Iterator[Any]:
        chat = request.runtime_config.chat
        last = chat.buffer[-1].model_dump_json()
        about: dict[str, Any] = {
            "turn_id": request.turn_id,
            "turn_revision": request.turn_revision,
            "cancel_generation": self.cancel_scope.generation,
            "response_key": request.response_key,
        }
        text, tools, item = "", [], None
        if "weather" in last and "function_call_output" not in last:
            self.calls += 1
            called = {
                "type": "function_call",
                "call_id": f"call_{self.calls}",
                "name": "weather",
                "arguments": '{"place":"Rome"}',
            }
            tools = [ResponseFunctionToolCall.model_validate(called)]
            item = RealtimeConversationItemFunctionCall.model_validate(called)
        else:
            text = "It is so." if "function_call_output" in last else STORY if "story" in last else "I am a toy."
            content = [{"type": "output_text", "text": text}]
            message = {"type": "message", "role": "assistant", "content": content}
            item = RealtimeConversationItemAssistantMessage.model_validate(message)
        history = partial(ResponseHistory.capture, chat, [item], after_item_id=chat.history_anchor_id())
        whose = {"runtime_config": request.runtime_config, "response": request.response}
        yield LLMResponseChunk(history=history(), text=text, language_code="en", tools=tools, **whose, **about)
        yield TokenUsage(input_tokens=10, output_tokens=5, **about)
        yield EndOfResponse(history=history(complete=True), **about)


class Voice(BaseHandler[Any, Any]):
    """50 ms of a tone for every letter, at four times the speed of sound."""

    def setup(self, scope: CancelScope) -> None:
        self.cancel_scope = scope

    def process(self, given: TTSInput | EndOfResponse) -> Iterator[Any]:
        if isinstance(given, EndOfResponse):
            yield AUDIO_RESPONSE_DONE
            return
        samples = len(given.text) * RATE // 20
        tone = (8000 * np.sin(np.arange(samples) * 2 * np.pi * 330 / RATE)).astype(np.int16)
        for at in range(0, samples, CHUNK):
            if given.cancel_generation is not None and self.cancel_scope.is_stale(given.cancel_generation):
                return
            yield np.pad(tone[at : at + CHUNK], (0, max(0, at + CHUNK - samples)))
            time.sleep(CHUNK / RATE / 4)


def unit(stop: Event) -> PipelineUnit:
    """One pipeline, as the package builds it (``s2s_pipeline._build_pipeline_unit``), with the toys in it."""
    heard, written, asked, thought, processed, events, sound = (Queue[Any]() for _ in range(7))
    listening, scope = Event(), CancelScope()
    service = RealtimeService(text_prompt_queue=asked, should_listen=listening)
    notified = {"text_output_queue": events, "should_listen": listening}
    handlers = [
        Ear(stop, heard, written, setup_kwargs={"events": events}),
        TranscriptionNotifier(stop, written, asked, setup_kwargs=notified),
        Mind(stop, asked, thought, setup_kwargs={"scope": scope}),
        LMOutputProcessor(stop, thought, processed, setup_kwargs={"text_output_queue": events}),
        Voice(stop, processed, sound, setup_kwargs={"scope": scope}),
    ]
    for handler in handlers:
        threading.Thread(target=handler.run, daemon=True).start()
    return PipelineUnit(
        index=0,
        service=service,
        cancel_scope=scope,
        should_listen=listening,
        response_playing=Event(),
        input_queue=heard,
        output_queue=sound,
        text_output_queue=events,
        text_prompt_queue=asked,
        handlers=handlers,
    )


def main() -> None:
    """Serve until the test is over."""
    app = create_app(pool=[unit(Event())], stop_event=Event(), llm_proxy_config=None)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    tell(port=server.servers[0].sockets[0].getsockname()[1])
    sys.stdin.read()


if __name__ == "__main__":
    main()
