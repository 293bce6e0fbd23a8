"""What is said to have been heard, in words: invariant 11.

The samples are exact; words are not, as long as the core knows no word times: it takes the share of the text that the heard
samples are of the received ones. So two things are told apart. Held is what this version promises: nothing of what was not
heard, everything of what was heard to the end, no more than the share of what had arrived by the cut, and a history that says
the same as the notice. Measured, as a figure, is how far the claim is from the words that had truly begun (``overclaimed``), by
the word times of the recordings: the design's "never beyond the last audible word plus the one in progress", which is pending.
"""

from collections.abc import Mapping, Sequence

from rtcore._items import HistoryItem
from rtcore._notices import MessageEnded, Verdict
from rtcore.sim._ledger import ItemRecord, Ledger
from rtcore.sim._server_truth import ServerItem, ServerPart
from rtcore.sim.voices import Word


def overclaimed(text: str, words: Sequence[Word], heard_ms: int) -> int:
    """Words of ``text`` that had not begun to sound after ``heard_ms``; below 0 where words that had begun are missing."""
    claimed = sum(word.char < len(text.rstrip()) for word in words)
    begun = sum(word.start_ms < heard_ms for word in words)
    return claimed - begun


class TextAudit:
    """Owner of invariant 11's words."""

    def __init__(self, ledger: Ledger, truth: Mapping[str, ServerItem]) -> None:
        self._ledger = ledger
        self._truth = truth

    def ended(self, item: ItemRecord, notice: MessageEnded) -> None:
        """A message got its verdict and its text."""
        ledger = self._ledger
        if notice.verdict is Verdict.SKIPPED and notice.text and not item.shown_text:
            ledger.fail(11, f"nothing of {item.id} was heard, and its text is told as {notice.text!r}")
        elif notice.verdict is Verdict.FULL and notice.text != notice.full_text:
            ledger.fail(11, f"all of {item.id} was heard, and its text is told as {notice.text!r} of {notice.full_text!r}")
        if notice.verdict is Verdict.SKIPPED and notice.full_text and not notice.text:
            ledger.saw("S05: nothing was heard of words that had come")
        part = self._only_part(item)
        if part is None:
            return
        if part.index in item.texts_done and notice.full_text != part.sent_text:
            ledger.fail(11, f"the text of {item.id} is {part.sent_text!r}, and it is told as {notice.full_text!r}")
        if notice.verdict is Verdict.PARTIAL and item.segments:
            self._partial(item, notice, part)

    def _partial(self, item: ItemRecord, notice: MessageEnded, part: ServerPart) -> None:
        ledger = self._ledger
        if not part.planned_text.startswith(notice.text):
            ledger.fail(11, f"{notice.text!r} is not how {item.id} begins: {part.planned_text!r}")
            return
        if notice.text and notice.text != notice.full_text:
            ledger.saw("S05: the words that were heard, and no more")
        cut = item.response.cut
        segment = item.segments[0]
        snapshot = cut.snapshots.get(id(segment)) if cut is not None else None
        if cut is None or snapshot is None or not snapshot.received or item.guessed:
            return
        received = snapshot.received - snapshot.received % ledger.audio.sample_width
        heard = min(segment.heard if segment.told is None else segment.told, received)
        arrived = cut.texts.get(item.id, 0)
        if len(notice.text) * received > arrived * heard:
            share = f"{ledger.ms(heard)} of {ledger.ms(received)} ms"
            ledger.fail(
                11, f"{len(notice.text)} characters of {item.id} are told as heard; {arrived} had arrived, and {share} were heard"
            )
        if cut.interruption is not None and segment.told is None:
            cut.interruption.text_errors_words.append(overclaimed(notice.text, part.words, ledger.ms(heard)))

    def history(self, history: Sequence[HistoryItem]) -> None:
        """At the quiet end: the history says what the notices said."""
        ledger = self._ledger
        for shown in history:
            item = ledger.items.get(shown.id)
            if item is None or item.ended is None:
                continue
            ended = item.ended
            if shown.verdict is not ended.verdict or shown.heard_ms != ended.heard_ms:
                verdict = shown.verdict.value if shown.verdict is not None else "open"
                told = f"{ended.verdict.value} with {ended.heard_ms} ms"
                ledger.fail(11, f"the history says of {item.id}: {verdict} with {shown.heard_ms} ms; it ended {told}")
            cut_short = ended.verdict in (Verdict.PARTIAL, Verdict.SKIPPED)
            if cut_short and shown.text != shown.full_text:
                ledger.saw("B21: the history holds less than was said")
            if shown.text != (ended.text if cut_short else shown.full_text):
                ledger.fail(11, f"the history says that {shown.text!r} of {item.id} was heard; it ended with {ended.text!r}")
            part = self._only_part(item)
            if part is not None and part.index in item.texts_done and shown.full_text != part.sent_text:
                ledger.fail(11, f"the full text of {item.id} is {part.sent_text!r}; the history has {shown.full_text!r}")

    def _only_part(self, item: ItemRecord) -> ServerPart | None:
        """The truth of a message with a single part, which is heard."""
        truth = self._truth.get(item.id)
        if truth is None or len(truth.parts) != 1 or truth.parts[0].kind != "audio" or not item.response.audible:
            return None
        return truth.parts[0]
