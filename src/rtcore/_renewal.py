"""When is the session changed for a new one, and how without a gap.

    due -- dial a second line --> configure it --> acknowledged --> a quiet moment, or no more time --> change over

A session does not last: its server ends it after an hour, or less. It is changed for another before that, at a moment in which
nobody speaks, nothing is heard, no tool runs and nothing is asked for; where no such moment comes, in the middle of anything. The
second line is up and configured before the first is left, so that no word is lost on either side. A session whose server fails
again and again is changed as well (F092).
"""

import msgspec

from rtcore._core import Core
from rtcore._effects import Connect, Disconnect, Send
from rtcore._notices import Problem
from rtcore._wire import ErrorEvent, SessionCreated, SessionUpdated, decode, encode

_TIMER = "renewal of the session"
_LOOK_S = 0.1
"""So often is looked for a quiet moment."""
_RENEWED = Problem("session_renewed", "the session was changed for a new one", True, "Nothing to do: it was told what was said.")
_SERVER_FAULTS = ("server_error", "internal_error")


class Renewal:
    """Owner of: when is the session changed for a new one?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.coming = 0
        """The connection that is made ready beside the present one; 0: none."""
        self._session: dict[str, object] | None = None
        self._asked: dict[str, object] = {}
        self._event_id = ""
        self._wanted = False
        self._latest = 0.0
        self._since = 0.0
        self._errors = 0
        self._owes = False
        """Among what failed was an answer that somebody waits for, and that nobody asked for in a way of its own."""
        self._failures = 0
        """Second lines of this renewal that failed."""

    @property
    def able(self) -> bool:
        """Whether the session may be changed for another."""
        return self._core.continuity.able and self._core.config.reconnect.renew

    def begin(self) -> None:
        """A session begins: its time runs."""
        core = self._core
        self.coming, self._session, self._wanted = 0, None, False
        self.worked()
        limit_s = self._limit_s()
        if limit_s is not None and self.able:
            core.timers.set(_TIMER, core.now + limit_s)
        else:
            core.timers.cancel(_TIMER)

    def _limit_s(self) -> float | None:
        options, ends = self._core.config.reconnect, self._core.capabilities.session_s
        if options.limit_s is not None:
            return options.limit_s
        return None if ends is None else max(ends / 2, ends - 2 * options.grace_s)

    def want(self) -> None:
        """The session is to be changed for another, from the next quiet moment on."""
        core = self._core
        if self._wanted or not core.ready:
            return
        self._wanted, self._failures, self._since = True, 0, core.now
        self._latest = core.now + core.config.reconnect.grace_s
        self.look()

    def failed(self, problem: Problem, *, owes: bool = False) -> None:
        """The server failed, whatever it was asked: a session in which it does nothing else is poisoned (F092). ``owes``: what it
        was asked for was an answer of the conversation; the next session is asked for that, and for nothing that was not wanted.
        """
        options = self._core.config.reconnect
        if not options.poisoned_after or (problem.code not in _SERVER_FAULTS and problem.type not in _SERVER_FAULTS):
            return
        self._errors += 1
        self._owes |= owes
        if self._errors >= options.poisoned_after and self.able:
            self.want()

    @property
    def owes(self) -> bool:
        """Whether the session failed so often that it is changed, and an answer failed with it: the next one is asked for it."""
        return self._owes and self._errors >= self._core.config.reconnect.poisoned_after

    @property
    def will_ask(self) -> bool:
        """Whether that one is on its way. Where the session can not be changed, or no more, nobody is to wait for the answer."""
        return self._wanted and self.owes

    def interrupted_by_program(self) -> None:
        """Who interrupts says what comes next."""
        self._owes = False

    def worked(self) -> None:
        """A response was completed, or another session is there."""
        self._errors, self._owes = 0, False

    # -- looking for the moment --------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """The session is due, or was: is this the moment?"""
        core = self._core
        if not core.ready:
            return  # lost meanwhile: the next one is new anyway
        if not self._wanted:
            self.want()
            return
        late = core.now >= self._latest
        if core.capabilities.second_session:
            if not self.coming and core.now >= self._since:
                self._dial()
            elif self.coming and self._session is None and core.now >= self._since:
                self._give_up("it was not acknowledged in time")
            if self._session is not None and (late or self._quiet):
                self._change_over()
                return
        elif late or self._quiet:
            core.continuity.leave(_RENEWED)
            return
        # While the second line is not ready, there is nothing to look for but its time-out.
        waits = core.capabilities.second_session and self._session is None
        core.timers.set(_TIMER, max(self._since, core.now + _LOOK_S) if waits else core.now + _LOOK_S)

    @property
    def _quiet(self) -> bool:
        """Nobody speaks, nothing is heard, no tool runs, nothing is asked for, and nobody is owed an answer."""
        core = self._core
        spoken = core.turns.user_has_the_floor or core.turns.unfinished or core.turns.automatic or core.microphone.in_turn
        heard = core.responses.live or not core.playout.idle or core.playout.held
        return not (spoken or heard or core.tools.open_calls or core.requests.waiting or core.interruption.editing)

    # -- the second line ---------------------------------------------------------------------------------------------------------

    def _dial(self) -> None:
        core = self._core
        core.last_connection += 1
        self.coming = core.last_connection
        self._since = core.now + core.config.timeouts.acknowledge_ms / 1000
        core.wire.append(Connect(self.coming, core.handshake()))

    def connected(self) -> None:
        """The second line is up: its session is asked for as this one was."""
        core = self._core
        self._asked = core.asked
        event = core.lifecycle.configuration()
        self._event_id = event.event_id
        core.wire.append(Send(self.coming, encode(event)))

    def received(self, payload: bytes) -> None:
        """A message on the second line: only its acknowledgement counts."""
        try:
            event = decode.decode(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return
        if isinstance(event, SessionUpdated) and not isinstance(event, SessionCreated):
            self._session = event.session
            self.look()
        elif isinstance(event, ErrorEvent) and event.error.event_id in (None, self._event_id):
            self._give_up(self._core.scrub(event.error.message or "the server refused it"))

    def lost(self, told: Problem) -> None:
        """The second line did not come up, or went away."""
        self.coming, self._session = 0, None
        self._wait(told)

    def _give_up(self, reason: str) -> None:
        self.drop()
        self._wait(Problem("not_acknowledged", reason, True, "The first line goes on; renew() tries it anew."))

    def _wait(self, told: Problem) -> None:
        core = self._core
        self._failures += 1
        # Where another would end in the same way (F096), the session is used for as long as it lasts.
        delay = core.continuity.renewal_delay(self._failures, told) if told.retryable else None
        if delay is None:
            self._wanted = False
            core.timers.cancel(_TIMER)
            core.lifecycle.warn("the session could not be renewed", "", f"{told.message}; {told.remedy}")
            return
        core.lifecycle.warn("the session could not be renewed; it is tried again", "", told.message)
        self._since = core.now + delay
        core.timers.set(_TIMER, core.now + _LOOK_S)

    def drop(self) -> None:
        """The second line is not needed any more."""
        if self.coming:
            self._core.wire.append(Disconnect(self.coming))
        self.coming, self._session = 0, None

    # -- changing over -----------------------------------------------------------------------------------------------------------

    def _change_over(self) -> None:
        core = self._core
        core.wire.append(Disconnect(core.connection))
        self.take_over(_RENEWED)

    def take_over(self, told: Problem) -> bool:
        """The present line is left, or lost: the second one takes its place, if it is ready."""
        core = self._core
        session, coming = self._session, self.coming
        if session is None:
            self.drop()
            return False
        changed = core.asked != self._asked
        self.coming, self._session = 0, None
        core.continuity.change_over(coming, session, told, changed=changed)
        return True
