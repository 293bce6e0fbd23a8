"""The wider vocabulary: what the server says is told as it was said, once, and nothing is made of what nobody knows.

Keys, silences, rate limits and logprobs are told in the step in which they arrive; an unknown event is told whole and changes
nothing; a tap shows every message both ways, and names the fields that are not known, and no other (B27, C29). A listing and a
call of a remote tool are told from beginning to end, once each, with what came of them; a request for approval is answered once
(invariant 10). What was used is the server's own sum. Read from the bytes, by nothing of the core's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import DecodeError, json

from rtcore._effects import Effect, Send
from rtcore._notices import (
    ApprovalRequested,
    DtmfReceived,
    IdleTimeout,
    McpCalled,
    McpCallEnded,
    McpListing,
    MessageEnded,
    Notice,
    RateLimitsUpdated,
    RawEvent,
    ResponseStarted,
    UnknownEvent,
    UnknownFields,
    UserTranscript,
)
from rtcore.sim._ledger import Ledger
from rtcore.sim._seen import ClientSeen, ServerSeen
from rtcore.sim._server_noise import STRANGE_FIELDS, STRANGERS
from rtcore.sim._server_truth import ServerItem, ServerResponse
from rtcore.usage import UsageTotals

_WORDS = "conversation.item.input_audio_transcription.completed"
RAW = frozenset({"session.close", "input_audio_buffer.append_video_frame"})
"""What the program sends that the protocol does not know: the strict server refuses it, and nobody else is to blame."""


class WordsAudit:
    """Owner of: is the wider vocabulary told as it was said?"""

    def __init__(
        self,
        ledger: Ledger,
        items: Mapping[str, ServerItem],
        responses: Mapping[str, ServerResponse],
        *,
        tap: str,
        ignored: frozenset[str],
        phases: bool,
    ) -> None:
        """``tap``: what the program listens in on. ``ignored``: the dialect's own events that mean nothing. ``phases``: the
        dialect says which phase a message is of."""
        self._ledger = ledger
        self._items = items
        self._responses = responses
        self._tap = tap
        self._ignored = ignored
        self._phases = phases
        self._message: ServerSeen | None = None
        self._arrived_at = -1
        self._owed: list[Notice] = []
        """What the message that has just arrived has to make the session say; compared with all that it says of these kinds."""
        self.used: dict[str, Any] = {}
        self._transcribed: dict[str, Any] = {}
        self._listings: dict[str, list[str]] = {}
        self._called: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self._asked: set[str] = set()
        self._allowed: dict[str, bool] = {}
        self._answered: dict[str, int] = {}

    # -- the server ----------------------------------------------------------------------------------------------------------

    def arrived(self, message: ServerSeen) -> None:
        """A message reaches the client; the session gets it right after this."""
        self._message, self._owed, self._arrived_at = message, [], self._ledger.now
        body = _read(message.payload) if message.type in _READS else None
        if message.type in STRANGERS:
            if message.type not in self._ignored:
                self._owed.append(UnknownEvent(message.type, message.payload))
                self._ledger.saw("words: an event that nobody knows")
        elif body is not None:
            self._told(message, body)

    def _told(self, message: ServerSeen, body: dict[str, Any]) -> None:
        owed = self._owed
        match message.type:
            case "input_audio_buffer.dtmf_event_received":
                owed.append(DtmfReceived(body["event"], float(body["received_at"])))
            case "input_audio_buffer.timeout_triggered":
                owed.append(IdleTimeout(body["item_id"], body["audio_start_ms"], body["audio_end_ms"]))
            case "rate_limits.updated":
                owed.append(RateLimitsUpdated(tuple(body["rate_limits"])))
            case "response.done":
                usage = body["response"].get("usage") or body.get("usage")
                if usage:
                    self.used.setdefault(body["response"]["id"], usage)
            case _:
                self._transcribed.setdefault(body["item_id"], body.get("usage"))

    @property
    def owes(self) -> bool:
        """Whether the message that has just arrived has to be told of, or shown."""
        return bool(self._owed) or (self._tap != "off" and self._message is not None)

    # -- the core ------------------------------------------------------------------------------------------------------------

    def did(self, effects: Sequence[Effect]) -> None:
        """The session has answered, or acted by itself."""
        message, self._message = self._message, None
        said = [effect for effect in effects if type(effect) in _AT_ONCE]
        owed, self._owed = self._owed, []
        if said != owed:
            first = next((each for each in owed if each not in said), None)
            why = f"{first} was not told" if first is not None else f"{said[len(owed) :][:1]} was told, and nobody said so"
            self._ledger.fail(3, f"what the server says is told as it is: {str(why)[:200]}")
        # One that the session had nothing to say to is not what made it act later.
        strange = message is not None and message.type in STRANGERS and self._arrived_at == self._ledger.now
        if strange and any(isinstance(effect, Send) and b'"response.' in effect.payload for effect in effects):
            self._ledger.fail(3, "an event that nobody knows made the core ask for something")
        if self._tap != "off" or any(type(effect) in (RawEvent, UnknownFields) for effect in effects):
            self._tapped(message, effects)
        for effect in effects:
            handler = _NOTICED.get(type(effect))
            if handler is not None:
                handler(self, effect)

    def _tapped(self, message: ServerSeen | None, effects: Sequence[Effect]) -> None:
        ledger = self._ledger
        sent = [effect.payload for effect in effects if isinstance(effect, Send)]
        raw = [effect for effect in effects if isinstance(effect, RawEvent)]
        if self._tap == "all":
            received = [each.payload for each in raw if each.direction == "received"]
            if sent != [each.payload for each in raw if each.direction == "sent"]:
                ledger.fail(3, f"{len(sent)} messages were sent, and the tap showed others")
            if message is not None and message.payload and received != [message.payload]:
                ledger.fail(3, f"{message.type} arrived, and the tap showed {len(received)} messages")
        elif raw:
            ledger.fail(3, "a raw event was shown that nobody asked for")
        if raw:
            ledger.saw("program: tap")
        fields = [effect for effect in effects if isinstance(effect, UnknownFields)]
        if message is None or not message.payload or not message.type:
            return
        strange = message.type not in STRANGERS and STRANGE_FIELDS[0] in message.payload
        if strange and not (len(fields) == 1 and set(fields[0].fields) == _STRANGE):
            ledger.fail(3, f"{message.type} had fields that nobody knows, and the tap named {[each.fields for each in fields]}")
        elif fields and not strange:
            ledger.fail(3, f"{fields[0].fields} of {message.type} are known, and are called unknown")
        if strange:
            ledger.saw("program: tap")
            ledger.saw("words: fields that nobody knows, named by the tap")

    # -- remote tools --------------------------------------------------------------------------------------------------------

    def _listing(self, notice: McpListing) -> None:
        states = self._listings.setdefault(notice.item_id, [])
        if notice.state in states or (states and states[-1] != "in_progress"):
            self._ledger.fail(3, f"the listing {notice.item_id} is {notice.state} after {states}")
        states.append(notice.state)
        truth = self._items.get(notice.item_id)
        if notice.state == "completed" and truth is not None and list(notice.tools) != truth.output["tools"]:
            self._ledger.fail(3, f"the tools of {notice.server_label} are not those that were listed")
        if truth is not None and notice.server_label != truth.output["server_label"]:
            self._ledger.fail(3, f"the listing {notice.item_id} is told to be of {notice.server_label!r}")

    def _remote_called(self, notice: McpCalled) -> None:
        self._called[notice.item_id] = count = self._called.get(notice.item_id, 0) + 1
        truth = self._items.get(notice.item_id)
        if count > 1 or self._ended.get(notice.item_id):
            self._ledger.fail(10, f"the remote call {notice.item_id} is told {count} times, or behind its end")
        if truth is not None and truth.status == "completed" and notice.arguments != truth.arguments:
            self._ledger.fail(10, f"the remote call {notice.item_id} is told with {notice.arguments!r}")
        if truth is not None and (notice.server_label, notice.name) != (truth.server_label, truth.name):
            self._ledger.fail(10, f"the remote call {notice.item_id} is told to be {notice.server_label}.{notice.name}")

    def _remote_ended(self, notice: McpCallEnded) -> None:
        ledger = self._ledger
        self._ended[notice.item_id] = count = self._ended.get(notice.item_id, 0) + 1
        truth = self._items.get(notice.item_id)
        if count > 1:
            ledger.fail(10, f"the remote call {notice.item_id} ended {count} times")
        if not self._called.get(notice.item_id):
            ledger.fail(10, f"the remote call {notice.item_id} ended, and was never told")
        if truth is None or not truth.output:
            if notice.problem is None:
                ledger.fail(10, f"the remote call {notice.item_id} never came to an end, and no problem is told")
            ledger.saw("words: a remote call was cut")
            return
        failed = truth.output["error"] is not None
        ledger.saw("words: a remote call failed" if failed else "words: a remote call was run")
        if notice.output != truth.output["output"] or (notice.problem is not None) != failed:
            ledger.fail(10, f"the remote call {notice.item_id} gave {truth.output}, and is told as {notice.output!r}")
        elif notice.problem is not None and notice.problem.message != truth.output["error"]["message"]:
            ledger.fail(
                10, f"the remote call {notice.item_id} failed ({truth.output['error']}), told as {notice.problem.message!r}"
            )

    def _approval(self, notice: ApprovalRequested) -> None:
        if notice.approval_request_id in self._asked:
            self._ledger.fail(10, f"{notice.approval_request_id} is asked twice")
        self._asked.add(notice.approval_request_id)
        truth = self._items.get(notice.approval_request_id)
        if truth is not None and (notice.name, notice.arguments) != (truth.name, truth.arguments):
            self._ledger.fail(10, f"{notice.approval_request_id} is asked for {notice.name}({notice.arguments})")
        self._ledger.saw("words: the program is asked for its approval")

    def answers(self, request_id: str, *, allowed: bool) -> None:
        """The program answers a request for approval."""
        self._allowed[request_id] = allowed

    def create_item(self, message: ClientSeen) -> None:
        """A ``conversation.item.create`` leaves the core."""
        item = message.item or {}
        if item.get("type") == "mcp_approval_response":
            request_id = str(item.get("approval_request_id"))
            self._answered[request_id] = count = self._answered.get(request_id, 0) + 1
            if count > 1 or item.get("approve") is not self._allowed.get(request_id):
                self._ledger.fail(10, f"{request_id} is answered {item.get('approve')} ({count} times)")

    # -- what else is told ---------------------------------------------------------------------------------------------------

    def _transcript(self, notice: UserTranscript) -> None:
        if (notice.confidence is None) is not (not notice.logprobs):
            self._ledger.fail(
                11, f"the confidence of {notice.item_id} is {notice.confidence}, with {len(notice.logprobs)} logprobs"
            )
        elif notice.confidence is not None:
            self._ledger.saw("program: logprobs")
            if not 0 < notice.confidence <= 1:
                self._ledger.fail(11, f"the confidence of {notice.item_id} is {notice.confidence}")

    def _message_ended(self, notice: MessageEnded) -> None:
        truth = self._items.get(notice.item_id)
        wanted = truth.phase if truth is not None and self._phases else None
        if truth is not None and notice.phase != wanted:
            self._ledger.fail(11, f"{notice.item_id} is told to be {notice.phase}, and is {wanted}")
        elif wanted is not None:
            self._ledger.saw("words: the phase of a message")

    def _response_started(self, notice: ResponseStarted) -> None:
        truth = self._responses.get(notice.response_id)
        record = self._ledger.responses.get(notice.response_id)
        if truth is None or not truth.out_of_band or record is None or not record.created:
            return
        own = {key: value for key, value in (truth.metadata or {}).items() if key != "rtcore_request"} or None
        if notice.metadata != own:
            self._ledger.fail(3, f"the metadata of {notice.response_id} are {own}, and are told as {notice.metadata}")

    # -- the end -------------------------------------------------------------------------------------------------------------

    def finish(self, usage: UsageTotals) -> None:
        """Everything is silent: is everything told to its end, and the sum right?"""
        ledger, total = self._ledger, usage.session
        for item_id, states in self._listings.items():
            if states[-1] == "in_progress":
                ledger.fail(3, f"what came of the listing {item_id} was never told")
        for item_id in self._called:
            if not self._ended.get(item_id):
                ledger.fail(10, f"what came of the remote call {item_id} was never told")
        for request_id in self._allowed:
            if not self._answered.get(request_id):
                ledger.fail(10, f"{request_id} was answered by the program, and not to the server")
        for record in ledger.items.values():
            truth = self._items.get(record.id)
            if truth is None or record.response.dead or truth.status != "completed" or not record.done:
                continue
            if record.type == "mcp_approval_request" and record.id not in self._asked:
                ledger.fail(10, f"{record.id} asks for an approval, and the program was not told")
            elif record.type == "mcp_call" and record.id not in self._ended:
                ledger.fail(10, f"the remote call {record.id} was run, and the program was not told")
        used = list(self.used.values())
        told = (total.responses, total.input_tokens, total.output_tokens, total.output_audio, total.cached_text)
        truly = (
            len(used),
            sum(each["input_tokens"] for each in used),
            sum(each["output_tokens"] for each in used),
            sum(each["output_token_details"]["audio_tokens"] for each in used),
            sum(each["input_token_details"]["cached_tokens"] for each in used),
        )
        if told != truly:
            ledger.fail(3, f"the server used {truly} (responses, in, out, of it audio, cached), and the session says {told}")
        seconds = [each for each in self._transcribed.values() if each]
        heard = (total.transcriptions, total.transcription_s)
        if heard != (len(seconds), sum(each["seconds"] for each in seconds)):
            ledger.fail(3, f"{len(seconds)} transcriptions were billed, and the session says {heard}")


def _read(payload: bytes) -> dict[str, Any] | None:
    try:
        body = json.decode(payload)
    except (DecodeError, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


_AT_ONCE = (DtmfReceived, IdleTimeout, RateLimitsUpdated, UnknownEvent)
_STRANGE = {"rid", "ts", "latency"}
_READS = frozenset(
    {
        "input_audio_buffer.dtmf_event_received",
        "input_audio_buffer.timeout_triggered",
        "rate_limits.updated",
        "response.done",
        _WORDS,
    }
)
_NOTICED: dict[type[Effect], Any] = {
    McpListing: WordsAudit._listing,
    McpCalled: WordsAudit._remote_called,
    McpCallEnded: WordsAudit._remote_ended,
    ApprovalRequested: WordsAudit._approval,
    UserTranscript: WordsAudit._transcript,
    MessageEnded: WordsAudit._message_ended,
    ResponseStarted: WordsAudit._response_started,
}
