"""Truncates that a server refuses and that no client can know it will: the part of invariant 9's list that has nothing to do with
races (C09, F005 to F007, protocol facts 5.6).

Where nobody knows what the real server does, a world draws one of the answers. What excuses the core is what it had seen: it
was told of more audio than the server holds, or more audio came after it had said where the item ends.
"""

from collections.abc import Mapping

from rtcore.sim._ledger import Ledger
from rtcore.sim._seen import ClientSeen
from rtcore.sim._server_truth import ServerItem

HARMLESS = "is already truncated"
"""What the refusal of a repeat says."""
_SHORTER = "is already shorter than"


def excused(ledger: Ledger, items: Mapping[str, ServerItem], cause: ClientSeen, told: str) -> str | None:
    """The situation in which a client has to send this truncate, whatever the server makes of it; or None."""
    if cause.type != "conversation.item.truncate":
        return None
    item, truth = ledger.items.get(cause.item_id or ""), items.get(cause.item_id or "")
    if item is None or truth is None or type(cause.audio_end_ms) is not int:
        return None
    if HARMLESS in told:
        # That audio had come in between is held where it is sent (invariant 5).
        # This one is among them; two may leave in one instant, when a line comes back.
        again = [
            each
            for each in item.truncates
            if each.at <= cause.sent_at and (each.content_index, each.audio_end_ms) == (cause.content_index, cause.audio_end_ms)
        ]
        return "C10: a repeated truncate that the server refused" if len(again) > 1 else None
    if _SHORTER in told:
        held_short = {part.index for part in truth.parts if part.short_samples > 0}
        arrived = max((segment.received for segment in item.segments if segment.content_index in held_short), default=0)
        return "C09: a truncate beyond what the server holds" if cause.audio_end_ms <= ledger.ms(arrived) else None
    return None
