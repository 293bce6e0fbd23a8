"""Functions that take long, and the words that bridge them: each told once and in time, and never said over anything else.

A filler is a response beside the conversation that the core asks for by itself (``config.function_calls.filler``). It is due
where a call has been open for ``slow_ms``, once for the calls of one response, and only into silence. Once the results are
there, with the answer to a request for approval beside them, or anybody speaks, what was not begun of it is heard no more: it
would come between the answer and the person who waits for it.
"""

from collections.abc import Callable

from rtcore._notices import ApprovalRequested, ToolCalled, ToolEnded, ToolSlow
from rtcore.sim._ledger import ROUNDING, Creation, ItemRecord, Ledger
from rtcore.sim._seen import ClientSeen
from rtcore.sim.speaker import MILLISECOND

FILLER = "Say in a few words that it takes a moment."
"""What a world's program wants to be said."""


class FillerAudit:
    """Owner of: what is said while a function runs?"""

    def __init__(
        self,
        ledger: Ledger,
        slow_ms: int | None,
        wants: Callable[[str], None],
        *,
        undecided: Callable[[], bool],
        reports: bool,
    ) -> None:
        """``wants`` is told of each request whose response is to be heard. ``undecided``: whether it is open what a person's
        speech is. ``reports``: the clock tells what has sounded.
        """
        self.watches = slow_ms is not None
        self._ledger = ledger
        self._slow = (slow_ms or 0) * MILLISECOND
        self._wants = wants
        self._undecided = undecided
        self._reports = reports
        self._open: dict[str, tuple[str, int]] = {}
        """Calls without a result: their response, and when they were told."""
        self._told: set[str] = set()
        self._fillers: list[frozenset[str]] = []
        """Of each filler: the responses of whose calls it may be."""
        self._filled: dict[str, int] = {}
        """By response: the filler that counts as its own, where there are as many responses as fillers."""
        self._batches: dict[str, set[str]] = {}
        """By response that has calls: those without a result, and requests for an approval without an answer."""

    def tool_called(self, notice: ToolCalled) -> None:
        """The program is given a function call."""
        if self.watches:
            self._open[notice.call_id] = notice.response_id, self._ledger.now
            self._batches.setdefault(notice.response_id, set()).add(notice.call_id)

    def approval_requested(self, notice: ApprovalRequested) -> None:
        """The program is asked for its approval, which counts as a call of its response: no answer comes before it."""
        if self.watches:
            self._batches.setdefault(notice.response_id, set()).add(notice.approval_request_id)

    def approves(self, request_id: str) -> None:
        """The program is about to answer it."""
        for calls in self._batches.values():
            calls.discard(request_id)

    def tool_ended(self, notice: ToolEnded) -> None:
        """A call is over."""
        response_id, since = self._open.pop(notice.call_id, ("", 0))
        late = self._ledger.now - since - self._slow
        if self.watches and response_id and notice.call_id not in self._told and late > ROUNDING:
            self._ledger.fail(
                12, f"{notice.call_id} was open for {late // MILLISECOND} ms longer than is slow, and nobody was told"
            )
        self._batches.get(response_id, set()).discard(notice.call_id)

    def slow(self, notice: ToolSlow) -> None:
        """The program is told that a call takes long."""
        ledger = self._ledger
        ledger.saw("C26: a function takes long, and the program is told")
        found = self._open.get(notice.call_id)
        if found is None or notice.call_id in self._told:
            ledger.fail(12, f"{notice.call_id} is told to be slow, and is not open, or was told before")
            return
        self._told.add(notice.call_id)
        open_for = ledger.now - found[1]
        if abs(open_for - self._slow) > MILLISECOND:
            ledger.fail(12, f"{notice.call_id} is told to be slow after {open_for // MILLISECOND} ms")
        if abs(notice.waited_ms * MILLISECOND - open_for) > MILLISECOND:
            ledger.fail(
                12, f"{notice.call_id} is told to be open for {notice.waited_ms} ms, and is for {open_for // MILLISECOND}"
            )

    def create_response(self, message: ClientSeen, creation: Creation) -> None:
        """A ``response.create`` leaves the core: a filler?"""
        body = message.response or {}
        if body.get("instructions") != FILLER:
            return
        ledger = self._ledger
        creation.filler = True
        ledger.saw("C26: words while a function takes long")
        if body.get("conversation") != "none":
            ledger.fail(1, "a filler is asked for in the conversation")
        slow = {key for key, since in self._open.values() if ledger.now + ROUNDING >= since + self._slow}
        if not slow:
            ledger.fail(1, "a filler is asked for, and no function takes long")
        else:
            self._fillers.append(frozenset(slow))
            if not self._find_own(len(self._fillers) - 1, set()):
                ledger.fail(1, f"another filler for the calls of {', '.join(sorted(slow))}")
        # What comes in the very instant comes after the timers that fall due in it, a hair before (DESIGN section 2).
        runs = any(not each.out_of_band and each.known_at < ledger.now for each in ledger.running.values())
        in_the_way = (
            (self._reports and ledger.stream.unheard > 0, "sound is left"),
            (ledger.talking and ledger.talking_since < ledger.now, "the user speaks"),
            (ledger.here.surely(ledger.now), "a button or a local detector says that the user speaks"),
            (self._undecided() and ledger.talking_since < ledger.now, "it is open whether the user interrupts"),
            (runs, "a response runs"),
            (any(each.filler and not each.killed and each is not creation for each in ledger.creations), "another is asked for"),
        )
        for so, why in in_the_way:
            if so:
                ledger.fail(1, f"a filler is asked for while {why}")
        # .. and who begins to speak in it has it dropped before it begins.
        creation.withdrawn = creation.withdrawn or (ledger.talking and ledger.talking_since == ledger.now)
        self._wants(creation.request or "")

    def _find_own(self, filler: int, tried: set[str]) -> bool:
        """Whether there is a response for each filler: where calls of several are slow, nothing says whose wait one bridges."""
        for key in sorted(self._fillers[filler] - tried):
            tried.add(key)
            if key not in self._filled or self._find_own(self._filled[key], tried):
                self._filled[key] = filler
                return True
        return False

    def did(self) -> None:
        """After each step: the calls of a response have their results, and there is something better to hear."""
        ledger = self._ledger
        for response_id, left in list(self._batches.items()):
            record = ledger.responses.get(response_id)
            if left or record is None or not record.done:
                continue
            del self._batches[response_id]
            for creation in ledger.creations:
                if creation.filler and not creation.killed:
                    creation.killed = True
                    ledger.saw("C26: the result came before the words that bridge it")

    def message_started(self, item: ItemRecord) -> None:
        """A message is heard: nothing that bridges a wait is heard behind what was waited for."""
        response = item.response
        if not (self.watches and response.out_of_band) or response.own:
            return
        if any(segment.aside for segment in response.segments):
            return  # its sound did not come, and what waited behind it was heard first
        # The clock may say late what had sounded long before. Of a response that was heard and that the line held up, the rest
        # comes behind what was ready: the wait for it has an end (DESIGN section 3).
        begun = min((segment.begun_at for segment in response.segments if segment.heard), default=self._ledger.now)
        for other in self._ledger.alive.values():
            # What the program says itself began when it was given, whatever the server had begun that nobody here knew of.
            later = other.asked_at > response.begun_at if other.own else other.order > response.order
            if later and any(segment.heard and segment.begun_at < begun for segment in other.segments):
                self._ledger.fail(3, f"{item.id} beside the conversation is heard behind {other.id}, which began later")
