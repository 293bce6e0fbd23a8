"""A session on a stage: scripts go in, what matters of the effects comes out, and what must always hold is checked on the way."""

import base64
import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, Literal, TypeVar

from pydantic import SecretStr

from helpers import wire
from helpers.wire import Event, Script
from rtcore import (
    Clock,
    Config,
    Connect,
    Disconnect,
    Disconnection,
    Drain,
    Effect,
    Flush,
    HeardText,
    Interrupted,
    Issued,
    MessageEnded,
    Notice,
    Pause,
    Play,
    Policies,
    RequestEnded,
    Resume,
    Send,
    Session,
    SessionClosed,
)
from rtcore.config import Connection

KEY = "sk-very-secret-4711"
N = TypeVar("N", bound=Notice)


def configured(**options: Any) -> Config:
    """The defaults, with a key: all audio is handed to the clock as it comes."""
    options.setdefault("connection", Connection(api_key=SecretStr(KEY)))
    options.setdefault("reconnect", {"renew": False})  # so that a session without anything to do waits for nothing
    return Config(**options)


def preview_config(**options: Any) -> Config:
    connection = Connection(
        dialect="azure-preview",
        url="wss://example.openai.azure.com",
        deployment="gpt-realtime-2",
        api_version="2024-10-01-preview",
        api_key=SecretStr(KEY),
    )
    return configured(connection=connection, **options)


