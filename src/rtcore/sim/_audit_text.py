"""What is said to have been heard, in words: invariant 11.

The samples are exact; words are not, as the protocol gives no word times: the core estimates them. So two things are told apart.
Held, in every world, is what an estimate can promise: nothing of what was not heard, everything of what was heard to the end, a
beginning of the text that had arrived by the cut, never ``MOST`` words off what was audible by the recordings' word times, the
running text a beginning of what its end tells, and a history that says the same as the notice. Held over a world with enough cuts
is that most are within a word, and over a whole campaign that the 95th percentile is (``text_error_words``).

A word is heard when its sound is over; the one that sounds at the cut may be told or not. So the error is the number of words
told that had not begun, or, below 0, of those not told that were over.
"""

from collections.abc import Mapping, Sequence

from rtcore._items import HistoryItem
from rtcore._notices import HeardText, MessageEnded, Verdict
from rtcore.sim._ledger import ItemRecord, Ledger
from rtcore.sim._server_truth import ServerItem, ServerPart
from rtcore.sim.voices import Word

MOST = 14
"""Words that it may be off at any cut, either way: a silence that is laid to the wrong mark moves the text by a phrase, and the
longest of the packaged speech has so many. Of 9,113 cuts in 800 worlds one was off by 6, five by 4, 49 by 2 or 3."""
_CUTS = 10
"""So many measured cuts of one world say something about all of them: half of them at most may be off by more than a word. A core
that tells one phrase too much, or too little, does so at every cut, and each of these may be within ``MOST``."""


def words_off(text: str, words: Sequence[Word], heard_ms: int, known: int | None = None) -> int:
    """Words of ``text`` that had not begun to sound after ``heard_ms``; below 0, words that were over and are missing.

    ``known``: characters of the whole text that had arrived; a word is missed only where the one behind it had begun to arrive.
    """
    told = len(text.rstrip())
    claimed = sum(word.char < told for word in words)
    begun = sum(word.start_ms < heard_ms for word in words)
    over = sum(word.sound_end_ms <= heard_ms for word in words)
    if known is not None:
        over = min(over, max(0, sum(word.char < known for word in words) - 1))
    return max(claimed - begun, 0) + min(claimed - over, 0)


