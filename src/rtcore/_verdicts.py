"""How much of a message was heard: the table of DESIGN section 3, on the sample counts of one message and nothing else."""

from rtcore._items import HistoryItem, Item
from rtcore._notices import Verdict

_UNFINISHED = ("in_progress", "incomplete")
"""What the protocol calls an item of which the server has not said all."""


def verdict_of(item: Item) -> Verdict:
    """The verdict of a message that will not be heard any further.

    Full: every part was complete and every sample was heard, but for the one by which clocks round (B02). Skipped: less than 1 ms
    of it was heard. Text: it has no audio part. Partial: anything between.
    """
    audio = item.audio_parts
    if not audio:
        return Verdict.TEXT if item.parts else Verdict.SKIPPED
    segments = item.segments
    complete = all(part.was_complete for _, part in audio) and all(segment.all_heard for segment in segments)
    if complete and any(segment.playable for segment in segments):
        return Verdict.FULL
    return Verdict.PARTIAL if any(segment.heard_ms >= 1 for segment in segments) else Verdict.SKIPPED


def verdict_if_left(shown: HistoryItem) -> Verdict | None:
    """The verdict of a message of a history, if no more of it is heard: its own, or that of one which still sounded.

    Partial where words of it were not heard, or the server had more to say. None, as it is, where it is not known that anything
    of it was heard: such a message says nothing, or is one of text.
    """
    cut = shown.text != shown.full_text
    if shown.verdict is not None or not (shown.heard_ms or (cut and shown.text)):
        return shown.verdict
    return Verdict.PARTIAL if cut or shown.status in _UNFINISHED else Verdict.FULL