class Scene:
    """One session, its time, and everything it has ever returned. ``now`` stays until ``at`` moves it."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        preview: bool = False,
        policies: Policies | None = None,
    ) -> None:
        config = config or (preview_config() if preview else configured())
        self.session = Session(config, clock=clock or Clock(), seed=seed, policies=policies)
        self.preview = preview
        self.now = 0.0
        self.log: list[Effect] = []
        self.request = 0
        self._flushed = 0
        self._closed = False
        self._seen: set[tuple[str, object]] = set()
        self._running: dict[str, str] = {}

    def at(self, now: float) -> "Scene":
        self.now = now
        return self

    # -- inputs ---------------------------------------------------------------------------------------------------------

    def open(self) -> list[Effect]:
        return self._took(self.session.open(now=self.now))

    def connected(self, connection: int = 1) -> list[Effect]:
        return self._took(self.session.connected(connection, now=self.now))

    def disconnected(self, cause: Disconnection, connection: int = 1) -> list[Effect]:
        return self._took(self.session.disconnected(connection, cause, now=self.now))

    def server(self, *scripts: Script, connection: int = 1) -> list[Effect]:
        """Feed server events one message at a time, all at the present time."""
        script = [event for part in scripts for event in part]
        effects: list[Effect] = []
        for event in wire.preview(script) if self.preview else script:
            effects += self.raw(wire.encode(event), connection=connection)
        return effects

    def raw(self, payload: bytes, *, connection: int = 1) -> list[Effect]:
        return self._took(self.session.receive(connection, payload, now=self.now))

    def played(self, generation: int, ms: float) -> list[Effect]:
        """Report ``ms`` milliseconds of a 24 kHz generation as audible."""
        return self.played_samples(generation, round(ms * 24))

    def played_samples(self, generation: int, samples: int) -> list[Effect]:
        return self._took(self.session.played(generation, samples, now=self.now))

    def flushed(self, generation: int, ms: float) -> list[Effect]:
        return self.flushed_samples(generation, round(ms * 24))

    def flushed_samples(self, generation: int, samples: int) -> list[Effect]:
        return self._took(self.session.flushed(generation, samples, now=self.now))

    def underrun(self, generation: int) -> list[Effect]:
        return self._took(self.session.underrun(generation, now=self.now))

    def tick(self) -> list[Effect]:
        return self._took(self.session.tick(now=self.now))

    def local_speech(self) -> list[Effect]:
        return self._took(self.session.speech("started", now=self.now))

    def barge_in(self, heard_ms: float, item: str = "u1") -> list[Effect]:
        """The server hears speech, and the clock answers a flush at once: the first ``heard_ms`` of its generation were heard."""
        return self.answering(self.server(wire.speech_started(item)), heard_ms)

    def answering(self, effects: list[Effect], heard_ms: float) -> list[Effect]:
        """``effects`` and those of an immediate answer to the flush among them."""
        answers = [self.flushed(e.generation, heard_ms) for e in effects if isinstance(e, Flush)]
        return [*effects, *(effect for answer in answers for effect in answer)]

    def device(self, state: Literal["lost", "ready"]) -> list[Effect]:
        return self._took(self.session.device(state, now=self.now))

    # -- commands -------------------------------------------------------------------------------------------------------

    def append(self, pcm: bytes) -> list[Effect]:
        return self._took(self.session.append_audio(pcm, now=self.now))

    def commit(self) -> list[Effect]:
        return self._issued(self.session.commit(now=self.now))

    def clear(self) -> list[Effect]:
        return self._issued(self.session.clear(now=self.now))

    def say(self, text: str = "hello", *, interrupt: bool = True, respond: bool = True) -> list[Effect]:
        return self._issued(self.session.send_text(text, interrupt=interrupt, respond=respond, now=self.now))

    def respond(
        self, options: Mapping[str, object] | None = None, *, audible: bool | None = None, interruptible: bool = True
    ) -> list[Effect]:
        return self._issued(self.session.respond(options, audible=audible, interruptible=interruptible, now=self.now))

    def interrupt(self, response: str | None = None) -> list[Effect]:
        return self._took(self.session.interrupt(response, now=self.now))

    def tool_result(self, call_id: str, output: object, *, respond: bool = True) -> list[Effect]:
        return self._issued(self.session.tool_result(call_id, output, respond=respond, now=self.now))

    def update(self, changes: Mapping[str, object]) -> list[Effect]:
        return self._issued(self.session.update(changes, now=self.now))

    def create_item(self, item: Mapping[str, object], *, previous: str | None = None) -> list[Effect]:
        return self._issued(self.session.create_item(item, previous_item_id=previous, now=self.now))

    def delete_item(self, item_id: str) -> list[Effect]:
        return self._issued(self.session.delete_item(item_id, now=self.now))

    def retrieve_item(self, item_id: str) -> list[Effect]:
        return self._issued(self.session.retrieve_item(item_id, now=self.now))

    def approve(self, request_id: str, *, approve: bool = True, reason: str | None = None) -> list[Effect]:
        return self._issued(self.session.approve(request_id, approve=approve, reason=reason, now=self.now))

    def send_raw(self, event: Mapping[str, object]) -> list[Effect]:
        return self._took(self.session.send_raw(event, now=self.now))

    def pause(self) -> list[Effect]:
        return self._took(self.session.pause(now=self.now))

    def resume(self) -> list[Effect]:
        return self._took(self.session.resume(now=self.now))

    def mute(self) -> list[Effect]:
        return self._took(self.session.mute(now=self.now))

    def unmute(self) -> list[Effect]:
        return self._took(self.session.unmute(now=self.now))

    def close(self) -> list[Effect]:
        return self._took(self.session.close(now=self.now))

    # -- what must always hold ------------------------------------------------------------------------------------------

    def _issued(self, issued: Issued) -> list[Effect]:
        self.request = issued.request
        return self._took(issued.effects)

    def _took(self, effects: list[Effect]) -> list[Effect]:
        ranks = [_rank(effect) for effect in effects]
        assert ranks == sorted(ranks), f"sound, wire, news is the order, not {effects}"
        for effect in effects:
            assert not self._closed, f"after SessionClosed came {effect}"
            self._holds(effect)
            self.log.append(effect)
        return effects

    def _holds(self, effect: Effect) -> None:
        match effect:
            case Flush(generation):
                assert generation > self._flushed, "a generation is flushed once"
                self._flushed = generation
            case Play(data, format, generation):
                assert generation > self._flushed, "nothing of a flushed generation is handed over"
                assert len(data) > 0, "no empty Play"
                assert len(data) % format.sample_width == 0, "whole samples only"
            case Send(_, payload):
                event = json.loads(payload)
                assert next(iter(event)) == "type"
                if event["type"] != "input_audio_buffer.append":
                    self._once("client event", event["event_id"])
            case RequestEnded(request):
                self._once("request", request)
            case HeardText(item_id=item, content_index=part, delta=delta):
                assert delta and ("message", item) not in self._seen, "words that are none, or behind the message's end"
                self._running[item] = self._running.get(item, "") + ("" if part else delta)
            case MessageEnded():
                self._once("message", effect.item_id)
            case SessionClosed():
                self._closed = True
            case _:
                pass

    def _once(self, what: str, key: object) -> None:
        assert (what, key) not in self._seen, f"{what} {key} twice"
        self._seen.add((what, key))


def _rank(effect: Effect) -> int:
    match effect:
        case Flush() | Pause() | Resume() | Play() | Drain():
            return 0
        case Connect() | Send() | Disconnect():
            return 1
        case Notice():
            return 2


# -- scenes that tests begin in ----------------------------------------------------------------------------------------


def ready(
    config: Config | None = None,
    *,
    clock: Clock | None = None,
    seed: int = 0,
    preview: bool = False,
    policies: Policies | None = None,
    **session: Any,
) -> Scene:
    """Connected and acknowledged at 0.0 s; ``session`` says what the server acknowledged."""
    scene = Scene(config, clock=clock, seed=seed, preview=preview, policies=policies)
    scene.open()
    scene.connected()
    scene.server(wire.session_created(), wire.session_updated(**session))
    return scene


def talking(*scripts: Script, heard_ms: float = 0, at: float = 0.0, **options: Any) -> Scene:
    """Response r1 is running and has sent ``scripts``; ``heard_ms`` of generation 1 are confirmed at ``at``."""
    scene = ready(**options)
    scene.server(wire.created("r1"), *scripts)
    scene.at(at)
    if heard_ms:
        scene.played(1, heard_ms)
    return scene


def spoken(*scripts: Script, heard_ms: float = 0, at: float = 0.0, **options: Any) -> Scene:
    """The same with ``response.done`` seen: the server has finished, the clock has not."""
    return talking(*scripts, wire.done("r1"), heard_ms=heard_ms, at=at, **options)


# -- readers: what the core did ----------------------------------------------------------------------------------------


def sent(effects: Iterable[Effect]) -> list[Event]:
    """Client events in order, without their ``event_id``."""
    events = [json.loads(bytes(e.payload)) for e in effects if isinstance(e, Send)]
    return [{k: v for k, v in event.items() if k != "event_id"} for event in events]


def kinds(effects: Iterable[Effect]) -> list[str]:
    """The types of the client events."""
    return [event["type"] for event in sent(effects)]


def event_id(effects: Iterable[Effect], kind: str) -> str:
    """The ``event_id`` of the only client event of this type."""
    [found] = [e for e in (json.loads(bytes(e.payload)) for e in effects if isinstance(e, Send)) if e["type"] == kind]
    return str(found["event_id"])


def told(effects: Iterable[Effect], kind: type[N]) -> list[N]:
    """Notices of this type."""
    return [effect for effect in effects if isinstance(effect, kind)]


def sounded(effects: Iterable[Effect], generation: int | None = None) -> bytes:
    """All audio handed to the clock."""
    return b"".join(bytes(e.pcm) for e in effects if isinstance(e, Play) and generation in (None, e.generation))


def spoke(effects: Iterable[Effect]) -> bytes:
    """All microphone audio sent to the server."""
    return b"".join(base64.b64decode(event["audio"]) for event in sent(effects) if event["type"] == "input_audio_buffer.append")


def outcomes(effects: Iterable[Effect]) -> list[tuple[int, str]]:
    """How requests settled: number and outcome."""
    return [(e.request, e.outcome) for e in told(effects, RequestEnded)]


def verdicts(effects: Iterable[Effect]) -> list[tuple[object, ...]]:
    """How messages ended, as ``ended`` writes it."""
    return [ended(e.item_id, e.verdict.value, e.heard_ms) for e in told(effects, MessageEnded)]


def acts(effects: Iterable[Effect]) -> list[object]:
    """Everything that matters, in order: sound, client events, verdicts, interruptions, settlements.

    Adjacent ``Play`` of one generation are one, because how a core cuts audio is its own affair; ``Drain`` and other notices
    are left out.
    """
    result: list[object] = []
    for generation, group in groupby(effects, lambda e: e.generation if isinstance(e, Play) else None):
        if generation is not None:
            result.append(("play", generation, sum(len(e.pcm) // e.format.sample_width for e in group if isinstance(e, Play))))
        else:
            result += [act for effect in group for act in _act(effect)]
    return result


def _act(effect: Effect) -> list[object]:
    match effect:
        case Flush() | Pause() | Resume():
            return [effect]
        case Send():
            return [*sent([effect])]
        case MessageEnded():
            return [*verdicts([effect])]
        case Interrupted(_, partial, skipped):
            return [interrupted(*partial, skipped=skipped)]
        case RequestEnded():
            return [settled(effect.request, effect.outcome)]
        case _:
            return []


# -- builders of what a test expects -----------------------------------------------------------------------------------


def play(generation: int, ms: int) -> object:
    return ("play", generation, ms * 24)


def ended(item: str, verdict: str, heard_ms: int) -> tuple[object, ...]:
    return ("ended", item, verdict, heard_ms)


def interrupted(*partial: str, skipped: Iterable[str] = ()) -> object:
    return ("interrupted", [*partial], [*skipped])


def settled(request: int, outcome: str) -> object:
    return ("settled", request, outcome)


def truncate(item: str, ms: int, part: int = 0) -> Event:
    return {"type": "conversation.item.truncate", "item_id": item, "content_index": part, "audio_end_ms": ms}


def delete(item: str) -> Event:
    return {"type": "conversation.item.delete", "item_id": item}


def cancel(response: str = "r1") -> Event:
    return {"type": "response.cancel", "response_id": response}


def create(request: int, **options: object) -> Event:
    return {"type": "response.create", "response": {**options, "metadata": {"rtcore_request": str(request)}}}
