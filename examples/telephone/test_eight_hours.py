"""One call of eight hours, in virtual time: ``make examples``. Without ``RTCORE_SOAK`` it is one of twenty minutes.

Realtime servers end their sessions after an hour, so it is a call over many of them. The telephone plays what it is sent by a
clock of its own and answers its marks late; now and then the network stands still. The caller talks, talks over the model, types
on the keypad, and hangs up in the middle of an answer. What they heard is known to the telephone alone, and what the servers were
told is held against that.
"""

import asyncio
import os
import random
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from examples.telephone import bridge
from examples.telephone.bridge import Call, telephone_config
from examples.telephone.long_call import Heard, LongTelephone, Servers
from loopback import KEY
from pydantic import SecretStr

from rtcore import PCMU, Config, MessageEnded, Notice, Reconnected, Session, SessionClosed, SpeakingStarted, Verdict
from rtcore.config import Connection, Reconnect
from rtcore.sim._audit_memory import CONVERSATION, SETTINGS
from rtcore.sim.footprint import footprint
from rtcore.sim.soak import Hour, leaks
from rtcore.sim.voices import synthetic_voices
from rtcore_adapters.asyncio import Conversation, connect
from rtcore_adapters.audio._g711 import encode, resampled
from rtcore_adapters.testing._virtual import run_asyncio

