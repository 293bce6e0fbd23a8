"""A call: what is held instead, where the server sounds the audio and nobody here can hear it (DESIGN section 5).

The server's own line is the truth. Its words count: what it says was heard was heard, what it says has sounded to its end was
heard in full, and only where it is silent may the core guess, and has to say so. Nothing is sounded, truncated or deleted from
here; what is cut is cleared, once, unless the server clears by itself, and nothing that was cut sounds on for longer than the
line takes. It stands where ``EditAudit`` and ``SoundingAudit`` stand otherwise.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import inf

from rtcore._effects import Deadline, Effect, Send
from rtcore._items import HistoryItem
from rtcore._notices import MessageEnded, MessageStarted, SpeakingStarted, SpeakingStopped, Verdict
from rtcore.sim._ledger import Cut, ItemRecord, Ledger, ResponseRecord
from rtcore.sim._seen import ClientSeen, ServerSeen
from rtcore.sim._server_call import Call, sounded_samples
from rtcore.sim._server_truth import ServerItem
from rtcore.sim.speaker import MILLISECOND

_SETTLED = 2_000 * MILLISECOND
"""After so long a response that was cut and never sounded has its verdict."""
_CLEAR = b'"output_audio_buffer.clear"'
_LATEST = 16
"""So many responses may be on the line at once."""


class CallAudit:
    """Owner of: what is said to have been heard on a call, and who silences the server."""

    def __init__(
        self,
        ledger: Ledger,
        truth: Mapping[str, ServerItem],
        call: Call,
        *,
        cut: Callable[[str, Collection[str]], None],
        missing: Callable[[], None],
        server_interrupts: bool,
        line_ms: int | None,
    ) -> None:
        """``line_ms``: how long a message takes at most, there and back; None where the line may stand still. ``cut`` notes an
        interruption, ``missing`` that an answer is gone that nobody cut."""
        self.lies = False
        self.speaking = False
        self._ledger = ledger
        self._truth = truth
        self._call = call
        self._cut = cut
        self._missing = missing
        self._itself = server_interrupts
        self._line_ms = line_ms
        self._sounding: str | None = None
        """What the server sounds, as far as the client has been told."""
        self._told: dict[str, int] = {}
        """Where it said that it had cut its items."""
        self._heard_out: set[str] = set()
        """Responses of which it said that they had sounded to their end."""
        self._asked: deque[int] = deque(maxlen=4)
        """When clears were sent that have no answer."""
        self._begun: set[str] = set()
        self._cleared: set[str] = set()
        self._damaged: set[str] = set()
        """Responses that waited when a clear emptied the line: whether anything of them was lost, no event tells."""
        self._risen: str | None = None
        """A response that had been cut has just begun to sound."""

    # -- what the server says ------------------------------------------------------------------------------------------------

    def arrived(self, message: ServerSeen) -> None:
        """A message reaches the client; the session gets it right after this."""
        self._risen = None
        response_id = message.response_id or ""
        match message.type:
            case "output_audio_buffer.started":
                self._sounding = response_id
                self._begun.add(response_id)
                record = self._ledger.responses.get(response_id)
                if record is not None and record.dead:
                    self._risen = response_id
                    self._ledger.saw("call: what was cut began to sound")
            case "output_audio_buffer.stopped":
                self._sounding = None if self._sounding == response_id else self._sounding
                record = self._ledger.responses.get(response_id)
                self._ledger.saw("call: stopped as we cut it" if record is not None and record.dead else "call: heard to its end")
                more = record is not None and record.cancels and record.status == "cancelled"  # than sounds, behind the cancel
                if not more and response_id not in self._cleared | self._damaged:
                    self._heard_out.add(response_id)
            case "output_audio_buffer.cleared":
                record = self._ledger.responses.get(response_id)
                hit = {record.id} if record is not None and not record.dead and not self._over(record) else set()
                waiting: set[str] = set()
                if self._asked:
                    self._asked.popleft()
                    waiting = self._waiting()
                    # Of what was cut before it began, too, nobody can say what the clear dropped.
                    latest = list(self._ledger.responses.values())[-_LATEST:]
                    self._damaged |= waiting | {each.id for each in latest if each.dead and each.id not in self._begun}
                hit |= waiting
                if hit:
                    self._ledger.saw("call: our clear hit another")
                    self._cut("cleared", hit)
                if waiting:
                    self._missing()
                self._sounding = None if self._sounding == response_id else self._sounding
                self._cleared.add(response_id)
            case "conversation.item.truncated":
                item = self._ledger.items.get(message.item_id or "")
                if item is not None and item.ended is None and message.audio_end_ms is not None:
                    self._told[item.id] = message.audio_end_ms
            case _:
                pass

    def _waiting(self) -> set[str]:
        """Responses that had sound and have not begun: a clear empties the line, whatever it names."""
        return {
            record.id
            for record in self._ledger.alive.values()
            if record.audible and not (record.dead or record.out_of_band or record.id in self._begun)
            if any(item.audio_parts for item in record.items.values()) and not self._over(record)
        }

    def _over(self, record: ResponseRecord) -> bool:
        messages = [item for item in record.items.values() if item.type == "message"]
        return record.done and all(item.ended is not None for item in messages)

    # -- what the core does --------------------------------------------------------------------------------------------------

    def sounds(self, effect: Effect) -> None:
        """The core hands something to the clock of this side, which has nothing to sound."""
        self._ledger.fail(7, f"{type(effect).__name__} on a call, where the server sounds the audio")

    def truncate(self, message: ClientSeen, estimated: set[str]) -> None:
        """A truncate leaves the core."""
        self._ledger.fail(5, f"truncate of {message.item_id} on a call, where the server cuts its own items")

    def delete(self, message: ClientSeen, estimated: set[str], *, asked_by_program: bool) -> None:
        """A delete leaves the core."""
        if not asked_by_program:
            self._ledger.fail(5, f"delete of {message.item_id} on a call, where the server cuts its own items")

    def did(self, effects: Sequence[Effect], killed: Iterable[ResponseRecord]) -> None:
        """The session has answered: was the server silenced where it has to be, and only there?"""
        sent = sum(1 for effect in effects if isinstance(effect, Send) and _CLEAR in effect.payload)
        risen, self._risen = self._risen, None
        ours = [response for response in killed if not self._by_itself(response)]
        due = risen is not None or any(response.id == self._sounding for response in ours)
        if any(response.cut is not None and response.cut.cause == "end" for response in ours):
            return
        record = self._ledger.responses.get(risen or "")
        # One that began before our clear came, which has no answer yet, is cleared by that.
        on_its_way = record is not None and bool(self._asked) and self._asked[-1] >= record.dead_at
        due = due and not (on_its_way and not sent)
        if sent:
            self._asked.append(self._ledger.now)
        if due and sent != 1:
            self._ledger.fail(7, f"what sounds was cut, and {sent} clears were sent")
        elif sent and not (due or (ours and self._sounding is None)):
            self._ledger.fail(9, "a clear although nothing that sounds was cut")
        if sent and not due:
            self._ledger.saw("call: cut before it sounded")
        elif due:
            self._ledger.saw("call: cut by us")

    def _by_itself(self, response: ResponseRecord) -> bool:
        return self._itself and response.cut is not None and response.cut.cause == "server"

    # -- verdicts ------------------------------------------------------------------------------------------------------------

    def message_ended(self, notice: MessageEnded, eligible: bool) -> None:
        """A message got its verdict."""
        ledger = self._ledger
        item = ledger.items.get(notice.item_id)
        if item is None or item.type != "message":
            ledger.fail(6, f"MessageEnded for {notice.item_id}, which is no message of the model's")
            return
        if item.ended is not None:
            ledger.fail(6, f"{item.id} ended twice: {item.ended.verdict.value}, then {notice.verdict.value}")
            return
        item.ended, item.ended_at = notice, ledger.now
        cut = item.response.cut
        if cut is not None and cut.interruption is not None:
            verdicts = cut.interruption.verdicts
            verdicts[notice.verdict.value] = verdicts.get(notice.verdict.value, 0) + 1
            cut.estimated = cut.estimated or notice.estimated
        if notice.received_ms:
            ledger.fail(8, f"{item.id} is told to have brought {notice.received_ms} ms of audio, which comes on another line")
        self._text(item, notice)
        truth = self._truth.get(item.id)
        if truth is not None and item.response.audible:
            self._verdict(item, notice, truth)

    def _verdict(self, item: ItemRecord, notice: MessageEnded, truth: ServerItem) -> None:
        ledger, verdict = self._ledger, notice.verdict
        parts = [part for part in truth.parts if part.kind == "audio"]
        heard_ms = sum(part.format.ms(sounded_samples(part, inf)) for part in parts)
        what = f"{item.id} ended {verdict.value} with {notice.heard_ms} ms"
        told = self._told.get(item.id)
        if verdict is Verdict.TEXT:
            if item.audio_parts:
                ledger.fail(6, f"{what}, and it has sound")
            return
        if item.response.id in self._call.resumed:
            # A clear that was meant for another response hit it: how much sounded on either side, nobody can tell.
            ledger.saw("call: went on to sound behind a clear")
            if verdict is Verdict.FULL and any(part.truncations for part in parts):
                ledger.fail(6, f"{what}, although a clear had dropped some of it")
        elif told is not None and item.response.id not in self._heard_out:
            right = Verdict.PARTIAL if told else Verdict.SKIPPED
            if verdict is not right or notice.heard_ms != told or notice.estimated:
                ledger.fail(6, f"{what}, estimated: {notice.estimated}; the server said that it cut it at {told} ms")
            ledger.saw("call: cut, and the server said where")
        elif notice.estimated:
            ledger.saw("call: cut, and the server did not say where")
            cut = item.response.cut
            if cut is not None and cut.interruption is not None and verdict is Verdict.PARTIAL:
                # Its clock is the server's news, which the line may hold up for as long as it likes.
                cut.interruption.misled_errors_ms.append(notice.heard_ms - heard_ms)
            if item.response.id in self._heard_out:
                ledger.fail(6, f"{what} by an estimate, although the server said that all of it had sounded")
        elif verdict is Verdict.FULL:
            if any(part.truncations or sounded_samples(part, inf) + 1 < part.sent_samples for part in parts):
                ledger.fail(6, f"{what}, but only {heard_ms} ms of it sounded")
        elif verdict is Verdict.PARTIAL:
            ledger.fail(6, f"{what}, which nobody said, and it is not called an estimate")
        elif heard_ms:
            ledger.fail(6, f"{what}, but {heard_ms} ms of it sounded")
        if item.audio_parts and notice.told != "server":
            ledger.fail(5, f"{item.id}: the server is said to have been told by {notice.told}")

    def _text(self, item: ItemRecord, notice: MessageEnded) -> None:
        ledger = self._ledger
        if notice.verdict is Verdict.SKIPPED and notice.text and not item.shown_text:
            ledger.fail(11, f"nothing of {item.id} was heard, and its text is told as {notice.text!r}")
        elif notice.verdict is Verdict.FULL and notice.text != notice.full_text:
            ledger.fail(11, f"all of {item.id} was heard, and its text is told as {notice.text!r} of {notice.full_text!r}")
        elif not notice.full_text.startswith(notice.text):
            ledger.fail(11, f"{notice.text!r} is not how {item.id} begins: {notice.full_text!r}")

    def history(self, history: Sequence[HistoryItem]) -> None:
        """At the quiet end: the history says what the notices said."""
        for shown in history:
            item = self._ledger.items.get(shown.id)
            ended = item.ended if item is not None else None
            if ended is None:
                continue
            # What was read is in the conversation as it was written, also what came of it behind a cut.
            wrote_on = ended.verdict is Verdict.TEXT and shown.text == shown.full_text and shown.text.startswith(ended.text)
            if shown.verdict is not ended.verdict or (shown.text != ended.text and not wrote_on):
                self._ledger.fail(11, f"{shown.id} ended as {ended.verdict.value} {ended.text!r}; the history has {shown.text!r}")

    def check(self, cut: Cut) -> None:
        """Five seconds after a cut, or in a quiet moment: everything that it cut has its verdict, and the server is silent."""
        cut.checked = True
        for response in cut.responses:
            late = [item.id for item in response.items.values() if item.type == "message" and item.ended is None]
            if late and response.done and response.id not in self._begun and self._ledger.now >= cut.at + _SETTLED:
                self._ledger.fail(6, f"{late[0]} was cut and has no verdict")

    def owed_delete(self) -> str | None:
        """Nothing is ever owed."""
        return None

    def unheard_left(self, item: ItemRecord) -> bool:
        """The server has cut its own items."""
        return False

    # -- sound ---------------------------------------------------------------------------------------------------------------

    def turned(self, notice: SpeakingStarted | SpeakingStopped, *, closing: bool) -> None:
        """The core says that the model has begun to speak, or has stopped; ``closing``: because the session is over."""
        begins = isinstance(notice, SpeakingStarted)
        if self.speaking is begins:
            self._ledger.fail(6, f"{type(notice).__name__} twice in a row")
        self.speaking = begins
        if begins and self._sounding is None:
            self._ledger.fail(6, "SpeakingStarted although the server sounds nothing")
        elif not begins and not closing and self._sounding is not None:
            self._ledger.fail(6, f"SpeakingStopped although the server sounds {self._sounding}")

    def message_started(self, item: ItemRecord, notice: MessageStarted) -> None:
        """A message is heard for the first time."""
        if item.response.id not in self._begun:
            self._ledger.fail(6, f"{item.id} is told to be heard, and the server has not begun to sound {item.response.id}")

    def waiting(self, deadline: Deadline | None, *, held: bool) -> None:
        """Whoever waits for the server's word has a deadline; and what was cut does not sound on."""
        ledger = self._ledger
        record = ledger.responses.get(self._sounding or "")
        if record is not None and record.audible and not record.dead and not self.speaking:
            ledger.fail(6, f"the server sounds {record.id}, and SpeakingStarted was not told")
        if self._sounding is None and self.speaking:
            ledger.fail(6, "the server sounds nothing any more, and SpeakingStopped was not told")
        if deadline is None:
            for response in ledger.alive.values():
                open_items = [item.id for item in response.items.values() if item.type == "message" and item.ended is None]
                if open_items and response.audible:
                    ledger.fail(12, f"{open_items[0]} waits for the server's word, and there is no deadline")
        self._sounds_on()

    def _sounds_on(self) -> None:
        """Nothing of a response that was cut sounds for longer than the line takes (invariant 7)."""
        record = self._ledger.responses.get(self._call.sounding or "")
        if record is None or not record.dead or self._line_ms is None or (record.cut is not None and record.cut.cause == "end"):
            return
        since = max(record.dead_at, round(self._call.begun_at * 1_000_000_000))
        if self._ledger.now > since + self._line_ms * MILLISECOND:
            self._ledger.fail(7, f"{record.id} was cut, and the server sounds it on")

    def over(self, *, held: bool) -> None:
        """Nothing is waited for here."""
