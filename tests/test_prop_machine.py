"""A conversation in which anything may come next: Hypothesis plays server, clock, user and program around one session.

The server is a strict little one: one response in the conversation at a time, every client event answered in order, some
time later. The clock is a list of samples, each of which says whose it is (``fuzzing.labelled``). Whatever order the rules
come in, what must always hold is checked after each; a failure shrinks to the handful of steps that matter, and prints
them.
"""

import json
from typing import Any

import pytest
from fuzzing import labelled
from helpers import wire
from helpers.scene import Scene, configured, ready, sent, told
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from rtcore import Clock, Flush, MessageEnded, Pause, Play, RequestEnded, Resume, Send, ToolCalled
from rtcore._interruption import Interruption
from rtcore.config import Playout

N = st.integers(1, 400)
TRUNCATE, DELETE = "conversation.item.truncate", "conversation.item.delete"


class Conversation(RuleBasedStateMachine):
    """The world around one session, in about two dozen rules."""

    scene: Scene

    @initialize(can_pause=st.booleans(), lead_ms=st.sampled_from([None, 20, 60]), interrupts=st.booleans())
    def begin(self, can_pause: bool, lead_ms: int | None, interrupts: bool) -> None:
        vad = wire.SERVER_VAD if interrupts else wire.CLIENT_VAD
        detection = {key: vad[key] for key in ("type", "create_response", "interrupt_response")}
        options = {"audio": {"input": {"turn_detection": detection}}}
        config = configured(playout=Playout(lead_ms=lead_ms), session=options)
        self.scene = ready(config, clock=Clock(pause=can_pause), turn_detection=vad)
        self.interrupts = interrupts
        self.read = len(self.scene.log)
        self.inbox: list[dict[str, Any]] = []  # client events that the server has not answered
        self.active: str | None = None
        self.cutting = False  # the server is cancelling the active response
        self.responses = 0
        self.owner: dict[str, str] = {}  # item to response
        self.open: list[str] = []  # items of the active response that are not closed
        self.calls: list[str] = []
        self.sent: dict[int, int] = {}
        self.done: set[str] = set()
        self.announced: set[str] = set()
        self.gone: set[str] = set()
        self.users = 0
        self.talking = False
        self.queued: dict[int, list[tuple[int, int]]] = {}
        self.sounded: dict[int, list[tuple[int, int]]] = {}
        self.flushes: list[tuple[int, float]] = []
        self.generation = 1
        self.paused = False
        self.issued: set[int] = set()
        self.to_answer: list[str] = []

    # -- the server ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.inbox)
    @rule(refuses=st.sampled_from([False, False, False, True]))
    def the_server_answers(self, refuses: bool) -> None:
        event = self.inbox.pop(0)
        server, kind = self.scene.server, event["type"]
        match kind:
            case "response.create" if self.active is not None:
                server(wire.active_response(event["event_id"]))
            case "response.create" if refuses:
                server(wire.error("server_error", "The server had an error.", event_id=event["event_id"]))
            case "response.create":
                self._create(event["response"]["metadata"])
            case "response.cancel" if event["response_id"] != self.active:
                server(wire.cancel_not_active(event["event_id"]))
            case "response.cancel":
                self.cutting = True
            case "conversation.item.truncate":
                assert event["item_id"] in self.announced - self.gone, "the server does not know this item"
                server(wire.truncated(event["item_id"], event["audio_end_ms"]))
            case "conversation.item.delete":
                assert event["item_id"] in self.announced - self.gone, "the server does not know this item"
                self.gone.add(event["item_id"])
                server(wire.deleted(event["item_id"]))
            case "conversation.item.create":
                self.announced.add(event["item"]["id"])
                server(wire.announce(event["item"]["id"], event["item"]))
            case _:
                raise AssertionError(f"nobody asked for {kind}")

    def _create(self, metadata: dict[str, Any] | None = None) -> None:
        self.responses += 1
        self.active, self.cutting = f"r{self.responses}", False
        self.scene.server(wire.created(self.active, metadata=metadata))

    @precondition(lambda self: self.active and not self.cutting and len(self.owner) < labelled.ITEMS)
    @rule(as_call=st.sampled_from([False, False, False, True]))
    def an_item_begins(self, as_call: bool) -> None:
        number = len(self.owner) + 1
        index = sum(owner == self.active for owner in self.owner.values())
        name = f"f_c{number}" if as_call else f"m{number}"
        self.owner[name] = str(self.active)
        self.open.append(name)
        self.announced.add(name)
        if as_call:
            self.scene.server(wire.call_opened(f"c{number}", r=str(self.active), index=index))
        else:
            self.sent[number] = 0
            self.scene.server(wire.opened(name, r=str(self.active), index=index))

    @precondition(lambda self: self._may_speak())
    @rule(which=st.integers(0, 3), n=N, sounds=st.integers(0, 400))
    def the_model_speaks(self, which: int, n: int, sounds: int) -> None:
        """In one rule what takes four events, so that a random walk gets to the interesting places."""
        if self.active is None:
            self._create()
        speaking = [name for name in self.open if name.startswith("m")]
        if not speaking:
            self.an_item_begins(as_call=False)
            speaking = self.open[-1:]
        name = speaking[which % len(speaking)]
        item = int(name[1:])
        n = min(n, labelled.SAMPLES - self.sent[item])
        if n:
            pcm = labelled.samples(item, self.sent[item], n)
            self.sent[item] += n
            self.scene.server(wire.audio(name, raw=pcm, r=self.owner[name]))
        self._take()
        if sounds and not self.paused and not self.flushes:
            self.it_sounds(sounds)

    def _may_speak(self) -> bool:
        if self.active is None:
            return self.interrupts and not self.talking and len(self.owner) < labelled.ITEMS
        speaking = any(name.startswith("m") for name in self.open)
        return speaking or (not self.cutting and len(self.owner) < labelled.ITEMS)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 3))
    def an_item_ends(self, which: int) -> None:
        name = self.open.pop(which % len(self.open))
        if name.startswith("m"):
            self.scene.server(wire.closing(name, r=self.owner[name]))
        elif not self.cutting:
            self.scene.server(wire.call_closed(name[2:], r=self.owner[name]))
            self.calls.append(name[2:])

    @precondition(lambda self: self.active)
    @rule(status=st.sampled_from(["completed", "completed", "incomplete", "failed"]))
    def the_response_ends(self, status: str) -> None:
        assert self.active is not None
        if self.cutting:
            self.scene.server(wire.cancelled(self.active))
        else:
            for name in [name for name in self.open if name.startswith("m")] if status == "completed" else []:
                self.scene.server(wire.closing(name, r=self.active))
            self.scene.server(wire.done(self.active, status))
        self.done.add(self.active)
        self.active, self.cutting, self.open = None, False, []

    # -- the user ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.talking)
    @rule()
    def speech_starts(self) -> None:
        self.talking = True
        self.users += 1
        self.cutting = self.cutting or (self.interrupts and self.active is not None)
        self.scene.server(wire.speech_started(f"u{self.users}"))

    @precondition(lambda self: self.talking)
    @rule()
    def speech_stops(self) -> None:
        self.talking = False
        self.announced.add(f"u{self.users}")
        self.scene.server(wire.speech_stopped(f"u{self.users}"), wire.turn(f"u{self.users}"))

    # -- the clock -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.paused and not self.flushes)
    @rule(n=N)
    def it_sounds(self, n: int) -> None:
        """The clock sounds some samples, and says how many it has in all."""
        queue = self.queued.get(self.generation, [])
        taken, self.queued[self.generation] = queue[:n], queue[n:]
        if taken:
            sounded = self.sounded.setdefault(self.generation, [])
            sounded += taken
            self.scene.at(self.scene.now + len(taken) / 24_000)
            self.scene.played_samples(self.generation, len(sounded))

    @precondition(lambda self: self.flushes)
    @rule()
    def it_answers(self) -> None:
        generation, _ = self.flushes.pop(0)
        self.scene.flushed_samples(generation, len(self.sounded.get(generation, [])))

    @rule(generation=st.integers(0, 3), n=N)
    def it_repeats_itself(self, generation: int, n: int) -> None:  # C21: stale and smaller reports change nothing
        sounded = len(self.sounded.get(generation, []))
        self.scene.played_samples(generation, min(n, sounded))

    @rule(ms=st.integers(1, 900))
    def time_passes(self, ms: int) -> None:
        until = self.scene.now + ms / 1000
        while self.flushes and self.flushes[0][1] <= until:  # the clock keeps what it declared
            self.scene.at(max(self.scene.now, self.flushes[0][1]))
            self.it_answers()
            self._take()
        if not self.paused and not self.flushes:
            self.it_sounds(int((until - self.scene.now) * 24_000))
            self._take()
        self.scene.at(max(until, self.scene.now)).tick()

    # -- the program -----------------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(["respond", "interrupt", "pause", "resume"]))
    def the_program_acts(self, what: str) -> None:
        scene = self.scene
        match what:
            case "respond":
                scene.respond()
                self.issued.add(scene.request)
            case "interrupt":
                scene.interrupt()
            case "pause":
                scene.pause()
            case _:
                scene.resume()

    @rule(interrupt=st.booleans(), respond=st.booleans())
    def the_user_types(self, interrupt: bool, respond: bool) -> None:
        self.scene.say("hello", interrupt=interrupt, respond=respond)
        self.issued.add(self.scene.request)

    @precondition(lambda self: self.to_answer)
    @rule(respond=st.booleans())
    def a_tool_answers(self, respond: bool) -> None:
        self.scene.tool_result(self.to_answer.pop(0), {"ok": True}, respond=respond)
        self.issued.add(self.scene.request)

    # -- what must always hold -------------------------------------------------------------------------------------------

    def _take(self) -> None:
        """Carry out what the session asked for since the last look."""
        while self.read < len(self.scene.log):
            effect = self.scene.log[self.read]
            self.read += 1
            match effect:
                case Play():
                    self.queued.setdefault(effect.generation, []).extend(labelled.labels(bytes(effect.pcm)))
                    self.generation = max(self.generation, effect.generation)
                case Pause():
                    self.paused = True
                case Resume():
                    self.paused = False
                case Flush(generation):
                    self.paused = False  # a flushed device is silent, not held
                    self.queued.pop(generation, None)
                    self.generation = generation + 1
                    self.flushes.append((generation, self.scene.now + 0.3))
                case ToolCalled():
                    self.to_answer.append(effect.call_id)
                case Send():
                    self._sees(json.loads(effect.payload))
                case _:
                    pass

    def _sees(self, event: dict[str, Any]) -> None:
        if event["type"] == "response.create":  # invariant 1, C15
            assert not any(other["type"] == "response.create" for other in self.inbox), "two creations under way"
            assert self.active is None or self.active in self.done, "a creation beside a running response"
        if event["type"] == "response.cancel":  # B07, B08, B09, C12
            assert event["response_id"] not in self.done, "a response that was done is cancelled"
        self.inbox.append(event)

    @invariant()
    def it_adds_up(self) -> None:  # invariants 4, 7, 8; B01 to B06, B16
        if not hasattr(self, "inbox"):
            return
        self._take()
        scene = self.scene
        heard = labelled.heard([self.sounded[generation] for generation in sorted(self.sounded)])
        for view in scene.session.segments:
            assert view.heard + view.discarded + view.queued == view.received, view
            assert view.heard <= heard.get(int(view.item_id[1:]), 0), (view, heard)
        deadline = scene.session.deadline
        assert deadline is None or deadline.why  # invariant 12

    @invariant()
    def edits_tell_what_was_heard(self) -> None:  # invariants 4 to 6
        if not hasattr(self, "inbox"):
            return
        heard = labelled.heard([self.sounded[generation] for generation in sorted(self.sounded)])
        for event in sent(self.scene.log):
            if event["type"] == TRUNCATE:
                assert event["audio_end_ms"] == heard[int(event["item_id"][1:])] // 24 > 0, event
            elif event["type"] == DELETE and event["item_id"].startswith("m"):
                assert heard.get(int(event["item_id"][1:]), 0) < 24, event
        for ended in told(self.scene.log, MessageEnded):
            assert ended.heard_ms == heard.get(int(ended.item_id[1:]), 0) // 24, (ended, heard)

    def teardown(self) -> None:
        """Everything is answered and nothing more is asked: the session comes to rest, and every account is settled."""
        if not hasattr(self, "inbox"):
            return
        if self.talking:
            self.speech_stops()
        self.the_program_acts("resume")
        for _ in range(400):
            self.it_adds_up()
            if self.flushes:
                self.it_answers()
            elif self.inbox:
                self.the_server_answers(refuses=False)
            elif self.to_answer:
                self.a_tool_answers(respond=False)
            elif self.active:
                self.the_response_ends("completed")
            elif self.queued.get(self.generation):
                self.it_sounds(400)
            elif self.scene.session.deadline is not None:
                self.scene.at(max(self.scene.now, self.scene.session.deadline.at)).tick()
            else:
                break
        else:
            raise AssertionError(f"it never comes to rest: {self.scene.session.deadline}")
        self.edits_tell_what_was_heard()
        self._everything_is_settled()

    def _everything_is_settled(self) -> None:  # invariants 2, 5, 6, 10
        scene = self.scene
        heard = labelled.heard([self.sounded[generation] for generation in sorted(self.sounded)])
        verdicts = {ended.item_id: ended.verdict.value for ended in told(scene.log, MessageEnded)}
        cut = {event["item_id"] for event in sent(scene.log) if event["type"] == TRUNCATE}
        for number, count in self.sent.items():
            name = f"m{number}"
            assert name in verdicts, f"{name} never ended"
            if heard.get(number, 0) < count - 1:
                assert name in cut | self.gone, f"{name}: {heard.get(number, 0)} of {count} samples heard, {verdicts[name]}"
        made = [event["item"] for event in sent(scene.log) if event["type"] == "conversation.item.create"]
        outputs = [item["call_id"] for item in made if item["type"] == "function_call_output"]
        assert sorted(outputs) == sorted(call.call_id for call in told(scene.log, ToolCalled))
        scene.close()
        assert {ended.request for ended in told(scene.log, RequestEnded)} >= self.issued


Conversation.TestCase.settings = settings(
    deadline=None, derandomize=True, database=None, max_examples=80, stateful_step_count=40, print_blob=True
)
TestConversation = Conversation.TestCase
"""B01 to B09, B11, B13, B15, B16, B31, C01 to C15, C21; DESIGN 6, invariants 1, 2, 4 to 8, 10, 12."""


def test_a_core_that_never_deletes_is_found_and_shrinks_to_a_handful_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    class Told(Conversation):
        def __init__(self) -> None:
            super().__init__()
            steps.clear()  # the last run is that of the smallest example

        @invariant()
        def counted(self) -> None:
            steps.append("a step")

    monkeypatch.setattr(Interruption, "pump_deletes", lambda self: self._unwanted.clear())
    few = settings(Conversation.TestCase.settings, max_examples=40, stateful_step_count=12, print_blob=False)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(Told, settings=few)
    assert 1 <= len(steps) <= 8, len(steps)