SECONDS = 8 * 3600 if "RTCORE_SOAK" in os.environ else 20 * 60
LATE_MS = 150
"""So much later than it could, at most, a mark comes back."""
ANSWERED_S = 30
"""So long a turn may wait for its answer; a session may be changed for another meanwhile."""
TOLD = "history._replayed"
"""What the present session was told of the conversation: its latest items, ``reconnect.max_items`` at most."""
VOICES = synthetic_voices(2036)
SPEECH = encode(resampled(VOICES[0].pcm, VOICES[0].samples // 3), PCMU)


class LongCall:
    """The caller, and what they notice."""

    def __init__(self, seed: int) -> None:
        self.servers = Servers(seed, VOICES)
        self.ended: list[MessageEnded] = []
        self.turns = self.typed = self.renewed = 0
        self.hours: list[Hour] = []
        self._draw = random.Random(seed)
        self._speaks = asyncio.Event()
        self._conversation: Conversation | None = None

    async def run(self) -> None:
        """From the greeting to the moment at which the caller hangs up."""
        loop, draw = asyncio.get_running_loop(), self._draw
        self.phone = LongTelephone(late_s=LATE_MS / 1000, ppm=-90, seed=draw.getrandbits(32))
        config = telephone_config(Connection(url="ws://127.0.0.1:1", api_key=SecretStr(KEY)))
        self.call = Call(self.phone, config, told=self._told)
        running, counting = asyncio.create_task(self.call.run()), asyncio.create_task(self._count())
        await self._answered()
        while loop.time() < SECONDS:
            if draw.random() < 0.5:
                await asyncio.sleep(draw.uniform(0.0, 5.0))  # into the answer, as a rule
                if draw.random() < 0.1:
                    self.phone.stand_still(loop.time(), draw.uniform(0.1, 1.5))
            else:
                await asyncio.sleep(draw.uniform(5.0, 150.0))
            self._turn()
            await self._answered()
        counting.cancel()
        await asyncio.sleep(1.2)  # every answer is longer
        self.history = self._session.history
        await self.phone.hang_up()
        await asyncio.wait_for(running, 60)
        assert self.phone.closed

    def _turn(self) -> None:
        draw, self.turns = self._draw, self.turns + 1
        self._speaks.clear()
        if draw.random() < 0.15:
            self.typed += 1
            for key in f"{draw.randrange(1000)}#":
                self.phone.tell("dtmf", dtmf={"track": "inbound_track", "digit": key})
        else:
            start = draw.randrange(len(SPEECH) - 16_000)
            self.phone.says += SPEECH[start : start + draw.randint(5_000, 16_000)]

    async def _answered(self) -> None:
        await asyncio.wait_for(self._speaks.wait(), ANSWERED_S)

    def _told(self, notice: Notice) -> None:
        match notice:
            case SpeakingStarted():
                self._speaks.set()
            case MessageEnded():
                self.ended.append(notice)
            case Reconnected():
                self.renewed += 1
            case SessionClosed(problem=problem):
                assert problem is None
            case _:
                pass

    @asynccontextmanager
    async def connect(self, config: Config, **options: Any) -> AsyncIterator[Conversation]:
        """In place of the bridge's: to these servers."""
        async with connect(config, dial=self.servers.dial, **options) as self._conversation:
            yield self._conversation

    # -- what is held ---------------------------------------------------------------------------------------------------------

    @property
    def _session(self) -> Session:
        assert self._conversation is not None
        return self._conversation._pump.engine.session

    async def _count(self) -> None:
        """What session, speaker and bridge hold, every few seconds."""
        while True:
            if asyncio.get_running_loop().time() >= len(self.hours) * 3600:
                self.hours.append(Hour())
            await asyncio.sleep(15)
            entries = footprint(self._session._core, without=(*SETTINGS, *CONVERSATION)).entries
            bridge = {**footprint(self.call.speaker, without=("_reports",)).entries, "waiting": self.call._waiting.qsize()}
            self.hours[-1].items = len(self._session.history)
            self.hours[-1].count(entries | {f"bridge.{place}": count for place, count in bridge.items()})


@pytest.mark.parametrize("seed", [2036])
def test_a_call_of_eight_hours(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No truncate beyond the last mark that came back and what could have sounded since, no sound after a clear, no turn without
    an answer, and nothing that grows (B01, B19, B26, F019, F029, C20, C21; invariants 13 and 15)."""
    call = LongCall(seed)
    monkeypatch.setattr(bridge, "connect", call.connect)
    try:
        run_asyncio(call.run, call.servers)
    finally:
        call.servers.close()
    truth = call.phone.account(call.servers.answers)  # it finds out what was sent behind a clear
    *ended, last = call.ended
    errors: dict[bool, list[float]] = {False: [], True: []}
    for end in ended:
        heard = truth.get(end.item_id)
        if end.verdict is Verdict.FULL:
            assert heard is not None and heard.ms * 8 == len(heard.item.audio)
        elif heard is not None:
            errors[heard.stood_still].append(told(end, heard))
    slack = call.call.speaker.capabilities.answer_ms + LATE_MS
    assert all(0 <= error <= slack for error in errors[False])
    assert all(-slack <= error for error in errors[True])

    # The end: nobody waits for a truncate any more.
    assert last.verdict is Verdict.PARTIAL and last.estimated
    assert 0 <= truth[last.item_id].ms - last.heard_ms <= slack

    refused = [each for server in call.servers.truths for each in server.refusals]
    assert refused == []
    assert sum(item.text.startswith("(The caller typed ") for item in call.history) == call.typed
    assert call.renewed == (SECONDS - 1) // 3480  # two grace periods before an hour is over
    assert all(hour.most.get(TOLD, 0) <= Reconnect().max_items for hour in call.hours)
    if SECONDS > 3 * 3600:
        assert [leak for leak in leaks(call.hours[: SECONDS // 3600]) if not leak.startswith(TOLD)] == []
    report(call, sorted(errors[False]), sorted(errors[True]))


def told(end: MessageEnded, heard: Heard) -> float:
    """By how many ms more was heard than the server was told."""
    if end.verdict is Verdict.SKIPPED:
        assert heard.item.deleted
    else:
        assert heard.item.parts[0].truncated_ms == end.heard_ms <= heard.most_ms
    return heard.ms - end.heard_ms


def report(call: LongCall, errors: list[float], stood_still: list[float]) -> None:
    print(f"{SECONDS / 3600:.1f} hours, {call.turns} turns ({call.typed} by keys), {call.renewed} changes of session")
    print(f"{len(call.ended)} answers, {len(errors) + len(stood_still)} cut; heard beyond what was told, in ms:")
    for name, each in (("as a rule", errors), ("where the network stood still", stood_still)):
        if each:
            median, late = statistics.median(each), each[len(each) * 95 // 100]
            print(f"  {name}: {len(each)} cuts, least {each[0]:.0f}, median {median:.0f}, 95 % {late:.0f}, most {each[-1]:.0f}")
    for number, hour in enumerate(call.hours[: SECONDS // 3600], 1):
        least, most = sum(hour.least.values()), sum(hour.most.values())
        print(f"  hour {number}: {least} to {most} entries held beside a conversation of {hour.items} items")
