"""Clients for the judge, over a raw websocket: one that is right, and some that are wrong in one way each, by name.

They play at once and in real time: what was heard of each item follows from when its audio came. ``audited`` runs one of them
through the proxy, in virtual time.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from loopback import VOICES, Port

from rtcore import Handshake
from rtcore.sim.judge import AuditVerdict, JudgeOptions
from rtcore.sim.server import Rules, ServerOptions
from rtcore_adapters._link import Closed, Link, Message
from rtcore_adapters.cli import _hook
from rtcore_adapters.cli._proxy import Proxy, ProxyOptions

Event = dict[str, Any]
PER_MS = 48
DELETED = -1
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
RULES = Rules()
SERVER = ServerOptions(rules=RULES, audio_ms=(1500, 4000), text_per_mille=0, stall_per_mille=0, failed_per_mille=0)


class Heard:
    """One item's audio: when it came, and what of it was heard by a time, if nothing else sounded."""

    def __init__(self, item_id: str, response_id: str) -> None:
        self.item_id, self.response_id = item_id, response_id
        self.received = 0
        self.arrivals: list[tuple[float, int]] = []
        self.cut = False

    def play(self, free: float, until: float) -> tuple[int, float]:
        """Milliseconds heard by ``until`` where the speaker is free from ``free`` on, and when it is free again."""
        at, heard = free, 0.0
        for when, size in self.arrivals:
            at = max(at, when)
            if at >= until:
                break
            took = min(size / PER_MS / 1000, until - at)
            heard += took * 1000
            at += took
        return int(heard + 1e-6), at


class Client:
    """The right one: cut at the sample, truncate or delete, answer calls, and ask for nothing."""

    def __init__(self, session: Mapping[str, Any] | None = None) -> None:
        self.session = dict(session or {})
        self.items: list[Heard] = []
        self.dead: set[str] = set()
        self.begun: set[str] = set()
        self.active: str | None = None
        self.free = 0.0
        self.told: dict[str, int] = {}
        self.late: dict[str, dict[str, None]] = {}
        self._writer: asyncio.StreamWriter
        self._link: Link

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def send(self, kind: str, **fields: Any) -> None:
        self.raw(msgspec.json.encode({"type": kind, **fields}))

    def raw(self, payload: bytes) -> None:
        self._link.send(payload)
        self._flush()

    def _flush(self) -> None:
        if data := self._link.outgoing():
            self._writer.write(data)

    async def run(self, url: str) -> None:
        """Talk until the server hangs up."""
        self._link = Link(Handshake(url), now=self.now)
        reader, self._writer = await asyncio.open_connection(self._link.host, self._link.port)
        try:
            self._flush()
            while True:
                data = await reader.read(65_536)
                for event in self._link.receive(data, now=self.now):
                    if isinstance(event, Message):
                        self.on(msgspec.json.decode(event.payload))
                    elif isinstance(event, Closed):
                        self._flush()
                        return
                self._flush()
        finally:
            self._writer.close()

    # -- what a client does ---------------------------------------------------------------------------------------------------

    def on(self, event: Event) -> None:
        match event["type"]:
            case "session.created":
                self.send("session.update", session={"type": "realtime", "tools": [TOOL], **self.session})
            case "response.created":
                self.active = event["response"]["id"]
            case "response.done":
                self.active = None
                self.late_audio(event["response"]["id"])
                self.done(event["response"])
            case "response.output_audio.delta":
                self.audio(event, len(base64.b64decode(event["delta"])))
            case "input_audio_buffer.speech_started":
                self.interrupted()
            case _:
                pass

    def audio(self, event: Event, size: int) -> None:
        if event["response_id"] in self.dead:
            self.late.setdefault(event["response_id"], {})[event["item_id"]] = None
            return
        item = next((each for each in self.items if each.item_id == event["item_id"]), None)
        if item is None:
            item = Heard(event["item_id"], event["response_id"])
            self.items.append(item)
        item.arrivals.append((self.now, size))
        item.received += size

    def late_audio(self, response_id: str) -> None:
        """What arrived after the cut, nobody heard: say so again, or for the first time."""
        for item_id in self.late.pop(response_id, ()):
            known = next((each for each in self.items if each.item_id == item_id), Heard(item_id, response_id))
            if self.told.get(item_id) != DELETED:
                self.tell(known, self.told.get(item_id, 0))

    def done(self, response: Event) -> None:
        calls = [item for item in response["output"] if item["type"] == "function_call" and item["status"] == "completed"]
        for item in calls:
            self.answer(item["call_id"])
        if calls and response["status"] == "completed":
            self.send("response.create")

    def answer(self, call_id: str) -> None:
        self.send("conversation.item.create", item={"type": "function_call_output", "call_id": call_id, "output": "dry"})

    def positions(self) -> list[tuple[Heard, int]]:
        """How much of each item that was not cut before has been heard, in milliseconds."""
        found, free = [], self.free
        for item in self.items:
            if not item.cut:
                heard, free = item.play(free, self.now)
                found.append((item, heard))
        return found

    def interrupted(self) -> None:
        found = self.positions()
        self.free = self.now
        if self.active is not None:
            self.dead.add(self.active)
        for item, heard in found:
            if heard < item.received // PER_MS or item.response_id == self.active:
                self.tell(item, heard)
                self.dead.add(item.response_id)
            item.cut = True

    def tell(self, item: Heard, heard: int) -> None:
        """What the server is told of a cut item."""
        self.told[item.item_id] = heard or DELETED
        if heard:
            self.truncate(item.item_id, heard)
        else:
            self.send("conversation.item.delete", item_id=item.item_id)

    def truncate(self, item_id: str, ms: Any) -> None:
        self.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=ms)


