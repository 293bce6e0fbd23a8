"""A session's life: dial, configure, be ready, end. And what the server says about itself: errors and warnings.

    new -> connecting -> configuring -> ready -> closed

A lost line is ``_continuity``'s affair first; where it does not go on, the session ends.

Every way a session can end runs through ``end``: silence, hang up, verdicts, requests, ``SessionClosed``, once.
"""

from typing import Any

from msgspec import Struct, structs

from rtcore._core import Acknowledged, Core, read_acknowledged
from rtcore._differences import differences
from rtcore._effects import Connect, Disconnect
from rtcore._errors import (
    ErrorKind,
    LocalProtocolError,
    classify,
    command_of,
    configuration_problem,
    connection_problem,
    problem,
    quoted_call_id,
    quoted_item_id,
)
from rtcore._notices import (
    ClockFault,
    CloseReason,
    MicrophoneDropped,
    OptionDiffers,
    Problem,
    ProtocolWarning,
    RateLimitsUpdated,
    ServerError,
    SessionChanged,
    SessionClosed,
)
from rtcore._requests import Pending
from rtcore._sayable import check_sayable
from rtcore._verdicts import verdict_of
from rtcore._whole import followed, merged
from rtcore._wire import ErrorEvent, RateLimits, SessionCreated, SessionUpdated, UpdateSession, UpdateTranscriptionSession
from rtcore._wire_other import Event
from rtcore.dialects import Dialect, ga_format, listening, recognised, suspected

_EARLY = 4096
"""Events of responses that arrive before the session is acknowledged and wait for its formats (C22)."""
_IN_ORDER, _GOING_AWAY = 1000, 1001
"""Close codes (facts 1.8)."""


class Disconnection(Struct, frozen=True):
    """Why a connection did not come up or went away, as the adapter saw it. No field may hold a credential.

    ``http_status``: the handshake's refusal. ``close_code`` and ``reason``: the websocket close frame. ``error``: anything
    else, in words (refused, no such host, certificate, cut without a close frame).
    """

    http_status: int | None = None
    close_code: int | None = None
    reason: str = ""
    error: str = ""


