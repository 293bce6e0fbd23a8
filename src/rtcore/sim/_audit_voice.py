"""Sound of the program's own: heard like a message, once and in its turn, and of no consequence at the server.

For the rest of the auditor it is a response beside the conversation that no server sent: the same samples are matched, the same
cuts and verdicts hold. What is its own is here: the request settles as the verdict says, and no client event ever names it.
"""

from rtcore._notices import MessageEnded, RequestEnded, Verdict
from rtcore.sim._audit_reference import ReferenceAudit
from rtcore.sim._ledger import ItemRecord, Ledger
from rtcore.sim._seen import ClientSeen
from rtcore.sim.matching import Segment

_LAST = 1 << 30
"""Behind every segment of the responses before it."""
_SITUATIONS = {
    Verdict.FULL: "F150: sound of the program's own, heard to its end",
    Verdict.PARTIAL: "S04: sound of the program's own, cut while it was heard",
    Verdict.SKIPPED: "S04: sound of the program's own, cut before it was heard",
}


class OwnSound:
    """What the program says: all of it, and how much of it was given to the session."""

    __slots__ = ("sent_bytes", "source", "start")

    def __init__(self, pcm: bytes) -> None:
        self.source = pcm
        self.start = 0
        self.sent_bytes = 0


class VoiceAudit:
    """Owner of the program's own sound."""

    def __init__(self, ledger: Ledger, reference: ReferenceAudit | None) -> None:
        self._ledger = ledger
        self._reference = reference
        self._items: dict[int, ItemRecord] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._count = 0

    def began(self, request: int, response_id: str, item_id: str, sound: OwnSound) -> None:
        """The session was given something to say; what that caused is still to be seen."""
        ledger = self._ledger
        # Its own records stand behind what the server has begun by then, and the client has not been told of.
        known = (record.order for record in ledger.responses.values() if record.known and not record.own)
        last = max(known, default=-1)
        self._count += 1
        if response_id in ledger.responses or item_id in ledger.items:
            ledger.fail(3, f"{item_id} was said before, or is the server's")
            return
        response = ledger.response(response_id)
        response.out_of_band = response.audible = response.known = response.created = response.own = True
        response.asked_at = ledger.now + 1  # behind all that has happened so far
        item = ItemRecord(item_id, "message", response, audio_parts={0}, audio_at=ledger.now)
        segment = Segment(response_id, item_id, 0, (last, _LAST + self._count), sound)
        response.items[item_id] = ledger.items[item_id] = item
        response.segments.append(segment)
        item.segments.append(segment)
        ledger.alive[response_id] = response
        ledger.matcher.add(segment)
        self._items[request] = item

    def gave(self, request: int, size: int) -> None:
        """More of it is about to be given."""
        item = self._items.get(request)
        if item is None or item.response.dead or item.ended is not None:
            self._ledger.saw("B10: sound of the program's own after its cut")
            return
        [segment] = item.segments
        item.response.last_audio_at = self._ledger.now
        segment.sent.sent_bytes += size
        segment.received += size
        if self._reference is not None:
            self._reference.audio(item, segment, size)

    def closed(self, request: int) -> None:
        """That was all of it."""
        item = self._items.get(request)
        if item is None:
            return
        item.done = item.response.done = True
        item.done_parts.add(0)
        [segment] = item.segments
        segment.complete = True
        if self._reference is not None:
            self._reference.complete(segment)

    def is_open(self, request: int) -> bool:
        """Whether the program may still add to it."""
        item = self._items.get(request)
        return item is not None and not item.done and not item.response.dead and item.ended is None

    # -- what becomes of it ------------------------------------------------------------------------------------------------------

    def message_ended(self, notice: MessageEnded) -> None:
        """A message has its verdict."""
        record = self._ledger.items.get(notice.item_id)
        if record is None or not record.response.own:
            return
        self._verdicts[notice.item_id] = notice.verdict
        self._ledger.saw(_SITUATIONS.get(notice.verdict, "F150: sound of the program's own, without a sample"))
        if notice.told != "nothing":
            self._ledger.fail(5, f"{notice.item_id} is the program's own, and the server is said to know it by {notice.told}")

    def request_ended(self, notice: RequestEnded) -> None:
        """A request has settled: with the verdict, if it is one of these."""
        item = self._items.pop(notice.request, None)
        if item is None:
            return
        verdict = self._verdicts.pop(item.id, None)
        if verdict is None and notice.outcome not in ("cancelled", "connection_lost"):
            self._ledger.fail(2, f"request {notice.request} ended as {notice.outcome} before {item.id} had its verdict")
        elif verdict is not None and (verdict is Verdict.FULL) is not (notice.outcome == "done"):
            self._ledger.fail(2, f"request {notice.request} ended as {notice.outcome}, and {item.id} as {verdict.value}")

    def sent(self, message: ClientSeen) -> None:
        """A client event leaves the core."""
        ledger = self._ledger
        item = ledger.items.get(message.item_id or "")
        response = ledger.responses.get(message.response_id or "")
        if (item is not None and item.response.own) or (response is not None and response.own):
            ledger.fail(4, f"{message.type} names {message.item_id or message.response_id}, which is the program's own sound")
