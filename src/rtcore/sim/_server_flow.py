"""What happens when: responses and the one slot they compete for, cancels, the user's turns, and transcripts that come late."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

from rtcore._formats import AudioFormat
from rtcore.sim._rng import Rng
from rtcore.sim._server_call import Call
from rtcore.sim._server_checks import Fault
from rtcore.sim._server_draws import add_faults, add_remote, calm_plan, draw_plan
from rtcore.sim._server_edits import check_response, decode_audio
from rtcore.sim._server_generation import SLOW_S, Generation
from rtcore.sim._server_plan import ResponsePlan
from rtcore.sim._server_state import State
from rtcore.sim._server_truth import ServerItem, ServerResponse
from rtcore.sim._server_turns import Detector
from rtcore.sim._server_wire import Json, audio_format

_WORDS_A_DELTA = (1, 2, 4, 8)
"""How many words a piece of a transcription may have."""
_PHANTOM_MS = ((0, 0), (100, 1500), (100, 1500), (10_000, 11_000))
"""How long a response of which nothing is told holds the slot: this once, for a moment, for longer than a client believes it."""
_LIMIT_CODE = "conversation_already_has_active_response"


class Task(Protocol):
    """Something that goes on by itself: due ``at``, until ``finished``."""

    at: float
    finished: bool

    def step(self) -> None:
        """Do what is due."""


class _Transcription:
    """The user's words, some time after they were said."""

    def __init__(self, state: State, item_id: str, steps: Iterator[int]) -> None:
        self.at = state.now
        self.item_id = item_id
        self.finished = False
        self._steps = steps

    def step(self) -> None:
        wait = next(self._steps, None)
        if wait is None:
            self.finished = True
        else:
            self.at += wait / 1_000_000


class _Later:
    """One thing to do at a certain time."""

    def __init__(self, at: float, step: Callable[[], None]) -> None:
        self.at = at
        self.finished = False
        self._step = step

    def step(self) -> None:
        self.finished = True
        self._step()


