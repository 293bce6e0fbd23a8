"""The browser example in a real Chromium, on the real clock: gateway, page, worklets, a microphone that is fed from a WAV file.

``make browser`` runs this. A recorder hears what the page sounds, sample by sample; what the strict server remembers in the end
has to be exactly that. Times are printed, not asserted: a machine may be busy.
"""

import asyncio
import base64
import os
import random
import socket
import statistics
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from examples.browser.gateway import browser_config, gateway
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from loopback import KEY, served
from playwright.async_api import BrowserContext, Page, async_playwright
from pydantic import SecretStr

from rtcore import Config, Interrupted, Notice, UserSpeechStarted
from rtcore.config import AudioInput, AudioOptions, Connection, SessionOptions
from rtcore.sim.server import ResponsePlan, Server, ServerOptions, spoken
from rtcore_adapters.voices import load_voices

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
INTERRUPTIONS = int(os.environ.get("INTERRUPTIONS", "1000"))
PAGES = 8
RATE = 24_000
VOICES = load_voices()
ANSWER = spoken(4_000, think_s=0.02, rate_percent=1_000)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --use-fake-ui-for-media-stream --use-fake-device-for-media-stream --autoplay-policy=no-user-gesture-required "
    "--disable-background-timer-throttling --disable-renderer-backgrounding --disable-backgrounding-occluded-windows"
)
"""The third line keeps pages that nobody looks at awake; none of it changes what sounds."""

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
}"""
INTERRUPT = """async ({ say, waitMs }) => {
    const seen = window.notices.length;
    const until = async (test) => {
        for (;;) {
            const found = window.notices.slice(seen).find(test);
            if (found) return found;
            await new Promise((done) => setTimeout(done, 2));
        }
    };
    voice.send({ type: "text", text: say });
    const started = await until((notice) => notice.kind === "MessageStarted");
    await new Promise((done) => setTimeout(done, waitMs));
    const at = voice.context.currentTime;
    voice.send({ type: "interrupt" });
    const ended = await until((notice) => notice.kind === "MessageEnded" && notice.item_id === started.item_id);
    await new Promise((done) => setTimeout(done, 60));
    const latency = voice.context.outputLatency || voice.context.baseLatency || 0;
    return { ...ended, at, latency, ...(await window.recorded()) };
}"""


@asynccontextmanager
async def a_gateway(
    script: Sequence[ResponsePlan], told: Callable[[Notice], object], *, listens: bool = True
) -> AsyncIterator[tuple[str, list[Server]]]:
    """The gateway with a strict server behind it: its address, and what each session's server knows."""
    async with served(ServerOptions(script=tuple(script)), voices=VOICES) as (url, servers):
        config = browser_config(Connection(url=url, api_key=SecretStr(KEY)))
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
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield await browser.new_context(permissions=["microphone"])
        await browser.close()


async def talk(page: Page, url: str) -> None:
    """Open the page and begin; every notice is kept in the page."""
    await page.goto(url)
    await page.click("#talk")
    await page.wait_for_function("window.voice !== undefined")
    await page.evaluate(RECORD)
    await page.evaluate(
        "() => voice.socket.addEventListener('message', ({ data }) => {"
        " if (typeof data === 'string' && data.includes('notice')) window.notices.push(JSON.parse(data)); })"
    )


