"""A newcomer's path: a new clone, an empty home, and what README.md says first. How long until a conversation is heard?

    python .ci/newcomer.py        # make newcomer

The commands are read from the README's first block, so that what is tried is what is said. In the terminal, heard.wav has to hold
sound; in the browser, a headless Chromium presses the button, a WAV file speaks into its microphone, and the page has to sound.
"""

import array
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import wave
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from rtcore_adapters.voices import load_voices

REPOSITORY = Path(__file__).resolve().parent.parent
LIMIT_S = 300.0
SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --use-fake-ui-for-media-stream "
    "--use-fake-device-for-media-stream --autoplay-policy=no-user-gesture-required"
)
LOUD = 1_000
"""Of 32767: what speech passes, and silence and noise of a codec do not."""
LISTEN = """() => {
    const meter = new AnalyserNode(voice.context, { fftSize: 2048 });
    voice.player.connect(meter);
    const samples = new Float32Array(2048);
    window.loudest = 0;
    setInterval(() => {
        meter.getFloatTimeDomainData(samples);
        window.loudest = Math.max(window.loudest, ...samples.map(Math.abs));
    }, 20);
}"""


def main() -> int:
    commands = said_first((REPOSITORY / "README.md").read_text(encoding="utf-8"))
    print("README.md says:", ", ".join(commands))
    with tempfile.TemporaryDirectory() as folder:
        clone, home = Path(folder, "rtcore"), Path(folder, "home")
        home.mkdir()
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "LANG", "http", "HTTP"))}
        environment = {**kept, "HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "PIP_NO_CACHE_DIR": "1"}
        begun = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
        terminal, heard = in_the_terminal(clone, environment, begun)
        print(f"terminal: heard.wav holds {heard:.1f} s of sound; the first of it {terminal:.0f} s after the clone began")
        print(f"terminal: make demo, its fuzzing included, was over after {time.monotonic() - begun:.0f} s", flush=True)
        begun = time.monotonic()
        words = in_a_browser(clone, environment, Path(folder))
        print(f"browser: {words!r} was heard, {(browser := time.monotonic() - begun):.0f} s after the command")
    fits = terminal < LIMIT_S and browser < LIMIT_S and heard > 1.0 and bool(words)
    print("Within five minutes each." if fits else "Not within five minutes, or not heard.")
    return 0 if fits else 1


def said_first(text: str) -> list[str]:
    """The commands of the first block of the README."""
    block = re.search(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    return re.findall(r"^\$ (make [\w-]+)", block[1], re.MULTILINE)


def in_the_terminal(clone: Path, environment: dict[str, str], begun: float) -> tuple[float, float]:
    """``make demo``: seconds until heard.wav held sound, and how many of sound it holds in the end."""
    log = clone / "demo.log"
    with log.open("wb") as said:
        demo = subprocess.Popen(["make", "demo"], cwd=clone, env=environment, stdout=said, stderr=subprocess.STDOUT)
    first = math.inf
    while demo.poll() is None:
        if first == math.inf and loud_s(clone / "heard.wav") > 0:
            first = time.monotonic() - begun
        time.sleep(0.2)
    if demo.returncode:
        raise SystemExit(f"make demo ended with {demo.returncode}:\n{log.read_text(encoding='utf-8')[-3000:]}")
    return min(first, time.monotonic() - begun), loud_s(clone / "heard.wav")


def loud_s(path: Path) -> float:
    """Seconds of loud sound in a WAV file; 0 where there is none that can be read yet."""
    try:
        with wave.open(str(path)) as file:
            samples, rate = array.array("h", file.readframes(file.getnframes())), int(file.getframerate())
    except (OSError, EOFError, wave.Error):
        return 0.0
    block = rate // 50
    return sum(max(map(abs, samples[at : at + block])) > LOUD for at in range(0, len(samples), block)) / 50


def in_a_browser(clone: Path, environment: dict[str, str], folder: Path) -> str:
    """``make page``; the words that the page showed as heard while it sounded."""
    serving = subprocess.Popen(["make", "page"], cwd=clone, env=environment, start_new_session=True, **SILENT)
    try:
        address = "http://127.0.0.1:8000"
        while True:
            try:
                urllib.request.urlopen(address, timeout=1).close()
                break
            except OSError:
                if serving.poll() is not None:
                    raise
                time.sleep(0.2)
        return _talked_to(address, folder)
    finally:
        os.killpg(serving.pid, signal.SIGTERM)
        serving.wait()


def _talked_to(address: str, folder: Path) -> str:
    spoken = folder / "spoken.wav"
    [voice] = [each for each in load_voices() if each.name == "order"]
    with wave.open(str(spoken), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(bytes(48_000) + bytes(voice.pcm) + bytes(480_000))
    flags = [*FLAGS.split(), f"--use-file-for-fake-audio-capture={spoken}%noloop"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=flags)
        page = browser.new_context(permissions=["microphone"]).new_page()
        page.goto(address)
        page.click("#talk")
        page.wait_for_function("window.voice !== undefined")
        page.evaluate(LISTEN)
        page.wait_for_function(f"window.loudest > {LOUD / 32767}", timeout=60_000)
        page.wait_for_function(
            "document.querySelectorAll('#words li:not(.user)').length > 0 && "
            "document.querySelector('#words li:not(.user)').textContent.length > 10",
            timeout=60_000,
        )
        words: str = page.inner_text("#words li:not(.user)")
        browser.close()
        return words


if __name__ == "__main__":
    sys.exit(main())
