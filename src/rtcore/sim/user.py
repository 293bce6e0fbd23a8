"""A person who interrupts, at points where clients break: between two events, on a sample, in the middle of a function call.

The user watches what the server has said and what the speaker is about to sound (it may: it is no part of what is tested),
waits until its next interruption can be aimed, and acts. Every interruption is followed by a turn that has to be answered; that
answer is what the next interruption falls upon.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from rtcore._notices import MessageStarted, Notice, ResponseEnded, ResponseStarted, UserSpeechStarted, UserSpeechStopped
from rtcore.sim._ledger import Interruption
from rtcore.sim._rng import Rng
from rtcore.sim._server_truth import ServerPart, ServerResponse
from rtcore.sim.scenario import Kind
from rtcore.sim.speaker import MILLISECOND

if TYPE_CHECKING:
    from rtcore.sim.world import World

_PATIENCE = 25_000 * MILLISECOND
"""How long a turn may stay without an answer."""
_HEARD: Kind = "after all was heard"
_ON_THIS_SIDE: tuple[Kind, ...] = ("typed text", "interrupt() by the program", "manual turn", "local detector", "while paused")
_TEXTS = ("And what about tomorrow?", "No, the other one.", "Stop. Start again, please.", "Quelle heure est-il ?")


class Aim(NamedTuple):
    """When to act, and when the news of it is to reach the client (None: as the network has it)."""

    act_at: int
    arrive_at: int | None = None


Aimed = Aim | Literal["not yet", "never"]
"""What came of aiming: ``"not yet"`` while too little is known, ``"never"`` where it cannot be had any more."""

_Step = tuple[int, Callable[[], None]]


class User:
    """One person in front of one world."""

    def __init__(self, world: "World", rng: Rng) -> None:
        self.done = False
        self._world = world
        self._rng = rng
        self._left = world.scenario.interruptions
        self._steps: deque[_Step] = deque()
        self._waiting = False
        self._aim_at: Aim | None = None
        self._kind: Kind = _HEARD
        self._share = 0
        self._at_stop = True
        self._sample = 0
        self._turn_at = 0
        self._accepted = 0
        self._begun: set[str] = set()
        self._ended: set[str] = set()
        self._open: list[Interruption] = []
        self._give_up_at = 0
        self._misses = 0
        self._listening = False

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

    def look(self) -> None:
        """Something happened: can the next interruption be aimed now?"""
        if not self._waiting or self._aim_at is not None or self._steps:
            return
        if not self._left:
            self.done = not self._open
            return
        aimed = self._aim()
        for _ in range(6):
            if aimed != "never":
                break
            self._choose()
            aimed = self._aim()
        if aimed == "never":
            self._kind = _HEARD
            aimed = self._aim()
        if isinstance(aimed, Aim):
            self._aim_at = aimed

    def notices(self, notice: Notice) -> None:
        """What the program hears."""
        match notice:
            case ResponseStarted(out_of_band=False):
                self._begun.add(notice.response_id)
            case ResponseEnded():
                self._ended.add(notice.response_id)
                if notice.status != "cancelled" and not self._world.was_cancelled(notice.response_id):
                    self._answered(notice.response_id)
            case MessageStarted():
                self._answered(notice.response_id)
            case UserSpeechStopped() if self._listening:
                self._listening = False
                self._turn_over()
            case UserSpeechStarted(source="server") if self._world.scenario.microphone and not self._listening:
                self._hear_out()
            case _:
                pass

    # -- turns ---------------------------------------------------------------------------------------------------------------

    def _after(self, ms: int, step: Callable[[], None]) -> None:
        last = self._steps[-1][0] if self._steps else self._world.now
        self._steps.append((last + ms * MILLISECOND + self._rng.below(MILLISECOND), step))

    def _speak_up(self) -> None:
        """A turn of the user that is meant as no interruption (it may be one all the same)."""
        world, rng = self._world, self._rng
        if rng.chance(200):
            self._await_answer()
            world.send_text(rng.choice(_TEXTS), interrupt=rng.chance(500))
            self._turn_over()
        elif world.scenario.microphone:
            self._speak_into_microphone()
        elif world.scenario.detects:
            world.user_speech("started")
            self._after(rng.between(100, 900), self._stop_talking)
        else:
            self._push_to_talk()

    def _stop_talking(self) -> None:
        self._await_answer()
        self._world.user_speech("stopped")
        self._turn_over()

    def _push_to_talk(self) -> None:
        """A turn without turn detection: audio, commit, and the wish for an answer."""
        for _ in range(self._rng.between(3, 8)):
            self._after(40, self._world.talk)
        self._after(1, self._commit)

    def _commit(self) -> None:
        self._await_answer()
        self._world.commit()
        self._world.respond()
        self._turn_over()

    def _speak_into_microphone(self) -> None:
        """Audio in real time, and silence behind it until the server has found the end; again, if it heard nothing."""
        self._listening = True
        self._await_answer()
        for _ in range(self._rng.between(8, 30)):
            self._after(40, self._world.talk)
        for _ in range(120):
            self._after(40, self._keep_silent)
        self._after(40, self._speak_into_microphone)

    def _hear_out(self) -> None:
        """The server has heard a new beginning in the end of what was said: silence, until it has found that end too."""
        self._listening = True
        self._waiting = False
        self._aim_at = None
        self._steps.clear()
        self._await_answer()
        for _ in range(200):
            self._after(40, self._keep_silent)
        self._after(40, self._speak_into_microphone)

    def _keep_silent(self) -> None:
        self._world.talk(silence=True)

    def _await_answer(self) -> None:
        """What the server accepts from here on may be the answer; it does so at the very end of a turn."""
        self._accepted = len(self._world.responses)

    def _turn_over(self) -> None:
        """The turn is made: an answer is due."""
        self._steps.clear()
        self._listening = False
        self._world.resume()
        self._world.turn_made()
        self._waiting = True
        self._turn_at = self._world.now
        self._give_up_at = self._turn_at + _PATIENCE
        self._choose()

    def _answered(self, response_id: str) -> None:
        if response_id in self._begun and self._open and not self._world.was_cancelled(response_id):
            for interruption in self._open:
                interruption.answered = True
            self._open.clear()
            self._misses = 0

    def _give_up(self) -> None:
        """No answer, or nothing left to interrupt: the turn counts as unanswered, and another is tried."""
        if self._open:
            for interruption in self._open:
                interruption.answered = False
            self._open.clear()
        self._misses += 1
        self._waiting = False
        self._aim_at = None
        if self._misses >= 3:
            self._left = 0
            self.done = True
        elif not self._left:
            self.done = True
        else:
            self._after(10, self._speak_up)

    # -- interrupting --------------------------------------------------------------------------------------------------------

    def _choose(self) -> None:
        """Draw what the next interruption is to be."""
        kinds = self._world.scenario.kinds
        roll = self._rng.below(sum(weight for _, weight in kinds))
        for kind, weight in kinds:
            roll -= weight
            if roll < 0:
                self._kind = kind
                break
        self._share = self._rng.below(1000)
        self._at_stop = self._rng.chance(500)
        self._sample = self._rng.between(-1, 1)
        self._delay = self._rng.between(0, 400)

    def _interrupt(self, aim: Aim) -> None:
        world, rng, kind = self._world, self._rng, self._kind
        if kind in ("before the first event", "interrupt() before the response") and self._begun_since():
            self._aim_at = None  # it came too early to be caught: something else
            self._choose()
            self.look()
            return
        self._aim_at = None
        self._waiting = False
        self._left -= 1
        self._begun.clear()
        if kind == "while paused":
            world.pause()
            self._after(rng.between(5, 400), lambda: self._cut_in(kind, None))
        else:
            self._cut_in(kind, aim.arrive_at)

    def _cut_in(self, kind: Kind, arrive_at: int | None) -> None:
        world, rng = self._world, self._rng
        self._open.append(world.begin_interruption(kind))
        if kind == "typed text":
            self._await_answer()
            world.send_text(rng.choice(_TEXTS), interrupt=True)
            self._turn_over()
            return
        if kind in ("interrupt() by the program", "interrupt() before the response"):
            world.interrupt()
            self._after(rng.between(0, 600), self._speak_up)
            return
        if kind == "manual turn":
            world.interrupt()
            self._push_to_talk()
            return
        if kind == "local detector" or not world.scenario.detects:
            world.local_speech("started")
            if world.scenario.microphone or not world.scenario.detects or rng.chance(300):
                self._after(rng.between(0, 600), self._speak_up)
                return
            self._after(rng.between(0, 150), lambda: world.user_speech("started"))
        elif world.scenario.microphone:
            self._speak_into_microphone()
            return
        else:
            world.user_speech("started", arrive_at=arrive_at)
        if kind == "twice within 100 ms":
            self._after(rng.between(10, 45), lambda: world.user_speech("stopped"))
            self._after(rng.between(10, 45), lambda: world.user_speech("started"))
        self._after(rng.between(80, 1200), self._stop_talking)

    # -- aiming --------------------------------------------------------------------------------------------------------------

    def _begun_since(self) -> bool:
        return bool(self._begun)

    def _answer(self) -> ServerResponse | None:
        """The newest response since the turn, as the server knows it."""
        responses = self._world.responses
        return responses[-1] if len(responses) > self._accepted else None

    def _messages(self, response: ServerResponse) -> list[ServerPart]:
        """The first audio part of each message of it, in order."""
        items = self._world.server.items
        found: list[ServerPart] = []
        for item_id in response.item_ids:
            part = next((part for part in items[item_id].parts if part.kind == "audio"), None)
            if part is not None:
                found.append(part)
        return found

    def _aim(self) -> Aimed:
        world, kind = self._world, self._kind
        now = world.now
        if kind in ("before the first event", "interrupt() before the response"):
            limit = 400 if kind == "before the first event" else 150
            return "never" if self._begun_since() else Aim(max(now, self._turn_at + self._delay * limit // 400 * MILLISECOND))
        response = self._answer()
        if response is None:
            return "not yet"
        if kind == _HEARD:
            return Aim(now + self._delay * 3 * MILLISECOND) if self._begun and world.idle() else "not yet"
        parts = self._messages(response)
        if kind == "between declaration and audio":
            if any(part.first_audio_at is None and part.done_at is None for part in parts):
                return Aim(now)
            return "never" if response.done_at is not None or parts else "not yet"
        if kind == "during a function call":
            return self._aim_at_call(response)
        if kind == "in an underrun":
            if response.done_at is not None and not world.down_busy:
                return "never"
            return Aim(now, now + 1) if world.dry and parts and parts[0].first_audio_at is not None else "not yet"
        if kind == "after all audio arrived":
            pending = world.speaker.pending
            if response.id not in self._ended:
                return "not yet"
            left = world.scenario.audio.ms(pending) * MILLISECOND
            at = now + left * self._share // 1000
            return self._arriving(at) if pending else "never"
        if not parts:
            return "never" if response.done_at is not None else "not yet"
        if kind in ("at the boundary", "inside message 2"):
            if len(parts) < 2:
                return "never" if response.done_at is not None else "not yet"
            return self._aim_at_sample(parts[1], self._sample) if kind == "at the boundary" else self._aim_inside(parts[1])
        if kind == "on the first sample":
            return self._aim_at_sample(parts[0], self._sample + 1)
        which = self._share % len(parts) if kind not in ("inside message 1", "twice within 100 ms") else 0
        return self._aim_inside(parts[which])

    def _aim_at_call(self, response: ServerResponse) -> Aimed:
        world = self._world
        if world.calls_open:
            return Aim(world.now + self._delay // 8 * MILLISECOND)
        items = [world.server.items[item_id] for item_id in response.item_ids]
        if any(item.type == "function_call" and item.done_at is None for item in items):
            return Aim(world.now)
        return "never" if response.done_at is not None and not world.down_busy else "not yet"

    def _aim_at_sample(self, part: ServerPart, sample: int) -> Aimed:
        """So that the sound stops (or the news arrives) when exactly so many samples of the part were heard."""
        world = self._world
        start = world.start_of(part)
        if start is None:
            return "not yet"
        generation, first = start
        at = world.speaker.reaches(generation, max(1, first + sample))
        if at is None:
            return "never"
        if self._at_stop:
            at -= world.speaker.next_stop_latency
        return self._arriving(at) if at > world.now else "never"

    def _aim_inside(self, part: ServerPart) -> Aimed:
        world = self._world
        start = world.start_of(part)
        if start is None:
            return "not yet"
        generation, first = start
        heard = max(0, world.speaker.sounded(generation) - first)
        sample = max(1, part.planned_samples * self._share // 1000)
        if heard >= sample:
            if heard >= part.planned_samples - 1:
                return "never"
            sample = heard + 1 + (part.planned_samples - heard) * self._share // 1000
        at = world.speaker.reaches(generation, first + sample)
        return "not yet" if at is None else self._arriving(at)

    def _arriving(self, at: int) -> Aim:
        """Act so much earlier as the news takes to the client."""
        world = self._world
        by_network = self._kind not in _ON_THIS_SIDE
        lead = world.scenario.stream.latency_ms * MILLISECOND if by_network else 0
        return Aim(max(world.now, at - lead), at)
