"""What is wrong, by name: cuts against what was told of them, cancels, creations, calls and refusals.

Every check here blames a client only for what it could know: the decisive event had reached it, and it had time to read it.
"""

from rtcore.sim._judge_cuts import SLACK_S, Cut, Interruption, Timeline, claimed, playing, target
from rtcore.sim._judge_tape import Error, Part, Sent, Tape, Truncate
from rtcore.sim._judge_verdict import Finding, InterruptionVerdict, PartVerdict, RefusedEvent, Signal
from rtcore.sim.server import Server, ServerPart

_READ_S = 0.02
"""What reached the client less than this ago, it may not have read."""
_LATE_DELTAS_S = 0.4
"""Audio that still arrives so long after the server's own interruption is worth a cancel (DESIGN section 4)."""
_SETTLED_S = 2.0
"""After so long, what the client sends has nothing to do with the interruption."""
_EDITS = ("conversation.item.truncate", "conversation.item.delete", "response.cancel", "conversation.item.create")


class Findings:
    """One verdict in the making; ``findings`` grows with each check."""

    def __init__(self, tape: Tape, signal: Signal, tolerance_ms: int, late_ms: int, grace_ms: int, truth: Server | None) -> None:
        self.findings: list[Finding] = []
        self._tape = tape
        self._signal = signal
        self._tolerance_ms = tolerance_ms
        self._late_ms = late_ms
        self._truth = truth
        self._began = tape.began or 0.0
        for sent in tape.sent:
            sent.findings = 0
        self._causes = self._true_causes()
        self._line = Timeline(tape, grace_s=grace_ms / 1000)
        for at in tape.malformed:
            self._find("malformed message", at, "the client sent something that is no JSON object with a type")

    def _find(
        self, name: str, at: float, text: str, *, sent: Sent | None = None, item_id: str | None = None, number: int | None = None
    ) -> None:
        if sent is not None:
            sent.findings += 1
        self.findings.append(Finding(name, round(at - self._began, 3), text, item_id, number))

    # -- interruptions --------------------------------------------------------------------------------------------------------

    def interruptions(self) -> tuple[InterruptionVerdict, ...]:
        """What became of each."""
        self._truncates()
        told = tuple(self._interruption(each) for each in self._line.interruptions)
        self._cancels()
        return told

    def _interruption(self, one: Interruption) -> InterruptionVerdict:
        following = [each.at for each in self._line.interruptions if each.at > one.at]
        until = min([one.at + _SETTLED_S, *following])
        sent = tuple(each.type for each in self._tape.sent if one.at <= each.at < until and each.type in _EDITS)
        parts = tuple(self._part(part, cut, one.number) for cut in one.cuts for part in playing(cut.response))
        late = self._late(one)
        return InterruptionVerdict(
            number=one.number,
            at=round(one.at - self._began, 3),
            cause=one.cause,
            responses=tuple(cut.response.id for cut in one.cuts),
            sent=sent,
            parts=parts,
            late_ms=late,
        )

    def _late(self, one: Interruption) -> int | None:
        """How long what was cut went on sounding."""
        if self._signal == "messages":
            return None
        last = one.at
        for cut in one.cuts:
            for part in playing(cut.response):
                if self._signal == "samples":
                    last = max(last, part.heard_until or one.at)
                else:
                    pairs = zip(part.positions, part.positions[1:], strict=False)
                    last = max([last, *(at for (_, before), (at, after) in pairs if after > before)])
        late = round((last - one.at) * 1000)
        if late > self._late_ms:
            names = ", ".join(cut.response.id for cut in one.cuts)
            self._find("late audio", one.at, f"{names} sounded for {late} ms after the interruption", number=one.number)
        return late

    def _heard(self, part: Part, cut: Cut | None) -> tuple[int, int]:
        """At least and at most so many milliseconds of it."""
        width, form = part.format.sample_width, part.format
        if self._signal == "samples":
            return form.ms(part.heard_least // width), form.ms(part.heard_most // width)
        bound = self._line.bounds.get(id(part))
        most = form.ms((bound.most if bound is not None else part.received) // width)
        if self._signal == "messages" or not part.positions:
            return 0, most
        at, samples = max(part.positions, key=lambda each: each[1])
        least = form.ms(samples)
        until = self._line.told_at(part, cut) if cut is not None else at
        since = max(0.0, until - at) + SLACK_S
        return least, max(least, min(most, least + round(since * 1000)))

    def _part(self, part: Part, cut: Cut, number: int) -> PartVerdict:
        least, most = self._heard(part, cut)
        truth = self._true_part(part)
        deleted = part.item.deleted_at is not None
        accepted = [each for each in self._of(part) if not each.event.refused]
        told_ms = accepted[-1].audio_end_ms if accepted else None
        held = 0 if deleted else part.format.ms(claimed(part) // part.format.sample_width)
        if truth is not None and not deleted:
            held = part.format.ms(truth.held_samples)
        unheard = max(0, held - most)
        words = self._words(part, truth, most, held) if unheard else ""
        error = None
        if told_ms is not None:
            error = max(0, told_ms - most) or min(0, told_ms - least)
        name = f"{part.item.id}[{part.index}]"
        if unheard > self._tolerance_ms and (told_ms is None or held > told_ms):
            if told_ms is None:
                how = "the client told the server nothing" if not self._of(part) else "no truncate of it was accepted"
            else:
                how = f"it was truncated to {told_ms} ms, and what came afterwards was kept: it has to be said again at the end"
            proof = "" if self._signal != "messages" else " (or it sounded on after the interruption)"
            text = f"{name}: {unheard} of {held} ms were not heard{proof}, and {how}: {words!r}"
            self._find("unheard words left", cut.at, text, item_id=part.item.id, number=number)
        if deleted and least > self._tolerance_ms and not self._made_anew(part):
            text = f"{name} was deleted, {least} ms of it were heard"
            self._find("deleted what was heard", cut.at, text, item_id=part.item.id, number=number)
        return PartVerdict(
            item_id=part.item.id,
            content_index=part.index,
            received_ms=part.ms,
            heard_least_ms=least,
            heard_most_ms=most,
            told="delete" if deleted else "truncate" if accepted else "nothing",
            told_ms=told_ms,
            error_ms=error,
            unheard_ms=unheard,
            unheard_words=words,
        )

    def _of(self, part: Part) -> list[Truncate]:
        return [each for each in part.item.truncates if each.content_index == part.index]

    def _made_anew(self, part: Part) -> bool:
        """Where a server cannot truncate, the heard text comes back as an item of its own (DESIGN section 5)."""
        return any(
            each.type == "conversation.item.create" and _role(each) == "assistant" and each.at >= (part.item.deleted_at or 0.0)
            for each in self._tape.sent
        )

    def _true_part(self, part: Part) -> ServerPart | None:
        item = self._truth.items.get(part.item.id) if self._truth is not None else None
        return item.parts[part.index] if item is not None and part.index < len(item.parts) else None

    def _words(self, part: Part, truth: ServerPart | None, heard_ms: int, held_ms: int) -> str:
        """The words between what was heard and what is held; without word times, in proportion to the audio."""
        if truth is not None:
            return " ".join(word.text for word in truth.words if heard_ms <= word.start_ms < held_ms)
        if not part.ms:
            return ""
        first, last = (len(part.text) * at // part.ms for at in (heard_ms, held_ms))
        return part.text[first:last].strip()

    # -- truncates ------------------------------------------------------------------------------------------------------------

    def _truncates(self) -> None:
        for sent in self._tape.sent:
            if sent.type != "conversation.item.truncate":
                continue
            end = sent.event.get("audio_end_ms")
            if not isinstance(end, int) or isinstance(end, bool):
                self._find("truncate not an integer", sent.at, f"audio_end_ms is {end!r}", sent=sent)
                continue
            item = self._tape.items.get(str(sent.event.get("item_id")))
            part = item.parts.get(sent.event.get("content_index", -1)) if item is not None else None
            gone = item is not None and item.deleted_at is not None and item.deleted_at < sent.at
            if part is None or not part.arrivals or gone:
                text = f"{sent.event.get('item_id')} {'was deleted' if gone else 'has no audio of the model'}"
                self._find("truncate of a wrong item", sent.at, text, sent=sent)
                continue
            one = next(each for each in part.item.truncates if each.event is sent)
            self._truncate(part, one)

    def _truncate(self, part: Part, one: Truncate) -> None:
        item_id, end, form = part.item.id, one.audio_end_ms, part.format
        response = part.item.response
        cut = self._line.cuts.get(response.id) if response is not None else None
        number = next((each.number for each in self._line.interruptions if cut in each.cuts), None)

        def find(name: str, text: str) -> None:
            self._find(name, one.at, f"{item_id}[{part.index}]: {text}", sent=one.event, item_id=item_id, number=number)

        if end <= 0:
            find("truncate at zero", f"audio_end_ms is {end}")
            return
        before = [each for each in self._of(part) if each.at < one.at or (each.at == one.at and each is not one)]
        if before and end > before[-1].audio_end_ms and before[-1] is not one:
            find("raised truncate", f"{end} ms after {before[-1].audio_end_ms} ms")
            return
        least, most = self._heard(part, cut)
        received = form.ms(one.received // form.sample_width)
        earlier = self._earlier_ms(part)
        if end > received or end > most + self._tolerance_ms:
            own = end - earlier
            if earlier and max(1, least - self._tolerance_ms) <= own <= most + self._tolerance_ms:
                text = f"told {end} ms; {earlier} ms of that are the audio before it, its own position is {own} ms"
                find("cumulative position", text)
            elif end > received:
                find("truncate above what was sent", f"told {end} ms, {received} ms had been received")
            else:
                find("told too much", f"told {end} ms, at most {most} ms were heard")
        elif end < least - self._tolerance_ms:
            find("told too little", f"told {end} ms, at least {least} ms were heard")

    def _earlier_ms(self, part: Part) -> int:
        """How much audio of the same response sounds before it."""
        response = part.item.response
        return sum(each.ms for each in playing(response) if each.order < part.order) if response is not None else 0

    # -- cancels, creations, calls --------------------------------------------------------------------------------------------

    def _cancels(self) -> None:
        cancelled: dict[str, float] = {}
        for sent in self._tape.sent:
            if sent.type != "response.cancel":
                continue
            wanted = target(sent)
            if wanted is None:
                wanted = self._last_cut_before(sent.at)
            response = self._tape.responses.get(wanted or "")
            if response is None or wanted is None:
                continue
            cut = self._line.cuts.get(wanted)
            number = next((each.number for each in self._line.interruptions if cut in each.cuts), None)
            named = sent.event.get("response_id") is not None
            parts = playing(response)
            silent = not any(part.received_by(sent.at) for part in parts)
            others = [each.at for key, each in self._line.cuts.items() if key != wanted and each.at <= response.seen_at]
            fresh = bool(others) and sent.at - max(others) < _SETTLED_S
            late = [at for part in parts for at, _ in part.arrivals if cut is not None and at > cut.at + _LATE_DELTAS_S]
            by_server = cut is not None and cut.cause in ("speech_started", "turn detection") and cut.at <= sent.at
            if wanted in cancelled:
                text = f"{wanted} had been cancelled {round((sent.at - cancelled[wanted]) * 1000)} ms before"
                self._find("second cancel", sent.at, text, sent=sent, number=number)
            elif not named and silent and fresh and (response.done_at is None or response.reason == "client_cancelled"):
                self._find("friendly fire", sent.at, f"{wanted} is the answer to the new turn", sent=sent, number=number)
            elif by_server and not (late and sent.at >= late[0]):
                text = f"the server had interrupted {wanted} by itself"
                self._find("second cancel", sent.at, text, sent=sent, number=number)
            cancelled[wanted] = sent.at

    def _last_cut_before(self, at: float) -> str | None:
        cuts = [cut for cut in self._line.cuts.values() if at - _SETTLED_S < cut.at <= at]
        return max(cuts, key=lambda cut: cut.at).response.id if cuts else None

    def creations(self) -> None:
        """No response is asked for while one runs or was asked for."""
        for sent in self._tape.sent:
            if sent.busy_since is not None and sent.at - sent.busy_since >= _READ_S:
                text = f"{sent.active or 'another response.create'} had not ended when the client sent response.create"
                self._find("response while one is active", sent.at, text, sent=sent)

    def calls(self, answer_ms: int) -> None:
        """Every completed call gets one output."""
        for call_id, item in self._tape.calls.items():
            outputs = self._tape.outputs.get(call_id, [])
            done = item.call_done_at
            waited = round((self._tape.now - done) * 1000) if done is not None else 0
            if not outputs and done is not None and waited >= answer_ms:
                text = f"{item.name or 'function'} ({call_id}) had no output after {waited} ms"
                self._find("call without output", done, text, item_id=item.id)
            for again in outputs[1:]:
                self._find("second output", again.at, f"{item.name or 'function'} ({call_id})", sent=again, item_id=item.id)
        for call_id, outputs in self._tape.outputs.items():
            if call_id not in self._tape.calls:
                for sent in outputs:
                    self._find("output for no call", sent.at, f"the server made no call {call_id!r}", sent=sent)

    # -- refusals -------------------------------------------------------------------------------------------------------------

    def refusals(self) -> tuple[RefusedEvent, ...]:
        """Every refused event; those that no other finding names become one of their own. Comes last."""
        told = []
        for error in self._tape.errors:
            cause = self._causes.get(id(error), error.cause)
            if cause is None and not self._clients(error):
                continue
            excused = cause is not None and not cause.findings and self._excused(error, cause)
            told.append(
                RefusedEvent(
                    at=round(error.at - self._began, 3),
                    code=error.code,
                    message=error.message,
                    event_type=cause.type if cause is not None else None,
                    excused=excused,
                )
            )
            if not excused and not (cause is not None and cause.findings) and not self._said(error, cause):
                what = cause.type if cause is not None else "something the client sent"
                self._find("refused event", error.at, f"{what}: {error.message} [{error.code}]", sent=cause)
        return tuple(told)

    def _clients(self, error: Error) -> bool:
        """Whether an error without a known cause is the client's: not the server's own failures, nor its own attempts."""
        if self._truth is not None:
            return any(each.message == error.message and each.event is not None for each in self._truth.refusals)
        return error.type in ("", "invalid_request_error") and "active response" not in error.message

    def _said(self, error: Error, cause: Sent | None) -> bool:
        return cause is None and error.code == "invalid_json" and bool(self._tape.malformed)

    def _excused(self, error: Error, cause: Sent) -> bool:
        """The event that made it wrong was still on its way."""
        tape, since = self._tape, cause.at - _READ_S
        match cause.type:
            case "response.cancel":
                ends = [each.done_at for each in tape.responses.values() if each.done_at is not None]
                return any(end >= since for end in ends if end <= error.at + _READ_S)
            case "response.create":
                return any(each.seen_at >= since for each in tape.responses.values() if each.seen_at <= error.at + _READ_S)
            case "input_audio_buffer.commit":
                return any(since <= at <= error.at + _READ_S for at in tape.committed)
            case _:
                return False

    def _true_causes(self) -> dict[int, Sent]:
        """Which client event each error answers, as the simulated server knows it."""
        found: dict[int, Sent] = {}
        if self._truth is None:
            return found
        free = list(self._tape.sent)
        for error, refusal in zip(self._tape.errors, self._truth.refusals, strict=False):
            cause = next((sent for sent in free if sent.event == refusal.event and sent.at <= error.at), None)
            for sent in self._tape.sent:
                if sent is error.cause and cause is not sent:
                    sent.refused = False
            if cause is not None:
                cause.refused = True
                free.remove(cause)
                found[id(error)] = cause
        return found


def _role(sent: Sent) -> str | None:
    item = sent.event.get("item")
    role = item.get("role") if isinstance(item, dict) else None
    return role if isinstance(role, str) else None
