"""The engine of a conversation, whatever runs it: inputs to the session, its effects to lines, devices and program.

What arrives is fed to the session, what it answers is carried out; when a deadline comes, whoever set it is ticked. Carrying out
is synchronous, so nothing interleaves; what arises meanwhile waits its turn. The engine opens no socket, waits for nothing and
starts nothing: for that it has a ``Host``, which is the runtime. It lives on one thread; ``feed`` alone may be called on any.
"""

import math
import secrets
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Generic

from rtcore import (
    Config,
    Connect,
    Disconnect,
    Disconnection,
    Drain,
    Effect,
    Flush,
    Handshake,
    HeardText,
    Issued,
    LocalProtocolError,
    LoopLagged,
    MicrophoneDropped,
    Notice,
    Pause,
    Play,
    RequestEnded,
    Resume,
    Send,
    Session,
    SessionClosed,
    SessionReady,
    TextDelta,
    ToolCalled,
    ToolEnded,
)
from rtcore.policies import Policies
from rtcore_adapters import _journal
from rtcore_adapters._calls import Calls
from rtcore_adapters._devices import Devices
from rtcore_adapters._failures import ConnectionFailed
from rtcore_adapters._host import Host, R
from rtcore_adapters._line import Line, Ways, check
from rtcore_adapters._link import Closed, Failed, LinkEvent, LinkTimes, Message, Opened, Refused, disconnection
from rtcore_adapters._mailbox import Mailbox
from rtcore_adapters._outbox import audio_ms
from rtcore_adapters._token import TokenProvider, Tokens
from rtcore_adapters._tools import Tools, own
from rtcore_adapters.audio import Microphone, Speaker, VirtualSpeaker

LAG_S = 0.1
"""Seconds of lateness from which on it is told: five frames of audio. Below it the machine's own scheduling is seen."""


