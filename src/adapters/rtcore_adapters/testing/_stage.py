"""The far side of every client of a test: its lines, their sessions, and the script, which happens where it was written.

It never waits and knows no clock: a virtual loop or a thread tells it the time, ``next_at`` says when it has something to do.
"""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush
from itertools import count

import msgspec

from rtcore.sim.server import Server, ServerOptions, ServerResponse
from rtcore_adapters._requested import Requested, session_of
from rtcore_adapters.testing._far import FarEnd
from rtcore_adapters.testing._faults import hurt, options
from rtcore_adapters.testing._script import UNSCRIPTED, Cue, Script
from rtcore_adapters.testing._talk import Talk
from rtcore_adapters.testing._timeline import Timeline
from rtcore_adapters.testing._voice import filler

_FIRST_S = 0.5  # from the session to the user's first words
_PAUSE_S = 0.5  # from the end of an answer to the user's next words
_UNCONFIGURED_S = 3.0  # a client that never sends session.update is talked to all the same
_MORE = 1000  # answers beyond the script
_TCP_S = 0.0001  # real seconds that the kernel is granted for the loopback interface

_REJECTED = {
    401: ("invalid_api_key", "Incorrect API key provided."),
    403: ("forbidden", "This key may not do that."),
    404: ("model_not_found", "The model does not exist."),
    429: ("rate_limit_exceeded", "Rate limit reached."),
}