class Lifecycle:
    """Owner of: is there a session, and may it go on?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.early: list[Event] = []
        self._shown: Dialect | None = None

    # -- beginning ---------------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Dial."""
        core = self._core
        handshake = core.handshake()
        core.state = "connecting"
        core.connection = core.last_connection = core.last_connection + 1
        core.wire.append(Connect(core.connection, handshake))

    def connected(self) -> None:
        """The transport is up: configure before anything else (F137)."""
        core = self._core
        core.state = "configuring"
        if not core.recognising:
            self._configure()
        core.timers.set("acknowledgement of the session", core.now + core.config.timeouts.acknowledge_ms / 1000)

    def _configure(self) -> None:
        self._update(self._whole(), None)

    def _whole(self) -> dict[str, Any]:
        """All that is asked for at the beginning of a session."""
        core = self._core
        asked = {"model": core.config.connection.model} | core.asked if core.dialect.model_in_session else core.asked
        if not core.dialect.asks_formats:
            return asked
        able = core.capabilities
        usual = {
            side: {"format": ga_format(known[0])}
            for side, known in (("input", able.input_formats), ("output", able.output_formats))
        }
        return merged({"audio": usual}, asked)

    def _recognise(self, session: dict[str, Any]) -> bool:
        """The dialect was not told: the first event shows it, or the session ends and says what to do (F132, F133)."""
        core = self._core
        core.recognising = False
        found = recognised(session)
        try:
            if found is None:
                names = " or ".join(table.name for table in suspected(session))
                like = (
                    f"looks like that of {names}, and may be another's" if names else "has the shape of no dialect that is known"
                )
                raise LocalProtocolError(f"the server's session {like}")
            check_sayable(found, core.asked)
        except LocalProtocolError as fault:
            name = f"the server speaks {found.name}: " if found is not None else ""
            remedy = "Set connection.dialect, and only options that it has; docs/dialects.md compares them."
            self.end("not_acknowledged", Problem("unknown_dialect", f"{name}{fault}", False, remedy))
            return False
        core.dialect, core.capabilities = found, core.able(found)
        self._configure()
        return True

    def update(self, changes: dict[str, Any], request: int) -> None:
        """Send changed options; their acknowledgement counts (S09)."""
        self._update(changes, request)

    def configuration(self) -> UpdateSession:
        """The event that asks for the session as it was asked for so far."""
        return self._event(self._whole())[0]

    def _event(self, session: dict[str, Any]) -> tuple[UpdateSession, dict[str, Any]]:
        core = self._core
        event_id = core.requests.event_id()
        session = {"type": core.asked["type"], **session} if "type" in core.asked else session
        event: type[UpdateSession] = UpdateSession
        if session.get("type") == "transcription":
            session = listening(session)
            event = UpdateTranscriptionSession if core.dialect.shape == "flat" else UpdateSession
        return event(event_id, core.dialect.render_session(session)), session

    def _update(self, session: dict[str, Any], request: int | None) -> None:
        core = self._core
        event, session = self._event(session)
        core.send(
            event,
            pending=Pending(event.event_id, "update", request=request, changes=session),
            wait_ms=0 if request is None else core.config.timeouts.acknowledge_ms,
            first=request is None,
        )

    def session_created(self, event: SessionCreated) -> None:
        """The server's defaults; they count only until it acknowledges ours, and not when they are told behind that."""
        if self._core.ready:
            return
        if not self._core.recognising or self._recognise(event.session):
            self._shown = recognised(event.session)
            self._read(event.session, defaults=True)

    def session_updated(self, event: SessionUpdated) -> None:
        """An acknowledgement. The first one makes the session ready."""
        core = self._core
        pending = core.requests.take_first("update")
        if pending is not None and pending.changes is not None:
            core.asked = followed(core.asked, pending.changes)
        if not self._read(event.session):
            return
        if core.acknowledged.detects_turns:
            core.turns.found_by_server()
        if core.ready:
            core.requests.end(pending.request if pending is not None else None, "done")
            core.news.append(SessionChanged(core.connection))
            self._tell_differences(pending)
            core.creation.pump()
            return
        core.timers.cancel("acknowledgement of the session")
        self._begin(pending)

    def take_over(self, session: dict[str, Any], *, changed: bool) -> None:
        """Another connection takes the place of the present one; its session was acknowledged so. ``changed``: it was configured
        before something else was asked for."""
        if self._read(session):
            self._begin(None, changed=changed)

    def _begin(self, pending: Pending | None, *, changed: bool = False) -> None:
        """The session is acknowledged: what waited for that goes out, what it has to be told of an earlier one first."""
        core = self._core
        core.state = "ready"
        if changed:
            self._update(core.asked, 0)  # before anything is answered by what was asked for earlier (B24)
        if not core.continuity.begun:
            core.idle.touched()  # a caller who never says a word is silent from here on
        core.continuity.acknowledged()
        self._tell_differences(pending)
        core.renewal.begin()
        core.send_backlog()
        core.send_microphone(rest=False)
        core.creation.pump()

    def _tell_differences(self, pending: Pending | None) -> None:
        """Of what this acknowledgement answers, what the server has not done."""
        asked = pending.changes if pending is not None else None
        for option, wanted, given in differences(asked or {}, self._core.session):
            self._core.news.append(OptionDiffers(option, wanted, given))

    def _read(self, session: dict[str, Any], *, defaults: bool = False) -> bool:
        core = self._core
        core.session = core.dialect.read_session(session)
        try:
            read = read_acknowledged(core.session, core.asked, core.capabilities)
            core.acknowledged = self._as_asked(read) if defaults else read
        except ValueError as error:
            if defaults and core.requests.keys("update"):
                # Only what the server acknowledges counts, and that of ours is still to come.
                core.session = _without_formats(core.session)
                core.acknowledged = self._as_asked(read_acknowledged(core.session, core.asked, core.capabilities))
                return True
            told = Problem("unsupported_format", str(error), False, "Ask for audio/pcm, audio/pcmu or audio/pcma.")
            self.end("fatal_error", told)
            return False
        # The server's defaults say nothing of what the microphone was told to give.
        dropped_ms = 0 if defaults else core.microphone.change(core.acknowledged.input_format)
        if dropped_ms:
            core.news.append(MicrophoneDropped(dropped_ms, "the session's input format changed"))
        core.responses.bound_audio()
        return True

    def _as_asked(self, read: Acknowledged) -> Acknowledged:
        """Who finds and answers the turns is as we ask, until the server says what it took: a button that is pressed between its
        defaults and its acknowledgement is one."""
        core = self._core
        own = core.dialect.read_session(core.asked.get("vendor") or {})
        asked = read_acknowledged(merged(merged(core.session, core.asked), own), core.asked, core.capabilities)
        return structs.replace(
            read,
            detects_turns=asked.detects_turns,
            server_creates=asked.server_creates,
            server_interrupts=asked.server_interrupts,
            silence_ms=asked.silence_ms,
        )

    def not_acknowledged(self) -> None:
        """No session.updated in time (DESIGN 2)."""
        wait = self._core.config.timeouts.acknowledge_ms
        message = f"the server did not acknowledge the session within {wait} ms"
        remedy = "Check the dialect and the options, then try again."
        if self._core.continuity.lost(Problem("not_acknowledged", message, True, remedy), hang_up=True):
            return
        self.end("not_acknowledged", self._mistaken(Problem("not_acknowledged", message, True, remedy)))

    def _mistaken(self, told: Problem) -> Problem:
        """A session that is not acknowledged by a server of another shape: that is what is wrong (F132, F133)."""
        core, shown = self._core, self._shown
        if shown is None or shown.shape == core.dialect.shape:
            return told
        wrong = f"the server's session is {shown.shape}, that of the {core.dialect.name} dialect {core.dialect.shape}"
        remedy = f'Set connection.dialect to "{shown.name}" or another {shown.shape} one, or leave it out.'
        return Problem(told.code, f"{told.message}; {wrong}", False, remedy, told.param, told.type)

    def hold_early(self, event: Event) -> bool:
        """Keep an event of the conversation until the session's formats are acknowledged."""
        if self._core.ready or len(self.early) >= _EARLY:
            return False
        self.early.append(event)
        return True

    # -- errors ------------------------------------------------------------------------------------------------------------------

    def error(self, event: ErrorEvent) -> None:
        """An error event: matched to the command that it answers; fatal only for credentials, quota and expiry (F007)."""
        core = self._core
        body = event.error
        code = body.code if isinstance(body.code, str) else None
        message = core.scrub(body.message or "")
        param = body.param if isinstance(body.param, str) else None
        own = core.dialect.errors
        kind = classify(code, message, body.type or "", extra=own)
        told = problem(code, message, param, body.type or "", extra=own)
        command = command_of(code, message, body.type or "", extra=own)
        # Some servers fill in an id of their own, which says as little as none.
        named = (body.event_id or "").startswith(core.requests.event_prefix)
        # Only a response of the conversation can find the slot taken; the request that has it reserved is the one refused.
        key = quoted_item_id(message)
        call_id = quoted_call_id(message) if command == "item" else None
        if call_id is not None:
            key = core.creation.output_of(call_id)
            command = command if key is not None else ""  # nothing that waits
        if kind is ErrorKind.ACTIVE_RESPONSE:
            key = core.creation.slot_key
            if not named and core.creation.may_be_ours(told):
                return
        elif kind is ErrorKind.CANCEL_NOT_ACTIVE:
            key = core.interruption.refused_cancel()
        pending = core.requests.take_for_error(body.event_id, kind, key, param, command)
        if kind is ErrorKind.ITEM_NOT_FOUND:
            kind = _NOT_FOUND.get(pending.kind if pending is not None else "", ErrorKind.OTHER)
        if told.code in _ANOTHER_HELPS and core.continuity.lost(told, hang_up=True):
            core.news.append(ServerError(told))
            return
        if kind is ErrorKind.FATAL:
            core.news.append(ServerError(told, pending.request if pending is not None else None, fatal=True))
            self.end("expired" if told.code == "session_expired" else "fatal_error", told)
            return
        if pending is None:
            if kind is ErrorKind.ACTIVE_RESPONSE:
                core.creation.slot_is_taken()
                core.turns.server_could_not_answer()
            elif kind is ErrorKind.CANCEL_NOT_ACTIVE:
                core.responses.silence_explained()
            if kind not in _BENIGN:
                core.news.append(ServerError(told))
                core.renewal.failed(told)
            if not named and kind is ErrorKind.OTHER:
                core.creation.troubled(told)
            return
        self.settle(pending, kind, told, named=named)

    def settle(self, pending: Pending, kind: ErrorKind, told: Problem, *, named: bool) -> None:
        """A command of ours failed: what waited for it goes on."""
        core = self._core
        core.renewal.failed(told, owes=pending.kind == "response" and core.creation.owes(pending.key))
        if pending.kind == "response":
            core.creation.response_failed(pending, kind, told, named=named)
        elif pending.kind == "item":
            core.creation.item_failed(pending, told)
        elif pending.kind == "cancel":
            response = core.responses.live.get(pending.key)
            if response is not None and kind is ErrorKind.CANCEL_NOT_ACTIVE:
                core.responses.presume_done(response)
        elif pending.kind == "truncate":
            core.counters.rejected_truncates += 1
        elif pending.kind == "delete":
            if kind is ErrorKind.DELETE_NOT_FOUND:
                core.responses.forget(pending.key)
                core.requests.end(pending.request, "done", item_id=pending.key)
                core.edits.answered(pending)
            core.edits.answered(pending, told, "failed")
            core.edits.delete_settled(pending.key, "failed", told)
            core.requests.end(pending.request, "failed", problem=told, item_id=pending.key)
        elif pending.kind == "update" and not core.ready:
            # All or nothing: a refused first update means that nothing of the configuration counts (facts 2.3).
            self.end("not_acknowledged", self._mistaken(told))
            return
        else:
            core.continuity.not_committed(pending)
            if pending.kind == "commit" and pending.key:
                core.creation.turn_refused(int(pending.key), told)
            core.requests.end(pending.request, "failed", problem=told)
        if pending.request is None and not pending.batch and kind not in _BENIGN and kind is not ErrorKind.ACTIVE_RESPONSE:
            core.news.append(ServerError(told))
        core.creation.pump()

    def overdue(self) -> None:
        """Commands that the server did not answer in time: what waited for them goes on without."""
        core = self._core
        for pending in core.requests.overdue(core.now):
            message = f"the server did not answer {_SAID[pending.kind]}"
            told = Problem("no_answer", message, True, "Try again; the session goes on.")
            if pending.kind == "response":
                core.creation.response_overdue(pending, told)
            elif pending.kind == "item":
                core.creation.item_failed(pending, told, "timed_out")
            elif pending.kind == "cancel":
                core.responses.cancel_overdue(pending.key, lost=core.requests.outrun(pending))
                core.interruption.overdue_responses()
            else:
                self._late(pending, told)
        due = core.requests.due
        if due is not None:
            core.timers.set("answer to a command", due)
        core.creation.pump()

    def _late(self, pending: Pending, told: Problem) -> None:
        core = self._core
        if pending.kind == "clear playout":
            return  # a server that had nothing to clear may say nothing (facts 4.15)
        core.continuity.not_committed(pending, late=True)
        if pending.request is None and not pending.batch:
            core.news.append(ServerError(told))
        core.edits.answered(pending, told, "timed_out")
        core.edits.delete_settled(pending.key, "timed_out", told)
        core.requests.end(pending.request, "timed_out", problem=told)

    def warn(self, reason: str, event_type: str, detail: str) -> None:
        """One message could not be used (B27)."""
        self._core.counters.warnings += 1
        self._core.news.append(ProtocolWarning(reason, event_type, detail))

    def clock_fault(self, generation: int, reason: str) -> None:
        """The clock said something impossible, or nothing."""
        self._core.news.append(ClockFault(generation, reason))

    def rate_limits(self, event: RateLimits) -> None:
        """Passed on as it came."""
        self._core.news.append(RateLimitsUpdated(tuple(event.rate_limits or ())))

    # -- ending ------------------------------------------------------------------------------------------------------------------

    def told(self, cause: Disconnection) -> Problem:
        """Why a connection did not come up or went away, without credentials."""
        scrub = self._core.scrub
        return connection_problem(
            http_status=cause.http_status, close_code=cause.close_code, reason=scrub(cause.reason), error=scrub(cause.error)
        )

    def disconnected(self, cause: Disconnection) -> None:
        """The line is gone, or never was: the conversation goes on over another, or ends."""
        core = self._core
        told = self.told(cause)
        if core.requests.keys("update"):
            told = configuration_problem(told, cause.close_code)
        refused = told.code == "configuration_refused"
        # A server that closes in order has ended the conversation (F101), unless that is its answer to the configuration (F102);
        # 1001 says that it only goes away.
        ended = cause.close_code == _IN_ORDER and not refused
        if not ended and core.continuity.lost(told, planned=cause.close_code == _GOING_AWAY):
            return
        if refused and core.state == "configuring":
            told = self._mistaken(told)
        if core.state == "connecting" and not (core.continuity.begun and told.retryable):
            reason: CloseReason = "refused"
        elif refused:
            reason = "not_acknowledged"
        else:
            reason = "expired" if told.code == "session_expired" else "lost"
        core.connection += 1
        self.end(reason, told, hang_up=False)

    def end(self, reason: CloseReason, told: Problem | None = None, *, hang_up: bool = True) -> None:
        """End the session once: silence, the line, verdicts with what was heard (F162), requests, ``SessionClosed`` last
        (F101).
        """
        core = self._core
        if core.state == "closed":
            return
        dialled = core.state not in ("new", "reconnecting")
        core.state = "closed"
        if core.playout.unconfirmed:
            core.playout.flush(core.now, core.sound)
        if hang_up and dialled:
            core.wire.append(Disconnect(core.connection))
        core.renewal.drop()
        numbers = [number for number, _ in core.playout.dues()]
        if numbers:
            core.speech.moved(core.playout.settle(max(numbers), None, core.now))
        core.remote.end()
        for response in list(core.responses.live.values()):
            for item in list(response.items.values()):
                if item.type == "message" and item.verdict is None:
                    core.speech.end(item, verdict_of(item))
        core.speech.stop_speaking()
        core.tools.end()
        core.requests.end_all("cancelled" if reason == "closed" else "connection_lost", told)
        core.timers.clear()
        core.holds.clear()
        core.edits.clear()
        self.early.clear()
        core.reports.end(core.news)
        core.news.append(SessionClosed(reason, told))