class Flow:
    """The moving part of one connection."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.tasks: list[Task] = []
        self.deadline: float | None = None
        """When the next event is due."""
        self.running: list[Generation] = []
        """The conversation's responses that are not done: one, or several where they overlap. The latest holds the slot."""
        self._out_of_band: dict[str, Generation] = {}
        state.later = self._later
        self.call = Call(state) if state.options.call is not None else None
        state.call = self.call
        self.plans: list[ResponsePlan] = []
        # Each response has a stream of its own, and those of the conversation and the others are counted apart: what one
        # response is, scripted or drawn, shifts nothing of another.
        self._in_conversation = state.rng.fork("responses")
        self._apart = state.rng.fork("out of band")
        self._overlaps = state.rng.fork("overlaps")
        self._phantoms = state.rng.beside("phantoms")
        self._held_until = 0.0
        """So long a response holds the slot of which nothing is told."""
        self._holder = ""
        self._was_slow = False
        self._transcripts = state.rng.fork("transcripts")
        self.said: str | None = None
        """The words of the user's next turn, where they are not drawn."""
        self._detector = Detector(state.rng.fork("turns"))
        self._turn_item: str | None = None
        self._owed = False
        self._waits = 0
        """Counts what ends a silence, so that an idle time-out that was armed before knows that it is over."""

    # -- time -----------------------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Do everything that is due by now, in the order of its time. The last step of every input: it finds ``deadline``."""
        now = self.state.now
        while tasks := self.tasks:
            task = tasks[0]
            at = task.at
            for other in tasks:
                if other.at < at:
                    task, at = other, other.at
            if at > now:
                self.deadline = at
                return
            task.step()
            if task.finished:
                self._settle()
        self.deadline = None

    def _settle(self) -> None:
        """Forget what has finished; a turn that waited for the slot gets its response."""
        self.tasks = [task for task in self.tasks if not task.finished]
        self._out_of_band = {key: running for key, running in self._out_of_band.items() if not running.finished}
        ended = [running for running in self.running if running.finished]
        self.running = [running for running in self.running if not running.finished]
        if ended and not self.running:
            self._arm_idle(ended[-1])
        if self._owed and not self.running:
            self._owed = False
            self._start("turn", {}, None)

    # -- responses ------------------------------------------------------------------------------------------------------------

    def create(self, event: Json) -> Fault | None:
        """response.create."""
        state = self.state
        if state.listens:
            return Fault("invalid_value", "type", "The event type 'response.create' is not supported in a transcription session.")
        wanted = state.wire.read_session(event.get("response") or {})
        if fault := check_response(state, wanted):
            return fault
        if wanted.get("conversation") != "none" and self.running:
            latest = self.running[-1]
            race = latest.response.cause == "turn" and not latest.started and self._overlap()
            if not race:
                return _busy(latest.response.id)
        if wanted.get("conversation") != "none" and (fault := self._phantom()):
            return fault
        if fault := state.rejection():
            return fault
        self._start("client", wanted, event.get("event_id"))
        return None

    def _phantom(self) -> Fault | None:
        """A response of which nothing is ever told holds the slot for a while; the server's own creation ends it."""
        state, rng = self.state, self._phantoms
        if state.calm:
            return None
        if state.now >= self._held_until:
            # Never two in a row: a server that always refuses answers nobody, whatever the client does.
            spared, self._holder = bool(self._holder), ""
            if not rng.chance(state.options.phantom_per_mille) or spared:
                return None
            low, high = rng.choice(_PHANTOM_MS)
            self._held_until, self._holder = state.now + rng.between(low, high) / 1000, state.new_id("resp")
        state.saw("slot held by nothing")
        return _busy(self._holder)._replace(injected=True)

    def _start(self, cause: Literal["client", "turn"], wanted: Json, event_id: str | None) -> None:
        state = self.state
        self._waits += 1
        apart = wanted.get("conversation") == "none"
        if not apart:
            self._held_until = 0.0
        response = ServerResponse(
            id=state.new_id("resp"),
            cause=cause,
            accepted_at=state.now,
            out_of_band=apart,
            metadata=wanted.get("metadata"),
            client_event_id=event_id,
        )
        state.responses[response.id] = response
        own = (self._apart if apart else self._in_conversation).fork("response")
        planning, hurting, generating = own.fork("plan"), own.fork("faults"), own.fork("stream")
        script = state.options.script
        if not apart and len(self.plans) < len(script):
            plan = script[len(self.plans)]
            plan = calm_plan(plan, state.options) if state.calm else plan
        else:
            # Never two slow ones in a row: a server that nobody can wait for answers nobody, whatever the client does.
            plan = add_faults(self._draw(planning, wanted), hurting, state.options, out_of_band=apart, hurried=self._was_slow)
            last = state.items[state.last_item() or ""].type if state.order else ""
            if state.options.remote_per_mille and not apart and last not in ("function_call_output", "mcp_approval_response"):
                plan = add_remote(plan, planning.beside("remote tools"), state.options, state.session["tools"])
        generation = Generation(state, response, plan, wanted, generating)
        if apart:
            self._out_of_band[response.id] = generation
        else:
            self.plans.append(plan)
            self._was_slow = plan.think_s >= SLOW_S
            self.running.append(generation)
        self.tasks.append(generation)
        if plan.beside_ms is not None and not apart and len(self.running) == 1:
            self._later(plan.think_s + plan.beside_ms / 1000, lambda: self._answer_beside(generation))

    def _answer_beside(self, first: Generation) -> None:
        """The server answers a turn once more beside the first answer (B11), where it creates by itself at all."""
        creates = self.state.turn_detection is not None and self._flag("create_response")
        if creates and not self.state.calm and not first.finished and first.cut is None:
            self._start("turn", {}, None)

    def _later(self, after_s: float, step: Callable[[], None]) -> None:
        self.tasks.append(_Later(self.state.now + after_s, step))

    def _overlap(self) -> bool:
        """Two responses meet: do they run at once?"""
        return self._overlaps.chance(self.state.options.overlap_per_mille)

    def _draw(self, rng: Rng, wanted: Json) -> ResponsePlan:
        state = self.state
        last = state.items[state.last_item() or ""] if state.order else None
        tools: list[Json] = wanted["tools"] if "tools" in wanted else state.session["tools"]
        return draw_plan(
            rng,
            state.options,
            spoken_only=last is not None and last.type == "function_call_output",
            text_only=(wanted.get("output_modalities") or state.session["output_modalities"]) == ["text"],
            tools=tools,
            tool_choice=wanted.get("tool_choice", state.session["tool_choice"]),
        )

    def cancel(self, event: Json) -> Fault | None:
        """response.cancel: by id, or the conversation's running response."""
        wanted = event.get("response_id")
        running = self.running[-1] if self.running else None
        if wanted is not None:
            named = (held for held in self.running if held.response.id == wanted)
            running = next(named, None) or self._out_of_band.get(wanted)
        elif running is not None and not running.started and self.state.rules.cancel_before_created == "refused":
            running = None
        if running is None or running.finished:
            return Fault("response_cancel_not_active", None, "Cancellation failed: no active response found")
        running.stop("client_cancelled")
        self._settle()
        return None

    # -- input audio ----------------------------------------------------------------------------------------------------------

    @property
    def _format(self) -> AudioFormat:
        return audio_format(self.state.session["audio"]["input"]["format"])

    def append(self, event: Json) -> Fault | None:
        """input_audio_buffer.append, as decoded JSON."""
        audio = decode_audio(event["audio"], "audio")
        if isinstance(audio, Fault):
            return audio
        self.hear(audio)
        return None

    def hear(self, audio: bytes) -> None:
        """Appended audio; there is no answer but what turn detection finds."""
        for kind, at_ms in self._detector.append(audio, self._format, self.state.turn_detection):
            self._edge(kind, at_ms)

    def append_image(self, event: Json) -> Fault | None:
        """input_image_buffer.append: only behind audio, and without an answer (protocol facts, 14)."""
        if not self._detector.written:
            return Fault("invalid_value", None, "Error append image before append audio.")
        return None

    def user_speech(self, kind: Literal["started", "stopped"]) -> None:
        """What turn detection would have found."""
        detection = self.state.turn_detection
        edge = self._detector.force(kind, self._format, detection) if detection is not None else None
        if edge is not None:
            self._edge(*edge)

    def session_changed(self) -> None:
        """Another session is in force."""
        if self.state.turn_detection is None:
            self._detector.switch_off()

    def commit(self, event: Json) -> Fault | None:
        """input_audio_buffer.commit: at least 100 ms, and no response by itself (protocol facts, 5.9)."""
        held = self._detector.buffered_ms(self._format)
        if held < 100:
            message = (
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least 100ms of audio, but buffer only has {held:.2f}ms of audio."
            )
            return Fault("input_audio_buffer_commit_empty", None, message)
        self._detector.take_all()
        self._commit()
        return None

    def clear(self, event: Json) -> Fault | None:
        """input_audio_buffer.clear; a turn that had begun in it never becomes an item (protocol facts, 8.4)."""
        self._detector.take_all()
        self._turn_item = None
        self.state.emit("input_audio_buffer.cleared")
        return None

    def clear_playout(self, event: Json) -> Fault | None:
        """output_audio_buffer.clear, which only the server of a call knows."""
        assert self.call is not None
        self.call.clear(asked=True)
        return None

    # -- silence --------------------------------------------------------------------------------------------------------------

    def _arm_idle(self, ended: Generation) -> None:
        """From the end of its sound, the silence is counted (protocol facts, 4.12)."""
        idle_ms = (self.state.turn_detection or {}).get("idle_timeout_ms")
        if idle_ms is None:
            return
        items = (self.state.items[name] for name in ended.response.item_ids)
        sounds = sum(part.format.ms(part.sent_samples) for item in items for part in item.parts)
        armed = self._waits
        self._later((sounds + idle_ms) / 1000, lambda: self._idle(idle_ms) if armed == self._waits else None)

    def _idle(self, idle_ms: int) -> None:
        """Nobody spoke: the silence is committed behind a note of the server's own, and answered."""
        state = self.state
        self._waits += 1
        state.saw("idle time-out")
        end_ms = self._detector.written_ms(self._format)
        self._turn_item = state.new_id("item")
        state.emit(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=max(0, end_ms - idle_ms),
            audio_end_ms=end_ms,
            item_id=self._turn_item,
        )
        words = [{"type": "input_text", "text": "The user has been silent for a while."}]
        note = ServerItem(
            id=state.new_id("item"), type="message", role="system", origin="turn", order=0, announced_at=state.now, content=words
        )
        state.add(note)
        state.announce(note)
        state.finish(note, "completed")
        self._detector.take_turn()
        self._commit()
        if self._flag("create_response"):
            self._start("turn", {}, None)

    def _edge(self, kind: Literal["started", "stopped"], at_ms: int) -> None:
        if kind == "started":
            self._speech_started(at_ms)
        else:
            self._speech_stopped(at_ms)

    def _flag(self, name: str) -> bool:
        # Null and absent count as the default, true (C13).
        detection = self.state.turn_detection or {}
        return detection.get(name) is not False

    def _speech_started(self, at_ms: int) -> None:
        state = self.state
        self._turn_item = state.new_id("item")
        self._waits += 1
        self._owed = False
        cut = self.running if self._flag("interrupt_response") else []
        first = state.rules.cascade == "before_speech_started"
        for running in cut if first else ():
            running.stop("turn_detected", at_once=True)
            if running.finished:
                state.saw("cascade before speech_started")
        state.emit("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=self._turn_item)
        for running in cut if not first else ():
            running.stop("turn_detected")
        if self.call is not None and self._flag("interrupt_response"):
            self.call.clear(asked=False)
        self._settle()

    def _speech_stopped(self, at_ms: int) -> None:
        state = self.state
        self._turn_item = self._turn_item or state.new_id("item")
        state.emit("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self._turn_item)
        self._detector.take_turn()
        self._commit()
        if state.listens or not self._flag("create_response"):
            return
        if not self.running or self._overlap():
            self._start("turn", {}, None)
        elif all(running.ending for running in self.running):
            # It is ending already: the response to the turn comes after its response.done.
            self._owed = True
        else:
            # The server's own attempt fails where nothing was interrupted (protocol facts, 8.2: create without interrupt).
            state.refuse(_busy(self.running[-1].response.id))

    def _commit(self) -> None:
        state = self.state
        item = ServerItem(
            id=self._turn_item or state.new_id("item"),
            type="message",
            role="user",
            origin="turn",
            order=0,
            announced_at=state.now,
            status="completed",
            content=[{"type": "input_audio", "transcript": None}],
        )
        self._turn_item = None
        state.emit("input_audio_buffer.committed", previous_item_id=state.last_item(), item_id=item.id)
        state.add(item)
        state.announce(item)
        state.finish(item, "completed")
        if state.session["audio"]["input"]["transcription"] is not None:
            said, self.said = self.said, None
            self.tasks.append(_Transcription(state, item.id, self._transcribe(item, said)))

    def _transcribe(self, item: ServerItem, instead: str | None) -> Iterator[int]:
        state, rng = self.state, self._transcripts.fork(item.id)
        text = "" if rng.chance(80) else state.bank.phrase(rng)
        text = text if instead is None else instead
        yield rng.between(*state.options.transcription_delay_ms) * 1000
        stem = "conversation.item.input_audio_transcription"
        where: dict[str, Any] = {"item_id": item.id, "content_index": 0}
        if rng.chance(state.options.transcription_failed_per_mille):
            error = {"type": "server_error", "code": "audio_unintelligible", "message": "Transcription failed.", "param": None}
            state.emit(f"{stem}.failed", **where, error=error)
            return
        words = text.split(" ") if text else []
        asked = "item.input_audio_transcription.logprobs" in (state.session["include"] or ())
        sure = _logprobs if asked else _no_logprobs
        at = 0
        while at < len(words):
            count = rng.choice(_WORDS_A_DELTA)
            delta = " ".join(words[at : at + count])
            if state.wire.manner.cumulative:
                state.emit(f"{stem}.updated", **where, transcript=" ".join(words[: at + count]))
            else:
                state.emit(f"{stem}.delta", **where, delta=delta if at == 0 else f" {delta}", **sure(words[at : at + count]))
            at += count
            yield rng.between(0, 60_000)
        item.content = [{"type": "input_audio", "transcript": text}]
        if text and "diarize" in str((state.session["audio"]["input"]["transcription"] or {}).get("model")):
            said = {"id": state.new_id("seg"), "text": text, "speaker": "A", "start": 0.0, "end": 1.0}
            state.emit(f"{stem}.segment", **where, **said)
        state.emit(f"{stem}.completed", **where, transcript=text, **sure(words), usage={"type": "duration", "seconds": 1.0})


def _logprobs(words: list[str]) -> Json:
    """As sure of a word as it is long."""
    return {"logprobs": [{"token": w, "logprob": -1 / (1 + len(w)), "bytes": list(w.encode())} for w in words]}


def _no_logprobs(words: list[str]) -> Json:
    return {}


def _busy(response_id: str) -> Fault:
    message = (
        f"Conversation already has an active response in progress: {response_id}. "
        "Wait until the response is finished before creating a new one."
    )
    return Fault(_LIMIT_CODE, None, message)