class Engine(Generic[R]):
    """Drives one session: inputs in, effects carried out, each list whole before the next input."""

    def __init__(
        self,
        host: Host[R],
        config: Config,
        *,
        speaker: Speaker | None,
        microphone: Microphone | None,
        tools: Tools | None,
        times: LinkTimes | None,
        ways: Ways,
        seed: int | None,
        session: Callable[..., Session] = Session,
        mailbox: Mailbox | None = None,
        token: TokenProvider | None = None,
        policies: Policies | None = None,
        history: bytes | None = None,
    ) -> None:
        check(ways)
        speaker = speaker or VirtualSpeaker(record=False)
        if token is not None:
            provided = config.connection.model_copy(update={"provided_token": True})
            config = config.model_copy(update={"connection": provided})
        functions, config = own(tools, config)
        if policies is not None:
            session = partial(session, policies=policies)
        self.session = session(config, clock=speaker.capabilities, seed=secrets.randbits(63) if seed is None else seed)
        self.mailbox = Mailbox() if mailbox is None else mailbox  # an empty one is false
        self.lines: dict[int, Line] = {}
        """Those that have a socket, or may still get one."""
        self.over = False
        """``SessionClosed`` was told: no notice follows it."""
        self.crash: Exception | None = None
        """The mistake in a device or in this program that ended the conversation."""
        self._host = host
        self._history = history
        self._devices = Devices(self.session, speaker, microphone, self.feed)
        self._microphone = microphone
        self._times = times or LinkTimes()
        self._ways = ways
        self._calls = Calls(functions, host, give=self._give, answer=self.answer)
        self._tokens = Tokens(token, host, wait_s=self._times.open_s, came=self._dial, failed=self._no_token)
        self._requests: dict[int, R] = {}
        self._inputs: deque[Callable[[], list[Effect]]] = deque()
        self._acting = False
        self._waking = False
        self._due: float | None = None
        self._closed: SessionClosed | None = None
        self._was_ready = False
        self._traces = _journal.traces()
        self._thread = threading.get_ident()

    # -- inputs -------------------------------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """From now on the calling thread is the engine's."""
        self._thread = threading.get_ident()

    def start(self) -> None:
        """Open the devices, then the session, with what it is to begin with: it answers with where to dial."""
        if self._history is not None:
            self.do(partial(self.session.load, self._history))
        self._acting = True  # what a device reports from its own opening waits for the session's
        try:
            self._devices.open(now=self._host.time())
        finally:
            self._acting = False
        self.do(self.session.open)

    def feed(self, take: Callable[..., list[Effect]], *args: object, now: float | None = None) -> None:
        """One input. Where it arises while effects are carried out, it waits until all of them are."""
        at = self._host.time() if now is None else now
        if threading.get_ident() != self._thread:
            self._host.hand_over(partial(self.feed, take, *args, now=at))
        elif self._acting:
            self._inputs.append(partial(take, *args, now=at))
        else:
            self._run(partial(take, *args, now=at))
            if not self._waking:
                self._arm()

    def ask(self, command: Callable[..., Issued]) -> R:
        """A command that the server answers."""
        self._check()
        issued = command(now=self._host.time())
        request = self._requests[issued.request] = self._host.request(issued.request)
        self._run(lambda: issued.effects)
        self._arm()
        return request

    def do(self, command: Callable[..., list[Effect]]) -> None:
        """A command that needs no answer."""
        self._check()
        effects = command(now=self._host.time())
        self._run(lambda: effects)
        self._arm()

    def _check(self) -> None:
        if self.crash is not None:
            raise self.crash
        if threading.get_ident() != self._thread:
            raise LocalProtocolError("a command from another thread than the conversation's: hand it over to the runtime first")
        if self._acting:
            raise LocalProtocolError("a command from within a speaker or a microphone: let the runtime call it later")

    def wake(self) -> None:
        """A deadline has come: tick whoever set it. The session last, because at equal times inputs come before ticks."""
        now = self._host.time()
        due, self._due = self._due, None
        if due is not None:
            lag = now - due
            now = max(now, due)  # a runtime may wake a hair early; each must see its deadline as reached
            if lag >= LAG_S:
                self._note(LoopLagged(round(lag * 1000)))
        self._waking = True  # what the devices report meanwhile arms nothing: it is done once, at the end
        try:
            self._run(partial(self._devices.tick, now=now))  # an input, too: what they report waits until they have returned
            if self.crash is None:
                self._tokens.tick(now=now)
                for line in list(self.lines.values()):
                    self._hear(line, line.tick(now=now))
                deadline = self.session.deadline
                if deadline is not None and deadline.at <= now:
                    self._run(partial(self.session.tick, now=now))
        except Exception as error:
            self._fail(error)
        finally:
            self._waking = False
        self._arm()
        if self._due is None:
            self._host.arm(None)  # what has gone off is not to go off again

    def _arm(self) -> None:
        """One timer, at the earliest of all deadlines."""
        due = self._devices.deadline
        wanted = self._tokens.deadline
        if wanted is not None and (due is None or wanted < due):
            due = wanted
        for line in self.lines.values():
            deadline = line.deadline
            if deadline is not None and (due is None or deadline.at < due):
                due = deadline.at
        deadline = self.session.deadline
        if deadline is not None and (due is None or deadline.at < due):
            due = deadline.at
        if self.crash is not None or due == math.inf:  # a link without a limit
            due = None
        elif due is not None and self._due is not None and self._due <= due:
            return  # the keepalive moves with every byte: what is armed already comes first, and arms the next
        if due != self._due:
            self._due = due
            self._host.arm(due)

    # -- what the sockets tell ----------------------------------------------------------------------------------------------

    def received(self, line: Line, data: bytes | memoryview) -> None:
        """What was read for a line; b"" means end of stream. The speaker is told of a barge-in before this returns.

        A view is not kept.
        """
        self._hear(line, line.receive(data, now=self._host.time()))
        self._arm()

    def failed(self, line: Line, error: Exception) -> None:
        """No socket could be opened."""
        self._hear(line, line.failed(error, now=self._host.time()))
        self.gone(line)

    def lost(self, line: Line, error: Exception | None) -> None:
        """The socket broke, or was closed."""
        self._hear(line, line.lost(error, now=self._host.time()))
        self.gone(line)

    def gone(self, line: Line) -> None:
        """Nothing is left of a line's socket."""
        self.lines.pop(line.number, None)
        self._arm()
        self._host.tell()

    def _hear(self, line: Line, events: list[LinkEvent]) -> None:
        """What a websocket tells is an input."""
        now = self._host.time()
        if self._acting:
            self._inputs += [partial(self._input, line.number, event, now) for event in events]
        elif events:
            try:
                self._acting = True
                for event in events:
                    self._act(self._input(line.number, event, now))
            except Exception as error:
                self._fail(error)
            finally:
                self._acting = False
        self._host.write(line)

    def _input(self, number: int, event: LinkEvent, now: float) -> list[Effect]:
        if isinstance(event, Message):  # first, and quicker than a pattern: nearly all of them are
            if self._traces:
                _journal.message("received", number, event.payload)
            return self.session.receive(number, event.payload, now=now)
        match event:
            case Opened():
                return self.session.connected(number, now=now)
            case Closed() | Refused() | Failed():
                return self.session.disconnected(number, disconnection(event), now=now)

    # -- effects ------------------------------------------------------------------------------------------------------------

    def _run(self, take: Callable[[], list[Effect]]) -> None:
        """Take an input and carry out what it caused."""
        try:
            self._acting = True
            self._act(take())
        except Exception as error:
            self._fail(error)
        finally:
            self._acting = False

    def _act(self, effects: list[Effect]) -> None:
        """Carry out a list, whole; then the inputs that arose meanwhile, one by one, each to its end."""
        for effect in effects:
            self._carry_out(effect)
        while self._inputs:
            for effect in self._inputs.popleft()():
                self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:  # the frequent ones first: a pattern costs as much as it has predecessors
            case Play():
                self._devices.sound(effect, now=self._host.time())
            case Notice():
                self._note(effect)
            case Drain() | Flush() | Pause() | Resume():
                self._devices.sound(effect, now=self._host.time())
            case Send(number, payload, lane):
                if (line := self.lines.get(number)) is not None:
                    if self._traces:
                        _journal.message("sent", number, payload)
                    self._dropped(line.send(payload, lane))
                    self._hear(line, line.refuse_if_overfull(now=self._host.time()))
            case Connect(number, handshake):
                self._dial(number, handshake)
            case Disconnect(number, code, reason):
                if (line := self.lines.get(number)) is not None:
                    self._hear(line, line.close(code, reason, now=self._host.time()))

    def _no_token(self, number: int, error: str) -> None:
        self.feed(self.session.disconnected, number, Disconnection(error=error))

    def _dial(self, number: int, handshake: Handshake) -> None:
        if handshake.wants_token:
            self._tokens.fetch(number, handshake, now=self._host.time())
            self._arm()
            return
        try:
            line = self.lines[number] = Line(number, handshake, now=self._host.time(), times=self._times, ways=self._ways)
        except ValueError as error:
            self.feed(self.session.disconnected, number, Disconnection(error=str(error)))
            return
        self._host.dial(line)

    def _note(self, notice: Notice) -> None:
        match notice:
            case TextDelta() | HeardText():
                pass  # nearly all of them
            case SessionReady():
                self._was_ready = True
            case RequestEnded(number):
                if (request := self._requests.pop(number, None)) is not None:
                    request.settle(notice)
            case ToolCalled():
                self._calls.begin(notice, self.session.tool_names)
            case ToolEnded():
                self._calls.end(notice)
            case SessionClosed():
                self._closed = notice
                self._tokens.drop()
                self._devices.stop_listening(now=self._host.time())
            case _:
                pass
        _journal.note(notice)
        self.mailbox.put(notice)
        if notice is self._closed:
            self.over = True  # behind it: another thread that sees this looks for nothing more
        self._host.tell()

    def _dropped(self, messages: list[bytes]) -> None:
        """Microphone audio gave way in the outbox."""
        if messages:
            ms = sum(audio_ms(message, self.session.input_format) for message in messages)
            self._note(MicrophoneDropped(ms, "the line does not take audio as fast as it is spoken"))

    # -- tools --------------------------------------------------------------------------------------------------------------

    def answer(self, call: ToolCalled, output: object) -> None:
        """A tool has answered, or its failure is the answer."""
        if self._acting:  # an eager task answers within the call that has begun it
            self._host.hand_over(partial(self.answer, call, output))
        else:
            self._calls.answer(call, output)

    def _give(self, call: ToolCalled, output: object, respond: bool) -> None:
        if not self.over and self.crash is None:
            self.ask(partial(self.session.tool_result, call.call_id, output, respond=respond))

    # -- what a program waits for -------------------------------------------------------------------------------------------

    def is_ready(self) -> bool:
        """Whether the session has become ready. Raises ``ConnectionFailed`` where it ended before, ``ValueError`` where the
        microphone's format is not the session's."""
        if self.crash is not None:
            raise self.crash
        if self._closed is not None and not self._was_ready:
            raise ConnectionFailed(self._closed.reason, self._closed.problem)
        if not self._was_ready:
            return False
        wanted = self.session.input_format
        if self._microphone is not None and self._microphone.format != wanted:
            raise ValueError(
                f"the microphone delivers {self._microphone.format}, the session takes {wanted}: "
                "set audio.input.format, or give the microphone this format"
            )
        return True

    def take(self) -> Notice | None:
        """The next notice, or None: there is none yet, or, once ``over``, no other will come. Raises what ended it by mistake."""
        notice = self.mailbox.take()
        if notice is None and self.crash is not None:
            raise self.crash
        return notice

    # -- the end ------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Begin the end: the session closes in order. Then wait until no line is left."""
        if self.crash is None and self.session.state not in ("new", "closed"):
            self.do(self.session.close)

    def abort(self) -> None:
        """No more waiting: drop the sockets."""
        for line in list(self.lines.values()):
            self._host.abort(line)

    def silence(self) -> None:
        """The end of the end: let the devices go."""
        self._host.arm(None)
        self._devices.close(now=self._host.time())

    def _fail(self, error: Exception) -> None:
        """A mistake in a device or in this program ends the conversation loudly: it is raised where the program waits."""
        if self.crash is None:
            self.crash = error
            self._inputs.clear()
            self.abort()
            for request in self._requests.values():
                request.settle(error)
            self._host.tell()
