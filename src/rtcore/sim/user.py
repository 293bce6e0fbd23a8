"""A person who interrupts, at points where clients break: between two events, on a sample, in the middle of a function call.

The interruptions are drawn ahead (``Turn``), each with a stream of its own, so that a script that leaves one out shifts no other.
The user waits until the next one can be aimed, and acts. Every interruption is followed by a turn that has to be answered
(backchannels and silence expect nothing); that answer is what the next interruption falls upon. When all are done, and nothing
goes wrong any more, one last turn shows that the session still listens and answers (invariant 15).
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtcore._notices import (
    FalseInterruption,
    Interrupted,
    InterruptionPending,
    MessageEnded,
    MessageStarted,
    Notice,
    ResponseEnded,
    ResponseStarted,
    UserSpeechStarted,
    UserSpeechStopped,
    Verdict,
)
from rtcore.sim._aim import ANYTHING, HEARD, NEVER, Aim, Aimer
from rtcore.sim._aim_call import CallAimer
from rtcore.sim._kinds import Kind, Turn, draw_aim, draw_turn
from rtcore.sim._ledger import Interruption
from rtcore.sim._rng import Rng
from rtcore.sim.speaker import MILLISECOND

if TYPE_CHECKING:
    from rtcore.sim.world import World

_PATIENCE = 120_000 * MILLISECOND
"""How long a turn may stay without an answer: what is refused, lost and slow takes ten seconds each time, and adds up."""
_TRIES = 6
"""So many other aims are tried where one cannot be had any more."""
_EXPECTS_NOTHING = frozenset({"backchannel", "silence"})
_TEXTS = ("And what about tomorrow?", "No, the other one.", "Stop. Start again, please.", "Quelle heure est-il ?")

OF_INTEREST: frozenset[type[Notice]] = frozenset(
    {
        FalseInterruption,
        Interrupted,
        InterruptionPending,
        MessageEnded,
        MessageStarted,
        ResponseEnded,
        ResponseStarted,
        UserSpeechStarted,
        UserSpeechStopped,
    }
)
"""The news that a user listens to."""

_Step = tuple[int, Callable[[], None]]


class User:
    """One person in front of one world."""

    def __init__(self, world: "World", rng: Rng) -> None:
        self.done = False
        self.wants = 0
        """What has to change before ``look`` is worth a call: bits of ``_aim``."""
        self._world = world
        self._rng = rng.fork("opening")
        scenario = world.scenario
        ahead = rng.fork("turns")
        drawn = scenario.turns
        self.turns = (
            drawn if drawn is not None else tuple(draw_turn(ahead, scenario.kinds) for _ in range(scenario.interruptions))
        )
        """The interruptions, in order."""
        self.made = 0
        """How many of them there have been."""
        self._turn: Turn | None = None
        self._last = rng.fork("last turn")
        self._others = self._rng
        self._steps: deque[_Step] = deque()
        self._waiting = False
        self._aim_at: Aim | None = None
        self._aimer = CallAimer(world) if world.server.call is not None else Aimer(world)
        self._open: list[Interruption] = []
        self._give_up_at = 0
        self._misses = 0
        self._listening = False
        self._frames_left = 0
        self._ignored: set[str] = set()
        """Items of what was taken for an echo."""
        self._in_question: set[str] | None = None
        """Items of which it is open whether they are one, and of what was said since."""
        self._turn_item: str | None = None
        """The item of its last turn, where it was found in real audio."""
        self._on_edit: Callable[[], None] | None = None
        self._final = False
        self._has_answer = False
        self._verdicts: dict[str, Verdict] = {}

    # -- the world asks ------------------------------------------------------------------------------------------------------

    @property
    def next_at(self) -> int | None:
        """When it acts next, as far as it knows."""
        if self._steps:
            return self._steps[0][0]
        if not self._waiting:
            return None
        return self._aim_at.act_at if self._aim_at is not None else self._give_up_at

    def begin(self) -> None:
        """The session is ready: the first turn."""
        self._after(self._rng.between(0, 300), self._speak_up)

    def act(self, now: int) -> None:
        """``next_at`` is reached."""
        if self._steps:
            _, step = self._steps.popleft()
            step()
        elif self._aim_at is not None:
            self._interrupt(self._aim_at)
        elif self._waiting and now >= self._give_up_at:
            self._give_up()
        self.wants = ANYTHING

    def look(self) -> None:
        """Something that it waits for changed: can the next interruption be aimed now?"""
        self.wants = 0
        if self._on_edit is not None:
            if self._world.editing:
                step, self._on_edit = self._on_edit, None
                step()
            self.wants = ANYTHING
            return
        if not self._waiting or self._aim_at is not None or self._steps:
            return
        if self._turn is None:
            self.done = not self._open
            self.wants = ANYTHING
            return
        aimed = self._aimer.aim(self._turn)
        for _ in range(_TRIES):
            if aimed != NEVER:
                break
            self._turn = draw_aim(self._others, self._world.scenario.kinds, self._turn.seed)
            aimed = self._aimer.aim(self._turn)
        if aimed == NEVER:
            # What is left of the answer, or the time after it.
            kind: Kind = "after all audio arrived" if self._aimer.sound_left else HEARD
            self._turn = _as_kind(self._turn, kind)
            aimed = self._aimer.aim(self._turn)
        if isinstance(aimed, Aim):
            self._aim_at = aimed
        else:
            self.wants = aimed

    def stranded(self) -> bool:
        """Nothing goes on any more, and it waits for a moment that will not come: it interrupts the silence instead."""
        waits = self._waiting and self._aim_at is None and not self._steps and self._turn is not None
        if not waits or self._turn is None or (self._open and self._aimer.answer() is None):
            return False
        self._turn = _as_kind(self._turn, HEARD)
        # Where the model seems to be speaking still, some wait for it.
        patience = _WAITS_MS if self._turn.share % 2 and self._world.session.speaking else 0
        self._aim_at = Aim(self._world.now + (self._turn.delay + patience) * MILLISECOND)
        return True

    def notices(self, notice: Notice) -> None:
        """What the program hears."""
        aimer = self._aimer
        match notice:
            case ResponseStarted(out_of_band=False):
                aimer.begun[notice.response_id] = None
            case ResponseEnded():
                aimer.ended.add(notice.response_id)
                if notice.status != "cancelled" and not self._world.was_cancelled(notice.response_id):
                    self._answered(notice.response_id)
            case MessageStarted():
                self._answered(notice.response_id)
            case MessageEnded() if self._final:
                self._verdicts[notice.item_id] = notice.verdict
            case FalseInterruption(answered=False) if self._world.room is not None:
                self._unheard({notice.item_id or "", *(self._in_question or ())})
                self._in_question = None
            case InterruptionPending():
                self._in_question = {notice.item_id or ""}
                return
            case Interrupted():
                self._in_question = None
                return
            case UserSpeechStarted(source="server") if self._world.room is not None:
                if self._in_question is not None:
                    self._in_question.add(notice.item_id or "")
                if self._world.room.only_echo:
                    self._world.saw("speaker: echo")
            case UserSpeechStopped() if self._listening and self._world.room is not None:
                if (notice.audio_end_ms or 0) < self._world.room.spoken_ms or self._talking:
                    return  # the end of something else
                self._listening = False
                self._turn_item = notice.item_id
                if notice.item_id in self._ignored:
                    self._after(self._rng.between(500, 2000), self._speak_up)
                else:
                    self._turn_over(self._rng)
            case UserSpeechStopped() if self._listening:
                self._listening = False
                self._turn_over(self._rng)
            case UserSpeechStarted(source="server") if self._world.scenario.microphone and not self._listening:
                self._hear_out()
            case _:
                return
        self.wants = ANYTHING

    @property
    def _talking(self) -> bool:
        """It has not said all of its turn."""
        return self._frames_left > 0

    def _unheard(self, item_ids: set[str]) -> None:
        """What was said was taken for an echo: whoever meant it says it again, when the model is silent."""
        self._ignored |= item_ids
        if self._waiting and not self._has_answer and self._turn_item in item_ids:
            self.dismissed()
            if self._waiting:
                self._say_again()

    # -- the last turn -------------------------------------------------------------------------------------------------------

    def speak_last(self) -> None:
        """Nothing goes wrong any more: one more turn, which nothing interrupts."""
        self._final = True
        self._waiting = False
        self.done = self.done and not self._world.scenario.words.listens
        self._steps.clear()
        self._aimer.begun.clear()
        self._rng = self._last
        self._after(10, self._speak_up)

    @property
    def heard_out(self) -> bool:
        """Whether the last turn was answered, and the answer heard to its end."""
        if self._world.scenario.words.listens:
            return self._final and self.done
        answer = self._aimer.answer()
        if not self._final or answer is None or answer.status != "completed" or answer.id not in self._aimer.begun:
            return False
        items = self._world.server.items
        messages = [item_id for item_id in answer.item_ids if items[item_id].type == "message"]
        return all(self._verdicts.get(item_id) in (Verdict.FULL, Verdict.TEXT) for item_id in messages)

    # -- turns ---------------------------------------------------------------------------------------------------------------

    def _after(self, ms: int, step: Callable[[], None]) -> None:
        last = self._steps[-1][0] if self._steps else self._world.now
        self._steps.append((last + ms * MILLISECOND + self._rng.below(MILLISECOND), step))

    def _speak_up(self) -> None:
        """A turn of the user that is meant as no interruption (it may be one all the same)."""
        world, rng = self._world, self._rng
        if world.scenario.recogniser:
            self._say_in_words()
        elif rng.chance(200) and world.session.capabilities.create and not world.scenario.words.listens:
            self._await_answer()
            world.send_text(rng.choice(_TEXTS), interrupt=rng.chance(500))
            self._turn_over(rng)
        elif world.scenario.microphone:
            self._speak_into_microphone(rng.between(8, 30))
        elif world.scenario.detects:
            world.user_speech("started")
            self._after(rng.between(60, 500), self._stop_talking)
        else:
            self._push_to_talk()

    def _stop_talking(self) -> None:
        self._await_answer()
        self._world.user_speech("stopped")
        self._turn_over(self._rng)

    def _push_to_talk(self) -> None:
        """A turn without turn detection: audio, commit, and the wish for an answer; or a button, which says all of that."""
        if self._world.scenario.button:
            self._world.begin_turn()
        for _ in range(self._rng.between(3, 8)):
            self._after(40, self._world.talk)
        self._after(1, self._commit)

    def _say_in_words(self, *, begun: bool = False) -> None:
        """A turn that a recogniser of the program's own writes down. Mostly a detector hears it, too; ``begun``: it has."""
        world, rng = self._world, self._rng
        if not begun and rng.chance(800):
            world.local_speech("started")
            begun = True
        if rng.chance(300):
            for _ in range(rng.between(1, 5)):
                self._after(40, world.talk)  # the server hears it as well, and makes nothing of it
        if begun:
            self._after(rng.between(60, 500), lambda: world.local_speech("stopped"))
        self._after(rng.between(0, 300), self._recognised)

    def _recognised(self) -> None:
        self._await_answer()
        self._world.user_turn(self._rng.choice(_TEXTS))
        self._turn_over(self._rng)

    def _commit(self) -> None:
        self._await_answer()
        listens = self._world.scenario.words.listens
        if self._world.scenario.button:
            self._world.end_turn(respond=not listens)
        else:
            self._world.commit()
            if not listens:
                self._world.respond()
        self._turn_over(self._rng)

    def _speak_into_microphone(self, frames: int, mute_ms: int = 0) -> None:
        """Audio in real time, and silence behind it until the server has found the end; again, if it heard nothing.

        Where the microphone is muted first, nothing at all comes for so long: the server's detector has no clock but the audio.
        """
        self._listening = True
        self._await_answer()
        self._frames_left = frames
        for _ in range(frames):
            self._after(40, self._talk)
        if mute_ms:
            self._after(mute_ms, self._keep_silent)
        for _ in range(120):
            self._after(40, self._keep_silent)
        self._after(40, self._try_again)

    def _talk(self) -> None:
        self._frames_left -= 1
        self._world.talk()

    def _try_again(self) -> None:
        self._speak_into_microphone(self._rng.between(8, 30))

    def _hear_out(self) -> None:
        """The server has heard a new beginning in the end of what was said: silence, until it has found that end too."""
        self._listening = True
        self._waiting = False
        self._aim_at = None
        self._steps.clear()
        self._await_answer()
        for _ in range(200):
            self._after(40, self._keep_silent)
        self._after(40, self._try_again)

    def _keep_silent(self) -> None:
        self._world.talk(silence=True)

    def _await_answer(self) -> None:
        """What the server accepts from here on may be the answer; it does so at the very end of a turn."""
        self._aimer.accepted = len(self._world.responses)

    def _turn_over(self, rng: Rng) -> None:
        """The turn is made: an answer is due."""
        world = self._world
        self._steps.clear()
        self._listening = False
        self._on_edit = None
        self._has_answer = False
        world.auditor.turn_over(world.now)
        world.program.resume()
        if not self._final:
            world.program.beside(rng.fork("beside"))
        if world.scenario.words.listens:
            self._speak_on()
            return
        self._waiting = True
        self._aimer.turn_at = world.now
        self._give_up_at = world.now + _PATIENCE
        self._turn = self.turns[self.made] if self.made < len(self.turns) and not self._final else None
        if self._turn is not None:
            self._others = Rng(self._turn.seed).fork("other aims")

    def _speak_on(self) -> None:
        """Nobody answers: the next turn comes after a while, until all have been made."""
        self._world.saw("server: only transcribes")
        self.made += 1
        if self.made < len(self.turns) and not self._final:
            self._after(self._rng.between(100, 3000), self._speak_up)
        else:
            self.done = True

    @property
    def unanswered(self) -> bool:
        """Its last turn has no answer, and none is on its way."""
        world = self._world
        under_way = world.server.active_response is not None or world.auditor.ledger.creations
        return self.waits_for_answer and not under_way

    @property
    def waits_for_answer(self) -> bool:
        """Its last turn has no answer yet."""
        return self._waiting and not self._has_answer

    @property
    def hears_answer(self) -> bool:
        """Its last turn has an answer, of which something was heard, and nothing has interrupted it."""
        return self._waiting and self._has_answer

    def _answered(self, response_id: str) -> None:
        if response_id in self._aimer.begun and not self._world.was_cancelled(response_id):
            self._has_answer = True
            for interruption in self._open:
                interruption.answered = True
            self._open.clear()
            self._misses = 0

    def _give_up(self) -> None:
        """No answer, or nothing left to interrupt: the turn counts as unanswered, and another is tried."""
        deaf = self._world.auditor.line.deaf  # nothing reaches anybody, and nobody has noticed
        if self._open and not deaf:
            self._world.auditor.ledger.fail(15, f"a turn of the user got no answer in {_PATIENCE // MILLISECOND} ms")
        for interruption in self._open:
            interruption.answered = None if deaf else False
        self._open.clear()
        self._misses += 1
        self._waiting = False
        self._aim_at = None
        if self._misses >= 3 or self._turn is None:
            self._turn = None
            self.made = len(self.turns)
            self.done = True
        else:
            self._after(10, self._speak_up)

    def dismissed(self) -> None:
        """What it said was nothing to the session: it is not answered, and the model goes on."""
        for interruption in self._open:
            interruption.answered = None
        self._open.clear()
        if self._final and self._waiting:
            self._say_again()  # a world ends with an answer, and what comes now is one to an earlier turn

    def _say_again(self) -> None:
        self._waiting = False
        self._aim_at = None
        self._after(self._rng.between(500, 2000), self._speak_up)

    # -- interrupting --------------------------------------------------------------------------------------------------------

    def _interrupt(self, aim: Aim) -> None:
        turn = self._turn
        self._aim_at = None
        if turn is None or self._aimer.too_late(turn.kind):
            # It came too early to be caught: something else.
            if turn is not None:
                self._turn = draw_aim(self._others, self._world.scenario.kinds, turn.seed)
            self.look()
            return
        world = self._world
        self._waiting = False
        self._rng = Rng(turn.seed).fork("act")
        world.interrupting(self.made)
        self.made += 1
        one = self._aimer.oldest() if turn.share % 3 == 0 else self._aimer.newest()
        self._aimer.begun.clear()
        if turn.kind == "while paused":
            world.program.pause()
            # Some come into the very flush that a clock which cannot pause was sent for the pause.
            wait_ms = self._rng.between(*self._rng.choice(((2, 40), (5, 400))))
            self._after(wait_ms, lambda: self._cut_in(turn.kind, None))
        else:
            self._cut_in(turn.kind, aim.arrive_at, one)

    def _cut_in(self, kind: Kind, arrive_at: int | None, response_id: str | None = None) -> None:
        world, rng = self._world, self._rng
        one = world.begin_interruption(kind)
        if world.scenario.interruption == "pause" and kind in _MUMBLES:
            world.mumbles(rng.choice(_MUMBLES[kind]))
        if kind not in _EXPECTS_NOTHING:
            self._open.append(one)
        if kind == "typed text" and world.session.capabilities.create:
            self._await_answer()
            world.send_text(rng.choice(_TEXTS), interrupt=True)
            self._turn_over(rng)
            return
        if kind in ("interrupt() by the program", "interrupt() before the response", "typed text"):
            world.interrupt()
            self._after(rng.between(0, 300), self._speak_up)
            return
        if kind == "interrupt() of one response":
            world.interrupt(response_id)
            self._after(rng.between(0, 300), self._speak_up)
            return
        if kind == "manual turn" and world.scenario.recogniser:
            self._say_in_words()
            return
        if kind == "manual turn":
            world.interrupt()
            self._push_to_talk()
            return
        if kind == "pressed twice":
            self._press_twice()
            return
        if kind == "while a truncate is in flight":
            self._on_edit = self._once_more
        if world.scenario.recogniser:
            world.local_speech("started")
            self._say_in_words(begun=True)
            return
        if kind == "local detector" or not world.scenario.detects:
            world.local_speech("started")
            if world.scenario.microphone or not world.scenario.detects or rng.chance(300):
                self._after(rng.between(0, 300), self._speak_up)
                return
            self._after(rng.between(0, 150), lambda: world.user_speech("started"))
        elif world.scenario.microphone:
            self._speak_into_microphone(rng.between(2, 4) if kind == "cough" else rng.between(8, 30), _mute_ms(kind, rng))
            return
        else:
            world.user_speech("started", arrive_at=arrive_at)
        if kind == "twice within 100 ms":
            self._after(rng.between(10, 45), lambda: world.user_speech("stopped"))
            self._after(rng.between(10, 45), lambda: world.user_speech("started"))
        talks_ms = world.scenario.talk_ms or _TALKS_MS.get(kind, (60, 600))
        self._after(_mute_ms(kind, rng) or rng.between(*talks_ms), self._stop_talking)

    def _press_twice(self) -> None:
        """Push-to-talk, and at once again: the first turn is too short, or its answer is wanted no more (F123, F125)."""
        world, rng = self._world, self._rng
        button = world.scenario.button
        if world.scenario.recogniser:
            self._say_in_words()  # nothing is pressed there
            return
        (world.begin_turn if button else world.interrupt)()
        for _ in range(rng.between(1, 4)):
            world.talk()
        if button:
            world.end_turn()
        else:
            world.commit()
            world.respond()
        self._after(rng.between(0, 60), world.interrupt)
        self._push_to_talk()

    def _once_more(self) -> None:
        """Our truncate is on its way, and the next interruption comes already: by voice, by the program, or typed."""
        world, rng = self._world, self._rng
        how = rng.below(3)
        if how == 0 and world.scenario.detects and not world.scenario.microphone:
            world.user_speech("stopped")
            world.user_speech("started")
        elif how == 1 and world.session.capabilities.create:
            world.send_text(rng.choice(_TEXTS), interrupt=True)
        else:
            world.interrupt()


_MUMBLES: dict[Kind, tuple[str, ...]] = {
    "cough": ("",),
    "silence": ("",),
    "backchannel": ("Mhm.", "Uh-huh, okay.", "Yeah... right!"),
}
"""What is written down of something that is no interruption."""
_WAITS_MS = 8_000
"""How long some people wait for a model that says nothing and is said to speak."""
_TALKS_MS: dict[Kind, tuple[int, int]] = {
    "cough": (50, 150),
    "backchannel": (150, 450),
    "while a truncate is in flight": (300, 900),
}
"""How long the user speaks; between 60 and 600 ms where nothing else is said."""


def _mute_ms(kind: Kind, rng: Rng) -> int:
    """How long a microphone that had begun to be heard says nothing (F126)."""
    return rng.between(1500, 5000) if kind == "silence" else 0


def _as_kind(turn: Turn, kind: Kind) -> Turn:
    return Turn(kind, turn.share, turn.sample, turn.at_stop, turn.delay, turn.seed)