class Stage:
    """One for each test."""

    def __init__(self, *, seed: int, timeline: Timeline) -> None:
        self.script = Script()
        self.faults: frozenset[str] = frozenset()
        self.talks: list[Talk] = []
        self.sealed = False
        """The first client has come: the answers are fixed."""
        self.now = 0.0
        self.problems: list[str] = []
        """What of the script could not be done."""
        self.answered: dict[int, tuple[Talk, ServerResponse]] = {}
        """Which response each scripted answer became."""
        self._seed = seed
        self._timeline = timeline
        self._lines: list[tuple[FarEnd, Talk | None]] = []
        self._listener: socket.socket | None = None
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._ready_at: float | None = None
        self._silent_from = 0.0
        self._used = 0
        self._speaking: Talk | None = None

    # -- connections ----------------------------------------------------------------------------------------------------------

    def listen(self) -> int:
        """Take connections on loopback; gives the port."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self._listener.setblocking(False)
        port: int = self._listener.getsockname()[1]
        return port

    def pair(self) -> socket.socket:
        """The near end of a connection that no network is between."""
        near, far = socket.socketpair()
        self._lines.append((FarEnd(far, tcp=False), None))
        return near

    def attach(self, requested: Requested, *, now: float) -> Talk:
        """A session of its own for a client that has connected."""
        self.now = now
        self.sealed = True
        talk = Talk(self._server(requested), self._timeline, self.script.refusing)
        self.talks.append(talk)
        talk.begin(now=now)

        def never_configured() -> None:
            if talk.ready_at is None:
                talk.ready_at = self.now
                self.settle(talk)

        self._after(now + _UNCONFIGURED_S, never_configured)
        return talk

    def _server(self, requested: Requested) -> Server:
        answers = self.script.answers[self._used :]
        extra = Script("beyond").answer([UNSCRIPTED], pace=1.0, thinks=0.3, speed=3.0, stalls=(), ends="completed", detail=None)
        voices = [voice for answer in [*answers, extra] for voice in answer.voices if voice is not None]
        longest = max(voice.samples // 24 for voice in voices)
        base = ServerOptions(
            script=(*(hurt(answer.plan, self.faults) for answer in answers), *(extra.plan,) * _MORE),
            audio_ms=(400, 1200),
            transcription_delay_ms=(100, 300),
            transcription_failed_per_mille=0,
        )
        self._base = self._used
        seed = self._seed * 1_000_003 + len(self.talks)
        return Server(seed=seed, voices=[*voices, filler(longest)], options=options(requested.of(base), self.faults))

    @property
    def live(self) -> Talk | None:
        """The latest session that has not ended."""
        return self.talks[-1] if self.talks and not self.talks[-1].ended else None

    @property
    def sockets(self) -> Iterator[tuple[FarEnd | socket.socket, bool]]:
        """What to wait for, and whether for writing as well."""
        if self._listener is not None:
            yield self._listener, False
        yield from ((line, line.writing) for line, _ in self._lines if not line.ended)

    def close(self) -> None:
        """Let go of everything."""
        for line, _ in self._lines:
            line.close(1001, "the server is stopping")
            line.hang_up()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    # -- as a stage -----------------------------------------------------------------------------------------------------------

    @property
    def next_at(self) -> float | None:
        """When ``step`` is due."""
        dues = [talk.server.deadline for talk in self.talks if not talk.ended]
        if self._agenda:
            dues.append(self._agenda[0][0])
        dues.append(self._cue_at())
        return min((due for due in dues if due is not None), default=None)

    def step(self, now: float) -> None:
        """Do the one thing that is due first."""
        self.now = now
        cue_at = self._cue_at()
        if self._agenda and self._agenda[0][0] <= now:
            heappop(self._agenda)[2]()
        elif cue_at is not None and cue_at <= now:
            self._perform(self.script.cues.pop(0))
        else:
            for talk in self.talks:
                if not talk.ended and (due := talk.server.deadline) is not None and due <= now:
                    talk.tick(now=now)
                    self.settle(talk)
                    break
        self._write()

    def carry(self, now: float) -> bool:
        """Read what has arrived at the far ends, and answer it; True where there was something."""
        self.now = now
        self._accept()
        moved = tcp = False
        for index, (line, known) in enumerate(self._lines):
            talk, stirred = known, line.carry()
            if line.request is not None and not line.answered and not line.ended:
                talk = self._greet(line)
                self._lines[index] = (line, talk)
            if talk is not None:
                for payload in line.messages:
                    talk.take(payload, now=now)
                    self.settle(talk)
                if line.ended and not talk.ended:
                    talk.ended = True
                    self._timeline.tell(now, "test", "the client has gone")
            line.messages.clear()
            moved |= stirred
            tcp |= stirred and line.tcp
        self._write()
        if tcp:
            time.sleep(_TCP_S)
        if moved:
            self._lines = [each for each in self._lines if not each[0].ended]
        return moved

    def _accept(self) -> None:
        while self._listener is not None:
            try:
                accepted = self._listener.accept()[0]
            except BlockingIOError:
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._lines.append((FarEnd(accepted, tcp=True), None))

    def _greet(self, line: FarEnd) -> Talk | None:
        assert line.request is not None
        if self.script.rejecting:
            status = self.script.rejecting.pop(0)
            self._timeline.tell(self.now, "test", f"a client is answered HTTP {status}")
            line.reject(status, *_REJECTED.get(status, ("server_error", "The server had an error.")))
            return None
        try:
            found = session_of(line.request.path)
        except ValueError:
            found = None
        if found is None:
            line.reject(404, "not_found", "There is no session at this path: try /v1/realtime.")
            return None
        if not line.accept():
            return None
        if (closing := found.closing(line.request)) is not None:
            line.close(*closing)
            return None
        return self.attach(found, now=self.now)

    def _write(self) -> None:
        for line, talk in self._lines:
            if talk is not None:
                for payload in talk.out:
                    line.send(payload)
                talk.out.clear()
                if talk.server.closing is not None:
                    line.close(*talk.server.closing)

    # -- the script -----------------------------------------------------------------------------------------------------------

    def settle(self, talk: Talk) -> None:
        """Something happened in this session: see what it means for the script."""
        if talk.ready_at is not None:
            self._ready()
        while self._used - self._base < len(talk.server.plans) and self._used < len(self.script.answers) and talk is self.live:
            mine = [each for each in talk.server.responses.values() if not each.out_of_band]
            self.answered[self._used] = (talk, mine[self._used - self._base])
            self._used += 1

    def _ready(self) -> None:
        if self._ready_at is not None or self.live is None:
            return
        self._ready_at = self.now
        for cue in self.script.timed:
            self.time(cue)

    def time(self, cue: Cue) -> None:
        """A cue at a time: it happens then, if the session is ready, or will once it is."""
        if self._ready_at is not None and cue.at is not None:
            self._after(max(self.now, self._ready_at + cue.at), lambda: self._perform(cue))

    def _after(self, at: float, act: Callable[[], None]) -> None:
        heappush(self._agenda, (at, next(self._order), act))

    def _cue_at(self) -> float | None:
        """When the first of the cues without a time is due, as far as that is known."""
        cues, talk = self.script.cues, self.live
        if not cues or talk is None or talk.ready_at is None or self._speaking is not None:
            return None
        cue, earliest = cues[0], max(self._silent_from, talk.ready_at)
        if cue.answer is None:
            return earliest + _FIRST_S
        if (found := self.answered.get(cue.answer)) is None:
            return None
        its_talk, response = found
        ended = response.done_at is not None or its_talk.ended
        if cue.word is not None:
            at = self._word_at(cue.answer, cue.word)
            if at is None:
                return earliest if ended else None  # it will never be heard; see ``_perform``
            return max(earliest, at)
        if not ended:
            return None
        return max(earliest, response.done_at or 0.0, its_talk.ear.silent_at) + _PAUSE_S

    def _word_at(self, number: int, word: int) -> float | None:
        talk, response = self.answered[number]
        output, ms = self.script.answers[number].after_word(word)
        items = (talk.server.items[name] for name in response.item_ids if name in talk.server.items)
        item = next((each for each in items if each.output_index == output and each.parts), None)
        return None if item is None else talk.ear.when((item.id, 0), ms * item.parts[0].format.rate // 1000)

    def _perform(self, cue: Cue) -> None:
        talk = self.live
        if talk is None:
            self.problems.append(f"{cue}, but no client was connected")
        elif cue.word is not None and cue.answer is not None and self._word_at(cue.answer, cue.word) is None:
            self.problems.append(f"{cue} at word {cue.word} of answer {cue.answer + 1}, which was not heard so far")
        elif cue.kind == "speak":
            self._speak(talk, cue)
        elif cue.kind == "send":
            talk.send(cue.event, now=self.now)
        else:
            self._drop(talk, cue.code)

    def _speak(self, talk: Talk, cue: Cue) -> None:
        if not talk.detects:
            self.problems.append(
                f"{cue}, but the session has no turn detection: nobody listens (append and commit audio instead)"
            )
            return
        if self._speaking is not None:
            self.problems.append(f"{cue}, but was still saying something else")
            return
        self._timeline.tell(self.now, "user", f"begins to say {cue.text!r}")
        self._speaking = talk
        talk.user("started", cue.text, now=self.now)
        self.settle(talk)

        def stop() -> None:
            self._speaking = None
            self._silent_from = self.now
            if not talk.ended:
                self._timeline.tell(self.now, "user", "has said it")
                talk.user("stopped", cue.text, now=self.now)
                self.settle(talk)

        self._after(self.now + cue.lasts, stop)

    def _drop(self, talk: Talk, code: int | None) -> None:
        self._timeline.tell(self.now, "test", "the line breaks" if code is None else f"the server hangs up ({code})")
        for line, mine in self._lines:
            if mine is not talk:
                continue
            if code is None:
                line.hang_up(reset=True)
            else:
                self._write()
                line.close(code, "as scripted")
        talk.ended = True
        self._silent_from = self.now

    # -- the end --------------------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the script has happened, and what it said was heard."""
        if self.script.cues or self._speaking is not None or any(each.at is not None for each in self._pending_times()):
            return False
        talk = self.live
        if talk is None or self._used < len(self.script.answers):
            return bool(self.talks) and talk is None and self._used >= len(self.script.answers)
        return talk.server.active_response is None and self.now >= max(talk.ear.silent_at, self._silent_from) + _PAUSE_S

    def _pending_times(self) -> list[Cue]:
        if self._ready_at is None:
            return self.script.timed
        return [each for each in self.script.timed if each.at is not None and self._ready_at + each.at > self.now]

    def left(self) -> list[str]:
        """What of the script has not happened."""
        missing = [str(cue) for cue in [*self.script.cues, *self._pending_times()]]
        missing += [
            f"answer {each.number + 1}, {each.said[0]!r}, was not asked for" for each in self.script.answers[self._used :]
        ]
        missing += [f"no further {each.type} came to be refused" for each in self.script.refusing if each.times > 0]
        missing += [f"no client came to be answered HTTP {status}" for status in self.script.rejecting]
        return missing


def event_of(event: object) -> bytes:
    """A server event as bytes; ``ValueError`` where it has no type."""
    if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
        raise ValueError("event: a mapping with a type, such as {'type': 'rate_limits.updated', 'rate_limits': []}")
    return msgspec.json.encode(dict(event))
