"""The test bench and other clients than rtcore's on asyncio and trio: a plain websocket client, and threads (issue 7, 2)."""

import asyncio
import json
import time
from typing import Any

import pytest
from websockets.asyncio.client import connect as connect_on_asyncio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_blocking

from rtcore import Config, Interrupted, MessageEnded, MessageStarted
from rtcore_adapters import threads
from rtcore_adapters.asyncio import connect
from rtcore_adapters.testing import RealtimeServer

DETECTION = {"type": "server_vad", "interrupt_response": True}
UPDATE = {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": DETECTION}}}}


class Plain:
    """What a client of ten lines does: it counts what it received, and at an interruption tells, or does not, what was heard."""

    def __init__(self, *, tells: bool) -> None:
        self.tells = tells
        self.item, self.received_s, self.began = "", 0.0, 0.0

    def take(self, message: str | bytes, now: float) -> list[str]:
        """The answers to one server message."""
        event: dict[str, Any] = json.loads(message)
        match event["type"]:
            case "session.created":
                return [json.dumps(UPDATE)]
            case "response.output_audio.delta":
                if event["item_id"] != self.item:
                    self.item, self.received_s, self.began = event["item_id"], 0.0, now
                self.received_s += len(event["delta"]) * 3 / 4 / 48_000
            case "input_audio_buffer.speech_started" if self.item and self.tells:
                heard_ms = int(1000 * min(now - self.began, self.received_s))
                cut = {"item_id": self.item, "content_index": 0, "audio_end_ms": heard_ms}
                return [json.dumps({"type": "conversation.item.truncate", **cut})]
        return []


def script(server: RealtimeServer) -> None:
    server.user_says("Count.", at=0.05, lasts=0.1)
    server.answers("One two three four five six seven.", thinks=0.05, pace=2, speed=8)
    server.user_interrupts("Stop.", at_word=4, lasts=0.1)
    server.answers("Yes.", thinks=0.05, pace=2)


def test_a_plain_client_is_judged_on_the_real_clock() -> None:
    with RealtimeServer() as server:
        script(server)
        plain = Plain(tells=True)
        with connect_blocking(server.url, proxy=None) as line:
            while not server.over:
                try:
                    message = line.recv(timeout=0.05)
                except TimeoutError:
                    continue
                for answer in plain.take(message, time.monotonic()):
                    line.send(answer)
        # The kernel and this machine's other work: a word or two behind may be told as well.
        first, second = server.heard
        assert first.startswith("One two three") and not first.endswith("seven.")
        assert set(server.unheard_left) <= {"five", "six"}
        assert second == "Yes."
        assert (server.refusals, server.left) == ([], [])


@pytest.mark.parametrize("tells", [True, False])
def test_a_plain_client_on_asyncio_is_judged_in_virtual_time(tells: bool) -> None:
    async def talk() -> None:
        plain = Plain(tells=tells)
        async with connect_on_asyncio(server.url, proxy=None) as line:
            async for message in line:
                for answer in plain.take(message, asyncio.get_running_loop().time()):
                    await line.send(answer)

    with RealtimeServer() as server:
        script(server)
        server.run(talk, until_over=True)
        if tells:
            assert server.heard == ["One two three four", "Yes."]
            assert server.unheard_left == []
        else:
            assert server.heard == ["One two three four five six seven.", "Yes."]
            assert server.unheard_left == ["five", "six", "seven."]
        assert [each.name for each in server.findings] == ([] if tells else ["unheard words left"])
        assert (server.refusals, server.left) == ([], [])


def test_what_a_plain_client_does_wrong_is_refused_and_its_line_may_break() -> None:
    with RealtimeServer() as server:
        server.drops_line(at=0.05)
        line: ClientConnection
        with pytest.raises(ConnectionClosed), connect_blocking(server.url, proxy=None) as line:
            line.send("no JSON")
            line.send(json.dumps({"type": "response.cancel"}))
            line.send(json.dumps(UPDATE))
            while True:
                line.recv(timeout=5)
        assert [each.code for each in server.refusals] == ["invalid_json", "response_cancel_not_active"]
        assert server.left == []


def test_threads_on_the_real_clock() -> None:  # C30
    with RealtimeServer() as server:
        server.answers("One two three four five six seven.", thinks=0.05, speed=8)
        speaker = server.speaker(block_ms=20)
        with threads.connect(Config(connection=server.connection), speaker=speaker) as conversation:
            conversation.send_text("Count.")
            for notice in conversation:
                match notice:
                    case MessageStarted():
                        conversation.interrupt()
                    case Interrupted():
                        break
                    case _:
                        pass
            deadline = time.monotonic() + 5
            while not server.sent("conversation.item.truncate") and time.monotonic() < deadline:
                time.sleep(0.01)
        told, *again = server.sent("conversation.item.truncate")  # once more behind the response's end, where that came later
        assert 0 < told["audio_end_ms"] < 1500 and all(each["audio_end_ms"] == told["audio_end_ms"] for each in again)
        assert server.unheard_left == []
        assert len(server.heard[0]) < len("One two three four five six seven.")
        assert server.refusals == []


def test_a_server_of_the_real_clock_does_not_run_in_virtual_time() -> None:
    async def talk() -> None: ...

    with RealtimeServer() as server, connect_blocking(server.url, proxy=None) as line:
        line.recv(timeout=5)
        with pytest.raises(RuntimeError, match="a client has connected on the real clock"):
            server.run(talk)
        with pytest.raises(TimeoutError, match="the user says 'Hello'"):
            server.user_says("Hello", at=60)
            server.wait_until_over(within=0.1)


def test_a_test_that_is_a_coroutine_connects_on_the_real_clock() -> None:
    async def agent(server: RealtimeServer) -> None:
        async with connect(Config(connection=server.connection), speaker=server.speaker()) as conversation:
            async for notice in conversation:
                if isinstance(notice, MessageEnded):
                    break

    async def test() -> None:
        with RealtimeServer() as server:
            server.user_says("Hi?", at=0.0)
            server.answers("Yes.", thinks=0.0)
            with pytest.raises(RuntimeError, match=r"run\(\) has a loop of its own: call it in a plain test, or connect to url"):
                server.run(lambda: agent(server))
            await agent(server)
            assert server.heard == ["Yes."]

    asyncio.run(test())


def test_another_dialect_by_its_path() -> None:  # C28
    with RealtimeServer() as server:
        url = server.url.replace("/v1/realtime", "/openai/realtime?api-version=2025-04-01-preview&deployment=voice")
        with connect_blocking(url, proxy=None, subprotocols=["realtime"]) as line:  # type: ignore[list-item]
            assert json.loads(line.recv(timeout=5))["session"]["modalities"]
            assert line.subprotocol == "realtime"
        with pytest.raises(Exception, match="404"), connect_blocking(server.url + "/nowhere", proxy=None):
            pass