class Zero(Client):
    """Truncates at 0 what was not heard."""

    def tell(self, item: Heard, heard: int) -> None:
        self.truncate(item.item_id, 0)


class Cumulative(Client):
    """Counts from the beginning of the answer."""

    def interrupted(self) -> None:
        before = 0
        for item, heard in self.positions():
            if heard < item.received // PER_MS or item.response_id == self.active:
                self.tell(item, before + heard if heard else 0)
                self.dead.add(item.response_id)
            else:
                before += item.received // PER_MS
            item.cut = True
        self.free = self.now


class Whole(Client):
    """Truncates at what was received."""

    def tell(self, item: Heard, heard: int) -> None:
        self.truncate(item.item_id, item.received // PER_MS)


class Beyond(Client):
    """Truncates above what was received."""

    def tell(self, item: Heard, heard: int) -> None:
        self.truncate(item.item_id, item.received // PER_MS + 500)


class Silent(Client):
    """Stops its speaker and tells the server nothing."""

    def tell(self, item: Heard, heard: int) -> None:
        pass


class Float(Client):
    """Sends milliseconds with a fraction."""

    def truncate(self, item_id: str, ms: Any) -> None:
        super().truncate(item_id, ms + 0.5)


class Stranger(Client):
    """Truncates an item that is none."""

    def truncate(self, item_id: str, ms: Any) -> None:
        super().truncate("item_of_another_life", ms)


class Raising(Client):
    """Truncates, and then again at more."""

    def truncate(self, item_id: str, ms: Any) -> None:
        super().truncate(item_id, max(1, ms - 100))
        super().truncate(item_id, ms)


class Cancelling(Client):
    """Cancels what the server has interrupted by itself."""

    def interrupted(self) -> None:
        active = self.active
        super().interrupted()
        if active is not None:
            self.send("response.cancel", response_id=active)


class Friendly(Client):
    """Reacts to the interruption when the next answer has begun, with a cancel that names nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.behind = False

    def interrupted(self) -> None:
        self.behind = bool(self.items)
        super().interrupted()

    def on(self, event: Event) -> None:
        super().on(event)
        if event["type"] == "response.created" and self.behind:
            self.behind = False
            self.send("response.cancel")


class Deaf(Client):
    """Never answers a call, and goes on asking."""

    def answer(self, call_id: str) -> None:
        pass


class Twice(Client):
    """Answers every call twice."""

    def answer(self, call_id: str) -> None:
        super().answer(call_id)
        super().answer(call_id)


class Inventing(Client):
    """Answers calls that nobody made."""

    def answer(self, call_id: str) -> None:
        super().answer("call_invented")


class Greedy(Client):
    """Asks for an answer while one is being given."""

    def on(self, event: Event) -> None:
        super().on(event)
        if event["type"] == "response.output_audio.delta" and event["response_id"] not in self.begun:
            self.begun.add(event["response_id"])
            asyncio.get_running_loop().call_later(0.3, self.ask)

    def ask(self) -> None:
        if self.active is not None:
            self.send("response.create")


class Babbling(Client):
    """Sends something that is no JSON, and something that the protocol does not know."""

    def interrupted(self) -> None:
        super().interrupted()
        self.raw(b"{")
        self.send("response.pause")


Talk = Callable[[str, int], Awaitable[None]]
"""Takes the URL to talk to and the port of the hook."""


async def audited(
    talk: Talk | Client,
    *,
    server: ServerOptions = SERVER,
    interruptions: int = 3,
    points: Sequence[int] = (),
    seed: int = 1,
    judge: JudgeOptions | None = None,
    upstream: str | None = None,
) -> tuple[AuditVerdict, Proxy]:
    """Run a client through the proxy; the verdict on it."""
    options = ProxyOptions(
        upstream=upstream,
        seed=seed,
        server=server,
        interruptions=interruptions,
        points=tuple(points),
        judge=judge or JudgeOptions(),
    )
    proxy = Proxy(options, VOICES)
    port, hooked = Port(), Port()
    listening = asyncio.create_task(proxy.listen(task_status=port))
    hooking = asyncio.create_task(_hook.listen(proxy, task_status=hooked))
    try:
        url = f"ws://127.0.0.1:{await port.known}/v1/realtime"
        port_of_hook = await hooked.known
        await (talk.run(url) if isinstance(talk, Client) else talk(url, port_of_hook))
        await asyncio.sleep(1.0)
    finally:
        for task in (listening, hooking):
            task.cancel()
        await asyncio.wait([listening, hooking])
    return proxy.sessions[-1].verdict(), proxy
