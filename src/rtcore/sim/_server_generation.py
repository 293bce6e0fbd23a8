"""One response being generated: its events in the protocol's order, faster than real time, until it ends or is cut.

``_stream`` is the plan told as a generator that yields the microseconds until its next step; ``step`` runs it when that time has
come. A cut lets a few deltas more through, hurried, and then closes everything that is open (protocol facts, 4.3 to 4.9).
"""

from collections.abc import Iterator
from typing import Literal

from rtcore.sim._rng import Rng
from rtcore.sim._server_checks import Fault
from rtcore.sim._server_plan import CallPlan, MessagePlan, ResponsePlan
from rtcore.sim._server_state import State
from rtcore.sim._server_telling import Output, Telling
from rtcore.sim._server_truth import ServerPart, ServerResponse
from rtcore.sim._server_wire import Json

CutReason = Literal["turn_detected", "client_cancelled"]

SLOW_S = 10.0
"""No client waits longer for a response to begin."""
# An item's closing events leave together, a moment after its last delta; response.done some moments after the last item.
_SETTLE_US = 2_000
_DONE_US = 30_000
_TEXT_US = 15_000
_WORDS_A_DELTA = 3
# How many deltas still come of a response that lingers, and how far apart its steps are at least.
_LINGERS_FOR = (2, 9)
_LINGERS_US = (150_000, 500_000)
# So many steps more it waits for an announcement that is late.
_PATIENCE = 8
# How long after the cut it announces what it has not announced by then.
_CATCHES_UP_MS = (1000, 2500)


