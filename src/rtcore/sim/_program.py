"""The program on top of the session: it answers function calls, and does things beside that a program must be allowed to do.

Everything it does for one turn of the user comes from that turn's own stream. While it does not listen, its reactions wait; then
they come together.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from rtcore._items import HistoryItem
from rtcore._notices import ApprovalRequested, AudioHeld, Problem, ToolCalled
from rtcore.sim._audit_voice import OwnSound
from rtcore.sim._rng import Rng
from rtcore.sim._words import KEYS
from rtcore.sim.speaker import MILLISECOND

if TYPE_CHECKING:
    from rtcore.sim.world import World

_MUCH_LATER_MS = (15_000, 40_000)
"""How long a function takes that nobody waits for any more."""
_AGAIN_MS = 300
"""How long the program waits before it asks again."""
_LOOK_MS, _LOOKS = 100, 100
"""How often, and how many times, the program looks whether a response beside the conversation is heard."""
_CLOSE_LOOK_MS, _CLOSE_LOOKS = 10, 400
"""The same for the moment in which one of two responses has ended and the program has not been told."""
_ERRORS: tuple[object, ...] = (
    {"error": "not found"},
    "",
    {"error": {"code": 503, "message": "caf\u00e9 \u2615 closed"}},
    [],
    None,
)
UPDATES: tuple[dict[str, Any], ...] = (
    {"instructions": "Be brief."},
    {"instructions": ""},
    {"tool_choice": "auto"},
    {"max_output_tokens": 1000},
    {"max_output_tokens": "inf"},
)
_PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
_ASIDES = ("And something else.", "Are you still there?", "Never mind the museum.")


def _note(item_id: str) -> dict[str, Any]:
    """A message of the program's own."""
    return {"id": item_id, "type": "message", "role": "system", "content": [{"type": "input_text", "text": f"As of {item_id}."}]}


