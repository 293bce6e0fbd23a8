"""How much of a message was heard: the table of DESIGN section 3, on the sample counts of one message and nothing else."""

from rtcore._items import Item
from rtcore._notices import Verdict


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
