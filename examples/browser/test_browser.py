"""The browser example in a real Chromium, on the real clock: gateway, page, worklets, a microphone that is fed from a WAV file.

``make browser`` runs this. A recorder hears what the page sounds, sample by sample; what the strict server remembers in the end
has to be exactly that. The page's part of an interruption is judged by the page's audio clock, which stands still where the
machine is too busy to sound; what the network takes is printed.
"""

import asyncio
import base64
import json
import os
import random
import socket
import statistics
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import uvicorn
from examples.browser.gateway import browser_config, gateway
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from loopback import KEY, served
from playwright.async_api import BrowserContext, Page, async_playwright
from pydantic import SecretStr
from websockets.asyncio.client import connect as websocket
from websockets.exceptions import InvalidStatus

from rtcore import Config, LocalProtocolError, MessageEnded, Notice, SessionClosed, UserSpeechStarted, Verdict
from rtcore.config import AudioInput, AudioOptions, Connection, SessionOptions
from rtcore.sim.server import ResponsePlan, Server, ServerOptions, spoken
from rtcore_adapters.voices import load_voices

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
INTERRUPTIONS = int(os.environ.get("INTERRUPTIONS", "1000"))
PAGES = 8
RATE = 24_000
SILENCE_MS = 60
"""From a flush's arrival in the page to silence, in 95 of 100: a busy machine may keep the page's threads apart for longer."""
TURNS = 4
"""So many times as many answers as interruptions are wanted: some are heard to their end, or not at all."""
PATIENCE_S = 180
"""A machine may be busy. Nothing waits for this long."""
VOICES = load_voices()
FLAGS = (
    "--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-ui-for-media-stream --use-fake-device-for-media-stream "
    "--autoplay-policy=no-user-gesture-required --disable-background-timer-throttling --disable-renderer-backgrounding "
    "--disable-backgrounding-occluded-windows"
)
"""The last three keep pages that nobody looks at awake; none of it changes what sounds."""

RECORD = """async () => {
    await voice.context.audioWorklet.addModule("/test/recorder.js");
    const recorder = new AudioWorkletNode(voice.context, "recorder", { numberOfOutputs: 0 });
    voice.player.connect(recorder);
    window.recorded = () => new Promise((done) => {
        recorder.port.onmessage = ({ data }) => {
            const bytes = new Uint8Array(data.pcm.buffer);
            let text = "";
            for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
            done({ from: data.from, pcm: btoa(text) });
        };
        recorder.port.postMessage("now");
    });
    window.notices = [];
    window.look = () => {};
    voice.socket.addEventListener("message", ({ data }) => {
        const message = typeof data === "string" ? JSON.parse(data) : {};
        if (message.type === "notice") window.notices.push(message);
        window.look();
    });
    window.until = (seen, test) => new Promise((done) => {
        window.look = () => {
            const found = window.notices.slice(seen).find(test);
            if (found) done(found);
        };
        window.look();
    });
    // When a flush has come to the page, by the audio clock and by the other.
    const port = voice.player.port;
    port.postMessage = (data, given) => {
        if (data.type === "flush") window.flushed = { at: voice.context.currentTime, clock: performance.now() };
        MessagePort.prototype.postMessage.call(port, data, given);
    };
}"""
RECORDED = """async () => {
    const latency = voice.context.outputLatency || voice.context.baseLatency || 0;
    return { flushed: window.flushed, latency, ...(await window.recorded()) };
}"""
INTERRUPT = """async ({ say, waitMs, clicks }) => {
    const seen = window.notices.length;
    voice.send({ type: "text", text: say });
    const started = await window.until(seen, (notice) => notice.kind === "MessageStarted");
    await new Promise((done) => setTimeout(done, waitMs));
    window.flushed = null;
    const clicked = performance.now();
    for (let click = 0; click < clicks; click++) document.getElementById("interrupt").click();
    const ended = await window.until(seen, (notice) => notice.kind === "MessageEnded" && notice.item_id === started.item_id);
    await new Promise((done) => setTimeout(done, 60));
    const latency = voice.context.outputLatency || voice.context.baseLatency || 0;
    return { ...ended, clicked, flushed: window.flushed, latency, ...(await window.recorded()) };
}"""


class Cut(NamedTuple):
    """An interruption within a message, in ms."""

    network: float
    """From the click until the flush has come to the page, by the page's clock."""
    silence: float
    """From there to the last moment of sound, by the page's audio clock."""


