"""Whole talks of ``rtcore talk``: on every runtime, in virtual time and on a terminal; how it ends, and what goes wrong."""

import asyncio
import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from loopback import Line as ServerLine
from loopback import scripted, served, served_in_a_thread
from virtual_loop import run as run_virtually

from rtcore import (
    Config,
)
from rtcore.config import Connection
from rtcore.sim.server import ServerOptions, spoken
from rtcore_adapters.audio import WavMicrophone, WavSpeaker
from rtcore_adapters.audio._host import Device
from rtcore_adapters.cli import main as rtcore
from rtcore_adapters.cli import talk as talk_command
from rtcore_adapters.cli.talk import _conduct
from rtcore_adapters.cli.talk._asyncio import converse
from rtcore_adapters.cli.talk._conduct import Rules, Talk
from rtcore_adapters.cli.talk._editor import Silent
from rtcore_adapters.cli.talk._inputs import Post
from rtcore_adapters.cli.talk._terminal import Terminal
from rtcore_adapters.voices import load_voices

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has set: no test talks to anything but this machine."""
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def speech(path: Path, *clips: bytes) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(b"".join(clips))
    return str(path)


VOICES = {voice.name: voice.pcm for voice in load_voices()}


@pytest.mark.parametrize("runtime", talk_command.RUNTIMES)
def test_a_talk_from_file_to_file_on_every_runtime(
    runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_conduct, "QUIET_S", 0.4)
    said, heard, record = speech(tmp_path / "said.wav", VOICES["short"]), tmp_path / "heard.wav", tmp_path / "talk.jsonl"
    before = threading.enumerate()
    options = ["--runtime", runtime, "--input", said, "--output", str(heard), "--record", str(record), "--say", "300"]

    assert rtcore(["talk", *options]) == 0

    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[:4] == [
        f"rtcore talk: the simulated server, in this process (no key is set); on {runtime}",
        f"rtcore talk: microphone: {said}",
        f"rtcore talk: loudspeaker: {heard}",
        f"rtcore talk: recording: {record}, for rtcore replay",
    ]
    course = [line.split()[1:3] for line in lines[4:] if line.split()[1] != "warning"]
    assert course[0] == ["you", "speak"] and course[1] == ["you", "fall"]
    assert ["model", "speaks"] in course
    assert sum("(0.3 s)" in line for line in lines) == 1
    assert told.err == ""
    with wave.open(str(heard), "rb") as file:
        assert any(file.readframes(file.getnframes()))
    assert record.stat().st_size > 1000
    assert [thread for thread in threading.enumerate() if thread not in before] == []


def test_a_barge_in_from_a_file_in_virtual_time(tmp_path: Path) -> None:  # B01, C02, S01
    said = speech(tmp_path / "said.wav", VOICES["preamble"], bytes(48 * 2200), VOICES["preamble"])
    printed = virtual_talk(said, tmp_path / "heard.wav", "")
    assert " cut after " in printed and "not heard at all:" in printed
    assert printed.rstrip().endswith("(1.5 s)")
    assert printed == virtual_talk(said, tmp_path / "heard.wav", "")


def virtual_talk(said: str, heard: Path, typed: str) -> str:
    """A talk of two answers, the first of which is interrupted, on asyncio in virtual time; gives what was printed."""
    stream = io.StringIO()
    microphone = WavMicrophone(said)
    talk = Talk(Terminal(stream), Rules(), says=microphone)

    @contextmanager
    def hearing(post: Post) -> Iterator[None]:
        post(typed)
        post(Silent())
        yield

    async def main() -> None:
        script = (spoken(3000, 1000), spoken(1500))
        async with served(ServerOptions(script=script), seed=1, voices=None) as (url, _):
            config = Config(connection=Connection(url=url))
            await converse(config, talk, hearing, speaker=WavSpeaker(heard), microphone=microphone, seed=1)

    run_virtually(main())
    return stream.getvalue()


def test_the_page_shows_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/talk.md: the command that stands there, in virtual time."""
    page = (Path(__file__).parent.parent / "docs" / "talk.md").read_text(encoding="utf-8")
    found = re.search(r"```console\n\$ rtcore (talk .*--input.*)\n```\n\n```text\n(.*?)```", page, re.DOTALL)
    assert found is not None
    monkeypatch.chdir(tmp_path)
    speech(tmp_path / "speech.wav", VOICES["preamble"], bytes(48 * 2200), VOICES["preamble"])
    simulated: list[tuple[int, ServerOptions]] = []

    @contextmanager
    def embedded(*, seed: int, options: ServerOptions) -> Iterator[str]:
        simulated.append((seed, options))
        yield "ws://127.0.0.1:1"

    def driver(config: Config, talk: Talk, listening: object, **options: Any) -> None:
        async def main() -> None:
            [(seed, script)] = simulated
            async with served(script, seed=seed, voices=None) as (url, _):
                here = config.model_copy(update={"connection": Connection(url=url)})
                await converse(here, talk, nobody, seed=1, **options)

        run_virtually(main())

    monkeypatch.setattr(talk_command, "embedded", embedded)
    monkeypatch.setattr(talk_command, "_driver", lambda runtime: driver)
    assert rtcore(found[1].split()) == 0
    assert capsys.readouterr().out == found[2]