def _without_formats(session: dict[str, Any]) -> dict[str, Any]:
    """A session in GA shape that says nothing of its audio's formats."""
    audio = {
        side: {name: value for name, value in fields.items() if name != "format"} if isinstance(fields, dict) else fields
        for side, fields in session["audio"].items()
    }
    return {**session, "audio": audio}


_BENIGN = frozenset(
    {
        ErrorKind.CANCEL_NOT_ACTIVE,
        ErrorKind.TRUNCATE_TOO_LONG,
        ErrorKind.TRUNCATE_REPEATED,
        ErrorKind.DELETE_NOT_FOUND,
    }
)
"""Errors that say only that what we wanted is so already."""

_NOT_FOUND = {"delete": ErrorKind.DELETE_NOT_FOUND, "truncate": ErrorKind.TRUNCATE_NOT_FOUND}
"""What an item that is not there means, by the command that names it."""

_ANOTHER_HELPS = frozenset({"session_expired", "session_limit_reached"})
"""Ends of a session behind which a conversation that had begun goes on over another one."""

_SAID = {
    "update": "session.update",
    "item": "conversation.item.create",
    "response": "response.create",
    "delete": "conversation.item.delete",
    "truncate": "conversation.item.truncate",
    "cancel": "response.cancel",
    "commit": "input_audio_buffer.commit",
    "clear": "input_audio_buffer.clear",
    "clear playout": "output_audio_buffer.clear",
    "retrieve": "conversation.item.retrieve",
}