@asynccontextmanager
async def a_gateway(
    script: Sequence[ResponsePlan], told: Callable[[Notice], object], *, listens: bool = True, key: str = KEY
) -> AsyncIterator[tuple[str, list[Server]]]:
    """The gateway with a strict server behind it: its address, and what each session's server knows."""
    async with served(ServerOptions(script=tuple(script)), voices=VOICES, api_key=KEY) as (url, servers):
        config = browser_config(Connection(url=url, api_key=SecretStr(key)))
        if not listens:
            config = Config(
                connection=config.connection, session=SessionOptions(audio=AudioOptions(input=AudioInput(turn_detection=None)))
            )
        app = gateway(config, told=told)
        # The page's own files are behind "/"; the recorder is the test's.
        app.router.routes.insert(0, _file("/test/recorder.js", HERE / "recorder.js"))
        service = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = asyncio.create_task(service.serve([listening]))
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}/", servers
            finally:
                service.should_exit = True
                await serving


def _file(path: str, file: Path) -> Any:
    return APIRoute(path, lambda: FileResponse(file, media_type="text/javascript"))


@asynccontextmanager
async def a_browser(microphone: Path | None = None) -> AsyncIterator[BrowserContext]:
    flags = FLAGS.split() + ([f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else [])
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=PATIENCE_S * 1000)
        context = await browser.new_context(permissions=["microphone"])
        context.set_default_timeout(PATIENCE_S * 1000)
        yield context
        await browser.close()


async def talk(page: Page, url: str) -> None:
    """Open the page and begin; every notice is kept in the page."""
    await page.goto(url)
    await page.click("#talk")
    await page.wait_for_function("window.voice !== undefined")
    await page.evaluate(RECORD)


class Truth(NamedTuple):
    """What the page sounded of an answer."""

    least_ms: int
    most_ms: int
    end: int
    """The sample of the recording at which it ended."""
    behind: int
    """How many samples of sound came behind it."""