@contextmanager
def nobody(post: Post) -> Iterator[None]:
    """No key is pressed, and none will be."""
    post(Silent())
    yield


def test_typed_text_interrupts_in_virtual_time(tmp_path: Path) -> None:  # F037
    printed = virtual_talk(speech(tmp_path / "said.wav", bytes(480)), tmp_path / "heard.wav", "One\nTwo\n")
    assert printed.index("“One”") < printed.index("“Two”") < printed.index("model    speaks")


@contextmanager
def program(*options: str, **streams: Any) -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "error", "TERM": "xterm"}
    command = [sys.executable, "-m", "rtcore_adapters.cli", "talk", "--no-microphone", "--no-speaker", *options]
    given = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    with subprocess.Popen(command, text=True, env=environment, **given) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize("runtime", talk_command.RUNTIMES)
def test_ctrl_c_ends_it_in_order_and_tells_what_was_heard(runtime: str) -> None:
    with program("--runtime", runtime, "--say", "9000") as running:
        assert running.stdin is not None and running.stdout is not None and running.stderr is not None
        running.stdin.write("Hello\n")
        running.stdin.flush()
        while "model    speaks" not in running.stdout.readline():
            assert running.poll() is None, running.stderr.read()
        time.sleep(0.3)  # into the sentence: what is cut at its first sample was not heard
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=30) == 0
        rest = running.stdout.read()
        assert "cut after" in rest and "of 9.0 s" not in rest.split("cut after")[0]
        assert running.stderr.read() == ""


def test_a_second_ctrl_c_waits_for_nobody() -> None:
    async def silent(line: ServerLine) -> None:
        await line.set_up()
        await asyncio.sleep(60)  # it never answers the close frame

    async def main() -> tuple[int, str]:
        async with scripted(silent) as url:
            with program("--url", url) as running:
                assert running.stdout is not None and running.stderr is not None and running.stdin is not None
                stdout, stderr, stdin = running.stdout, running.stderr, running.stdin
                stdin.write("Hello\n")
                stdin.flush()
                while "Hello" not in await asyncio.to_thread(stdout.readline):
                    assert running.poll() is None
                running.send_signal(signal.SIGINT)
                await asyncio.sleep(0.3)
                assert running.poll() is None
                running.send_signal(signal.SIGINT)
                status = await asyncio.to_thread(running.wait, 30)  # after the first one alone it would be 0
                return status, stderr.read()

    status, told = asyncio.run(main())
    assert (status, told) == (130, "\nrtcore talk: ended by Ctrl-C\n")


def test_on_a_terminal_the_status_follows_and_the_terminal_is_given_back() -> None:
    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    seen = b""

    def until(words: str) -> None:
        nonlocal seen
        patience = time.monotonic() + 30
        while words.encode() not in seen:
            assert time.monotonic() < patience, seen.decode()
            if select.select([controller], [], [], 0.1)[0]:
                seen += os.read(controller, 65_536)
        seen = seen.partition(words.encode())[2]

    try:
        with program("--say", "2000", "--say", "300", stdin=terminal, stdout=terminal, stderr=terminal) as running:
            until("rtcore talk: type and press Enter")
            until("listening")
            os.write(controller, b"Hello")
            until("> Hello▏")
            os.write(controller, b"\r")
            until("speaks")
            until("There")  # the first word that was heard, before its message has ended
            os.write(controller, b" ")
            until("the sound is held")
            os.write(controller, b" ")
            until("the sound goes on")
            os.write(controller, b"Wait\r")
            until("“Wait”")
            until("cut after")
            until("silent")
            running.send_signal(signal.SIGINT)
            assert running.wait(timeout=30) == 0
            until("\x1b[?25h")
        assert termios.tcgetattr(terminal) == before
    finally:
        os.close(controller)
        os.close(terminal)