def truth_ms(recorded: bytes, audio: bytes) -> tuple[int, int, int]:
    """What the page sounded of an answer: at least and at most so many ms, and the sample of the recording at which it ended.

    Where the network was late there is silence in between, which is no part of the answer: so samples of silence are not counted,
    and those at the end are the difference between least and most.
    """
    heard, whole = np.frombuffer(recorded, "<i2"), np.frombuffer(audio, "<i2")
    sounding, planned = np.flatnonzero(heard), np.flatnonzero(whole)
    values, wanted = heard[sounding], whole[planned]
    start = values.tobytes().find(wanted[:200].tobytes()[: 2 * len(values)])
    if start < 0 or len(values) == 0:
        return 0, int(planned[0]) * 1000 // RATE, 0
    assert start % 2 == 0
    values = values[start // 2 :][: len(wanted)]
    different = np.flatnonzero(values != wanted[: len(values)])
    same = int(different[0]) if len(different) else len(values)
    most = int(planned[same]) if same < len(planned) else len(whole)
    end = int(sounding[start // 2 + same - 1]) + 1
    return (int(planned[same - 1]) + 1) * 1000 // RATE, most * 1000 // RATE, end


async def interrupted(page: Page, servers: list[Server], seed: int, count: int) -> list[float]:
    """Interrupt at random moments; after each, the server remembers what sounded. Gives, in ms, click to silence."""
    draw = random.Random(seed)
    took: list[float] = []
    for turn in range(count):
        told = await page.evaluate(INTERRUPT, {"say": f"Go on, {turn}.", "waitMs": draw.randrange(700)})
        [server] = [each for each in servers if told["item_id"] in each.items]
        item: Any = server.items[told["item_id"]]
        recorded = base64.b64decode(told["pcm"])
        if told["estimated"]:  # the page was kept waiting for seconds: nobody knows what it sounded
            continue
        least_ms, most_ms, end = truth_ms(recorded, item.audio)
        assert least_ms <= told["heard_ms"] <= most_ms, (seed, turn)
        if told["verdict"] == "partial":
            assert item.parts[0].truncated_ms == told["heard_ms"]
            took.append(((told["from"] + end) / RATE + told["latency"] - told["at"]) * 1000)
        elif told["verdict"] == "skipped":
            assert item.deleted
    return took


def test_a_thousand_interruptions_through_the_gateway() -> None:
    """What the page reports and the truncation that is sent agree to the millisecond, every time (B01, C01, F019)."""

    async def main() -> list[float]:
        each = -(-INTERRUPTIONS // PAGES)
        async with a_gateway([ANSWER] * (each + 5), lambda notice: None, listens=False) as (url, servers), a_browser() as browser:
            pages = [await browser.new_page() for _ in range(PAGES)]
            for page in pages:
                await talk(page, url)
            results = await asyncio.gather(*(interrupted(page, servers, seed, each) for seed, page in enumerate(pages)))
            # A cancel may cross the end of its response on the way; nothing else is refused.
            refused = [each for server in servers for each in server.refusals if each.event.get("type") != "response.cancel"]
            assert refused == []
        return [took for result in results for took in result]

    took = sorted(asyncio.run(main()))
    assert len(took) > INTERRUPTIONS // 2, "the machine is too busy to show anything"
    median, late, most = statistics.median(took), took[len(took) * 95 // 100], took[-1]
    print(
        f"{INTERRUPTIONS} interruptions, {len(took)} within a message: what was heard and what was told agree to the millisecond"
    )
    print(f"from the click to silence: median {median:.0f} ms, 95 % {late:.0f} ms, most {most:.0f} ms")


def test_a_person_talks_over_the_page(tmp_path: Path) -> None:
    """A microphone from a WAV file: a question, and a voice in the middle of the answer. The sound stops, the server is told."""
    path = tmp_path / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        speech = VOICES[3].pcm[: 2 * RATE * 2]
        file.writeframes(bytes(2 * RATE) + speech + bytes(2 * RATE * 4) + speech + bytes(2 * RATE * 6))
    notices: list[Notice] = []

    async def main() -> None:
        async with a_gateway([spoken(20_000), spoken(1_000)], notices.append) as (url, servers), a_browser(path) as browser:
            page = await browser.new_page()
            await talk(page, url)
            async with asyncio.timeout(60):
                while not any(isinstance(notice, Interrupted) for notice in notices):
                    await asyncio.sleep(0.05)
            await page.wait_for_selector("li.model.cut")
            cut = next(notice for notice in notices if isinstance(notice, Interrupted))
            item: Any = servers[0].items[cut.partial[0]]
            recorded = base64.b64decode((await page.evaluate("window.recorded()"))["pcm"])
            least_ms, most_ms, _ = truth_ms(recorded, item.audio)
            assert 0 < least_ms <= item.parts[0].truncated_ms <= most_ms
            words = await page.inner_text("li.model.cut")
            assert item.parts[0].planned_text.startswith(words.strip()) and words.strip()
            assert sum(isinstance(notice, UserSpeechStarted) for notice in notices) == 2
            assert servers[0].refusals == []

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
