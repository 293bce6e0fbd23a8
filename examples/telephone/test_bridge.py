"""The telephone bridge against the strict server: whole calls, in virtual time, with a far end that answers its marks late.

``make examples`` runs this. The line plays what it is sent, a network away; what the caller heard is known to the test alone.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from examples.telephone.bridge import Call, main, serve, signature, telephone_config
from examples.telephone.far_end import Telephone
from helpers.telephone import heard_of
from loopback import KEY, VOICES, clean_run, served
from msgspec.structs import replace
from pydantic import SecretStr
from websockets.asyncio.client import connect as websocket
from websockets.exceptions import InvalidStatus

from rtcore import PCMU, Interrupted, MessageEnded, Notice, SessionClosed, SpeakingStarted, SpeakingStopped, Verdict
from rtcore.config import Connection
from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Server, ServerOptions, spoken
from rtcore_adapters.audio._g711 import encode, resampled

GOODBYE = ResponsePlan((MessagePlan((PartPlan(audio_ms=1500),)), CallPlan(name="hang_up", arguments="{}")), rate_percent=300)
SPEECH = encode(resampled(VOICES[0].pcm, VOICES[0].samples // 3), PCMU)


class Caller:
    """A call under way: its notices, one by one."""

    def __init__(self, url: str, **far: Any) -> None:
        self.telephone = Telephone(**far)
        self.notices: asyncio.Queue[Notice] = asyncio.Queue()
        self.all: list[Notice] = []
        config = telephone_config(Connection(url=url, api_key=SecretStr(KEY)))
        self.call = Call(self.telephone, config, told=self._told)
        self.running = asyncio.create_task(self.call.run())

    def _told(self, notice: Notice) -> None:
        self.all.append(notice)
        self.notices.put_nowait(notice)

    async def whole(self) -> None:
        """Until a message was heard to its end."""
        while (await self.until(MessageEnded)).verdict is not Verdict.FULL:
            pass

    async def until(self, kind: type[Notice]) -> Any:
        while not isinstance(notice := await asyncio.wait_for(self.notices.get(), 60), kind):
            pass
        return notice


@asynccontextmanager
async def called(*script: ResponsePlan, **far: Any) -> AsyncIterator[tuple[Caller, list[Server]]]:
    """A call to a server that answers by a script, and how it ended: both sides are closed."""
    async with served(ServerOptions(script=script)) as (url, servers):
        caller = Caller(url, **far)
        yield caller, servers
        await asyncio.wait_for(caller.running, 60)
        assert caller.telephone.closed
        caller.telephone.heard.hang_up()
        assert servers[0].refusals == []


@pytest.mark.parametrize("late_s", [0.0, 0.2])
def test_a_caller_interrupts_and_the_server_is_told_what_they_heard(late_s: float) -> None:
    """Never more than the last mark and what could have sounded since; nothing sounds after a clear (F019, F029, C20, C21)."""

    async def main() -> None:
        async with called(spoken(9000), spoken(1000), late_s=late_s) as (caller, servers):
            line = caller.telephone
            await caller.until(SpeakingStarted)
            await asyncio.sleep(2.1)
            line.says += SPEECH[:16_000]
            cut = await caller.until(Interrupted)
            heard_until = len(line.heard.audible().rstrip(b"\xff"))
            item: Any = servers[0].items[cut.partial[0]]
            await caller.until(SpeakingStopped)
            true_ms = heard_of(line.heard.audible(), item.audio) / 8
            told_ms = item.parts[0].truncated_ms
            assert true_ms - caller.call.speaker.capabilities.answer_ms - late_s * 1000 <= told_ms <= true_ms
            assert len(line.cleared_at) == 1 and heard_until > 0
            begun = [at for at, kind, _ in line.heard.sent if kind == "media" and at >= line.cleared_at[0]]
            assert begun == [] or begun[0] > line.cleared_at[0] + 0.2  # the next thing that is sent is the next answer
            await line.hang_up()

    clean_run(main())


def test_what_is_typed_on_the_keypad_comes_as_text() -> None:  # B19: typed text while the model speaks
    async def main() -> None:
        async with called(spoken(6000), spoken(500), spoken(500)) as (caller, servers):
            await caller.until(SpeakingStarted)
            for key in "12#":
                caller.telephone.tell("dtmf", dtmf={"track": "inbound_track", "digit": key})
            await caller.until(Interrupted)
            await caller.whole()
            caller.telephone.tell("dtmf", dtmf={"track": "inbound_track", "digit": "7"})
            await caller.whole()
            typed = [part["text"] for item in servers[0].items.values() if item.role == "user" for part in item.content]
            assert typed == ["(The caller typed 1 2 on the keypad.)", "(The caller typed 7 on the keypad.)"]
            await caller.telephone.hang_up()

    clean_run(main())


@pytest.mark.parametrize("plan", [GOODBYE, replace(GOODBYE, output=GOODBYE.output[::-1])], ids=["said first", "called first"])
def test_the_model_hangs_up_when_its_goodbye_was_heard(plan: ResponsePlan) -> None:
    """Also where the model calls the tool before it speaks."""

    async def main() -> None:
        async with called(plan) as (caller, _):
            ended = await caller.until(MessageEnded)
            assert ended.verdict is Verdict.FULL and ended.heard_ms == 1500

    clean_run(main())


def test_who_speaks_into_the_goodbye_is_answered() -> None:
    async def main() -> None:
        async with called(GOODBYE, spoken(800)) as (caller, _):
            await caller.until(SpeakingStarted)
            caller.telephone.says += SPEECH[:12_000]
            await caller.until(Interrupted)
            assert (await caller.until(MessageEnded)).verdict is Verdict.FULL
            assert not caller.running.done()
            await caller.telephone.hang_up()

    clean_run(main())


def test_a_caller_who_hangs_up_ends_the_conversation() -> None:
    async def main() -> None:
        async with called(spoken(9000)) as (caller, servers):
            await caller.until(SpeakingStarted)
            await asyncio.sleep(1)
            await caller.telephone.hang_up()
            ended = await caller.until(MessageEnded)
            assert ended.verdict is Verdict.PARTIAL and ended.estimated
            await caller.until(SessionClosed)
        heard = heard_of(caller.telephone.heard.audible(), next(iter(servers[0].items.values())).audio) / 8
        assert heard - caller.call.speaker.capabilities.answer_ms <= ended.heard_ms <= heard

    clean_run(main())


def test_a_call_that_nobody_can_answer_ends_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with served(ServerOptions(), api_key=KEY) as (url, servers):
            telephone = Telephone()
            await Call(telephone, telephone_config(Connection(url=url, api_key=SecretStr("sk-another")))).run()
            assert telephone.closed and servers == []

    clean_run(main())
    [why] = [record.getMessage() for record in caplog.records if record.name == "bridge"]
    assert why.startswith("MZ1: ") and "401" in why and "sk-another" not in why


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: --public"),
        (["--public", "https://voice.example.com"], "--public: the address of a websocket, as in wss://voice.example.com"),
        (["--public", "wss://voice.example.com"], "api_key: missing, and api.openai.com will not answer without"),
    ],
)
def test_what_is_missing_is_said_before_anybody_calls(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setattr(sys, "argv", ["bridge.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_what_the_line_says_beside_the_protocol_ends_no_call() -> None:
    """Before the call begins, and while it goes on."""
    odd = ["no json", "[]", "{}", '"', '{"event":5}', '{"event":"media","media":{"payload":5}}']
    odd += ['{"event":"media","media":{"payload":"A"}}', '{"event":"dtmf","dtmf":{"digit":5}}', '{"event":"mark","mark":{}}']

    async def main() -> None:
        async with called(spoken(3000)) as (caller, _):
            for each in odd:
                caller.telephone.say(each)
            await caller.until(SpeakingStarted)
            for each in odd:
                caller.telephone.say(each)
            assert (await caller.until(MessageEnded)).verdict is Verdict.FULL
            await caller.telephone.hang_up()

    clean_run(main())


def test_a_line_that_ends_before_its_call_begins_is_closed() -> None:
    async def main() -> None:
        telephone = Telephone()
        telephone.tell("stop")
        await Call(telephone, telephone_config(Connection(url="ws://127.0.0.1:9"))).run()
        assert telephone.closed
        await asyncio.sleep(0.1)  # the line has been read to its end

    clean_run(main())


TOKEN = "a telephone company's secret"
DATA = "AccountSid=AC1&CallSid=CA1&From=%2B15551234567&To=%2B15557654321"
"""What a webhook that is asked for by GET has behind its path."""


def test_only_the_telephone_company_may_call() -> None:
    """Over real sockets: the answer to a call is signed for, and so is its stream."""

    async def main() -> None:
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        public = "wss://voice.example.com"
        async with served(ServerOptions(script=(spoken(500),))) as (url, servers):
            config = telephone_config(Connection(url=url, api_key=SecretStr(KEY)))
            serving = asyncio.create_task(serve(config, public, host="127.0.0.1", port=0, token=TOKEN, ready=ready.set_result))
            port = await ready
            at = f"ws://127.0.0.1:{port}"
            for path, headers, status in (
                ("/media", {}, 403),
                ("/media", {"X-Twilio-Signature": signature(f"{public}/media", "another")}, 403),
                ("/twiml", {"X-Twilio-Signature": signature("https://voice.example.com/twiml", TOKEN)}, 200),
                (f"/twiml?{DATA}", {"X-Twilio-Signature": signature(f"https://voice.example.com/twiml?{DATA}", TOKEN)}, 200),
                (f"/twiml?{DATA}", {"X-Twilio-Signature": signature("https://voice.example.com/twiml", TOKEN)}, 403),
                ("/other", {"X-Twilio-Signature": signature("https://voice.example.com/other", TOKEN)}, 404),
            ):
                with pytest.raises(InvalidStatus) as refused:
                    async with websocket(at + path, additional_headers=headers):
                        pass
                assert refused.value.response.status_code == status
                if status == 200:
                    assert b'<Stream url="wss://voice.example.com/media"/>' in (refused.value.response.body or b"")
            signed = {"X-Twilio-Signature": signature(f"{public}/media?line=1", TOKEN)}
            async with websocket(f"{at}/media?line=1", additional_headers=signed) as line:
                await line.send(json.dumps({"event": "start", "streamSid": "MZ1", "start": {}}))
                kinds = [json.loads(await line.recv())["event"] for _ in range(25)]
                assert kinds.count("media") >= 20 and "mark" in kinds
                await line.send(json.dumps({"event": "stop", "streamSid": "MZ1"}))
                await line.wait_closed()
            serving.cancel()
            await asyncio.wait([serving])
            assert servers[0].refusals == []

    clean_run(main())