# -- what goes wrong ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--runtime", "twisted"], "invalid choice: 'twisted'"),
        (["--seconds", "-1"], "argument --seconds: '-1' is not a number of seconds above 0"),
        (["--input", "a.wav", "--no-microphone"], "not allowed with argument --input"),
        (["--output", "a.wav", "--no-speaker"], "not allowed with argument --output"),
        (["--say", "soon"], "'soon' is not a length in milliseconds: a whole number above 0"),
    ],
)
def test_wrong_arguments_are_explained(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        rtcore(["talk", *options])
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_a_talk_is_drawn_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_conduct, "QUIET_S", 0.4)
    said, page = speech(tmp_path / "said.wav", VOICES["short"]), tmp_path / "talk.html"
    assert rtcore(["talk", "--input", said, "--no-speaker", "--timeline", str(page), "--say", "300"]) == 0
    assert f"rtcore talk: timeline: {page}, at the end\n" in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert "<h1>A talk</h1>" in text and "full 300 of 300 ms" in text
    assert {each.name for each in tmp_path.iterdir()} == {"said.wav", "talk.html"}


def test_a_talk_that_never_begins_leaves_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "talk.html"
    assert rtcore(["talk", "--no-microphone", "--output", "no/place.wav", "--timeline", str(page)]) == 2
    assert not page.exists()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--no-microphone", "--no-speaker", "--timeline", "no/place"], 1, "no/place: no such file or directory"),
        (["--input", "none.wav", "--no-speaker"], 2, "none.wav: no such file or directory; needed: a WAV file"),
        (["--no-microphone", "--output", "no/place.wav"], 2, "needed: a place where a WAV file can be written"),
        (["--no-microphone", "--no-speaker", "--say", "99999999"], 2, "argument --say: "),
        (["--no-microphone", "--no-speaker", "--simulated", "--url", "ws://localhost"], 2, "are two servers"),
        (["--no-microphone", "--no-speaker", "--url", "ws://localhost:9", "--seed", "3"], 2, "are the simulated server's"),
        (["--no-microphone", "--no-speaker", "--url", "ws://127.0.0.1:9"], 1, "nothing listens on 127.0.0.1:9"),
        (["--no-microphone", "--no-speaker", "--record", "no/place"], 1, "no/place: no such file or directory"),
    ],
)
def test_what_cannot_be_is_one_line(
    options: list[str],
    status: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert rtcore(["talk", *options]) == status
    told = capsys.readouterr().err
    assert words in told and told.startswith("rtcore talk: ") and told.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "no loudspeaker: PortAudio is not there; --output FILE writes what would be heard"),
        (["--no-speaker"], "no microphone: PortAudio is not there; --input FILE speaks a WAV file"),
        (["--simulated"], "no loudspeaker: PortAudio is not there; --output FILE writes what would be heard"),
        (["--list-devices"], "the devices cannot be listed: PortAudio is not there"),
    ],
)
def test_without_sound_it_says_what_to_do_and_does_nothing_else(
    options: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Missing:
        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name == "rtcore_adapters.audio.device":
                raise ImportError("PortAudio is not there")

    monkeypatch.delitem(sys.modules, "rtcore_adapters.audio.device", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    assert rtcore(["talk", *options]) == 1
    told = capsys.readouterr()
    assert told.out == "" and words in told.err


def test_devices_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        Device("Built-in", 0, "ALSA", 2, 0, 48_000, default_input=True),
        Device("Headset", 11, "ALSA", 1, 2, 44_100, default_output=True),
    ]
    module = ModuleType("rtcore_adapters.audio.device")
    module.list_devices = lambda: found  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert rtcore(["talk", "--list-devices"]) == 0
    assert capsys.readouterr().out == (
        "  0  Built-in (ALSA): 2 in, default microphone, 48000 Hz\n"
        " 11  Headset (ALSA): 1 in, 2 out, default loudspeaker, 44100 Hz\n"
    )


def test_without_trio_it_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.endswith("talk._trio") or name.startswith("rtcore_adapters.trio")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trio", None)
    assert rtcore(["talk", "--runtime", "trio", "--no-microphone", "--no-speaker"]) == 2
    assert "--runtime trio needs the package trio: pip install 'rtcore[trio]'" in capsys.readouterr().err


def test_a_key_is_never_shown_even_where_the_server_repeats_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with served_in_a_thread(api_key="sk-another") as url:
        assert rtcore(["talk", "--no-microphone", "--no-speaker", "--url", url]) == 1
    told = capsys.readouterr()
    assert "with the key of OPENAI_API_KEY" in told.out and "401" in told.err
    assert KEY not in told.out + told.err
