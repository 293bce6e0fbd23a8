"""``rtcore talk`` on real PortAudio: somebody speaks into the microphone, and the answer is really played (C20, C21)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.pulse import RATE, Pulse
from rtcore_adapters.cli.talk import RUNTIMES
from rtcore_adapters.voices import load_voices

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(os.environ.get("RTCORE_DEVICE") != "required", reason="make device runs these"),
]


@pytest.fixture(scope="module")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulse]:
    server = Pulse(tmp_path_factory.mktemp("pulse"))
    try:
        server.plug("hall")
        server.plug("booth")
        server.wire("ear", "booth")
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_is_said_is_heard_and_what_is_answered_is_played(pulse: Pulse, runtime: str, tmp_path: Path) -> None:
    said = next(voice.pcm for voice in load_voices() if voice.name == "preamble")
    options = ["--runtime", runtime, "--microphone", "ear", "--speaker", "hall", "--simulated", "--say", "600", "--seconds", "5"]
    environment = {**os.environ, **pulse.environment, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "rtcore_adapters.cli", "talk", *options]
    hall = pulse.record("hall")
    try:
        with (tmp_path / "errors").open("w+") as errors, started(command, environment, errors.fileno()) as running:
            assert running.stdout is not None
            lines = [running.stdout.readline() for _ in range(3)]
            assert lines[1:] == ["rtcore talk: microphone: ear\n", "rtcore talk: loudspeaker: hall\n"]
            player = pulse.play("booth", bytes(48 * 500) + said + bytes(48 * 100))
            told = running.stdout.read()
            assert running.wait(30) == 0
            player.wait(10)
            errors.seek(0)
            # A busy machine lets the device run dry; ALSA's library says so by itself.
            assert [line for line in errors if not line.startswith("ALSA lib")] == []
        course = [line.split()[1:3] for line in told.splitlines()]
        assert ["you", "speak"] in course and ["model", "speaks"] in course
        assert "(0.6 s)" in told
        assert len(hall.sounded()) > 0.4 * RATE
    finally:
        hall.close()


def started(command: list[str], environment: dict[str, str], errors: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True)