def truth(recorded: bytes, audio: bytes) -> Truth:
    """Where the network was late there is silence in between, which is no part of the answer: so samples of silence are not
    counted, and those at the end are the difference between least and most.
    """
    heard, whole = np.frombuffer(recorded, "<i2"), np.frombuffer(audio, "<i2")
    sounding, planned = np.flatnonzero(heard), np.flatnonzero(whole)
    values, wanted = heard[sounding], whole[planned]
    start = values.tobytes().find(wanted[:200].tobytes()[: 2 * len(values)])
    if start < 0 or len(values) == 0:
        return Truth(0, int(planned[0]) * 1000 // RATE, 0, 0)
    assert start % 2 == 0
    behind = values[start // 2 :]
    values = behind[: len(wanted)]
    different = np.flatnonzero(values != wanted[: len(values)])
    same = int(different[0]) if len(different) else len(values)
    most = int(planned[same]) if same < len(planned) else len(whole)
    end = int(sounding[start // 2 + same - 1]) + 1
    return Truth((int(planned[same - 1]) + 1) * 1000 // RATE, most * 1000 // RATE, end, len(behind) - same)


def answer(draw: random.Random) -> ResponsePlan:
    """It is sent faster than it sounds, or hardly so."""
    return spoken(draw.randint(900, 4_000), think_s=draw.uniform(0.01, 0.1), rate_percent=draw.choice((110, 150, 300, 1_000)))


def silence_ms(told: Any, heard: Truth) -> float:
    """From a flush's arrival in the page to the last moment of sound, by the page's audio clock."""
    sounded: float = (told["from"] + heard.end) / RATE + told["latency"]
    return (sounded - float(told["flushed"]["at"])) * 1000


async def interrupted(page: Page, servers: list[Server], seed: int, count: int) -> list[Cut | None]:
    """Interrupt at random moments, ``count`` times within a message; after each, the server remembers what sounded.

    None where everything that had come was heard already: then there is no flush, and silence.
    """
    draw = random.Random(seed)
    cuts: list[Cut | None] = []
    turns = 0
    while len(cuts) < count:
        turns += 1
        assert turns <= TURNS * count, (
            f"{len(cuts)} of {count} interruptions could be judged: the page is kept waiting for seconds"
        )
        clicks = 2 if draw.random() < 0.1 else 1
        told = await page.evaluate(INTERRUPT, {"say": f"Go on, {turns}.", "waitMs": draw.randrange(700), "clicks": clicks})
        [server] = [each for each in servers if told["item_id"] in each.items]
        item: Any = server.items[told["item_id"]]
        if told["estimated"]:  # the page did not answer for seconds: nobody knows what it sounded
            continue
        heard = truth(base64.b64decode(told["pcm"]), item.audio)
        assert heard.least_ms <= told["heard_ms"] <= heard.most_ms, (seed, turns)
        assert heard.behind == 0, (seed, turns)
        if told["verdict"] == "partial":
            assert item.parts[0].truncated_ms == told["heard_ms"]
            if (flushed := told["flushed"]) is None:
                assert told["heard_ms"] == told["received_ms"], (seed, turns)
                cuts.append(None)
            else:
                cuts.append(Cut(flushed["clock"] - told["clicked"], silence_ms(told, heard)))
        elif told["verdict"] == "skipped":
            assert item.deleted
    return cuts


def test_a_thousand_interruptions_through_the_gateway() -> None:
    """What the page reports and the truncation that is sent agree to the millisecond, every time; the page is silent at once, and
    stays so (B01, C01, F019)."""

    async def main() -> list[Cut | None]:
        each = -(-INTERRUPTIONS // PAGES)
        draw = random.Random(PAGES)
        script = [answer(draw) for _ in range(TURNS * each)]
        async with a_gateway(script, lambda notice: None, listens=False) as (url, servers), a_browser() as browser:
            pages = [await browser.new_page() for _ in range(PAGES)]
            for page in pages:
                await talk(page, url)
            results = await asyncio.gather(*(interrupted(page, servers, seed, each) for seed, page in enumerate(pages)))
            # A cancel may cross the end of its response on the way; nothing else is refused.
            refused = [each for server in servers for each in server.refusals if each.event.get("type") != "response.cancel"]
            assert refused == []
        return [cut for result in results for cut in result]

    cuts = asyncio.run(main())
    timed = [cut for cut in cuts if cut is not None]
    print(f"{len(cuts)} interruptions within a message: what was heard and what was told agree to the millisecond")
    print(f"from a flush's arrival in the page to silence: {spread([cut.silence for cut in timed])}")
    print(f"from the click to the flush's arrival (network, gateway, a busy machine): {spread([cut.network for cut in timed])}")
    assert late([cut.silence for cut in timed]) <= SILENCE_MS


def late(values: Sequence[float]) -> float:
    """What 95 of 100 do not exceed."""
    return sorted(values)[len(values) * 95 // 100]


def spread(values: Sequence[float]) -> str:
    return f"median {statistics.median(values):.0f} ms, 95 % {late(values):.0f} ms, most {max(values):.0f} ms"


def test_a_person_talks_over_the_page(tmp_path: Path) -> None:
    """A microphone from a WAV file: a question, and voices in the middle of the answers. The sound stops, the server is told."""
    path = tmp_path / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        # The second voice comes into the first answer; the others are for a machine on which that was not to be.
        file.writeframes(bytes(2 * RATE) + (VOICES[3].pcm[: 2 * RATE * 2] + bytes(2 * RATE * 5)) * 8)
    notices: list[Notice] = []

    def cuts() -> list[MessageEnded]:
        return [notice for notice in notices if isinstance(notice, MessageEnded) and notice.verdict is Verdict.PARTIAL]

    async def main() -> None:
        async with a_gateway([spoken(20_000)] * 20, notices.append) as (url, servers), a_browser(path) as browser:
            page = await browser.new_page()
            await talk(page, url)
            async with asyncio.timeout(PATIENCE_S):
                while not any(not cut.estimated for cut in cuts()):  # estimated: the page did not answer for seconds
                    await asyncio.sleep(0.05)
            number, cut = next((number, cut) for number, cut in enumerate(cuts()) if not cut.estimated)
            line = page.locator("li.model.cut").nth(number)
            await line.wait_for()
            item: Any = servers[0].items[cut.item_id]
            told = await page.evaluate(RECORDED)
            heard = truth(base64.b64decode(told["pcm"]), item.audio)
            assert 0 < heard.least_ms <= item.parts[0].truncated_ms <= heard.most_ms
            words = await line.inner_text()
            assert item.parts[0].planned_text.startswith(words.strip()) and words.strip()
            assert sum(isinstance(notice, UserSpeechStarted) for notice in notices) >= 2
            assert servers[0].refusals == []
            silence = silence_ms(told, heard)
            print(f"from the flush's arrival in the page to silence, when a person talks: {silence:.0f} ms")
            assert silence <= SILENCE_MS

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_used_by_keyboard(scheme: Any) -> None:
    async def main() -> None:
        async with a_gateway([spoken(1_500)], lambda notice: None) as (url, _), a_browser() as browser:
            page = await browser.new_page()
            await page.emulate_media(color_scheme=scheme)
            failures: list[str] = []
            page.on("pageerror", lambda error: failures.append(str(error)))
            page.on("console", lambda said: failures.append(said.text) if said.type == "error" else None)
            await page.goto(url)
            await page.keyboard.press("Tab")
            await page.keyboard.press("Enter")
            await page.wait_for_function("window.voice !== undefined")
            await page.evaluate("document.getElementById('mute').click()")
            await page.focus("#text")
            await page.keyboard.type("Hello.")
            await page.keyboard.press("Enter")
            await page.wait_for_function("document.querySelector('li.model')?.textContent.length > 0")
            assert failures == []

    asyncio.run(main())


def test_the_page_says_why_nobody_answers() -> None:
    """A session that cannot be opened, and a gateway that goes away: the page says so, and offers to try again."""
    notices: list[Notice] = []

    async def main() -> None:
        async with a_browser() as browser:
            page = await browser.new_page()
            state, button = page.locator("#state"), page.locator("#talk:enabled")
            async with a_gateway([], notices.append, key="sk-another") as (url, _):
                await page.goto(url)
                await page.click("#talk")
                await button.wait_for()
                [closed] = [notice for notice in notices if isinstance(notice, SessionClosed)]
                assert closed.problem is not None and await state.inner_text() == closed.problem.message
                assert "sk-another" not in await page.content()
            async with a_gateway([], notices.append) as (url, _):
                await page.goto(url)
                await page.click("#talk")
                await page.wait_for_function("document.getElementById('state').textContent.startsWith('connected')")
            await button.wait_for()
            assert await state.inner_text() == "the connection to the gateway is lost"

    asyncio.run(main())


def test_a_second_conversation_of_a_page_begins_anew() -> None:
    """What the buttons say is so: nothing can be pressed before there is a conversation, and none begins muted. A microphone that
    is refused leaves nothing open."""

    async def main() -> None:
        async with a_gateway([], lambda notice: None) as (url, servers), a_browser() as browser:
            page = await browser.new_page()
            failures: list[str] = []
            page.on("pageerror", lambda error: failures.append(str(error)))
            mute = page.locator("#mute")
            await page.goto(url)
            await page.evaluate(
                """() => {
                    window.contexts = [];
                    window.AudioContext = class extends AudioContext {
                        constructor(options) { super(options); window.contexts.push(this); }
                    };
                    navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error("no microphone"));
                }"""
            )
            await page.click("#talk")
            await page.wait_for_function("document.getElementById('state').textContent === 'no microphone'")
            assert await page.evaluate("window.contexts.map(({ state }) => state)") == ["closed"]
            await page.evaluate("() => { delete navigator.mediaDevices.getUserMedia; }")
            for number in (1, 2):
                await page.click("#talk")
                for button in ("interrupt", "mute", "send"):  # whoever is quick presses them now
                    await page.evaluate(f"document.getElementById('{button}').click()")
                await page.wait_for_function("document.getElementById('state').textContent.startsWith('connected')")
                assert await mute.get_attribute("aria-pressed") == "false"
                await mute.click()
                assert await mute.get_attribute("aria-pressed") == "true"
                await page.evaluate("voice.socket.close()")
                await page.locator("#talk:enabled").wait_for()
                assert len(servers) == number
                assert await page.locator("#interrupt").is_disabled()
            assert failures == []

    asyncio.run(main())


def test_what_a_page_may_send_ends_no_conversation() -> None:
    odd: list[str | bytes] = ["no json", "[]", '"', "[" * 200_000, '{"type":"text","text":5}', '{"type":"text","text":"\\ud800"}']
    odd += ['{"type":"mute","muted":"x"}', '{"type":"played"}', '{"type":"played","generation":-1,"samples":1e400}', b"\1\2\3"]

    async def main() -> None:
        async with (
            a_gateway([spoken(500)], lambda notice: None) as (url, _),
            websocket(url.replace("http", "ws", 1) + "voice") as line,
        ):
            while json.loads(await line.recv()).get("kind") != "SessionReady":
                pass
            for each in odd:
                await line.send(each)
            await line.send('{"type":"text","text":"Hello."}')
            while isinstance(await asyncio.wait_for(line.recv(), PATIENCE_S), str):
                pass  # until it is answered

    asyncio.run(main())


def test_a_gateway_without_a_key_does_not_begin() -> None:
    with pytest.raises(LocalProtocolError, match="api_key: missing"):
        gateway(browser_config(Connection()))


def test_a_page_of_another_site_may_not_talk() -> None:
    async def main() -> None:
        async with a_gateway([], lambda notice: None) as (url, servers):
            voice = url.replace("http", "ws", 1) + "voice"
            for origin in ("https://evil.example", "null", url.rstrip("/") + ".evil.example", "http://localhost", "http://["):
                with pytest.raises(InvalidStatus) as refused:
                    async with websocket(voice, additional_headers={"Origin": origin}):
                        pass
                assert refused.value.response.status_code == 403
            assert servers == []
            for own in ({"Origin": url.rstrip("/")}, {}):
                async with websocket(voice, additional_headers=own) as line:
                    while json.loads(await line.recv()).get("kind") != "SessionReady":
                        pass
            assert len(servers) == 2

    asyncio.run(main())