class Habits:
    """What one world's program does of its own accord."""

    def __init__(self, world: "World", rng: Rng) -> None:
        self.calls_open = 0
        """Function calls that it has not answered."""
        self.worked_at = 0
        """When one was last asked for or answered: its answer is on its way."""
        self.paused = False
        self.muted = False
        self._world = world
        self._seed = rng.bits()
        self._calls = 0
        self._open: set[str] = set()
        self._deleting: set[str] = set()
        self._away_until = 0
        self._losses = rng.beside("losses")
        self._again = rng.beside("cut again")
        self._on_flush: Callable[[], None] | None = None
        self._guard = rng.beside("guardrail")
        self._spared = False
        self._written = 0
        self._edits = 0

    # -- function calls ------------------------------------------------------------------------------------------------------

    def called(self, notice: ToolCalled) -> None:
        """The model calls a function."""
        world, scenario = self._world, self._world.scenario
        self._works(1)
        self._calls += 1
        self._open.add(notice.call_id)
        if world.own is not None:
            return  # the given program answers
        rng = Rng(self._seed + self._calls)
        output: object = {"ok": True, "temperature": 21}
        wait_ms = rng.between(*scenario.tool_ms)
        if rng.chance(scenario.tool_error_per_mille):
            output = rng.choice(_ERRORS)
            world.saw("program: failing tools")
        if rng.chance(scenario.tool_late_per_mille):
            wait_ms = rng.between(*_MUCH_LATER_MS)
            world.saw("program: slow tools")
        if scenario.slow_ms is not None and wait_ms > scenario.slow_ms:
            world.saw("program: words for a wait")
        if scenario.tool_cancel_per_mille and (giving := rng.beside("given up")).chance(scenario.tool_cancel_per_mille):
            self._later(giving.between(0, wait_ms), lambda: self._give_up(notice.call_id), giving, always=True)
        self._later(wait_ms, lambda: self._answer(notice.call_id, output), rng, always=True)

    def answered(self, call_id: str) -> None:
        """A call has its answer."""
        self._works(-1)
        self._open.discard(call_id)

    def _works(self, more: int) -> None:
        self.calls_open += more
        self.worked_at = self._world.now

    def _give_up(self, call_id: str) -> None:
        """The program waits no longer for a function; what it gives later is refused here (F069)."""
        world = self._world
        if call_id in self._open and world.session.capabilities.create:
            self.answered(call_id)
            world.saw("program: tools given up")
            world.issue(lambda session, now: session.cancel_tool(call_id, now=now), "tool_result")

    def _answer(self, call_id: str, output: object) -> None:
        if call_id not in self._open and self._world.scenario.tool_cancel_per_mille:
            world = self._world
            world.auditor.ledger.saw("F069: a result after its call was given up")
            world.refused("tool_result", lambda session, now: session.tool_result(call_id, output, now=now))
            return
        self.answered(call_id)
        self._world.issue(lambda session, now: session.tool_result(call_id, output, now=now), "tool_result")

    def hurry(self) -> None:
        """It does not wait for the session to be ready: what it asks for is kept until then (F136)."""
        world = self._world
        for _ in range(4):
            world.talk()
        for words in ("Be kind.", "Be brief, too."):
            self._update({"instructions": words})
        world.send_text("Hello?", interrupt=False)

    def ask_at_the_end(self) -> None:
        """It asks for much in the moment in which it hangs up: all of that has to settle too."""
        world = self._world
        if world.session.capabilities.create:
            world.send_text("Goodbye.", interrupt=False)
        world.respond()
        world.issue(lambda session, now: session.update({"instructions": "Be gone."}, now=now), "update")

    # -- asking again --------------------------------------------------------------------------------------------------------

    def failed(self, problem: Problem | None) -> None:
        """Something that was asked for was refused: if it can be tried again, and the user still waits, it asks again."""
        if problem is not None and problem.retryable:
            self._world.at(self._world.now + _AGAIN_MS * MILLISECOND, self._ask_again)

    def _ask_again(self) -> None:
        world = self._world
        if world.user.done or world.speaker.lost:
            return
        if world.user.unanswered:
            world.respond()
        elif world.user.waits_for_answer:
            # What is under way may be an answer that is taken back: it looks again.
            world.at(world.now + _AGAIN_MS * MILLISECOND, self._ask_again)

    # -- beside a turn -------------------------------------------------------------------------------------------------------

    def beside(self, rng: Rng) -> None:
        """The user has made a turn: what the program does beside it."""
        scenario = self._world.scenario
        later = self._later
        if rng.chance(scenario.asides_per_mille):
            # Some go out beside the very creation that answers the turn.
            at_ms = rng.between(0, 2000)
            later(rng.beside("at once").choice((0, at_ms // 10, at_ms)), lambda: self._aside(rng), rng)
        if rng.chance(scenario.edits_per_mille):
            later(rng.between(0, 3000), lambda: self._edit_history(rng), rng)
        if rng.chance(scenario.pauses_per_mille):
            later(rng.between(300, 2500), self.pause, rng)
            later(rng.between(2500, 4000), self.resume, rng, always=True)
        if scenario.mutes_per_mille and (quiet := rng.beside("mute")).chance(scenario.mutes_per_mille):
            at_ms = quiet.between(0, 2500)
            later(at_ms, self._mute, quiet)
            later(at_ms + quiet.between(50, 2500), self._unmute, quiet, always=True)
        if rng.chance(scenario.updates_per_mille):
            change = rng.choice(UPDATES)
            later(rng.between(0, 2500), lambda: self._update(change), rng)
        if rng.chance(scenario.typed_per_mille):
            text = rng.choice(_ASIDES)
            later(rng.between(300, 3000), lambda: self._type(text), rng)
        syncs = rng.beside("synchronises")
        if scenario.syncs_per_mille and syncs.chance(scenario.syncs_per_mille):
            later(syncs.between(0, 2500), lambda: self._synchronise(syncs), syncs)
        if rng.chance(scenario.dead_calls_per_mille):
            later(rng.between(0, 3000), lambda: self._answer_dead_call(rng), rng)
        self._speak_its_words(rng.beside("words"))
        if rng.chance(scenario.device_lost_per_mille):
            told_ms, back_ms = rng.choice((0, 0, 30)), rng.between(300, 3000)
            wait_ms = rng.between(100, 2500)
            if rng.beside("into a flush").chance(700):
                self._on_flush = lambda: self._lose_device(told_ms, back_ms, rng)
            else:
                later(wait_ms, lambda: self._lose_device(told_ms, back_ms, rng), rng)
        if scenario.says_per_mille and (own := rng.beside("own voice")).chance(scenario.says_per_mille):
            later(own.between(0, 3000), lambda: self._say(own), own)
        if rng.chance(scenario.away_per_mille):
            away_ms = rng.between(500, 6000)
            later(rng.between(0, 1500), lambda: self._go_away(away_ms), rng)

    def _speak_its_words(self, rng: Rng) -> None:
        """What the wider vocabulary has for it to do."""
        words, world = self._world.scenario.words, self._world
        if rng.chance(words.keys_per_mille):
            for _ in range(rng.between(1, 3)):
                key = rng.choice(KEYS)
                self._later(rng.between(0, 3000), partial(world.press, key), rng)
        if rng.chance(words.raw_per_mille):
            self._later(rng.between(0, 3000), partial(self._send_raw, rng.below(2)), rng)
        if rng.chance(words.images_per_mille):
            self._later(rng.between(0, 3000), self._show_image, rng)

    def _send_raw(self, which: int) -> None:
        world = self._world
        world.saw("program: raw event")
        event = ({"type": "session.close"}, {"type": "input_audio_buffer.append_video_frame", "video_frame": "AAAA"})[which]
        world.do(lambda session, now: session.send_raw(event, now=now))

    def _show_image(self) -> None:
        world = self._world
        world.saw("program: image")
        picture = {"type": "input_image", "image_url": _PICTURE, "detail": "low"}
        item = {"type": "message", "role": "user", "content": [picture]}
        world.issue(lambda session, now: session.create_item(item, now=now), "create_item")

    def asked(self, notice: ApprovalRequested) -> None:
        """The model asks whether it may call a remote tool: some while later it is told."""
        world = self._world
        if world.own is not None:
            return
        self._works(1)
        self._calls += 1
        rng = Rng(self._seed + self._calls)
        allowed = rng.chance(600)
        request_id = notice.approval_request_id

        def answer() -> None:
            self._works(-1)
            reason = None if allowed else "not now"
            world.auditor.words.answers(request_id, allowed=allowed)
            world.auditor.fillers.approves(request_id)
            world.issue(lambda session, now: session.approve(request_id, approve=allowed, reason=reason, now=now), "tool_result")

        self._later(rng.between(*world.scenario.tool_ms), answer, rng, always=True)

    def _mute(self) -> None:
        """The user is not to be heard for a while."""
        world = self._world
        if not world.session.muted:
            world.tell("program", "mute()")
            world.saw("program: mute")
            self.muted = True
            world.auditor.microphone.mutes(world.now, world.session.input_format.rate)
            world.do(lambda session, now: session.mute(now=now))

    def _unmute(self) -> None:
        world = self._world
        if world.session.muted:
            world.tell("program", "unmute()")
            self.muted = False
            world.auditor.microphone.unmutes(world.now)
            world.do(lambda session, now: session.unmute(now=now))

    def _go_away(self, away_ms: int) -> None:
        world = self._world
        world.saw("program: stops listening")
        self._away_until = max(self._away_until, world.now + away_ms * MILLISECOND)

    def _later(self, ms: int, step: Callable[[], None], rng: Rng, *, always: bool = False) -> None:
        """In so many milliseconds, unless the conversation is over by then; ``always``: even if the user has said all."""
        world = self._world
        world.at(world.now + ms * MILLISECOND + rng.below(MILLISECOND), lambda: self._react(step, always))

    def _react(self, step: Callable[[], None], always: bool) -> None:
        world = self._world
        if world.user.done and not always:
            return
        if world.now < self._away_until:
            world.at(self._away_until, lambda: self._react(step, always))
        else:
            step()

    def _edit_history(self, rng: Rng) -> None:
        world = self._world
        world.saw("program: history edits")
        self._edits += 1
        said = [item for item in world.session.history if item.role == "user"]
        # The newest is what an answer under way stands behind: its announcement may name it when it is gone.
        old = said[rng.beside("which").choice((0, -1, -1, -1))] if said else None
        if old is None or rng.chance(500):
            item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Speak slowly."}]}
            # At the end, at the start, or behind an item that nobody is about to delete.
            users = [known.id for known in world.session.history if known.role == "user" and known.id not in self._deleting]
            behind = rng.choice((None, None, "root", *users[-2:]))
            world.issue(lambda session, now: session.create_item(item, previous_item_id=behind, now=now), "create_item")
        elif old.id not in self._deleting:
            self._deleting.add(old.id)
            world.auditor.deletes(old.id)
            world.issue(lambda session, now: session.delete_item(old.id, now=now), "delete_item")

    def _synchronise(self, rng: Rng) -> None:
        """The program looks at the history, and some time later wants it to be as its own list says (B22)."""
        known = self._world.session.history
        wanted: list[Any] = [item.id for item in known]
        # A list that was made before an edit could be seen undoes it.
        most: int | None = None if self._world.auditor.sync_audit.under_way else 0
        for _ in range(rng.choice((0, 1, 1, 2, 4))):
            most = None
            at = rng.below(len(wanted) + 1)
            change = rng.choice(("add", "drop", "move", "replace"))
            if change == "add" or at == len(wanted):
                self._written += 1
                wanted.insert(at, _note(f"note_{self._written}"))
            elif isinstance(wanted[at], str) and known[0].type == "message":
                named = wanted.pop(at)
                if change == "move":
                    wanted.insert(rng.below(len(wanted) + 1), named)
                elif change == "replace":
                    wanted.insert(at, {**_note(named), "role": "user"})
        edits = self._edits
        self._later(rng.choice((0, 20, 300, 1500)), lambda: self._want(wanted, known, most, edits, rng), rng)

    def _want(self, wanted: list[Any], known: tuple[HistoryItem, ...], most: int | None, edits: int, rng: Rng) -> None:
        world = self._world
        world.saw("program: history synchronised")
        if edits != self._edits:
            most = None  # another list of its own came between: this one undoes what that one did
        self._edits += 1
        edits = self._edits
        request = world.sync(wanted, known, most)

        def again() -> None:
            # What was carried out whole costs nothing a second time, however the conversation has gone on by itself.
            audit = world.auditor.sync_audit
            carried_out = request in audit.whole and request not in audit.unsettled
            if carried_out and edits == self._edits and not world.user.done:
                world.sync(wanted, known, 0)

        self._later(rng.between(6000, 9000), again, rng)

    def _aside(self, rng: Rng) -> None:
        world = self._world
        world.saw("program: out-of-band response")
        audible = rng.chance(500)
        options: dict[str, Any] = {"conversation": "none", "metadata": {"topic": "aside"}}
        if world.scenario.words.own_input:
            world.saw("program: input of its own")
            said = rng.beside("input").choice(_ASIDES)
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": said}]}
            options |= {"input": [item], "metadata": {"topic": "aside", "says": said[:20]}}

        def ask() -> None:
            issued = world.session.respond(options, audible=audible, now=world.seconds)
            if audible:
                world.auditor.wants_to_hear(issued.request)
            world.issued(issued, "respond")

        ask()
        silenced = rng.chance(700) if audible else False
        if audible and world.server.rules.error_event_id == "never" and rng.beside("both").chance(600):
            self._silence_both(_CLOSE_LOOKS)
        elif silenced:
            self._silence_aside(rng.between(0, 600), _LOOKS)

    def _silence_both(self, looks: int) -> None:
        """The program cuts an answer and the response beside it, the running one first, when the end of the other is under way:
        then one cancel is refused while another is in flight, and nothing says which (C14, F057)."""
        world = self._world
        if world.user.done:
            return
        if world.user.hears_answer:
            server = world.server
            known = [
                server.responses[key] for key, seen in world.auditor.ledger.running.items() if seen.audible and not seen.dead
            ]
            running = [served.id for served in known if served.done_at is None]
            ended = [served.id for served in known if served.done_at is not None and served.id not in server.untold]
            if running and ended and any(served.out_of_band for served in known):
                world.auditor.ledger.saw("C14: two cancels at once, one of which comes too late")
                world.interrupt(running[-1])
                world.interrupt(ended[-1])
                return
        if looks:
            world.at(world.now + _CLOSE_LOOK_MS * MILLISECOND, lambda: self._silence_both(looks - 1))

    def _silence_aside(self, wait_ms: int, looks: int) -> None:
        """The program cuts the response beside the conversation some time after its sound has begun, and nothing else."""
        world = self._world
        for view in world.session.segments:
            served = world.server.responses.get(view.response_id)
            if served is not None and served.out_of_band and view.heard and view.queued:
                world.at(world.now + wait_ms * MILLISECOND, partial(world.interrupt, served.id))
                return
        if looks:
            world.at(world.now + _LOOK_MS * MILLISECOND, lambda: self._silence_aside(wait_ms, looks - 1))

    def _update(self, change: dict[str, Any]) -> None:
        world = self._world
        if world.session.speaking:
            world.saw("program: update in mid-response")
        world.tell("program", f"update({change})")
        world.issue(lambda session, now: session.update(change, now=now), "update")

    def _type(self, text: str) -> None:
        world = self._world
        if world.session.speaking:
            world.saw("user: typed text while the model speaks")
        world.send_text(text, interrupt=False)

    def _answer_dead_call(self, rng: Rng) -> None:
        """An answer to a call that is unknown, answered or was never complete: refused here, before anything changes."""
        world = self._world
        calls = {item.call_id for item in world.server.items.values() if item.call_id is not None}
        dead = sorted(calls - self._open)[-4:]
        call_id = rng.choice(["call_of_another_session", *dead])
        world.saw("program: answer to a dead call")
        world.refused("tool_result", lambda session, now: session.tool_result(call_id, "too late", now=now))

    def _lose_device(self, told_ms: int, back_ms: int, rng: Rng) -> None:
        """The audio device vanishes; it is noticed at once or a little later, and comes back (F100)."""
        speaker = self._world.speaker
        if not speaker.lost:
            self._world.tell("speaker", "device lost")
            speaker.lose(now=self._world.now)
            self._device_later(told_ms, lambda: self._tell_device("lost"), rng)
            self._device_later(told_ms + back_ms, lambda: self._tell_device("ready"), rng)

    def flushed(self) -> None:
        """The core asks for silence: some devices vanish just then, before they can answer."""
        step, self._on_flush = self._on_flush, None
        if step is not None:
            self._later(self._losses.choice((0, 0, 0, 5, 40)), step, self._losses)
        elif self._world.speaker.owes(self._world.now) and self._again.chance(600):
            self._cut_again(self._again.between(1, 200))

    def _cut_again(self, wait_ms: int) -> None:
        """The clock will not answer this flush: the answer behind it is cut before the core stops waiting for it (B29)."""
        world = self._world

        def cut() -> None:
            if world.speaker.owes(world.now) and world.user.hears_answer and world.speaker.pending:
                world.interrupt()

        if not world.speaker.owes(world.now) or world.user.done:
            return
        if world.user.hears_answer:
            world.at(world.now + wait_ms * MILLISECOND, cut)
        else:
            world.at(world.now + _LOOK_MS * MILLISECOND, lambda: self._cut_again(wait_ms))

    def _device_later(self, ms: int, step: Callable[[], None], rng: Rng) -> None:
        if ms:
            self._world.at(self._world.now + ms * MILLISECOND + rng.below(MILLISECOND), step)
        else:
            step()

    def _tell_device(self, state: Literal["lost", "ready"]) -> None:
        world = self._world
        world.tell("speaker", f"device {state}")
        if state == "lost":
            world.auditor.interrupts("device", world.now)
        else:
            world.speaker.restore(now=world.now)
        world.do(lambda session, now: session.device(state, now=now))
        if state == "ready":
            self._world.at(world.now + _AGAIN_MS * MILLISECOND, self._ask_again)  # what the loss cut off

    # -- a voice of its own --------------------------------------------------------------------------------------------------

    def _say(self, rng: Rng) -> None:
        """The program says something itself, whole or in pieces. The sound is noise, which no other's samples are like."""
        world = self._world
        if world.session.capabilities.playout != "client":
            return
        world.saw("program: own voice")
        audio = world.scenario.audio
        size = audio.samples(rng.between(60, 900)) * audio.sample_width
        sound = OwnSound(b"".join(rng.bits().to_bytes(8, "little") for _ in range(size // 8)))
        if rng.chance(500):
            world.say(sound)
            return
        self._go_on_saying(world.say_begin(sound), sound, audio.samples(rng.between(20, 300)) * audio.sample_width, rng)

    def _go_on_saying(self, request: int, sound: OwnSound, piece: int, rng: Rng, first: int = 0) -> None:
        """One piece after the other, as fast as a synthesiser makes them, or a little faster than they are heard."""
        world = self._world
        if first >= len(sound.source):
            world.say_end(request)
            return
        world.say_append(request, sound.source[first : first + piece])
        later = partial(self._go_on_saying, request, sound, piece, rng, first + piece)
        self._later(rng.between(0, 60), later, rng, always=True)

    # -- a guardrail ---------------------------------------------------------------------------------------------------------

    def held(self, notice: AudioHeld) -> None:
        """The first audio of a response is held back: it is let go, cut, or the check is too slow (F161)."""
        world, scenario, guard = self._world, self._world.scenario, self._guard
        world.saw("program: guardrail")
        wait_ms = guard.between(0, scenario.hold_ms + scenario.hold_ms // 4)
        # Never twice in a row: what stands in for a blocked answer passes.
        if guard.chance(scenario.blocks_per_mille) and not self._spared:
            self._spared = True
            self._later(wait_ms, lambda: self._block(notice.response_id), guard)
        else:
            self._spared = False
            self._later(wait_ms, lambda: world.release(notice.response_id), guard, always=True)

    def _block(self, response_id: str) -> None:
        """What was to be said must not be heard: something else is asked for instead."""
        world = self._world
        served = world.server.responses.get(response_id)
        world.interrupt(response_id)
        if served is not None and not served.out_of_band:
            world.respond()

    # -- sound ---------------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """The program holds the sound."""
        world = self._world
        world.tell("user", "pause()")
        world.saw("program: pauses")
        if not world.scenario.speaker.pause:
            world.saw("speaker: no pause")
        self.paused = True
        world.auditor.pauses()
        world.do(lambda session, now: session.pause(now=now))

    def resume(self) -> None:
        """It lets it go on, if it held it."""
        if self.paused:
            self.paused = False
            self._world.tell("user", "resume()")
            self._world.auditor.resumes()
            self._world.do(lambda session, now: session.resume(now=now))
