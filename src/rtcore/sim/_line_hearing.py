"""What is heard in a long call: every sound is some server's or the program's own, follows where it may, and is told as it was.

The matcher does the listening (invariants 3 and 8); what is told of a message must have been audible (6, 11).
"""

from rtcore._formats import PCM16_24K
from rtcore._items import HistoryItem
from rtcore._notices import MessageEnded, Verdict
from rtcore.sim._audit_text import MOST, words_off
from rtcore.sim._audit_voice import OwnSound
from rtcore.sim._line_book import SECOND, Book
from rtcore.sim._line_served import Served
from rtcore.sim._server_truth import ServerPart
from rtcore.sim.matching import Matcher, Place, Segment
from rtcore.sim.speaker import MILLISECOND, Speaker

_LINE = 100_000
"""More responses than one line has: a later line's come after all of an earlier one's."""
_OWN = 1 << 30
"""Behind every segment of the responses before it."""


class Hearing:
    """Owner of what sounds."""

    def __init__(self, book: Book, speaker: Speaker) -> None:
        self._book = book
        self._speaker = speaker
        device = speaker.options
        self._missed_ms = device.buffer_ms + device.block_ms + device.report_ms
        """So much may an estimate miss by: what the clock has not declared comes later, and where it stands it says so often."""
        self._matcher = Matcher(PCM16_24K.sample_width)
        self._parts: dict[str, list[ServerPart]] = {}
        self._own: dict[str, OwnSound] = {}
        self._spans = self._flushed = self._made = 0
        self._over_from: dict[str, Place] = {}
        self._order = 0
        self._gap_from: int | None = None
        self._gap_at = self._before = 0
        self.ids: set[str] = set()
        """Items that sounded, of all lines."""
        self.heard: list[str] = []
        """What was told as heard, in the order in which it was over."""
        self.taken_out: dict[str, str] = {}
        """By item: what was told so and then taken out of the conversation."""
        self._leaving: set[str] = set()
        """Of these: whose deletion no server has told yet."""
        self.ended: dict[str, tuple[str, int]] = {}
        """By item: what was heard of it, and when that was told."""
        self.last_at = 0
        """When the latest message of the model began to sound."""

    def arrived(self, served: Served, response_id: str) -> None:
        """Something of a response reached the client."""
        order = served.number * _LINE + list(served.server.responses).index(response_id)
        self._order = max(self._order, order)

    def received(self, served: Served, item_id: str, response_id: str, index: int, size: int) -> None:
        """Audio reached the client."""
        item = served.server.items[item_id]
        self.ids.add(item_id)
        found = self._matcher.find(item_id, index)
        if found is None:
            part = item.parts[index]
            self._parts.setdefault(item_id, []).append(part)
            order = list(served.server.responses).index(response_id)
            self._made += 1
            found = Segment(response_id, item_id, index, (served.number * _LINE + order, self._made), part)
            found.dead_from = self._over_from.get(item_id)
            found.dismissed = found.dead_from is not None
            self._matcher.add(found)
        found.received += size

    def lost(self, served: Served) -> None:
        """The line is gone: of what its server had begun to say no more comes."""
        for item in served.server.items.values():
            for part in self._parts.get(item.id, ()):
                segment = self._matcher.find(item.id, part.index)
                if segment is not None:
                    segment.lost = True

    def own(self, response_id: str, item_id: str, pcm: bytes) -> None:
        """The program says this, behind all that has come."""
        sound = self._own[item_id] = OwnSound(pcm)
        sound.sent_bytes = len(pcm)
        self._made += 1
        segment = Segment(response_id, item_id, 0, (self._order, _OWN + self._made), sound)
        segment.received, segment.complete = len(pcm), True
        self._matcher.add(segment)

    @property
    def own_sounds(self) -> bool:
        """Whether what is heard at this moment is the program's."""
        current = self._matcher.current
        return bool(self._speaker.pending) and current is not None and current.item_id in self._own

    def flushed(self, generation: int) -> None:
        """The core asked for silence."""
        self._flushed = generation

    def renewed(self, connection: int) -> None:
        """The session was changed for another while something sounded: is there a gap?"""
        self._gap_from, self._gap_at = connection, self._book.now

    def listen(self, talked_at: int) -> None:
        """Whatever has sounded meanwhile. ``talked_at``: when the person last began to speak."""
        spans, matcher = self._speaker.spans, self._matcher
        if len(spans) > self._spans:
            matcher.consume_all(spans, self._spans, {})
            self._spans = len(spans)
        for mismatch in matcher.mismatches:
            self._book.fail(mismatch.invariant, f"sound: {mismatch.text}")
        matcher.mismatches.clear()
        current = matcher.current
        if current is not None and self._gap_from is not None and current.order[0] >= self._gap_from * _LINE:
            if talked_at < self._before:
                self._book.result.renewal_gaps_ms.append((current.begun_at - self._before) // MILLISECOND)
            self._gap_from = None
        self._before = matcher.last_until
        if current is not None and current.item_id not in self._own:
            self.last_at = current.begun_at

    def over(self, notice: MessageEnded, *, closing: bool) -> None:
        """A message is over: what is told of it must have been audible. ``closing``: with the session. Nobody waits for the clock
        any more, so what sounds is told by its last word and the time since, as an estimate (C19)."""
        book, result = self._book, self._book.result
        item_id = notice.item_id
        parts = self._parts.get(item_id, [])
        heard_ms = 0  # part by part, as the server is told it
        # Of what was skipped nothing may sound, from the first generation on; of all else, what goes on in the present one.
        last = -1 if notice.verdict is Verdict.SKIPPED else max(self._flushed, self._matcher.generation)
        over = self._over_from[item_id] = Place(last + 1, 0)
        for index in [part.index for part in parts] or [0]:
            segment = self._matcher.find(item_id, index)
            if segment is not None:
                segment.dismissed = True
                segment.dead_from = over
                heard_ms += segment.heard // 48
        result.verdicts[notice.verdict.value] = result.verdicts.get(notice.verdict.value, 0) + 1
        if item_id in self.ended:
            book.fail(6, f"{item_id} ended twice")
        self.ended[item_id] = (notice.text, book.now)
        error = notice.heard_ms - heard_ms
        estimated = closing and notice.estimated
        if abs(error) > (self._missed_ms if estimated else 0):
            book.fail(11, f"{item_id} was heard for {heard_ms} ms, and {notice.heard_ms} ms are told")
        if item_id in self._own:
            if notice.told != "nothing":
                book.fail(5, f"{item_id} is the program's own, and the server is said to know it by {notice.told}")
            return
        if notice.verdict is Verdict.PARTIAL and parts and not closing:
            result.truncation_error_ms[error] = result.truncation_error_ms.get(error, 0) + 1
        if len(parts) == 1 and notice.verdict is Verdict.PARTIAL and parts[0].planned_text.startswith(notice.full_text.strip()):
            told_ms = notice.heard_ms if estimated else heard_ms
            off = words_off(notice.text, parts[0].words, told_ms, len(notice.full_text))
            if abs(off) > MOST:
                book.fail(11, f"{item_id}: {notice.text!r} is {off} words off what was heard in {told_ms} ms")
        if notice.verdict is not Verdict.SKIPPED and notice.text.strip():
            self.heard.append(notice.text)

    def written(self, served: Served, history: tuple[HistoryItem, ...]) -> None:
        """Text that was cut while it was written: what came behind the cut is a part of it, as far as the server wrote it."""
        for item in history:
            told, at = self.ended.get(item.id, ("", 0))
            if item.verdict is not Verdict.TEXT or item.id not in served.server.items or not item.text.startswith(told):
                continue
            text = "".join(part.sent_text for part in served.server.items[item.id].parts)
            if told != item.text and text.startswith(item.text) and told in self.heard:
                self.heard[self.heard.index(told)] = item.text
                self.ended[item.id] = (item.text, at)

    def taken_back(self, item_id: str, text: str) -> None:
        """A message of text alone is taken out of the conversation, because the answer is asked for again."""
        if text in self.heard:
            self.heard.remove(text)
            self.taken_out[item_id] = text.strip()
            self._leaving.add(item_id)

    def deleted(self, item_id: str) -> None:
        """The client is told that the server has deleted it."""
        self._leaving.discard(item_id)

    def check_history(self, history: tuple[HistoryItem, ...], served: Served | None) -> None:
        """At the end of the call: what the history says the model said is what was heard, each once.

        ``served``: the latest session. The history is what that holds, as far as the client can know.
        """
        holds = served.server.items if served is not None and served.alive else {}
        said = [item for item in history if item.role == "assistant" and item.verdict is not None and item.text.strip()]
        told = [item.text for item in said if not (item.id in self._leaving and item.id in holds)]
        own = {text for item_id, (text, _) in self.ended.items() if item_id in self._own}
        left, told = list(self.heard), [text for text in told if text not in own]
        for text in told:
            if text in left:
                left.remove(text)
            else:
                self._book.fail(11, f"the history holds {text!r} more often than it was heard")
        if left:
            self._book.fail(11, f"the history does not hold {left[0]!r}, which was heard")


LATE = SECOND + SECOND // 2
"""So long after a session began, and after what sounded meanwhile was over, it has been told all of it."""
