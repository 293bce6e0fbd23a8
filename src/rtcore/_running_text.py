"""The running text: the words of a message, told as they are heard (B30, C24, F105).

The clock's number moves a segment, and once in so many milliseconds of sound its text is asked for again. What is new is told as
``HeardText``. It is the same estimate that names the words at a cut, and that never gives less than before: so what was told is
never taken back, and never more than the message's end says.
"""

from rtcore._core import Core
from rtcore._items import Item, Part, Segment
from rtcore._notices import HeardText, Verdict

_LEVELS_MS = 1_000
"""Sound between two looks where no running text is wanted: so that what was heard is not kept until the message ends."""


class RunningText:
    """Owner of: which words are told as heard, and when?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        wanted = core.config.playout.heard_text_ms
        self._wanted = wanted is not None
        self._every_ms = wanted or _LEVELS_MS

    def moved(self, item: Item, segment: Segment) -> None:
        """More of it was heard: look at it again, once in so often."""
        if segment.heard - segment.asked >= segment.format.rate * self._every_ms // 1000:
            segment.asked = segment.heard
            part = item.part(segment.content_index)
            if self._wanted:
                self._look(item, segment.content_index, part)
            elif segment.pacing is not None:
                segment.pacing.look()

    def words_came(self, item: Item, index: int, part: Part) -> None:
        """Text came behind its own sound: there will be no more of that to ask at (the transcript lags)."""
        segment = part.segment
        if self._wanted and segment is not None and segment.heard and not segment.queued:
            self._look(item, index, part)

    def ended(self, item: Item, verdict: Verdict) -> None:
        """The message has its verdict: what was not told yet of the words that were heard is told before that."""
        rest = item.heard_text if item.remote_ms is not None else None
        for index, part in item.audio_parts:
            if self._wanted and verdict in (Verdict.FULL, Verdict.PARTIAL):
                text = part.text if verdict is Verdict.FULL else part.told_text
                if rest is not None:
                    # The server sounds it by itself, and says how long: one text for all parts, reckoned at the end.
                    text, rest = rest[: len(part.text_at_cut)], rest[len(part.text_at_cut) :]
                self._tell(item, index, part, text)
            if part.segment is not None:
                part.segment.forget_sound()

    def _look(self, item: Item, index: int, part: Part) -> None:
        if item.verdict is None:
            self._tell(item, index, part, part.heard_text())

    def _tell(self, item: Item, index: int, part: Part, text: str) -> None:
        delta, segment = text[part.told :], part.segment
        if delta and item.response is not None:
            part.told = len(text)
            sure = segment is None or (segment.all_heard and not segment.estimated)
            exact = sure and len(text) == len(part.text)
            self._core.news.append(HeardText(item.response.id, item.id, index, delta, estimated=not exact))