class TextAudit:
    """Owner of invariant 11's words."""

    def __init__(self, ledger: Ledger, truth: Mapping[str, ServerItem]) -> None:
        self._ledger = ledger
        self._truth = truth
        self._off: list[int] = []
        """By how many words each cut of this world was off."""
        self._running: dict[str, dict[int, str]] = {}
        """What was told as heard while it sounded, by item and part."""

    def told(self, notice: HeardText) -> None:
        """Words are told as heard, in step with the sound."""
        ledger = self._ledger
        item = ledger.items.get(notice.item_id)
        what = f"{notice.delta!r} of {notice.item_id}[{notice.content_index}] is told as heard"
        if item is None or item.type != "message" or not item.response.audible:
            ledger.fail(11, f"{what}; no such message sounds")
            return
        if item.ended is not None:
            ledger.fail(11, f"{what} behind its end")
            return
        parts = self._running.setdefault(item.id, {})
        text = parts[notice.content_index] = parts.get(notice.content_index, "") + notice.delta
        if not notice.delta:
            ledger.fail(11, f"{what}: nothing")
        part = self._part(item, notice.content_index)
        if part is None:
            return
        if not part.planned_text.startswith(text):
            ledger.fail(11, f"{what} behind {text[: -len(notice.delta)]!r}; it begins {part.planned_text!r}")
            return
        if self._only_part(item) is None:
            return
        cut = item.response.cut
        # On a call the server may say that all of what was cut had sounded: then its whole text counts, whenever it came.
        arrived = item.characters if cut is None or ledger.remote else cut.texts.get(item.id, 0)
        if len(text) > arrived:
            ledger.fail(11, f"{what}; so much of its text had not arrived: {arrived} characters")
        if ledger.remote:
            return
        segment = next((each for each in item.segments if each.content_index == notice.content_index), None)
        if segment is None:
            # Words without a sound: whoever heard the message to its end is told them with its end.
            if notice.estimated or not (item.done or item.response.done):
                ledger.fail(11, f"{what}; the server sent no sound of it")
        elif item.guessed or ledger.matcher.lenient:
            pass  # where the clock stood is not known
        elif not notice.estimated:
            if not segment.complete or segment.heard + 2 * ledger.audio.sample_width <= segment.received:
                ledger.fail(11, f"{what}, and that is called exact; {segment.heard} of {segment.received} bytes were heard")
        else:
            off = words_off(text, part.words, ledger.ms(segment.heard))
            if off > MOST:
                ledger.fail(11, f"{what} after {ledger.ms(segment.heard)} ms: {off} words too many")
            if segment.heard >= segment.received > 0:
                ledger.saw("F105: words came behind their own sound")
        if cut is None:
            ledger.saw("B30: words were told while they sounded")

    def ended(self, item: ItemRecord, notice: MessageEnded) -> None:
        """A message got its verdict and its text."""
        ledger = self._ledger
        if notice.verdict is Verdict.SKIPPED and notice.text and not item.shown_text:
            ledger.fail(11, f"nothing of {item.id} was heard, and its text is told as {notice.text!r}")
        elif notice.verdict is Verdict.FULL and notice.text != notice.full_text:
            ledger.fail(11, f"all of {item.id} was heard, and its text is told as {notice.text!r} of {notice.full_text!r}")
        if notice.verdict is Verdict.SKIPPED and notice.full_text and not notice.text:
            ledger.saw("S05: nothing was heard of words that had come")
        self.ran(item, notice)
        part = self._only_part(item)
        if part is None:
            return
        if part.index in item.texts_done and notice.full_text != part.sent_text:
            ledger.fail(11, f"the text of {item.id} is {part.sent_text!r}, and it is told as {notice.full_text!r}")
        if notice.verdict is Verdict.PARTIAL and item.segments:
            self._partial(item, notice, part)

    def ran(self, item: ItemRecord, notice: MessageEnded) -> None:
        """The running text and the text at the end are the same words (B30)."""
        ledger = self._ledger
        running = self._running.pop(item.id, {})
        truth = self._truth.get(item.id)
        # What was written beside it is told at the end, though it came behind a cut; it is not among what was heard.
        written = truth is not None and any(part.kind != "audio" for part in truth.parts)
        if not item.response.audible or item.shown_text or written:
            return
        told = "".join(text for _, text in sorted(running.items()))
        wanted = ledger.runs_text and notice.verdict in (Verdict.FULL, Verdict.PARTIAL)
        if told != (notice.text if wanted else ""):
            ledger.fail(11, f"{told!r} of {item.id} was told while it sounded, and {notice.text!r} at its end")

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
        if cut is None or snapshot is None or not snapshot.received:
            return
        arrived = cut.texts.get(item.id, 0)
        if len(notice.text) > arrived:
            ledger.fail(11, f"{notice.text!r} of {item.id} is told as heard; {arrived} characters had arrived when it was cut")
        if item.guessed:
            return
        received = snapshot.received - snapshot.received % ledger.audio.sample_width
        heard = min(segment.heard if segment.told is None else segment.told, received)
        off = words_off(notice.text, part.words, ledger.ms(heard), arrived)
        if abs(off) > MOST:
            told = f"{off} words too many" if off > 0 else f"{-off} words too few"
            ledger.fail(11, f"{notice.text!r} of {item.id} is told as heard after {ledger.ms(heard)} ms: {told}")
        if cut.interruption is not None and segment.told is None:
            cut.interruption.text_errors_words.append(off)
            self._off.append(off)

    def history(self, history: Sequence[HistoryItem]) -> None:
        """At the quiet end: the history says what the notices said, and the cuts together were not off."""
        ledger = self._ledger
        far = sum(abs(off) > 1 for off in self._off)
        if len(self._off) >= _CUTS and far * 2 > len(self._off):
            ledger.fail(11, f"the words told as heard are off by more than one at {far} of {len(self._off)} cuts: {self._off}")
        for shown in history:
            item = ledger.items.get(shown.id)
            if item is None or item.ended is None:
                continue
            ended = item.ended
            if shown.verdict is not ended.verdict or shown.heard_ms != ended.heard_ms:
                verdict = shown.verdict.value if shown.verdict is not None else "open"
                told = f"{ended.verdict.value} with {ended.heard_ms} ms"
                ledger.fail(11, f"the history says of {item.id}: {verdict} with {shown.heard_ms} ms; it ended {told}")
            span, sounded = (shown.started_at, shown.stopped_at), (ended.started_at, ended.stopped_at)
            if span != sounded:
                ledger.fail(11, f"the history says of {item.id} that it sounded from {span}; it ended with {sounded}")
            cut_short = ended.verdict in (Verdict.PARTIAL, Verdict.SKIPPED)
            if cut_short and shown.text != shown.full_text:
                ledger.saw("B21: the history holds less than was said")
            if shown.text != (ended.text if cut_short else shown.full_text):
                ledger.fail(11, f"the history says that {shown.text!r} of {item.id} was heard; it ended with {ended.text!r}")
            part = self._only_part(item)
            if part is not None and part.index in item.texts_done and shown.full_text != part.sent_text:
                ledger.fail(11, f"the full text of {item.id} is {part.sent_text!r}; the history has {shown.full_text!r}")

    def _part(self, item: ItemRecord, index: int) -> ServerPart | None:
        truth = self._truth.get(item.id)
        return next((part for part in truth.parts if part.index == index), None) if truth is not None else None

    def _only_part(self, item: ItemRecord) -> ServerPart | None:
        """The truth of a message with a single part, which is heard."""
        truth = self._truth.get(item.id)
        if truth is None or len(truth.parts) != 1 or truth.parts[0].kind != "audio" or not item.response.audible:
            return None
        return truth.parts[0]
