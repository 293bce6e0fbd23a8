"""The conversation survives its line in every runtime: a strict server that is killed and started again, and one that is left."""

from typing import Any

import pytest
from loopback import VOICES, config

from conformance.far import FarEnd
from conformance.server import ScriptedServer
from conformance.talks import RUNTIMES, Runtime, Talk
from rtcore import Config, MessageEnded, Notice, Reconnected, Reconnecting, RequestEnded, SessionClosed, SpeakingStarted, Verdict
from rtcore.saved import save
from rtcore.sim.server import ResponsePlan, Rules, Server, ServerOptions, spoken
from rtcore_adapters.audio import VirtualSpeaker

every = pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)


def there(**options: Any) -> Config:
    return config("ws://server.example/v1/realtime", reconnect={"jitter": 0.0, **options})


class StrictServers(ScriptedServer):
    """Each connection gets a strict server of its own, which knows nothing of the others."""

    def __init__(self, *plans: ResponsePlan) -> None:
        super().__init__(acknowledges=False)
        self.truths: list[Server] = []
        self._script = plans

    def begin(self, line: FarEnd, now: float) -> None:
        """Another session."""
        options = ServerOptions(script=self._script, rules=Rules(error_event_id="always"))
        self.truths.append(Server(seed=len(self.truths), voices=VOICES, options=options))
        line.accept()
        self._say(line, self.truths[-1].connect(now=now))

    def refuse(self, times: int) -> None:
        """Nobody is there for a while."""
        self._left = times

    _left = 0

    def dial(self, host: str, port: int) -> Any:
        if self._left:
            self._left -= 1
            raise ConnectionRefusedError
        return super().dial(host, port)

    @property
    def next_at(self) -> float | None:
        alive = [truth.deadline for line, truth in self._pairs() if not line.ended]
        return min((at for at in [super().next_at, *alive] if at is not None), default=None)

    def _pairs(self) -> list[tuple[FarEnd, Server]]:
        return list(zip([line for line in self.lines if line.accepted], self.truths, strict=False))

    def step(self, now: float) -> None:
        self.now = now
        for line, truth in self._pairs():
            if truth.deadline is not None and truth.deadline <= now and not line.ended:
                self._say(line, truth.tick(now=now))
                return
        super().step(now)

    def carry(self, now: float) -> bool:
        self.now = now
        moved = False
        for line in self.lines:
            moved |= line.carry()
            if line.request is not None and not line.accepted and not line.ended:
                self.begin(line, now)
        for line, truth in self._pairs():
            for payload in line.messages:
                self._say(line, truth.receive(payload, now=now))
            line.messages.clear()
        return moved

    def _say(self, line: FarEnd, payloads: list[bytes]) -> None:
        for payload in payloads:
            line.send(payload)

    def drop(self) -> None:
        """The line is cut."""
        self.line.hang_up()
        self.line.ended = True

    def told(self, index: int) -> list[tuple[str | None, str]]:
        """What one of the sessions holds: who said what."""
        truth = self.truths[index]
        items = [truth.items[name] for name in truth.conversation]
        texts = []
        for item in items:
            said = "".join(str(part.get("text") or "") for part in item.content or ()) or "".join(p.sent_text for p in item.parts)
            texts.append((item.role, said))
        return texts


async def heard(talk: Talk, found: list[Notice], kind: type[Notice]) -> Any:
    """Notices up to the next of a kind."""
    while (notice := await talk.notice()) is not None:
        found.append(notice)
        assert not isinstance(notice, SessionClosed), notice
        if isinstance(notice, kind):
            return notice
    raise AssertionError(f"the notices ended without {kind.__name__}")


@every
def test_a_server_that_is_killed_in_the_middle_of_an_answer_and_started_again(runtime: Runtime) -> None:  # C27, S08, F086, F093
    server = StrictServers(spoken(900), spoken(600))
    speaker = VirtualSpeaker(record=False)

    async def program(talk: Talk) -> list[Notice]:
        found: list[Notice] = []
        talk.conversation.send_text("Tell me a story.")
        await heard(talk, found, SpeakingStarted)
        server.refuse(2)
        server.at(server.now, server.drop)
        again = await heard(talk, found, Reconnected)
        assert not again.planned
        while [type(n) for n in found].count(MessageEnded) < 2:
            await heard(talk, found, MessageEnded)
        talk.conversation.close()
        return found + await talk.rest()

    found = runtime.run(program, server, there(), speaker=speaker)
    assert [n.attempt for n in found if isinstance(n, Reconnecting)] == [1, 2, 3]
    assert [type(n) for n in found].count(Reconnected) == 1 and found[-1] == SessionClosed("closed")
    first, *_ = [n for n in found if isinstance(n, MessageEnded)]
    told = server.told(1)
    assert told[0] == ("user", "Tell me a story.")
    # What the new session holds of the answer is what was heard of it, where any word was.
    if first.text.strip():
        assert told[1] == ("assistant", first.text)
    assert server.truths[1].refusals == []


@every
def test_a_command_that_the_lost_line_did_not_answer_is_answered_on_the_next(runtime: Runtime) -> None:  # B24
    server = StrictServers(spoken(300))

    async def program(talk: Talk) -> RequestEnded:
        server.drop()
        request = talk.conversation.send_text("Are you there?")
        found: list[Notice] = []
        await heard(talk, found, MessageEnded)
        ended: RequestEnded = request.ended
        return ended

    assert runtime.run(program, server, there()).outcome == "done"
    assert server.told(1)[0] == ("user", "Are you there?") and server.truths[1].refusals == []


@every
def test_a_session_is_changed_for_another_without_a_gap(runtime: Runtime) -> None:  # B26, F085
    server = StrictServers(spoken(300))

    async def program(talk: Talk) -> list[Notice]:
        found: list[Notice] = []
        talk.conversation.send_text("Hello.")
        await heard(talk, found, MessageEnded)
        talk.conversation.renew()
        again = await heard(talk, found, Reconnected)
        assert again.planned and talk.conversation.state == "ready"
        talk.conversation.send_text("And now?")
        await heard(talk, found, MessageEnded)
        talk.conversation.close()
        return found + await talk.rest()

    found = runtime.run(program, server, there())
    assert [n.verdict for n in found if isinstance(n, MessageEnded)] == [Verdict.FULL, Verdict.FULL]
    assert [who for who, _ in server.told(1)] == ["user", "assistant", "user", "assistant"]
    assert server.told(1)[:2] == server.told(0)
    assert [truth.refusals for truth in server.truths] == [[], []] and not [n for n in found if isinstance(n, Reconnecting)]


@every
def test_a_server_that_does_not_come_back_ends_the_conversation(runtime: Runtime) -> None:  # B25, F101
    server = StrictServers()

    async def program(talk: Talk) -> list[Notice]:
        server.refuse(100)
        server.drop()
        return await talk.rest()

    found = runtime.run(program, server, there(attempts=3, first_ms=10))
    assert [type(n) for n in found if isinstance(n, Reconnecting | SessionClosed)] == [Reconnecting] * 3 + [SessionClosed]


@every
def test_a_conversation_begins_with_an_earlier_one(runtime: Runtime) -> None:  # issue 6, part 6
    server = StrictServers(spoken(300))

    async def program(talk: Talk) -> bytes:
        talk.conversation.send_text("Hello.")
        await heard(talk, [], MessageEnded)
        return save(talk.conversation.history)

    saved = runtime.run(program, server, there())
    again = StrictServers(spoken(300))
    runtime.run(program, again, there(), history=saved)
    assert again.told(0)[:2] == server.told(0) and again.truths[0].refusals == []
