"""A PulseAudio daemon of its own, without hardware: null sinks to play into, and their monitors to hear what was played.

PortAudio reaches it through ALSA's plug-in for PulseAudio, with an ALSA configuration that names the sinks. Nothing of the user's
own sound set-up is read or touched.
"""

import os
import shutil
import subprocess
import threading
import time
from array import array
from pathlib import Path

RATE = 24_000
FIGURES: list[str] = []
"""What was measured, for the end of the run."""
PROGRAMS = ("pulseaudio", "pactl", "parec", "pacat")

_ASOUND = """
pcm.!default {{ type pulse server "{server}" hint {{ show on description "default" }} }}
ctl.!default {{ type pulse server "{server}" }}
pcm.hall {{ type pulse server "{server}" device "hall" hint {{ show on description "hall" }} }}
pcm.booth {{ type pulse server "{server}" device "booth" hint {{ show on description "booth" }} }}
pcm.ear {{ type pulse server "{server}" device "ear" hint {{ show on description "ear" }} }}
"""


class Pulse:
    """The daemon. ``environment`` makes ALSA find it."""

    def __init__(self, folder: Path) -> None:
        for program in PROGRAMS:
            if shutil.which(program) is None:
                raise RuntimeError(f"{program} is not installed: apt-get install pulseaudio pulseaudio-utils libasound2-plugins")
        self._folder = folder
        self._server = f"unix:{folder / 'native'}"
        (folder / "run").mkdir(mode=0o700)
        (folder / "asound.conf").write_text(_ASOUND.format(server=self._server), encoding="utf-8")
        self.environment = {
            "ALSA_CONFIG_PATH": f"/usr/share/alsa/alsa.conf:{folder / 'asound.conf'}",
            "PULSE_SERVER": self._server,
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "PULSE_RUNTIME_PATH": str(folder / "run"),
        }
        self._environment = {**os.environ, **self.environment}
        self._modules: dict[str, str] = {}
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-level=error"]
        command += ["--realtime=no", "--high-priority=no"]
        command += ["-L", f"module-native-protocol-unix auth-anonymous=1 socket={folder / 'native'}"]
        with open(folder / "log", "wb") as log:
            environment = {name: value for name, value in self._environment.items() if name != "PULSE_SERVER"}
            self._daemon = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while not (folder / "native").exists():
            if self._daemon.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError(f"pulseaudio did not start: {(folder / 'log').read_text(errors='replace')}")
            time.sleep(0.02)

    def ctl(self, *words: str) -> str:
        done = subprocess.run(["pactl", *words], env=self._environment, capture_output=True, text=True, check=False, timeout=20)
        if done.returncode:
            raise RuntimeError(f"pactl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def plug(self, sink: str) -> None:
        """A loudspeaker that nobody hears, but whose monitor can be recorded."""
        self._modules[sink] = self.ctl(
            "load-module", "module-null-sink", f"sink_name={sink}", f"rate={RATE}", "format=s16le", "channels=1"
        )

    def unplug(self, sink: str) -> None:
        self.ctl("unload-module", self._modules.pop(sink))

    def wire(self, source: str, sink: str) -> None:
        """A microphone that hears what is played into a sink."""
        self.ctl("load-module", "module-remap-source", f"source_name={source}", f"master={sink}.monitor")

    def record(self, sink: str) -> "Recording":
        return Recording(sink, self._environment)

    def play(self, sink: str, pcm: bytes) -> subprocess.Popen[bytes]:
        command = [
            "pacat",
            "--playback",
            f"--device={sink}",
            f"--rate={RATE}",
            "--format=s16le",
            "--channels=1",
            "--latency-msec=50",
        ]
        player = subprocess.Popen(command, env=self._environment, stdin=subprocess.PIPE)
        assert player.stdin is not None
        player.stdin.write(pcm)
        player.stdin.close()
        return player

    def close(self) -> None:
        self._daemon.terminate()
        try:
            self._daemon.wait(5)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait(5)


class Recording:
    """What was really played into a sink, from now on. It also keeps the sink awake: it asks for audio in small pieces."""

    def __init__(self, sink: str, environment: dict[str, str]) -> None:
        command = ["parec", f"--device={sink}.monitor", f"--rate={RATE}", "--format=s16le", "--channels=1", "--latency-msec=10"]
        self._recorder = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        self._pieces: list[tuple[float, bytes]] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        end = time.monotonic() + 5
        while not self._pieces and time.monotonic() < end:
            time.sleep(0.01)

    def _read(self) -> None:
        assert self._recorder.stdout is not None
        while piece := os.read(self._recorder.stdout.fileno(), 65_536):
            self._pieces.append((time.monotonic(), piece))

    @property
    def signal(self) -> "array[int]":
        """All samples until now."""
        pcm = b"".join(piece for _, piece in list(self._pieces))
        return array("h", pcm[: len(pcm) // 2 * 2])

    def sounded(self) -> "array[int]":
        """The samples that are not silence."""
        return array("h", [value for value in self.signal if value])

    def sounded_by(self, at: float) -> int:
        """How many samples that are not silence had come by then."""
        pcm = b"".join(piece for came, piece in self._pieces if came <= at)
        return sum(1 for value in array("h", pcm[: len(pcm) // 2 * 2]) if value)

    @property
    def last_sound_at(self) -> float:
        """When the last piece came that was not silence."""
        return next((at for at, piece in reversed(self._pieces) if any(piece)), 0.0)

    def close(self) -> None:
        self._recorder.terminate()
        self._recorder.wait(5)
        self._thread.join(5)
        assert self._recorder.stdout is not None
        self._recorder.stdout.close()