class Generation:
    """Runs one response. ``at`` is when the next step is due (``now`` seconds); ``finished``: ``response.done`` was sent."""

    def __init__(self, state: State, response: ServerResponse, plan: ResponsePlan, wanted: Json, rng: Rng) -> None:
        self.state = state
        self.response = response
        self.plan = plan
        self.at = state.now
        self.finished = False
        self.cut: CutReason | None = None
        self._rng = rng
        self._tell = Telling(state, response, plan, wanted, self._rng)
        # After a cut: how many deltas may be through in the end, and how soon one follows the other.
        self._last_delta = 0
        self._closing = False
        self._begun = False
        self._tail: tuple[Output, ServerPart] | None = None
        self._hurry_us = 0
        self._lingers = False
        self._waits = False
        self._patience = _PATIENCE
        self._steps = self._stream()

    # -- from outside ---------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Do what is due at ``at`` and find the next moment."""
        if self._waits:
            if not self._wait():
                self._cascade()
            return
        wait = next(self._steps, None)
        if wait is None or self.finished:
            self.finished = True
            return
        if self.cut is not None:
            if self._tell.deltas >= self._last_delta:
                self._waits = self._lingers
                if not self._wait():
                    self._cascade()
                return
            # One that lingers goes on slowly, but does not fall silent; any other only lets out what was on its way.
            wait = max(min(wait, _LINGERS_US[1]), self._hurry_us) if self._lingers else min(wait, self._hurry_us)
        self.at += wait / 1_000_000

    def _wait(self) -> bool:
        """One that lingers does not close what it has not announced, for a while."""
        if not (self._waits and self._patience and self._tell.behind):
            return False
        self._patience -= 1
        self.at += self._hurry_us / 1_000_000
        return True

    def stop(self, reason: CutReason, *, at_once: bool = False) -> None:
        """End it: a few deltas still leave (drawn), unless ``at_once``. A second reason changes nothing."""
        if self.finished or (self.cut is not None and not at_once):
            return
        if self._closing and self.state.rules.late_cancel == "completed":
            self.response.stop_requested_at = self.state.now
            return
        if self.cut is None:
            self.cut = reason
            self.response.stop_requested_at = self.state.now
            low, high = self.state.options.stragglers
            planned = self.plan.stragglers
            stragglers = self._rng.between(low, high) if planned is None else planned
            chance = self._rng.beside("slow cancel")
            self._hurry_us = self._rng.between(500, 20_000)
            # A server that is behind with its announcements is behind with its cancels, too.
            often = 2 if self._tell.behind else 1
            if planned is None and chance.chance(often * self.state.options.linger_per_mille):
                self._lingers = True
                stragglers = chance.between(*_LINGERS_FOR)
                self._hurry_us = chance.between(*_LINGERS_US)
                self.state.saw("slow cancel")
                self._tell.announce_within(chance.between(*_CATCHES_UP_MS) / 1000)
            self._last_delta = self._tell.deltas + stragglers
        if at_once or self._tell.deltas >= self._last_delta or not self._begun:
            self._cascade()
        else:
            self.at = min(self.at, self.state.now + self._hurry_us / 1_000_000)

    @property
    def ending(self) -> bool:
        """Whether its ``response.done`` is a matter of moments: it was cut, or has nothing left to say."""
        return self.cut is not None or self._closing

    @property
    def started(self) -> bool:
        """Whether the time of its first event has come."""
        return self._begun

    # -- the stream -----------------------------------------------------------------------------------------------------------

    def _stream(self) -> Iterator[int]:
        plan, rng = self.plan, self._rng
        yield round(plan.think_s * 1_000_000)
        if plan.think_s >= SLOW_S:
            self.state.saw("slow to begin")
        self._begin()
        self._tell.created()
        yield rng.between(0, 20_000)
        for index, out in enumerate(self._tell.outputs):
            following = self._tell.outputs[index + 1] if index + 1 < len(self._tell.outputs) else None
            self._tell.open(out)
            if isinstance(out.plan, CallPlan):
                yield from self._say_call(out)
            else:
                yield from self._say_message(out, following)
            if following is None and not self.finished:
                yield from self._say_tail()
            if self.finished:
                return
            if following is not None and (self._held or plan.interleaving == "late_close"):
                continue
            self._closing = following is None
            yield _SETTLE_US
            if self._ends_here():
                return
            self._close_before(index + 1)
        yield rng.between(0, _DONE_US)
        if not self._ends_here():
            self._finish(self.plan.ends, self.plan.detail)

    def _begin(self) -> None:
        self._begun = True
        if not self.response.out_of_band:
            self.state.generating += 1
            if self.state.generating > 1:
                self.state.saw("overlapping responses")

    def _ends_here(self) -> bool:
        if self.cut is not None:
            self._cascade()
        return self.cut is not None

    def _end_status(self, last: bool) -> str:
        return "incomplete" if last and self.plan.ends != "completed" else "completed"

    @property
    def _held(self) -> bool:
        return self.plan.closing in ("held", "reversed")

    def _close_before(self, index: int) -> None:
        outputs = self._tell.outputs[:index]
        if self.plan.closing == "reversed":
            outputs.reverse()
        for out in outputs:
            if out.item is not None and not out.closed:
                self._tell.close(out, "completed" if out.index + 1 < len(self._tell.outputs) else self._end_status(True))

    def _say_message(self, out: Output, following: Output | None) -> Iterator[int]:
        assert isinstance(out.plan, MessagePlan)
        for index in range(len(out.plan.parts)):
            part = self._tell.open_part(out, index)
            if part.kind == "text":
                yield from self._say_text(out, part)
            else:
                yield from self._say_audio(out, part, following)
                if self.plan.tail_ms and part.sent_bytes < part.planned_bytes:
                    self._tail = (out, part)
            if index + 1 < len(out.plan.parts):
                yield _SETTLE_US
                if self._ends_here():
                    return
                self._tell.close_part(out, part)

    def _say_text(self, out: Output, part: ServerPart) -> Iterator[int]:
        words = part.planned_text.split(" ")
        for at in range(0, len(words), _WORDS_A_DELTA):
            yield _TEXT_US
            end = min(len(part.planned_text), len(" ".join(words[: at + _WORDS_A_DELTA])) + 1)
            self._tell.text_delta(out, part, end)

    def _say_call(self, out: Output) -> Iterator[int]:
        assert isinstance(out.plan, CallPlan)
        while out.args_sent < out.plan.fragments:
            yield _TEXT_US
            self._tell.args_delta(out)

    def _say_audio(self, out: Output, part: ServerPart, following: Output | None) -> Iterator[int]:
        plan, rng = self.plan, self._rng
        assert isinstance(out.plan, MessagePlan)
        tell, strand, planned = self._tell, out.strands[part.index], part.planned_bytes - self._kept_back(out, part, following)
        bytes_per_ms = part.format.bytes_per_ms
        unit, low, span = self._delta_sizes(part)
        us_per_byte = 100_000 / (bytes_per_ms * plan.rate_percent)
        lead = (-plan.transcript_lag_ms or plan.transcript_lead_ms) * bytes_per_ms
        stalls = sorted((stall.at_ms * bytes_per_ms, stall.for_s) for stall in plan.stalls if stall.output == out.index)
        # Where in this audio the next output is announced, and how many deltas pass before the one before is closed.
        early = rng.between(0, 900) * part.planned_bytes // 1000 if following and plan.interleaving != "sequential" else None
        late = rng.between(1, 4)
        ends = [word.char for word in part.words[1:]] + [len(part.planned_text)]
        starts = [word.start_ms * bytes_per_ms for word in part.words]
        told = position = 0
        room = plan.burst
        yield round(plan.gap_s * 1_000_000)
        for _ in range(rng.between(1, 3) if out.plan.parts[part.index].sound == "empty deltas" else 0):
            self._tell.empty_delta(out, part)
            yield _TEXT_US
        pause_us = 0
        while position < planned:
            draw = rng.bits()
            size = (low + ((draw & 0xFFFF) * span >> 16) or 1) * unit
            if size > planned - position:
                size = planned - position
            if stalls and position < stalls[0][0]:
                size = min(size, stalls[0][0] - position)
            first, ahead = told, position + size + lead
            while told < len(starts) and starts[told] < ahead and told - first < 4 * _WORDS_A_DELTA:
                told += 1
            if told > first:
                for word in range(first, told, _WORDS_A_DELTA):
                    tell.text_delta(out, part, ends[min(word + _WORDS_A_DELTA, told) - 1])
            tell.audio_delta(out, strand, position, size)
            position += size
            wait_us = int(size * us_per_byte)
            pause_us += wait_us + wait_us * plan.jitter_percent * ((draw >> 16 & 0xFFFF) - 0x8000) // (0x8000 * 100)
            if early is not None and position >= early and following is not None:
                early = None
                self._start_early(following)
            late -= 1
            if late == 0 and not self._held:
                self._close_before(out.index)
            room -= 1
            if stalls and position >= stalls[0][0]:
                pause_us += round(stalls.pop(0)[1] * 1_000_000)
                room = 0
            if room <= 0 or position >= planned or (self.cut is not None and tell.deltas >= self._last_delta):
                yield pause_us
                pause_us, room = 0, plan.burst
        if plan.transcript_lag_ms and self.cut is None:
            while told + _WORDS_A_DELTA < len(starts):
                yield plan.transcript_lag_ms * 1000 * _WORDS_A_DELTA // len(starts)
                told += _WORDS_A_DELTA
                tell.text_delta(out, part, ends[told - 1])
        tell.text_delta(out, part, len(part.planned_text))

    def _kept_back(self, out: Output, part: ServerPart, following: Output | None) -> int:
        """Bytes at the end of a message that are sent only behind the others."""
        plan = self.plan
        if self.state.call is not None:
            return 0  # what is generated later sounds later, and nobody could say which message is heard
        first = self._tail is None and following is not None and isinstance(following.plan, MessagePlan)
        if not (plan.tail_ms and self._held and first and isinstance(out.plan, MessagePlan) and len(out.plan.parts) == 1):
            return 0
        tail = plan.tail_ms * part.format.bytes_per_ms
        return tail if tail < part.planned_bytes else 0

    def _say_tail(self) -> Iterator[int]:
        """What was kept back of the first message."""
        if self._tail is not None:
            out, part = self._tail
            self._tell.audio_delta(out, out.strands[part.index], part.sent_bytes, part.planned_bytes - part.sent_bytes)
            yield _SETTLE_US

    def _delta_sizes(self, part: ServerPart) -> tuple[int, int, int]:
        """What deltas are counted in (bytes), the smallest count, and how many counts there are to choose from."""
        low, high = (ms * part.format.bytes_per_ms for ms in self.plan.delta_ms)
        if self.plan.ragged:
            unit = part.format.sample_width if self.state.rules.whole_samples else 1
        else:
            unit = 20 * part.format.bytes_per_ms
        return unit, low // unit, high // unit - low // unit + 1

    def _start_early(self, out: Output) -> None:
        self._tell.open(out)
        if self.plan.interleaving != "ahead":
            if isinstance(out.plan, MessagePlan):
                self._tell.open_part(out, 0)
        elif isinstance(out.plan, CallPlan):
            for _ in range(self._rng.between(1, out.plan.fragments)):
                self._tell.args_delta(out)
        else:
            part = self._tell.open_part(out, 0)
            words = part.words[: self._rng.between(1, 8)]
            if words:
                following = part.words[len(words) :]
                self._tell.text_delta(out, part, following[0].char if following else len(part.planned_text))

    # -- the end --------------------------------------------------------------------------------------------------------------

    def _cascade(self) -> None:
        """Close everything that is open, and be done: cancelled."""
        if not self._begun and self.state.rules.created_if_cancelled:
            self._tell.created()
        self._tell.cut = True
        outputs = self._tell.outputs[::-1] if self.plan.closing == "reversed" else self._tell.outputs
        for out in outputs:
            if out.item is not None and not out.closed:
                self._tell.close(out, "incomplete", tail=self.state.rules.cascade_audio_done)
        self._finish("cancelled", self.cut)

    def _finish(self, status: str, detail: str | None) -> None:
        self.finished = True
        if self._begun and not self.response.out_of_band:
            self.state.generating -= 1
        detection = self.state.turn_detection
        # Where turn detection cuts by itself, the client sends no cancel whose refusal could tell it that nothing runs.
        told = self.plan.ended or status != "completed" or self.state.calm
        told = told or (detection is not None and detection.get("interrupt_response") is not False)
        self._tell.done(status, detail, told=told)
        event_id = self.response.client_event_id
        if status == "failed" and self.plan.error_ms is not None and event_id and self.state.rules.error_event_id != "never":
            # One that names nothing would be taken for the answer to whatever was asked for last, and rightly so.
            self.state.later(self.plan.error_ms / 1000, lambda: self._tell_failure(event_id))

    def _tell_failure(self, event_id: str) -> None:
        """What became of the response is told once more, as an error that names the event which asked for it."""
        self.state.saw("error behind its response")
        message = "The server had an error while processing your request."
        fault = Fault("server_error", "response", message, "server_error", injected=True)
        self.state.refuse(fault, {"type": "response.create", "event_id": event_id})
