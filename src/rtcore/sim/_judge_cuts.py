"""When the client was interrupted, what that cut, and how much of it could have been heard.

Nothing is heard before it was received, nor faster than real time, nor two things at once: from the first moment at which a part
could sound follows the most that anybody can have heard of it. Responses play in the order of their creation, the parts of one in
the order of their first audio; a part counts with what the client claims was heard of it.
"""

from typing import Literal

from msgspec import Struct, field

from rtcore.sim._judge_tape import Part, Response, Sent, Tape

Cause = Literal["speech_started", "turn detection", "response.cancel", "truncate"]
SLACK_S = 0.02
"""Clocks drift and tasks wake late: so much of real time is nobody's fault."""
_TOGETHER_S = 1.0
"""Cuts by the client that follow an interruption within this belong to it."""


class Cut(Struct, eq=False):
    """A response that was interrupted, by what, and when the client knew it."""

    response: Response
    at: float
    cause: Cause


class Interruption(Struct, eq=False):
    """What was cut together."""

    number: int
    at: float
    cause: Cause
    cuts: list[Cut] = field(default_factory=list)


class Bound(Struct):
    """Bytes of a part that can have been heard: the most, and when it could begin."""

    starts: float
    most: int


class Timeline:
    """All cuts of a tape, and what could have been heard of each part. Made once, at the end."""

    def __init__(self, tape: Tape, *, grace_s: float) -> None:
        self.tape = tape
        self.cuts: dict[str, Cut] = {}
        self.bounds: dict[int, Bound] = {}
        """By the id() of the part."""
        self._grace_s = grace_s
        self._free = 0.0  # from when on the next part can sound
        for response in tape.responses.values():
            if not response.out_of_band:
                self._play(response)
        self.interruptions = _grouped(sorted(self.cuts.values(), key=lambda cut: (cut.at, cut.response.order)))

    def _play(self, response: Response) -> None:
        parts = playing(response)
        free, end = self._free, self._free
        for part in parts:
            end = _finished(part, end, part.received)
        if not parts:
            end = response.seen_at
        cut = self._cut(response, parts, end)
        if cut is not None:
            self.cuts[response.id] = cut
        for part in parts:
            starts = max(free, part.arrivals[0][0])
            if cut is None:
                most = part.received
            else:
                known = self.told_at(part, cut)
                most = min(_heard_by(part, starts, known + SLACK_S), part.received_by(known))
            self.bounds[id(part)] = Bound(starts, most)
            free = _finished(part, starts, min(most, claimed(part)))
        self._free = free if cut is None else min(free, max(cut.at, self._free))

    def told_at(self, part: Part, cut: Cut) -> float:
        """Until when the client may have let it sound: until it told the server of it, else a moment after the interruption."""
        told = [each.at for each in part.item.truncates if each.content_index == part.index]
        return max(cut.at, told[0]) if told else cut.at + self._grace_s

    def _cut(self, response: Response, parts: list[Part], end: float) -> Cut | None:
        found: list[Cut] = []
        for speech in self.tape.speeches:
            if speech.interrupts and speech.at >= response.seen_at and _sounds(response, parts, end, speech.at):
                found.append(Cut(response, speech.at, "speech_started"))
                break
        if response.reason == "turn_detected" and response.done_at is not None:
            found.append(Cut(response, response.done_at, "turn detection"))
        for sent in self.tape.sent:
            if sent.type == "response.cancel" and not sent.refused and target(sent) == response.id:
                found.append(Cut(response, sent.at, "response.cancel"))
                break
        truncates = [truncate.at for item in response.items for truncate in item.truncates]
        if truncates:
            found.append(Cut(response, min(truncates), "truncate"))
        return min(found, key=lambda cut: cut.at, default=None)


def playing(response: Response) -> list[Part]:
    """Its audio parts in the order in which they sound."""
    return sorted((part for item in response.items for part in item.parts.values() if part.arrivals), key=lambda p: p.order)


def claimed(part: Part) -> int:
    """Bytes of it that the client says were heard, by what it told the server (nothing: all of it)."""
    if part.item.deleted_at is not None:
        return 0
    told = [each.audio_end_ms for each in part.item.truncates if each.content_index == part.index and not each.event.refused]
    return min(told[-1] * part.format.bytes_per_ms, part.received) if told else part.received


def target(sent: Sent) -> str | None:
    """Which response a cancel means."""
    named = sent.event.get("response_id")
    return named if isinstance(named, str) else sent.active


def _sounds(response: Response, parts: list[Part], end: float, at: float) -> bool:
    """Whether something of it was still to come or to be heard, for certain."""
    if response.done_at is None or at < response.done_at or at < end:
        return True
    return any(part.heard_until is not None and at < part.heard_until for part in parts) or any(
        part.heard_most and part.heard_most < part.received for part in parts
    )


def _grouped(cuts: list[Cut]) -> list[Interruption]:
    found: list[Interruption] = []
    for cut in cuts:
        last = found[-1] if found else None
        together = last is not None and cut.at - last.at <= _TOGETHER_S
        if last is not None and together and (cut.at == last.at or cut.cause not in ("speech_started", "turn detection")):
            last.cuts.append(cut)
        else:
            found.append(Interruption(len(found) + 1, cut.at, cut.cause, [cut]))
    return found


def _per_second(part: Part) -> int:
    return part.format.rate * part.format.sample_width


def _finished(part: Part, starts: float, amount: int) -> float:
    """When ``amount`` bytes have sounded, at the earliest."""
    done, at, rate = 0, starts, _per_second(part)
    for when, count in part.arrivals:
        if done >= amount:
            break
        step = min(count, amount) - done
        at = max(at, when) + step / rate
        done += step
    return at


def _heard_by(part: Part, starts: float, until: float) -> int:
    """Bytes that can have sounded by ``until``, at the most."""
    done, at, rate = 0, starts, _per_second(part)
    for when, count in part.arrivals:
        at = max(at, when)
        if at >= until:
            break
        step = min(count - done, int((until - at) * rate))
        at += step / rate
        done += step
    return done - done % part.format.sample_width
